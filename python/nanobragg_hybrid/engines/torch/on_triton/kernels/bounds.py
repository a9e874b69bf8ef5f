"""Sums over the steps of pixels by Triton, with how far they may be off: docs/accuracy.md, "Bytes
from a GPU".

Up to the arguments of sines and exponentials every operation is the model's, in the model's order,
without fused multiply-add.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.on_triton.kernels.profiles import (
    nearest_whole,
    squared_distance,
)
from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import (
    cell_of,
    crystal_of,
    cut_by_limit,
    indices_of,
    of_ray,
    plain,
    ray_of,
)
from nanobragg_hybrid.engines.torch.on_triton.kernels.steps import intensity, structure_factor

_PI = tl.constexpr(3.141592653589793)
_SPHERE_ERROR = tl.constexpr(3.0 * 0.723601254558268 * 2.0**-46)
"""3 V delta: of the factor of a sphere of one cell, times x^2."""


@triton.jit
def _sphere_slack(h, k, l, f, lattice):
    """How far the term of a sphere may be off: its sin x/x - cos x cancels."""
    na, nb, nc, fudge, _, _, _, _, _, _, _, _, _ = lattice
    dh, dk, dl = h - nearest_whole(h), k - nearest_whole(k), l - nearest_whole(l)
    square, _, _, _ = squared_distance(dh, dk, dl, lattice, "round")
    x = tl.sqrt(square * fudge) * _PI
    is_zero = x == 0.0
    cells = na * nb * nc
    safe = tl.where(is_zero, 1.0, x)
    off = cells * _SPHERE_ERROR / (safe * safe)
    # |3 (sin x/x - cos x)/x^2| is 1 at most, and 3 (1/x + 1)/x^2.
    largest = 3.0 * (1.0 / safe + 1.0) / (safe * safe)
    factor = cells * tl.where(largest < 1.0, largest, 1.0)
    return tl.where(is_zero, 0.0, f * f * off * (2.0 * factor + off))


@triton.jit
def bounded_sums(
    total,
    slack,
    given,
    sizes,
    rays,
    block: tl.constexpr,
    profile: tl.constexpr,
    has_table: tl.constexpr,
    has_limit: tl.constexpr,
    has_factor: tl.constexpr,
    is_running: tl.constexpr,
    is_weighted: tl.constexpr,
):
    """Goes on with total and slack, (pixels,): the steps of some rays in serial order.

    rays: the first sample and its end, the first source and its end, disguised as sizes are.
    given, sizes: see `kernels.rays`.
    """
    shape, counts, extent, factor_strides, weight_strides = plain(sizes)
    count = shape[0]
    orientations, domains = counts
    pixel = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    lanes = pixel < count
    crystal = crystal_of(given, extent, block)
    sums = tl.load(total + pixel, mask=lanes, other=0.0)
    slacks = tl.load(slack + pixel, mask=lanes, other=0.0)
    for sample in range(rays[0] >> 2, rays[1] >> 2):
        for source in range(rays[2] >> 2, rays[3] >> 2):
            qx, qy, qz, _ = ray_of(given, pixel, lanes, sample, source, shape)
            is_cut = cut_by_limit(crystal, qx, qy, qz, lanes, has_limit)
            if has_factor:
                own_factor = of_ray(given.factor, pixel, lanes, sample, source, factor_strides)
            if is_running:
                own_weight = of_ray(given.weight, pixel, lanes, sample, source, weight_strides)
            for orientation in range(orientations):
                h, k, l = indices_of(cell_of(given.cells, orientation), qx, qy, qz)
                f = structure_factor(crystal, h, k, l, lanes, has_table, "nearest")
                term, is_skipped = intensity(crystal, h, k, l, f, profile, False)
                is_skipped = is_skipped | is_cut
                if profile == "round":
                    off = tl.where(is_cut, 0.0, _sphere_slack(h, k, l, f, crystal.lattice))
                if is_weighted:
                    own = tl.load(given.domain_weights + orientation % domains)
                    term *= own
                    if profile == "round":
                        off *= own
                if has_factor:
                    term *= own_factor
                    if profile == "round":
                        off *= own_factor
                if is_running:
                    sums = tl.where(is_skipped, sums, (sums + term) * own_weight)
                else:
                    sums += tl.where(is_skipped, 0.0, term)
                if profile == "round":
                    slacks += off
    tl.store(total + pixel, sums, mask=lanes)
    tl.store(slack + pixel, slacks, mask=lanes)
