"""C-PARITY-040 impossible_cell, 042 cell_beside_matrix, and what is said of matrices."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from pictures import CONSTANT, STILL, assert_differs, off, picture
from recorded import run_in_process

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.cffi_view import load

ENGINES = ("c", "torch")
CELL = (40.0, 50.0, 60.0)
UPRIGHT = STILL.replace({"crystal.misset_deg": (0, 0, 0)})
MATRIX = (1 / 40, 0.0, 0.0, 0.0, 1 / 50, 0.0, 0.0, 0.0, 1 / 60)
OFF = off("impossible_cell")

IMPOSSIBLE = [
    (60, 60, 150),
    (120, 120, 130),
    (10, 20, 170),
    (60, 60, 120),
    (120, 120, 120),
    (90, 1, 91),
    (30, 30, 60 - 1e-13),
]
POSSIBLE = [(60, 60, 119.99), (119.99, 120, 120), (1, 1, 1), (90, 90, 179.9), (1, 1, 1.999)]
RECORDED = {
    "60 60 150": "86e3f1df801193452859d67d53c9d5f3",
    "120 120 130": "37f1daaea204a8a75b1d4a2ab5b66a13",
    "60 60 120": "c563cc982ad575f9dcc4574acdaaf704",
}
"""Begin of the sha256 of nanoBragg's float images."""


def plan(changes: dict[str, Any], quirks: nb.Quirks | None = None, engine: str = "c") -> Any:
    """The plan of a small still with changes."""
    experiment = UPRIGHT.replace(changes)
    return nb.prepare(experiment, CONSTANT, backend=engine, quirks=quirks).plan


def refusal(changes: dict[str, Any], quirks: nb.Quirks | None, field: str) -> str:
    """The error of both engines, which is about the field."""
    said = set()
    for engine in ENGINES:
        with pytest.raises(nb.ConfigError) as caught:
            plan(changes, quirks, engine)
        assert caught.value.field == field
        said.add(str(caught.value))
    assert len(said) == 1, said
    return said.pop()


def warnings_of(folder: Path) -> list[str]:
    """Those that the command wrote with --json facts.json."""
    said: list[str] = json.loads((folder / "facts.json").read_text())["warnings"]
    return said


# --- 040: cells that cannot be


@for_each("angles", IMPOSSIBLE)
def test_refused_are_the_cells_without_a_volume(angles: tuple[float, float, float]) -> None:
    """Every engine refuses them off; on, every engine warns."""
    a, b, c = np.cos(np.radians(angles))
    assert 1.0 - a * a - b * b - c * c + 2.0 * a * b * c < 1e-12
    changes = {"crystal.cell_deg": angles}
    assert "each is less than the sum of the other two" in refusal(changes, OFF, "crystal.cell_deg")
    for engine in ENGINES:
        assert "impossible_cell" in plan(changes, engine=engine).warnings


@for_each("angles", POSSIBLE)
def test_thin_cells_are_cells(angles: tuple[float, float, float]) -> None:
    a, b, c = np.cos(np.radians(angles))
    for engine in ENGINES:
        for quirks in (None, off("impossible_cell", "triclinic_cell")):
            made = plan({"crystal.cell_deg": angles}, quirks, engine)
            assert "impossible_cell" not in made.warnings
        volume = math.prod(CELL) * math.sqrt(1.0 - a * a - b * b - c * c + 2.0 * a * b * c)
        assert made.cell_volume_angstrom3 == pytest.approx(volume, rel=1e-3)


def test_random_angles_against_the_metric() -> None:
    """Refused exactly where the determinant of the cosines is not positive."""
    random = np.random.default_rng(5)
    refused = 0
    for angles in random.uniform(1.0, 179.0, (60, 3)):
        a, b, c = np.cos(np.radians(angles))
        is_possible = 1.0 - a * a - b * b - c * c + 2.0 * a * b * c > 0.0
        fits = angles.sum() < 360.0 and 2.0 * angles.max() < angles.sum()
        assert is_possible == fits
        changes = {"crystal.cell_deg": tuple(angles)}
        assert ("impossible_cell" in plan(changes).warnings) != is_possible
        refused += not is_possible
    assert 10 < refused < 50


@for_each("angles, begin", RECORDED.items())
def test_recorded_bytes(angles: str, begin: str, tmp_path: Path) -> None:
    """nanoBragg's, with exit status 0 and a warning."""
    args = f"-cell 79 79 38 {angles} -default_F 100 -N 5 -detpixels 48 -pixel 0.8 -distance 100"
    run = run_in_process(tmp_path, [*args.split(), "-oversample", "1", "--json", "facts.json"])
    assert run.exit == 0
    assert run.sha256("floatimage.bin").startswith(begin)
    assert any("there is no such cell" in text for text in warnings_of(tmp_path))


