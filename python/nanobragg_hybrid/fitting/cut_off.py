"""Counts that are cut off: a pixel that shows the end of what it can show was there or beyond."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.fitting.likelihoods import Array, Growth, Slopes
from nanobragg_hybrid.model.response import COUNT_LIMITS, Response

_FAR: Final = -20.0
"""From here on the logarithm of the normal distribution function comes from a series."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Between which counts can be.

    lowest, highest: what a pixel shows that was there or beyond; infinite: there is no end.  step:
    between neighbouring counts, 0 for those that are not whole.  overload: what a pixel shows that
    tells nothing, infinite: there is no such number.
    """

    lowest: float = -math.inf
    highest: float = math.inf
    step: float = 0.0
    overload: float = math.inf

    @classmethod
    def of_response(cls, response: Response) -> Limits:
        """Those of a response.  Without read-out noise nothing is below the pedestal, and the
        lowest count is one like others."""
        limits = COUNT_LIMITS[response.count_type]
        highest = response.most_counts
        if response.is_rounded:
            highest = float(round(highest) if response.rounding == "nearest" else highest // 1.0)
        has_noise = response.read_noise > 0.0
        lowest = float(limits[0]) if limits is not None and has_noise else -math.inf
        return cls(lowest, highest, 1.0 if response.is_rounded else 0.0)

    @classmethod
    def of_type(cls, dtype: np.dtype[Any], *, has_noise: bool) -> Limits:
        """Those of an array of counts of which no more is known: the largest number of an integer
        type marks overloads and gaps; without a sign there is nothing below 0."""
        if dtype.kind not in "iu":
            return NO_LIMITS
        lowest = 0.0 if dtype.kind == "u" and has_noise else -math.inf
        return cls(lowest, step=1.0, overload=float(np.iinfo(dtype).max))


NO_LIMITS: Final = Limits()


class CutOff(NamedTuple):
    """Pixels whose counts are cut off.

    place: which of the fitted ones, shape (k,).  end: 1 at the upper end, -1 at the lower one.
    beyond: photons from which on, in that direction, a pixel shows the end; shape (k,).
    """

    place: NDArray[np.intp]
    end: Array
    beyond: Array

    def taken(self, place: NDArray[np.intp]) -> CutOff:
        """Those among some of the fitted pixels, in the order of these."""
        number = {int(old): new for new, old in enumerate(place.tolist())}
        own = [n for n, old in enumerate(self.place.tolist()) if old in number]
        moved = [number[int(self.place[n])] for n in own]
        return CutOff(np.array(moved, dtype=np.intp), self.end[own], self.beyond[own])

    def deviance(self, expected: Array, variance: Array, growth: Growth) -> float:
        """-2 log of the probability to be there or beyond, summed; see `beyond`.

        expected, variance: of these pixels, as for `likelihoods.deviance`.
        """
        spread = growth.spread(expected, variance)
        if not bool(np.all(spread > 0.0)):
            return math.inf
        z = self.end * (expected - self.beyond) / np.sqrt(spread)
        return -2.0 * float(np.sum(log_normal(z)))

    def slopes(self, expected: Array, variance: Array, growth: Growth) -> Slopes:
        """The derivatives of half of that; the weight leaves out how z is bent, so it is > 0."""
        z, first, _ = self._z(expected, variance, growth)
        ratio = _ratio(z)
        weight = np.maximum(ratio * (z + ratio), 0.0) * first * first
        return Slopes(-ratio * first, weight)

    def curvature(self, expected: Array, variance: Array, growth: Growth) -> Array:
        """The second derivative of half of that."""
        z, first, second = self._z(expected, variance, growth)
        ratio = _ratio(z)
        bent: Array = ratio * (z + ratio) * first * first - ratio * second
        return bent

    def _z(self, expected: Array, variance: Array, growth: Growth) -> tuple[Array, Array, Array]:
        """How far inside pixels are in standard deviations, and its derivatives by m."""
        spread = np.maximum(growth.spread(expected, variance), np.finfo(float).tiny)
        far = self.end * (expected - self.beyond)
        grows = growth.linear + 2.0 * growth.square * expected
        root = 1.0 / np.sqrt(spread)
        first = self.end * root - 0.5 * far * grows * root**3
        second = -self.end * grows * root**3
        second += 0.75 * far * grows**2 * root**5 - far * growth.square * root**3
        return far * root, first, second


def cut_off(counts: Array, limits: Limits, offset: float, gain: float | Array) -> CutOff | None:
    """Which of some pixels are cut off, None: none is.

    counts: of the pixels; offset, gain: what makes photons of them.
    """
    upper, lower = counts >= limits.highest, counts <= limits.lowest
    place = np.flatnonzero(upper | lower)
    if place.size == 0:
        return None
    end = np.where(upper[place], 1.0, -1.0)
    own = gain if isinstance(gain, float) else gain[place]
    # A rounded count stands for what is up to half a step from it.
    shown = np.clip(counts[place], limits.lowest, limits.highest)
    beyond = (shown - 0.5 * limits.step * end - offset) / own
    return CutOff(place, end, beyond)


def log_normal(z: Array) -> Array:
    """The logarithm of the normal distribution function."""
    near = np.maximum(z, _FAR) / -math.sqrt(2.0)
    found = np.array([math.log(0.5 * math.erfc(each)) for each in near.tolist()])
    far = z < _FAR
    own = z[far]
    found[far] = -0.5 * own * own - np.log(-own * math.sqrt(2.0 * math.pi)) + np.log(_tail(own))
    return found


def _ratio(z: Array) -> Array:
    """Density of the normal distribution over its distribution function."""
    near = np.maximum(z, _FAR)
    found = np.exp(-0.5 * near * near - 0.5 * math.log(2.0 * math.pi) - log_normal(near))
    far = z < _FAR
    found[far] = -z[far] / _tail(z[far])
    return found


def _tail(z: Array) -> Array:
    """The distribution function far below 0, over density / -z: a series (Abramowitz and Stegun,
    26.2.12)."""
    square = 1.0 / (z * z)
    tail: Array = 1.0 - square * (1.0 - 3.0 * square * (1.0 - 5.0 * square * (1.0 - 7.0 * square)))
    return tail
