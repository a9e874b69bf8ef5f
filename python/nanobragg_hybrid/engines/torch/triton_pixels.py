"""Triton's kernel of what belongs to pixels and rays, one program for a block of pixels: directions
and factors, as the kernels of steps read them (model 6.1 to 6.3, 6.8).

capture, polar, omega: where a capture fraction, a polarization factor, a solid angle stands:
"pixel", or of rays "layer" (at its first sub-pixel), "last" (of the last layer, at the same
sub-pixel), "sample" (at each sub-pixel), "first" (the same, of the first source
that is not cut), "source" (of each
source, at the first sub-pixel), "ray"; "" is nowhere.  thick_on_steps and so on: options, whose
factors are those of rays and multiply whole sums, or with weight_is_factor terms.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.packing import NUMBERS
from nanobragg_hybrid.engines.torch.triton_geometry import (
    beam_to,
    captured,
    layer_capture,
    polarization,
    solid_angle,
)
from nanobragg_hybrid.engines.torch.triton_rays import is_beyond

STRENGTH = tl.constexpr(NUMBERS.index("strength"))
BACKGROUND = tl.constexpr(NUMBERS.index("background"))
WATER = tl.constexpr(NUMBERS.index("water"))
WATER_M = tl.constexpr(NUMBERS.index("water_m"))
FUDGE = tl.constexpr(NUMBERS.index("fudge"))
N_CELLS = tl.constexpr(NUMBERS.index("n_cells.0"))
A_STAR = tl.constexpr(NUMBERS.index("a_star.0"))
DEFAULT_F = tl.constexpr(NUMBERS.index("default_f"))


class Filled(NamedTuple):
    """What the kernel writes, float64; what there is not is anything.

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
def _fill_numbers(numbers, scene, limit):
    """What the kernels of steps take of a lattice; numbers of cells below 1 count as 1."""
    for axis in tl.static_range(3):
        n = tl.load(scene + (N_CELLS + axis))
        tl.store(numbers + axis, tl.where(n < 1.0, 1.0, n))
    tl.store(numbers + 3, tl.load(scene + FUDGE))
    for place in tl.static_range(9):
        tl.store(numbers + (4 + place), tl.load(scene + (A_STAR + place)))
    tl.store(numbers + 13, tl.load(scene + DEFAULT_F))
    tl.store(numbers + 14, tl.load(scene + WATER_M))
    tl.store(numbers + 15, tl.load(limit))


@triton.jit
def _is_cut(sources, source_count, source, direction, limit, has_limit: tl.constexpr):
    """Whether the resolution limit cuts rays."""
    if has_limit:
        wavelength = tl.load(sources + 3 * source_count + source)
        qx = (direction[0] - tl.load(sources + source)) / wavelength
        qy = (direction[1] - tl.load(sources + source_count + source)) / wavelength
        qz = (direction[2] - tl.load(sources + 2 * source_count + source)) / wavelength
        return is_beyond(qx, qy, qz, tl.load(limit))
    else:
        return direction[0] != direction[0]


@triton.jit
def _last_capture(scene, slow, fast, oversample, layers, searches: tl.constexpr):
    """The last layer's capture fraction at its first sub-pixel, or the first that is not 0."""
    per_layer = oversample * oversample
    last_layer = (layers - 1) * per_layer
    found = layer_capture(scene, slow, fast, last_layer, oversample)
    if searches:
        for sample in range(1, per_layer):
            own = layer_capture(scene, slow, fast, last_layer + sample, oversample)
            found = tl.where(found == 0.0, own, found)
    return found


