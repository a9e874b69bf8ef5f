"""Crystals by cell and missetting in place of an orientation matrix: the same plan."""

from __future__ import annotations

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb


def matrix_of(crystal: nb.Crystal, wavelength: float) -> tuple[float, ...]:
    """The matrix of a crystal, from the C engine's plan, triclinic cells being as they are said."""
    experiment = nb.Experiment(beam=nb.Beam(wavelength_angstrom=wavelength), crystal=crystal)
    plan = nb.prepare(experiment, nb.StructureFactors.constant(1.0), quirks=nb.Quirks.none()).plan
    real = np.array([plan.a0_m, plan.b0_m, plan.c0_m]) * 1e10
    return tuple((np.linalg.inv(real) * wavelength).ravel().tolist())


@for_each(
    "cell, angles, misset",
    [
        ((70, 80, 90), (75, 85, 95), (10, 20, 30)),
        ((79.1, 79.1, 37.9), (90, 90, 90), (-120, 70, 5)),
        ((50, 50, 60), (90, 90, 120), (0, 0, 0)),
        ((50, 60, 70), (110, 95, 100), (15, 90, 40)),
        ((50, 60, 70), (90, 100, 90), (170, -89.9, -3)),
    ],
)
def test_the_same_crystal(
    cell: tuple[float, ...], angles: tuple[float, ...], misset: tuple[float, ...]
) -> None:
    wavelength = 1.25
    crystal = nb.Crystal(cell_angstrom=cell, cell_deg=angles, misset_deg=misset)
    matrix = matrix_of(crystal, wavelength)
    turned = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=wavelength),
        crystal=nb.Crystal(orientation_matrix=matrix, n_cells=(3, 4, 5)),
    )
    found = turned.with_cell().crystal
    assert found.orientation_matrix is None
    assert found.n_cells == (3, 4, 5)
    assert found.cell_angstrom == cell  # rounding takes off what arithmetic left
    assert found.cell_deg == angles
    np.testing.assert_allclose(matrix_of(found, wavelength), matrix, atol=1e-11)


def test_a_matrix_that_is_turned_once_more() -> None:
    crystal = nb.Crystal(cell_angstrom=(70, 80, 90), misset_deg=(10, 20, 30))
    matrix = matrix_of(crystal, 1.0)
    twice = nb.Crystal(orientation_matrix=matrix, misset_deg=(5, -7, 11))
    found = nb.Experiment(crystal=twice).with_cell().crystal
    np.testing.assert_allclose(matrix_of(found, 1.0), matrix_of(twice, 1.0), atol=1e-11)


def test_what_has_no_cell() -> None:
    plain = nb.Experiment(crystal=nb.Crystal(cell_angstrom=(70, 80, 90)))
    assert plain.with_cell() is plain
    left = nb.Crystal(orientation_matrix=(0.01, 0, 0, 0, 0.01, 0, 0, 0, -0.01))
    with pytest.raises(nb.ConfigError, match="need right-handed"):
        nb.Experiment(crystal=left).with_cell()
    chance = nb.Crystal(orientation_matrix=(0.01, 0, 0, 0, 0.01, 0, 0, 0, 0.01), misset_random=True)
    with pytest.raises(nb.ConfigError, match=r"crystal\.misset_random: got True"):
        nb.Experiment(crystal=chance).with_cell()
