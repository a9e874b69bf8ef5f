"""Any geometry file: recognised by content; broken and foreign ones; like=, crystal=."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from for_each import for_each
from geometry_files import EXPT, GEOM, MINICBF, SMV, STREAM, TEXTS, XDS_INP, expt
from positions import plan_of, reciprocal_at

import nanobragg_hybrid as nb
from nanobragg_hybrid.formats.geometry.experiment_files import is_experiment_file

QUIET = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")


@QUIET
@for_each("kind", TEXTS)
def test_the_name_says_nothing(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(TEXTS[kind])
    assert is_experiment_file(path)
    for experiment in nb.read_experiments(path):
        assert experiment.detector.panels
        assert experiment.beam.wavelength_angstrom == pytest.approx(1.25, rel=1e-9)


@QUIET
@for_each("kind", TEXTS)
def test_every_beginning_of_a_file_is_refused_or_read(kind: str, tmp_path: Path) -> None:
    """Wherever it is cut: one clear line, or the geometry where it is complete."""
    path = tmp_path / "file"
    data = TEXTS[kind]
    for end in range(0, len(data), max(1, len(data) // 97)):
        path.write_bytes(data[:end])
        try:
            nb.read_experiments(path)
        except nb.FileFormatError as error:
            text = str(error)
            if not text.startswith(f"{path}:") or "\n" in text:
                pytest.fail(f"{end} bytes: {text}")


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    (tmp_path / "some.expt").write_bytes(EXPT)
    (tmp_path / "other.expt").write_bytes(b"\xef\xbb\xbf" + EXPT)
    expected = nb.read_experiment(tmp_path / "some.expt")
    assert nb.read_experiment(tmp_path / "other.expt") == expected


def test_an_experiment_of_this_package(tmp_path: Path) -> None:
    experiment = nb.Experiment(crystal=nb.Crystal(cell_angstrom=(50, 60, 70)))
    experiment.save(tmp_path / "own")
    assert nb.read_experiment(tmp_path / "own") == experiment
    assert nb.read_experiment(tmp_path / "own", image=1) == experiment
    with pytest.raises(nb.ConfigError, match="image: got 2, need 1, the only image"):
        nb.read_experiment(tmp_path / "own", image=2)


@for_each(
    "data, message",
    [
        (b"0 0 1 5\n0 0 2 6\n", "is text of h k l F, need a DIALS experiment list, XDS.INP, "),
        (b"", "is of no kind that is known, need a DIALS experiment list"),
        (b"MTZ " + bytes(80), "is an MTZ file, need a DIALS experiment list"),
        (b'{"a": 1}', "is JSON, but neither a DIALS experiment list nor 'nanobragg-hybrid exper"),
        (b'{"a": ', "no JSON: "),
    ],
)
def test_other_files_are_refused(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert is_experiment_file(path) is data.startswith(b'{"a"')
    with pytest.raises(nb.FileFormatError) as caught:
        nb.read_experiment(path)
    assert message in str(caught.value)


def test_like_gives_what_the_file_does_not_say(tmp_path: Path) -> None:
    like = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=3.0, fluence_photons_per_m2=1e20, divergence_h_mrad=0.1),
        crystal=nb.Crystal(
            cell_angstrom=(9, 9, 9), misset_deg=(1, 2, 3), n_cells=(5, 6, 7), shape="gauss"
        ),
        goniometer=nb.Goniometer(phi_deg=3.0, phi_steps=4),
        detector=nb.Detector(n_fast=7, n_slow=5, point_pixel=True),
        sampling=nb.Sampling(oversample=2),
    )
    path = tmp_path / "some.expt"
    path.write_bytes(EXPT)
    read = nb.read_experiment(path, like=like)
    plain = nb.read_experiment(path)
    assert read.beam.wavelength_angstrom == 1.25
    assert read.beam.fluence_photons_per_m2 == 1e20
    assert read.beam.divergence_h_mrad == 0.1
    assert read.crystal.n_cells == (5, 6, 7)
    assert read.crystal.shape == "gauss"
    assert read.crystal.orientation_matrix == plain.crystal.orientation_matrix
    assert read.crystal.cell_angstrom is None
    assert read.crystal.misset_deg == (0.0, 0.0, 0.0)
    assert (read.goniometer.phi_deg, read.goniometer.phi_steps) == (10.0, 4)
    assert read.detector.panels == plain.detector.panels
    assert read.detector.point_pixel
    assert read.sampling == like.sampling
    still = nb.read_experiment(path, like=like.replace({"sampling.roi": None}))
    assert still == read


def test_like_that_turns_where_the_file_is_of_a_still(tmp_path: Path) -> None:
    data = expt()
    del data["experiment"][0]["scan"]
    (tmp_path / "still.expt").write_text(json.dumps(data))
    like = nb.Experiment(goniometer=nb.Goniometer(osc_deg=1.0))
    with pytest.warns(nb.NanobraggWarning, match="is a still: the rotation in goniometer is left"):
        read = nb.read_experiment(tmp_path / "still.expt", like=like)
    assert read.goniometer == nb.Goniometer()
    assert nb.read_experiment(tmp_path / "still.expt").goniometer == nb.Goniometer()


def test_like_with_sources(tmp_path: Path) -> None:
    (tmp_path / "some.expt").write_bytes(EXPT)
    like = nb.Experiment(beam=nb.Beam(sources=(nb.Source((-10.0, 0.0, 0.0)),)))
    with pytest.warns(nb.NanobraggWarning, match=r"beam.sources are kept"):
        assert nb.read_experiment(tmp_path / "some.expt", like=like).beam.sources is not None


@pytest.mark.filterwarnings("ignore:.*groups of panels")
def test_a_second_file_for_the_crystal_leaves_the_rotation_alone(tmp_path: Path) -> None:
    nb.write_matrix(tmp_path / "A.mat", (0.02, 0, 0, 0, 0.02, 0, 0, 0, 0.02))
    (tmp_path / "two.geom").write_bytes(GEOM)
    turning = nb.Experiment(goniometer=nb.Goniometer(phi_deg=3.0, osc_deg=1.0))
    read = nb.read_experiment(tmp_path / "two.geom", crystal=tmp_path / "A.mat", like=turning)
    assert read.goniometer == turning.goniometer
    turning.save(tmp_path / "own")
    read = nb.read_experiment(tmp_path / "own", crystal=tmp_path / "A.mat")
    assert read.goniometer == turning.goniometer
    assert read.crystal.orientation_matrix == (0.02, 0, 0, 0, 0.02, 0, 0, 0, 0.02)


def test_like_with_a_region_of_the_whole_detector(tmp_path: Path) -> None:
    (tmp_path / "some.expt").write_bytes(EXPT)
    like = nb.Experiment(sampling=nb.Sampling(roi=(0, 1, 0, 1)))
    with pytest.warns(nb.NanobraggWarning, match=r"sampling.roi is left out"):
        assert nb.read_experiment(tmp_path / "some.expt", like=like).sampling.roi is None


@pytest.mark.filterwarnings("ignore:.*groups of panels")
def test_like_keeps_a_crystal_and_a_rotation_that_a_geometry_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "two.geom").write_bytes(GEOM)
    like = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(9, 9, 9)), goniometer=nb.Goniometer(phi_deg=3.0)
    )
    read = nb.read_experiment(tmp_path / "two.geom", like=like)
    assert read.crystal == like.crystal
    assert read.goniometer == like.goniometer


def test_a_matrix_of_mosflm_beside_an_image(tmp_path: Path) -> None:
    """Nine numbers are reciprocal axes times the wavelength, in the simulator's frame."""
    matrix = np.array([[0.02, 0.001, 0.0], [-0.002, 0.025, 0.003], [0.0, 0.004, 0.03]])
    nb.write_matrix(tmp_path / "A.mat", matrix.ravel().tolist())
    (tmp_path / "image").write_bytes(SMV)
    with pytest.warns(nb.NanobraggWarning, match="BEAM_CENTER_X"):
        read = nb.read_experiment(tmp_path / "image", crystal=tmp_path / "A.mat")
    assert np.allclose(read.crystal.orientation_matrix, matrix.ravel(), rtol=1e-15)
    found = reciprocal_at(plan_of(read), 0.0, "mosflm")
    assert np.allclose(found, matrix / 1.25, rtol=1e-13)


