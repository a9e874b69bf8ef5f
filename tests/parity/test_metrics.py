"""The figures of two images, by value."""

from __future__ import annotations

import math

import numpy as np
import pytest
from for_each import for_each
from recorded import image

from nanobragg_hybrid import ConfigError
from nanobragg_hybrid.compare.metrics import (
    ULP_BINS,
    Peak,
    compare_images,
    correlation,
    find_peaks,
    match_peaks,
    resample,
    ulp_difference,
    ulp_histogram,
)

F = np.float32


def pixels(*rows: list[float]) -> np.ndarray:
    return np.array(rows, F)


def next_up(value: float, steps: int = 1) -> np.float32:
    result = F(value)
    for _ in range(steps):
        result = np.nextafter(result, F(np.inf))
    return result


def test_equal_images() -> None:
    recorded = image("images", "triclinic")
    found = compare_images(recorded, recorded.copy())
    assert found.bytes_equal
    assert found.same_non_finite
    assert (found.identical, found.correlation, found.sum_ratio) == (1.0, 1.0, 1.0)
    assert (found.mse, found.rmse, found.relative_l2, found.max_abs) == (0.0, 0.0, 0.0, 0.0)
    assert (found.max_ulp, found.pixels, found.finite) == (0, recorded.size, recorded.size)


def test_figures_by_hand() -> None:
    a, b = pixels([1, 2, 3], [4, 0, 0]), pixels([1, 2, 3], [0, 3, 0])
    found = compare_images(a, b)
    assert (found.pixels, found.finite, found.bytes_equal) == (6, 6, False)
    assert found.identical == pytest.approx(4 / 6)
    assert (found.sum_a, found.sum_b, found.sum_ratio) == (10.0, 9.0, 0.9)
    assert found.mse == pytest.approx(25 / 6)
    assert found.rmse == pytest.approx(math.sqrt(25 / 6))
    assert found.relative_l2 == pytest.approx(5 / math.sqrt(30))
    assert (found.max_abs, found.fast, found.slow) == (4.0, 0, 1)
    assert (found.value_a, found.value_b) == (4.0, 0.0)
    assert found.correlation == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-15)


def test_one_bit_of_one_pixel() -> None:
    a = image("images", "triclinic")
    b = a.copy()
    b[3, 5] = np.nextafter(b[3, 5], F(np.inf))
    found = compare_images(a, b)
    assert not found.bytes_equal
    assert (found.max_ulp, found.fast, found.slow) == (1, 5, 3)
    assert found.identical == 1.0 - 1.0 / a.size
    assert 0.0 < found.relative_l2 < 1e-7


def test_pixels_that_are_not_finite() -> None:
    a = pixels([np.nan, np.inf, 1, -np.inf])
    same = compare_images(a, a.copy())
    assert same.same_non_finite
    assert (same.finite, same.identical, same.sum_a) == (1, 1.0, 1.0)
    for other in ([np.nan, -np.inf, 1, -np.inf], [0, np.inf, 1, -np.inf], [np.nan, np.inf, 1, 5]):
        found = compare_images(a, pixels(other))
        assert not found.same_non_finite
        assert found.relative_l2 == 0.0
    assert not compare_images(pixels([1, 2]), pixels([1, np.nan])).same_non_finite
    nothing = compare_images(pixels([np.nan]), pixels([np.nan]))
    assert nothing.finite == 0
    assert math.isnan(nothing.mse)
    assert nothing.relative_l2 == 0.0


def test_bits_of_zeros_and_nan() -> None:
    """-0 and another NaN are equal numbers of other bytes."""
    other_nan = np.array([[0x7FC00001]], np.uint32).view(F)
    for a, b in ((pixels([0.0]), pixels([-0.0])), (pixels([np.nan]), other_nan)):
        found = compare_images(a, b)
        assert (found.identical, found.max_ulp, found.bytes_equal) == (1.0, 0, False)
        assert found.same_non_finite


def test_dark_images() -> None:
    dark, lit = pixels([0, 0]), pixels([0, 2])
    assert compare_images(dark, dark).relative_l2 == 0.0
    assert compare_images(dark, lit).relative_l2 == math.inf
    assert compare_images(lit, dark).relative_l2 == 1.0
    assert math.isnan(compare_images(dark, lit).sum_ratio)
    assert compare_images(lit, dark).sum_ratio == 0.0


def test_largest_floats_do_not_overflow() -> None:
    largest = np.finfo(F).max
    found = compare_images(pixels([largest, 0]), pixels([-largest, 0]))
    assert found.relative_l2 == 2.0
    assert found.correlation == -1.0


def test_images_that_cannot_be_compared() -> None:
    with pytest.raises(ConfigError, match=r"b: got .*\(1, 2\).*, need the shape of a, \(1, 1\)"):
        compare_images(pixels([1]), pixels([1, 2]))
    with pytest.raises(ConfigError, match=r"a: got .*float64"):
        compare_images(np.zeros((1, 1)), pixels([1]))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="b: got "):
        compare_images(pixels([1]), np.zeros((0, 3), F))


def test_correlation() -> None:
    x = np.arange(10.0)
    assert correlation(x, 3.0 * x + 5.0) == pytest.approx(1.0, abs=1e-15)
    assert correlation(x, -x) == -1.0
    assert correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])) == 0.5
    assert correlation(x, x) == 1.0
    for constant in (np.full(10, 0.1), np.zeros(10)):
        assert math.isnan(correlation(x, constant))
        assert math.isnan(correlation(constant, constant))
    assert math.isnan(correlation(np.zeros(0), np.zeros(0)))


