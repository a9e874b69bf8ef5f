"""Vectors of three components as tuples, and rotations of them, for files of geometry."""

from __future__ import annotations

import math
from collections.abc import Sequence

Vector = tuple[float, float, float]
Rows = tuple[Vector, Vector, Vector]
"""A 3 x 3 matrix, row by row."""

UNIT_ROWS: Rows = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def three(values: Sequence[float]) -> Vector:
    """Three numbers as a vector; a zero has no sign."""
    x, y, z = values
    return x + 0.0, y + 0.0, z + 0.0


def dot(v: Vector, w: Vector) -> float:
    """The scalar product."""
    return v[0] * w[0] + v[1] * w[1] + v[2] * w[2]


def cross(v: Vector, w: Vector) -> Vector:
    """The vector product (model 1)."""
    return (
        v[1] * w[2] - v[2] * w[1],
        v[2] * w[0] - v[0] * w[2],
        v[0] * w[1] - v[1] * w[0],
    )


def plus(*vectors: Vector) -> Vector:
    """The sum."""
    return three([math.fsum(parts) for parts in zip(*vectors, strict=True)])


def times(factor: float, v: Vector) -> Vector:
    """Each component times a factor."""
    return three([factor * x for x in v])


def length(v: Vector) -> float:
    """The length."""
    return math.hypot(*v)


def unit(v: Vector) -> Vector:
    """The direction; a vector that is as long as 1 already to 1e-15 stays as it is.

    The vector must not be 0 and its components finite.
    """
    largest = max(map(abs, v))
    scaled = v if 1e-100 < largest < 1e100 else times(1.0 / largest, v)
    size = length(scaled)
    return three(v) if abs(size - 1.0) <= 1e-15 and scaled is v else times(1.0 / size, scaled)


def angle_deg(v: Vector, w: Vector) -> float:
    """The angle between two directions, 0 to 180 degrees."""
    return math.degrees(math.atan2(length(cross(v, w)), dot(v, w)))


def transposed(rows: Rows) -> Rows:
    """Columns for rows."""
    x, y, z = (three(column) for column in zip(*rows, strict=True))
    return x, y, z


def applied(rows: Rows, v: Vector) -> Vector:
    """A matrix times a vector."""
    return three([dot(row, v) for row in rows])


def product(*matrices: Rows) -> Rows:
    """The product of matrices, of which the last acts first."""
    result = UNIT_ROWS
    for matrix in matrices:
        x, y, z = (applied(transposed(matrix), row) for row in result)
        result = (x, y, z)
    return result


def rotation(axis: Vector, angle_deg: float) -> Rows:
    """The right-handed rotation about an axis, which need not be as long as 1 (model 1)."""
    if angle_deg == 0.0:
        return UNIT_ROWS
    k, angle = unit(axis), math.radians(angle_deg)
    cosine, sine = math.cos(angle), math.sin(angle)
    columns = [
        plus(times(cosine, e), times(sine, cross(k, e)), times((1.0 - cosine) * dot(k, e), k))
        for e in UNIT_ROWS
    ]
    x, y, z = columns
    return transposed((x, y, z))


def is_rotation(rows: Rows, tolerance: float = 1e-4) -> bool:
    """Whether a matrix turns without stretching or mirroring, to within a tolerance."""
    by_itself = product(rows, transposed(rows))
    right = all(
        abs(value - expected) <= tolerance
        for row, unit_row in zip(by_itself, UNIT_ROWS, strict=True)
        for value, expected in zip(row, unit_row, strict=True)
    )
    return right and dot(cross(rows[0], rows[1]), rows[2]) > 0.0


def reciprocal(a: Vector, b: Vector, c: Vector) -> Rows | None:
    """a*, b*, c* of three vectors; None where they lie in a plane or are out of all proportion."""
    largest = max(map(abs, (*a, *b, *c)))
    if not 1e-60 < largest < 1e60:
        return None
    volume = dot(a, cross(b, c))
    if abs(volume) <= 1e-12 * length(a) * length(b) * length(c):
        return None
    return (
        times(1.0 / volume, cross(b, c)),
        times(1.0 / volume, cross(c, a)),
        times(1.0 / volume, cross(a, b)),
    )


def near_point(origin: Vector, fast: Vector, slow: Vector) -> Vector:
    """The point of a plane that is nearest to the sample.

    origin: a point of the plane; fast, slow: unit vectors in it.  How far the near point is from
    the origin along fast and slow, and its distance from the sample along fast x slow.
    """
    normal = unit(cross(fast, slow))
    cosine = dot(fast, slow)
    by_fast, by_slow = -dot(origin, fast), -dot(origin, slow)
    sine_sqr = 1.0 - cosine * cosine
    return (
        (by_fast - cosine * by_slow) / sine_sqr,
        (by_slow - cosine * by_fast) / sine_sqr,
        dot(origin, normal),
    )
