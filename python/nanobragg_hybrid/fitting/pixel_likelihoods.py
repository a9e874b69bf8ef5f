"""The likelihood of fitted pixels, those whose counts are cut off among them."""

from __future__ import annotations

import numpy as np

from nanobragg_hybrid.fitting import likelihoods
from nanobragg_hybrid.fitting.likelihoods import Array, Likelihood, Slopes
from nanobragg_hybrid.fitting.pixels import FitPixels


def deviance(kind: Likelihood, expected: Array, pixels: FitPixels, variance: Array) -> float:
    """That of `likelihoods.deviance` of the pixels that are not cut off, and -2 log of the
    probability of what the others show.

    expected: photons, shape (n,).  variance: of the read-out, photons^2, shape (n,), which may be
    more than the pixels'.
    """
    cut, photons, growth = pixels.cut, pixels.photons, pixels.growth
    if cut is None:
        return likelihoods.deviance(kind, expected, photons, variance, growth)
    seen = np.ones(pixels.count, np.bool_)
    seen[cut.place] = False
    own = likelihoods.deviance(kind, expected[seen], photons[seen], variance[seen], growth)
    return own + cut.deviance(expected[cut.place], variance[cut.place], growth)


def slopes(kind: Likelihood, expected: Array, pixels: FitPixels, variance: Array) -> Slopes:
    """The derivatives of half of that by each pixel's expectation."""
    found = likelihoods.slopes(kind, expected, pixels.photons, variance, pixels.growth)
    cut = pixels.cut
    if cut is not None:
        own = cut.slopes(expected[cut.place], variance[cut.place], pixels.growth)
        found.gradient[cut.place], found.weight[cut.place] = own
    return found


def curvature(kind: Likelihood, expected: Array, pixels: FitPixels, variance: Array) -> Array:
    """The second derivatives of half of that, shape (n,)."""
    found = likelihoods.curvature(kind, expected, pixels.photons, variance, pixels.growth)
    cut = pixels.cut
    if cut is not None:
        found[cut.place] = cut.curvature(expected[cut.place], variance[cut.place], pixels.growth)
    return found
