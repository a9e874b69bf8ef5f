"""Random numbers and rotations: model 7.1 to 7.3, in the set-up's order (7.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.engines.torch.arithmetic.scalars import as_float
from nanobragg_hybrid.engines.torch.arithmetic.vectors import Matrix

_MODULUS: Final = 2147483647
_MULTIPLIER: Final = 16807
_TABLE: Final = 32
_DIVISOR: Final = 1 + (_MODULUS - 1) // _TABLE
_LARGEST: Final = 1.0 - 1.2e-7


@dataclass(slots=True)
class Shuffle:
    """The shuffle table that all streams use (model 7.1).

    drops_first: whether the deviate after filling it is dropped (first_deviate off).
    """

    drops_first: bool = False
    table: list[int] = field(default_factory=list)
    last: int = 0


class Stream:
    """Uniform deviates from the seed that a user gives, which is stored as its negative."""

    def __init__(self, shuffle: Shuffle, user_seed: int) -> None:
        self._shuffle = shuffle
        self._seed = (-user_seed + 2**31) % 2**32 - 2**31

    def uniform(self, count: int) -> NDArray[np.float64]:
        """`count` deviates in (0, 1), shape (count,): float32 numbers as float64."""
        shuffle, s = self._shuffle, self._seed
        drawn = np.empty(count, dtype=np.int64)
        for n in range(count):
            if s <= 0 or not shuffle.table:
                s = self._start(-s if -(2**31) < s < 0 else 1)
                if shuffle.drops_first:
                    s = self._next(s)
            s = self._next(s)
            drawn[n] = shuffle.last
        self._seed = s
        deviates = (1.0 / _MODULUS * drawn).astype(np.float32)
        largest = np.float32(_LARGEST)
        return np.where(deviates > _LARGEST, largest, deviates).astype(np.float64)

    def _next(self, s: int) -> int:
        """The state after one deviate, which is the shuffle's last."""
        shuffle = self._shuffle
        s = s * _MULTIPLIER % _MODULUS
        index = shuffle.last // _DIVISOR
        shuffle.last = shuffle.table[index]
        shuffle.table[index] = s
        return s

    def _start(self, s: int) -> int:
        """Forty steps, of which the last 32 fill the table from its end."""
        steps = []
        for _ in range(_TABLE + 8):
            s = s * _MULTIPLIER % _MODULUS
            steps.append(s)
        self._shuffle.table = steps[:7:-1]
        self._shuffle.last = self._shuffle.table[0]
        return s


@dataclass(frozen=True, slots=True, eq=False)
class RandomRotations:
    """Rotations about random axes (model 7.2).

    axes: unit vectors, shape (n, 3).  angle_per_spread: angle over spread, shape (n,), float32
    numbers.
    """

    axes: NDArray[np.float64]
    angle_per_spread: NDArray[np.float32]

    def angles(self, spread_rad: float) -> NDArray[np.float64]:
        """The angles, radians: products of float32 numbers, rounded to float32."""
        return (np.float32(spread_rad) * self.angle_per_spread).astype(np.float64)


def random_rotations(stream: Stream, count: int) -> RandomRotations:
    """The next `count` rotations of a stream, three deviates each."""
    r1, r2, r3 = (2.0 * stream.uniform(3 * count) - 1.0).reshape(count, 3).T
    xy = np.sqrt(1.0 - r2 * r2)
    axes = np.stack([xy * np.sin(math.pi * r1), xy * np.cos(math.pi * r1), r2], axis=-1)
    # powf: a float32 argument and a float32 exponent; the result is rounded once.
    base = (1.0 - r3 * r3).astype(np.float32).astype(np.float64)
    power = base ** float(np.float32(1.0 / 3.0))
    return RandomRotations(axes, power.astype(np.float32))


def uniform_rotation(stream: Stream) -> Matrix:
    """A rotation from the next three deviates, all rotations being equally likely (Shoemake)."""
    u1, u2, u3 = (float(u) for u in stream.uniform(3))
    across, along = math.sqrt(1.0 - u1), math.sqrt(u1)
    x, y = across * math.sin(2.0 * math.pi * u2), across * math.cos(2.0 * math.pi * u2)
    z, w = along * math.sin(2.0 * math.pi * u3), along * math.cos(2.0 * math.pi * u3)
    return (
        (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)),
        (2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)),
        (2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)),
    )


def rotation_angles(matrix: Matrix) -> tuple[float, float, float]:
    """Angles about x, y, z, radians, of a rotation matrix of floats (model 7.3)."""
    rows = [[as_float(x) for x in row] for row in matrix]
    for _ in range(2):
        lengths = [math.sqrt(x * x + y * y + z * z) for x, y, z in rows]
        rows = [[x / length for x in row] for row, length in zip(rows, lengths, strict=True)]
    u11, u12, _ = rows[0]
    u21, u22, _ = rows[1]
    u31, u32, u33 = rows[2]
    if u31 * u31 < 1.0:
        return (
            math.atan2(u32, u33),
            math.atan2(-u31, math.sqrt(u32 * u32 + u33 * u33)),
            math.atan2(u21, u11),
        )
    return math.atan2(1, 1) * 4, math.atan2(1, 1) * 2, math.atan2(u12, -u22)
