"""Criteria, and the document of a comparison."""

from __future__ import annotations

import math

import numpy as np
import pytest
from for_each import for_each
from recorded import image

from nanobragg_hybrid.compare.comparison import (
    DEFAULT_MAX_L2,
    Criteria,
    compared,
    comparison_document,
    dark_text,
)
from nanobragg_hybrid.compare.images import Region

F = np.float32
A = image("images", "triclinic")


def met(a: np.ndarray, b: np.ndarray, criteria: Criteria) -> bool:
    return compared(a, b, Region.whole(a.shape), criteria).is_met


@pytest.mark.parametrize(
    ("criteria", "factor_inside", "factor_outside"),
    [
        (Criteria().or_default(), 1.0 + 5e-7, 1.0 + 2e-6),
        (Criteria(max_l2=0.1), 1.05, 1.2),
        (Criteria(max_ulp=4), 1.0 + 1.5e-7, 1.0 + 2e-6),
        (Criteria(max_ulp=0), 1.0, 1.0 + 2e-7),
        (Criteria(min_correlation=0.5), 3.0, -1.0),
    ],
)
def test_both_sides_of_a_criterion(
    criteria: Criteria, factor_inside: float, factor_outside: float
) -> None:
    assert met(A, (A.astype(float) * factor_inside).astype(F), criteria)
    assert not met(A, (A.astype(float) * factor_outside).astype(F), criteria)


def test_default_applies_only_if_nothing_is_asked_for() -> None:
    assert Criteria().or_default() == Criteria(max_l2=DEFAULT_MAX_L2)
    assert Criteria(min_correlation=0.9).or_default() == Criteria(min_correlation=0.9)
    assert Criteria(1e-3, 5, 0.5).texts() == [
        "relative L2 <= 0.001",
        "ULPs <= 5",
        "correlation >= 0.5",
    ]


def test_all_criteria_have_to_be_met() -> None:
    other = (A.astype(float) * 1.05).astype(F)
    assert met(A, other, Criteria(max_l2=0.1, min_correlation=0.99))
    assert not met(A, other, Criteria(max_l2=0.01, min_correlation=0.99))


def test_nan_elsewhere_fails_whatever_the_limit() -> None:
    other = A.copy()
    other[0, 0] = np.nan
    assert not met(A, other, Criteria(max_l2=math.inf))
    assert met(other, other.copy(), Criteria(max_l2=0.0))


def test_constant_images_have_no_correlation() -> None:
    """Equal ones meet the threshold nevertheless, others do not."""
    flat = np.ones((2, 2), F)
    assert met(flat, flat.copy(), Criteria(min_correlation=0.99))
    assert not met(flat, 2 * flat, Criteria(min_correlation=0.99))


def test_places_are_those_of_the_whole_image() -> None:
    other = A.copy()
    other[40, 30] += 1.0
    other[1, 1] += 100.0
    region = Region(20, 35, 38, 50)
    found = compared(A, other, region, Criteria(max_l2=1.0))
    assert (found.difference.fast, found.difference.slow) == (30, 40)
    assert found.difference.pixels == 16 * 13
    assert found.peaks.pairs != ()
    for pair in found.peaks.pairs:
        assert 20 <= pair.a.fast <= 35
        assert 38 <= pair.a.slow <= 50
    document = comparison_document(found)
    assert document["roi"] == {"fast_min": 20, "fast_max": 35, "slow_min": 38, "slow_max": 50}
    pixel = document["metrics"]["max_abs_pixel"]
    assert pixel == {"fast": 30, "slow": 40, "a": float(A[40, 30]), "b": float(other[40, 30])}
    assert sum(row["pixels"] for row in document["ulp_histogram"]) == 16 * 13
    assert document["peaks"]["matched"] == len(document["peaks"]["pairs"])


def test_dark_images_have_no_peaks() -> None:
    dark = np.zeros((3, 3), F)
    criteria = Criteria(max_ulp=0, allow_dark=True)
    document = comparison_document(compared(dark, dark, Region.whole((3, 3)), criteria))
    assert document["verdict"] == "pass"
    assert document["peaks"]["max_distance_px"] is None
    assert document["peaks"]["mean_distance_px"] is None


LIT = np.array([[0.0, 1.0], [0.0, 0.0]], F)
DARK = np.array([[0.0, -0.0], [0.0, 0.0]], F)
NANS = np.full((2, 2), np.nan, F)
HALF = np.array([[np.nan, 1.0], [0.0, 0.0]], F)
SAME = np.full((2, 2), 7.0, F)


@for_each(
    "a, b, passes, text",
    [
        (LIT, LIT, True, None),
        (SAME, SAME, True, None),  # its correlation is NaN, its difference is 0
        (HALF, HALF, True, None),
        (DARK, DARK, False, "both images are dark: there is nothing to compare"),
        (NANS, NANS, False, "no pixel is finite in both images: there is nothing to compare"),
        (DARK, LIT, False, None),
        (LIT, DARK, False, None),
    ],
)
def test_images_without_light_have_nothing_to_compare(
    a: np.ndarray, b: np.ndarray, passes: bool, text: str | None
) -> None:
    for criteria in (Criteria().or_default(), Criteria(max_ulp=0), Criteria(min_correlation=0.5)):
        region = Region.whole((2, 2))
        found = compared(a, b, region, criteria)
        assert (found.is_met, dark_text(found.difference)) == (passes, text)
        assert (found.difference.lit_a, found.difference.lit_b) == (
            np.count_nonzero(np.nan_to_num(a)),
            np.count_nonzero(np.nan_to_num(b)),
        )
        allowed = compared(a, b, region, criteria._replace(allow_dark=True))
        assert allowed.is_met == (passes or text is not None)
    assert Criteria(allow_dark=True).or_default() == Criteria(max_l2=1e-6, allow_dark=True)
