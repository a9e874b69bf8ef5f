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


def poisson_photons(
    mean: NDArray[np.float64], seed: int, frame: int, panel: int
) -> NDArray[np.float64]:
    """Whole numbers of photons, as float64, of the shape of `mean`, whose values are finite and
    >= 0; that of the whole panel.

    Below 64 the distribution is Poisson's to 2^-32; from there on the total variation distance to
    it is at most 3.2e-5, falls as 1/mean^(3/2), and mean and variance are right to 2e-6.
    """
    flat = np.ascontiguousarray(mean).reshape(-1)
    photons = np.empty(flat.size)
    small = stream(seed, frame, panel, "photons").bit_generator
    large = stream(seed, frame, panel, "large means")
    last = flat.size - int(np.argmax(flat[::-1] >= LARGE_MEAN)) if flat.size else 0
    has_large = bool(flat.size) and bool(flat[last - 1] >= LARGE_MEAN)
    # Blocks that fit into a cache; the numbers of a stream do not depend on them.
    for start in range(0, flat.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        means = flat[part]
        raw = small.random_raw(means.size)
        if not has_large or start >= last:
            photons[part] = _of_small_means(means, raw)
            continue
        normal = large.standard_normal(means.size)
        is_large = means >= LARGE_MEAN
        if is_large.all():
            photons[part] = _of_large_means(means, normal)
            continue
        block, small_ones, large_ones = photons[part], *map(np.flatnonzero, (~is_large, is_large))
        block[small_ones] = _of_small_means(means.take(small_ones), raw.take(small_ones))
        block[large_ones] = _of_large_means(means.take(large_ones), normal.take(large_ones))
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
    rest = mean - row * _STEP
    uniform = (raw >> np.uint64(32)) * _UNIT
    place = tables.guide.take(row * _GUIDES + (raw >> np.uint64(56)).view(np.int64))
    first = row * tables.width
    at = first + place
    above = np.flatnonzero(uniform >= tables.distribution.take(at))
    while above.size:
        at[above] += 1
        above = above[uniform.take(above) >= tables.distribution.take(at.take(above))]
    photons = (at - first).astype(np.float64)
    second = (raw & np.uint64(0xFFFFFFFF)) * _UNIT
    maybe = np.flatnonzero(second >= math.exp(-_STEP))
    left, second = rest[maybe], second[maybe]
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
    square = normal * normal
    photons = normal * np.sqrt(mean - 1.0 / 12.0)
    photons += mean
    photons += (square - 1.0) * (1.0 / 6.0)
    photons += normal * (1.0 - square) / (72.0 * np.sqrt(mean))
    np.rint(photons, out=photons)
    return np.maximum(photons, 0.0, out=photons)