@pytest.mark.filterwarnings("ignore:.*the scan has 4 images")
def test_the_crystal_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "XDS.INP").write_bytes(XDS_INP.replace(b"UNIT_CELL", b"UNIT_SELL"))
    (tmp_path / "some.expt").write_bytes(EXPT)
    without = nb.read_experiment(tmp_path / "XDS.INP")
    assert without.crystal.orientation_matrix is None
    read = nb.read_experiment(tmp_path / "XDS.INP", crystal=tmp_path / "some.expt")
    expected = nb.read_experiment(tmp_path / "some.expt")
    assert read.crystal == expected.crystal
    assert read.detector == without.detector
    (tmp_path / "no.expt").write_text(json.dumps(expt(crystal=[None])))
    with pytest.raises(nb.FileFormatError, match=r"no.expt: need a file with one crystal"):
        nb.read_experiment(tmp_path / "some.expt", crystal=tmp_path / "no.expt")


def test_a_matrix_needs_a_wavelength(tmp_path: Path) -> None:
    nb.write_matrix(tmp_path / "A.mat", (0.02, 0, 0, 0, 0.02, 0, 0, 0, 0.02))
    geometry = GEOM.replace(b"photon_energy = 9918.735874656016 eV", b"")
    (tmp_path / "two.geom").write_bytes(geometry)
    with pytest.raises(nb.FileFormatError, match="has no wavelength for the crystal's matrix"):
        nb.read_experiment(tmp_path / "two.geom", crystal=tmp_path / "A.mat")


