"""imgCIF, miniCBF and SMV headers: where their pixels are, how the crystal turns, and faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from for_each import for_each
from geometry_files import IMGCIF, MINICBF, SMV
from positions import TO_SIMULATOR, about, five_pixels, laboratory_mm, plan_of

import nanobragg_hybrid as nb
from nanobragg_hybrid.formats.smv import SmvHeader


def read(folder: Path, data: bytes) -> nb.Experiment:
    (folder / "image").write_bytes(data)
    return nb.read_experiment(folder / "image")


def in_imgcif(array: int, fast: float, slow: float) -> np.ndarray:
    """A point of a panel of IMGCIF by the chain of its axes; mm."""
    first = np.array([0.75, 0.0]) if array == 0 else np.zeros(2)
    base = np.array([[-8.0, 6.0, 0.0], [9.0, 6.0, 0.0]])[array]
    on_arm = np.add(base, [first[0] + 0.5 * fast, -(first[1] + 0.5 * slow), 0.0])
    on_slide = about((0, 0, 1), 30.0) @ on_arm + [1.5, -2.5, 0.25]
    return np.asarray(about((-1, 0, 0), 20.0) @ np.add(on_slide, [0.0, 0.0, -100.0]))


def test_pixels_of_imgcif(tmp_path: Path) -> None:
    experiment = read(tmp_path, IMGCIF)
    assert experiment.detector.panel_names == ("ARRAY1", "ARRAY2")
    for number in range(2):
        plan = plan_of(experiment, number)
        for fast, slow in five_pixels(30, 20):
            found = laboratory_mm(plan, (fast, slow), "dials")
            assert np.abs(found - in_imgcif(number, fast, slow)).max() < 1e-9


def test_what_else_imgcif_says(tmp_path: Path) -> None:
    experiment = read(tmp_path, IMGCIF)
    assert experiment.beam.wavelength_angstrom == 1.25
    assert experiment.beam.polarization_kahn == 0.9
    assert experiment.beam.polarization_axis == (0.0, 0.0, 1.0)
    assert experiment.goniometer.phi_deg == 10.5
    assert experiment.goniometer.osc_deg == 0.25
    # PHI stands on OMEGA, which is at 90 degrees: y becomes z
    spindle = TO_SIMULATOR["dials"] @ [0.0, 0.0, 1.0]
    assert np.allclose(experiment.goniometer.spindle_axis, spindle, atol=1e-15)
    assert experiment.output.intensity_scale == 2.0
    (first, _) = experiment.detector.panels or ()
    assert first.trusted_range is not None
    assert first.trusted_range[1] == 500.0


def test_lines_of_an_imgcif_header_may_end_with_carriage_returns(tmp_path: Path) -> None:
    assert read(tmp_path, IMGCIF.replace(b"\n", b"\r\n")) == read(tmp_path, IMGCIF)


def changed(old: bytes, new: bytes, data: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


IMGCIF_FAULTS: dict[str, tuple[bytes, str]] = {
    "no such axis": (
        changed(b"rotation    detector   DISTANCE ", b"rotation    detector   NOWHERE ", IMGCIF),
        ": _axis.depends_on: got 'NOWHERE', need the id of an axis",
    ),
    "a ring of axes": (
        changed(b"translation detector   TWOTHETA", b"translation detector   FAST1", IMGCIF),
        ": _axis.depends_on: got 'FAST1', need axes that end at the laboratory",
    ),
    "a word": (
        changed(b"FRAME1 ARM 30.0", b"FRAME1 ARM x", IMGCIF),
        ": _diffrn_scan_frame_axis.angle: got 'x', need a number",
    ),
    "half a pixel": (
        changed(b"ARRAY1 1 30 1", b"ARRAY1 1 30.5 1", IMGCIF),
        ": _array_structure_list ARRAY1.dimension: got '30.5', need a whole number >= 1",
    ),
    "one direction": (
        changed(b" ARRAY2 2 20 2 increasing SLOW2\n", b"", IMGCIF),
        ": _array_structure_list ARRAY2.precedence: got '1', need 1 (fast) and 2 (slow)",
    ),
    "decreasing": (
        changed(b"2 increasing SLOW2", b"2 decreasing SLOW2", IMGCIF),
        ": _array_structure_list ARRAY2.direction: got 'decreasing', need 'increasing'",
    ),
    "no step": (
        changed(b" SLOW2 SLOW2 0.0 0.5\n", b" SLOW2 SLOW2 0.0 0\n", IMGCIF),
        ": _array_structure_list_axis SLOW2.displacement_increment: got '0', need a step",
    ),
    "parallel directions": (
        changed(b"ARM      0 -1 0  9 6 0", b"ARM      1 0 0  9 6 0", IMGCIF),
        ": _array_structure_list ARRAY2.axis_set_id: got 'FAST2 SLOW2', need two axes at right",
    ),
    "no wavelength": (
        changed(b"wavelength 1.25", b"wavelength 0", IMGCIF),
        ": _diffrn_radiation_wavelength.wavelength: got '0', need a number > 0",
    ),
    "a loop cut short": (
        changed(b" ARRAY2 2 2.0 1000\n", b" ARRAY2 2 2.0\n", IMGCIF),
        ":89: a loop_ of 4 columns has 7 values",
    ),
    "words without a name": (
        changed(b"data_image_1\n", b"data_image_1\nstray\n", IMGCIF),
        ":4: got 'stray', need the name of an item",
    ),
    "no geometry": (
        b"###CBF: VERSION 1.5\ndata_x\n_array_data.data\n;\n",
        ": its header says nothing of a geometry: it has neither the tables of imgCIF",
    ),
}


@for_each("case", IMGCIF_FAULTS)
def test_faults_of_imgcif(case: str, tmp_path: Path) -> None:
    data, message = IMGCIF_FAULTS[case]
    with pytest.raises(nb.FileFormatError) as caught:
        read(tmp_path, data)
    assert str(caught.value).startswith(f"{tmp_path / 'image'}{message}"), str(caught.value)


def mini(old: bytes = b"", new: bytes = b"") -> bytes:
    return changed(old, new, MINICBF.replace(b"# Silicon sensor, thickness 0.000320 m\n", b""))


def test_pixels_of_minicbf(tmp_path: Path) -> None:
    plan = plan_of(read(tmp_path, mini()))
    for fast, slow in five_pixels(30, 20):
        expected = [0.172 * (fast - 15.25), -0.172 * (slow - 10.75), -150.0]
        assert np.abs(laboratory_mm(plan, (fast, slow), "dials") - expected).max() < 1e-9


def test_what_else_minicbf_says(tmp_path: Path) -> None:
    experiment = read(tmp_path, mini())
    assert experiment.beam.wavelength_angstrom == 1.25
    assert experiment.beam.polarization_kahn == pytest.approx(0.9)
    assert experiment.goniometer.phi_deg == 10.0
    assert experiment.goniometer.osc_deg == 0.25
    assert experiment.goniometer.spindle_axis == (0.0, 0.0, 1.0)
    (only,) = experiment.detector.panels or ()
    assert only.trusted_range == (-1.0, 1048500.0)


@for_each(
    "words, spindle",
    [
        (b"X.CW", (0, 0, 1)),
        (b"X, CW", (0, 0, 1)),
        (b"-X", (0, 0, -1)),
        (b"X.CCW", (0, 0, -1)),
        (b"Y", (0, 1, 0)),
        (b"omega", (0, 0, 1)),
    ],
)
def test_oscillation_axes(words: bytes, spindle: tuple[int, int, int], tmp_path: Path) -> None:
    assert read(tmp_path, mini(b"X.CW", words)).goniometer.spindle_axis == spindle


def test_a_sensor_without_attenuation_is_told(tmp_path: Path) -> None:
    with pytest.warns(nb.NanobraggWarning, match="has a thickness but no attenuation"):
        read(tmp_path, MINICBF)


MINICBF_FAULTS: dict[str, tuple[bytes, str]] = {
    "no wavelength": (
        mini(b"# Wavelength 1.25 A\n", b""),
        ": Wavelength: got nothing, need a number",
    ),
    "wavelength of 0": (mini(b"1.25 A", b"0 A"), ": Wavelength: got '0 A', need a number of angst"),
    "no unit": (
        mini(b"Detector_distance 0.15 m", b"Detector_distance 0.15"),
        ": Detector_distance: got '0.15', need a length in m or mm",
    ),
    "beam": (mini(b"(15.25, 10.75)", b"15 10"), ": Beam_xy: got '15 10 pixels', need two numbers"),
    "pixel": (mini(b"172e-6 m x 172e-6 m", b"172"), ": Pixel_size: got '172', need two lengths"),
    "size": (
        mini(b"Fastest-Dimension: 30", b"Fastest-Dimension: x"),
        ": has no X-Binary-Size-Fastest-Dimension in its binary section",
    ),
    "axis": (mini(b"X.CW", b"up"), ": Oscillation_axis: got 'up', need X, Y, Z or omega"),
}


@for_each("case", MINICBF_FAULTS)
def test_faults_of_minicbf(case: str, tmp_path: Path) -> None:
    data, message = MINICBF_FAULTS[case]
    with pytest.raises(nb.FileFormatError) as caught:
        read(tmp_path, data)
    assert str(caught.value).startswith(f"{tmp_path / 'image'}{message}"), str(caught.value)


def test_a_detector_that_is_turned_is_refused(tmp_path: Path) -> None:
    turned = mini(b"# Polarization", b"# Detector_2theta 10.0 deg.\n# Polarization")
    with pytest.raises(nb.UnsupportedError, match=r"Detector_2theta 10.0 deg.: a comment does not"):
        read(tmp_path, turned)
    assert read(tmp_path, turned.replace(b"10.0 deg.\n# Pol", b"0.0 deg.\n# Pol"))
    with pytest.raises(nb.UnsupportedError, match="TWOTHETA 5: the header does not say"):
        read(tmp_path, SMV.replace(b"TWOTHETA=0", b"TWOTHETA=5"))


def test_smv_of_adsc(tmp_path: Path) -> None:
    with pytest.warns(nb.NanobraggWarning, match="BEAM_CENTER_Y are taken as ADSC's"):
        experiment = read(tmp_path, SMV)
    plan = plan_of(experiment)
    for fast, slow in five_pixels(30, 20):
        # DIALS: x along fast from the beam, y against slow
        expected = [0.5 * fast - 7.75, -(0.5 * slow - 5.25), -150.0]
        assert np.abs(laboratory_mm(plan, (fast, slow), "dials") - expected).max() < 1e-9
    assert experiment.goniometer.phi_deg == 10.0
    assert experiment.goniometer.osc_deg == 0.25
    assert experiment.output.adc_offset == 40.0


@for_each("convention", ["mosflm", "xds", "adxv", "denzo", "dials"])
def test_smv_of_this_package_says_where_its_pixels_are(convention: str, tmp_path: Path) -> None:
    """Whatever the convention: in the frame of the beam, along fast and slow."""
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(30.0, 40.0, 50.0), n_cells=(3, 3, 3)),
        detector=nb.Detector(
            convention=convention,
            distance_mm=80.0,
            n_fast=30,
            n_slow=20,
            pixel_size_mm=0.5,
            beam_x_mm=4.0,
            beam_y_mm=7.0,
        ),
        sampling=nb.Sampling(oversample=1),
    )
    result = nb.simulate(experiment, nb.StructureFactors.constant(1.0))
    header = SmvHeader.from_plan(result.plan, experiment)
    nb.write_smv(tmp_path / "image", nb.integer_image(result).pixels, header)
    plan, found = result.plan, plan_of(nb.read_experiment(tmp_path / "image"))
    for fast, slow in five_pixels(30, 20):
        step = 1000.0 * np.array(plan.pix0_m) + 0.5 * fast * np.array(plan.fast_axis)
        point = step + 0.5 * slow * np.array(plan.slow_axis)
        along = [point @ np.array(getattr(plan, n)) for n in ("beam_direction", "fast_axis")]
        expected = [*along, point @ np.array(plan.slow_axis)]
        x, y, z = laboratory_mm(found, (fast, slow), "mosflm")
        # header numbers have six digits
        assert np.allclose([x, z, -y], expected, atol=1e-3)


@for_each(
    "old, new, message",
    [
        (b"DISTANCE=150", b"DISTANCE=x", "DISTANCE: got 'x', need a finite number"),
        (b"DISTANCE=150", b"NOTHING=150", "DISTANCE: got nothing, need a finite number"),
        (b"WAVELENGTH=1.25", b"WAVELENGTH=0", "WAVELENGTH: got 0, need a number > 0"),
    ],
)
def test_faults_of_smv(old: bytes, new: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(nb.FileFormatError) as caught:
        read(tmp_path, changed(old, new, SMV))
    assert str(caught.value) == f"{tmp_path / 'image'}: {message}"
