"""Triton's kernel of a Jacobian: derivatives of `kernels.sums.pixel_sums` along many directions, in
one visit of the steps.

What a step has of its own, its derivatives by h, k, l, F and the numbers of the lattice, is
computed once.  Added up it goes along each direction when a ray ends, or a pixel; after each step
it does so only along directions that turn orientations otherwise than all alike.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import (
    cell_of,
    crystal_of,
    cut_by_limit,
    default_of,
    indices_of,
    lattice_of,
    of_ray,
    plain,
    ray_of,
    series_of,
)
from nanobragg_hybrid.engines.torch.on_triton.kernels.steps import step_slopes


class Along(NamedTuple):
    """Where the directions lead, float64; what there is not is anything.

    numbers: changes of those of the lattice, (directions, 14).  rotations: the cell of an
    orientation is the reference cell, each vector times this matrix, (orientations, 9); reference:
    changes of that cell, (directions, 9).  turning: numbers, int64, of the directions that turn
    orientations; cells: what that adds to changes of cells, (turning, orientations, 9).

    moving: numbers, int64, of the directions that change anything of rays or starts; for each of
    them direction (3, pixels, samples), sources (4, sources), factor and weight of each ray, start
    (pixels,), as in `Given`.
    """

    numbers: Any
    rotations: Any
    reference: Any
    turning: Any
    cells: Any
    moving: Any
    direction: Any
    sources: Any
    factor: Any
    weight: Any
    start: Any


class AlongSizes(NamedTuple):
    """Whole numbers, disguised as those of `Sizes`.

    counts: of all directions, of those that turn and of those that are moving.  factor, weight:
    strides along moving directions, pixels, samples, sources.
    """

    counts: Any
    factor: Any
    weight: Any


@triton.jit
def _add(rows, place, amount, lanes):
    """To what this program has stored; a barrier stands between two rounds of this."""
    tl.store(rows + place, tl.load(rows + place, mask=lanes, other=0.0) + amount, mask=lanes)


@triton.jit
def _of_moving(values, number, pixel, lanes, sample, source, strides):
    """Changes of factors or weights of rays along a direction."""
    own = values + tl.cast(number, tl.int64) * (strides[0] >> 2)
    of_rays = (strides[1] >> 2, strides[2] >> 2, strides[3] >> 2)
    return of_ray(own, pixel, lanes, sample, source, of_rays)


@triton.jit
def _moved_ray(along, number, pixel, lanes, sample, source, shape):
    """How a ray's direction less its source's changes, and how its wavelength does."""
    count, samples, source_count = shape
    plane = tl.cast(count, tl.int64) * samples
    place = tl.cast(number, tl.int64) * 3 * plane + pixel * samples + sample
    sources = along.sources + number * 4 * source_count + source
    x = tl.load(along.direction + place, mask=lanes, other=0.0) - tl.load(sources)
    y = tl.load(along.direction + plane + place, mask=lanes, other=0.0)
    y -= tl.load(sources + source_count)
    z = tl.load(along.direction + 2 * plane + place, mask=lanes, other=0.0)
    z -= tl.load(sources + 2 * source_count)
    return x, y, z, tl.load(sources + 3 * source_count)


@triton.jit
def pixel_jacobian(
    rows,
    states,
    given,
    along,
    sizes,
    along_sizes,
    block: tl.constexpr,
    kind: tl.constexpr,
    has_turning: tl.constexpr,
    has_moving: tl.constexpr,
):
    """rows: (directions, pixels), zeros before.  states: what `pixel_sums` leaves, of a running
    product; that is followed backwards, so that what comes after a step is known."""
    shape, counts, extent, factor_strides, weight_strides = plain(sizes)
    count, samples, source_count = shape
    orientations, domains = counts
    directions = along_sizes.counts[0] >> 2
    turning, moving = along_sizes.counts[1] >> 2, along_sizes.counts[2] >> 2
    pixel = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    lanes = pixel < count
    crystal, series = crystal_of(given, extent, block), series_of(given.numbers)
    zero = tl.zeros([block], tl.float64)
    after = zero + 1.0  # the product of all weights of later steps
    n0, n1, n2, n3, n13 = zero, zero, zero, zero, zero
    n4, n5, n6, n7, n8, n9, n10, n11, n12 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    c0, c1, c2, c3, c4, c5, c6, c7, c8 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    rays = samples * source_count
    for number in range(rays):
        ray = number
        if kind.is_running:
            ray = rays - 1 - number
        sample, source = ray // source_count, ray % source_count
        qx, qy, qz, wavelength = ray_of(given, pixel, lanes, sample, source, shape)
        is_cut = cut_by_limit(crystal, qx, qy, qz, lanes, kind.has_limit)
        if kind.has_factor:
            own_factor = of_ray(given.factor, pixel, lanes, sample, source, factor_strides)
        if kind.is_running:
            own_weight = of_ray(given.weight, pixel, lanes, sample, source, weight_strides)
        is_lit = lanes & ~lanes
        # Derivatives by q, by the ray's factor and weight; of `after` by the weight.
        sx, sy, sz = zero, zero, zero
        by_factor, by_weight, after_by_weight = zero, zero, zero
        for turn in range(orientations):
            orientation = turn
            if kind.is_running:
                orientation = orientations - 1 - turn
            cell = cell_of(given.cells, orientation)
            hkl = indices_of(cell, qx, qy, qz)
            term, is_skipped, by_hkl, by_f, by_size, by_star, distance, is_default = step_slopes(
                crystal, hkl, lanes, series, kind
            )
            is_skipped = is_skipped | is_cut
            is_lit = is_lit | ~is_skipped
            if kind.is_running:
                grown = after_by_weight * own_weight + after
                after_by_weight = tl.where(is_skipped, after_by_weight, grown)
                after = tl.where(is_skipped, after, after * own_weight)
            use, use_by_weight = after, after_by_weight
            if kind.is_weighted:
                of_domain = tl.load(given.domain_weights + orientation % domains)
                use *= of_domain
                use_by_weight *= of_domain
            by_factor += tl.where(is_skipped, 0.0, use * term)
            if kind.has_factor:
                use *= tl.where(is_skipped, 1.0, own_factor)
                use_by_weight *= tl.where(is_skipped, 1.0, own_factor)
            if kind.is_running:
                by_weight += tl.where(is_skipped, 0.0, use_by_weight * term)
            # A step that is skipped has no derivative, whatever its formulas are there.
            by_h, by_k, by_l = by_hkl
            by_h = tl.where(is_skipped, 0.0, use * by_h)
            by_k = tl.where(is_skipped, 0.0, use * by_k)
            by_l = tl.where(is_skipped, 0.0, use * by_l)
            use = tl.where(is_skipped, 0.0, use)
            ax, ay, az, bx, by, bz, cx, cy, cz = cell
            sx += by_h * ax + by_k * bx + by_l * cx
            sy += by_h * ay + by_k * by + by_l * cy
            sz += by_h * az + by_k * bz + by_l * cz
            # q as the reference cell sees it: indices are products with its vectors.
            xx, xy, xz, yx, yy, yz, zx, zy, zz = cell_of(along.rotations, orientation)
            px, py, pz = indices_of((xx, yx, zx, xy, yy, zy, xz, yz, zz), qx, qy, qz)
            c0 += by_h * px
            c1 += by_h * py
            c2 += by_h * pz
            c3 += by_k * px
            c4 += by_k * py
            c5 += by_k * pz
            c6 += by_l * px
            c7 += by_l * py
            c8 += by_l * pz
            by_na, by_nb, by_nc, by_fudge = by_size
            n0 += tl.where(is_skipped, 0.0, use * by_na)
            n1 += tl.where(is_skipped, 0.0, use * by_nb)
            n2 += tl.where(is_skipped, 0.0, use * by_nc)
            n3 += tl.where(is_skipped, 0.0, use * by_fudge)
            n13 += tl.where(is_default & ~is_skipped, use * by_f, 0.0)
            if (kind.profile == "gauss") or (kind.profile == "tophat"):
                dh, dk, dl = distance
                ux, uy, uz = by_star
                ux = tl.where(is_skipped, 0.0, use * ux)
                uy = tl.where(is_skipped, 0.0, use * uy)
                uz = tl.where(is_skipped, 0.0, use * uz)
                n4 += dh * ux
                n5 += dh * uy
                n6 += dh * uz
                n7 += dk * ux
                n8 += dk * uy
                n9 += dk * uz
                n10 += dl * ux
                n11 += dl * uy
                n12 += dl * uz
            if has_turning:
                tl.debug_barrier()
                for t in range(turning):
                    moved = along.cells + tl.cast(t, tl.int64) * orientations * 9
                    dh, dk, dl = indices_of(cell_of(moved, orientation), qx, qy, qz)
                    row = tl.load(along.turning + t) * count
                    _add(rows, row + pixel, by_h * dh + by_k * dk + by_l * dl, lanes)
        if has_moving:
            tl.debug_barrier()
            if kind.is_running:
                state = states + tl.cast(ray, tl.int64) * count
                sums = tl.load(state + pixel, mask=lanes, other=0.0)
                by_weight += after_by_weight * sums
            for m in range(moving):
                dx, dy, dz, d_wavelength = _moved_ray(along, m, pixel, lanes, sample, source, shape)
                amount = sx * (dx - qx * d_wavelength) + sy * (dy - qy * d_wavelength)
                amount = (amount + sz * (dz - qz * d_wavelength)) / wavelength
                if kind.has_factor:
                    amount += by_factor * _of_moving(
                        along.factor, m, pixel, lanes, sample, source, along_sizes.factor
                    )
                if kind.is_running:
                    amount += by_weight * _of_moving(
                        along.weight, m, pixel, lanes, sample, source, along_sizes.weight
                    )
                row = tl.load(along.moving + m) * count
                _add(rows, row + pixel, tl.where(is_lit, amount, 0.0), lanes)
    if kind.is_running and has_moving:
        tl.debug_barrier()
        for m in range(moving):
            start = along.start + tl.cast(m, tl.int64) * count
            moved = tl.load(start + pixel, mask=lanes, other=0.0)
            _add(rows, tl.load(along.moving + m) * count + pixel, after * moved, lanes)
    tl.debug_barrier()
    for n in range(directions):
        by_na, by_nb, by_nc, by_fudge, d4, d5, d6, d7, d8, d9, d10, d11, d12 = lattice_of(
            along.numbers + n * 14
        )
        d0, d1, d2, d3, d13, d14, d15, d16, d17 = cell_of(along.reference, n)
        amount = n0 * by_na + n1 * by_nb + n2 * by_nc + n3 * by_fudge
        amount += n13 * default_of(along.numbers + n * 14)
        amount += n4 * d4 + n5 * d5 + n6 * d6
        amount += n7 * d7 + n8 * d8 + n9 * d9
        amount += n10 * d10 + n11 * d11 + n12 * d12
        amount += c0 * d0 + c1 * d1 + c2 * d2
        amount += c3 * d3 + c4 * d13 + c5 * d14
        amount += c6 * d15 + c7 * d16 + c8 * d17
        _add(rows, tl.cast(n, tl.int64) * count + pixel, amount, lanes)
