"""Crystals of DIALS' experiment lists, and the rotations between two of them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def cell_vectors(path: Path) -> list[Matrix]:
    """Of the crystal of each experiment: rows a, b, c in DIALS' laboratory, angstrom."""
    content = json.loads(path.read_text())
    found = []
    for experiment in content["experiment"]:
        crystal = content["crystal"][experiment["crystal"]]
        found.append(np.array([crystal[f"real_space_{axis}"] for axis in "abc"]))
    return found


def images_of(path: Path) -> list[int]:
    """The image, from 0, of each experiment of a file of stills."""
    content = json.loads(path.read_text())
    sets = [content["imageset"][each["imageset"]] for each in content["experiment"]]
    return [each["single_file_indices"][0] for each in sets]


def cell_lengths(path: Path) -> list[float]:
    """Sorted, of the first crystal, angstrom."""
    return sorted(np.linalg.norm(cell_vectors(path)[0], axis=1).tolist())


def turn_deg(found: Matrix, true: Matrix) -> Matrix:
    """The rotation from `true` to `found` as a vector along its axis, degrees.

    It is the smallest one of those that the axes of a right-angled cell allow, which may have other
    names and signs as long as their lengths are within an angstrom.
    """
    turns = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            renamed = true[list(order)] * np.array(signs)[:, None]
            lengths = np.linalg.norm(renamed, axis=1) - np.linalg.norm(found, axis=1)
            if np.linalg.det(renamed) * np.linalg.det(found) > 0 and abs(lengths).max() < 1.0:
                turns.append(_rotation_vector(np.linalg.solve(renamed, found).T))
    assert turns, (found, true)
    return np.degrees(min(turns, key=lambda turn: float(np.linalg.norm(turn))))


def _rotation_vector(matrix: Matrix) -> Matrix:
    """Of the rotation nearest to a matrix, radian."""
    u, _, v = np.linalg.svd(matrix)
    turn = u @ v
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    sine = np.linalg.norm(axis) / 2.0
    angle = np.arctan2(sine, (np.trace(turn) - 1.0) / 2.0)
    return np.asarray(axis / 2.0 * (angle / sine if sine > 0.0 else 1.0))
