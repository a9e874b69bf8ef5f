"""Rotations of arrays of vectors about axes, with their derivatives, in numpy.

The values are those of `vectors`, operation by operation.  Derivatives are of the matrix
R = c 1 + (1 - c) k kT + s K with K v = k x v, for the axis k as it is: no unit vector is assumed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.engines.torch.arithmetic.vectors import rot_axis, rot_mat, rotation_about

Array = NDArray[np.float64]

_ONE: Final = np.eye(3)
_CROSS: Final = np.array(
    [
        [[0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]],
        [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 0.0]],
        [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    ]
).reshape(3, 9)
"""K = k_x CROSS[0] + k_y CROSS[1] + k_z CROSS[2], each written as one row."""


def turned_about(vectors: Array, axis: Array, angles: Array) -> Array:
    """`rot_axis`: vectors of shape (..., 3), angles that broadcast with (...)."""
    parts: Any = (vectors[..., 0], vectors[..., 1], vectors[..., 2])
    k: Any = tuple(axis.tolist())
    phi: Any = angles
    return _joined(rot_axis(parts, k, phi))


def turned_by(vectors: Array, matrices: Array) -> Array:
    """`rot_mat`: vectors of shape (..., 3), matrices that broadcast with (..., 3, 3)."""
    parts: Any = (vectors[..., 0], vectors[..., 1], vectors[..., 2])
    rows: Any = tuple(tuple(matrices[..., i, j] for j in range(3)) for i in range(3))
    return _joined(rot_mat(parts, rows))


def _joined(parts: Any) -> Array:
    """Vectors from three components of one shape."""
    vectors = np.empty((*parts[0].shape, 3))
    for axis, part in enumerate(parts):
        vectors[..., axis] = part
    return vectors


def matrices_about(axes: Array, angles: Array) -> Array:
    """`rotation_about`: axes of shape (n, 3), angles (n,); the result has shape (n, 3, 3)."""
    k: Any = (axes[:, 0], axes[:, 1], axes[:, 2])
    phi: Any = angles
    matrices = np.empty((len(axes), 3, 3))
    for i, row in enumerate(rotation_about(k, phi)):
        for j, entry in enumerate(row):
            matrices[:, i, j] = entry
    return matrices


def slopes_by_angle(axes: Array, angles: Array) -> Array:
    """Derivative of the rotation matrices with respect to their angles, shape (..., 3, 3).

    axes: shape (..., 3).  angles: shape (..., n).
    """
    return _combined(axes, -np.sin(angles), np.sin(angles), np.cos(angles))


def _combined(axes: Array, of_one: Array, of_outer: Array, of_cross: Array) -> Array:
    """a 1 + b k kT + c K, shape (..., 3, 3); axes of shape (3,) or (..., 3)."""
    outer = axes[..., :, None] * axes[..., None, :]
    crossed = (axes @ _CROSS).reshape(*axes.shape[:-1], 3, 3)
    matrices: Array = of_one[..., None, None] * _ONE
    matrices += of_outer[..., None, None] * outer
    matrices += of_cross[..., None, None] * crossed
    return matrices


class AxisRotations:
    """Rotations about one axis, shape (3,), by angles of shape (n,)."""

    def __init__(self, axis: Array, angles: Array) -> None:
        self._axis = axis
        self._sin, self._cos = np.sin(angles), np.cos(angles)
        self._one_less_cos = 1.0 - self._cos

    def matrices(self) -> Array:
        """Shape (n, 3, 3)."""
        return _combined(self._axis, self._cos, self._one_less_cos, self._sin)

    def slopes(self) -> Array:
        """Of the matrices by the angles, shape (n, 3, 3)."""
        return _combined(self._axis, -self._sin, self._sin, self._cos)

    def gradient_by_angles(self, products: Array) -> Array:
        """From the sums v gT over what each rotation turned (v) and the gradient by what it gave
        (g), shape (n, 3, 3); the result has shape (n,)."""
        by_angles: Array = np.einsum("nij,nji->n", products, self.slopes())
        return by_angles

    def gradient_by_axis(self, products: Array) -> Array:
        """From the same sums, shape (3,)."""
        flat = products.reshape(-1, 9)
        even = (self._one_less_cos @ flat).reshape(3, 3)
        odd = (self._sin @ flat).tolist()
        by_axis: Array = (even + even.T) @ self._axis
        by_axis += (odd[5] - odd[7], odd[6] - odd[2], odd[1] - odd[3])
        return by_axis

    def tangents(self, by_axis: Array, by_angle: Array) -> Array:
        """Of the matrices, shape (p, n, 3, 3), for axis tangents (p, 3), angle tangents (p, n)."""
        outer = by_axis[:, :, None] * self._axis
        even = (outer + np.swapaxes(outer, 1, 2))[:, None]
        odd = (by_axis @ _CROSS).reshape(-1, 1, 3, 3)
        tangents: Array = even * self._one_less_cos[:, None, None]
        tangents = tangents + odd * self._sin[:, None, None]
        return tangents + by_angle[:, :, None, None] * self.slopes()
