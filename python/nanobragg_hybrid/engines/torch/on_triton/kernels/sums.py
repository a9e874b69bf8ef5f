"""Triton's kernels: sums over the steps of pixels (model 6.3 to 6.8), one program for a block of
pixels, its steps in serial order.

given, sizes: see `kernels.rays`.  With weights the sum is multiplied by the ray's after every step
(model 6.5).
"""

from __future__ import annotations

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.on_triton.kernels.lists import orientation_at, turns_of
from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import (
    cell_of,
    crystal_of,
    cut_by_limit,
    indices_of,
    of_ray,
    plain,
    ray_of,
)
from nanobragg_hybrid.engines.torch.on_triton.kernels.steps import step


@triton.jit
def sums_after_ray(
    sums,
    q,
    is_cut,
    own_factor,
    own_weight,
    crystal,
    lanes,
    given,
    counts,
    lit,
    row,
    kind: tl.constexpr,
):
    """Sums with the steps of one more ray.  q: its scattering vector.  row: its number, blocks of
    pixels outermost."""
    orientations, domains = counts
    qx, qy, qz = q
    ray = tl.zeros_like(sums)
    is_lit = is_cut & ~is_cut
    for turn in range(turns_of(lit, row, orientations, kind.is_listed)):
        orientation = orientation_at(lit, row, turn, orientations, kind.is_listed)
        hkl = indices_of(cell_of(given.cells, orientation), qx, qy, qz)
        term, is_skipped = step(crystal, hkl, lanes, kind)
        is_skipped = is_skipped | is_cut
        if kind.is_weighted:
            term *= tl.load(given.domain_weights + orientation % domains)
        if kind.is_running:
            if kind.has_factor:
                term *= own_factor
            sums = tl.where(is_skipped, sums, (sums + term) * own_weight)
        else:
            ray += tl.where(is_skipped, 0.0, term)
            is_lit = is_lit | ~is_skipped
    if not kind.is_running:
        if kind.has_factor:
            ray *= tl.where(is_lit, own_factor, 1.0)
        sums += ray
    return sums


@triton.jit
def pixel_sums(
    total,
    states,
    given,
    sizes,
    lit,
    block: tl.constexpr,
    kind: tl.constexpr,
    wants_states: tl.constexpr,
):
    """total: (pixels,).  states: what the sum is before each ray, (rays, pixels), if wanted."""
    shape, counts, extent, factor_strides, weight_strides = plain(sizes)
    count, samples, source_count = shape
    pixel = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    lanes = pixel < count
    crystal = crystal_of(given, extent, block)
    if kind.is_running:
        sums = tl.load(given.start + pixel, mask=lanes, other=0.0)
    else:
        sums = tl.zeros([block], tl.float64)
    first_row = tl.program_id(0).to(tl.int64) * (samples * source_count)
    for sample in range(samples):
        for source in range(source_count):
            qx, qy, qz, _ = ray_of(given, pixel, lanes, sample, source, shape)
            is_cut = cut_by_limit(crystal, qx, qy, qz, lanes, kind.has_limit)
            if wants_states:
                ray_number = sample * source_count + source
                tl.store(states + tl.cast(ray_number, tl.int64) * count + pixel, sums, mask=lanes)
            own_factor, own_weight = sums, sums
            if kind.has_factor:
                own_factor = of_ray(given.factor, pixel, lanes, sample, source, factor_strides)
            if kind.is_running:
                own_weight = of_ray(given.weight, pixel, lanes, sample, source, weight_strides)
            sums = sums_after_ray(
                sums, (qx, qy, qz), is_cut, own_factor, own_weight, crystal, lanes, given, counts,
                lit, first_row + sample * source_count + source, kind,
            )  # fmt: skip
    tl.store(total + pixel, sums, mask=lanes)
