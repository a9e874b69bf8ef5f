"""What Triton's kernels read for a ray and a step: directions, sources, cells, numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import triton
import triton.language as tl

_DEFAULT_F = tl.constexpr(13)
_WATER = tl.constexpr(14)
_DMIN = tl.constexpr(15)
_SERIES = tl.constexpr(16)
"""Places among the numbers, behind the thirteen of the lattice."""


class Given(NamedTuple):
    """Arrays of a launch, float64; what there is not is anything.

    direction: (3, pixels, samples).  sources: (4, sources), incident direction and wavelength.
    cells: (orientations, 9).  grid: the table.  numbers: as `sum_launches.packed_numbers` has them.
    factor, weight: of each ray, see `Sizes`.  start: (pixels,).  domain_weights: (domains,).
    """

    direction: Any
    sources: Any
    cells: Any
    grid: Any
    numbers: Any
    factor: Any
    weight: Any
    start: Any
    domain_weights: Any


class Sizes(NamedTuple):
    """Whole numbers of a launch, disguised.

    shape: pixels, samples, sources.  counts: orientations, domains.  extent: of the table, see
    `kernels.amplitudes`.  factor_strides, weight_strides: along pixels, samples, sources, 0 where
    values do not differ.

    Triton compiles a kernel anew for a member of a tuple that is 1, or a multiple of 16: none of
    these numbers is, so that there is one kernel for a kind of scene, whatever its size.
    """

    shape: Any
    counts: Any
    extent: Any
    factor_strides: Any
    weight_strides: Any


class Crystal(NamedTuple):
    """What all steps of a program are made with, but for their cells.

    lattice: see `lattice_of`.  default_f: F of what is not in the table.  skips_zero: whether a
    lattice factor of 0 ends a step, for each pixel.  grid, extent: the table.  limit: points to the
    resolution limit.
    """

    lattice: Any
    default_f: Any
    skips_zero: Any
    grid: Any
    extent: Any
    limit: Any


@dataclass(frozen=True, slots=True)
class StepKind:
    """What a kernel of steps is compiled for.

    profile: a crystal's shape.  single, interpolation: see `kernels.steps`; has_table: there is a
    table of structure factors.  has_limit: rays may be cut.  has_factor: rays have factors.
    is_running: sums are multiplied by weights of rays after every step.  is_weighted: domains have
    weights.  is_listed: only the steps of lists are visited.
    """

    profile: str
    single: bool
    has_table: bool
    interpolation: str
    has_limit: bool
    has_factor: bool
    is_running: bool
    is_weighted: bool
    is_listed: bool


def disguised(numbers: tuple[int, ...]) -> tuple[int, ...]:
    """What `plain` makes these numbers of."""
    return tuple(4 * n + 2 for n in numbers)


@triton.jit
def _two(sizes):
    return sizes[0] >> 2, sizes[1] >> 2


@triton.jit
def _three(sizes):
    return sizes[0] >> 2, sizes[1] >> 2, sizes[2] >> 2


@triton.jit
def plain(sizes):
    """shape, counts, extent, factor_strides, weight_strides."""
    first_h, first_k, first_l, size_h, size_k, size_l = sizes.extent
    extent = (first_h >> 2, first_k >> 2, first_l >> 2, size_h >> 2, size_k >> 2, size_l >> 2)
    strides = _three(sizes.factor_strides), _three(sizes.weight_strides)
    return _three(sizes.shape), _two(sizes.counts), extent, strides[0], strides[1]


@triton.jit
def lattice_of(numbers):
    """N_a, N_b, N_c, fudge factor, a*, b*, c*."""
    return (
        tl.load(numbers),
        tl.load(numbers + 1),
        tl.load(numbers + 2),
        tl.load(numbers + 3),
        tl.load(numbers + 4),
        tl.load(numbers + 5),
        tl.load(numbers + 6),
        tl.load(numbers + 7),
        tl.load(numbers + 8),
        tl.load(numbers + 9),
        tl.load(numbers + 10),
        tl.load(numbers + 11),
        tl.load(numbers + 12),
    )


@triton.jit
def default_of(numbers):
    """F of what is not in the table."""
    return tl.load(numbers + _DEFAULT_F)


@triton.jit
def crystal_of(given, extent, block: tl.constexpr):
    """A `Crystal` of a launch's arrays; block: the pixels of a program."""
    skips_zero = (tl.zeros([block], tl.float64) + tl.load(given.numbers + _WATER)) == 0.0
    return Crystal(
        lattice_of(given.numbers),
        default_of(given.numbers),
        skips_zero,
        given.grid,
        extent,
        given.numbers + _DMIN,
    )


@triton.jit
def _series(numbers):
    return (
        tl.load(numbers),
        tl.load(numbers + 1),
        tl.load(numbers + 2),
        tl.load(numbers + 3),
        tl.load(numbers + 4),
        tl.load(numbers + 5),
        tl.load(numbers + 6),
    )


@triton.jit
def series_of(numbers):
    """Coefficients of the interference functions along a, b, c next to their maxima."""
    first = numbers + _SERIES
    return _series(first), _series(first + 7), _series(first + 14)


@triton.jit
def ray_of(given, pixel, lanes, sample, source, shape):
    """The scattering vector of a ray and its wavelength; shape: pixels, samples, sources."""
    count, samples, source_count = shape
    place = pixel * samples + sample
    plane = tl.cast(count, tl.int64) * samples
    wavelength = tl.load(given.sources + 3 * source_count + source)
    x = tl.load(given.direction + place, mask=lanes, other=0.0) - tl.load(given.sources + source)
    y = tl.load(given.direction + plane + place, mask=lanes, other=0.0)
    y -= tl.load(given.sources + source_count + source)
    z = tl.load(given.direction + 2 * plane + place, mask=lanes, other=0.0)
    z -= tl.load(given.sources + 2 * source_count + source)
    return x / wavelength, y / wavelength, z / wavelength, wavelength


@triton.jit
def is_beyond(qx, qy, qz, dmin):
    """Whether the resolution limit cuts a ray."""
    stol = 0.5 * tl.sqrt(qx * qx + qy * qy + qz * qz)
    is_any = stol > 0.0
    return is_any & (dmin > 0.5 / tl.where(is_any, stol, 1.0))


@triton.jit
def cut_by_limit(crystal, qx, qy, qz, lanes, has_limit: tl.constexpr):
    """The same, of a crystal; has_limit: rays may be cut."""
    if has_limit:
        return is_beyond(qx, qy, qz, tl.load(crystal.limit))
    else:
        return lanes & ~lanes


@triton.jit
def cell_of(cells, orientation):
    """a, b, c of an orientation, component by component."""
    own = cells + orientation * 9
    return (
        tl.load(own),
        tl.load(own + 1),
        tl.load(own + 2),
        tl.load(own + 3),
        tl.load(own + 4),
        tl.load(own + 5),
        tl.load(own + 6),
        tl.load(own + 7),
        tl.load(own + 8),
    )


@triton.jit
def indices_of(cell, qx, qy, qz):
    """h, k, l."""
    ax, ay, az, bx, by, bz, cx, cy, cz = cell
    h = ax * qx + ay * qy + az * qz
    k = bx * qx + by * qy + bz * qz
    return h, k, cx * qx + cy * qy + cz * qz


@triton.jit
def of_ray(values, pixel, lanes, sample, source, strides):
    """A factor of each ray; strides: 0 where it does not differ."""
    by_pixel, by_sample, by_source = strides
    place = pixel * by_pixel + sample * by_sample + source * by_source
    return tl.load(values + place, mask=lanes, other=0.0)
