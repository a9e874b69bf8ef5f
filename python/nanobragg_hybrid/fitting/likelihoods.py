"""What is minimised: -2 log likelihood of the data, and its derivatives by the expectation."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, assert_never, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Likelihood = Literal["poisson", "gaussian"]
LIKELIHOODS: Final[tuple[Likelihood, ...]] = get_args(Likelihood)

_FAINT: Final = 1e-8
"""Expectations below this share of the mean count with its weight: they say nothing, and their own
weight may be infinite.  Only the step is made from weights; the minimum stays where it is."""


class Growth(NamedTuple):
    """How the variance of a pixel grows with its expectation m: linear m + square m^2, photons^2
    (model 10.3, of photons)."""

    linear: float = 1.0
    square: float = 0.0

    def spread(self, mean: Array, variance: Array) -> Array:
        """The variance of pixels; variance: that without light."""
        if self == COUNTED:
            return mean + variance
        return (self.linear + self.square * mean) * mean + variance


COUNTED: Final = Growth()
"""Photons are counted, and nothing else grows with them."""


class Slopes(NamedTuple):
    """Derivatives of half the deviance by each pixel's expectation.

    gradient: first derivative, shape (n,).  weight: expected second derivative (the Fisher
    information), shape (n,), > 0.
    """

    gradient: Array
    weight: Array


def deviance(
    kind: Likelihood,
    expected: Array,
    photons: Array,
    variance: Array,
    growth: Growth = COUNTED,
) -> float:
    """-2 log likelihood, less that of a model that meets every pixel.

    expected, photons: of each pixel.  variance: of the read-out, photons^2.  growth: how it grows
    with the expectation; other than that of counting only if gaussian.

    Poisson: with a read-out variance v it is the shifted Poisson likelihood (Snyder, Hammoud and
    White, J. Opt. Soc. Am. A 10, 1014, 1993): d + v is taken as Poisson with mean m + v, which has
    the right mean and variance; a d below -v counts as -v.  Gaussian: variance m + v, or as it
    grows, with the logarithm that its dependence on m brings.

    Infinite where the likelihood is 0 or the model is no number.
    """
    match kind:
        case "poisson":
            mean = expected + variance
            count = np.maximum(photons + variance, 0.0)
            if not bool(np.all(mean >= 0.0)):
                return np.inf
            seen = count > 0.0
            if not bool(np.all(mean[seen] > 0.0)):
                return np.inf
            mean, dark, count = mean[seen], mean[~seen], count[seen]
            off = (mean - count) / count
            logs = np.log1p(np.maximum(off, -0.5))  # exact to rounding near 0
            far = off <= -0.5
            logs[far] = np.log(mean[far]) - np.log(count[far])
            return 2.0 * float(np.sum(count * (off - logs)) + np.sum(dark))
        case "gaussian":
            spread = growth.spread(expected, variance)
            if not bool(np.all(spread > 0.0)):
                return np.inf
            best = np.maximum(growth.spread(photons, variance), spread.mean() * _FAINT)
            return float(np.sum((photons - expected) ** 2 / spread + np.log(spread / best)))
        case _:
            assert_never(kind)


def slopes(
    kind: Likelihood,
    expected: Array,
    photons: Array,
    variance: Array,
    growth: Growth = COUNTED,
) -> Slopes:
    """The derivatives of half of `deviance`."""
    spread = growth.spread(expected, variance)
    floored = np.maximum(spread, max(_FAINT * float(spread.mean()), np.finfo(float).tiny))
    residual = photons - expected
    match kind:
        case "poisson":
            count = np.maximum(photons + variance, 0.0)
            return Slopes((spread - count) / np.where(spread > 0.0, spread, 1.0), 1.0 / floored)
        case "gaussian":
            relative = residual / spread
            grows = growth.linear + 2.0 * growth.square * expected
            gradient = -relative - 0.5 * grows * relative * relative + 0.5 * grows / spread
            return Slopes(gradient, 1.0 / floored + 0.5 * (grows / floored) ** 2)
        case _:
            assert_never(kind)


def curvature(
    kind: Likelihood,
    expected: Array,
    photons: Array,
    variance: Array,
    growth: Growth = COUNTED,
) -> Array:
    """The second derivative of half of `deviance` by each pixel's expectation, shape (n,): what
    the weight of `slopes` is the mean of."""
    spread = growth.spread(expected, variance)
    match kind:
        case "poisson":
            count = np.maximum(photons + variance, 0.0)
            return np.where(count > 0.0, count / np.where(spread > 0.0, spread, 1.0) ** 2, 0.0)
        case "gaussian":
            relative = (photons - expected) / spread
            grows = growth.linear + 2.0 * growth.square * expected
            by_growth = grows * relative
            bent = growth.square * (1.0 / spread - relative * relative)
            own = 1.0 + 2.0 * by_growth + by_growth * by_growth - 0.5 * grows * grows / spread
            return own / spread + bent
        case _:
            assert_never(kind)
