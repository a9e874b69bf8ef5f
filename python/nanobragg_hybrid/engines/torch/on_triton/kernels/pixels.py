"""What belongs to pixels and rays, for Triton's kernels: directions, what sums begin with and are
multiplied with (model 6.1 to 6.3, 6.8).

kind: a `ray_launches.RayChoices`.  In it stands capture, polar, omega: where a capture fraction, a
polarization factor, a solid angle is: "pixel", or of rays "layer" (at its first sub-pixel), "last"
(of the last layer, at the same sub-pixel), "sample" (at each sub-pixel), "first" (the same, of the
first source that is not cut), "source" (of each source, at the first sub-pixel), "ray"; "" is
nowhere.  thick_on_steps and so on: options, whose factors are those of rays and multiply whole
sums, or with weight_is_factor terms.  sizes: pixels, oversampling, layers, sources.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.on_triton.kernels.geometry import (
    beam_to,
    captured,
    layer_capture,
    polarization,
    solid_angle,
)
from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import is_beyond
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS

STRENGTH = tl.constexpr(NUMBERS.index("strength"))
BACKGROUND = tl.constexpr(NUMBERS.index("background"))
WATER = tl.constexpr(NUMBERS.index("water"))
WATER_M = tl.constexpr(NUMBERS.index("water_m"))
FUDGE = tl.constexpr(NUMBERS.index("fudge"))
N_CELLS = tl.constexpr(NUMBERS.index("n_cells.0"))
A_STAR = tl.constexpr(NUMBERS.index("a_star.0"))
DEFAULT_F = tl.constexpr(NUMBERS.index("default_f"))


class SceneArrays(NamedTuple):
    """Where everything is made of, float64.

    slow, fast: numbers of pixels, (pixels,).  scene: those of `packing.NUMBERS`.  sources: (5,
    sources), see `packing.Packed`.  limit: the resolution limit, m, (1,).
    """

    slow: Any
    fast: Any
    scene: Any
    sources: Any
    limit: Any


class Filled(NamedTuple):
    """What `pixel_rays` writes, float64; what there is not is anything.

    direction: (3, pixels, samples).  factor, weight: (pixels, samples, sources).  start: what sums
    begin with, (pixels,).  multipliers: what values are multiplied with, one after the other, (3,
    pixels).  water: what is added then, (pixels,).  numbers: sixteen of
    `sum_launches.packed_numbers`.
    """

    direction: Any
    factor: Any
    weight: Any
    start: Any
    multipliers: Any
    water: Any
    numbers: Any


@triton.jit
def whole_sizes(sizes):
    """The four of them, out of their disguise."""
    return sizes[0] >> 2, sizes[1] >> 2, sizes[2] >> 2, sizes[3] >> 2


@triton.jit
def _cells(scene, axis: tl.constexpr):
    """Numbers of cells below 1 count as 1."""
    n = tl.load(scene + (N_CELLS + axis))
    return tl.where(n < 1.0, 1.0, n)


@triton.jit
def scene_lattice(scene):
    """As `kernels.rays.lattice_of`."""
    star = scene + A_STAR
    return (
        _cells(scene, 0),
        _cells(scene, 1),
        _cells(scene, 2),
        tl.load(scene + FUDGE),
        tl.load(star),
        tl.load(star + 1),
        tl.load(star + 2),
        tl.load(star + 3),
        tl.load(star + 4),
        tl.load(star + 5),
        tl.load(star + 6),
        tl.load(star + 7),
        tl.load(star + 8),
    )


@triton.jit
def _fill_numbers(numbers, arrays):
    """What the kernels of steps take of a lattice."""
    lattice = scene_lattice(arrays.scene)
    for place in tl.static_range(13):
        tl.store(numbers + place, lattice[place])
    tl.store(numbers + 13, tl.load(arrays.scene + DEFAULT_F))
    tl.store(numbers + 14, tl.load(arrays.scene + WATER_M))
    tl.store(numbers + 15, tl.load(arrays.limit))


@triton.jit
def _is_cut(arrays, source_count, source, direction, kind: tl.constexpr):
    """Whether the resolution limit cuts rays."""
    if kind.has_limit:
        own = arrays.sources + source
        wavelength = tl.load(own + 3 * source_count)
        qx = (direction[0] - tl.load(own)) / wavelength
        qy = (direction[1] - tl.load(own + source_count)) / wavelength
        qz = (direction[2] - tl.load(own + 2 * source_count)) / wavelength
        return is_beyond(qx, qy, qz, tl.load(arrays.limit))
    else:
        return direction[0] != direction[0]


@triton.jit
def _polarization(arrays, source_count, source, direction, kind: tl.constexpr):
    return polarization(
        arrays.scene, arrays.sources, source_count, source, direction, kind.has_kahn
    )


@triton.jit
def _solid_angle(arrays, length, kind: tl.constexpr):
    return solid_angle(arrays.scene, length, kind.has_pixel_area, kind.is_oblique)


@triton.jit
def _last_capture(arrays, slow, fast, sizes, kind: tl.constexpr):
    """The last layer's capture fraction at its first sub-pixel, or the first that is not 0."""
    _count, oversample, layers, _sources = sizes
    per_layer = oversample * oversample
    last_layer = (layers - 1) * per_layer
    found = layer_capture(arrays.scene, slow, fast, last_layer, oversample)
    if kind.searches_capture:
        for sample in range(1, per_layer):
            own = layer_capture(arrays.scene, slow, fast, last_layer + sample, oversample)
            found = tl.where(found == 0.0, own, found)
    return found


