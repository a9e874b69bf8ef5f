"""Every space group: a table of P1 against the sum over all atoms of the cell, and back."""

from __future__ import annotations

import numpy as np
import pytest
from crystals import crystal, gemmi, indices_of, summed_amplitudes
from for_each import for_each

import nanobragg_hybrid as nb

WAVELENGTH = 0.97
D_MIN = 2.6
OTHER_SETTINGS = ("P 1 1 21", "R 3:R", "R -3 c:R", "A 1 2 1", "P 2 21 21", "I 1 21 1", "F d -3 m:1")


def table(name: str | int, wavelength: float | None) -> tuple[nb.StructureFactors, object]:
    structure = crystal(name)
    made = nb.structure_factors_from_model(
        structure,
        d_min_angstrom=D_MIN,
        wavelength_angstrom=wavelength,
        k_sol_electrons_per_angstrom3=0.0,
        default_f=-7.0,
    )
    return made, structure


@for_each("name", [*range(1, 231), *OTHER_SETTINGS])
def test_the_table_is_the_sum_over_all_atoms(name: str | int) -> None:
    """Friedel mates apart, absences 0 by the sum too, default_f beyond the range."""
    made, structure = table(name, WAVELENGTH)
    hkl = indices_of(made.grid.shape, made.hkl_min)
    spacing = structure.cell.calculate_d_array(hkl)
    inside = spacing >= D_MIN
    expected = summed_amplitudes(structure, hkl, WAVELENGTH)
    expected[(hkl == 0).all(axis=1)] = -7.0  # F(000), which was not given
    scale = expected[inside].max()
    flat = made.grid.reshape(-1)
    assert np.abs(flat - expected)[inside].max() < 1e-6 * scale  # occupancies are 32-bit floats
    absent = structure.find_spacegroup().operations().systematic_absences(hkl)
    assert (flat[absent] == 0.0).all()
    assert (flat[~inside & ~absent] == -7.0).all()
    # the table holds the whole sphere
    largest = structure.cell.get_hkl_limits(D_MIN)
    beyond = indices_of((2 * np.array(largest) + 1).tolist(), tuple(-n for n in largest))
    count = (structure.cell.calculate_d_array(beyond) >= D_MIN).sum()
    assert count == inside.sum()


@for_each("name", [1, 4, 19, 96, 146, 152, 182, 198, 213, 14, 62, 225, *OTHER_SETTINGS])
@for_each("anomalous", [True, False])
def test_unique_reflections_give_the_table_back(name: str | int, anomalous: bool) -> None:
    made, structure = table(name, WAVELENGTH if anomalous else None)
    group = structure.find_spacegroup()
    unique = made.unique
    assert unique.anomalous is anomalous
    hkl = unique.hkl
    amplitudes = summed_amplitudes(structure, hkl, WAVELENGTH if anomalous else None)
    again = nb.StructureFactors.from_reflections(
        hkl,
        amplitudes,
        -7.0,
        space_group=group.xhm(),
        cell_angstrom=structure.cell.parameters[:3],
        cell_deg=structure.cell.parameters[3:],
        anomalous=anomalous,
        d_min_angstrom=D_MIN,
    )
    assert again.hkl_min == made.hkl_min
    np.testing.assert_allclose(again.grid, made.grid, rtol=1e-6, atol=1e-6 * amplitudes.max())
    assert (again.unique.index == unique.index).all()
    assert again.report.missing == 0
    # and of any equivalents of them, without a cell
    random = np.random.default_rng(3)
    operations = group.operations().sym_ops
    turned = [
        operations[random.integers(len(operations))].apply_to_hkl(row) for row in hkl.tolist()
    ]
    listed = nb.StructureFactors.from_reflections(
        turned, amplitudes, -7.0, space_group=group.xhm(), anomalous=anomalous
    )
    inner = indices_of(listed.grid.shape, listed.hkl_min)
    kept = (inner != 0).any(axis=1)
    places = tuple((inner[kept] - np.array(made.hkl_min)).T)
    scale = 1e-6 * amplitudes.max()
    np.testing.assert_allclose(listed.grid.reshape(-1)[kept], made.grid[places], atol=scale)


@for_each("name", [1, 5, 19, 92, 145, 197, 2, 15, 230])
def test_multiplicities_and_ties(name: int) -> None:
    tied, structure = table(name, None)
    apart, _ = table(name, WAVELENGTH)
    group = structure.find_spacegroup()
    operations = group.operations()
    for unique in (tied.unique, apart.unique):
        assert (unique.at(unique.hkl) == np.arange(len(unique))).all()
        counts = unique.multiplicities()
        assert counts.sum() == (unique.index >= 0).sum()
        for row, count in zip(unique.hkl.tolist(), counts.tolist(), strict=True):
            orbit = {tuple(op.apply_to_hkl(row)) for op in operations.sym_ops}
            if not unique.anomalous:
                orbit |= {tuple(-n for n in member) for member in orbit}
            assert len(orbit) == count
            assert len(set(unique.at(list(orbit)).tolist())) == 1
    expected = gemmi.count_reflections(structure.cell, group, D_MIN)
    assert len(tied.unique) == expected
    assert (len(apart.unique) == len(tied.unique)) == group.is_centrosymmetric()


def test_friedel_mates_differ_where_f_double_prime_matters() -> None:
    made, _ = table(19, WAVELENGTH)
    mates = made.grid[::-1, ::-1, ::-1]
    assert np.abs(made.grid - mates).max() > 1.0
    centric = made.unique.at(-made.unique.hkl) == np.arange(len(made.unique))
    where = tuple((made.unique.hkl[centric] - np.array(made.hkl_min)).T)
    np.testing.assert_allclose(made.grid[where], mates[where], rtol=1e-9)
    equal, _ = table(19, None)
    assert (equal.grid == equal.grid[::-1, ::-1, ::-1]).all()


@for_each(
    "given",
    [0, 231, "Q 1", "", 3.5, True, None, b"P 1"],
)
def test_a_space_group_that_is_none(given: object) -> None:
    with pytest.raises(nb.ConfigError, match="a Hermann-Mauguin symbol, like 'P 43 21 2', or a"):
        nb.structure_factors_from_model(
            crystal(1), d_min_angstrom=5.0, space_group="" if given is None else given
        )


@for_each("given, name", [("P43212", "P 43 21 2"), (96, "P 43 21 2"), ("R3:H", "R 3:H")])
def test_a_space_group_by_name_or_number(given: object, name: str) -> None:
    made = nb.StructureFactors.from_reflections([[1, 0, 4]], [3.0], space_group=given)
    assert made.unique.space_group == name
