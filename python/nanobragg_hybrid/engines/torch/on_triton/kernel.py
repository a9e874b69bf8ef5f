"""Pixels by Triton's kernels: values in one launch (see `ray_launches`), derivatives by those of
steps (see `lattice_sums`), with torch's operators before and behind them where these are
differentiated."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import torch
from torch import Tensor
from triton.runtime.interpreter import InterpretedFunction

from nanobragg_hybrid.engines.torch.arithmetic.vectors import as_tensor
from nanobragg_hybrid.engines.torch.eager.factors import (
    background,
    pixel_factors,
    ray_factor,
    step_weight,
    water,
)
from nanobragg_hybrid.engines.torch.eager.rays import beams_to
from nanobragg_hybrid.engines.torch.fused.directions import Directions
from nanobragg_hybrid.engines.torch.fused.kernel import FusedKernel, FusedPiece
from nanobragg_hybrid.engines.torch.on_triton.batch_sums import batch_sums
from nanobragg_hybrid.engines.torch.on_triton.fused_jacobian import PreparedSums, fused_jacobian
from nanobragg_hybrid.engines.torch.on_triton.kernels import sums as triton_sums
from nanobragg_hybrid.engines.torch.on_triton.lattice_sums import (
    LATTICE_NUMBERS,
    SumChoices,
    SumTensors,
    lattice_sums,
    lit_steps,
)
from nanobragg_hybrid.engines.torch.on_triton.ray_launches import (
    PixelLaunch,
    RayChoices,
    why_operators,
)
from nanobragg_hybrid.engines.torch.on_triton.step_lists import (
    every_step_because,
    limits_of,
    no_bounds_because,
    tile_order,
)
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS, Packed, Template, unpack
from nanobragg_hybrid.engines.torch.scenes.packing import tensors as tensors_of
from nanobragg_hybrid.engines.torch.scenes.pixels import Pixels
from nanobragg_hybrid.engines.torch.scenes.scene import Choices
from nanobragg_hybrid.engines.torch.scenes.tiles import Block, Segment, Tile, ranges
from nanobragg_hybrid.engines.torch.values.placed_set_up import kernel_constants

IS_INTERPRETED: Final = isinstance(triton_sums.pixel_sums, InterpretedFunction)
"""Whether Triton runs in its interpreter, which is decided when its kernels are loaded."""

_RAYS: Final = 2**22
"""Of a piece, at most, but for one pixel: what rays have of their own is held for them."""

_KEPT: Final = 2**24
"""Pixels whose numbers are kept, at most: 16 bytes each."""
_KEPT_PIECES: Final = 64
"""In so many pieces, at most."""

_N_CELLS: Final = NUMBERS.index("n_cells.0")
_FUDGE: Final = NUMBERS.index("fudge")
_STARS: Final = NUMBERS.index("a_star.0")
_DEFAULT_F: Final = NUMBERS.index("default_f")
_STRENGTH: Final = NUMBERS.index("strength")
_WATER_M: Final = NUMBERS.index("water_m")


@dataclass(frozen=True, slots=True, eq=False)
class TritonKernel(FusedKernel):
    """Values agree with the eager kernel's to rounding; there are first derivatives.

    dtype: of what is no phase.  limit: `Choices.dmin_m`; domain_weights: or None; both on the
    device.  tolerance_photons: what steps that are left out may add to a pixel.  Numbers of pixels
    are kept for the next render.
    """

    choices: Choices
    dtype: torch.dtype
    limit: Tensor
    domain_weights: Tensor | None
    tolerance_photons: float
    _numbers: dict[tuple[int, int, int], tuple[Pixels, tuple[Tensor, Tensor]]] = field(
        default_factory=dict
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(
        cls,
        choices: Choices,
        dtype: torch.dtype,
        device: torch.device,
        tolerance_photons: float = 0.0,
    ) -> TritonKernel:
        """What does not change from render to render, copied to a device."""
        constants = kernel_constants(choices).to(device)
        return cls.with_constants(choices, dtype, constants, tolerance_photons)

    @classmethod
    def with_constants(
        cls, choices: Choices, dtype: torch.dtype, constants: Tensor, tolerance_photons: float
    ) -> TritonKernel:
        """The same; constants: the `kernel_constants` of the choices, on the device."""
        weights = None if choices.domain_weights is None else constants[1:]
        return cls(choices, dtype, constants[:1], weights, tolerance_photons)

    def every_step_because(self, packed: Packed) -> str:
        """See `FusedKernel`."""
        choices, numbers = self.choices, packed.numbers.detach()
        reason = every_step_because(choices)
        if reason != "":
            return reason
        limits = self._limits(packed, interpolates=choices.interpolate)
        lattice = torch.cat(
            [numbers[_N_CELLS : _N_CELLS + 3].clamp(min=1.0), numbers[_FUDGE : _FUDGE + 1]]
        )
        strength = numbers[_STRENGTH : _STRENGTH + 1]
        return no_bounds_because(limits, lattice, strength, packed.sources.detach())

    @property
    def rays_by_operators_because(self) -> str:
        """See `FusedKernel`."""
        return why_operators(self.choices)

    @property
    def _leaves_out(self) -> bool:
        return self.tolerance_photons > 0.0 and every_step_because(self.choices) == ""

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
            slow, fast = self._numbers_of(pixels, own)
            place = slice(own.start, own.stop)
            yield FusedPiece(place, slow, fast, segment.interpolated_steps > 0)

    def _numbers_of(self, pixels: Pixels, own: range) -> tuple[Tensor, Tensor]:
        key = id(pixels), own.start, own.stop
        kept = self._numbers.get(key)
        if kept is None:
            # With the pixels, so that no other ones have their name.
            kept = pixels, pixels.numbers(own.start, own.stop, self.limit.device)
            with self._lock:
                count = sum(stop - start for _, start, stop in self._numbers) + len(own)
                if count > _KEPT or len(self._numbers) >= _KEPT_PIECES:
                    self._numbers.clear()
                self._numbers[key] = kept
        return kept[1]

    def values(self, piece: FusedPiece, packed: Packed, template: Template) -> Tensor:
        """See `FusedKernel`."""
        if not self._leaves_out:
            return self._values(piece, packed, template)
        order = tile_order(piece.slow[:, 0], piece.fast[:, 0])
        moved = replace(piece, slow=piece.slow[order.pixel], fast=piece.fast[order.pixel])
        return self._values(moved, packed, template)[order.place]

    def _values(self, piece: FusedPiece, packed: Packed, template: Template) -> Tensor:
        launch = self._launch(piece, packed, template)
        has_slopes = torch.is_grad_enabled() and any(
            x is not None and x.requires_grad for x in tensors_of(packed)
        )
        if launch is not None and not has_slopes and not self._leaves_out:
            sums = self._sum_choices(piece, template, is_running=launch.rays.has_weight)
            return launch.values(sums, self.domain_weights, None)
        prepared = self._prepared(piece, packed, template, launch)
        lit = None
        if self._leaves_out:
            pixels = piece.slow[:, 0], piece.fast[:, 0], prepared.scale()
            limits = self._limits(packed, interpolates=piece.interpolates)
            lit = lit_steps(prepared.choices, prepared.tensors, pixels, limits)
        if launch is not None and not has_slopes:
            return launch.values(prepared.choices, self.domain_weights, lit)
        return prepared.finish(lattice_sums(prepared.choices, prepared.tensors, lit))

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
            prepare = partial(self.by_operators, part, template=template)
            parts.append(fused_jacobian(prepare, packed, along))
        return torch.cat([v for v, _ in parts]), torch.cat([r for _, r in parts], 1)

    def together(self, piece: FusedPiece, members: Sequence[Packed], template: Template) -> Tensor:
        """See `FusedKernel`."""
        if self._leaves_out:
            return torch.stack([self.values(piece, packed, template) for packed in members])
        prepared: list[PreparedSums] = []
        for packed in members:
            each = self._prepared(piece, packed, template, self._launch(piece, packed, template))
            if prepared:  # one memory for what is the same
                first = prepared[0].tensors
                of_rays = {x: getattr(first, x) for x in ("direction", "factor", "weight")}
                each = replace(each, tensors=replace(each.tensors, **of_rays))
            prepared.append(each)
        totals = batch_sums(prepared[0].choices, [each.tensors for each in prepared])
        pairs = zip(prepared, totals.unbind(), strict=True)
        return torch.stack([each.finish(total) for each, total in pairs])

    def _launch(self, piece: FusedPiece, packed: Packed, template: Template) -> PixelLaunch | None:
        """That of pixels and rays; None where operators are wanted, see `RayChoices.moves`."""
        rays = RayChoices.of(self.choices, template)
        if self.rays_by_operators_because != "" or rays.moves(packed, template):
            return None
        pixels = piece.slow[:, 0], piece.fast[:, 0]
        return PixelLaunch(self.choices, rays, packed, self.limit, *pixels)

    def _prepared(
        self, piece: FusedPiece, packed: Packed, template: Template, launch: PixelLaunch | None
    ) -> PreparedSums:
        """What comes before the sums of steps, and what comes after them."""
        if launch is None:
            return self.by_operators(piece, packed, template)
        return self._by_launch(piece, packed, template, launch)

    def _by_launch(
        self, piece: FusedPiece, packed: Packed, template: Template, launch: PixelLaunch
    ) -> PreparedSums:
        """Pixels and rays in a launch, without derivatives of their own."""
        filled, rays = launch.filled(), launch.rays
        tensors = SumTensors(
            direction=filled.direction,
            sources=packed.sources[:4],
            cells=packed.cells,
            numbers=_lattice_numbers(packed.numbers, template),
            grid=packed.grid,
            factor=filled.factor if rays.has_factor else None,
            weight=filled.weight if rays.has_weight else None,
            start=filled.start if rays.has_weight else None,
            domain_weights=self.domain_weights,
            others=filled.numbers[14:],
        )
        strength = unpack(packed, template).strength
        start = None if rays.has_weight else filled.start
        multipliers: list[Tensor] = list(filled.multipliers.unbind())
        water_photons: Tensor = filled.water

        def finish(total: Tensor) -> Tensor:
            total = total if start is None else start + total
            value: Tensor = total * strength / self.choices.steps
            for multiplier in multipliers:
                value = value * multiplier
            return value + water_photons

        def scale() -> Tensor:
            factor: Tensor = filled.multipliers.prod(0) * packed.numbers[_STRENGTH].detach()
            return factor / self.choices.steps

        sums = self._sum_choices(piece, template, is_running=rays.has_weight)
        return PreparedSums(sums, tensors, scale, finish)

    def by_operators(self, piece: FusedPiece, packed: Packed, template: Template) -> PreparedSums:
        """Pixels and rays by torch's operators, with derivatives."""
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
        start = torch.zeros_like(first.length[:, 0]) + background(scene, choices, tile, first)
        is_running = choices.running_product and weight is not None
        if not is_running and weight is not None:
            factor, weight = weight if factor is None else factor * weight, None
        factors = pixel_factors(scene, choices, tile, first)
        tensors = SumTensors(
            direction=torch.stack([as_tensor(x) for x in beams.direction]),
            sources=packed.sources[:4],
            cells=packed.cells,
            numbers=_lattice_numbers(packed.numbers, template),
            grid=packed.grid,
            factor=_of_rays(factor),
            weight=_of_rays(weight),
            start=start if is_running else None,
            domain_weights=self.domain_weights,
            others=torch.cat([packed.numbers[_WATER_M : _WATER_M + 1].detach(), self.limit]),
        )

        @torch.no_grad()
        def scale() -> Tensor:
            value = torch.ones_like(start) * scene.strength / choices.steps
            for own in factors:
                value = value * own
            return value

        def finish(total: Tensor) -> Tensor:
            value = (total if is_running else start + total) * scene.strength / choices.steps
            for own in factors:
                value = value * own
            return value + water(scene, choices, tile, first)

        sums = self._sum_choices(piece, template, is_running=is_running)
        return PreparedSums(sums, tensors, scale, finish)

    def _limits(self, packed: Packed, *, interpolates: bool) -> Tensor:
        with torch.no_grad():
            return limits_of(
                self.choices,
                self.tolerance_photons,
                packed.grid,
                packed.numbers[_DEFAULT_F],
                self.domain_weights,
                interpolates=interpolates,
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
