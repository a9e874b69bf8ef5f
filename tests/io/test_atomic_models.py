"""Structure factors of atomic models: gemmi's own sums, solvent, dispersion, grids, refusals."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from crystals import crystal, gemmi, indices_of
from for_each import for_each
from reflection_files import PDB, SMALL_CIF, mmcif_model

import nanobragg_hybrid as nb

NO_SOLVENT = {"k_sol_electrons_per_angstrom3": 0.0}


def inside(made: nb.StructureFactors, cell: gemmi.UnitCell, d_min: float) -> list[list[int]]:
    """Every index of the table in the range, but for 0 0 0."""
    hkl = indices_of(made.grid.shape, made.hkl_min)
    return hkl[(cell.calculate_d_array(hkl) >= d_min) & (hkl != 0).any(axis=1)].tolist()


def element(made: nb.StructureFactors, row: list[int]) -> float:
    return float(made.grid[tuple(np.array(row) - np.array(made.hkl_min))])


def with_anisotropic_atoms() -> gemmi.Structure:
    structure = crystal("P 21 21 21", atoms=6)
    for n, site in enumerate(structure[0].all()):
        site.atom.occ = 0.4 + 0.1 * n
        if n % 2:
            site.atom.aniso = gemmi.SMat33f(0.2 + 0.01 * n, 0.3, 0.25, 0.02, -0.03, 0.01)
    return structure


@for_each("wavelength", [None, 0.9795, 1.54])
def test_amplitudes_are_those_of_gemmi(wavelength: float | None) -> None:
    """Anisotropic B and occupancies; its calculator knows f' and not f''."""
    structure = with_anisotropic_atoms()
    made = nb.structure_factors_from_model(
        structure, d_min_angstrom=2.0, wavelength_angstrom=wavelength, **NO_SOLVENT
    )
    first = gemmi.StructureFactorCalculatorX(structure.cell)
    if wavelength is not None:
        first.addends.add_cl_fprime(gemmi.hc / wavelength)
    rows = inside(made, structure.cell, 2.0)
    assert len(rows) > 200
    sums = np.array([first.calculate_sf_from_model(structure[0], row) for row in rows])
    if wavelength is not None:  # i f'' of each atom, with its part of f' + f'' less f'
        for z in {site.atom.element.atomic_number for site in structure[0].all()}:
            real, imaginary = gemmi.cromer_liberman(z, gemmi.hc / wavelength)
            second = gemmi.StructureFactorCalculatorX(structure.cell)
            second.addends = first.addends
            second.addends.set(gemmi.Element(z), real + imaginary)
            for n, row in enumerate(rows):
                both = second.calculate_sf_from_model(structure[0], row)
                alone = first.calculate_sf_from_model(structure[0], row)
                sums[n] += 1j * (both - alone)
    found = np.array([element(made, row) for row in rows])
    np.testing.assert_allclose(found, np.abs(sums), rtol=1e-6, atol=1e-6 * found.max())
    # the model that was given is as it was
    assert [site.atom.occ for site in structure[0].all()][1] == pytest.approx(0.5)


def test_a_small_molecule_is_that_of_gemmi(tmp_path: Path) -> None:
    (tmp_path / "salt.cif").write_bytes(SMALL_CIF)
    made = nb.structure_factors_from_model(tmp_path / "salt.cif", d_min_angstrom=1.0)
    small = gemmi.read_small_structure(str(tmp_path / "salt.cif"))
    again = nb.structure_factors_from_model(small, d_min_angstrom=1.0)
    assert again == made
    small.change_occupancies_to_crystallographic()
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    for row in inside(made, small.cell, 1.0):
        expected = abs(calculator.calculate_sf_from_small_structure(small, row))
        assert element(made, row) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    # rock salt: F(000) of 4 (Na + Cl) electrons; sums and differences of both
    assert "F(000) is default_f, 0; that of the model is 111.972" in " ".join(
        made.report.assumptions
    )
    assert element(made, [0, 0, 0]) == 0.0
    assert element(made, [1, 1, 1]) < element(made, [2, 0, 0])
    assert element(made, [1, 0, 0]) == 0.0
    assert made.report.kind == "an atomic model (small-molecule CIF)"
    assert "no bulk solvent" in made.report.assumptions


