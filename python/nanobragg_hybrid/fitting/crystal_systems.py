"""Which numbers of a unit cell are free in each crystal system."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.fitting.likelihoods import Array

CrystalSystem = Literal[
    "triclinic",
    "monoclinic",
    "orthorhombic",
    "tetragonal",
    "rhombohedral",
    "hexagonal",
    "cubic",
]
CRYSTAL_SYSTEMS: Final[tuple[CrystalSystem, ...]] = get_args(CrystalSystem)


class _Rule(NamedTuple):
    """lengths, angles: for each number the free one that it equals, or the value that it has."""

    lengths: tuple[int, int, int]
    angles: tuple[int | float, int | float, int | float]
    text: str


_RULES: Final[dict[CrystalSystem, _Rule]] = {
    "triclinic": _Rule((0, 1, 2), (0, 1, 2), "any cell"),
    "monoclinic": _Rule((0, 1, 2), (90.0, 0, 90.0), "alpha = gamma = 90"),
    "orthorhombic": _Rule((0, 1, 2), (90.0, 90.0, 90.0), "all angles 90"),
    "tetragonal": _Rule((0, 0, 1), (90.0, 90.0, 90.0), "a = b, all angles 90"),
    "rhombohedral": _Rule((0, 0, 0), (0, 0, 0), "a = b = c, alpha = beta = gamma"),
    "hexagonal": _Rule((0, 0, 1), (90.0, 90.0, 120.0), "a = b, alpha = beta = 90, gamma = 120"),
    "cubic": _Rule((0, 0, 0), (90.0, 90.0, 90.0), "a = b = c, all angles 90"),
}
_HIGHEST_FIRST: Final[tuple[CrystalSystem, ...]] = (
    "cubic",
    "hexagonal",
    "tetragonal",
    "rhombohedral",
    "orthorhombic",
    "monoclinic",
    "triclinic",
)


class Tied(NamedTuple):
    """numbers = matrix @ free + constant; shapes (3, free) and (3,)."""

    matrix: Array
    constant: Array


def _tied(rule: tuple[int | float, int | float, int | float]) -> Tied:
    free = sorted({number for number in rule if isinstance(number, int)})
    matrix, constant = np.zeros((3, len(free))), np.zeros(3)
    for row, number in enumerate(rule):
        if isinstance(number, int):
            matrix[row, number] = 1.0
        else:
            constant[row] = number
    return Tied(matrix, constant)


def tied_lengths(system: CrystalSystem) -> Tied:
    """How a, b, c follow from the free lengths."""
    return _tied(_RULES[system].lengths)


def tied_angles(system: CrystalSystem) -> Tied:
    """How alpha, beta, gamma follow from the free angles, degrees."""
    return _tied(_RULES[system].angles)


def obeys(system: CrystalSystem, lengths: Array, angles: Array) -> bool:
    """Whether a cell (angstrom, degrees) has the equal and fixed numbers of a system, exactly."""
    rule = _RULES[system]
    return _agrees(lengths, rule.lengths) and _agrees(angles, rule.angles)


def _agrees(numbers: Array, rule: tuple[int | float, int | float, int | float]) -> bool:
    seen: dict[int, float] = {}
    for number, need in zip(numbers.tolist(), rule, strict=True):
        if number != (seen.setdefault(need, number) if isinstance(need, int) else need):
            return False
    return True


def system_of(lengths: Array, angles: Array) -> CrystalSystem:
    """The first system, of most rules, that a cell obeys exactly."""
    return next(system for system in _HIGHEST_FIRST if obeys(system, lengths, angles))


def require_system(system: CrystalSystem, lengths: Array, angles: Array) -> None:
    """Raises `ConfigError` for a cell that breaks the rules of a system."""
    if not obeys(system, lengths, angles):
        numbers = " ".join(f"{number:g}" for number in (*lengths.tolist(), *angles.tolist()))
        rule = f"the cell to start from to have {_RULES[system].text}"
        raise ConfigError("crystal_system", Description(f"{system} with {numbers}"), rule)