def test_every_door(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Python and JSON take the cell; the command, strict or corrected, refuses it."""
    experiment = UPRIGHT.replace({"crystal.cell_deg": (60, 60, 150)})
    experiment.save(tmp_path / "e.json")
    read = nb.Experiment.load(tmp_path / "e.json")
    assert read == experiment
    with pytest.raises(nb.ConfigError, match=r"^crystal\.cell_deg: got"):
        picture(read, OFF)
    result = nb.simulate(read, CONSTANT, threads=1)
    assert sum("there is no such cell" in text for text in result.warnings) == 1
    words = "-cell 40 50 60 60 60 150 -default_F 100 -detpixels 8 -oversample 1".split()
    folder = tmp_path / "run"
    folder.mkdir()
    for option in (["--strict"], ["--quirks", "nanobragg,-impossible_cell"]):
        assert run_in_process(folder, [*words, *option]).exit == 9
        assert "cell" in capsys.readouterr().err
        assert list(folder.iterdir()) == []
    words[6] = "110"
    assert run_in_process(folder, [*words, "--strict"]).exit == 0


def test_the_c_interface() -> None:
    """Which takes angles of half a turn and more, and a missing one for a right angle."""
    ffi, lib = load()
    for angles, is_odd in (
        ((60, 60, 150), True),
        ((90, 180, 90), True),
        ((90, 200, 90), True),
        ((90, 0, 90), False),
    ):
        for quirks in (nb.Quirks().bits, OFF.bits):
            experiment = ffi.new("nbh_experiment *")
            lib.nbh_experiment_init(experiment)
            experiment.quirks = quirks
            experiment.detector.n_fast = experiment.detector.n_slow = 4
            experiment.crystal.cell_length_angstrom = CELL
            experiment.crystal.cell_angle_rad = [math.radians(angle) for angle in angles]
            plan, error = ffi.new("nbh_plan **"), ffi.new("nbh_error *")
            status = lib.nbh_plan_create(experiment, ffi.NULL, plan, error)
            if is_odd and quirks == OFF.bits:
                assert status == lib.NBH_INVALID
                assert ffi.string(error.field) == b"crystal.cell_angle_rad"
                continue
            assert status == lib.NBH_OK
            found = ffi.new("nbh_plan_info *")
            lib.nbh_plan_get_info(plan[0], found, error)
            lib.nbh_plan_destroy(plan[0])
            assert bool(found.warnings & lib.NBH_WARN_IMPOSSIBLE_CELL) == is_odd


def test_lengths_and_wavelengths_beyond_all_bounds() -> None:
    for length in (1e-300, 0.9e-50, 1.1e50, 1e300):
        for cell in ((length,) * 3, (length, 50, 60), (40, 50, length)):
            for quirks in (None, nb.Quirks.none()):
                said = refusal({"crystal.cell_angstrom": cell}, quirks, "crystal.cell_angstrom")
                assert said.endswith("need lengths from 1e-50 to 1e+50 angstrom")
    for wavelength in (1e-300, 0.9e-90, 1.1e110):
        changes = {"beam.wavelength_angstrom": wavelength}
        said = refusal(changes, None, "beam.wavelength_angstrom")
        assert said.endswith("need a wavelength from 1e-100 to 1e+100 m")
    for engine in ENGINES:
        assert plan({"crystal.cell_angstrom": (1e-49, 1e-49, 1e-49)}, engine=engine)
        assert plan({"beam.wavelength_angstrom": 1e-80}, engine=engine)


def test_angles_that_look_like_radians() -> None:
    for engine in ENGINES:
        for angles, is_odd in (
            ((1.571, 1.571, 1.571), True),
            ((1.6, 1.7, 3.14), True),
            ((1.571, 1.571, 3.16), False),
            ((90, 90, 90), False),
        ):
            made = plan({"crystal.cell_deg": angles}, engine=engine)
            assert ("angles_in_radians" in made.warnings) == is_odd, (engine, angles)


# --- matrices


def test_a_matrix_in_a_plane() -> None:
    """It is never taken, also where only rounding keeps it from that."""
    flat = (1 / 40, 1 / 40, 0.0, 0.0, 1e-17, 0.0, 0.0, 0.0, 1 / 60)
    changes = {"crystal.cell_angstrom": None, "crystal.orientation_matrix": flat}
    with pytest.raises(nb.ConfigError, match="do not lie in a plane"):
        UPRIGHT.replace(changes)
    for engine in ENGINES:
        thin = {**changes, "crystal.orientation_matrix": (*flat[:4], 1e-6, *flat[5:])}
        for quirks in (None, OFF):
            assert "impossible_cell" not in plan(thin, quirks, engine).warnings
    with pytest.raises(nb.ConfigError, match="do not lie in a plane"):
        UPRIGHT.replace({"crystal.orientation_matrix": (1, 1, 0, 0, 0, 0, 0, 0, 1)})


def test_a_left_handed_matrix() -> None:
    left = tuple(-x for x in MATRIX)
    for engine in ENGINES:
        for cell in (None, CELL):
            for matrix, is_left in ((MATRIX, False), (left, True)):
                changes = {"crystal.cell_angstrom": cell, "crystal.orientation_matrix": matrix}
                made = plan(changes, engine=engine)
                assert ("left_handed_matrix" in made.warnings) == is_left


def test_a_matrix_of_another_wavelength() -> None:
    """Its axes are all too long by one factor, or are those of no crystal."""
    for engine in ENGINES:
        for wavelength, cell, is_odd in (
            (1.0, CELL, False),
            (1.0, None, False),
            (1.0005, CELL, False),
            (1.002, CELL, True),
            (0.9768, CELL, True),
            (0.9768, None, False),
            (0.9768, (41.0, 50.0, 60.0), False),  # not one factor
            (1e-3, None, True),
            (300.0, None, True),
            (100.0, None, False),
        ):
            changes = {
                "crystal.cell_angstrom": cell,
                "crystal.orientation_matrix": MATRIX,
                "beam.wavelength_angstrom": wavelength,
            }
            made = plan(changes, engine=engine)
            assert ("matrix_scale" in made.warnings) == is_odd, (engine, wavelength, cell)


def test_mat_without_lambda(tmp_path: Path) -> None:
    """The command takes the default 1 angstrom for a matrix of 1.5."""
    (tmp_path / "a.mat").write_text("0.0375 0 0\n0 0.03 0\n0 0 0.025\n")
    words = "-mat a.mat -cell 40 50 60 90 90 90 -default_F 9 -detpixels 8 -oversample 1".split()
    for wavelength, is_odd in ((["-lambda", "1.5"], False), ([], True)):
        run = run_in_process(tmp_path, [*words, *wavelength, "--json", "facts.json"])
        assert run.exit == 0
        said = warnings_of(tmp_path)
        assert any("does not fit the wavelength" in text for text in said) == is_odd
        assert any("the cell is not that of the" in text for text in said) == is_odd


# --- 042: a cell beside a matrix


def test_the_matrix_alone() -> None:
    alone = UPRIGHT.replace({"crystal.cell_angstrom": None, "crystal.orientation_matrix": MATRIX})
    both = alone.replace({"crystal.cell_angstrom": (40.3, 50.2, 60.0)})
    for engine in ENGINES:
        need = picture(alone, backend=engine)
        got = picture(both, off("cell_beside_matrix"), backend=engine)
        assert got.tobytes() == need.tobytes()
        assert_differs(picture(both, backend=engine), need, 0.01)


@for_each(
    "cell, angles, is_same, field",
    [
        ((40.0, 50.0, 60.0), (90.0, 90.0, 90.0), True, ""),
        ((40.003, 50.0, 60.0), (90.0, 90.009, 90.0), True, ""),
        ((40.005, 50.0, 60.0), (90.0, 90.0, 90.0), False, ""),
        ((40.0, 50.0, 60.0), (90.0, 90.02, 90.0), False, ""),
        ((40.39, 50.49, 60.59), (90.0, 90.0, 90.0), False, ""),
        ((40.0, 50.0, 60.0), (90.9, 90.0, 89.1), False, ""),
        ((40.41, 50.0, 60.0), (90.0, 90.0, 90.0), False, "crystal.cell_angstrom"),
        ((40.0, 50.0, 59.3), (90.0, 90.0, 92.0), False, "crystal.cell_angstrom"),
        ((40.0, 50.0, 60.0), (90.0, 90.0, 91.1), False, "crystal.cell_deg"),
    ],
)
def test_a_cell_beside_a_matrix_is_its_own_or_an_error(
    cell: tuple[float, ...], angles: tuple[float, ...], is_same: bool, field: str
) -> None:
    changes = {
        "crystal.cell_angstrom": cell,
        "crystal.cell_deg": angles,
        "crystal.orientation_matrix": MATRIX,
    }
    corrected = off("cell_beside_matrix")
    if field:
        said = refusal(changes, corrected, field)
        assert "the cell of crystal.orientation_matrix, 40 50 60 A and 90 90 90 degrees" in said
    for engine in ENGINES:
        assert ("cell_beside_matrix" not in plan(changes, engine=engine).warnings) == is_same
        if not field:
            made = plan(changes, corrected, engine)
            assert made.cell_length_angstrom == pytest.approx((40.0, 50.0, 60.0), rel=1e-12)
            assert "cell_beside_matrix" not in made.warnings
