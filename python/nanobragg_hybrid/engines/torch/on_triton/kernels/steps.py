"""One step of many pixels for Triton's kernels: from h, k, l to an intensity (model 6.5).

`eager/intensities.py` is the definition.  crystal: see `kernels.rays.Crystal`; kind: see `StepKind`
there.  interpolation: "nearest", "tricubic" (everywhere) or "inside" (where all nodes are in the
table); has_table: without one F is default_F.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.on_triton.kernels.amplitudes import (
    leaves_table,
    nearest,
    nearest_element,
    tricubic,
    tricubic_slopes,
)
from nanobragg_hybrid.engines.torch.on_triton.kernels.profiles import (
    interference,
    interference_slopes,
    nearest_whole,
    profile,
    profile_slope,
    squared_distance,
)


@triton.jit
def _converted(lattice, single: tl.constexpr):
    """The same numbers in the type that distances have."""
    if single:
        na, nb, nc, fudge, ax, ay, az, bx, by, bz, cx, cy, cz = lattice
        return (
            na.to(tl.float32),
            nb.to(tl.float32),
            nc.to(tl.float32),
            fudge.to(tl.float32),
            ax.to(tl.float32),
            ay.to(tl.float32),
            az.to(tl.float32),
            bx.to(tl.float32),
            by.to(tl.float32),
            bz.to(tl.float32),
            cx.to(tl.float32),
            cy.to(tl.float32),
            cz.to(tl.float32),
        )
    else:
        return lattice


@triton.jit
def structure_factor(crystal, h, k, l, lanes, has_table: tl.constexpr, interpolation: tl.constexpr):
    """F of fractional indices."""
    grid, extent = crystal.grid, crystal.extent
    if has_table:
        if interpolation == "tricubic":
            return tricubic(grid, h, k, l, extent, lanes)
        else:
            element, is_inside = nearest_element(
                nearest_whole(h), nearest_whole(k), nearest_whole(l), extent
            )
            f = nearest(grid, element, is_inside, crystal.default_f, lanes)
            if interpolation == "inside":
                inside = tricubic(grid, h, k, l, extent, lanes)
                f = tl.where(leaves_table(h, k, l, extent), f, inside)
            return f
    else:
        return tl.zeros_like(h) + crystal.default_f


@triton.jit
def intensity(crystal, h, k, l, f, shape: tl.constexpr, single: tl.constexpr):
    """F^2 times the square of the lattice factor, and whether the step is skipped."""
    h0, k0, l0 = nearest_whole(h), nearest_whole(k), nearest_whole(l)
    na, nb, nc, _, _, _, _, _, _, _, _, _, _ = crystal.lattice
    if shape == "square":
        square = interference(h, h0, na, single) * interference(k, k0, nb, single)
        square *= interference(l, l0, nc, single)
        return square * (f * f), h < h
    else:
        in_single: tl.constexpr = single and ((shape == "gauss") or (shape == "gauss_hkl"))
        dh, dk, dl = h - h0, k - k0, l - l0
        if in_single:
            dh, dk, dl = dh.to(tl.float32), dk.to(tl.float32), dl.to(tl.float32)
        used = _converted(crystal.lattice, in_single)
        square, _, _, _ = squared_distance(dh, dk, dl, used, shape)
        value, is_zero = profile(square, used[3], shape, in_single)
        amplitude = value * (na * nb * nc)
        return f * f * amplitude * amplitude, is_zero & crystal.skips_zero


@triton.jit
def intensity_slopes(crystal, h, k, l, f, series, shape: tl.constexpr, single: tl.constexpr):
    """The same, and derivatives by h, k, l, F; by N_a, N_b, N_c and the fudge factor; and a vector
    whose products with the distances from the reflection, which come last, are those by a*, b*, c*.
    """
    h0, k0, l0 = nearest_whole(h), nearest_whole(k), nearest_whole(l)
    na, nb, nc, fudge, ax, ay, az, bx, by, bz, cx, cy, cz = crystal.lattice
    dh, dk, dl = h - h0, k - k0, l - l0
    zero = tl.zeros_like(h)
    if shape == "square":
        of_a, of_b, of_c = series
        a, a_by_h, a_by_n = interference_slopes(h, h0, na, of_a, single)
        b, b_by_k, b_by_n = interference_slopes(k, k0, nb, of_b, single)
        c, c_by_l, c_by_n = interference_slopes(l, l0, nc, of_c, single)
        f2 = f * f
        bc, ac, ab = f2 * b * c, f2 * a * c, f2 * a * b
        by_f = 2.0 * f * a * b * c
        by_hkl = (a_by_h * bc, b_by_k * ac, c_by_l * ab)
        by_size = (a_by_n * bc, b_by_n * ac, c_by_n * ab, zero)
        return a * bc, h < h, by_hkl, by_f, by_size, (zero, zero, zero), (dh, dk, dl)
    else:
        in_single: tl.constexpr = single and ((shape == "gauss") or (shape == "gauss_hkl"))
        nh, nk, nl = dh, dk, dl
        if in_single:
            nh, nk, nl = dh.to(tl.float32), dk.to(tl.float32), dl.to(tl.float32)
        used = _converted(crystal.lattice, in_single)
        square, x, y, z = squared_distance(nh, nk, nl, used, shape)
        value, is_zero = profile(square, used[3], shape, in_single)
        cells = na * nb * nc
        amplitude = value * cells
        slope = 2.0 * f * amplitude  # of the intensity, by the amplitude, without one more F
        s = square.to(tl.float64)
        by_reach = slope * f * cells * profile_slope(s, fudge, value, shape)
        by_square = by_reach * fudge
        by_amplitude = slope * f * amplitude
        if (shape == "gauss") or (shape == "tophat"):
            twice = by_square * (2.0 * cells * cells)
            ux, uy, uz = twice * x, twice * y, twice * z
            by_hkl = (
                ux * ax + uy * ay + uz * az,
                ux * bx + uy * by + uz * bz,
                ux * cx + uy * cy + uz * cz,
            )
            both = by_amplitude + by_square * (2.0 * s)
            by_size = (both / na, both / nb, both / nc, by_reach * s)
            by_star = (ux, uy, uz)
        else:
            ta, tb, tc = 2.0 * by_square * dh, 2.0 * by_square * dk, 2.0 * by_square * dl
            by_hkl = (ta * na * na, tb * nb * nb, tc * nc * nc)
            by_size = (
                by_amplitude / na + ta * dh * na,
                by_amplitude / nb + tb * dk * nb,
                by_amplitude / nc + tc * dl * nc,
                by_reach * s,
            )
            by_star = (zero, zero, zero)
        intensity = slope * f * amplitude * 0.5
        return (
            intensity,
            is_zero & crystal.skips_zero,
            by_hkl,
            slope * amplitude,
            by_size,
            by_star,
            (dh, dk, dl),
        )


@triton.jit
def structure_factor_slopes(
    crystal, h, k, l, lanes, has_table: tl.constexpr, interpolation: tl.constexpr
):
    """F and its derivatives by h, k, l; and where it is default_F."""
    grid, extent = crystal.grid, crystal.extent
    zero = tl.zeros_like(h)
    if has_table:
        if interpolation == "tricubic":
            f, by_h, by_k, by_l = tricubic_slopes(grid, h, k, l, extent, lanes)
            return f, by_h, by_k, by_l, h < h
        else:
            element, is_inside = nearest_element(
                nearest_whole(h), nearest_whole(k), nearest_whole(l), extent
            )
            f = nearest(grid, element, is_inside, crystal.default_f, lanes)
            is_default = ~is_inside
            if interpolation == "inside":
                is_out = leaves_table(h, k, l, extent)
                inside, by_h, by_k, by_l = tricubic_slopes(grid, h, k, l, extent, lanes)
                f = tl.where(is_out, f, inside)
                by_h = tl.where(is_out, 0.0, by_h)
                by_k = tl.where(is_out, 0.0, by_k)
                by_l = tl.where(is_out, 0.0, by_l)
                return f, by_h, by_k, by_l, is_default & is_out
            else:
                return f, zero, zero, zero, is_default
    else:
        return zero + crystal.default_f, zero, zero, zero, ~(h < h)


@triton.jit
def step(crystal, hkl, lanes, kind: tl.constexpr):
    """As `intensity`."""
    h, k, l = hkl
    f = structure_factor(crystal, h, k, l, lanes, kind.has_table, kind.interpolation)
    return intensity(crystal, h, k, l, f, kind.profile, kind.single)


@triton.jit
def step_slopes(crystal, hkl, lanes, series, kind: tl.constexpr):
    """As `intensity_slopes`, with what h, k, l change in F; and where F is default_F."""
    h, k, l = hkl
    f, f_by_h, f_by_k, f_by_l, is_default = structure_factor_slopes(
        crystal, h, k, l, lanes, kind.has_table, kind.interpolation
    )
    term, is_skipped, by_hkl, by_f, by_size, by_star, distance = intensity_slopes(
        crystal, h, k, l, f, series, kind.profile, kind.single
    )
    by_h, by_k, by_l = by_hkl
    by_all = (by_h + by_f * f_by_h, by_k + by_f * f_by_k, by_l + by_f * f_by_l)
    return term, is_skipped, by_all, by_f, by_size, by_star, distance, is_default
