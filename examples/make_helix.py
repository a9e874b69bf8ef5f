"""Makes python/nanobragg_hybrid/data/helix.pdb, an invented crystal of an ideal helix.

    python examples/make_helix.py [FILE]

Twenty residues, alanines and two selenomethionines, with the bond lengths and angles that peptides
have and phi = -57, psi = -47 degrees, in a small cell of space group P 43 21 2.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

Vector = np.ndarray

CELL = "   42.000   42.000   38.000  90.00  90.00  90.00 P 43 21 2    8"
RESIDUES = 20
SELENIUM = (5, 14)
"""Residues that are selenomethionines."""
PHI, PSI, OMEGA = -57.0, -47.0, 180.0
START = np.array([11.0, 21.0, 0.0])
"""Of the helix's axis, angstrom: far enough from its equivalents."""
DEFAULT_FILE = Path(__file__).parents[1] / "python/nanobragg_hybrid/data/helix.pdb"

# atom: bonded to, angle with, dihedral with; length (angstrom), angle and dihedral (degrees)
SIDE_CHAIN = {
    "CB": ("CA", "C", "N", 1.53, 110.1, 122.6),
    "CG": ("CB", "CA", "N", 1.52, 114.0, -65.0),
    "SE": ("CG", "CB", "CA", 1.95, 112.7, -175.0),
    "CE": ("SE", "CG", "CB", 1.95, 99.0, -70.0),
}


def placed(
    bonded: Vector, second: Vector, third: Vector, length: float, angle: float, dihedral: float
) -> Vector:
    """A point by its distance, its angle and its dihedral (degrees) with three others."""
    theta, phi = np.deg2rad([angle, dihedral])
    along = (bonded - second) / np.linalg.norm(bonded - second)
    normal = np.cross(second - third, along)
    normal /= np.linalg.norm(normal)
    side = np.cross(normal, along)
    made: Vector = bonded + length * (
        -np.cos(theta) * along + np.sin(theta) * (np.cos(phi) * side + np.sin(phi) * normal)
    )
    return made


def helix() -> list[tuple[int, str, str, Vector]]:
    """Residue, its name, atom and position of each atom, with the axis along z."""
    n, ca = np.zeros(3), np.array([1.46, 0.0, 0.0])
    c = placed(ca, n, np.array([0.0, 1.0, 0.0]), 1.525, 111.0, 60.0)
    atoms = []
    for residue in range(1, RESIDUES + 1):
        name = "MSE" if residue in SELENIUM else "ALA"
        next_n = placed(c, ca, n, 1.33, 116.6, PSI)
        next_ca = placed(next_n, c, ca, 1.46, 121.7, OMEGA)
        known = {"N": n, "CA": ca, "C": c, "O": placed(c, ca, n, 1.23, 120.4, PSI + 180.0)}
        for atom, (first, second, third, *numbers) in SIDE_CHAIN.items():
            if name == "MSE" or atom == "CB":
                known[atom] = placed(known[first], known[second], known[third], *numbers)
        atoms += [(residue, name, atom, place) for atom, place in known.items()]
        n, ca, c = next_n, next_ca, placed(next_ca, next_n, c, 1.525, 111.0, PHI)
    return along_z(atoms)


def along_z(atoms: list[tuple[int, str, str, Vector]]) -> list[tuple[int, str, str, Vector]]:
    """The atoms with the long axis of the alpha carbons along z, through x = y = 0, from z = 0."""
    carbons = np.array([place for _, _, atom, place in atoms if atom == "CA"])
    centre = carbons.mean(axis=0)
    z, x, _ = np.linalg.svd(carbons - centre)[2]
    z = z * np.sign(z @ (carbons[-1] - carbons[0]))
    axes = np.array([x, np.cross(z, x), z])
    turned = [(*rest, axes @ (place - centre)) for *rest, place in atoms]
    lowest = min(place[2] for *_, place in turned)
    return [(*rest, place - np.array([0.0, 0.0, lowest])) for *rest, place in turned]


def main() -> None:
    """Writes the file."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FILE
    lines = [
        "REMARK 1 AN INVENTED CRYSTAL: AN IDEAL HELIX (EXAMPLES/MAKE_HELIX.PY)",
        f"CRYST1{CELL}",
    ]
    for number, (residue, name, atom, place) in enumerate(helix(), 1):
        x, y, z = place + START
        element = "SE" if atom == "SE" else f" {atom[0]}"
        label = f"{atom:<4}" if atom == "SE" else f" {atom:<3}"
        b = 18.0 + 0.4 * abs(residue - RESIDUES / 2)
        record = "HETATM" if name == "MSE" else "ATOM  "
        lines.append(
            f"{record}{number:5d} {label} {name} A{residue:4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}{1.0:6.2f}{b:6.2f}          {element}"
        )
    path.write_text("\n".join([*lines, "END", ""]))
    print(f"{path}: {len(lines) - 2} atoms")


if __name__ == "__main__":
    main()
