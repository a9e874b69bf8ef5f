"""The quotients of the fast kernel (docs/accuracy.md) have the bits of division.

A fused multiply-add is a fraction that is rounded once.
"""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

LARGEST = 2.0 - 2.0**-52


def fused(a: float, b: float, c: float) -> float:
    """a b + c, rounded once."""
    return float(Fraction(a) * Fraction(b) + Fraction(c))


def quotient(a: float, b: float) -> float:
    """As in csrc/src/fast_lanes.h, but for the sign of zero."""
    per_b = 1.0 / b
    q = a * per_b
    return fused(-fused(q, b, -a), per_b, q)


def _below(x: float, steps: int) -> float:
    for _ in range(steps):
        x = math.nextafter(x, 0.0)
    return x


def _pairs() -> list[tuple[float, float]]:
    edges = [_below(2.0, n) for n in range(1, 40)] + [1.0 + n * 2.0**-52 for n in range(40)]
    corners = [(a, b) for a in edges for b in edges]
    rng = random.Random(1)
    some = [(rng.uniform(1.0, 2.0), rng.uniform(1.0, 2.0)) for _ in range(10000)]
    near = [(_below(b, rng.randrange(1, 1000)), b) for _, b in some[:3000]]
    # quotients next to a boundary between two doubles: a is the double nearest to b times it
    boundaries = [(b * (1.0 + rng.randrange(2**20) * 2.0**-52 + 2.0**-53), b) for _, b in some]
    return corners + some + near + boundaries


def test_bits_of_division() -> None:
    wrong = [(a.hex(), b.hex()) for a, b in _pairs() if quotient(a, b) != a / b]
    assert wrong == []


def test_the_product_alone_is_not_enough() -> None:
    """The check itself: without the correction many quotients are wrong."""
    pairs = _pairs()
    wrong = sum(a * (1.0 / b) != a / b for a, b in pairs)
    assert wrong > len(pairs) // 10


@pytest.mark.parametrize("exponent", [-150, 150])
def test_ends_of_the_range(exponent: int) -> None:
    scale = 2.0**exponent
    for a, b in ((LARGEST, 1.5), (1.0, LARGEST), (1.25, _below(2.0, 3))):
        assert quotient(a * scale, b / scale) == (a * scale) / (b / scale)
