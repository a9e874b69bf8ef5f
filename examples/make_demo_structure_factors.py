"""Makes python/nanobragg_hybrid/data/demo.hkl, the structure factors of `nanobragg-hybrid demo`.

    python examples/make_demo_structure_factors.py [FILE]

The crystal is invented: a short helix of a dozen atoms, repeated by the space group P2(1)2(1)2(1)
in a cell of 30 x 34 x 38 angstrom.  Each atom scatters as Z*exp(-B*s^2), s = sin(theta)/lambda.
All reflections to 2.8 angstrom are listed, Friedel mates too: nanoBragg knows no symmetry.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import nanobragg_hybrid as nb

CELL_ANGSTROM = (30.0, 34.0, 38.0)
DMIN_ANGSTROM = 2.8
B_ANGSTROM2 = 18.0
ELECTRONS = np.array([7, 6, 6, 8, 7, 6, 16, 8, 7, 6, 6, 26], dtype=float)
DEFAULT_FILE = Path(__file__).parents[1] / "python/nanobragg_hybrid/data/demo.hkl"


def helix_fractional() -> np.ndarray:
    """The atoms of one asymmetric unit, fractional coordinates, shape (12, 3)."""
    turn = np.arange(len(ELECTRONS))
    angle = turn * np.deg2rad(100.0)
    position: np.ndarray = np.stack(
        [8.1 + 2.9 * np.cos(angle), 6.7 + 2.9 * np.sin(angle), 4.3 + 1.5 * turn], axis=1
    )
    fractional: np.ndarray = position / np.array(CELL_ANGSTROM)
    return fractional


def unit_cell_fractional() -> np.ndarray:
    """All atoms of the cell by the four operators of P2(1)2(1)2(1), shape (4, 12, 3)."""
    x, y, z = helix_fractional().T
    operators = [
        (x, y, z),
        (0.5 - x, -y, 0.5 + z),
        (-x, 0.5 + y, 0.5 - z),
        (0.5 + x, 0.5 - y, -z),
    ]
    return np.array([np.stack(operator, axis=1) for operator in operators])


def reflections() -> tuple[np.ndarray, np.ndarray]:
    """Indices (n, 3) and |F| (n,) of all reflections but (0, 0, 0) and those that are absent."""
    limits = [int(length / DMIN_ANGSTROM) for length in CELL_ANGSTROM]
    axes = [np.arange(-limit, limit + 1) for limit in limits]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    inverse_d2 = ((hkl / np.array(CELL_ANGSTROM)) ** 2).sum(axis=1)
    keep = (inverse_d2 > 0.0) & (inverse_d2 <= DMIN_ANGSTROM**-2)
    hkl, s2 = hkl[keep], inverse_d2[keep] / 4.0
    phases = np.exp(2j * np.pi * np.einsum("nk,oak->noa", hkl, unit_cell_fractional()))
    f = np.abs(np.einsum("noa,a->n", phases, ELECTRONS)) * np.exp(-B_ANGSTROM2 * s2)
    amplitudes = np.round(f, 1)
    listed = amplitudes > 0.0
    return hkl[listed], amplitudes[listed]


def main() -> None:
    """Writes the file."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FILE
    indices, amplitudes = reflections()
    nb.write_hkl(path, nb.StructureFactors.from_reflections(indices, amplitudes))
    print(f"{path}: {len(indices)} reflections, largest F {amplitudes.max():g}")


if __name__ == "__main__":
    main()
