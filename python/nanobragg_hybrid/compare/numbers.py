"""How far two numbers or vectors are apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

FLOAT32_STEP: Final = 2.0**-23
"""The spacing of 32-bit floats, over their size at its largest."""
FLOAT32_ULP: Final = 2.0**29
"""A unit in the last place of a 32-bit float, in those of a 64-bit float."""


class Distance(NamedTuple):
    """Between two vectors of the same dimension; a number is a vector of one.

    absolute: the length of their difference.  relative: that over the greater length of the two.
    ulps: that in units of the last place of the greater length.  0 and -0 do not differ, nor do two
    NaN in the same place or two equal infinities; any other pair with one of these is infinitely
    far apart.
    """

    absolute: float
    relative: float
    ulps: float


def distance(a: Sequence[float], b: Sequence[float]) -> Distance:
    """How far `a` and `b` are apart; infinitely if they have different dimensions."""
    if len(a) != len(b):
        return Distance(math.inf, math.inf, math.inf)
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if not _same(x, y)]
    if not pairs:
        return Distance(0.0, 0.0, 0.0)
    if not all(math.isfinite(x) and math.isfinite(y) for x, y in pairs):
        return Distance(math.inf, math.inf, math.inf)
    absolute = math.hypot(*(x - y for x, y in pairs))
    length = max(_finite_length(a), _finite_length(b))
    if not math.isfinite(absolute) or not math.isfinite(length):
        return Distance(math.inf, math.inf, math.inf)
    return Distance(absolute, absolute / length, absolute / math.ulp(length))


def _same(x: float, y: float) -> bool:
    return x == y or (math.isnan(x) and math.isnan(y))


def _finite_length(vector: Sequence[float]) -> float:
    return math.hypot(*(x for x in vector if math.isfinite(x)))
