"""CrystFEL geometries and streams: pixels, bad regions, crystals, peaks, and faults."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from for_each import for_each
from geometry_files import GEOM, STREAM
from positions import five_pixels, laboratory_mm, plan_of, reciprocal_at

import nanobragg_hybrid as nb

GROUPS = "1 groups of panels that move together are passed over"


def read(folder: Path, text: bytes) -> nb.Experiment:
    path = folder / "two.geom"
    path.write_bytes(text)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", f".*{GROUPS}")
        return nb.read_experiment(path)


PANELS = [
    ([0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [-20.5, 3.25], 0.1505),
    ([1.0, 0.0, 0.0], [0.0, -0.6, 0.8], [5.5, -30.0], 0.15),
]


def test_pixels(tmp_path: Path) -> None:
    experiment = read(tmp_path, GEOM)
    assert experiment.detector.panel_names == ("p0", "p1")
    for number, (fs, ss, corner, along) in enumerate(PANELS):
        plan = plan_of(experiment, number)
        for fast, slow in five_pixels(30, 20):
            expected = fast * np.array(fs) + slow * np.array(ss) + [*corner, 0.0]
            expected = 1000.0 * (expected / 2000.0 + [0.0, 0.0, along])
            assert np.abs(laboratory_mm(plan, (fast, slow), "crystfel") - expected).max() < 1e-9


def test_what_else_it_says(tmp_path: Path) -> None:
    experiment = read(tmp_path, GEOM)
    assert experiment.beam.wavelength_angstrom == pytest.approx(1.25, rel=1e-14)
    assert experiment.beam.direction == (1.0, 0.0, 0.0)
    assert experiment.output.intensity_scale == pytest.approx(0.001 * 9918.735874656016)
    first, second = experiment.detector.panels or ()
    assert first.mask is None
    assert second.mask is not None
    expected = np.ones((20, 30), dtype=bool)
    expected[1, 2:5] = False
    assert np.array_equal(second.mask.values, expected)
    assert experiment.crystal == nb.Crystal()
    assert experiment.goniometer == nb.Goniometer()


def test_groups_are_told(tmp_path: Path) -> None:
    (tmp_path / "g").write_bytes(GEOM)
    with pytest.warns(nb.NanobraggWarning, match=GROUPS) as caught:
        nb.read_experiment(tmp_path / "g")
    assert len(caught) == 1


def test_a_bad_region_in_space(tmp_path: Path) -> None:
    region = b"bad1/min_x = -20.6\nbad1/max_x = -19.6\nbad1/min_y = 3\nbad1/max_y = 5\n"
    first, _ = read(tmp_path, GEOM + region).detector.panels or ()
    fast, slow = np.meshgrid(np.arange(30), np.arange(20))
    x, y = -20.5 + 0.8 * fast - 0.6 * slow, 3.25 + 0.6 * fast + 0.8 * slow
    bad = (x >= -20.6) & (x <= -19.6) & (y >= 3) & (y <= 5)
    assert 0 < bad.sum() < 10
    assert first.mask is not None
    assert np.array_equal(first.mask.values, ~bad)


@for_each(
    "words, wavelength",
    [
        ("photon_energy = 10 keV", 1.2398419843320026),
        ("photon_energy = 9918.735874656016", 1.25),
        ("wavelength = 1.25 A", 1.25),
        ("wavelength = 1.25e-10 m", 1.25),
    ],
)
def test_wavelengths(words: str, wavelength: float, tmp_path: Path) -> None:
    text = GEOM.replace(b"photon_energy = 9918.735874656016 eV", words.encode())
    text = text.replace(b"adu_per_eV = 0.001\n", b"")
    found = read(tmp_path, text).beam.wavelength_angstrom
    assert found == pytest.approx(wavelength, rel=1e-14)


def test_no_wavelength(tmp_path: Path) -> None:
    text = GEOM.replace(b"photon_energy = 9918.735874656016 eV", b"")
    with pytest.warns(nb.NanobraggWarning, match="neither photon_energy nor wavelength"):
        assert read(tmp_path, text).beam.wavelength_angstrom == 1.0


def test_units_and_defaults_that_change_between_panels(tmp_path: Path) -> None:
    text = GEOM.replace(b"clen = 0.15", b"clen = 150 mm").replace(
        b"p1/min_fs = 0", b"clen = 0.2\nmax_adu = 500\np1/min_fs = 0"
    )
    first, second = read(tmp_path, text).detector.panels or ()
    assert first.origin_mm[0] == pytest.approx(150.5)
    assert first.trusted_range is None
    assert second.origin_mm[0] == pytest.approx(200.0)
    assert second.trusted_range is not None
    assert second.trusted_range[1] == pytest.approx(500 / 9.918735874656016)


def test_rounded_vectors_make_pixels_nearly_square(tmp_path: Path) -> None:
    text = GEOM.replace(b"+0.8x +0.6y", b"+0.80001x +0.6y")
    with pytest.warns(nb.NanobraggWarning, match=r"not quite square: .* up to 0.072 um from where"):
        first, _ = read(tmp_path, text).detector.panels or ()
    assert first.pixel_size_mm == pytest.approx(0.5 * (1 + 0.4e-5), rel=1e-9)
    first, _ = (
        read(tmp_path, GEOM.replace(b"+0.8x +0.6y", b"+0.864x +0.648y")).detector.panels or ()
    )
    assert first.pixel_size_mm == pytest.approx((0.54, 0.5), rel=1e-9)


def changed(old: bytes, new: bytes, text: bytes = GEOM) -> bytes:
    assert old in text
    return text.replace(old, new)


FAULTS: dict[str, tuple[bytes, str]] = {
    "no equals": (changed(b"res = 2000", b"res 2000"), ":5: got 'res 2000', need name = value"),
    "place in the data": (
        changed(b"clen = 0.15", b"clen = /LCLS/z"),
        ":4: clen: got '/LCLS/z', need a number: a place in the data file is not looked up",
    ),
    "energy in the data": (
        changed(b"= 9918.735874656016 eV", b"= /LCLS/eV"),
        ":2: photon_energy: got '/LCLS/eV', need a number: a place in the data",
    ),
    "energy of 0": (
        changed(b"= 9918.735874656016 eV", b"= 0 eV"),
        ":2: photon_energy: got '0 eV', need a number > 0",
    ),
    "unit": (changed(b"clen = 0.15", b"clen = 1 mile"), ":4: clen: got '1 mile', need a number"),
    "no res": (changed(b"res = 2000\n", b""), ": panel p0 has no res"),
    "no corner": (changed(b"p1/corner_y = -30.0\n", b""), ": panel p1 has no corner_y"),
    "no fs": (changed(b"p1/fs = x\n", b""), ": panel p1 has no fs"),
    "vector": (changed(b"p1/fs = x", b"p1/fs = 1"), ":22: p1/fs: got '1', need a vector like"),
    "vector of 0": (changed(b"p1/fs = x", b"p1/fs = 0x"), ":22: p1/fs: got '0x', need a vector"),
    "signs": (changed(b"p1/fs = x", b"p1/fs = x y"), ":22: p1/fs: got 'x y', need a vector like"),
    "parallel": (changed(b"p1/fs = x", b"p1/fs = -0.6y +0.8z"), ":23: p1/ss: got '-0.6y +0.8z'"),
    "bounds": (changed(b"p0/max_fs = 29", b"p0/max_fs = -1"), ":9: p0/max_fs: got '-1', need"),
    "order": (
        changed(b"p1/max_ss = 39", b"p1/max_ss = 3"),
        ":21: p1/max_ss: got '3', need at least",
    ),
    "part of a region": (
        changed(b"bad0/max_ss = 21\n", b""),
        ":27: bad0: need min and max of fs and",
    ),
    "shift": (
        b"detector_shift_x = 0.1 mm\n" + GEOM,
        ":1: detector_shift_x: got '0.1 mm', need 0: add the shift to corner_x",
    ),
    "electrons": (
        b"electron_voltage = 200 kV\n" + GEOM,
        ":1: electron_voltage: got '200 kV', need X",
    ),
}


@for_each("case", FAULTS)
def test_faults_name_line_and_entry(case: str, tmp_path: Path) -> None:
    text, message = FAULTS[case]
    path = tmp_path / "file"
    path.write_bytes(text)
    with pytest.raises(nb.FileFormatError) as caught:
        nb.read_experiment(path)
    assert str(caught.value).startswith(f"{path}{message}"), str(caught.value)


def stream(folder: Path, text: bytes = STREAM) -> list[nb.StreamImage]:
    path = folder / "two.stream"
    path.write_bytes(text)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", f".*{GROUPS}")
        return nb.read_stream(path)


def test_images_of_a_stream(tmp_path: Path) -> None:
    first, second = stream(tmp_path)
    assert (first.image, first.event, first.serial) == ("run1.cxi", "//7", 8)
    assert (second.image, second.event, second.serial) == ("run1.cxi", "//9", 10)
    assert first.wavelength_angstrom == pytest.approx(1.25, rel=1e-9)
    assert first.peaks.tolist() == [[3.5, 10.25, 1.52, 800.0], [4.5, 25.75, 2.52, 100.0]]
    assert first.peak_panels == ("p0", "p1")
    assert first.experiments == ()
    assert second.peaks.shape == (0, 4)
    assert len(second.experiments) == 2


def test_crystals_of_a_stream(tmp_path: Path) -> None:
    _, second = stream(tmp_path)
    matrices = [
        np.array([[0.25, 0.01, 0.0], [-0.01, 0.2, 0.02], [0.0, -0.02, 0.16]]).T / 10.0,
        np.array([[0.0, 0.25, 0.0], [0.0, 0.0, 0.2], [0.16, 0.0, 0.0]]).T / 10.0,
    ]
    for experiment, expected in zip(second.experiments, matrices, strict=True):
        found = reciprocal_at(plan_of(experiment), 0.0, "crystfel")
        assert np.abs(found - expected).max() < 1e-15
        assert experiment.goniometer.osc_deg is None
    with pytest.warns(nb.NanobraggWarning, match=GROUPS):
        assert nb.read_experiments(tmp_path / "two.stream") == list(second.experiments)


def test_the_distance_of_an_image_counts_where_the_geometry_names_a_place(tmp_path: Path) -> None:
    _, second = stream(tmp_path)
    # 150.25 mm is the mean of the panels, whose offsets are 0.5 and 0
    first_panel, other_panel = second.experiments[0].detector.panels or ()
    assert first_panel.origin_mm[0] == pytest.approx(150.5, abs=1e-9)
    assert other_panel.origin_mm[0] == pytest.approx(150.0, abs=1e-9)
    _, moved = stream(tmp_path, STREAM.replace(b"0.150250 m", b"0.160250 m"))
    assert (moved.experiments[0].detector.panels or ())[1].origin_mm[0] == pytest.approx(160.0)
    given = STREAM.replace(b"clen = /LCLS/detector_1/EncoderValue", b"clen = 0.2")
    _, fixed = stream(tmp_path, given)
    assert (fixed.experiments[0].detector.panels or ())[1].origin_mm[0] == 200.0


def test_every_shot_has_its_own_energy_and_distance(tmp_path: Path) -> None:
    """Two images with a crystal each; the detector is made again only where it is another one."""
    begin = STREAM.rindex(b"----- Begin chunk")
    shot = STREAM[begin:]
    other = shot.replace(b"eV = 9918.735875", b"eV = 9000").replace(b"0.150250 m", b"0.250250 m")
    for clen, far in ((b"clen = /LCLS/detector_1/EncoderValue\n", 250.0), (b"", 250.0),
                      (b"clen = 0.15\n", 150.0)):  # fmt: skip
        head = STREAM[:begin].replace(b"clen = /LCLS/detector_1/EncoderValue\n", clen)
        head = head.replace(b"= 9918.735874656016 eV", b"= /LCLS/photon_energy_eV")
        images = stream(tmp_path, head + shot + other)[1:]
        one, same, two, _ = (e for image in images for e in image.experiments)
        assert one.detector is same.detector
        assert two.beam.wavelength_angstrom == pytest.approx(12398.419843320026 / 9000, rel=1e-12)
        assert (one.detector.panels or ())[1].origin_mm[0] == pytest.approx(150.0)
        assert (two.detector.panels or ())[1].origin_mm[0] == pytest.approx(far)
        assert one.output.intensity_scale == pytest.approx(9.918735875)
        assert two.output.intensity_scale == pytest.approx(9.0)
        plain = head.replace(b"adu_per_eV = 0.001\n", b"")
        images = stream(tmp_path, plain + shot + other.replace(b"0.250250 m", b"0.150250 m"))[1:]
        one, _, two, _ = (e for image in images for e in image.experiments)
        assert one.detector is two.detector
        assert one.beam.wavelength_angstrom != two.beam.wavelength_angstrom


def test_a_shift_of_the_detector_is_told(tmp_path: Path) -> None:
    line = b"lattice_type = orthorhombic\n"
    zero = line + b"predict_refine/det_shift x = 0.000 y = -0.000 mm\n"
    assert len(stream(tmp_path, STREAM.replace(line, zero))) == 2
    shift = line + b"predict_refine/det_shift x = 0.012 y = 0.000 mm\n"
    with pytest.warns(nb.NanobraggWarning, match=r"det_shift .* not applied \[1 of 2 experiments"):
        stream(tmp_path, STREAM.replace(line, shift))


STREAM_FAULTS: dict[str, tuple[bytes, str]] = {
    "cut in a crystal": (
        STREAM[: STREAM.rindex(b"--- End crystal")],
        ":75: the crystal that begins here has no end",
    ),
    "cut behind a crystal": (
        STREAM[: STREAM.rindex(b"----- End chunk")],
        ":54: the image that begins here has no end",
    ),
    "cut in the geometry": (STREAM[:400], ":4: ends before '----- End geometry file'"),
    "no cstar": (
        STREAM.replace(b"cstar = +0.1600000", b"dstar = +0.1600000"),
        ":75: a crystal without cstar",
    ),
    "another unit": (
        STREAM.replace(b"+0.1600000 nm^-1", b"+0.1600000 A^-1"),
        ":69: cstar: got '+0.0000000 -0.0200000 +0.1600000 A^-1', need three numbers and nm^-1",
    ),
    "peak": (
        STREAM.replace(b"   4.50   25.75       2.52       100.00   p1", b"   4.50   25.75"),
        ":51: got '   4.50   25.75', need fs, ss, resolution and intensity of a peak",
    ),
    "energy": (
        STREAM.replace(b"eV = 9918.735875", b"eV = x"),
        ":39: photon_energy_eV: got 'x', need",
    ),
    "entry of the geometry": (
        STREAM.replace(b"res = 2000", b"res 2000"),
        ":9: got 'res 2000', need name = value",
    ),
}


@for_each("case", STREAM_FAULTS)
def test_faults_of_streams_name_the_line(case: str, tmp_path: Path) -> None:
    text, message = STREAM_FAULTS[case]
    path = tmp_path / "file"
    path.write_bytes(text)
    with pytest.raises(nb.FileFormatError) as caught:
        nb.read_stream(path)
    assert str(caught.value).startswith(f"{path}{message}"), str(caught.value)


def test_a_stream_without_crystals(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(STREAM[: STREAM.rindex(b"----- Begin chunk")])
    assert len(stream(tmp_path, path.read_bytes())) == 1
    with pytest.raises(nb.FileFormatError, match="has no crystal"):
        nb.read_experiments(path)
