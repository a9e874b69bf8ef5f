"""C-PARITY-005 interpolation_latch."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import STILL, assert_differs, off, picture

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.plan import Plan

INTERPOLATED = STILL.replace({"sampling.interpolate": True})
GRID = np.random.default_rng(5).uniform(10.0, 200.0, (13, 15, 17))
FACTORS = nb.StructureFactors.from_grid(GRID, (-6, -7, -8), default_f=3.0)
PADDED = nb.StructureFactors.from_grid(np.pad(GRID, 40), (-46, -47, -48), default_f=3.0)
"""The same table with zeros around it: no evaluation of this picture leaves it."""


def is_outside(experiment: nb.Experiment) -> np.ndarray:
    """Pixels whose fractional indices the table cannot interpolate (one step a pixel)."""
    plan = Plan(experiment, FACTORS, off("interpolation_latch"))
    n_slow, n_fast = experiment.detector.shape
    outside = np.zeros((n_slow, n_fast), bool)
    low = np.array(FACTORS.hkl_min)
    for slow, fast in np.ndindex(n_slow, n_fast):
        hkl = np.array(plan.trace(fast, slow)["first"]["hkl"])
        outside[slow, fast] = np.any(hkl < low + 2) or np.any(hkl > low + GRID.shape - 3)
    return outside


def test_only_evaluations_outside_the_table_fall_back() -> None:
    outside = is_outside(INTERPOLATED)
    assert 50 < np.count_nonzero(outside) < outside.size - 50
    nearest = picture(INTERPOLATED.replace({"sampling.interpolate": False}), factors=FACTORS)
    inside = picture(INTERPOLATED, factors=PADDED)
    got = picture(INTERPOLATED, off("interpolation_latch"), FACTORS)
    assert np.array_equal(got, np.where(outside, nearest, inside))
    assert_differs(inside, nearest, 0.1)


def test_on_everything_after_the_first_one_falls_back() -> None:
    outside = is_outside(INTERPOLATED)
    nearest = picture(INTERPOLATED.replace({"sampling.interpolate": False}), factors=FACTORS)
    inside = picture(INTERPOLATED, factors=PADDED)
    before = np.cumsum(outside.ravel()).reshape(outside.shape) == 0
    assert np.array_equal(picture(INTERPOLATED, factors=FACTORS), np.where(before, inside, nearest))


def test_nothing_outside_no_difference() -> None:
    corrected = picture(INTERPOLATED, off("interpolation_latch"), PADDED)
    assert picture(INTERPOLATED, nb.Quirks(), PADDED).tobytes() == corrected.tobytes()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads(threads: int) -> None:
    """No pass over the image is needed, and no thread switches another one's interpolation off."""
    quirks = off("interpolation_latch")
    result = nb.simulate(INTERPOLATED, FACTORS, quirks=quirks, threads=threads)
    assert np.array_equal(result.image, picture(INTERPOLATED, quirks, FACTORS).astype(np.float32))
