"""Numbers of photons for expected numbers: Poisson's distribution, a fixed draw for each pixel.

What a pixel gets depends on its own random numbers and mean only (model 10.4): rejection would let
it depend on the means of the pixels before it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from nanobragg_hybrid.base.philox import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGE_MEAN: Final = 64.0
"""From here on a normal deviate is transformed; see `_of_large_means`."""

_STEP: Final = 0.125
_GUIDES: Final = 256
_UNIT: Final = 2.0**-32
_BLOCK: Final = 1 << 15
_SECOND: Final = math.ceil(math.exp(-_STEP) / _UNIT)
"""Lower halves of raw numbers from which on the second deviate may be more than 0."""
_LARGEST_SMALL: Final = math.nextafter(LARGE_MEAN, 0.0)


class PoissonStream:
    """Draws the photons of a frame, block by block from its first pixel to its last.

    Below 64 the distribution is Poisson's to 2^-32; from there on the total variation distance to
    it is at most 3.2e-5, falls as 1/mean^(3/2), and mean and variance are right to 2e-6.
    """

    def __init__(self, seed: int, frame: int, panel: int) -> None:
        self._small = stream(seed, frame, panel, "photons").bit_generator
        self._large = stream(seed, frame, panel, "large means")
        self._undrawn_small = self._undrawn_large = 0

    def photons(self, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """Whole numbers of photons, as float64, of the next pixels; mean: finite, >= 0, flat."""
        large = np.flatnonzero(mean >= LARGE_MEAN)
        if large.size < mean.size:
            raw = self._raw(mean.size)
        else:
            self._undrawn_small += mean.size
        if not large.size:
            self._undrawn_large += mean.size
            return _of_small_means(mean, raw)
        normal = self._normal(mean.size)
        if large.size == mean.size:
            return _of_large_means(mean, normal)
        if 2 * large.size < mean.size:
            photons = _of_small_means(np.minimum(mean, _LARGEST_SMALL), raw)
        else:
            photons = np.empty(mean.size)
            small = np.flatnonzero(mean < LARGE_MEAN)
            photons[small] = _of_small_means(mean.take(small), raw.take(small))
        photons[large] = _of_large_means(mean.take(large), normal.take(large))
        return photons

    def _raw(self, count: int) -> NDArray[np.uint64]:
        """The next raw numbers, behind those that blocks before had no use for."""
        while self._undrawn_small:
            self._undrawn_small -= len(self._small.random_raw(min(self._undrawn_small, _BLOCK)))
        raw: NDArray[np.uint64] = self._small.random_raw(count)
        return raw

    def _normal(self, count: int) -> NDArray[np.float64]:
        """The same of normal deviates."""
        while self._undrawn_large:
            drawn = self._large.standard_normal(min(self._undrawn_large, _BLOCK))
            self._undrawn_large -= len(drawn)
        return self._large.standard_normal(count)


def poisson_photons(
    mean: NDArray[np.float64], seed: int, frame: int, panel: int
) -> NDArray[np.float64]:
    """Whole numbers of photons, as float64, of the shape of `mean`, whose values are finite and
    >= 0; that of the whole panel.  See `PoissonStream`."""
    flat = np.ascontiguousarray(mean).reshape(-1)
    photons = np.empty(flat.size)
    drawn = PoissonStream(seed, frame, panel)
    # Blocks that fit into a cache; the numbers of a stream do not depend on them.
    for start in range(0, flat.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        photons[part] = drawn.photons(flat[part])
    return photons.reshape(mean.shape)


class _Tables(NamedTuple):
    """For the means 0, 1/8, 1/4, ... 64: the distribution function at 0, 1, 2, ... and for each of
    256 parts of the unit interval the smallest number whose value there is above its begin."""

    distribution: NDArray[np.float64]
    guide: NDArray[np.uint8]
    width: int


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
    return _Tables(distribution.ravel(), guide.astype(np.uint8).ravel(), width)


def _of_small_means(mean: NDArray[np.float64], raw: NDArray[np.uint64]) -> NDArray[np.float64]:
    """The sum of two deviates: of the mean rounded down to eighths, by inversion in a table, and of
    what is left."""
    tables = _tables()
    row = (mean * (1.0 / _STEP)).astype(np.intp)
    upper = raw >> np.uint64(32)
    uniform = upper.astype(np.uint32) * _UNIT
    upper >>= np.uint64(24)
    first = row * tables.width
    at = upper.view(np.int64)
    at += row * _GUIDES
    at = first + tables.guide.take(at)
    above = np.flatnonzero(uniform >= tables.distribution.take(at))
    while above.size:
        at[above] += 1
        above = above[uniform.take(above) >= tables.distribution.take(at.take(above))]
    at -= first
    photons = at.astype(np.float64)
    lower = raw.astype(np.uint32)
    maybe = np.flatnonzero(lower >= _SECOND)
    left = mean.take(maybe) - row.take(maybe) * _STEP
    second = lower.take(maybe) * _UNIT
    term = np.exp(-left)
    total = term.copy()
    k = 0
    more: Any = np.flatnonzero(second >= total)
    while more.size:
        maybe, left, second = maybe[more], left[more], second[more]
        k += 1
        photons[maybe] += 1.0
        term = term[more] * left / k
        total = total[more] + term
        # Beyond the last digit of the sum there is nothing more.
        more = np.flatnonzero((second >= total) & (term > 1e-12))
    return photons


def _of_large_means(mean: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cornish and Fisher's expansion of the quantiles (model 10.4): the variance is 1/12 less,
    which rounding gives back."""
    excess = normal * normal
    excess -= 1.0
    photons = mean - 1.0 / 12.0
    np.sqrt(photons, out=photons)
    photons *= normal
    photons += mean
    term = excess * (1.0 / 6.0)
    photons += term
    np.multiply(normal, excess, out=excess)
    np.sqrt(mean, out=term)
    term *= 72.0
    excess /= term
    photons -= excess
    np.rint(photons, out=photons)
    return np.maximum(photons, 0.0, out=photons)