@for_each(
    "a, b, steps",
    [
        (1.0, next_up(1.0), 1),
        (next_up(2.0, 3), 2.0, 3),
        (np.nextafter(F(2.0), F(0.0)), next_up(2.0), 2),
        (0.0, -0.0, 0),
        (-1e-45, 1e-45, 2),
        (0.0, np.finfo(F).tiny, 2**23),
        (1.0, 2.0, 2**23),
        (-1.0, 1.0, 2 * 0x3F800000),
        (-np.finfo(F).max, np.finfo(F).max, 2 * 0x7F7FFFFF),
    ],
)
def test_ulp_difference(a: float, b: float, steps: int) -> None:
    assert ulp_difference(pixels([a]), pixels([b])).tolist() == [[steps]]
    assert ulp_difference(pixels([b]), pixels([a])).tolist() == [[steps]]


def test_ulp_histogram() -> None:
    steps = [0, 0, 1, 2, 3, 4, 5, 1024, 1025]
    a = pixels([1.0] * len(steps) + [np.nan, -3.0])
    b = pixels([float(next_up(1.0, n)) for n in steps] + [1.0, 3.0])
    bins = {(row.first, row.last): row.pixels for row in ulp_histogram(a, b)}
    assert bins[0, 0] == 2
    assert (bins[1, 1], bins[2, 2], bins[3, 4], bins[5, 8]) == (1, 1, 2, 1)
    assert (bins[9, 16], bins[257, 1024], bins[1025, 65536]) == (0, 1, 1)
    assert bins[65537, 2**32] == 1
    assert sum(bins.values()) == a.size - 1
    assert len(bins) == len(ULP_BINS)


def test_peaks_are_local_maxima_brightest_first() -> None:
    picture = np.full((9, 11), 0.5, F)
    picture[2, 3], picture[2, 4] = 8.0, 4.0
    picture[7, 9] = 10.0
    first, second = find_peaks(picture, 0.9)
    window = np.full((3, 3), 0.5)
    window[1, 1] = 10.0
    assert first == Peak(9.0, 7.0, 10.0)
    total = 8.0 + 4.0 + 7 * 0.5
    assert second.fast == pytest.approx(3.0 + (4.0 + 1.0 - 1.5) / total)
    assert (second.slow, second.value) == (2.0, 8.0)
    assert find_peaks(picture, 0.9, limit=1) == (first,)


def test_peaks_at_edges_flat_tops_and_dark_images() -> None:
    corner = np.zeros((4, 5), F)
    corner[0, 0] = 3.0
    assert find_peaks(corner) == (Peak(0.0, 0.0, 3.0),)
    flat = np.zeros((5, 5), F)
    flat[2, 2] = flat[2, 3] = 2.0
    (peak,) = find_peaks(flat)
    assert peak == Peak(2.5, 2.0, 2.0)
    assert find_peaks(np.zeros((3, 3), F)) == ()
    holes = np.full((3, 3), np.nan, F)
    holes[1, 1], holes[0, 0] = 2.0, np.inf
    assert find_peaks(holes) == (Peak(1.0, 1.0, 2.0),)
    with pytest.raises(ConfigError, match=r"quantile: got 1\.5"):
        find_peaks(flat, 1.5)


def test_quantile_leaves_weak_peaks_out() -> None:
    picture = np.zeros((20, 20), F)
    picture[::4, ::4] = np.arange(1, 26, dtype=F).reshape(5, 5)
    assert len(find_peaks(picture, 0.0)) == 25
    assert [peak.value for peak in find_peaks(picture, 0.9)] == [25.0, 24.0, 23.0]


def test_matching_takes_the_nearest_first() -> None:
    a = (Peak(10.0, 10.0, 5.0), Peak(20.0, 20.0, 4.0), Peak(40.0, 1.0, 1.0))
    b = (Peak(11.5, 10.0, 5.0), Peak(10.5, 10.0, 4.0), Peak(20.0, 22.0, 3.0))
    match = match_peaks(a, b)
    assert [(pair.a, pair.b, pair.distance) for pair in match.pairs] == [
        (a[0], b[1], 0.5),
        (a[1], b[2], 2.0),
    ]
    assert match.only_a == (a[2],)
    assert match.only_b == (b[0],)
    assert len(match_peaks(a, b, 0.4).pairs) == 0
    assert match_peaks((), b).only_b == b
    assert match_peaks(a, ()).only_a == a


def test_resampling_shares_photons_by_area() -> None:
    picture = pixels([1, 2, 3, 4], [5, 6, 7, 8])
    assert resample(picture, (1, 2)).tolist() == [[14.0, 22.0]]
    assert resample(picture, (2, 4)).tolist() == picture.tolist()
    assert resample(picture, (4, 8)).tolist() == np.kron(picture / 4, np.ones((2, 2))).tolist()
    third = resample(pixels([3, 6]), (1, 3))
    assert third.tolist() == [[2.0, 3.0, 4.0]]


@pytest.mark.parametrize("shape", [(7, 11), (64, 64), (100, 33), (1, 1)])
def test_resampling_keeps_the_sum(shape: tuple[int, int]) -> None:
    recorded = image("images", "triclinic")
    got = resample(recorded, shape)
    assert got.shape == shape
    assert got.dtype == F
    total = recorded.sum(dtype=np.float64)
    assert got.sum(dtype=np.float64) == pytest.approx(total, rel=1e-6)
