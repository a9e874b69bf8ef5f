"""Triton's kernel that lists the steps of tiles which may have light: model 11.

A tile is a block of pixels at one ray, for one orientation.  Its indices lie around that of the
tile's middle, as far as two slopes, fitted to the directions, and what these leave reach.  A step
is listed unless its light is proven to be below the tile's share of the tolerance; whatever is no
number is listed.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.on_triton.kernels.profiles import nearest_whole
from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import lattice_of, of_ray, plain

LARGEST_F = tl.constexpr(0)
SHARE = tl.constexpr(1)
"""Places among the limits: of structure factors, and photons that a step may have."""

_LARGEST_EXPONENT = tl.constexpr(340.0)
_GAUSS_WIDTH = tl.constexpr(0.63)
_TOPHAT_EDGE = tl.constexpr(0.3969)
_VOLUME_SQR = tl.constexpr(0.5237)
_PI = tl.constexpr(3.141592653589793)


@triton.jit
def _sum(values, lanes):
    return tl.sum(tl.where(lanes, values, 0.0), 0)


@triton.jit
def _slopes(u, v, x, uu, uv, vv, lanes):
    """How a component changes along u and v, by least squares; it is 0 in the middle."""
    ux, vx = _sum(u * x, lanes), _sum(v * x, lanes)
    determinant = uu * vv - uv * uv
    is_plane = determinant > 1e-9 * uu * vv
    safe = tl.where(is_plane, determinant, 1.0)
    line_u = tl.where(uu > 0.0, ux / tl.where(uu > 0.0, uu, 1.0), 0.0)
    line_v = tl.where(vv > 0.0, vx / tl.where(vv > 0.0, vv, 1.0), 0.0)
    along_u = tl.where(is_plane, (vv * ux - uv * vx) / safe, tl.where(uu >= vv, line_u, 0.0))
    along_v = tl.where(is_plane, (uu * vx - uv * ux) / safe, tl.where(uu >= vv, 0.0, line_v))
    return along_u, along_v


@triton.jit
def _dark_from(limits, scale, lattice, shape: tl.constexpr):
    """The squared distance from a reflection, in the measure of the shape, from which on a step's
    light, times scale, is its share at most; infinite where everything is to be visited."""
    na, nb, nc, fudge, _, _, _, _, _, _, _, _, _ = lattice
    f = tl.load(limits + LARGEST_F) * (na * nb * nc)
    # 0 where nothing is multiplied with 0: derivatives by the factor are not.
    per_share = f * f * scale / tl.load(limits + SHARE)
    is_known = (per_share > 0.0) & (per_share < 1e300) & (fudge > 0.0)
    used = tl.where(is_known, per_share, 1.0)
    if (shape == "tophat") or (shape == "tophat_hkl"):
        reach = _TOPHAT_EDGE / fudge
    elif shape == "round":
        root = 3.0 * tl.sqrt(used * _VOLUME_SQR)
        # Every other one is above the root of x^2 = root (1 + 1/x).
        x = tl.sqrt(root)
        for _ in tl.static_range(5):
            x = tl.sqrt(root * (1.0 + 1.0 / x))
        x = x * (1.001 / _PI)
        reach = x * x / fudge
    else:
        exponent = tl.log(used) + 1e-4
        is_known = is_known & (exponent < _LARGEST_EXPONENT)
        reach = tl.where(exponent > 0.0, exponent, 0.0) * (0.5 * _GAUSS_WIDTH) / fudge
    return tl.where(is_known, reach * (1.0 + 1e-8), float("inf"))


@triton.jit
def _of_axes(x, y, z, vector):
    """The products of a, b, c with a vector."""
    vx, vy, vz = vector
    return x * vx + y * vy + z * vz


@triton.jit
def _measure(lattice, shape: tl.constexpr):
    """The three columns that make h, k, l a vector in the shape's measure; and the least length of
    such a vector for a unit of h, k, l each, whatever the others are."""
    na, nb, nc, _, ax, ay, az, bx, by, bz, cx, cy, cz = lattice
    if (shape == "gauss") or (shape == "tophat"):
        m = na * nb * nc
        x1, y1, z1 = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        x2, y2, z2 = cy * az - cz * ay, cz * ax - cx * az, cx * ay - cy * ax
        x3, y3, z3 = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        volume = tl.abs(ax * x1 + ay * y1 + az * z1) * (m * (1.0 - 1e-9))
        least = (
            volume / tl.sqrt(x1 * x1 + y1 * y1 + z1 * z1),
            volume / tl.sqrt(x2 * x2 + y2 * y2 + z2 * z2),
            volume / tl.sqrt(x3 * x3 + y3 * y3 + z3 * z3),
        )
        columns = (
            (m * ax, m * ay, m * az),
            (m * bx, m * by, m * bz),
            (m * cx, m * cy, m * cz),
        )
        return columns, least
    else:
        zero = na * 0.0
        return ((na, zero, zero), (zero, nb, zero), (zero, zero, nc)), (na, nb, nc)


@triton.jit
def _length(vector):
    x, y, z = vector
    return tl.sqrt(x * x + y * y + z * z)


@triton.jit
def _mapped(columns, h, k, l):
    """The vector of h, k, l."""
    first, second, third = columns
    return (
        first[0] * h + second[0] * k + third[0] * l,
        first[1] * h + second[1] * k + third[1] * l,
        first[2] * h + second[2] * k + third[2] * l,
    )


@triton.jit
def _beyond(away, half):
    """How far from a whole number an index is at least."""
    least = tl.abs(away) - half
    return tl.where(least > 0.0, least, 0.0)


@triton.jit
def _distance(away, fast, slow, rest, margin, columns, least, shape: tl.constexpr):
    """The squared distance of a tile's steps from their reflections, at least.

    away: of the middle, h, k, l; fast, slow: half of the tile's extent along both; rest: of each
    index, what these leave.
    """
    dh, dk, dl = away
    fh, fk, fl = fast
    sh, sk, sl = slow
    rh, rk, rl = rest
    half_h = tl.abs(fh) + tl.abs(sh) + rh + margin
    half_k = tl.abs(fk) + tl.abs(sk) + rk + margin
    half_l = tl.abs(fl) + tl.abs(sl) + rl + margin
    wh, wk, wl = least
    h, k, l = wh * _beyond(dh, half_h), wk * _beyond(dk, half_k), wl * _beyond(dl, half_l)
    if (shape == "gauss") or (shape == "tophat"):
        box = tl.maximum(tl.maximum(h * h, k * k), l * l)
    else:
        box = h * h + k * k + l * l
    # Across the tile, where no index of it is nearer to another whole number.
    is_alone = (tl.abs(dh) + half_h < 0.5) & (tl.abs(dk) + half_k < 0.5)
    is_alone = is_alone & (tl.abs(dl) + half_l < 0.5)
    fx, fy, fz = _mapped(columns, fh, fk, fl)
    sx, sy, sz = _mapped(columns, sh, sk, sl)
    nx, ny, nz = fy * sz - fz * sy, fz * sx - fx * sz, fx * sy - fy * sx
    length = tl.sqrt(nx * nx + ny * ny + nz * nz)
    is_plane = length > 0.0
    per = tl.where(is_plane, (1.0 - 1e-9) / tl.where(is_plane, length, 1.0), 0.0)
    nx, ny, nz = nx * per, ny * per, nz * per
    x, y, z = _mapped(columns, dh, dk, dl)
    first, second, third = columns
    off = _length(first) * (rh + margin) + _length(second) * (rk + margin)
    off += _length(third) * (rl + margin)
    off += tl.abs(nx * fx + ny * fy + nz * fz) + tl.abs(nx * sx + ny * sy + nz * sz)
    above = tl.abs(nx * x + ny * y + nz * z) - off
    plane = tl.where(is_alone & (above > 0.0), above * above, 0.0)
    return tl.maximum(box, plane)


@triton.jit
def lit_steps(
    orientation_lists,
    list_lengths,
    is_lit,
    slow,
    fast,
    scale,
    limits,
    given,
    sizes,
    block: tl.constexpr,
    chunk: tl.constexpr,
    profile: tl.constexpr,
    has_factor: tl.constexpr,
):
    """orientation_lists: (blocks, rays, orientations), int32, of which list_lengths, (blocks,
    rays), are set, in their order.  is_lit: (blocks, rays, orientations), int8: the same.

    A program for each block of pixels and ray.  slow, fast: numbers of pixels, (pixels,); scale:
    what a pixel's sum is multiplied with, (pixels,).
    """
    shape, counts, _extent, factor_strides, _weight_strides = plain(sizes)
    count, samples, source_count = shape
    orientations, _domains = counts
    ray = tl.program_id(1)
    sample, source = ray // source_count, ray % source_count
    pixel = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    lanes = pixel < count
    lattice = lattice_of(given.numbers)
    factor = tl.abs(tl.load(scale + pixel, mask=lanes, other=0.0))
    if has_factor:
        factor *= tl.abs(of_ray(given.factor, pixel, lanes, sample, source, factor_strides))
    # A maximum may leave out what is no number, a sum does not.
    largest = tl.max(factor, 0) * (1.0 + 1e-9) + _sum(factor * 0.0, lanes)
    dark_from = _dark_from(limits, largest, lattice, profile)
    # The tile: its middle, its slopes, and what they leave.
    u, v = (
        tl.load(fast + pixel, mask=lanes, other=0.0),
        tl.load(slow + pixel, mask=lanes, other=0.0),
    )
    size = tl.sum(lanes.to(tl.float64), 0)
    u = u - _sum(u, lanes) / size
    v = v - _sum(v, lanes) / size
    uu, uv, vv = _sum(u * u, lanes), _sum(u * v, lanes), _sum(v * v, lanes)
    half_u = tl.max(tl.where(lanes, tl.abs(u), 0.0), 0)
    half_v = tl.max(tl.where(lanes, tl.abs(v), 0.0), 0)
    place = pixel * samples + sample
    plane = tl.cast(count, tl.int64) * samples
    dx = tl.load(given.direction + place, mask=lanes, other=0.0)
    dy = tl.load(given.direction + plane + place, mask=lanes, other=0.0)
    dz = tl.load(given.direction + 2 * plane + place, mask=lanes, other=0.0)
    x, y, z = _sum(dx, lanes) / size, _sum(dy, lanes) / size, _sum(dz, lanes) / size
    fx, sx = _slopes(u, v, dx - x, uu, uv, vv, lanes)
    fy, sy = _slopes(u, v, dy - y, uu, uv, vv, lanes)
    fz, sz = _slopes(u, v, dz - z, uu, uv, vv, lanes)
    ex, ey, ez = dx - (x + u * fx + v * sx), dy - (y + u * fy + v * sy), dz - (z + u * fz + v * sz)
    off = tl.max(tl.where(lanes, ex * ex + ey * ey + ez * ez, 0.0), 0)
    rho = tl.sqrt(off) * (1.0 + 1e-9) + 1e-15 + (x + y + z) * 0.0
    wavelength = tl.load(given.sources + 3 * source_count + source)
    qx = (x - tl.load(given.sources + source)) / wavelength
    qy = (y - tl.load(given.sources + source_count + source)) / wavelength
    qz = (z - tl.load(given.sources + 2 * source_count + source)) / wavelength
    middle = (qx, qy, qz)
    along_fast = (fx * half_u / wavelength, fy * half_u / wavelength, fz * half_u / wavelength)
    along_slow = (sx * half_v / wavelength, sy * half_v / wavelength, sz * half_v / wavelength)
    rho = rho / tl.abs(wavelength)
    columns, least = _measure(lattice, profile)
    row = tl.program_id(0).to(tl.int64) * (samples * source_count) + ray
    own_list = orientation_lists + row * orientations
    listed = tl.sum(tl.zeros([chunk], tl.int32), 0)
    for first in range(0, orientations, chunk):
        orientation = first + tl.arange(0, chunk)
        is_there = orientation < orientations
        cell = given.cells + orientation * 9
        ax = tl.load(cell, mask=is_there, other=0.0)
        ay = tl.load(cell + 1, mask=is_there, other=0.0)
        az = tl.load(cell + 2, mask=is_there, other=0.0)
        bx = tl.load(cell + 3, mask=is_there, other=0.0)
        by = tl.load(cell + 4, mask=is_there, other=0.0)
        bz = tl.load(cell + 5, mask=is_there, other=0.0)
        cx = tl.load(cell + 6, mask=is_there, other=0.0)
        cy = tl.load(cell + 7, mask=is_there, other=0.0)
        cz = tl.load(cell + 8, mask=is_there, other=0.0)
        a, b, c = (ax, ay, az), (bx, by, bz), (cx, cy, cz)
        h, k, l = (
            _of_axes(ax, ay, az, middle),
            _of_axes(bx, by, bz, middle),
            _of_axes(cx, cy, cz, middle),
        )
        away = (h - nearest_whole(h), k - nearest_whole(k), l - nearest_whole(l))
        of_fast = (
            _of_axes(ax, ay, az, along_fast),
            _of_axes(bx, by, bz, along_fast),
            _of_axes(cx, cy, cz, along_fast),
        )
        of_slow = (
            _of_axes(ax, ay, az, along_slow),
            _of_axes(bx, by, bz, along_slow),
            _of_axes(cx, cy, cz, along_slow),
        )
        la, lb, lc = _length(a), _length(b), _length(c)
        rest = (la * rho, lb * rho, lc * rho)
        margin = 1e-8 + 4e-12 * (la + lb + lc) / tl.abs(wavelength)
        found = _distance(away, of_fast, of_slow, rest, margin, columns, least, profile)
        # Also where one of the two is no number.
        is_listed = is_there & ~(found >= dark_from)
        tl.store(is_lit + row * orientations + orientation, is_listed.to(tl.int8), mask=is_there)
        before = tl.cumsum(is_listed.to(tl.int32), 0)
        tl.store(own_list + (listed + before - 1), orientation, mask=is_listed)
        listed += tl.sum(is_listed.to(tl.int32), 0)
    tl.store(list_lengths + row, listed)


@triton.jit
def turns_of(lit, row, orientations, is_listed: tl.constexpr):
    """How many orientations of a row (block and ray) are visited."""
    if is_listed:
        return tl.load(lit.lengths + row)
    else:
        return orientations


@triton.jit
def orientation_at(lit, row, turn, orientations, is_listed: tl.constexpr):
    """Which one comes at a turn."""
    if is_listed:
        return tl.load(lit.orientations + row * orientations + turn)
    else:
        return turn
