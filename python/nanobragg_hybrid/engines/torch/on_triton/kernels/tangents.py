"""Triton's kernel of sums that change: what `sums.pixel_sums` adds up, along a direction."""

from __future__ import annotations

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.on_triton.kernels.lists import orientation_at, turns_of
from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import (
    Crystal,
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
from nanobragg_hybrid.engines.torch.on_triton.kernels.steps import step_slopes, structure_factor


@triton.jit
def pixel_tangents(
    change,
    given,
    moved,
    sizes,
    lit,
    block: tl.constexpr,
    kind: tl.constexpr,
    moves_table: tl.constexpr,
):
    """How totals change, (pixels,), where everything does; moved: its changes."""
    shape, counts, extent, factor_strides, weight_strides = plain(sizes)
    count, samples, source_count = shape
    orientations, domains = counts
    pixel = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    lanes = pixel < count
    crystal, series = crystal_of(given, extent, block), series_of(given.numbers)
    d_lattice, d_default = lattice_of(moved.numbers), default_of(moved.numbers)
    d_table = Crystal(
        d_lattice, tl.zeros_like(d_default), crystal.skips_zero, moved.grid, extent, crystal.limit
    )
    da, db, dc, d_fudge, d4, d5, d6, d7, d8, d9, d10, d11, d12 = d_lattice
    sums = tl.zeros([block], tl.float64)
    d_sums = tl.zeros([block], tl.float64)
    if kind.is_running:
        sums = tl.load(given.start + pixel, mask=lanes, other=0.0)
        d_sums = tl.load(moved.start + pixel, mask=lanes, other=0.0)
    plane = tl.cast(count, tl.int64) * samples
    for ray in range(samples * source_count):
        sample = ray // source_count
        source = ray % source_count
        qx, qy, qz, wavelength = ray_of(given, pixel, lanes, sample, source, shape)
        place = pixel * samples + sample
        d_wavelength = tl.load(moved.sources + 3 * source_count + source)
        dx = tl.load(moved.direction + place, mask=lanes, other=0.0) - tl.load(
            moved.sources + source
        )
        dy = tl.load(moved.direction + plane + place, mask=lanes, other=0.0)
        dy -= tl.load(moved.sources + source_count + source)
        dz = tl.load(moved.direction + 2 * plane + place, mask=lanes, other=0.0)
        dz -= tl.load(moved.sources + 2 * source_count + source)
        dx = (dx - qx * d_wavelength) / wavelength
        dy = (dy - qy * d_wavelength) / wavelength
        dz = (dz - qz * d_wavelength) / wavelength
        is_cut = cut_by_limit(crystal, qx, qy, qz, lanes, kind.has_limit)
        if kind.has_factor:
            own_factor = of_ray(given.factor, pixel, lanes, sample, source, factor_strides)
            d_own_factor = of_ray(moved.factor, pixel, lanes, sample, source, factor_strides)
        if kind.is_running:
            own_weight = of_ray(given.weight, pixel, lanes, sample, source, weight_strides)
            d_own_weight = of_ray(moved.weight, pixel, lanes, sample, source, weight_strides)
        row = tl.program_id(0).to(tl.int64) * (samples * source_count) + ray
        for turn in range(turns_of(lit, row, orientations, kind.is_listed)):
            orientation = orientation_at(lit, row, turn, orientations, kind.is_listed)
            cell = cell_of(given.cells, orientation)
            hkl = indices_of(cell, qx, qy, qz)
            term, is_skipped, by_hkl, by_f, by_size, by_star, distance, is_default = step_slopes(
                crystal, hkl, lanes, series, kind
            )
            is_skipped = is_skipped | is_cut
            h1, k1, l1 = indices_of(cell, dx, dy, dz)
            h2, k2, l2 = indices_of(cell_of(moved.cells, orientation), qx, qy, qz)
            by_h, by_k, by_l = by_hkl
            own = by_h * (h1 + h2) + by_k * (k1 + k2) + by_l * (l1 + l2)
            by_na, by_nb, by_nc, by_fudge = by_size
            own += by_na * da + by_nb * db + by_nc * dc + by_fudge * d_fudge
            if (kind.profile == "gauss") or (kind.profile == "tophat"):
                dh, dk, dl = distance
                ux, uy, uz = by_star
                own += ux * (dh * d4 + dk * d7 + dl * d10)
                own += uy * (dh * d5 + dk * d8 + dl * d11)
                own += uz * (dh * d6 + dk * d9 + dl * d12)
            own += tl.where(is_default, by_f * d_default, 0.0)
            if moves_table:
                h, k, l = hkl
                own += by_f * structure_factor(
                    d_table, h, k, l, lanes, kind.has_table, kind.interpolation
                )
            if kind.is_weighted:
                of_domain = tl.load(given.domain_weights + orientation % domains)
                term *= of_domain
                own *= of_domain
            if kind.has_factor:
                own = own * own_factor + term * d_own_factor
                term *= own_factor
            if kind.is_running:
                grown = sums + term
                turned = (d_sums + own) * own_weight + grown * d_own_weight
                d_sums = tl.where(is_skipped, d_sums, turned)
                sums = tl.where(is_skipped, sums, grown * own_weight)
            else:
                d_sums += tl.where(is_skipped, 0.0, own)
    tl.store(change + pixel, d_sums, mask=lanes)
