"""Reflections and atomic models on the command line: `structure-factors`, and `-hkl`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from crystals import gemmi
from for_each import for_each
from reflection_files import AMPLITUDES, HKL, PDB, mtz

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.nanobragg.main import main as nanobragg
from nanobragg_hybrid.cli.umbrella.main import main

HELIX = nb.data_path("helix.pdb")
SETUP = "-lambda 0.9795 -distance 30 -detpixels 32 -pixel 1 -N 5 -seed 1 -noprogress".split()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pdb").write_bytes(PDB)
    (tmp_path / "a.mtz").write_bytes(mtz())
    return tmp_path


# nanobragg-hybrid structure-factors


@for_each(
    "name, read",
    [
        ("o.hkl", nb.read_hkl),
        ("o.txt", nb.read_hkl),
        ("o.bin", nb.read_dump),
        ("o.dump", nb.read_dump),
    ],
)
def test_a_model_becomes_a_table_of_p1(
    name: str, read: object, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"structure-factors a.pdb --d-min 3 --wavelength 0.9795 --k-sol 0 --f000 5 -o {name}"
    assert main(words.split()) == 0
    made = nb.structure_factors_from_model(
        "a.pdb",
        d_min_angstrom=3.0,
        wavelength_angstrom=0.9795,
        k_sol_electrons_per_angstrom3=0.0,
        f000=5.0,
    )
    assert read(folder / name) == made
    said = capsys.readouterr()
    assert said.err == ""
    for line in made.report.lines():
        assert line in said.out.splitlines()
    assert f"written         {name}" in said.out
    assert "space group     P 21 21 21" in said.out
    assert "Friedel mates   apart" in said.out
    assert "(100.0 %) from 8.45" not in said.out


def test_an_mtz_file_is_written_from_a_model_and_read_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("structure-factors a.pdb --d-min 3 --wavelength 0.9795 -o o.mtz".split()) == 0
    assert main("structure-factors o.mtz --no-anomalous -o o.hkl".split()) == 0
    assert capsys.readouterr().err == ""
    pairs = nb.read_structure_factors("o.mtz")
    mean = (pairs.grid + pairs.grid[::-1, ::-1, ::-1]) / 2.0
    np.testing.assert_allclose(nb.read_hkl("o.hkl").grid, mean, rtol=1e-12)


def test_every_option_of_reflections(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = {
        "F1": ("F", AMPLITUDES),
        "I1": ("J", -AMPLITUDES),
        "I(+)": ("K", AMPLITUDES**2),
        "I(-)": ("K", 4 * AMPLITUDES**2),
    }
    (folder / "b.mtz").write_bytes(mtz(columns))
    options = {
        "--column I(+),I(-) --anomalous": {"column": ("I(+)", "I(-)"), "anomalous": True},
        "--column I1 --negative-intensities missing": {
            "column": "I1",
            "negative_intensities": "missing",
        },
        "--d-min 5.5 --d-max 9 --default-f 3": {
            "d_min_angstrom": 5.5,
            "d_max_angstrom": 9.0,
            "default_f": 3.0,
        },
        "--quantity amplitude --space-group 18": {"quantity": "amplitude", "space_group": 18},
        "--missing shell_mean": {"missing": "shell_mean"},
    }
    for words, given in options.items():
        missing = [] if "missing s" in words else ["--missing", "zero"]
        status = main(["structure-factors", "b.mtz", *words.split(), *missing, "-o", "o.hkl"])
        if given.get("negative_intensities") == "missing":  # every one of them
            assert status == 1
            assert "need at least one amplitude" in capsys.readouterr().err
            continue
        assert status == 0
        table = nb.read_structure_factors("b.mtz", **{"missing": "zero", **given})
        assert nb.read_hkl("o.hkl", default_f=table.default_f) == table


def test_missing_reflections_are_a_warning_unless_chosen(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("structure-factors a.mtz".split()) == 0
    said = capsys.readouterr()
    assert said.err.startswith("nanobragg-hybrid: warning: a.mtz: 3 of 9 unique reflections are ")
    assert "assumed: 3 of 9 unique reflections are missing: they are default_f, 0" in said.out
    assert main("structure-factors a.mtz --missing zero".split()) == 0
    assert capsys.readouterr().err == ""


@for_each(
    "words, message",
    [
        (
            "a.mtz -o o.foo",
            "--out: got 'o.foo', need a name that ends in .hkl .txt .bin .dump .mtz",
        ),
        ("a.mtz -o a.mtz", "a.mtz: named for the structure factors, but it is a file that is read"),
        ("a.mtz -o no/o.hkl", "no/o.hkl: No such file or directory"),
        ("none.mtz", "none.mtz: No such file or directory"),
        (
            "a.pdb",
            "d_min_angstrom: got None, need a finite value > 0: a model has amplitudes at any",
        ),
        ("a.mtz --wavelength 1", "wavelength_angstrom: got 1.0, need None: it belongs to atomic"),
        ("a.mtz --column FQ", "column: got 'FQ', need one of the columns of a.mtz: H K L FP SIGFP"),
    ],
)
def test_what_is_refused(
    words: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["structure-factors", *words.split()]) == 1
    error = capsys.readouterr().err
    assert error.startswith("nanobragg-hybrid: error: ")
    assert message in error
    assert {path.name for path in folder.iterdir()} == {"a.pdb", "a.mtz"}


# nanoBragg -hkl


@for_each("quirks", ["nanobragg", "none"])
def test_hkl_may_be_a_model(quirks: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The image is that of the table, in the file's cell; the dump is written as ever."""
    words = [*SETUP, "--quirks", quirks]
    assert nanobragg(["-hkl", str(HELIX), *words, "--json", "run.json"]) == 0
    said = capsys.readouterr()
    assert said.err == (
        f"nanoBragg: warning: {HELIX}: there is no -cell and no -mat, so the cell comes from this "
        "file\n"
    )
    assert (
        f"{HELIX}: an atomic model (PDB), calculated from 106 atoms, space group P 43 21 2, "
        in said.out
    )
    assert "assumed: f' and f'' at 0.9795 angstrom (Cromer-Liberman): " in said.out
    assert "assumed: flat bulk solvent in " in said.out
    image = (folder / "floatimage.bin").read_bytes()
    table = nb.read_dump(folder / "Fdump.bin", quirks=nb.Quirks.none())
    # the table goes beyond the corner of the detector: 30 mm away, 16 mm to each side
    angle = np.arctan(np.hypot(16.5, 16.5) / 30.0)
    corner = 0.9795 / (2.0 * np.sin(angle / 2.0))
    cell = gemmi.UnitCell(42, 42, 38, 90, 90, 90)
    assert cell.calculate_d([table.hkl_max[0] + 1, 0, 0]) < corner
    made = nb.structure_factors_from_model(
        HELIX, d_min_angstrom=0.97 * corner, wavelength_angstrom=0.9795
    )
    nb.write_hkl("P1.hkl", made)
    cell_words = "-cell 42 42 38 90 90 90".split()
    assert nanobragg(["-hkl", "P1.hkl", *cell_words, *words]) == 0
    assert (folder / "floatimage.bin").read_bytes() == image
    assert json.loads((folder / "run.json").read_text())["facts"]["hkls"] > 0