def test_files_of_a_model_give_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.pdb").write_bytes(PDB)
    (tmp_path / "a.cif").write_bytes(mmcif_model())
    options = {"d_min_angstrom": 2.5, "wavelength_angstrom": 0.9795}
    made = nb.structure_factors_from_model(tmp_path / "a.pdb", **options)
    assert nb.structure_factors_from_model(str(tmp_path / "a.cif"), **options) == made
    assert nb.structure_factors_from_model(gemmi.read_pdb_string(PDB), **options) == made
    assert nb.read_structure_factors(tmp_path / "a.pdb", **options) == made
    assert made.report.space_group == "P 21 21 21"
    assert made.report.cell_angstrom == (10.0, 11.0, 12.0)
    assert made.unique.anomalous
    assert any("Se" in text and "0.9795" in text for text in made.report.assumptions)


def test_bulk_solvent_is_the_mask_s_transform() -> None:
    """Against a sum over the mask's points; k_sol and B_sol scale it."""
    structure = crystal("P 21 21 21", atoms=2)
    d_min, k_sol, b_sol = 2.2, 0.4, 30.0
    dry = nb.structure_factors_from_model(structure, d_min_angstrom=d_min, **NO_SOLVENT)
    wet = nb.structure_factors_from_model(
        structure,
        d_min_angstrom=d_min,
        k_sol_electrons_per_angstrom3=k_sol,
        b_sol_angstrom2=b_sol,
    )
    grid = gemmi.FloatGrid()
    grid.unit_cell, grid.spacegroup = structure.cell, structure.find_spacegroup()
    grid.set_size_from_spacing(0.4, gemmi.GridSizeRounding.Up)
    gemmi.SolventMasker(gemmi.AtomicRadiiSet.Cctbx).put_mask_on_float_grid(grid, structure[0])
    mask = np.array(grid)
    places = np.indices(mask.shape).reshape(3, -1).T / np.array(mask.shape)
    volume = structure.cell.volume / mask.size
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    for row in ([1, 1, 0], [0, 0, 2], [2, 1, 1], [-1, 1, 2]):
        transformed = (mask.reshape(-1) * np.exp(2j * np.pi * (places @ row))).sum() * volume
        s2 = structure.cell.calculate_1_d2(row)
        atoms = calculator.calculate_sf_from_model(structure[0], row)
        expected = abs(atoms + k_sol * math.exp(-b_sol * s2 / 4.0) * transformed)
        assert element(wet, row) == pytest.approx(expected, rel=1e-5, abs=1e-4)
    assert np.abs(wet.grid - dry.grid).max() > 1.0
    volume = mask.mean() * structure.cell.volume
    own = calculator.calculate_sf_from_model(structure[0], [0, 0, 0]).real + k_sol * volume
    assert f"F(000) is default_f, 0; that of the model is {own:.6g}" in wet.report.assumptions
    default = nb.structure_factors_from_model(structure, d_min_angstrom=d_min)
    assert any(
        text.endswith("k_sol 0.35 electrons/angstrom^3, B_sol 46 angstrom^2 (default)")
        for text in default.report.assumptions
    )
    assert "no bulk solvent (k_sol is 0)" in dry.report.assumptions


@for_each("wavelength", [None, 0.9795])
def test_the_grid_gives_nearly_the_same(wavelength: float | None) -> None:
    structure = crystal("P 41 21 2", atoms=12)
    structure.cell = gemmi.UnitCell(24.0, 24.0, 30.0, 90.0, 90.0, 90.0)
    structure.setup_cell_images()
    options = {"d_min_angstrom": 2.5, "wavelength_angstrom": wavelength, **NO_SOLVENT}
    direct = nb.structure_factors_from_model(structure, method="direct", **options)
    grid = nb.structure_factors_from_model(structure, method="fft", **options)
    assert grid.unique.index.tolist() == direct.unique.index.tolist()
    scale = np.sqrt((direct.grid**2).mean())
    assert np.sqrt(((grid.grid - direct.grid) ** 2).mean()) < 1e-3 * scale
    if wavelength is not None:  # differences of Friedel mates too
        mates = direct.grid - direct.grid[::-1, ::-1, ::-1]
        by_grid = grid.grid - grid.grid[::-1, ::-1, ::-1]
        assert np.sqrt(((by_grid - mates) ** 2).mean()) < 1e-3 * np.sqrt((mates**2).mean())
    assert "atoms are summed directly" in direct.report.assumptions
    assert any("on a grid" in text for text in grid.report.assumptions)


