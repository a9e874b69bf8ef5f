"""Point spread of an image: sums along the axes, or Fourier transforms of tiles (model 10.1).

A pixel has the same bits whichever region of the image is asked for: what is added up for it, and
in which order, depends on the shape of the whole image and on the kernel, and on nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.model.response import PointSpread

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
_LONGEST_SUM: Final = 12
"""Reach, in pixels, up to which a gaussian is summed along both axes: above, transforms are
faster."""
_TILE: Final = 342
_TILE_PER_REACH: Final = 6
"""Edge of a tile, in pixels, at most; and at most so many times the reach, if that is more."""
_KERNELS: Final = 100
"""Quarters of a kernel that are in memory while a tile is transformed, about."""
_ROW_BLOCK: Final = 1 << 15
"""Pixels of some rows that stay in a cache."""


class Region(NamedTuple):
    """Pixels from and up to, without the latter: rows, then columns."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def whole(cls, shape: tuple[int, int]) -> Region:
        """All pixels of an image of this shape."""
        return cls(0, shape[0], 0, shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Its rows and columns."""
        return self.bottom - self.top, self.right - self.left

    @property
    def window(self) -> tuple[slice, slice]:
        """Its part of an image."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def widened(self, reach: int, shape: tuple[int, int]) -> Region:
        """With the pixels around it, as far as the image goes."""
        return Region(
            max(self.top - reach, 0),
            min(self.bottom + reach, shape[0]),
            max(self.left - reach, 0),
            min(self.right + reach, shape[1]),
        )


def spread(
    image: NDArray[np.float64],
    point_spread: PointSpread,
    pixel_um: float,
    region: Region | None = None,
) -> NDArray[np.float64]:
    """The image, shape (slow, fast), after the point spread of square pixels with this edge.

    region: where it is wanted, the rest is 0; None: everywhere.  The light within `source_region`
    is all that matters for it.
    """
    shape = image.shape[0], image.shape[1]
    wanted = Region.whole(shape) if region is None else region
    found = image
    steps = _steps(point_spread, pixel_um)
    for step, own in zip(steps, _regions(steps, wanted, shape), strict=True):
        out = np.empty(shape) if own == Region.whole(shape) else np.zeros(shape)
        step.spread(found, out, own, point_spread.edges == "reflected")
        found = out
    if found is image:
        found = np.zeros(shape)
        found[wanted.window] = image[wanted.window]
    return found


def source_region(
    region: Region, point_spread: PointSpread, pixel_um: float, shape: tuple[int, int]
) -> Region:
    """The pixels whose light is needed for those of a region of an image of this shape."""
    steps = _steps(point_spread, pixel_um)
    if not steps:
        return region
    return steps[0].source(_regions(steps, region, shape)[0], shape)


def reach(point_spread: PointSpread, pixel_um: float) -> int:
    """How far light spreads along an axis, pixels."""
    return sum(len(quarter) - 1 for quarter in kernels(point_spread, pixel_um))


def kernels(point_spread: PointSpread, pixel_um: float) -> list[NDArray[np.float64]]:
    """Quarters of the kernels that act one after the other: part of a pixel's light that reaches
    the pixel k rows and l columns away, shape (reach + 1, reach + 1).  The sum over all four
    quarters is 1."""
    return [step.quarter for step in _steps(point_spread, pixel_um)]


class _Step(Protocol):
    """A kernel, and how an image is convolved with it."""

    @property
    def quarter(self) -> NDArray[np.float64]:
        """See `kernels`."""
        ...

    def source(self, region: Region, shape: tuple[int, int]) -> Region:
        """The pixels whose light it takes for a region."""
        ...

    def spread(
        self,
        image: NDArray[np.float64],
        out: NDArray[np.float64],
        region: Region,
        reflects: bool,
    ) -> None:
        """Writes a region of the convolved image."""
        ...


def _steps(point_spread: PointSpread, pixel_um: float) -> list[_Step]:
    found: list[_Step] = []
    if point_spread.gaussian_fwhm_um > 0.0:
        sigma = point_spread.gaussian_fwhm_um / _FWHM_PER_SIGMA / pixel_um
        reach = math.ceil(point_spread.gaussian_reach_um / pixel_um)
        _require_memory(reach)
        line = _Line(_gaussian(sigma, reach))
        found.append(line if reach <= _LONGEST_SUM else _Tiles(line.quarter))
    if point_spread.fibre_radius_um > 0.0:
        reach = math.ceil(point_spread.fibre_reach_um / pixel_um)
        _require_memory(reach)
        found.append(_Tiles(_fibre(point_spread.fibre_radius_um / pixel_um, reach)))
    return found


def _regions(steps: list[_Step], wanted: Region, shape: tuple[int, int]) -> list[Region]:
    """What each step has to give, for the last one to give what is wanted."""
    regions = [wanted]
    for step in reversed(steps[1:]):
        regions.append(step.source(regions[-1], shape))
    return regions[::-1][: len(steps)]


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """A kernel that is a product of one for each axis; line: half of that, from its middle."""

    line: tuple[float, ...]

    @property
    def quarter(self) -> NDArray[np.float64]:
        """See `kernels`."""
        quarter = np.outer(self.line, self.line)
        quarter.setflags(write=False)
        return quarter

    def source(self, region: Region, shape: tuple[int, int]) -> Region:
        """The region and what is as near as the kernel reaches."""
        return region.widened(len(self.line) - 1, shape)

    def spread(
        self,
        image: NDArray[np.float64],
        out: NDArray[np.float64],
        region: Region,
        reflects: bool,
    ) -> None:
        """Along the slow axis, then along the fast one, some rows at a time."""
        reach = len(self.line) - 1
        n_fast = region.shape[1]
        rows = max(_ROW_BLOCK // max(n_fast + 2 * reach, 1), 4 * reach, 1)
        for top in range(region.top, region.bottom, rows):
            bottom = min(top + rows, region.bottom)
            part = Region(top, bottom, region.left, region.right)
            light = _with_surroundings(image, part, reach, reflects)
            down = self._sum([light[k : k + bottom - top] for k in range(2 * reach + 1)])
            out[part.window] = self._sum([down[:, k : k + n_fast] for k in range(2 * reach + 1)])

    def _sum(self, shifted: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Of the light, shifted by so many pixels as the kernel reaches to both sides."""
        reach = len(self.line) - 1
        total = self.line[0] * shifted[reach]
        pair = np.empty_like(total)
        for k, part in enumerate(self.line[1:], 1):
            np.add(shifted[reach - k], shifted[reach + k], out=pair)
            pair *= part
            total += pair
        return total


@dataclass(frozen=True, slots=True, eq=False)
class _Tiles:
    """Any kernel, by transforms of tiles that lie where the shape of the image puts them."""

    quarter: NDArray[np.float64]

    @property
    def _reach(self) -> int:
        return len(self.quarter) - 1

    def _edge(self, n: int) -> int:
        """The length of tiles along an axis of n pixels."""
        count = -(-n // max(_TILE, _TILE_PER_REACH * self._reach))
        return -(-n // max(count, 1))

    def source(self, region: Region, shape: tuple[int, int]) -> Region:
        """The tiles that the region touches, and what is as near as the kernel reaches."""
        slow, fast = (self._edge(n) for n in shape)
        tiles = Region(
            region.top // slow * slow,
            -(-region.bottom // slow) * slow,
            region.left // fast * fast,
            -(-region.right // fast) * fast,
        )
        return tiles.widened(self._reach, shape)

    def spread(
        self,
        image: NDArray[np.float64],
        out: NDArray[np.float64],
        region: Region,
        reflects: bool,
    ) -> None:
        """Tile by tile."""
        reach = self._reach
        slow, fast = (self._edge(n) for n in image.shape)
        size = _good_size(slow + 2 * reach), _good_size(fast + 2 * reach)
        of_kernel = _transform(self.quarter.tobytes(), reach, size)
        for top in range(region.top // slow * slow, region.bottom, slow):
            for left in range(region.left // fast * fast, region.right, fast):
                tile = Region(top, top + slow, left, left + fast)
                light = _with_surroundings(image, tile, reach, reflects)
                transform = np.fft.rfft2(light, size)
                transform *= of_kernel
                found = np.fft.irfft2(transform, size)
                own = Region(
                    max(top, region.top),
                    min(top + slow, region.bottom),
                    max(left, region.left),
                    min(left + fast, region.right),
                )
                rows = slice(own.top - top + reach, own.bottom - top + reach)
                columns = slice(own.left - left + reach, own.right - left + reach)
                if light.min() >= 0.0:  # then what is below 0 is rounding of the transforms
                    np.maximum(found[rows, columns], 0.0, out=out[own.window])
                else:
                    out[own.window] = found[rows, columns]


def _with_surroundings(
    image: NDArray[np.float64], region: Region, reach: int, reflects: bool
) -> NDArray[np.float64]:
    """A region with so many pixels around it; beyond the image there is its mirror image,
    again and again, or nothing."""
    bounds = (
        (region.top - reach, region.bottom + reach, image.shape[0]),
        (region.left - reach, region.right + reach, image.shape[1]),
    )
    if all(low >= 0 and high <= n for low, high, n in bounds):
        (top, bottom, _), (left, right, _) = bounds
        return image[top:bottom, left:right]
    if reflects:
        return image[np.ix_(*(_mirrored(*each) for each in bounds))]
    light = np.zeros([high - low for low, high, _ in bounds])
    inside = [slice(max(low, 0), min(high, n)) for low, high, n in bounds]
    places = [
        slice(own.start - low, own.stop - low)
        for own, (low, _, _) in zip(inside, bounds, strict=True)
    ]
    light[places[0], places[1]] = image[inside[0], inside[1]]
    return light


def _mirrored(low: int, high: int, n: int) -> NDArray[np.intp]:
    """Numbers of the rows of an image of n, from low to high, which may lie beyond its edges."""
    there = np.arange(low, high) % (2 * n)
    rows: NDArray[np.intp] = np.where(there < n, there, 2 * n - 1 - there)
    return rows


@lru_cache(maxsize=8)
def _gaussian(sigma: float, reach: int) -> tuple[float, ...]:
    """Half of a gaussian, integrated over pixels."""
    edges = [math.erf((k - 0.5) / (sigma * math.sqrt(2.0))) for k in range(reach + 2)]
    half = np.diff(edges)
    line: list[float] = (half / (2.0 * half.sum() - half[0])).tolist()
    return tuple(line)


def _require_memory(reach: int) -> None:
    """Raises `ResourceError` for a kernel that does not fit into memory."""
    what = f"kernel of a point spread that reaches {reach} pixels (see its reach_um)"
    require_memory({what: _KERNELS * 8 * (reach + 1) ** 2})


@lru_cache(maxsize=8)
def _fibre(radius: float, reach: int) -> NDArray[np.float64]:
    """radius / (2 pi (radius^2 + r^2)^(3/2)), integrated over pixels: the solid angle of a pixel
    seen from a point at this height above the middle one, over 2 pi."""
    edge = np.arange(reach + 2) - 0.5
    across = edge[:, np.newaxis]
    height = radius * np.sqrt(radius * radius + across * across + edge * edge)
    corner = np.arctan2(across * edge, height) / (2.0 * math.pi)
    quarter: NDArray[np.float64] = np.diff(np.diff(corner, axis=0), axis=1)
    times = np.full(len(quarter), 2.0)
    times[0] = 1.0
    quarter = quarter / (times @ quarter @ times)
    quarter.setflags(write=False)
    return quarter


@lru_cache(maxsize=16)
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
