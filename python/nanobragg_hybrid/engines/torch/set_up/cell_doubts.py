"""Cells that cannot be, and matrices that do not fit what is beside them: model 4.1 and 4.2."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.units import wavelength_m_to_per_angstrom
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.resolved_plan import PlanWarning

_SHORTEST_ANGSTROM: Final = 1e-50
_LONGEST_ANGSTROM: Final = 1e50
_SHORTEST_WAVELENGTH_M: Final = 1e-100
_LONGEST_WAVELENGTH_M: Final = 1e100
"""Lengths whose products and reciprocals are numbers."""

_ROUNDING: Final = 1e-12
_LOOKS_LIKE_RADIANS_DEG: Final = 3.15
_SAME: Final = (1e-4, 0.01)
_COMMON: Final = (1e-3, 0.1)
_OTHER: Final = (0.01, 1.0)
"""Relative difference of lengths, and of angles in degrees: within the first a cell is that of the
matrix, within the second all have one ratio or the same angle, beyond the third it is another."""

_CRYSTAL_AXES_ANGSTROM: Final = (1.0, 1e4)
"""Between these are the axes of crystals."""


def cell_doubts(
    experiment: Experiment, quirks: Quirks, wavelength_m: float
) -> frozenset[PlanWarning]:
    """What there is to warn of in the cell and the matrix that an experiment gives.

    Raises `ConfigError` for lengths and wavelengths beyond all bounds; with the quirk
    impossible_cell off, for a cell that cannot be; with cell_beside_matrix off, for a cell that is
    not the matrix's.
    """
    if not _SHORTEST_WAVELENGTH_M <= wavelength_m <= _LONGEST_WAVELENGTH_M:
        raise ConfigError(
            "beam.wavelength_angstrom",
            experiment.beam.wavelength_angstrom,
            f"a wavelength from {_SHORTEST_WAVELENGTH_M:g} to {_LONGEST_WAVELENGTH_M:g} m",
            "angstrom",
        )
    crystal = experiment.crystal
    found: set[PlanWarning] = set()
    if crystal.cell_angstrom is not None:
        found |= _of_cell(crystal, quirks)
    if crystal.orientation_matrix is not None:
        found |= _of_matrix(crystal, quirks, wavelength_m)
    return frozenset(found)


def _of_cell(crystal: Crystal, quirks: Quirks) -> set[PlanWarning]:
    lengths, angles = crystal.cell_angstrom, crystal.cell_deg
    assert lengths is not None
    if not all(_SHORTEST_ANGSTROM <= length <= _LONGEST_ANGSTROM for length in lengths):
        raise ConfigError(
            "crystal.cell_angstrom",
            lengths,
            f"lengths from {_SHORTEST_ANGSTROM:g} to {_LONGEST_ANGSTROM:g} angstrom",
            "angstrom",
        )
    found: set[PlanWarning] = set()
    if max(angles) <= _LOOKS_LIKE_RADIANS_DEG:
        found.add("angles_in_radians")
    # Each angle below the sum of the others, and all of them below a full turn together.
    slack = math.radians(min(360.0 - sum(angles), sum(angles) - 2.0 * max(angles))) / 2.0
    if slack <= _ROUNDING:
        if not quirks.impossible_cell:
            raise ConfigError(
                "crystal.cell_deg",
                angles,
                "angles of which each is less than the sum of the other two, and that add up to "
                "less than 360 degrees",
                "deg",
            )
        found.add("impossible_cell")
    return found


def _of_matrix(crystal: Crystal, quirks: Quirks, wavelength_m: float) -> set[PlanWarning]:
    rows = np.array(crystal.orientation_matrix, dtype=np.float64).reshape(3, 3)
    star = rows.T * wavelength_m_to_per_angstrom(wavelength_m)  # rows a*, b*, c*
    with np.errstate(all="ignore"):
        length = np.sqrt((star * star).sum(axis=1))
        one = star / np.where(length == 0.0, 1.0, length)[:, None]
        handed = float(one[0] @ np.cross(one[1], one[2]))
        own_lengths, own_angles = _cell_of(star)
    if not abs(handed) > _ROUNDING:
        if not quirks.impossible_cell:
            raise ConfigError(
                "crystal.orientation_matrix",
                crystal.orientation_matrix,
                "three axes that do not lie in a plane",
            )
        return {"impossible_cell"}
    found: set[PlanWarning] = {"left_handed_matrix"} if handed < 0.0 else set()
    if crystal.cell_angstrom is None:
        low, high = _CRYSTAL_AXES_ANGSTROM
        if (own_lengths < low).any() or (own_lengths > high).any():
            found.add("matrix_scale")
        return found
    ratio = np.array(crystal.cell_angstrom) / own_lengths
    by_length = float(np.abs(ratio - 1.0).max())
    by_angle = float(np.abs(np.array(crystal.cell_deg) - own_angles).max())
    is_common = ratio.max() <= ratio.min() * (1.0 + _COMMON[0]) and by_angle <= _COMMON[1]
    if by_length > _COMMON[0] and is_common:
        found.add("matrix_scale")
    if quirks.cell_beside_matrix:
        if by_length > _SAME[0] or by_angle > _SAME[1]:
            found.add("cell_beside_matrix")
    elif by_length > _OTHER[0] or by_angle > _OTHER[1]:
        a, b, c = own_lengths
        alpha, beta, gamma = own_angles
        need = (
            f"the cell of crystal.orientation_matrix, {a:.6g} {b:.6g} {c:.6g} A and {alpha:.6g} "
            f"{beta:.6g} {gamma:.6g} degrees, to 1 % and 1 degree, or no cell"
        )
        if by_length > _OTHER[0]:
            raise ConfigError("crystal.cell_angstrom", crystal.cell_angstrom, need, "angstrom")
        raise ConfigError("crystal.cell_deg", crystal.cell_deg, need, "deg")
    return found


def _cell_of(star: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lengths in angstrom and angles in degrees of the cell with these reciprocal vectors."""
    direct = np.cross(np.roll(star, -1, axis=0), np.roll(star, -2, axis=0))
    direct = direct / (star[0] @ direct[0])
    lengths = np.sqrt((direct * direct).sum(axis=1))
    after, last = np.roll(direct, -1, axis=0), np.roll(direct, -2, axis=0)
    cosine = (after * last).sum(axis=1) / (np.roll(lengths, -1) * np.roll(lengths, -2))
    return lengths, np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