def test_range_and_f000() -> None:
    structure = crystal("P 1")
    made = nb.structure_factors_from_model(
        structure, d_min_angstrom=2.0, d_max_angstrom=5.0, f000=3.0, default_f=9.0, **NO_SOLVENT
    )
    whole = nb.structure_factors_from_model(structure, d_min_angstrom=2.0, **NO_SOLVENT)
    assert element(made, [0, 0, 0]) == 3.0
    for row in indices_of(made.grid.shape, made.hkl_min).tolist():
        if row != [0, 0, 0]:
            spacing = structure.cell.calculate_d(row)
            expected = element(whole, row) if 2.0 <= spacing <= 5.0 else 9.0
            assert element(made, row) == expected
    assert element(whole, [0, 0, 0]) == 0.0
    electrons = sum(site.atom.occ * site.atom.element.atomic_number for site in structure[0].all())
    (note,) = (text for text in whole.report.assumptions if text.startswith("F(000)"))
    assert float(note.split()[-1]) == pytest.approx(electrons, rel=2e-3)


def changed(old: bytes, new: bytes) -> bytes:
    assert old in PDB
    return PDB.replace(old, new)


CRYST1 = PDB.partition(b"\n")[0]


@for_each(
    "data, message",
    [
        (PDB.partition(b"\n")[2], "f: has no unit cell"),
        (
            changed(b"P 21 21 21 ", b"Q 1        "),
            "f: has an unknown space group 'Q 1': give one (space_group)",
        ),
        (changed(b"          SE\n", b"           X\n"), "element X has no form factor"),
        (CRYST1 + b"\nEND\n", "f: has no atoms"),
        (
            changed(b"  5.000   7.000", b"  5.000     nan"),
            "f: atom A/UNK 2/SE: has a number that is",
        ),
        (changed(b"  5.000   7.000", b"  5.000   7.0x0"), "f:5: y: got '7.0x0', need a number"),
        (changed(b"  5.000   7.000", b"  5.000        "), "f:5: y: got '', need a number"),
        (changed(b"1.00 20.00", b"1.00 2O.00"), "f:5: B: got '2O.00', need a number"),
        (changed(b"  12.000  90", b"  l2.000  90"), "f:1: c: got 'l2.000', need a number"),
        (changed(b"90.00 P 21 21 21", b"90.00 P 41 21 2 "), "got 10 11 12 90 90 90, need a cell"),
        (
            changed(b"90.00  90.00  90.00", b"90.00  10.00 170.00"),
            "f: has no unit cell that can be: ",
        ),
        (
            changed(b"1.00 20.00", b"1.00-9e99"),
            "f: atom A/UNK 2/SE: has a number that is not finite",
        ),
    ],
)
def test_models_that_cannot_be(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(nb.NanobraggError) as caught:
        nb.structure_factors_from_model(tmp_path / "f", d_min_angstrom=3.0, **NO_SOLVENT)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@for_each(
    "options, message",
    [
        ({"d_min_angstrom": None}, "d_min_angstrom: got None, need a finite value > 0"),
        ({"d_min_angstrom": 0}, "d_min_angstrom: got 0 angstrom, need a finite value > 0"),
        ({"d_min_angstrom": 99}, "d_min_angstrom: got 99.0 angstrom, need a range of resolution"),
        ({"d_max_angstrom": 1}, "d_max_angstrom: got 1.0 angstrom, need at least d_min_angstrom"),
        ({"wavelength_angstrom": 0.09}, "got 0.09 angstrom, need 0.1 to 10 angstrom, where f' and"),
        ({"wavelength_angstrom": 10.1}, "got 10.1 angstrom, need 0.1 to 10 angstrom, where f' and"),
        ({"wavelength_angstrom": -1}, "wavelength_angstrom: got -1 angstrom, need"),
        ({"k_sol_electrons_per_angstrom3": -1}, "k_sol_electrons_per_angstrom3: got -1"),
        ({"b_sol_angstrom2": math.nan}, "b_sol_angstrom2: got nan"),
        ({"method": "FFT"}, "method: got 'FFT', need one of direct, fft, or None"),
        ({"block": "x"}, "block: got 'x', need None for a structure"),
    ],
)
def test_options_that_break_their_rule(options: dict[str, object], message: str) -> None:
    with pytest.raises(nb.ConfigError) as caught:
        nb.structure_factors_from_model(crystal("P 1"), **{"d_min_angstrom": 2.5, **options})
    assert message in str(caught.value)


@for_each("option", ["column", "quantity", "anomalous", "negative_intensities", "missing"])
def test_options_of_reflections_are_not_a_model_s(option: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(PDB)
    value = {"anomalous": True, "quantity": "amplitude", "missing": "zero"}.get(option, "zero")
    with pytest.raises(nb.ConfigError, match=f"{option}: got .*, need None: it belongs to files"):
        nb.read_structure_factors(tmp_path / "f", d_min_angstrom=3.0, **{option: value})
    with pytest.raises(nb.ConfigError, match="d_min_angstrom: got None, need a finite value > 0: "):
        nb.read_structure_factors(tmp_path / "f")


def test_of_several_models_the_first_counts(tmp_path: Path) -> None:
    atoms = PDB.split(b"\n")[1:5]
    moved = [line.replace(b"1.000   2.000", b"4.000   6.000") for line in atoms]
    lines = [CRYST1, b"MODEL        1", *atoms, b"ENDMDL", b"MODEL        2", *moved, b"ENDMDL"]
    (tmp_path / "two").write_bytes(b"\n".join([*lines, b"END", b""]))
    (tmp_path / "one").write_bytes(PDB)
    with pytest.warns(nb.NanobraggWarning, match="two: of 2 models the first counts"):
        made = nb.structure_factors_from_model(tmp_path / "two", d_min_angstrom=3.0)
    assert made == nb.structure_factors_from_model(tmp_path / "one", d_min_angstrom=3.0)
    assert "of 2 models the first counts" in made.report.assumptions


def test_non_crystallographic_symmetry_that_is_stated_is_applied(tmp_path: Path) -> None:
    """MTRIX records without the mark that the atoms are there: the copy counts."""
    matrix = [
        *("MTRIX1   1  1.000000  0.000000  0.000000        0.00000    1",
          "MTRIX2   1  0.000000  1.000000  0.000000        0.00000    1",
          "MTRIX3   1  0.000000  0.000000  1.000000        0.00000    1"),
        *("MTRIX1   2 -1.000000  0.000000  0.000000        1.50000",
          "MTRIX2   2  0.000000 -1.000000  0.000000        2.50000",
          "MTRIX3   2  0.000000  0.000000  1.000000        1.00000"),
    ]  # fmt: skip
    first, _, rest = PDB.partition(b"\n")
    (tmp_path / "f").write_bytes(b"\n".join([first, *(line.encode() for line in matrix), rest]))
    structure = gemmi.read_pdb_string((tmp_path / "f").read_bytes())
    assert [operation.given for operation in structure.ncs].count(False) == 1
    structure.expand_ncs(gemmi.HowToNameCopiedChain.Short)
    assert structure[0].count_atom_sites() == 8
    options = {"d_min_angstrom": 2.5, **NO_SOLVENT}
    made = nb.structure_factors_from_model(tmp_path / "f", **options)
    again = nb.structure_factors_from_model(structure, **options)
    np.testing.assert_allclose(made.grid, again.grid, rtol=1e-9)
    by_grid = nb.structure_factors_from_model(tmp_path / "f", method="fft", **options)
    np.testing.assert_allclose(by_grid.grid, made.grid, atol=1e-3 * made.grid.max())
    assert "from 8 atoms" in made.report.columns


def test_a_space_group_in_place_of_the_file_s_own(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(changed(b"P 21 21 21 ", b"Q 1        "))
    (tmp_path / "g").write_bytes(PDB)
    given = nb.structure_factors_from_model(
        tmp_path / "f", d_min_angstrom=3.0, space_group="P212121"
    )
    assert given == nb.structure_factors_from_model(tmp_path / "g", d_min_angstrom=3.0)
    assert "the space group is P 21 21 21, as given" in given.report.assumptions
