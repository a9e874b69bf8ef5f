"""Small files of each kind that has structure factors with a space group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

CELL = "10 11 12 90 90 90"
HKL = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1], [2, 0, 0], [0, 0, 2]], np.int32)
AMPLITUDES = np.array([10.0, 20.0, 30.0, 40.0, 50.0, 60.0])

MMCIF_REFLECTIONS = b"""data_r1abcsf
_cell.length_a 10
_cell.length_b 11
_cell.length_c 12
_cell.angle_alpha 90
_cell.angle_beta 90
_cell.angle_gamma 90
_symmetry.space_group_name_H-M 'P 21 21 21'
loop_
_refln.index_h
_refln.index_k
_refln.index_l
_refln.F_meas_au
_refln.F_meas_sigma_au
1 1 0 10 1
1 0 1 20 1
0 1 1 30 1
1 1 1 40 1
2 0 0 50 1
0 0 2 60 1
"""
SMALL_REFLECTIONS = (
    MMCIF_REFLECTIONS.replace(b"_cell.", b"_cell_")
    .replace(b"_symmetry.", b"_symmetry_")
    .replace(b"_refln.", b"_refln_")
    .replace(b"F_meas_sigma_au", b"F_squared_sigma")
    .replace(b"F_meas_au", b"F_squared_meas")
)
PDB = b"""CRYST1   10.000   11.000   12.000  90.00  90.00  90.00 P 21 21 21    4
ATOM      1  N   GLY A   1       1.000   2.000   3.000  1.00 15.00           N
ATOM      2  CA  GLY A   1       2.200   2.500   3.700  1.00 16.00           C
ATOM      3  C   GLY A   1       3.300   1.600   3.100  0.50 17.00           C
HETATM    4 SE   UNK A   2       5.000   7.000   9.000  1.00 20.00          SE
END
"""
SMALL_CIF = b"""data_small
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_U_iso_or_equiv
_atom_site_occupancy
Na1 Na 0 0 0 0.02 1
Cl1 Cl 0.5 0.5 0.5 0.015 1
"""


def mtz(
    columns: dict[str, tuple[str, NDArray[Any]]] | None = None,
    hkl: NDArray[np.int32] = HKL,
    space_group: str = "P 21 21 21",
    numbers: tuple[float, ...] = (10, 11, 12, 90, 90, 90),
) -> bytes:
    """An MTZ file; columns: label -> type and values."""
    gemmi = pytest.importorskip("gemmi", reason="gemmi is not installed (extra: test)")
    if columns is None:
        columns = {"FP": ("F", AMPLITUDES), "SIGFP": ("Q", np.ones(len(AMPLITUDES)))}
    made = gemmi.Mtz(with_base=True)
    made.spacegroup = gemmi.SpaceGroup(space_group)
    made.set_cell_for_all(gemmi.UnitCell(*numbers))
    made.add_dataset("crystal")
    for label, (kind, _) in columns.items():
        made.add_column(label, kind)
    values = [np.asarray(of, np.float32) for _, of in columns.values()]
    made.set_data(np.ascontiguousarray(np.column_stack([hkl, *values]), np.float32))
    return bytes(made.write_to_bytes())


def mmcif_model() -> bytes:
    """The atoms of `PDB` as mmCIF."""
    gemmi = pytest.importorskip("gemmi", reason="gemmi is not installed (extra: test)")
    return bytes(gemmi.read_pdb_string(PDB).make_mmcif_document().as_string().encode())
