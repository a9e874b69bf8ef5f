"""Regions and pictures."""

from __future__ import annotations

import numpy as np
import pytest

from nanobragg_hybrid import ConfigError
from nanobragg_hybrid.compare.images import Region, difference_picture, reduced, signed_difference

F = np.float32
PIXELS = np.arange(20, dtype=F).reshape(4, 5)


def test_region_has_both_ends() -> None:
    assert Region(1, 2, 3, 3).of(PIXELS).tolist() == [[16.0, 17.0]]
    assert Region.whole(PIXELS.shape) == (0, 4, 0, 3)
    assert np.array_equal(Region.whole(PIXELS.shape).of(PIXELS), PIXELS)


@pytest.mark.parametrize("region", [(0, 5, 0, 3), (0, 4, 0, 4), (-1, 2, 0, 3), (3, 2, 0, 3)])
def test_region_outside_is_refused(region: tuple[int, int, int, int]) -> None:
    with pytest.raises(ConfigError, match=r"roi: got fast .*, need fast within 0 to 4 and slow"):
        Region(*region).of(PIXELS)


def test_reduced_keeps_the_largest_magnitude() -> None:
    assert reduced(PIXELS, 5) is not PIXELS
    assert np.array_equal(reduced(PIXELS, 5), PIXELS)
    signed = np.array([[1.0, -3.0, 0.5], [2.0, 0.0, np.nan], [0.0, 0.0, -0.1]])
    assert reduced(signed, 2).tolist() == [[-3.0, 0.5], [0.0, -0.1]]
    assert reduced(np.ones((10, 1), F), 4).shape == (4, 1)


def test_difference_has_sign_and_leaves_out_what_is_not_finite() -> None:
    a = np.array([[1.0, 5.0, np.nan, np.inf, 2.0]], F)
    b = np.array([[3.0, 1.0, 1.0, np.inf, -np.inf]], F)
    assert signed_difference(a, b).tolist() == [[2.0, -4.0, 0.0, 0.0, 0.0]]


def test_colours_of_differences() -> None:
    picture = difference_picture(np.array([[0.0, 4.0, -4.0, 1.0]]))
    assert picture.tolist() == [[[255, 255, 255], [178, 24, 43], [33, 102, 172], [217, 140, 149]]]
    assert np.all(difference_picture(np.zeros((2, 2))) == 255)
