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


class Slopes(NamedTuple):
    """Derivatives of half the deviance by each pixel's expectation.

    gradient: first derivative, shape (n,).  weight: expected second derivative (the Fisher
    information), shape (n,), > 0.
    """

    gradient: Array
    weight: Array


def deviance(kind: Likelihood, expected: Array, photons: Array, variance: Array) -> float:
    """-2 log likelihood, less that of a model that meets every pixel.

    expected, photons: of each pixel.  variance: of the read-out, photons^2.

    Poisson: with a read-out variance v it is the shifted Poisson likelihood (Snyder, Hammoud and
    White, J. Opt. Soc. Am. A 10, 1014, 1993): d + v is taken as Poisson with mean m + v, which has
    the right mean and variance; a d below -v counts as -v.  Gaussian: variance m + v, with the
    logarithm that its dependence on m brings.

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
            spread = expected + variance
            if not bool(np.all(spread > 0.0)):
                return np.inf
            best = np.maximum(photons + variance, spread.mean() * _FAINT)
            return float(np.sum((photons - expected) ** 2 / spread + np.log(spread / best)))
        case _:
            assert_never(kind)


def slopes(kind: Likelihood, expected: Array, photons: Array, variance: Array) -> Slopes:
    """The derivatives of half of `deviance`."""
    spread = expected + variance
    floored = np.maximum(spread, max(_FAINT * float(spread.mean()), np.finfo(float).tiny))
    residual = photons - expected
    match kind:
        case "poisson":
            count = np.maximum(photons + variance, 0.0)
            return Slopes((spread - count) / np.where(spread > 0.0, spread, 1.0), 1.0 / floored)
        case "gaussian":
            relative = residual / spread
            gradient = -relative - 0.5 * relative * relative + 0.5 / spread
            return Slopes(gradient, 1.0 / floored + 0.5 / floored**2)
        case _:
            assert_never(kind)


def curvature(kind: Likelihood, expected: Array, photons: Array, variance: Array) -> Array:
    """The second derivative of half of `deviance` by each pixel's expectation, shape (n,): what
    the weight of `slopes` is the mean of."""
    spread = expected + variance
    match kind:
        case "poisson":
            count = np.maximum(photons + variance, 0.0)
            return np.where(count > 0.0, count / np.where(spread > 0.0, spread, 1.0) ** 2, 0.0)
        case "gaussian":
            relative = (photons - expected) / spread
            return (1.0 + 2.0 * relative + relative * relative - 0.5 / spread) / spread
        case _:
            assert_never(kind)
