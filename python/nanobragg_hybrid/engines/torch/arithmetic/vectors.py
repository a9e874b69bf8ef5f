"""Vector primitives of model 1.

A vector is a tuple of three components, each a float or a tensor of any shape; operations go
component by component in the model's order, without matrix products, so that float64 results
agree with the model's arithmetic to the last bit wherever sine and cosine do.
"""

from __future__ import annotations

from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.scalars import (
    Scalar,
    chosen,
    cos,
    is_zero,
    sin,
    sqrt,
)

Vector = tuple[Scalar, Scalar, Scalar]
Matrix = tuple[Vector, Vector, Vector]
"""Three rows."""


def dot(x: Vector, y: Vector) -> Scalar:
    """Scalar product."""
    return x[0] * y[0] + x[1] * y[1] + x[2] * y[2]


def mag(v: Vector) -> Scalar:
    """Length; its derivative at the zero vector is 0."""
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])


def unit(v: Vector) -> Vector:
    """v divided by its length; the zero vector, with zero derivative, if that is 0."""
    length = mag(v)
    nowhere = is_zero(length)  # as the length of a tiny vector is: its squares are 0
    length = chosen(nowhere, 1.0, length)
    x, y, z = (chosen(nowhere, 0.0, component / length) for component in v)
    return x, y, z


def cross(x: Vector, y: Vector) -> Vector:
    """Vector product."""
    return (
        x[1] * y[2] - x[2] * y[1],
        x[2] * y[0] - x[0] * y[2],
        x[0] * y[1] - x[1] * y[0],
    )


def scale(v: Vector, s: Scalar) -> Vector:
    """s times v."""
    return s * v[0], s * v[1], s * v[2]


def rescale(v: Vector, length: Scalar) -> Vector:
    """v with another length."""
    own = mag(v)
    own = chosen(is_zero(own), 1.0, own)
    return length / own * v[0], length / own * v[1], length / own * v[2]


def rot_xyz(v: Vector, angles: Vector) -> Vector:
    """v turned about x, then y, then z by `angles` in radians.

    The model skips a rotation by 0; here it is done, with the same result, so that there is a
    derivative.
    """
    x, y, z = v
    c, s = cos(angles[0]), sin(angles[0])
    y, z = y * c + z * (-s), y * s + z * c
    c, s = cos(angles[1]), sin(angles[1])
    x, z = x * c + y * 0.0 + z * s, x * (-s) + y * 0.0 + z * c
    c, s = cos(angles[2]), sin(angles[2])
    x, y = x * c + y * (-s), x * s + y * c
    return x, y, z


def rot_axis(v: Vector, axis: Vector, phi: Scalar) -> Vector:
    """v turned about a unit vector by phi in radians."""
    s, c = sin(phi), cos(phi)
    v1, v2, v3 = v
    k1, k2, k3 = axis
    d = (k1 * v1 + k2 * v2 + k3 * v3) * (1.0 - c)
    return (
        k1 * d + v1 * c + (-k3 * v2 + k2 * v3) * s,
        k2 * d + v2 * c + (k3 * v1 - k1 * v3) * s,
        k3 * d + v3 * c + (-k2 * v1 + k1 * v2) * s,
    )


def rot_mat(v: Vector, rows: Matrix) -> Vector:
    """The matrix with these rows times v."""
    return dot(rows[0], v), dot(rows[1], v), dot(rows[2], v)


def negative(v: Vector) -> Vector:
    """The opposite vector."""
    return -v[0], -v[1], -v[2]


def minus(x: Vector, y: Vector) -> Vector:
    """x - y."""
    return x[0] - y[0], x[1] - y[1], x[2] - y[2]


def rotation_about(axis: Vector, angle: Scalar) -> Matrix:
    """The matrix of a rotation about a unit vector by `angle` in radians (model 7.2)."""
    v1, v2, v3 = axis
    t1, t8 = cos(angle), sin(angle)
    t2 = 1.0 - t1
    t6 = t2 * v1
    t7, t9, t11 = t6 * v2, t8 * v3, t6 * v3
    t12, t19, t20 = t8 * v2, t2 * v2 * v3, t8 * v1
    return (
        (t1 + t2 * (v1 * v1), t7 - t9, t11 + t12),
        (t7 + t9, t1 + t2 * (v2 * v2), t19 - t20),
        (t11 - t12, t19 + t20, t1 + t2 * (v3 * v3)),
    )


def as_tensor(component: Scalar) -> Tensor:
    """A component of a vector that has tensors."""
    assert isinstance(component, Tensor)
    return component
