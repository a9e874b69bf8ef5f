"""Triton's kernels of derivatives: what `triton_sums.pixel_sums` adds up, differentiated.

Nothing is added by two programs to the same place: what belongs to several blocks of pixels has a
row for each, which are added up in order.  Arguments are those of `pixel_sums`.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.triton_amplitudes import (
    leaves_table,
    nearest_element,
    nodes,
)
from nanobragg_hybrid.engines.torch.triton_profiles import nearest_whole
from nanobragg_hybrid.engines.torch.triton_rays import (
    DEFAULT_F,
    DMIN,
    WATER,
    cell_of,
    indices_of,
    is_beyond,
    lattice_of,
    of_ray,
    ray_of,
    series_of,
)
from nanobragg_hybrid.engines.torch.triton_steps import (
    intensity,
    intensity_slopes,
    structure_factor,
    structure_factor_slopes,
)


@triton.jit
def _step_slopes(
    grid,
    hkl,
    extent,
    default_f,
    lanes,
    lattice,
    skips_zero,
    series,
    profile: tl.constexpr,
    single: tl.constexpr,
    has_table: tl.constexpr,
    interpolation: tl.constexpr,
):
    """As `intensity_slopes`, with what h, k, l change in F; and where F is default_F."""
    h, k, l = hkl
    f, f_by_h, f_by_k, f_by_l, is_default = structure_factor_slopes(
        grid, h, k, l, extent, default_f, lanes, has_table, interpolation
    )
    term, is_skipped, by_hkl, by_f, by_size, by_star, distance = intensity_slopes(
        h, k, l, f, lattice, skips_zero, series, profile, single
    )
    by_h, by_k, by_l = by_hkl
    by_all = (by_h + by_f * f_by_h, by_k + by_f * f_by_k, by_l + by_f * f_by_l)
    return term, is_skipped, by_all, by_f, by_size, by_star, distance, is_default


@triton.jit
def _store_elements(
    elements,
    amounts,
    hkl,
    amount,
    counts,
    extent,
    place,
    count,
    lanes,
    interpolation: tl.constexpr,
):
    """What a step gives to elements of the table; -1 where it gives nothing.

    counts: whether it gives anything.  place: of the step's first element.
    """
    h, k, l = hkl
    if interpolation == "nearest":
        element, is_inside = nearest_element(
            nearest_whole(h), nearest_whole(k), nearest_whole(l), extent
        )
        tl.store(elements + place, tl.where(counts & is_inside, element, -1), mask=lanes)
        tl.store(amounts + place, amount, mask=lanes)
    else:
        places, weights, _ = nodes(h, k, l, extent)
        at_h, at_k, at_l = places
        along_h, along_k, along_l = weights
        is_out = lanes & ~lanes
        if interpolation == "inside":
            is_out = leaves_table(h, k, l, extent)
        nearest_one, is_inside = nearest_element(
            nearest_whole(h), nearest_whole(k), nearest_whole(l), extent
        )
        # Outside the first of the nodes stands for the nearest reflection, the others for nothing.
        instead = tl.where(counts & is_inside, nearest_one, -1)
        for i in tl.static_range(4):
            for j in tl.static_range(4):
                row = amount * along_h[i] * along_k[j]
                first = at_h[i] + at_k[j]
                for m in tl.static_range(4):
                    element = tl.where(counts, first + at_l[m], -1)
                    own = row * along_l[m]
                    if interpolation == "inside":
                        element = tl.where(is_out, instead, element)
                        own = tl.where(is_out, amount, own)
                        instead = tl.full(instead.shape, -1, tl.int64)
                    tl.store(elements + place, element, mask=lanes)
                    tl.store(amounts + place, own, mask=lanes)
                    place += count


@triton.jit(do_not_specialize=["shape", "counts", "extent", "factor_strides", "weight_strides"])
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
    direction,
    sources,
    cells,
    grid,
    numbers,
    factor,
    weight,
    domain_weights,
    shape,
    counts,
    extent,
    factor_strides,
    weight_strides,
    block: tl.constexpr,
    profile: tl.constexpr,
    single: tl.constexpr,
    has_table: tl.constexpr,
    interpolation: tl.constexpr,
    has_limit: tl.constexpr,
    has_factor: tl.constexpr,
    is_running: tl.constexpr,
    is_weighted: tl.constexpr,
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
    count, samples, source_count = shape
    orientations, domains = counts
    pixel = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    lanes = pixel < count
    lattice, series = lattice_of(numbers), series_of(numbers)
    default_f = tl.load(numbers + DEFAULT_F)
    skips_zero = (tl.zeros([block], tl.float64) + tl.load(numbers + WATER)) == 0.0
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
        if is_running:
            ray = rays - 1 - number
        sample = ray // source_count
        source = ray % source_count
        qx, qy, qz, wavelength = ray_of(direction, sources, pixel, lanes, sample, source, shape)
        is_cut = lanes & ~lanes
        if has_limit:
            is_cut = is_beyond(qx, qy, qz, tl.load(numbers + DMIN))
        if has_factor:
            own_factor = of_ray(factor, pixel, lanes, sample, source, factor_strides)
        of_pixel = tl.cast(ray, tl.int64) * count + pixel
        if is_running:
            own_weight = of_ray(weight, pixel, lanes, sample, source, weight_strides)
            # How the sum at the end of this ray changes with the ray's weight.
            sums = tl.load(states + of_pixel, mask=lanes, other=0.0)
            by_own_weight = zero
            for orientation in range(orientations):
                h, k, l = indices_of(cell_of(cells, orientation), qx, qy, qz)
                f = structure_factor(
                    grid, h, k, l, extent, default_f, lanes, has_table, interpolation
                )
                term, is_skipped = intensity(h, k, l, f, lattice, skips_zero, profile, single)
                is_skipped = is_skipped | is_cut
                if is_weighted:
                    term *= tl.load(domain_weights + orientation % domains)
                if has_factor:
                    term *= own_factor
                grown = sums + term
                by_own_weight = tl.where(
                    is_skipped, by_own_weight, by_own_weight * own_weight + grown
                )
                sums = tl.where(is_skipped, sums, grown * own_weight)
            tl.store(by_weight + of_pixel, after * by_own_weight, mask=lanes)
        sx, sy, sz, by_own_factor = zero, zero, zero, zero
        for turn in range(orientations):
            orientation = turn
            if is_running:
                orientation = orientations - 1 - turn
            cell = cell_of(cells, orientation)
            hkl = indices_of(cell, qx, qy, qz)
            term, is_skipped, by_hkl, by_f, by_size, by_star, distance, is_default = _step_slopes(
                grid, hkl, extent, default_f, lanes, lattice, skips_zero, series, profile, single,
                has_table, interpolation,
            )  # fmt: skip
            is_skipped = is_skipped | is_cut
            if is_running:
                after = tl.where(is_skipped, after, after * own_weight)
            use = after
            if is_weighted:
                use *= tl.load(domain_weights + orientation % domains)
            by_own_factor += tl.where(is_skipped, 0.0, use * term)
            if has_factor:
                use *= tl.where(is_skipped, 1.0, own_factor)
            use = tl.where(is_skipped, 0.0, use)
            step = tl.cast(ray, tl.int64) * orientations + orientation
            if wants_coefficients:
                tl.store(coefficients + step * count + pixel, use, mask=lanes)
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
                if (profile == "gauss") or (profile == "tophat"):
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
                place = step * count
                if interpolation != "nearest":
                    place = place * 64
                _store_elements(
                    elements, amounts, hkl, own_f, ~is_skipped & lanes, extent, place + pixel,
                    count, lanes, interpolation,
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
        row = by_sources + (tl.program_id(0).to(tl.int64) * rays + ray) * 4
        tl.store(row, -tl.sum(sx, 0) / wavelength)
        tl.store(row + 1, -tl.sum(sy, 0) / wavelength)
        tl.store(row + 2, -tl.sum(sz, 0) / wavelength)
        tl.store(row + 3, -tl.sum(qx * sx + qy * sy + qz * sz, 0) / wavelength)
    if is_running:
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


@triton.jit(do_not_specialize=["shape", "counts", "extent", "factor_strides"])
def cell_slopes(
    by_cells,
    coefficients,
    grad,
    direction,
    sources,
    cells,
    grid,
    numbers,
    factor,
    domain_weights,
    shape,
    counts,
    extent,
    factor_strides,
    block: tl.constexpr,
    profile: tl.constexpr,
    single: tl.constexpr,
    has_table: tl.constexpr,
    interpolation: tl.constexpr,
    has_limit: tl.constexpr,
    has_factor: tl.constexpr,
    is_weighted: tl.constexpr,
    has_coefficients: tl.constexpr,
):
    """by_cells: (parts, orientations, 9); a program for each orientation and part of the pixels.

    coefficients: as `pixel_slopes` leaves them, for a running product.
    """
    count, samples, source_count = shape
    orientations, domains = counts
    orientation, part, parts = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    lattice, series = lattice_of(numbers), series_of(numbers)
    default_f = tl.load(numbers + DEFAULT_F)
    skips_zero = (tl.zeros([block], tl.float64) + tl.load(numbers + WATER)) == 0.0
    cell = cell_of(cells, orientation)
    zero = tl.zeros([block], tl.float64)
    ax, ay, az, bx, by, bz, cx, cy, cz = zero, zero, zero, zero, zero, zero, zero, zero, zero
    for first in range(part * block, count, parts * block):
        pixel = tl.arange(0, block) + tl.cast(first, tl.int64)
        lanes = pixel < count
        own_grad = tl.load(grad + pixel, mask=lanes, other=0.0)
        for ray in range(samples * source_count):
            sample = ray // source_count
            source = ray % source_count
            qx, qy, qz, _ = ray_of(direction, sources, pixel, lanes, sample, source, shape)
            hkl = indices_of(cell, qx, qy, qz)
            _, is_skipped, by_hkl, _, _, _, _, _ = _step_slopes(
                grid, hkl, extent, default_f, lanes, lattice, skips_zero, series, profile, single,
                has_table, interpolation,
            )  # fmt: skip
            if has_limit:
                is_skipped = is_skipped | is_beyond(qx, qy, qz, tl.load(numbers + DMIN))
            if has_coefficients:
                step = tl.cast(ray, tl.int64) * orientations + orientation
                use = tl.load(coefficients + step * count + pixel, mask=lanes, other=0.0)
            else:
                use = own_grad
                if is_weighted:
                    use *= tl.load(domain_weights + orientation % domains)
                if has_factor:
                    use *= of_ray(factor, pixel, lanes, sample, source, factor_strides)
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


@triton.jit(do_not_specialize=["shape", "counts", "extent", "factor_strides", "weight_strides"])
def pixel_tangents(
    change,
    direction,
    sources,
    cells,
    grid,
    numbers,
    factor,
    weight,
    start,
    d_direction,
    d_sources,
    d_cells,
    d_grid,
    d_numbers,
    d_factor,
    d_weight,
    d_start,
    domain_weights,
    shape,
    counts,
    extent,
    factor_strides,
    weight_strides,
    block: tl.constexpr,
    profile: tl.constexpr,
    single: tl.constexpr,
    has_table: tl.constexpr,
    interpolation: tl.constexpr,
    has_limit: tl.constexpr,
    has_factor: tl.constexpr,
    is_running: tl.constexpr,
    is_weighted: tl.constexpr,
    moves_table: tl.constexpr,
):
    """How totals change, (pixels,), where everything does; d_...: its changes."""
    count, samples, source_count = shape
    orientations, domains = counts
    pixel = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    lanes = pixel < count
    lattice, series = lattice_of(numbers), series_of(numbers)
    default_f = tl.load(numbers + DEFAULT_F)
    skips_zero = (tl.zeros([block], tl.float64) + tl.load(numbers + WATER)) == 0.0
    d_lattice, d_default = lattice_of(d_numbers), tl.load(d_numbers + DEFAULT_F)
    da, db, dc, d_fudge, d4, d5, d6, d7, d8, d9, d10, d11, d12 = d_lattice
    sums = tl.zeros([block], tl.float64)
    d_sums = tl.zeros([block], tl.float64)
    if is_running:
        sums = tl.load(start + pixel, mask=lanes, other=0.0)
        d_sums = tl.load(d_start + pixel, mask=lanes, other=0.0)
    plane = tl.cast(count, tl.int64) * samples
    for ray in range(samples * source_count):
        sample = ray // source_count
        source = ray % source_count
        qx, qy, qz, wavelength = ray_of(direction, sources, pixel, lanes, sample, source, shape)
        place = pixel * samples + sample
        d_wavelength = tl.load(d_sources + 3 * source_count + source)
        dx = tl.load(d_direction + place, mask=lanes, other=0.0) - tl.load(d_sources + source)
        dy = tl.load(d_direction + plane + place, mask=lanes, other=0.0)
        dy -= tl.load(d_sources + source_count + source)
        dz = tl.load(d_direction + 2 * plane + place, mask=lanes, other=0.0)
        dz -= tl.load(d_sources + 2 * source_count + source)
        dx = (dx - qx * d_wavelength) / wavelength
        dy = (dy - qy * d_wavelength) / wavelength
        dz = (dz - qz * d_wavelength) / wavelength
        is_cut = lanes & ~lanes
        if has_limit:
            is_cut = is_beyond(qx, qy, qz, tl.load(numbers + DMIN))
        if has_factor:
            own_factor = of_ray(factor, pixel, lanes, sample, source, factor_strides)
            d_own_factor = of_ray(d_factor, pixel, lanes, sample, source, factor_strides)
        if is_running:
            own_weight = of_ray(weight, pixel, lanes, sample, source, weight_strides)
            d_own_weight = of_ray(d_weight, pixel, lanes, sample, source, weight_strides)
        for orientation in range(orientations):
            cell = cell_of(cells, orientation)
            hkl = indices_of(cell, qx, qy, qz)
            term, is_skipped, by_hkl, by_f, by_size, by_star, distance, is_default = _step_slopes(
                grid, hkl, extent, default_f, lanes, lattice, skips_zero, series, profile, single,
                has_table, interpolation,
            )  # fmt: skip
            is_skipped = is_skipped | is_cut
            h1, k1, l1 = indices_of(cell, dx, dy, dz)
            h2, k2, l2 = indices_of(cell_of(d_cells, orientation), qx, qy, qz)
            by_h, by_k, by_l = by_hkl
            own = by_h * (h1 + h2) + by_k * (k1 + k2) + by_l * (l1 + l2)
            by_na, by_nb, by_nc, by_fudge = by_size
            own += by_na * da + by_nb * db + by_nc * dc + by_fudge * d_fudge
            if (profile == "gauss") or (profile == "tophat"):
                dh, dk, dl = distance
                ux, uy, uz = by_star
                own += ux * (dh * d4 + dk * d7 + dl * d10)
                own += uy * (dh * d5 + dk * d8 + dl * d11)
                own += uz * (dh * d6 + dk * d9 + dl * d12)
            own += tl.where(is_default, by_f * d_default, 0.0)
            if moves_table:
                h, k, l = hkl
                own += by_f * structure_factor(
                    d_grid, h, k, l, extent, tl.zeros_like(default_f), lanes, has_table,
                    interpolation,
                )  # fmt: skip
            if is_weighted:
                of_domain = tl.load(domain_weights + orientation % domains)
                term *= of_domain
                own *= of_domain
            if has_factor:
                own = own * own_factor + term * d_own_factor
                term *= own_factor
            if is_running:
                grown = sums + term
                turned = (d_sums + own) * own_weight + grown * d_own_weight
                d_sums = tl.where(is_skipped, d_sums, turned)
                sums = tl.where(is_skipped, sums, grown * own_weight)
            else:
                d_sums += tl.where(is_skipped, 0.0, own)
    tl.store(change + pixel, d_sums, mask=lanes)


@triton.jit(do_not_specialize=["count"])
def element_sums(total, amounts, starts, count, block: tl.constexpr):
    """total: what each element of a table was given, (elements,); amounts: in the elements' order,
    of which element n has those from starts[n] to starts[n + 1]."""
    element = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    lanes = element < count
    begin = tl.load(starts + element, mask=lanes, other=0)
    end = tl.load(starts + element + 1, mask=lanes, other=0)
    sums = tl.zeros([block], tl.float64)
    for n in range(tl.max(end - begin, 0)):
        place = begin + n
        sums += tl.load(amounts + place, mask=place < end, other=0.0)
    tl.store(total + element, sums, mask=lanes)