def test_dmin_is_the_range_of_a_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nanobragg(["-hkl", "a.pdb", "-dmin", "4", *SETUP]) == 0
    assert " to 4 angstrom" in capsys.readouterr().out
    made = nb.structure_factors_from_model("a.pdb", d_min_angstrom=4, wavelength_angstrom=0.9795)
    assert nb.read_dump("Fdump.bin", quirks=nb.Quirks.none()) == made


@for_each(
    "words, what", [("-curved_det x", "a curved detector"), ("-sourcefile s", "a source file")]
)
def test_where_no_corner_says_the_range(
    words: str, what: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "s").write_text("-10 0 0 1 9.795e-11\n")
    assert nanobragg(["-hkl", "a.pdb", *words.split(), *SETUP]) == 9
    assert f"a.pdb: is an atomic model, which with {what} needs -dmin" in capsys.readouterr().err
    assert nanobragg(["-hkl", "a.pdb", "-dmin", "4", *words.split(), *SETUP]) == 0
    capsys.readouterr()


def test_hkl_may_be_an_mtz_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell = "-cell 10 11 12 90 90 90".split()
    assert nanobragg(["-hkl", "a.mtz", "-default_F", "2", *cell, *SETUP]) == 0
    said = capsys.readouterr()
    assert (
        "a.mtz: an MTZ file, FP, space group P 21 21 21, cell 10 11 12 90 90 90, 6 of 9" in said.out
    )
    assert "3 of 9 unique reflections are missing: they are default_f, 2 (" in said.err
    made = nb.read_dump("Fdump.bin", default_f=2.0, quirks=nb.Quirks.none())
    assert made == nb.read_structure_factors("a.mtz", default_f=2.0, missing="default")
    assert [float(made.grid[tuple(row)]) for row in HKL - made.hkl_min] == AMPLITUDES.tolist()
    assert nanobragg(["-hkl", "a.mtz", "--strict", *cell, *SETUP]) == 9
    assert "unique reflections are missing" in capsys.readouterr().err


@for_each(
    "words, doubt",
    [
        ("-cell 10 11 12 90 90 90", None),
        ("-cell 10.05 11 12 90 90 90.5", None),
        ("-cell 10.2 11 12 90 90 90", "that of -cell is 10.2 11 12 90 90 90"),
        ("-cell 10 11 12 90 90 92", "that of -cell is 10 11 12 90 90 92"),
        ("-mat good", None),
        ("-mat bad", "that of -mat is 10 12 11 90 90 90"),
    ],
)
def test_a_cell_that_is_not_the_file_s(
    words: str, doubt: str | None, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scale = 0.9795
    for name, numbers in (("good", (10, 11, 12)), ("bad", (10, 12, 11))):
        matrix = scale * np.diag(1.0 / np.array(numbers))
        turned = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]) @ matrix
        (folder / name).write_text("\n".join(" ".join(map(str, row)) for row in turned.tolist()))
    assert nanobragg(["-hkl", "a.pdb", "-dmin", "4", *words.split(), *SETUP]) == 0
    said = capsys.readouterr().err
    if doubt is None:
        assert "its cell is" not in said
    else:
        assert f"nanoBragg: warning: a.pdb: its cell is 10 11 12 90 90 90, but {doubt}\n" in said


def test_quirks_are_explained_with_a_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quirks", "--explain", "--", "-hkl", "a.pdb", "-dmin", "4", *SETUP]) == 0
    assert "photons, brightest" in capsys.readouterr().out


def test_text_without_a_crystal_is_a_question_of_usage(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nanobragg(["-hkl", "none.hkl", *SETUP]) == 9
    assert "there is no crystal: give -cell (a > 0) or -mat" in capsys.readouterr().err
