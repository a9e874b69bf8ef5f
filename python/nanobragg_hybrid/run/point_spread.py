"""Point spread of an image by fast Fourier transforms (model 10.1)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from nanobragg_hybrid.model.response import PointSpread

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))


def spread(
    image: NDArray[np.float64], point_spread: PointSpread, pixel_um: float
) -> NDArray[np.float64]:
    """The image, shape (slow, fast), after the point spread of square pixels with this edge."""
    for kernel in kernels(point_spread, pixel_um):
        image = _convolved(image, kernel, point_spread.edges == "reflected")
    return image


def kernels(point_spread: PointSpread, pixel_um: float) -> list[NDArray[np.float64]]:
    """Quarters of the kernels that act one after the other: part of a pixel's light that reaches
    the pixel k rows and l columns away, shape (reach + 1, reach + 1).  The sum over all four
    quarters is 1."""
    found = []
    if point_spread.gaussian_fwhm_um > 0.0:
        sigma = point_spread.gaussian_fwhm_um / _FWHM_PER_SIGMA / pixel_um
        reach = math.ceil(point_spread.gaussian_reach_um / pixel_um)
        found.append(_gaussian(sigma, reach))
    if point_spread.fibre_radius_um > 0.0:
        reach = math.ceil(point_spread.fibre_reach_um / pixel_um)
        found.append(_fibre(point_spread.fibre_radius_um / pixel_um, reach))
    return found


@lru_cache(maxsize=8)
def _gaussian(sigma: float, reach: int) -> NDArray[np.float64]:
    """A gaussian, integrated over pixels."""
    edges = [math.erf((k - 0.5) / (sigma * math.sqrt(2.0))) for k in range(reach + 2)]
    line = 0.5 * np.diff(edges)
    return _normalised(np.outer(line, line))


@lru_cache(maxsize=8)
def _fibre(radius: float, reach: int) -> NDArray[np.float64]:
    """radius / (2 pi (radius^2 + r^2)^(3/2)), integrated over pixels: the solid angle of a pixel
    seen from a point at this height above the middle one, over 2 pi."""
    edge = np.arange(reach + 2) - 0.5
    across = edge[:, np.newaxis]
    height = radius * np.sqrt(radius * radius + across * across + edge * edge)
    corner = np.arctan2(across * edge, height) / (2.0 * math.pi)
    quarter = np.diff(np.diff(corner, axis=0), axis=1)
    return _normalised(quarter)


def _normalised(quarter: NDArray[np.float64]) -> NDArray[np.float64]:
    times = np.full(len(quarter), 2.0)
    times[0] = 1.0
    quarter = quarter / (times @ quarter @ times)
    quarter.setflags(write=False)
    return quarter


def _convolved(
    image: NDArray[np.float64], quarter: NDArray[np.float64], reflects: bool
) -> NDArray[np.float64]:
    n_slow, n_fast = image.shape
    reach = len(quarter) - 1
    begin = 0
    if reflects:
        image = np.pad(image, reach, mode="symmetric")
        begin = reach
    shape = _good_size(image.shape[0] + reach), _good_size(image.shape[1] + reach)
    transform = np.fft.rfft2(image, shape)
    transform *= _transform(quarter.tobytes(), reach, shape)
    out = np.fft.irfft2(transform, shape)
    return out[begin : begin + n_slow, begin : begin + n_fast]


@lru_cache(maxsize=4)
def _transform(quarter: bytes, reach: int, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Fourier transform of a kernel, which is real because the kernel is even."""
    values = np.frombuffer(quarter).reshape(reach + 1, reach + 1)
    kernel = np.zeros(shape)
    places = [np.arange(-reach, reach + 1) % n for n in shape]
    away = np.abs(np.arange(-reach, reach + 1))
    np.add.at(kernel, np.ix_(*places), values[np.ix_(away, away)])
    transform = np.fft.rfft2(kernel).real.copy()
    transform.setflags(write=False)
    return transform


def _good_size(n: int) -> int:
    """The next number without prime factors above 5, for which transforms are fast."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1
