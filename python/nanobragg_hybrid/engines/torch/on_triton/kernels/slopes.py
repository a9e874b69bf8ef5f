"""Triton's kernel of derivatives: what `kernels.sums.pixel_sums` adds up, differentiated by what
belongs to pixels, sources and the crystal's numbers.

Nothing is added by two programs to the same place: what belongs to several blocks of pixels has a
row for each, which are added up in order.  Arguments are those of `pixel_sums`.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.on_triton.kernels.elements import store_elements
from nanobragg_hybrid.engines.torch.on_triton.kernels.lists import orientation_at, turns_of
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
from nanobragg_hybrid.engines.torch.on_triton.kernels.steps import step, step_slopes


@triton.jit
def pixel_slopes(
    by_direction,
    by_sources,
    by_numbers,
    by_factor,
    by_weight,
    by_start,
    elements,
    amounts,
    coefficients,
    grad,
    states,
    given,
    sizes,
    lit,
    block: tl.constexpr,
    kind: tl.constexpr,
    wants_numbers: tl.constexpr,
    wants_table: tl.constexpr,
    wants_coefficients: tl.constexpr,
):
    """Of the sum of grad times totals; by_direction: (3, pixels, samples).  by_sources: (blocks,
    rays, 4).  by_numbers: (blocks, 14).  by_factor, by_weight: (rays, pixels), the latter and
    by_start, (pixels,), of a running product.  elements, amounts: (steps, pixels), or (steps, 64,
    pixels), what each step gives to which element of the table.  coefficients: grad times what a
    step is multiplied with, (steps, pixels).

    A running product is followed backwards: what comes after a step multiplies its derivative.
    """
    shape, counts, extent, factor_strides, weight_strides = plain(sizes)
    count, samples, source_count = shape
    orientations, domains = counts
    pixel = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    lanes = pixel < count
    crystal, series = crystal_of(given, extent, block), series_of(given.numbers)
    own_grad = tl.load(grad + pixel, mask=lanes, other=0.0)
    after = own_grad  # times the product of all weights of later steps
    zero = tl.zeros([block], tl.float64)
    gx, gy, gz = zero, zero, zero
    n0, n1, n2, n3, n13 = zero, zero, zero, zero, zero
    n4, n5, n6, n7, n8, n9, n10, n11, n12 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    rays = samples * source_count
    plane = tl.cast(count, tl.int64) * samples
    for number in range(rays):
        ray = number
        if kind.is_running:
            ray = rays - 1 - number
        sample = ray // source_count
        source = ray % source_count
        qx, qy, qz, wavelength = ray_of(given, pixel, lanes, sample, source, shape)
        is_cut = cut_by_limit(crystal, qx, qy, qz, lanes, kind.has_limit)
        if kind.has_factor:
            own_factor = of_ray(given.factor, pixel, lanes, sample, source, factor_strides)
        of_pixel = tl.cast(ray, tl.int64) * count + pixel
        if kind.is_running:
            own_weight = of_ray(given.weight, pixel, lanes, sample, source, weight_strides)
            # How the sum at the end of this ray changes with the ray's weight.
            sums = tl.load(states + of_pixel, mask=lanes, other=0.0)
            by_own_weight = zero
            for orientation in range(orientations):
                hkl = indices_of(cell_of(given.cells, orientation), qx, qy, qz)
                term, is_skipped = step(crystal, hkl, lanes, kind)
                is_skipped = is_skipped | is_cut
                if kind.is_weighted:
                    term *= tl.load(given.domain_weights + orientation % domains)
                if kind.has_factor:
                    term *= own_factor
                grown = sums + term
                by_own_weight = tl.where(
                    is_skipped, by_own_weight, by_own_weight * own_weight + grown
                )
                sums = tl.where(is_skipped, sums, grown * own_weight)
            tl.store(by_weight + of_pixel, after * by_own_weight, mask=lanes)
        sx, sy, sz, by_own_factor = zero, zero, zero, zero
        own_row = tl.program_id(0).to(tl.int64) * rays + ray
        for turn in range(turns_of(lit, own_row, orientations, kind.is_listed)):
            orientation = orientation_at(lit, own_row, turn, orientations, kind.is_listed)
            if kind.is_running:
                orientation = orientations - 1 - turn
            cell = cell_of(given.cells, orientation)
            hkl = indices_of(cell, qx, qy, qz)
            term, is_skipped, by_hkl, by_f, by_size, by_star, distance, is_default = step_slopes(
                crystal, hkl, lanes, series, kind
            )
            is_skipped = is_skipped | is_cut
            if kind.is_running:
                after = tl.where(is_skipped, after, after * own_weight)
            use = after
            if kind.is_weighted:
                use *= tl.load(given.domain_weights + orientation % domains)
            by_own_factor += tl.where(is_skipped, 0.0, use * term)
            if kind.has_factor:
                use *= tl.where(is_skipped, 1.0, own_factor)
            use = tl.where(is_skipped, 0.0, use)
            number_of_step = tl.cast(ray, tl.int64) * orientations + orientation
            if wants_coefficients:
                tl.store(coefficients + number_of_step * count + pixel, use, mask=lanes)
            by_h, by_k, by_l = by_hkl
            # A step that is skipped has no derivative, whatever its formulas are there.
            by_h = tl.where(is_skipped, 0.0, use * by_h)
            by_k = tl.where(is_skipped, 0.0, use * by_k)
            by_l = tl.where(is_skipped, 0.0, use * by_l)
            ax, ay, az, bx, by, bz, cx, cy, cz = cell
            sx += by_h * ax + by_k * bx + by_l * cx
            sy += by_h * ay + by_k * by + by_l * cy
            sz += by_h * az + by_k * bz + by_l * cz
            own_f = use * by_f
            if wants_numbers:
                by_na, by_nb, by_nc, by_fudge = by_size
                n0 += tl.where(is_skipped, 0.0, use * by_na)
                n1 += tl.where(is_skipped, 0.0, use * by_nb)
                n2 += tl.where(is_skipped, 0.0, use * by_nc)
                n3 += tl.where(is_skipped, 0.0, use * by_fudge)
                n13 += tl.where(is_default & ~is_skipped, own_f, 0.0)
                if (kind.profile == "gauss") or (kind.profile == "tophat"):
                    dh, dk, dl = distance
                    ux, uy, uz = by_star
                    ux, uy, uz = use * ux, use * uy, use * uz
                    n4 += dh * ux
                    n5 += dh * uy
                    n6 += dh * uz
                    n7 += dk * ux
                    n8 += dk * uy
                    n9 += dk * uz
                    n10 += dl * ux
                    n11 += dl * uy
                    n12 += dl * uz
            if wants_table:
                place = number_of_step * count
                if kind.interpolation != "nearest":
                    place = place * 64
                store_elements(
                    elements, amounts, hkl, own_f, ~is_skipped & lanes, extent, place + pixel,
                    count, lanes, kind.interpolation,
                )  # fmt: skip
        tl.store(by_factor + of_pixel, by_own_factor, mask=lanes)
        # Rays of a sample follow each other, in either direction.
        is_new = number % source_count == 0
        gx = tl.where(is_new, 0.0, gx) + sx / wavelength
        gy = tl.where(is_new, 0.0, gy) + sy / wavelength
        gz = tl.where(is_new, 0.0, gz) + sz / wavelength
        if number % source_count == source_count - 1:
            place = pixel * samples + sample
            tl.store(by_direction + place, gx, mask=lanes)
            tl.store(by_direction + plane + place, gy, mask=lanes)
            tl.store(by_direction + 2 * plane + place, gz, mask=lanes)
        row = by_sources + own_row * 4
        tl.store(row, -tl.sum(sx, 0) / wavelength)
        tl.store(row + 1, -tl.sum(sy, 0) / wavelength)
        tl.store(row + 2, -tl.sum(sz, 0) / wavelength)
        tl.store(row + 3, -tl.sum(qx * sx + qy * sy + qz * sz, 0) / wavelength)
    if kind.is_running:
        tl.store(by_start + pixel, after, mask=lanes)
    if wants_numbers:
        row = by_numbers + tl.program_id(0) * 14
        tl.store(row, tl.sum(n0, 0))
        tl.store(row + 1, tl.sum(n1, 0))
        tl.store(row + 2, tl.sum(n2, 0))
        tl.store(row + 3, tl.sum(n3, 0))
        tl.store(row + 4, tl.sum(n4, 0))
        tl.store(row + 5, tl.sum(n5, 0))
        tl.store(row + 6, tl.sum(n6, 0))
        tl.store(row + 7, tl.sum(n7, 0))
        tl.store(row + 8, tl.sum(n8, 0))
        tl.store(row + 9, tl.sum(n9, 0))
        tl.store(row + 10, tl.sum(n10, 0))
        tl.store(row + 11, tl.sum(n11, 0))
        tl.store(row + 12, tl.sum(n12, 0))
        tl.store(row + 13, tl.sum(n13, 0))