@triton.jit
def _first_polarization(
    scene,
    sources,
    slow,
    fast,
    limit,
    oversample,
    samples,
    source_count,
    has_kahn: tl.constexpr,
    has_limit: tl.constexpr,
):
    """A pixel's first factor, in serial order, that is not cut and not 0."""
    found = tl.zeros_like(slow)
    for ray in range(samples * source_count):
        source = ray % source_count
        _length, direction, _layer = beam_to(scene, slow, fast, ray // source_count, oversample)
        own = polarization(scene, sources, source_count, source, direction, has_kahn)
        is_cut = _is_cut(sources, source_count, source, direction, limit, has_limit)
        found = tl.where((found == 0.0) & ~is_cut, own, found)
    return found


@triton.jit
def _uncut_polarization(
    scene,
    sources,
    source_count,
    direction,
    limit,
    has_kahn: tl.constexpr,
    has_limit: tl.constexpr,
):
    """A sample's factor of the first source that is not cut, or of the first."""
    found = polarization(scene, sources, source_count, 0, direction, has_kahn)
    if has_limit:
        is_found = ~_is_cut(sources, source_count, 0, direction, limit, has_limit)
        for source in range(1, source_count):
            own = polarization(scene, sources, source_count, source, direction, has_kahn)
            is_cut = _is_cut(sources, source_count, source, direction, limit, has_limit)
            found = tl.where(is_found | is_cut, found, own)
            is_found = is_found | ~is_cut
    return found


@triton.jit
def _water(
    scene,
    sources,
    slow,
    fast,
    oversample,
    layers,
    source_count,
    has_sensor: tl.constexpr,
    has_polarization: tl.constexpr,
    has_kahn: tl.constexpr,
    has_weights: tl.constexpr,
    has_pixel_area: tl.constexpr,
    is_oblique: tl.constexpr,
    sees_sub_pixels: tl.constexpr,
    sees_sources: tl.constexpr,
):
    """Photons that the water scatters into each pixel."""
    seen = 1
    if sees_sub_pixels:
        seen = oversample * oversample
    total = tl.zeros_like(slow)
    for sample in range(seen):
        length, direction, _layer = beam_to(scene, slow, fast, sample + 0 * oversample, oversample)
        photons = tl.zeros_like(slow) + tl.load(scene + STRENGTH) * tl.load(scene + WATER)
        if has_sensor:
            photons = photons * captured(
                scene, direction, tl.zeros_like(slow), tl.zeros_like(slow) + layers.to(tl.float64)
            )
        if has_polarization:
            if sees_sources:
                mean = tl.zeros_like(slow)
                for source in range(source_count):
                    own = polarization(scene, sources, source_count, source, direction, has_kahn)
                    if has_weights:
                        own = own * tl.load(sources + 4 * source_count + source)
                    mean += own
                photons = photons * (mean / source_count.to(tl.float64))
            else:
                photons = photons * polarization(
                    scene, sources, source_count, 0, direction, has_kahn
                )
        total += photons * solid_angle(scene, length, has_pixel_area, is_oblique)
    if sees_sub_pixels:
        total = total / (oversample * oversample).to(tl.float64)
    return total


@triton.jit
def pixel_rays(
    filled,
    slow_numbers,
    fast_numbers,
    scene,
    sources,
    limit,
    sizes,
    block: tl.constexpr,
    capture: tl.constexpr,
    polar: tl.constexpr,
    omega: tl.constexpr,
    thick_on_steps: tl.constexpr,
    polar_on_steps: tl.constexpr,
    omega_on_steps: tl.constexpr,
    weight_is_factor: tl.constexpr,
    has_factor: tl.constexpr,
    has_weight: tl.constexpr,
    has_weights: tl.constexpr,
    has_kahn: tl.constexpr,
    has_pixel_area: tl.constexpr,
    is_oblique: tl.constexpr,
    has_background: tl.constexpr,
    has_water: tl.constexpr,
    has_sensor: tl.constexpr,
    has_polarization: tl.constexpr,
    sees_sub_pixels: tl.constexpr,
    sees_sources: tl.constexpr,
    searches_capture: tl.constexpr,
    searches_polarization: tl.constexpr,
    has_limit: tl.constexpr,
):
    """slow_numbers, fast_numbers: of pixels, (pixels,).  limit: the resolution limit, m, (1,).
    sizes: pixels, oversampling, layers, sources, disguised."""
    count, oversample = sizes[0] >> 2, sizes[1] >> 2
    layers, source_count = sizes[2] >> 2, sizes[3] >> 2
    pixel = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    lanes = pixel < count
    slow = tl.load(slow_numbers + pixel, mask=lanes, other=0.0)
    fast = tl.load(fast_numbers + pixel, mask=lanes, other=0.0)
    per_layer = oversample * oversample
    samples = layers * per_layer
    if tl.program_id(0) == 0:
        _fill_numbers(filled.numbers, scene, limit)
    first_length, first, _layer = beam_to(scene, slow, fast, per_layer * 0, oversample)
    last_layer = (layers - 1) * per_layer
    start = tl.zeros([block], tl.float64)
    if has_background:
        start += tl.load(scene + BACKGROUND)
        if (capture != "") and (capture != "pixel"):
            start = start * _last_capture(scene, slow, fast, oversample, layers, searches_capture)
        if (polar != "") and (polar != "pixel"):
            start = start * polarization(scene, sources, source_count, 0, first, has_kahn)
        if omega == "sample":
            start = start * solid_angle(scene, first_length, has_pixel_area, is_oblique)
    tl.store(filled.start + pixel, start, mask=lanes)
    one = tl.zeros([block], tl.float64) + 1.0
    by_capture, by_polar, by_omega = one, one, one
    if capture == "pixel":
        by_capture = _last_capture(scene, slow, fast, oversample, layers, searches_capture)
    if polar == "pixel":
        if searches_polarization:
            by_polar = _first_polarization(
                scene, sources, slow, fast, limit, oversample, samples, source_count, has_kahn,
                has_limit,
            )  # fmt: skip
        else:
            by_polar = polarization(scene, sources, source_count, 0, first, has_kahn)
    if omega == "pixel":
        by_omega = solid_angle(scene, first_length, has_pixel_area, is_oblique)
    tl.store(filled.multipliers + pixel, by_capture, mask=lanes)
    tl.store(filled.multipliers + count + pixel, by_polar, mask=lanes)
    tl.store(filled.multipliers + 2 * tl.cast(count, tl.int64) + pixel, by_omega, mask=lanes)
    water = tl.zeros([block], tl.float64)
    if has_water:
        water = _water(
            scene, sources, slow, fast, oversample, layers, source_count, has_sensor,
            has_polarization, has_kahn, has_weights, has_pixel_area, is_oblique, sees_sub_pixels,
            sees_sources,
        )  # fmt: skip
    tl.store(filled.water + pixel, water, mask=lanes)
    plane = tl.cast(count, tl.int64) * samples
    for sample in range(samples):
        length, direction, layer = beam_to(scene, slow, fast, sample, oversample)
        place = pixel * samples + sample
        tl.store(filled.direction + place, direction[0], mask=lanes)
        tl.store(filled.direction + plane + place, direction[1], mask=lanes)
        tl.store(filled.direction + 2 * plane + place, direction[2], mask=lanes)
        if has_factor or has_weight:
            of_capture, of_omega = one, one
            if capture == "layer":
                of_capture = layer_capture(
                    scene, slow, fast, sample // per_layer * per_layer, oversample
                )
            elif capture == "last":
                of_capture = layer_capture(
                    scene, slow, fast, last_layer + sample % per_layer, oversample
                )
            elif (capture == "sample") or thick_on_steps:
                of_capture = captured(scene, direction, layer, layer + 1.0)
            if (omega == "sample") or omega_on_steps:
                of_omega = solid_angle(scene, length, has_pixel_area, is_oblique)
            for source in range(source_count):
                of_polar = one
                if polar == "first":
                    of_polar = _uncut_polarization(
                        scene, sources, source_count, direction, limit, has_kahn, has_limit
                    )
                elif polar == "source":
                    of_polar = polarization(scene, sources, source_count, source, first, has_kahn)
                elif (polar == "ray") or polar_on_steps:
                    of_polar = polarization(
                        scene, sources, source_count, source, direction, has_kahn
                    )
                factor, weight = one, one
                if thick_on_steps:
                    weight = weight * of_capture
                else:
                    factor = factor * of_capture
                if polar_on_steps:
                    weight = weight * of_polar
                else:
                    factor = factor * of_polar
                if omega_on_steps:
                    weight = weight * of_omega
                else:
                    factor = factor * of_omega
                if has_weights:
                    factor = factor * tl.load(sources + 4 * source_count + source)
                if weight_is_factor:
                    factor = factor * weight
                ray = place * source_count + source
                if has_factor:
                    tl.store(filled.factor + ray, factor, mask=lanes)
                if has_weight:
                    tl.store(filled.weight + ray, weight, mask=lanes)