@triton.jit
def _pixel_polarization(arrays, slow, fast, first, sizes, kind: tl.constexpr):
    """That of the first ray, or the first that is not cut and not 0, in serial order."""
    _count, oversample, layers, source_count = sizes
    if kind.searches_polarization:
        found = tl.zeros_like(slow)
        for ray in range(layers * oversample * oversample * source_count):
            source = ray % source_count
            _length, direction, _layer = beam_to(
                arrays.scene, slow, fast, ray // source_count, oversample
            )
            own = _polarization(arrays, source_count, source, direction, kind)
            is_cut = _is_cut(arrays, source_count, source, direction, kind)
            found = tl.where((found == 0.0) & ~is_cut, own, found)
        return found
    else:
        return _polarization(arrays, source_count, 0, first, kind)


@triton.jit
def _uncut_polarization(arrays, source_count, direction, kind: tl.constexpr):
    """A sample's factor of the first source that is not cut, or of the first."""
    found = _polarization(arrays, source_count, 0, direction, kind)
    if kind.has_limit:
        is_found = ~_is_cut(arrays, source_count, 0, direction, kind)
        for source in range(1, source_count):
            own = _polarization(arrays, source_count, source, direction, kind)
            is_cut = _is_cut(arrays, source_count, source, direction, kind)
            found = tl.where(is_found | is_cut, found, own)
            is_found = is_found | ~is_cut
    return found


@triton.jit
def first_beam(arrays, slow, fast, sizes):
    """Length and direction of the beam to each pixel's first sub-pixel."""
    _count, oversample, _layers, _sources = sizes
    length, direction, _layer = beam_to(arrays.scene, slow, fast, 0 * oversample, oversample)
    return length, direction


@triton.jit
def pixel_start(arrays, slow, fast, sizes, kind: tl.constexpr):
    """What a pixel's sum begins with: the water under the reflections."""
    _count, _oversample, _layers, source_count = sizes
    start = tl.zeros_like(slow)
    if kind.has_background:
        length, first = first_beam(arrays, slow, fast, sizes)
        start += tl.load(arrays.scene + BACKGROUND)
        if (kind.capture != "") and (kind.capture != "pixel"):
            start = start * _last_capture(arrays, slow, fast, sizes, kind)
        if (kind.polar != "") and (kind.polar != "pixel"):
            start = start * _polarization(arrays, source_count, 0, first, kind)
        if kind.omega == "sample":
            start = start * _solid_angle(arrays, length, kind)
    return start


@triton.jit
def pixel_multipliers(arrays, slow, fast, sizes, kind: tl.constexpr):
    """Capture fraction, polarization factor and solid angle of pixels as a whole, or 1."""
    one = tl.zeros_like(slow) + 1.0
    by_capture, by_polar, by_omega = one, one, one
    length, first = first_beam(arrays, slow, fast, sizes)
    if kind.capture == "pixel":
        by_capture = _last_capture(arrays, slow, fast, sizes, kind)
    if kind.polar == "pixel":
        by_polar = _pixel_polarization(arrays, slow, fast, first, sizes, kind)
    if kind.omega == "pixel":
        by_omega = _solid_angle(arrays, length, kind)
    return by_capture, by_polar, by_omega


@triton.jit
def pixel_water(arrays, slow, fast, sizes, kind: tl.constexpr):
    """Photons that the water scatters into each pixel, once."""
    _count, oversample, layers, source_count = sizes
    zero = tl.zeros_like(slow)
    total = zero
    if kind.has_water:
        seen = 1
        if kind.sees_sub_pixels:
            seen = oversample * oversample
        for sample in range(seen):
            length, direction, _layer = beam_to(
                arrays.scene, slow, fast, sample + 0 * oversample, oversample
            )
            photons = zero + tl.load(arrays.scene + STRENGTH) * tl.load(arrays.scene + WATER)
            if kind.has_sensor:
                bottom = zero + layers.to(tl.float64)
                photons = photons * captured(arrays.scene, direction, zero, bottom)
            if kind.has_polarization:
                photons = photons * _mean_polarization(arrays, source_count, direction, kind)
            total += photons * _solid_angle(arrays, length, kind)
        if kind.sees_sub_pixels:
            total = total / (oversample * oversample).to(tl.float64)
    return total


