"""The deviance and its derivatives against the formulas of the distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid.fitting.likelihoods import (
    LIKELIHOODS,
    Growth,
    Likelihood,
    curvature,
    deviance,
    slopes,
)

EXPECTED = np.array([0.3, 2.0, 7.5, 40.0, 1e-3])
PHOTONS = np.array([0.0, 3.0, 6.0, 45.0, 0.0])
VARIANCE = np.array([0.0, 0.5, 2.0, 0.0, 1.0])


def test_poisson_is_twice_the_logarithm_of_the_ratio_of_probabilities() -> None:
    def log_probability(count: float, mean: float) -> float:
        return count * math.log(mean) - mean - math.lgamma(count + 1.0)

    need = 0.0
    for m, d in zip(EXPECTED, PHOTONS, strict=True):
        best = log_probability(d, d) if d > 0.0 else 0.0
        need += 2.0 * (best - log_probability(d, m))
    assert deviance("poisson", EXPECTED, PHOTONS, 0.0 * VARIANCE) == pytest.approx(need, rel=1e-12)
    # the shifted one is the same of shifted numbers, and counts below -v are 0
    shifted = deviance("poisson", EXPECTED + 2.0, PHOTONS + 2.0, 0.0 * VARIANCE)
    assert deviance("poisson", EXPECTED, PHOTONS, VARIANCE * 0.0 + 2.0) == shifted
    low = deviance("poisson", EXPECTED, PHOTONS - 9.0, VARIANCE * 0.0 + 2.0)
    assert np.isfinite(low)


def test_gaussian_has_the_variance_of_the_model() -> None:
    variance = VARIANCE + 0.25
    spread = EXPECTED + variance
    density = np.exp(-((PHOTONS - EXPECTED) ** 2) / (2 * spread)) / np.sqrt(2 * np.pi * spread)
    best = 1.0 / np.sqrt(2 * np.pi * (PHOTONS + variance))
    need = 2.0 * float(np.sum(np.log(best) - np.log(density)))
    assert deviance("gaussian", EXPECTED, PHOTONS, variance) == pytest.approx(need, rel=1e-12)


@for_each("kind", LIKELIHOODS)
def test_gradient_is_that_of_half_the_deviance(kind: Likelihood) -> None:
    variance = VARIANCE + 0.25
    gradient = slopes(kind, EXPECTED, PHOTONS, variance).gradient
    for n, mean in enumerate(EXPECTED):
        step = 1e-5 * mean
        ends = []
        for sign in (1.0, -1.0):
            moved = EXPECTED.copy()
            moved[n] += sign * step
            ends.append(deviance(kind, moved, PHOTONS, variance))
        assert gradient[n] == pytest.approx((ends[0] - ends[1]) / (4.0 * step), rel=1e-4, abs=1e-7)


@for_each("kind", LIKELIHOODS)
def test_curvature_is_the_slope_of_the_gradient(kind: Likelihood) -> None:
    variance = VARIANCE + 0.25
    step = 1e-6 * EXPECTED
    ends = [slopes(kind, EXPECTED + end, PHOTONS, variance).gradient for end in (step, -step)]
    need = (ends[0] - ends[1]) / (2.0 * step)
    found = curvature(kind, EXPECTED, PHOTONS, variance)
    assert found == pytest.approx(need, rel=1e-5, abs=1e-6)


GROWTH = Growth(1.01, 0.04)
"""Of gains that differ from frame to frame."""


def test_variance_that_grows_otherwise() -> None:
    """Deviance, gradient and curvature of a gaussian, by its density and by differences."""
    variance = VARIANCE + 0.25
    spread = 1.01 * EXPECTED + 0.04 * EXPECTED**2 + variance
    assert GROWTH.spread(EXPECTED, variance) == pytest.approx(spread, rel=1e-14)
    best = 1.01 * PHOTONS + 0.04 * PHOTONS**2 + variance
    need = float(np.sum((PHOTONS - EXPECTED) ** 2 / spread + np.log(spread / best)))
    given = (PHOTONS, variance, GROWTH)
    assert deviance("gaussian", EXPECTED, *given) == pytest.approx(need, rel=1e-12)
    gradient = slopes("gaussian", EXPECTED, *given).gradient
    bent = curvature("gaussian", EXPECTED, *given)
    for n, mean in enumerate(EXPECTED):
        step = np.zeros_like(EXPECTED)
        step[n] = 1e-5 * mean
        ends = [deviance("gaussian", EXPECTED + end, *given) for end in (step, -step)]
        slope = (ends[0] - ends[1]) / (4.0 * step[n])
        assert gradient[n] == pytest.approx(slope, rel=1e-4, abs=1e-7)
        ends = [slopes("gaussian", EXPECTED + end, *given).gradient[n] for end in (step, -step)]
        assert bent[n] == pytest.approx((ends[0] - ends[1]) / (2.0 * step[n]), rel=1e-5, abs=1e-6)
    mean, sigma = 6.0, math.sqrt(GROWTH.spread(np.array([6.0]), np.zeros(1))[0])
    data = mean + np.random.default_rng(5).normal(0.0, sigma, 2_000_000)
    found = slopes("gaussian", np.full(data.size, mean), data, np.zeros(data.size), GROWTH)
    assert found.gradient.var() == pytest.approx(found.weight[0], rel=0.01)


@for_each("kind", LIKELIHOODS)
def test_weight_is_the_variance_of_the_gradient(kind: Likelihood) -> None:
    """Over data of the distribution itself, whose mean gradient is 0."""
    mean, variance = 6.0, np.zeros(2_000_000)
    random = np.random.default_rng(4)
    noise = random.normal(0.0, math.sqrt(mean), variance.size)
    data = random.poisson(mean, variance.size) if kind == "poisson" else mean + noise
    found = slopes(kind, np.full(variance.size, mean), data.astype(float), variance)
    assert abs(found.gradient.mean()) < 5e-3 * math.sqrt(found.weight[0])
    assert found.gradient.var() == pytest.approx(found.weight[0], rel=0.01)


@for_each(
    "kind, expected, photons, is_finite",
    [
        ("poisson", 0.0, 1.0, False),
        ("poisson", 0.0, 0.0, True),
        ("poisson", -1.0, 0.0, False),
        ("poisson", math.nan, 0.0, False),
        ("poisson", 1e-300, 1.0, True),
        ("gaussian", 0.0, 0.0, False),
        ("gaussian", -1.0, 0.0, False),
        ("gaussian", 0.1, 0.0, True),
    ],
)
def test_impossible_models(
    kind: Likelihood, expected: float, photons: float, is_finite: bool
) -> None:
    none = np.zeros(1)
    found = deviance(kind, np.array([expected]), np.array([photons]), none)
    assert (found < math.inf) is is_finite
    assert not math.isnan(found)


def test_pixels_without_light_have_a_finite_weight() -> None:
    expected = np.array([0.0, 1e-300, 5.0])
    found = slopes("poisson", expected, np.array([0.0, 0.0, 5.0]), np.zeros(3))
    assert np.isfinite(found.weight).all()
    assert found.gradient[1] == 1.0
    assert found.weight[2] == 0.2