def test_warnings_point_at_the_caller(tmp_path: Path) -> None:
    (tmp_path / "two.stream").write_bytes(STREAM)
    (tmp_path / "mini").write_bytes(MINICBF)
    for call in (
        lambda: nb.read_experiments(tmp_path / "two.stream"),
        lambda: nb.read_stream(tmp_path / "two.stream"),
        lambda: nb.read_experiment(tmp_path / "mini"),
    ):
        with pytest.warns(nb.NanobraggWarning) as caught:
            call()
        assert {warning.filename for warning in caught} == {__file__}


def skew_by(angle_deg: float) -> tuple[float, float, float]:
    """What stands across -y, turned by an angle in the plane of x and y; DIALS' frame."""
    return math.sin(math.radians(angle_deg)), -math.cos(math.radians(angle_deg)), 0.0


@for_each("angle_deg, is_said", [(0.0, False), (0.0009, False), (0.0011, True), (0.004, True)])
def test_axes_that_are_not_quite_perpendicular(
    angle_deg: float, is_said: bool, tmp_path: Path
) -> None:
    """They are rendered as they are, with a word of warning from a thousandth of a degree on."""
    made = nb.Experiment(detector=nb.Detector(n_fast=30, n_slow=20, pixel_size_mm=0.1))
    path = tmp_path / f"{angle_deg}.expt"
    nb.write_experiment(path, made)
    data = json.loads(path.read_text())
    (panel,) = data["detector"][0]["panels"]
    panel["fast_axis"], panel["slow_axis"] = [1.0, 0.0, 0.0], list(skew_by(angle_deg))
    path.write_text(json.dumps(data))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = nb.read_experiment(path)
    (own,) = found.detector.panels or ()
    np.testing.assert_allclose(
        np.degrees(np.arcsin(np.dot(own.fast_axis, own.slow_axis))), angle_deg, atol=1e-12
    )
    skew = [str(each.message) for each in said if "from perpendicular" in str(each.message)]
    need = f"{path}: the fast and slow axes are up to {angle_deg:.2g} degrees from perpendicular"
    assert [text.startswith(need) for text in skew] == [True] * is_said


@for_each("slow", [(1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (1.0, 1e-9, 0.0), skew_by(0.006)])
def test_parallel_and_skew_axes_are_errors(
    slow: tuple[float, float, float], tmp_path: Path
) -> None:
    made = nb.Experiment(detector=nb.Detector(n_fast=30, n_slow=20, pixel_size_mm=0.1))
    path = tmp_path / "some.expt"
    nb.write_experiment(path, made)
    data = json.loads(path.read_text())
    (panel,) = data["detector"][0]["panels"]
    panel["fast_axis"], panel["slow_axis"] = [1.0, 0.0, 0.0], list(slow)
    path.write_text(json.dumps(data))
    with pytest.raises(
        nb.FileFormatError, match=r"slow_axis: .* need a direction perpendicular to"
    ):
        nb.read_experiment(path)
