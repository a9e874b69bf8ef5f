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
    image: NDArray[np.float64], point_spread: PointSpread, pixel_um: tuple[float, float]
) -> NDArray[np.float64]:
    """The image, shape (slow, fast), after the point spread of pixels with these edges, along fast
    and slow."""
    for kernel in kernels(point_spread, pixel_um):
        image = _convolved(image, kernel, point_spread.edges == "reflected")
    return image


def kernels(point_spread: PointSpread, pixel_um: tuple[float, float]) -> list[NDArray[np.float64]]:
    """Quarters of the kernels that act one after the other: part of a pixel's light that reaches
    the pixel k rows and l columns away, shape (rows + 1, columns + 1).  The sum over all four
    quarters is 1."""
    found = []
    if point_spread.gaussian_fwhm_um > 0.0:
        lines = [
            (
                point_spread.gaussian_fwhm_um / _FWHM_PER_SIGMA / edge,
                math.ceil(point_spread.gaussian_reach_um / edge),
            )
            for edge in pixel_um
        ]
        found.append(_gaussian(*lines))
    if point_spread.fibre_radius_um > 0.0:
        columns, rows = (math.ceil(point_spread.fibre_reach_um / edge) for edge in pixel_um)
        radius = point_spread.fibre_radius_um / pixel_um[0]
        found.append(_fibre(radius, columns, rows, pixel_um[1] / pixel_um[0]))
    return found


@lru_cache(maxsize=8)
def _gaussian(fast: tuple[float, int], slow: tuple[float, int]) -> NDArray[np.float64]:
    """A gaussian, integrated over pixels; its sigma and its reach, in pixels, along each axis."""
    along_fast, along_slow = (
        0.5 * np.diff([math.erf((k - 0.5) / (sigma * math.sqrt(2.0))) for k in range(reach + 2)])
        for sigma, reach in (fast, slow)
    )
    return _normalised(np.outer(along_slow, along_fast))


@lru_cache(maxsize=8)
def _fibre(radius: float, columns: int, rows: int, height: float) -> NDArray[np.float64]:
    """radius / (2 pi (radius^2 + r^2)^(3/2)), integrated over pixels: the solid angle of a pixel
    seen from a point that is radius above the middle one, over 2 pi.  Lengths are in widths of a
    pixel, height is its own."""
    edge = np.arange(columns + 2) - 0.5
    across = (np.arange(rows + 2) - 0.5)[:, np.newaxis] * height
    away = radius * np.sqrt(radius * radius + across * across + edge * edge)
    corner = np.arctan2(across * edge, away) / (2.0 * math.pi)
    quarter = np.diff(np.diff(corner, axis=0), axis=1)
    return _normalised(quarter)


def _normalised(quarter: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = (np.full(length, 2.0) for length in quarter.shape)
    rows[0] = columns[0] = 1.0
    quarter = quarter / (rows @ quarter @ columns)
    quarter.setflags(write=False)
    return quarter


def _convolved(
    image: NDArray[np.float64], quarter: NDArray[np.float64], reflects: bool
) -> NDArray[np.float64]:
    n_slow, n_fast = image.shape
    rows, columns = quarter.shape[0] - 1, quarter.shape[1] - 1
    row = column = 0
    if reflects:
        image = np.pad(image, ((rows, rows), (columns, columns)), mode="symmetric")
        row, column = rows, columns
    shape = _good_size(image.shape[0] + rows), _good_size(image.shape[1] + columns)
    transform = np.fft.rfft2(image, shape)
    transform *= _transform(quarter.tobytes(), (rows, columns), shape)
    out = np.fft.irfft2(transform, shape)
    return out[row : row + n_slow, column : column + n_fast]


@lru_cache(maxsize=4)
def _transform(
    quarter: bytes, reach: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Fourier transform of a kernel, which is real because the kernel is even."""
    values = np.frombuffer(quarter).reshape(reach[0] + 1, reach[1] + 1)
    kernel = np.zeros(shape)
    offsets = [np.arange(-far, far + 1) for far in reach]
    places = [offset % n for offset, n in zip(offsets, shape, strict=True)]
    np.add.at(kernel, np.ix_(*places), values[np.ix_(*map(np.abs, offsets))])
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