@triton.jit
def _mean_polarization(arrays, source_count, direction, kind: tl.constexpr):
    """Of all sources, or of the first alone."""
    if kind.sees_sources:
        mean = tl.zeros_like(direction[0])
        for source in range(source_count):
            own = _polarization(arrays, source_count, source, direction, kind)
            if kind.has_weights:
                own = own * tl.load(arrays.sources + 4 * source_count + source)
            mean += own
        return mean / source_count.to(tl.float64)
    else:
        return _polarization(arrays, source_count, 0, direction, kind)


@triton.jit
def sample_factors(arrays, slow, fast, sample, length, direction, layer, sizes, kind: tl.constexpr):
    """A sample's capture fraction and solid angle where they are factors of rays, or 1."""
    _count, oversample, layers, _sources = sizes
    per_layer = oversample * oversample
    one = tl.zeros_like(slow) + 1.0
    of_capture, of_omega = one, one
    if kind.capture == "layer":
        top = sample // per_layer * per_layer
        of_capture = layer_capture(arrays.scene, slow, fast, top, oversample)
    elif kind.capture == "last":
        lowest = (layers - 1) * per_layer + sample % per_layer
        of_capture = layer_capture(arrays.scene, slow, fast, lowest, oversample)
    elif (kind.capture == "sample") or kind.thick_on_steps:
        of_capture = captured(arrays.scene, direction, layer, layer + 1.0)
    if (kind.omega == "sample") or kind.omega_on_steps:
        of_omega = _solid_angle(arrays, length, kind)
    return of_capture, of_omega


@triton.jit
def ray_factors(arrays, source, direction, first, of_sample, sizes, kind: tl.constexpr):
    """What a ray's terms are multiplied with, and whole sums after each of its steps."""
    _count, _oversample, _layers, source_count = sizes
    of_capture, of_omega = of_sample
    one = tl.zeros_like(direction[0]) + 1.0
    of_polar = one
    if kind.polar == "first":
        of_polar = _uncut_polarization(arrays, source_count, direction, kind)
    elif kind.polar == "source":
        of_polar = _polarization(arrays, source_count, source, first, kind)
    elif (kind.polar == "ray") or kind.polar_on_steps:
        of_polar = _polarization(arrays, source_count, source, direction, kind)
    factor, weight = one, one
    if kind.thick_on_steps:
        weight = weight * of_capture
    else:
        factor = factor * of_capture
    if kind.polar_on_steps:
        weight = weight * of_polar
    else:
        factor = factor * of_polar
    if kind.omega_on_steps:
        weight = weight * of_omega
    else:
        factor = factor * of_omega
    if kind.has_weights:
        factor = factor * tl.load(arrays.sources + 4 * source_count + source)
    if kind.weight_is_factor:
        factor = factor * weight
    return factor, weight


@triton.jit
def pixel_rays(filled, arrays, sizes, block: tl.constexpr, kind: tl.constexpr):
    """Writes all of it, one program for a block of pixels."""
    sizes = whole_sizes(sizes)
    count, oversample, layers, source_count = sizes
    pixel = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    lanes = pixel < count
    slow = tl.load(arrays.slow + pixel, mask=lanes, other=0.0)
    fast = tl.load(arrays.fast + pixel, mask=lanes, other=0.0)
    if tl.program_id(0) == 0:
        _fill_numbers(filled.numbers, arrays)
    start = pixel_start(arrays, slow, fast, sizes, kind)
    tl.store(filled.start + pixel, start, mask=lanes)
    water = pixel_water(arrays, slow, fast, sizes, kind)
    tl.store(filled.water + pixel, water, mask=lanes)
    by_capture, by_polar, by_omega = pixel_multipliers(arrays, slow, fast, sizes, kind)
    row = tl.cast(count, tl.int64)
    tl.store(filled.multipliers + pixel, by_capture, mask=lanes)
    tl.store(filled.multipliers + row + pixel, by_polar, mask=lanes)
    tl.store(filled.multipliers + 2 * row + pixel, by_omega, mask=lanes)
    _length, first = first_beam(arrays, slow, fast, sizes)
    samples = layers * oversample * oversample
    plane = row * samples
    for sample in range(samples):
        length, direction, layer = beam_to(arrays.scene, slow, fast, sample, oversample)
        place = pixel * samples + sample
        tl.store(filled.direction + place, direction[0], mask=lanes)
        tl.store(filled.direction + plane + place, direction[1], mask=lanes)
        tl.store(filled.direction + 2 * plane + place, direction[2], mask=lanes)
        if kind.has_factor or kind.has_weight:
            of_sample = sample_factors(
                arrays, slow, fast, sample, length, direction, layer, sizes, kind
            )
            for source in range(source_count):
                factor, weight = ray_factors(
                    arrays, source, direction, first, of_sample, sizes, kind
                )
                ray = place * source_count + source
                if kind.has_factor:
                    tl.store(filled.factor + ray, factor, mask=lanes)
                if kind.has_weight:
                    tl.store(filled.weight + ray, weight, mask=lanes)
