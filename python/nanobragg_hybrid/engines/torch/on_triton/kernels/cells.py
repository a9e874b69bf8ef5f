"""Triton's kernel of derivatives by orientations; arguments are those of `kernels.slopes`."""

from __future__ import annotations

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import (
    cell_of,
    crystal_of,
    cut_by_limit,
    indices_of,
    of_ray,
    plain,
    ray_of,
    series_of,
)
from nanobragg_hybrid.engines.torch.on_triton.kernels.steps import step_slopes


@triton.jit
def cell_slopes(
    by_cells,
    coefficients,
    grad,
    given,
    sizes,
    lit,
    block: tl.constexpr,
    kind: tl.constexpr,
    has_coefficients: tl.constexpr,
):
    """by_cells: (parts, orientations, 9); a program for each orientation and part of the pixels.

    coefficients: as `pixel_slopes` leaves them, for a running product.
    """
    shape, counts, extent, factor_strides, _unused = plain(sizes)
    count, samples, source_count = shape
    orientations, domains = counts
    orientation, part, parts = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    crystal, series = crystal_of(given, extent, block), series_of(given.numbers)
    cell = cell_of(given.cells, orientation)
    zero = tl.zeros([block], tl.float64)
    ax, ay, az, bx, by, bz, cx, cy, cz = zero, zero, zero, zero, zero, zero, zero, zero, zero
    for first in range(part * block, count, parts * block):
        pixel = tl.arange(0, block) + tl.cast(first, tl.int64)
        lanes = pixel < count
        own_grad = tl.load(grad + pixel, mask=lanes, other=0.0)
        for ray in range(samples * source_count):
            sample = ray // source_count
            source = ray % source_count
            turns = 1
            if kind.is_listed:
                row = (first // block) * (samples * source_count) + ray
                place = tl.cast(row, tl.int64) * orientations + orientation
                turns = tl.load(lit.is_lit + place).to(tl.int32)
            for _turn in range(turns):
                qx, qy, qz, _ = ray_of(given, pixel, lanes, sample, source, shape)
                hkl = indices_of(cell, qx, qy, qz)
                _, is_skipped, by_hkl, _, _, _, _, _ = step_slopes(
                    crystal, hkl, lanes, series, kind
                )
                is_skipped |= cut_by_limit(crystal, qx, qy, qz, lanes, kind.has_limit)
                if has_coefficients:
                    step = tl.cast(ray, tl.int64) * orientations + orientation
                    use = tl.load(coefficients + step * count + pixel, mask=lanes, other=0.0)
                else:
                    use = own_grad
                    if kind.is_weighted:
                        use *= tl.load(given.domain_weights + orientation % domains)
                    if kind.has_factor:
                        use *= of_ray(given.factor, pixel, lanes, sample, source, factor_strides)
                by_h, by_k, by_l = by_hkl
                by_h = tl.where(is_skipped, 0.0, use * by_h)
                by_k = tl.where(is_skipped, 0.0, use * by_k)
                by_l = tl.where(is_skipped, 0.0, use * by_l)
                ax += by_h * qx
                ay += by_h * qy
                az += by_h * qz
                bx += by_k * qx
                by += by_k * qy
                bz += by_k * qz
                cx += by_l * qx
                cy += by_l * qy
                cz += by_l * qz
    row = by_cells + (part * orientations + orientation) * 9
    tl.store(row, tl.sum(ax, 0))
    tl.store(row + 1, tl.sum(ay, 0))
    tl.store(row + 2, tl.sum(az, 0))
    tl.store(row + 3, tl.sum(bx, 0))
    tl.store(row + 4, tl.sum(by, 0))
    tl.store(row + 5, tl.sum(bz, 0))
    tl.store(row + 6, tl.sum(cx, 0))
    tl.store(row + 7, tl.sum(cy, 0))
    tl.store(row + 8, tl.sum(cz, 0))
