"""The cell and the missetting angles that an orientation matrix stands for (model 4.1 to 4.3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from nanobragg_hybrid.base.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

Three = tuple[float, float, float]


class CellAndMisset(NamedTuple):
    """Lengths in angstrom, angles and missetting angles in degrees."""

    cell_angstrom: Three
    cell_deg: Three
    misset_deg: Three


def cell_and_misset(
    matrix: Sequence[float], misset_deg: Three, wavelength_angstrom: float
) -> CellAndMisset:
    """The same crystal without a matrix.

    matrix: nine numbers, row by row, whose columns are a*, b*, c* in 1/angstrom times the
    wavelength.  misset_deg: turns them.  Lengths and angles are rounded to 1e-9, so that equal ones
    of a crystal system are equal.  Raises `ConfigError` for vectors that are left-handed or in a
    plane.
    """
    import numpy as np

    reciprocal = np.reshape(np.array(matrix, dtype=np.float64), (3, 3)) / wavelength_angstrom
    reciprocal = _rotation(misset_deg) @ reciprocal
    lengths = np.linalg.norm(reciprocal, axis=0)
    volume = float(np.linalg.det(reciprocal))
    if not volume > 1e-9 * float(np.prod(lengths)):
        rule = "right-handed a*, b*, c* that do not lie in a plane"
        raise ConfigError("crystal.orientation_matrix", tuple(matrix), rule)
    real = np.linalg.inv(reciprocal)  # rows a, b, c
    edges = np.linalg.norm(real, axis=1)
    unit = real / edges[:, None]
    cosines = (unit[1] @ unit[2], unit[2] @ unit[0], unit[0] @ unit[1])
    angles = [math.degrees(math.acos(max(-1.0, min(1.0, float(c))))) for c in cosines]
    cell = [round(float(edge), 9) for edge in edges]
    alpha, beta, gamma = (round(angle, 9) for angle in angles)
    turn = reciprocal @ np.linalg.inv(_standing(cell, (alpha, beta, gamma)))
    left, _, right = np.linalg.svd(turn)
    return CellAndMisset(
        (cell[0], cell[1], cell[2]), (alpha, beta, gamma), _angles_of(left @ right)
    )


def _rotation(angles_deg: Three) -> Any:
    """About x, then y, then z."""
    import numpy as np

    x, y, z = (math.radians(angle) for angle in angles_deg)
    about_x = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_z = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def _angles_of(turn: Any) -> Three:
    """The missetting angles of a rotation; y in [-90, 90]."""
    y = math.atan2(-turn[2, 0], math.hypot(turn[2, 1], turn[2, 2]))
    if math.hypot(turn[2, 1], turn[2, 2]) < 1e-12:  # x and z are about one axis
        x, z = 0.0, math.atan2(-turn[0, 1], turn[1, 1])
    else:
        x, z = math.atan2(turn[2, 1], turn[2, 2]), math.atan2(turn[1, 0], turn[0, 0])
    return math.degrees(x), math.degrees(y), math.degrees(z)


def _standing(cell: Sequence[float], angles_deg: Three) -> Any:
    """a*, b*, c* as columns, 1/angstrom, of a crystal that is not turned: a* along x, b* in the
    plane of x and y (model 4.1)."""
    import numpy as np

    a, b, c = cell
    ca, cb, cg = (math.cos(math.radians(angle)) for angle in angles_deg)
    sa, sb, sg = (math.sin(math.radians(angle)) for angle in angles_deg)
    volume = a * b * c * math.sqrt(1.0 - ca * ca - cb * cb - cg * cg + 2.0 * ca * cb * cg)
    a_star, b_star, c_star = b * c * sa / volume, c * a * sb / volume, a * b * sg / volume
    cos_gamma, cos_beta = (ca * cb - cg) / (sa * sb), (ca * cg - cb) / (sa * sg)
    sin_gamma = math.sqrt(1.0 - cos_gamma * cos_gamma)
    cos_alpha = (cb * cg - ca) / (sb * sg)
    across = c_star * (cos_alpha - cos_beta * cos_gamma) / sin_gamma
    along = 1.0 / c
    return np.array(
        [
            [a_star, b_star * cos_gamma, c_star * cos_beta],
            [0.0, b_star * sin_gamma, across],
            [0.0, 0.0, along],
        ]
    )
