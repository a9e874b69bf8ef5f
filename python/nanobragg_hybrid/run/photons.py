"""Numbers of photons for expected numbers: Poisson's distribution, a fixed draw for each pixel.

What a pixel gets depends on its own random numbers and mean only (model 10.4): rejection would let
it depend on the means of the pixels before it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from nanobragg_hybrid.base.native import photon_stream
from nanobragg_hybrid.base.philox import counter, key

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGE_MEAN: Final = 64.0
"""From here on a normal deviate is transformed, by Cornish and Fisher's expansion of the quantiles:
the variance is 1/12 less, which rounding gives back."""

_STEP: Final = 0.125
_GUIDES: Final = 256


class PoissonStream:
    """Draws the photons of a frame, block by block from its first pixel to its last.

    Below 64 the distribution is Poisson's to 2^-32; from there on the total variation distance to
    it is at most 3.2e-5, falls as 1/mean^(3/2), and mean and variance are right to 2e-6.
    """

    def __init__(self, seed: int, frame: int, panel: int) -> None:
        tables = _tables()
        self._stream = photon_stream(
            key(seed, frame),
            counter(panel, "photons"),
            counter(panel, "large means"),
            tables.distribution,
            tables.guide,
        )

    def draw(self, mean: NDArray[np.float64], photons: NDArray[np.float64]) -> None:
        """Puts whole numbers of photons of the next pixels into `photons`, other memory than that
        of `mean`; both in C order.  Means that are no number or below 0 give none."""
        self._stream.draw(mean, photons)


def poisson_photons(
    mean: NDArray[np.float64], seed: int, frame: int, panel: int
) -> NDArray[np.float64]:
    """Whole numbers of photons, as float64, of the shape of `mean`, whose values are finite and
    >= 0; that of the whole panel.  See `PoissonStream`."""
    means = np.ascontiguousarray(mean)
    photons = np.empty(means.shape)
    PoissonStream(seed, frame, panel).draw(means, photons)
    return photons


class _Tables(NamedTuple):
    """For the means 0, 1/8, 1/4, ... 64: the distribution function at 0, 1, 2, ... and for each of
    256 parts of the unit interval the smallest number whose value there is above its begin."""

    distribution: NDArray[np.float64]
    guide: NDArray[np.uint8]


@cache
def _tables() -> _Tables:
    width = int(LARGE_MEAN + 14.0 * math.sqrt(LARGE_MEAN)) + 2
    means = np.arange(0.0, LARGE_MEAN + _STEP, _STEP)
    terms = np.empty((len(means), width))
    terms[:, 0] = np.exp(-means)
    for k in range(1, width):
        terms[:, k] = terms[:, k - 1] * means / k
    distribution = np.cumsum(terms, axis=1)
    distribution[:, -1] = np.inf
    begins = np.arange(_GUIDES) / _GUIDES
    guide = np.array([np.searchsorted(row, begins, side="right") for row in distribution])
    return _Tables(distribution.ravel(), guide.astype(np.uint8).ravel())
