"""Which steps Triton's kernels visit within a tolerance (model 11): lists that are made on the
device, for tiles of neighbouring pixels."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.compiled.bridge import COUNTED
from nanobragg_hybrid.engines.torch.on_triton.kernels.lists import lit_steps
from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import Given, Sizes
from nanobragg_hybrid.engines.torch.scenes.scene import Choices
from nanobragg_hybrid.model.conventions import CULLING_REASONS

TILE: Final = 32
"""Pixels of a tile, and of a program that visits its steps."""
_CHUNK: Final = 32
"""Orientations that are tested side by side."""
_LEAST_STEPS: Final = 4
"""Fewer steps of a sample cost less than looking which of them have light."""
_ROWS: Final = 8
_COLUMNS: Final = 4
"""Of a tile."""
_PART_OF_TOLERANCE: Final = 0.999999
"""All steps together stay below the tolerance, whatever rounding does."""
_LARGEST_OF_TRICUBIC: Final = 1.96
"""|cubic| <= 1.25 of the largest of its four values, three times."""

_LARGEST_LIGHT: Final = 1e300
"""Of a step, photons before a pixel's factors: the kernel's bounds know nothing of more."""

SQUARE: Final = "Triton's kernels visit every step of a parallelepiped"


class LitSteps(NamedTuple):
    """What is visited.

    orientations: (blocks, rays, orientations), int32, of which lengths, (blocks, rays), count.
    is_lit: (blocks, rays, orientations), int8, the same.
    """

    orientations: Tensor
    lengths: Tensor
    is_lit: Tensor

    def part(self, pixels: slice) -> LitSteps:
        """Of some of the pixels, whole tiles."""
        blocks = slice(pixels.start // TILE, -(-pixels.stop // TILE))
        return LitSteps(*(x[blocks].contiguous() for x in self))


class PixelOrder(NamedTuple):
    """Pixels in the order of tiles, each after the other; `place`: where each one is in it."""

    pixel: Tensor
    place: Tensor


def every_step_because(choices: Choices) -> str:
    """Why every step is visited whatever the tolerance; empty: it is not."""
    if choices.running_product and (
        choices.oversample_thick or choices.oversample_polar or choices.oversample_omega
    ):
        return CULLING_REASONS[6]
    if choices.source_count * choices.orientations < _LEAST_STEPS:
        return CULLING_REASONS[3]
    return SQUARE if choices.shape == "square" else ""


def no_bounds_because(limits: Tensor, lattice: Tensor, strength: Tensor, sources: Tensor) -> str:
    """Why no step is proven to be dark, whatever a pixel's own factors are; empty: some may be.

    limits: see `limits_of`.  lattice: N_a, N_b, N_c and the fudge factor.  strength: what every sum
    is multiplied with.  Values are fetched from the device.
    """
    f, share, na, nb, nc, fudge, brightness, of_sources = torch.cat(
        [limits, lattice, strength, sources.sum().reshape(1)]
    ).tolist()
    light = (f * na * nb * nc) * (f * na * nb * nc) * abs(brightness)
    if light == 0.0 or share == math.inf:  # all weights of domains are 0
        return CULLING_REASONS[9]
    if not (light < _LARGEST_LIGHT and math.isfinite(share) and math.isfinite(of_sources)):
        return CULLING_REASONS[7]
    return "" if fudge > 0.0 else CULLING_REASONS[4]


def tile_order(slow: Tensor, fast: Tensor) -> PixelOrder:
    """Of pixels in serial order, numbers along both axes of shape (pixels,)."""
    rows = torch.floor_divide(slow - slow[:1], _ROWS).to(torch.int64)
    columns = torch.floor_divide(fast, _COLUMNS).to(torch.int64)
    pixel = torch.argsort(rows * 2**31 + columns, stable=True)
    return PixelOrder(pixel, torch.argsort(pixel))


def limits_of(
    choices: Choices,
    tolerance_photons: float,
    grid: Tensor | None,
    default_f: Tensor,
    domain_weights: Tensor | None,
    *,
    interpolates: bool,
) -> Tensor:
    """The largest structure factor, and what a step may have before a pixel's factors: (2,)."""
    largest = default_f.abs().reshape(())
    if grid is not None:
        largest = torch.maximum(largest, grid.abs().amax())
    if interpolates:
        largest = largest * _LARGEST_OF_TRICUBIC
    share = torch.full_like(largest, _PART_OF_TOLERANCE * tolerance_photons)
    share = share / choices.steps_per_pixel
    if domain_weights is not None:
        share = share / domain_weights.abs().amax()
    return torch.stack([largest, share])


def listed_steps(
    given: Given,
    sizes: Sizes,
    shape: tuple[int, int, int],
    pixels: tuple[Tensor, Tensor, Tensor],
    limits: Tensor,
    *,
    orientations: int,
    profile: str,
    has_factor: bool,
) -> LitSteps:
    """shape: pixels, samples, sources.  pixels: their numbers along slow and fast, and what their
    sums are multiplied with, (pixels,)."""
    count, samples, sources = shape
    slow, fast, scale = (x.contiguous() for x in pixels)
    blocks, rays = -(-count // TILE), samples * sources
    new = scale.new_empty
    lit = LitSteps(
        new((blocks, rays, orientations), dtype=torch.int32),
        new((blocks, rays), dtype=torch.int32),
        new((blocks, rays, orientations), dtype=torch.int8),
    )
    if count > 0:
        lit_steps[(blocks, rays)](
            *lit,
            slow,
            fast,
            scale,
            limits,
            given,
            sizes,
            block=TILE,
            chunk=_CHUNK,
            profile=profile,
            has_factor=has_factor,
            num_warps=1,
            enable_fp_fusion=False,
        )
        _count(lit, count, orientations)
    return lit


def _count(lit: LitSteps, count: int, orientations: int) -> None:
    """Where somebody wants to know; the number stays on the device."""
    counted = COUNTED.get()
    if counted is None:
        return
    blocks, rays = lit.lengths.shape
    of_block = lit.lengths.sum(1)
    last = TILE * blocks - count  # lanes without a pixel
    counted.visited = counted.visited + (of_block.sum() * TILE - of_block[-1] * last)
    counted.every += float(count) * rays * orientations
