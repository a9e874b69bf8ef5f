"""Small crystals of random atoms for structure factors, and their sum over atoms in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

gemmi = pytest.importorskip("gemmi", reason="gemmi is not installed (extra: test)")

ELEMENTS = ("C", "N", "O", "S", "Se")


def cell_for(space_group: gemmi.SpaceGroup) -> gemmi.UnitCell:
    """A small cell of the space group's system, in its setting."""
    system = space_group.crystal_system_str()
    if system == "trigonal" and space_group.ext == "R":
        return gemmi.UnitCell(9.0, 9.0, 9.0, 75.0, 75.0, 75.0)
    if system == "monoclinic":
        angles = {axis: [90.0, 90.0, 90.0] for axis in "abc"}
        for n, axis in enumerate("abc"):
            angles[axis][n] = 101.0
        return gemmi.UnitCell(7.0, 8.0, 9.5, *angles[space_group.monoclinic_unique_axis()])
    numbers = {
        "triclinic": (7.0, 8.0, 9.0, 75.0, 85.0, 95.0),
        "orthorhombic": (7.0, 8.0, 9.0, 90.0, 90.0, 90.0),
        "tetragonal": (8.0, 8.0, 9.0, 90.0, 90.0, 90.0),
        "trigonal": (8.0, 8.0, 9.0, 90.0, 90.0, 120.0),
        "hexagonal": (8.0, 8.0, 9.0, 90.0, 90.0, 120.0),
        "cubic": (9.0, 9.0, 9.0, 90.0, 90.0, 90.0),
    }
    return gemmi.UnitCell(*numbers[system])


def crystal(space_group: str | int, atoms: int = 3, seed: int = 1) -> gemmi.Structure:
    """Atoms anywhere in the cell, with B factors and occupancies."""
    group = gemmi.SpaceGroup(space_group)
    made = gemmi.Structure()
    made.name = "random"
    made.cell = cell_for(group)
    made.spacegroup_hm = group.xhm()
    random = np.random.default_rng(seed)
    residue = gemmi.Residue()
    residue.name, residue.seqid = "UNK", gemmi.SeqId("1")
    for n in range(atoms):
        atom = gemmi.Atom()
        atom.name, atom.element = f"A{n}", gemmi.Element(ELEMENTS[-1 - n % len(ELEMENTS)])
        atom.pos = made.cell.orthogonalize(gemmi.Fractional(*random.random(3)))
        atom.occ, atom.b_iso = 1.0 - 0.1 * (n % 3), 10.0 + 5.0 * n
        residue.add_atom(atom)
    chain, model = gemmi.Chain("A"), gemmi.Model(1)
    chain.add_residue(residue)
    model.add_chain(chain)
    made.add_model(model)
    made.setup_cell_images()
    return made


def summed_amplitudes(
    structure: gemmi.Structure, hkl: NDArray[np.int32], wavelength_angstrom: float | None = None
) -> NDArray[np.float64]:
    """|F| by a sum over every atom of the cell, shape (n,); isotropic B factors."""
    cell = structure.cell
    operations = list(structure.find_spacegroup().operations())
    s2 = cell.calculate_1_d2_array(np.ascontiguousarray(hkl, dtype=np.int32))
    total = np.zeros(len(hkl), complex)
    for site in structure[0].all():
        atom = site.atom
        form = atom.element.it92
        f = form.c + sum(
            a * np.exp(-b * s2 / 4.0) for a, b in zip(form.a, form.b, strict=True)
        ).astype(complex)
        if wavelength_angstrom is not None:
            energy = gemmi.hc / wavelength_angstrom
            real, imaginary = gemmi.cromer_liberman(atom.element.atomic_number, energy)
            f += real + 1j * imaginary
        f *= atom.occ * np.exp(-atom.b_iso * s2 / 4.0)
        place = cell.fractionalize(atom.pos).tolist()
        for operation in operations:
            total += f * np.exp(2j * np.pi * (hkl @ np.array(operation.apply_to_xyz(place))))
    return np.abs(total)


def indices_of(grid_shape: tuple[int, ...], hkl_min: tuple[int, int, int]) -> NDArray[np.int32]:
    """Every index of a table, shape (n, 3), in its order."""
    return (np.indices(grid_shape).reshape(3, -1).T + np.array(hkl_min)).astype(np.int32)
