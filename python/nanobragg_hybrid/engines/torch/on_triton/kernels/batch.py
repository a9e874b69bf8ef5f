"""Triton's kernels of a batch: sums and derivatives of several crystals whose rays are the same, in
one launch.

Each is the kernel of one crystal, whose programs know by one more axis of the grid which crystal
they are for: a member of a batch has the bits that it has alone.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.on_triton.kernels.cells import cell_slopes
from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import Given, plain
from nanobragg_hybrid.engines.torch.on_triton.kernels.slopes import pixel_slopes
from nanobragg_hybrid.engines.torch.on_triton.kernels.sums import pixel_sums

NUMBERS = tl.constexpr(37)
"""Of a crystal, as `sum_launches.packed_numbers` has them."""


@triton.jit
def _of_member(given, sizes, member):
    """Cells, numbers and starts of one; the rest is that of all."""
    shape, counts, _, _, _ = plain(sizes)
    count, _, _ = shape
    orientations, _ = counts
    return Given(
        given.direction,
        given.sources,
        given.cells + member * orientations * 9,
        given.grid,
        given.numbers + member * NUMBERS,
        given.factor,
        given.weight,
        given.start + member * count,
        given.domain_weights,
    )


@triton.jit
def _places(sizes, member):
    """Where a member's own begin: its pixels, pixels of rays and of steps; and the samples and rays
    of a pixel."""
    shape, counts, _, _, _ = plain(sizes)
    count, samples, source_count = shape
    orientations, _ = counts
    pixels, rays = member * count, samples * source_count
    return pixels, pixels * rays, pixels * rays * orientations, samples, rays


@triton.jit
def batch_sums(
    total,
    states,
    given,
    sizes,
    lit,
    block: tl.constexpr,
    kind: tl.constexpr,
    wants_states: tl.constexpr,
):
    """total: (members, pixels).  states: (members, rays, pixels), if wanted."""
    member = tl.program_id(1).to(tl.int64)
    pixels, of_rays, _, _, _ = _places(sizes, member)
    pixel_sums(
        total + pixels, states + of_rays,
        _of_member(given, sizes, member), sizes, lit, block=block, kind=kind,
        wants_states=wants_states,
    )  # fmt: skip


@triton.jit
def batch_slopes(
    by_direction,
    by_sources,
    by_numbers,
    by_factor,
    by_weight,
    by_start,
    coefficients,
    grad,
    states,
    given,
    sizes,
    lit,
    block: tl.constexpr,
    kind: tl.constexpr,
    wants_numbers: tl.constexpr,
    wants_coefficients: tl.constexpr,
):
    """All of them with one more dimension in front, that of the members; see `pixel_slopes`."""
    member = tl.program_id(1).to(tl.int64)
    pixels, of_rays, of_steps, samples, rays = _places(sizes, member)
    rows = member * tl.num_programs(0)
    pixel_slopes(
        by_direction + pixels * 3 * samples, by_sources + rows * rays * 4,
        by_numbers + rows * 14, by_factor + of_rays, by_weight + of_rays, by_start + pixels,
        coefficients, coefficients,  # the table's, which is not wanted
        coefficients + of_steps, grad + pixels, states + of_rays,
        _of_member(given, sizes, member), sizes, lit, block=block, kind=kind,
        wants_numbers=wants_numbers, wants_table=False, wants_coefficients=wants_coefficients,
    )  # fmt: skip


@triton.jit
def batch_cell_slopes(
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
    """by_cells: (members, parts, orientations, 9); see `cell_slopes`."""
    member = tl.program_id(2).to(tl.int64)
    pixels, _, of_steps, _, _ = _places(sizes, member)
    cell_slopes(
        by_cells + member * tl.num_programs(1) * tl.num_programs(0) * 9,
        coefficients + of_steps, grad + pixels,
        _of_member(given, sizes, member), sizes, lit, block=block, kind=kind,
        has_coefficients=has_coefficients,
    )  # fmt: skip
