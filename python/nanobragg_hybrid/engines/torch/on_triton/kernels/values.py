"""Triton's kernel of whole pixels without derivatives, one program for a block of them: their rays
and steps (model 6.1 to 6.8).

The bits are those of `kernels.pixels.pixel_rays`, `kernels.sums.pixel_sums` and the products behind
them.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.on_triton.kernels.geometry import beam_to
from nanobragg_hybrid.engines.torch.on_triton.kernels.pixels import (
    DEFAULT_F,
    STRENGTH,
    WATER_M,
    first_beam,
    pixel_multipliers,
    pixel_start,
    pixel_water,
    ray_factors,
    sample_factors,
    scene_lattice,
    whole_sizes,
)
from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import Crystal, cut_by_limit, plain
from nanobragg_hybrid.engines.torch.on_triton.kernels.sums import sums_after_ray


@triton.jit
def pixel_values(
    value,
    arrays,
    ray_sizes,
    given,
    sizes,
    lit,
    block: tl.constexpr,
    kind: tl.constexpr,
    steps: tl.constexpr,
):
    """value: (pixels,).  arrays, kind: see `kernels.pixels`; steps: see
    `kernels.rays.StepKind`; ray_sizes: its sizes, and the number of
    steps that divides.  given, sizes: see `kernels.rays`; but cells, table and weights of domains
    there is nothing.
    """
    of_rays = whole_sizes(ray_sizes)
    count, oversample, layers, source_count = of_rays
    _shape, counts, extent, _factors, _weights = plain(sizes)
    pixel = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    lanes = pixel < count
    slow = tl.load(arrays.slow + pixel, mask=lanes, other=0.0)
    fast = tl.load(arrays.fast + pixel, mask=lanes, other=0.0)
    skips_zero = (tl.zeros([block], tl.float64) + tl.load(arrays.scene + WATER_M)) == 0.0
    crystal = Crystal(
        scene_lattice(arrays.scene),
        tl.load(arrays.scene + DEFAULT_F),
        skips_zero,
        given.grid,
        extent,
        arrays.limit,
    )
    start = pixel_start(arrays, slow, fast, of_rays, kind)
    sums = tl.zeros([block], tl.float64)
    if kind.has_weight:
        sums = start
    _length, first = first_beam(arrays, slow, fast, of_rays)
    samples = layers * oversample * oversample
    first_row = tl.program_id(0).to(tl.int64) * (samples * source_count)
    for sample in range(samples):
        length, direction, layer = beam_to(arrays.scene, slow, fast, sample, oversample)
        of_sample = sample_factors(
            arrays, slow, fast, sample, length, direction, layer, of_rays, kind
        )
        for source in range(source_count):
            own = arrays.sources + source
            wavelength = tl.load(own + 3 * source_count)
            qx = (direction[0] - tl.load(own)) / wavelength
            qy = (direction[1] - tl.load(own + source_count)) / wavelength
            qz = (direction[2] - tl.load(own + 2 * source_count)) / wavelength
            is_cut = cut_by_limit(crystal, qx, qy, qz, lanes, kind.has_limit)
            factor, weight = sums, sums
            if kind.has_factor or kind.has_weight:
                factor, weight = ray_factors(
                    arrays, source, direction, first, of_sample, of_rays, kind
                )
            sums = sums_after_ray(
                sums, (qx, qy, qz), is_cut, factor, weight, crystal, lanes, given, counts, lit,
                first_row + sample * source_count + source, steps,
            )  # fmt: skip
    if not kind.has_weight:
        sums = start + sums
    scaled = sums * tl.load(arrays.scene + STRENGTH) / (ray_sizes[4] >> 2).to(tl.float64)
    by_capture, by_polar, by_omega = pixel_multipliers(arrays, slow, fast, of_rays, kind)
    scaled = scaled * by_capture * by_polar * by_omega
    water = pixel_water(arrays, slow, fast, of_rays, kind)
    tl.store(value + pixel, scaled + water, mask=lanes)
