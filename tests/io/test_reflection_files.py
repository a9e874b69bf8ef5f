"""Reflections in MTZ and CIF: columns, Friedel mates, missing ones, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crystals import crystal, gemmi
from for_each import for_each
from reflection_files import (
    AMPLITUDES,
    HKL,
    MMCIF_REFLECTIONS,
    SMALL_CIF,
    SMALL_REFLECTIONS,
    mtz,
)

import nanobragg_hybrid as nb
from nanobragg_hybrid.formats.hkl import write_hkl

ONES = np.ones(len(HKL))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f"


def read(path: Path, data: bytes, **options: Any) -> nb.StructureFactors:
    path.write_bytes(data)
    return nb.read_structure_factors(path, **{"missing": "zero", **options})


def elements(made: nb.StructureFactors, hkl: Any) -> list[float]:
    places = np.array(hkl) - np.array(made.hkl_min)
    return [float(made.grid[tuple(row)]) for row in places]


def test_an_mtz_file(path: Path) -> None:
    made = read(path, mtz())
    assert elements(made, HKL) == AMPLITUDES.tolist()
    # equivalents of P 21 21 21 with Friedel mates
    assert elements(made, [[-1, 1, 1], [1, -1, -1], [-2, 0, 0], [0, -1, 1]]) == [40, 40, 50, 30]
    assert elements(made, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]) == [0, 0, 0]  # absent
    report = made.report
    assert report.columns == "FP"
    assert (report.kind, report.space_group) == ("an MTZ file", "P 21 21 21")
    assert (report.cell_angstrom, report.cell_deg) == ((10, 11, 12), (90, 90, 90))
    assert report.known == 6
    assert report.d_min_angstrom == pytest.approx(5.0)  # 2 0 0
    cell, group = gemmi.UnitCell(10, 11, 12, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
    assert report.possible == gemmi.count_reflections(cell, group, 4.9999)
    assert sum(shell.possible for shell in report.shells) == report.possible
    assert sum(shell.known for shell in report.shells) == 6
    assert f"{path}: an MTZ file, FP, space group P 21 21 21, cell 10 11 12" in report.summary


def test_reflections_in_cif(path: Path) -> None:
    expected = read(path, mtz())
    from_cif = read(path, MMCIF_REFLECTIONS)
    assert from_cif == expected
    assert from_cif.report.columns == "F_meas_au"
    small = read(path, SMALL_REFLECTIONS)
    assert small.report.columns == "root of F_squared_meas"
    assert elements(small, HKL) == pytest.approx(np.sqrt(AMPLITUDES))
    marked = MMCIF_REFLECTIONS.replace(b"1 1 1 40 1", b"1 1 1 40.0(5) 1").replace(b"50 1", b"? ?")
    marked = read(path, marked, d_min_angstrom=5.0)
    assert elements(marked, [[1, 1, 1], [2, 0, 0]]) == [40, 0]


COLUMNS: dict[str, tuple[str, Any]] = {
    "FP": ("F", AMPLITUDES),
    "FC": ("F", 2 * AMPLITUDES),
    "PHIC": ("P", 90 * ONES),
    "IMEAN": ("J", AMPLITUDES**2 * 9),
    "F(+)": ("G", 4 * AMPLITUDES),
    "F(-)": ("G", 6 * AMPLITUDES),
    "I(+)": ("K", AMPLITUDES**2 * 49),
    "I(-)": ("K", AMPLITUDES**2 * 81),
}


@for_each(
    "present, options, columns, factor",
    [
        ("FP IMEAN F(+) F(-)", {}, "FP", 1),
        ("FP FC", {"column": "FC"}, "FC", 2),
        ("FP IMEAN", {"quantity": "intensity"}, "root of IMEAN", 3),
        ("FP IMEAN", {"column": "IMEAN"}, "root of IMEAN", 3),
        ("F(+) F(-) IMEAN", {"anomalous": False}, "F(+), F(-)", 5),
        ("IMEAN I(+) I(-)", {}, "root of IMEAN", 3),
        ("PHIC I(+) I(-)", {"anomalous": False}, "root of I(+), I(-)", 8),
        ("FP FC I(+) I(-)", {"quantity": "intensity", "anomalous": False}, "root of I(+), I(-)", 8),
        ("FP FC F(+) F(-)", {"column": ("F(+)", "F(-)"), "anomalous": False}, "F(+), F(-)", 5),
    ],
)
def test_columns_that_are_chosen(
    present: str, options: dict[str, Any], columns: str, factor: float, path: Path
) -> None:
    made = read(path, mtz({name: COLUMNS[name] for name in present.split()}), **options)
    assert made.report.columns == columns
    assert elements(made, HKL) == pytest.approx(factor * AMPLITUDES, rel=1e-6)
    assert not made.unique.anomalous


@for_each(
    "present, options, factors",
    [
        ("F(+) F(-)", {}, (4, 6)),
        ("FP F(+) F(-)", {"anomalous": True}, (4, 6)),
        ("FP IMEAN I(+) I(-)", {"anomalous": True}, (7, 9)),
        ("F(+) F(-)", {"column": ("F(-)", "F(+)")}, (6, 4)),
        ("FP", {"anomalous": True}, (1, 1)),
    ],
)
def test_friedel_mates_apart(
    present: str, options: dict[str, Any], factors: tuple[int, int], path: Path
) -> None:
    made = read(path, mtz({name: COLUMNS[name] for name in present.split()}), **options)
    assert made.unique.anomalous
    plus, minus = factors
    # 1 1 1 alone is not centric in P 21 21 21; -1 -1 1 is its equivalent
    assert elements(made, [[1, 1, 1], [-1, -1, 1]]) == pytest.approx([40 * plus] * 2)
    assert elements(made, [[-1, -1, -1], [-1, 1, 1]]) == pytest.approx([40 * minus] * 2)
    assert elements(made, [[2, 0, 0], [-2, 0, 0]]) == pytest.approx([25 * (plus + minus)] * 2)


def test_a_mate_that_is_missing_has_the_other_s_amplitude(path: Path) -> None:
    minus = np.where(np.arange(6) == 3, np.nan, AMPLITUDES)
    made = read(path, mtz({"F(+)": ("G", AMPLITUDES), "F(-)": ("G", minus)}))
    assert elements(made, [[1, 1, 1], [-1, -1, -1]]) == [40, 40]
    text = "1 amplitudes are those of the Friedel mate, which alone is known"
    assert text in made.report.assumptions


@for_each("choice, expected", [("zero", 0.0), ("missing", -5.0), (None, 0.0)])
def test_negative_intensities(choice: Any, expected: float, path: Path) -> None:
    values = np.where(np.arange(6) == 1, -4.0, AMPLITUDES)
    made = read(
        path,
        mtz({"I": ("J", values)}),
        negative_intensities=choice,
        missing="default",
        default_f=-5.0,
    )
    assert elements(made, HKL[:3]) == pytest.approx([10**0.5, expected, 30**0.5])
    what = "are missing" if choice == "missing" else "count as 0"
    assert f"1 intensities below 0 {what}" in made.report.assumptions


def test_missing_reflections(path: Path) -> None:
    """Against the mean of the shell that the report shows."""
    structure = crystal("P 21 21 21", atoms=5)
    full = nb.structure_factors_from_model(
        structure, d_min_angstrom=1.3, k_sol_electrons_per_angstrom3=0.0
    )
    hkl = full.unique.hkl
    amplitudes = np.array(elements(full, hkl))
    kept = np.random.default_rng(1).random(len(hkl)) < 0.8
    data = mtz({"F": ("F", amplitudes[kept])}, hkl[kept], numbers=tuple(structure.cell.parameters))
    options = {"d_min_angstrom": 1.3, "default_f": 7.0}
    count = int((~kept).sum())
    text = f"{count} of {len(hkl)} unique reflections are missing: they are "
    for missing, value in (("zero", 0.0), ("default", 7.0)):
        made = read(path, data, missing=missing, **options)
        assert elements(made, hkl[kept]) == pytest.approx(amplitudes[kept], rel=1e-6)
        assert set(elements(made, hkl[~kept])) == {value}
        assert made.report.missing == count
        assert any(note.startswith(text) for note in made.report.assumptions)
    path.write_bytes(data)
    with pytest.warns(nb.NanobraggWarning) as caught:
        unchosen = nb.read_structure_factors(path, **options)
    assert unchosen == made
    assert str(caught[0].message) == (
        f"{path}: {text}default_f, 7 (missing='zero', 'default' or 'shell_mean' chooses)"
    )
    by_mean = read(path, data, missing="shell_mean", **options)
    assert len(by_mean.report.shells) > 3
    spacing = structure.cell.calculate_d_array(np.ascontiguousarray(hkl))
    for shell in by_mean.report.shells:
        inside = (spacing <= shell.d_max_angstrom * (1 + 1e-9)) & (
            spacing > shell.d_min_angstrom * (1 + 1e-9)
        )
        inside |= np.isclose(spacing, shell.d_max_angstrom) & (spacing == spacing.max())
        mean = amplitudes[inside & kept].mean()
        assert shell.known == (inside & kept).sum() or abs(shell.mean_f - mean) < 0.2 * mean
        filled = set(np.round(elements(by_mean, hkl[inside & ~kept]), 9))
        assert len(filled) <= 2  # one of them may lie on the edge
        assert np.round(shell.mean_f, 9) in filled


def test_range_f000_and_default_f(path: Path) -> None:
    made = read(path, mtz(), d_min_angstrom=5.5, d_max_angstrom=8.0, f000=77.0, default_f=3.0)
    cell = gemmi.UnitCell(10, 11, 12, 90, 90, 90)
    for row, amplitude in zip(HKL.tolist(), AMPLITUDES, strict=True):
        inside = 5.5 <= cell.calculate_d(row) <= 8.0
        if all(
            low <= n <= high for low, n, high in zip(made.hkl_min, row, made.hkl_max, strict=True)
        ):
            assert elements(made, [row]) == [amplitude if inside else 3.0]
        else:
            assert not inside
    assert elements(made, [[0, 0, 0], [1, 0, 0]]) == [77.0, 0.0]
    cut = [text for text in made.report.assumptions if "outside the range" in text]
    assert cut == [
        (
            f"{sum(not 5.5 <= cell.calculate_d(row) <= 8 for row in HKL.tolist())} listed "
            "amplitudes lie outside the range of resolution and are left out"
        )
    ]
    none = read(path, mtz(), default_f=3.0)
    assert elements(none, [[0, 0, 0]]) == [3.0]
    assert "F(000) is not known: it is default_f, 3" in none.report.assumptions


def test_equivalents_that_differ(path: Path) -> None:
    hkl = np.array([[1, 1, 1], [-1, -1, 1], [1, 0, 1]], np.int32)
    path.write_bytes(mtz({"F": ("F", np.array([10.0, 20.0, 5.0]))}, hkl))
    with pytest.warns(nb.NanobraggWarning, match="1 reflections are listed more than once, equiv"):
        made = nb.read_structure_factors(path, missing="zero")
    assert elements(made, [[1, 1, 1]]) == [15.0]
    alike = read(path, mtz({"F": ("F", np.array([10.0, 10.0, 5.0]))}, hkl))
    assert elements(alike, [[1, 1, 1]]) == [10.0]


def test_systematic_absences_with_an_amplitude(path: Path) -> None:
    hkl = np.array([[1, 0, 0], [1, 1, 1], [3, 0, 0]], np.int32)
    path.write_bytes(mtz({"F": ("F", np.array([10.0, 20.0, 0.0]))}, hkl))
    with pytest.warns(
        nb.NanobraggWarning, match="1 systematic absences of P 21 21 21 have an amplitude, 1 0 0"
    ):
        made = nb.read_structure_factors(path, missing="zero")
    assert elements(made, hkl) == [0.0, 20.0, 0.0]


@for_each("anomalous", [True, False])
def test_what_is_written_as_mtz_is_read_again(anomalous: bool, path: Path) -> None:
    made = nb.structure_factors_from_model(
        crystal("P 31 2 1"), d_min_angstrom=2.0, wavelength_angstrom=0.98 if anomalous else None
    )
    nb.write_mtz(path, made)
    again = nb.read_structure_factors(path)
    assert again.unique.anomalous is anomalous
    assert again.hkl_min == made.hkl_min
    np.testing.assert_allclose(again.grid, made.grid, rtol=1e-6, atol=1e-6 * made.grid.max())
    assert gemmi.read_mtz_file(str(path)).column_labels()[3:] == (
        ["F(+)", "F(-)"] if anomalous else ["F"]
    )


@for_each(
    "table",
    [
        nb.StructureFactors.constant(3.0),
        nb.StructureFactors.from_reflections([[1, 0, 0]], [2.0]),
        nb.StructureFactors.from_reflections([[1, 0, 0]], [2.0], space_group="P 1"),
    ],
)
def test_what_has_no_cell_is_not_written_as_mtz(table: nb.StructureFactors, path: Path) -> None:
    with pytest.raises(nb.ConfigError, match="need a table with space group and cell"):
        nb.write_mtz(path, table)
    assert not path.exists()


NO_GROUP = mtz().replace(b"SYMM ", b"OTHER").replace(b"P 21 21 21", b"Q 99 99 99")
TWO_BLOCKS = MMCIF_REFLECTIONS + MMCIF_REFLECTIONS.replace(b"r1abcsf", b"r1abcAsf")


@for_each(
    "data, options, message",
    [
        (
            mtz({"F": COLUMNS["FP"], "FC": COLUMNS["FC"]}),
            {},
            "has 2 columns that could be meant: F; FC",
        ),
        (mtz({"P": COLUMNS["PHIC"]}), {}, "has no column of the type amplitude or intensity, its"),
        (
            mtz(),
            {"quantity": "intensity"},
            "has no column of the type intensity, its columns are: H",
        ),
        (mtz(), {"column": "FQ"}, "column: got 'FQ', need one of the columns of "),
        (mtz(), {"column": "SIGFP"}, "column: got 'SIGFP', need a column of amplitudes"),
        (mtz(), {"column": ("FP", "SIGFP")}, "need a column of amplitudes or intensities: FP"),
        (mtz(), {"column": ""}, "column: got '', need a label, a pair of labels"),
        (mtz(), {"quantity": "F"}, "quantity: got 'F', need one of amplitude, intensity, or None"),
        (mtz(), {"negative_intensities": "x"}, "negative_intensities: got 'x', need one of zero"),
        (mtz(), {"missing": "mean"}, "missing: got 'mean', need one of zero, default, shell_mean"),
        (
            mtz(),
            {"d_min_angstrom": 8, "d_max_angstrom": 7},
            "d_max_angstrom: got 7.0 angstrom, need",
        ),
        (
            mtz(),
            {"d_min_angstrom": 100},
            "need at least one amplitude that is no systematic absence",
        ),
        (mtz(), {"block": "a"}, "block: got 'a', need None for an MTZ file"),
        (mtz(), {"wavelength_angstrom": 1}, "need None: it belongs to atomic models"),
        (mtz(), {"space_group": "P 41"}, "need a cell that space group P 41 can have"),
        (NO_GROUP, {}, "has no space group that is known: give one (space_group)"),
        (mtz(numbers=(1, 1, 1, 90, 90, 90)), {}, "has no unit cell"),
        (mtz()[:300], {}, "truncated: its header has no end (MTZENDOFHEADERS)"),
        (
            mtz({"F": ("F", AMPLITUDES), "M/ISYM": ("Y", ONES)}),
            {},
            "has unmerged reflections: merge",
        ),
        (mtz({"F": ("F", ONES * np.inf)}), {}, "F, reflection 1: got inf, need a finite value"),
        (mtz({"F": ("F", ONES * np.nan)}), {}, "need at least one amplitude"),
        (mtz({"F(+)": COLUMNS["F(+)"], "F(-)": COLUMNS["F(-)"]}), {"column": "F(+)"}, "need both"),
        (mtz(hkl=HKL * 999), {}, "is an index or the cell wrong?"),
        (mtz(hkl=HKL + np.array([200, 0, 0]), numbers=(90, 91, 92, 90, 90, 90)), {}, "6 in "),
        (mtz(hkl=HKL * 2**21), {}, "got 2097152 2097152 0 in "),
        (
            MMCIF_REFLECTIONS.replace(b"'P 21 21 21'", b"'Q 1'"),
            {},
            "has no space group that is known",
        ),
        (MMCIF_REFLECTIONS.replace(b"_cell.length_a 10", b""), {}, "has no unit cell"),
        (MMCIF_REFLECTIONS.replace(b"1 1 0 10 1", b"1 x 0 10 1"), {}, "not an integer: x"),
        (
            MMCIF_REFLECTIONS.replace(b"0 0 2 60 1", b"0 0 2 60"),
            {},
            "Wrong number of values in loop",
        ),
        (
            MMCIF_REFLECTIONS.replace(b"_refln.index_l", b"_refln.other"),
            {},
            "has no columns index_h",
        ),
        (TWO_BLOCKS, {}, "has 2 blocks of reflections: r1abcsf r1abcAsf: name one (block)"),
        (TWO_BLOCKS, {"block": "r1abcBsf"}, "block: got 'r1abcBsf', need a block with reflections"),
        (b"data_x\n_cell.length_a 10\n", {}, "has no reflections and no atoms"),
    ],
)
def test_what_is_refused(data: bytes, options: dict[str, Any], message: str, path: Path) -> None:
    with pytest.raises(nb.NanobraggError) as caught:
        read(path, data, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cif_with_reflections_and_atoms(path: Path) -> None:
    data = MMCIF_REFLECTIONS + b"#\n" + SMALL_CIF
    with pytest.raises(
        nb.FileFormatError, match=r"has reflections .* and atoms \(block small\): name"
    ):
        read(path, data)
    assert read(path, data, block="r1abcsf") == read(path, MMCIF_REFLECTIONS)
    path.write_bytes(data)
    atoms = nb.structure_factors_from_model(path, d_min_angstrom=2.0)
    assert atoms.report.kind == "an atomic model (small-molecule CIF)"
    with pytest.raises(nb.ConfigError, match="block: got 'small', need a block with reflections"):
        read(path, data, block="small")


def test_pairs_in_cif(path: Path) -> None:
    data = MMCIF_REFLECTIONS.replace(b"F_meas_au", b"pdbx_I_plus").replace(
        b"F_meas_sigma_au", b"pdbx_I_minus"
    )
    made = read(path, data)
    assert made.report.columns == "root of pdbx_I_plus, pdbx_I_minus"
    assert elements(made, [[1, 1, 1], [-1, -1, -1]]) == pytest.approx([40**0.5, 1.0])
    assert read(path, data, anomalous=False).unique.anomalous is False


def test_a_block_by_name(path: Path) -> None:
    assert read(path, TWO_BLOCKS, block="r1abcAsf") == read(path, MMCIF_REFLECTIONS)


def test_text_and_dumps_are_read_as_ever(path: Path, tmp_path: Path) -> None:
    table = nb.StructureFactors.from_reflections([[0, 0, 1], [1, 2, 3]], [5.0, 6.0])
    write_hkl(path, table)
    assert nb.read_structure_factors(path, default_f=2.0) == nb.read_hkl(path, default_f=2.0)
    nb.write_dump(tmp_path / "d", table)
    assert nb.read_structure_factors(tmp_path / "d") == nb.read_dump(tmp_path / "d")
    for name, value in (("d_min_angstrom", 3.0), ("column", "F"), ("space_group", "P 1")):
        for file in (path, tmp_path / "d"):
            with pytest.raises(nb.ConfigError, match=f"{name}: got .*, need None: h k l F and dum"):
                nb.read_structure_factors(file, **{name: value})
