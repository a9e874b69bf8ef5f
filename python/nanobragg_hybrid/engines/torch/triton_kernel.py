"""Pixels by Triton's kernels: what belongs to rays and pixels by torch's operators, all that
belongs to steps in one launch (see `lattice_sums`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import torch
from torch import Tensor
from triton.runtime.interpreter import InterpretedFunction

from nanobragg_hybrid.engines.torch import triton_sums
from nanobragg_hybrid.engines.torch.batch_sums import batch_sums
from nanobragg_hybrid.engines.torch.directions import Directions
from nanobragg_hybrid.engines.torch.factors import (
    background,
    pixel_factors,
    ray_factor,
    step_weight,
    water,
)
from nanobragg_hybrid.engines.torch.fused import FusedKernel, FusedPiece
from nanobragg_hybrid.engines.torch.fused_jacobian import PreparedSums, fused_jacobian
from nanobragg_hybrid.engines.torch.lattice_sums import (
    LATTICE_NUMBERS,
    SumChoices,
    SumTensors,
    lattice_sums,
)
from nanobragg_hybrid.engines.torch.packing import NUMBERS, Packed, Template, unpack
from nanobragg_hybrid.engines.torch.pixels import Pixels
from nanobragg_hybrid.engines.torch.placed_set_up import kernel_constants
from nanobragg_hybrid.engines.torch.rays import Beams, beams_to
from nanobragg_hybrid.engines.torch.scene import Choices
from nanobragg_hybrid.engines.torch.tiles import Block, Segment, Tile, ranges
from nanobragg_hybrid.engines.torch.vectors import as_tensor

IS_INTERPRETED: Final = isinstance(triton_sums.pixel_sums, InterpretedFunction)
"""Whether Triton runs in its interpreter, which is decided when its kernels are loaded."""

_RAYS: Final = 2**22
"""Of a piece, at most, but for one pixel: what rays have of their own is held for them."""

_N_CELLS: Final = NUMBERS.index("n_cells.0")
_FUDGE: Final = NUMBERS.index("fudge")
_STARS: Final = NUMBERS.index("a_star.0")
_DEFAULT_F: Final = NUMBERS.index("default_f")
_WATER_M: Final = NUMBERS.index("water_m")


@dataclass(frozen=True, slots=True, eq=False)
class _Rays:
    """What does not depend on the crystal: beams to the first samples; direction, factor and weight
    as `SumTensors` has them; factors of pixels."""

    tile: Tile
    first: Beams
    direction: Tensor
    factor: Tensor | None
    weight: Tensor | None
    pixel_factors: list[Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class TritonKernel(FusedKernel):
    """Values agree with the eager kernel's to rounding; there are first derivatives.

    dtype: of what is no phase.  limit: `Choices.dmin_m`; domain_weights: or None; both on the
    device.
    """

    choices: Choices
    dtype: torch.dtype
    limit: Tensor
    domain_weights: Tensor | None

    @classmethod
    def of(cls, choices: Choices, dtype: torch.dtype, device: torch.device) -> TritonKernel:
        """What does not change from render to render, copied to a device."""
        return cls.with_constants(choices, dtype, kernel_constants(choices).to(device))

    @classmethod
    def with_constants(
        cls, choices: Choices, dtype: torch.dtype, constants: Tensor
    ) -> TritonKernel:
        """The same; constants: the `kernel_constants` of the choices, on the device."""
        weights = None if choices.domain_weights is None else constants[1:]
        return cls(choices, dtype, constants[:1], weights)

    def refuses(self, packed: Packed) -> str | None:
        """Nothing: values are not looked at, which would fetch them from the device."""
        del packed
        return None

    def covers(self, segment: Segment) -> bool:
        """See `FusedKernel`."""
        steps = segment.interpolated_steps
        return segment.run_start is None and steps in (0, self.choices.steps_per_pixel)

    def pieces(self, pixels: Pixels, segment: Segment) -> Iterator[FusedPiece]:
        """See `FusedKernel`."""
        rays = self.choices.samples * self.choices.source_count
        length = max(1, _RAYS // rays)
        for own in ranges(segment.pixels.start, segment.pixels.stop, length):
            slow, fast = pixels.numbers(own.start, own.stop, self.limit.device)
            place = slice(own.start, own.stop)
            yield FusedPiece(place, slow, fast, segment.interpolated_steps > 0)

    def values(self, piece: FusedPiece, packed: Packed, template: Template) -> Tensor:
        """See `FusedKernel`."""
        prepared = self.prepared(piece, packed, template)
        return prepared.finish(lattice_sums(prepared.choices, prepared.tensors))

    def jacobian(
        self, piece: FusedPiece, packed: Packed, template: Template, along: Directions
    ) -> tuple[Tensor, Tensor]:
        """See `FusedKernel`."""
        length = max(1, _RAYS // (self.choices.samples * self.choices.source_count))
        # What rays have of their own is held for each direction that moves it.
        most = max(1, length // max(1, len(along.moving)))
        parts = []
        for own in ranges(0, len(piece.slow), most):
            pixels = slice(own.start, own.stop)
            part = replace(piece, slow=piece.slow[pixels], fast=piece.fast[pixels])
            prepare = partial(self.prepared, part, template=template)
            parts.append(fused_jacobian(prepare, packed, along))
        return torch.cat([v for v, _ in parts]), torch.cat([r for _, r in parts], 1)

    def together(self, piece: FusedPiece, members: Sequence[Packed], template: Template) -> Tensor:
        """See `FusedKernel`."""
        rays = self._rays(piece, members[0], template)
        prepared = [self._sums(rays, piece, packed, template) for packed in members]
        totals = batch_sums(prepared[0].choices, [each.tensors for each in prepared])
        pairs = zip(prepared, totals.unbind(), strict=True)
        return torch.stack([each.finish(total) for each, total in pairs])

    def prepared(self, piece: FusedPiece, packed: Packed, template: Template) -> PreparedSums:
        """What comes before the sums, and what comes after them."""
        return self._sums(self._rays(piece, packed, template), piece, packed, template)

    def _rays(self, piece: FusedPiece, packed: Packed, template: Template) -> _Rays:
        choices, scene = self.choices, unpack(packed, template)
        steps = choices.steps_per_pixel if piece.interpolates else 0
        tile = Tile(piece.slow, piece.fast, steps)
        every = Block(
            range(choices.samples), range(choices.source_count), range(choices.orientations)
        )
        beams = beams_to(scene, choices, tile, every.samples)
        first = beams.first()
        factor = ray_factor(scene, choices, tile, every, beams, first)
        weight = step_weight(scene, choices, beams, every.sources)
        is_running = choices.running_product and weight is not None
        if not is_running and weight is not None:
            factor, weight = weight if factor is None else factor * weight, None
        return _Rays(
            tile,
            first,
            torch.stack([as_tensor(x) for x in beams.direction]),
            _of_rays(factor),
            _of_rays(weight),
            pixel_factors(scene, choices, tile, first),
        )

    def _sums(
        self, rays: _Rays, piece: FusedPiece, packed: Packed, template: Template
    ) -> PreparedSums:
        """Of one crystal."""
        choices, scene = self.choices, unpack(packed, template)
        is_running = rays.weight is not None
        tile, first = rays.tile, rays.first
        start = torch.zeros_like(first.length[:, 0]) + background(scene, choices, tile, first)
        tensors = SumTensors(
            direction=rays.direction,
            sources=packed.sources[:4],
            cells=packed.cells,
            numbers=_lattice_numbers(packed.numbers, template),
            grid=packed.grid,
            factor=rays.factor,
            weight=rays.weight,
            start=start if is_running else None,
            domain_weights=self.domain_weights,
            others=torch.cat([packed.numbers[_WATER_M : _WATER_M + 1].detach(), self.limit]),
        )

        def finish(total: Tensor) -> Tensor:
            value = (total if is_running else start + total) * scene.strength / choices.steps
            for own in rays.pixel_factors:
                value = value * own
            return value + water(scene, choices, tile, first)

        return PreparedSums(
            self._sum_choices(piece, template, is_running=is_running), tensors, finish
        )

    def _sum_choices(
        self, piece: FusedPiece, template: Template, *, is_running: bool
    ) -> SumChoices:
        interpolation = "nearest"
        if piece.interpolates:
            interpolation = "tricubic" if self.choices.interpolation_switches_off else "inside"
        return SumChoices(
            self.choices.shape,
            self.dtype == torch.float32,
            interpolation,
            (0, 0, 0) if template.hkl_min is None else template.hkl_min,
            self.choices.domains,
            self.choices.dmin_m > 0.0,
            is_running,
        )


def _lattice_numbers(numbers: Tensor, template: Template) -> Tensor:
    """Those of `LATTICE_NUMBERS`, with a derivative where one of them has; numbers of cells below 1
    count as 1 and do not change."""
    if all(template.constants[place] is not None for place in LATTICE_NUMBERS):
        numbers = numbers.detach()
    return torch.cat(
        [
            numbers[_N_CELLS : _N_CELLS + 3].clamp(min=1.0),
            numbers[_FUDGE : _FUDGE + 1],
            numbers[_STARS : _STARS + 9],
            numbers[_DEFAULT_F : _DEFAULT_F + 1],
        ]
    )


def _of_rays(values: Tensor | None) -> Tensor | None:
    """With the three dimensions of rays."""
    if values is None:
        return None
    return values.reshape((1,) * (3 - values.dim()) + values.shape)
