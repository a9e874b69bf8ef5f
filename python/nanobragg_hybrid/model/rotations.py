"""Orientations of a crystal's domains, given one by one (model 5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nanobragg_hybrid.base.arrays import refuse_masked
from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.model.validate import FINITE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

TOLERANCE: Final = 1e-6
"""How far from a rotation a matrix may be, in each element of its product with its transpose."""

_ROUNDING: Final = 1e-14
"""A matrix so near to a rotation is stored as it is."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rotations:
    """Rotations with weights, for instance `Crystal.mosaic_rotations`.

    >>> import nanobragg_hybrid as nb
    >>> three = nb.Rotations.from_vectors([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]], weights=[2, 1, 1])
    >>> three.matrices.shape
    (3, 3, 3)

    matrices: proper rotations to 1e-6, shape (n, 3, 3), at least one.  Row i of U v has component
        i, x y z of the laboratory, of what v becomes.  Stored as float64; a matrix that is not a
        rotation to 1e-14 is replaced by the nearest one, so that files with a few digits will do.
    weights: relative weights, >= 0, with a finite sum > 0, shape (n,); None (default): all alike.
        Stored as float64, 1 each where none are given.

    Both are read-only arrays.  Two are equal if their values are.  Raises `ConfigError`
    (``rotations.matrices``, ``rotations.weights``).
    """

    matrices: Floats
    weights: Floats

    def __init__(self, matrices: ArrayLike, weights: ArrayLike | None = None) -> None:
        given = _array("rotations.matrices", matrices, "finite numbers of shape (n, 3, 3)", (3, 3))
        stored = _nearest_rotations(given)
        own = _weights(weights, len(stored))
        for name, array in (("matrices", stored), ("weights", own)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @classmethod
    def from_vectors(cls, vectors_deg: ArrayLike, weights: ArrayLike | None = None) -> Rotations:
        """Rotations by vectors: axis times angle, degrees, right-handed, shape (n, 3).

        Raises `ConfigError` (``rotations.vectors_deg``, ``rotations.weights``).
        """
        rule = "finite numbers of shape (n, 3)"
        vectors = _array("rotations.vectors_deg", vectors_deg, rule, (3,))
        import numpy as np

        return cls(_matrices_of(np.deg2rad(vectors)), weights)

    def __len__(self) -> int:
        return len(self.matrices)

    @property
    def vectors_deg(self) -> Floats:
        """Axis times angle of each rotation, degrees, shape (n, 3); angles are at most 180."""
        import numpy as np

        axes, angles = axes_and_angles(self.matrices)
        return axes * np.rad2deg(angles)[:, None]

    def scaled(self, factor: float) -> Rotations:
        """Rotations about the same axes, by angles times a factor, with the same weights.

        Raises `ConfigError` (``factor``) for a factor that is not finite, or by which an angle is
        not.
        """
        import numpy as np

        try:
            factor = FINITE.normalise(factor)
        except ValueError:
            raise ConfigError("factor", factor, FINITE.text) from None
        axes, angles = axes_and_angles(self.matrices)
        with np.errstate(over="ignore"):
            angles = factor * angles
        if not np.isfinite(angles).all():
            raise ConfigError("factor", factor, "a number by which every angle stays finite")
        return Rotations(_matrices_of(axes * angles[:, None]), self.weights)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: nine numbers for each matrix, row by row, and the weights."""
        rows = self.matrices.reshape(-1, 9).tolist()
        return {"matrices": rows, "weights": self.weights.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Rotations:
        """The inverse of `to_dict`; ConfigError if `data` is no such thing."""
        path = "crystal.mosaic_rotations"
        is_mapping: bool = isinstance(data, Mapping)
        if not is_mapping or set(data) != {"matrices", "weights"}:
            raise ConfigError(path, data, "a mapping with the keys matrices and weights")
        rows = _array(f"{path}.matrices", data["matrices"], "rows of nine finite numbers", (9,))
        return cls(rows.reshape(-1, 3, 3), data["weights"])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rotations):
            return NotImplemented
        import numpy as np

        return np.array_equal(self.matrices, other.matrices) and np.array_equal(
            self.weights, other.weights
        )

    def __hash__(self) -> int:
        # 0.0 and -0.0 are equal
        return hash(((self.matrices + 0.0).tobytes(), (self.weights + 0.0).tobytes()))

    def __repr__(self) -> str:
        largest = float(axes_and_angles(self.matrices)[1].max())
        return f"Rotations({len(self)}, by up to {largest * 57.29577951308232:.3g} deg)"

    def __reduce__(self) -> tuple[type[Rotations], tuple[Floats, Floats]]:
        return Rotations, (self.matrices, self.weights)


def axes_and_angles(matrices: Floats) -> tuple[Floats, Floats]:
    """Unit vectors, shape (n, 3), and angles from 0 to pi, shape (n,), of rotations.

    By way of unit quaternions, of which the largest component is found first, so that no angle
    loses digits (Shepperd, J. Guidance and Control 1 (1978) 223).  The axis of no rotation is z.
    """
    import numpy as np

    m = matrices
    trace = m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]
    squares = np.stack([trace, m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]], axis=1)
    largest = squares.argmax(axis=1)
    # Four times the products of the quaternion's components w, x, y, z with each other.
    wx, wy, wz = (m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1])
    xy, xz, yz = (m[:, 0, 1] + m[:, 1, 0], m[:, 0, 2] + m[:, 2, 0], m[:, 1, 2] + m[:, 2, 1])
    diagonal = 1.0 + 2.0 * squares - trace[:, None]
    diagonal[:, 0] = 1.0 + trace
    ww, xx, yy, zz = diagonal.T
    rows = np.stack(
        [
            np.stack([ww, wx, wy, wz], axis=1),
            np.stack([wx, xx, xy, xz], axis=1),
            np.stack([wy, xy, yy, yz], axis=1),
            np.stack([wz, xz, yz, zz], axis=1),
        ],
        axis=1,
    )
    chosen = rows[np.arange(len(m)), largest]
    chosen = np.where(chosen[:, :1] < 0.0, -chosen, chosen)
    sines = np.sqrt((chosen[:, 1:] ** 2).sum(axis=1))
    angles = 2.0 * np.arctan2(sines, chosen[:, 0])
    axes = chosen[:, 1:] / np.where(sines > 0.0, sines, 1.0)[:, None]
    axes[sines == 0.0] = (0.0, 0.0, 1.0)
    return axes, angles


def _matrices_of(vectors: Floats) -> Floats:
    """Matrices of rotation vectors, radians, shape (n, 3) to (n, 3, 3) (Rodrigues)."""
    import numpy as np

    angle = np.hypot(np.hypot(vectors[:, 0], vectors[:, 1]), vectors[:, 2])  # any finite one
    x, y, z = (vectors / np.where(angle > 0.0, angle, 1.0)[:, None]).T
    c, s = np.cos(angle), np.sin(angle)
    t = 2.0 * np.sin(angle / 2.0) ** 2
    rows = [
        [c + t * x * x, t * x * y - s * z, t * x * z + s * y],
        [t * x * y + s * z, c + t * y * y, t * y * z - s * x],
        [t * x * z - s * y, t * y * z + s * x, c + t * z * z],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def _array(field: str, value: ArrayLike, rule: str, shape: tuple[int, ...]) -> Floats:
    """A float64 array of its own of shape (n, *shape), n >= 1, finite."""
    import numpy as np

    refuse_masked(field, value)
    try:
        array = np.asarray(value)
    except ValueError:  # rows of several lengths
        array = np.asarray(None)
    if array.ndim != 1 + len(shape) or array.shape[1:] != shape or array.size == 0:
        raise ConfigError(field, Description(f"{array.dtype} of shape {array.shape}"), rule)
    if array.dtype.kind not in "iuf":
        raise ConfigError(field, Description(f"{array.dtype}"), rule)
    stored = np.array(array, dtype=np.float64, order="C")
    if not np.isfinite(stored).all():
        where = np.argwhere(~np.isfinite(stored))[0].tolist()
        found = Description(f"{stored[tuple(where)]} at {where}")
        raise ConfigError(field, found, rule)
    return stored


def _weights(weights: ArrayLike | None, count: int) -> Floats:
    import numpy as np

    field, rule = "rotations.weights", f"{count} finite values >= 0, one for each rotation"
    if weights is None:
        return np.ones(count)
    stored = _array(field, weights, rule, ())
    if len(stored) != count:
        raise ConfigError(field, Description(f"{len(stored)} of them"), rule)
    if (stored < 0.0).any():
        first = int(np.flatnonzero(stored < 0.0)[0])
        raise ConfigError(field, Description(f"{stored[first]:g} at [{first}]"), rule)
    with np.errstate(over="ignore"):
        total = stored.sum()
    if not 0.0 < total < np.inf:
        raise ConfigError(field, Description(f"weights whose sum is {total:g}"), "a sum > 0")
    return stored


def _nearest_rotations(matrices: Floats) -> Floats:
    """The matrices, each replaced by the nearest rotation unless it is one up to rounding."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(matrices @ np.swapaxes(matrices, 1, 2) - np.eye(3)).max(axis=(1, 2))
        wrong = np.flatnonzero(~((error <= TOLERANCE) & (np.linalg.det(matrices) > 0.0)))
    if len(wrong):
        first = int(wrong[0])
        off = f"off by {error[first]:.3g}" if error[first] > TOLERANCE else "a mirror image"
        found = Description(f"matrix [{first}], which is {off}")
        raise ConfigError("rotations.matrices", found, f"proper rotations to {TOLERANCE:g}")
    rough = error > _ROUNDING
    if rough.any():
        left, _, right = np.linalg.svd(matrices[rough])
        matrices[rough] = left @ right
    return matrices
