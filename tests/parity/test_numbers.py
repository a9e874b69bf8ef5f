"""How far numbers and vectors are apart."""

from __future__ import annotations

import math

from for_each import for_each

from nanobragg_hybrid.compare.numbers import Distance, distance

INF, NAN = math.inf, math.nan
NOTHING = Distance(0.0, 0.0, 0.0)
INFINITE = Distance(INF, INF, INF)


@for_each(
    "a, b",
    [
        ((1.5,), (1.5,)),
        ((0.0,), (-0.0,)),
        ((NAN,), (NAN,)),
        ((INF, -INF), (INF, -INF)),
        ((NAN, 1.0), (NAN, 1.0)),
        ((), ()),
    ],
)
def test_no_difference(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    assert distance(a, b) == NOTHING


@for_each(
    "a, b",
    [
        ((1.0,), (NAN,)),
        ((NAN,), (0.0,)),
        ((INF,), (-INF,)),
        ((INF,), (1e308,)),
        ((NAN, 1.0), (1.0, NAN)),
        ((1.0, 2.0), (1.0,)),
        ((1.7e308,), (-1.7e308,)),
    ],
)
def test_infinite_difference(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    assert distance(a, b) == INFINITE
    assert distance(b, a) == INFINITE


def test_numbers_differ_relative_to_the_greater() -> None:
    assert distance((2.0,), (1.0,)) == (1.0, 0.5, 1.0 / math.ulp(2.0))
    assert distance((1.0,), (0.0,)) == (1.0, 1.0, 1.0 / math.ulp(1.0))
    assert distance((1.0,), (-1.0,)).relative == 2.0


def test_neighbours_are_one_ulp_apart() -> None:
    assert distance((1.5,), (math.nextafter(1.5, 2.0),)).ulps == 1.0
    assert distance((0.0,), (math.nextafter(0.0, 1.0),)) == (5e-324, 1.0, 1.0)


def test_vectors_differ_relative_to_the_longer() -> None:
    assert distance((3.0, 4.0), (3.0, 4.5)) == (
        0.5,
        0.5 / math.hypot(3.0, 4.5),
        0.5 / math.ulp(5.0),
    )
    small = distance((1.0, 1e-20), (1.0, 2e-20))  # rounding of 1 hides the second component
    assert small.relative == 1e-20
    assert small.ulps < 1e-4


def test_a_pair_of_nan_hides_nothing_beside_it() -> None:
    assert distance((NAN, 3.0), (NAN, 4.0)) == (1.0, 0.25, 1.0 / math.ulp(4.0))
