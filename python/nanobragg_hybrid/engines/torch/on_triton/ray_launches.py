"""Pixels and rays in a launch of Triton: what is to be computed, and when torch's operators do it
instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.fused.sum_arguments import LATTICE_NUMBERS, SumChoices
from nanobragg_hybrid.engines.torch.on_triton.kernels.pixels import Filled, SceneArrays, pixel_rays
from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import Given, Sizes, StepKind, disguised
from nanobragg_hybrid.engines.torch.on_triton.kernels.values import pixel_values
from nanobragg_hybrid.engines.torch.on_triton.step_lists import TILE, LitSteps
from nanobragg_hybrid.engines.torch.on_triton.sum_launches import (
    extent_of,
    listed_or_all,
    pixels_of_a_program,
)
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS, Packed, Template
from nanobragg_hybrid.engines.torch.scenes.scene import Choices

CURVED: Final = "the detector is curved"

_STRENGTH: Final = NUMBERS.index("strength")
_BACKGROUND: Final = NUMBERS.index("background")
_WATER: Final = NUMBERS.index("water")
_KAHN: Final = NUMBERS.index("kahn")


@dataclass(frozen=True, slots=True)
class RayChoices:
    """Everything discrete about pixels and rays, see `kernels.pixels`."""

    capture: str
    polar: str
    omega: str
    thick_on_steps: bool
    polar_on_steps: bool
    omega_on_steps: bool
    weight_is_factor: bool
    has_factor: bool
    has_weight: bool
    has_weights: bool
    has_kahn: bool
    has_pixel_area: bool
    is_oblique: bool
    has_background: bool
    has_water: bool
    has_sensor: bool
    has_polarization: bool
    sees_sub_pixels: bool
    sees_sources: bool
    searches_capture: bool
    searches_polarization: bool
    has_limit: bool

    @classmethod
    def of(cls, choices: Choices, template: Template) -> RayChoices:
        """For scenes of a template."""
        capture, polar, omega = _capture(choices), _polar(choices), _omega(choices)
        on_steps = choices.oversample_thick or choices.oversample_polar or choices.oversample_omega
        on_rays = template.has_weights or any(
            place not in ("", "pixel") for place in (capture, polar, omega)
        )
        is_running = choices.running_product and on_steps
        constants = template.constants
        return cls(
            capture,
            polar,
            omega,
            choices.oversample_thick,
            choices.oversample_polar,
            choices.oversample_omega,
            weight_is_factor=on_steps and not is_running,
            has_factor=on_rays or (on_steps and not is_running),
            has_weight=is_running,
            has_weights=template.has_weights,
            has_kahn=constants[_KAHN] != 0.0,
            has_pixel_area=choices.has_pixel_area,
            is_oblique=choices.is_oblique,
            has_background=constants[_BACKGROUND] != 0.0,
            has_water=constants[_WATER] != 0.0,
            has_sensor=choices.has_sensor,
            has_polarization=choices.has_polarization,
            sees_sub_pixels=choices.water_sees_sub_pixels,
            sees_sources=choices.water_sees_all_sources,
            searches_capture=choices.searches_capture,
            searches_polarization=choices.searches_polarization,
            has_limit=choices.dmin_m > 0.0,
        )

    @property
    def _sees_directions(self) -> bool:
        """Whether sources matter to anything here."""
        of_water = self.has_water and self.has_polarization
        return self.polar != "" or self.polar_on_steps or of_water or self.has_weights

    def moves(self, packed: Packed, template: Template) -> bool:
        """Whether a derivative is wanted that goes through what is computed here."""
        if not torch.is_grad_enabled():
            return False
        if packed.sources.requires_grad and self._sees_directions:
            return True
        fixed = {*LATTICE_NUMBERS} if self.has_water else {*LATTICE_NUMBERS, _STRENGTH}
        return packed.numbers.requires_grad and not fixed.issuperset(template.live)


def why_operators(choices: Choices) -> str:
    """Why torch's operators compute pixels and rays whatever is differentiated; empty: they do
    not."""
    if choices.is_curved or choices.is_sphere or choices.faces_sample:
        return CURVED
    return ""


@dataclass(frozen=True, slots=True)
class PixelLaunch:
    """Some pixels of a scene.

    limit: the resolution limit, m, (1,).  slow, fast: numbers of the pixels, (pixels,).
    """

    choices: Choices
    rays: RayChoices
    packed: Packed
    limit: Tensor
    slow: Tensor
    fast: Tensor

    @property
    def _arrays(self) -> SceneArrays:
        packed = self.packed
        return SceneArrays(
            self.slow, self.fast, packed.numbers.detach(), packed.sources.detach(), self.limit
        )

    @property
    def _sizes(self) -> tuple[int, ...]:
        choices = self.choices
        sizes = (len(self.slow), choices.oversample, choices.layers, choices.source_count)
        return disguised((*sizes, choices.steps))

    def filled(self) -> Filled:
        """Directions and factors, for the kernels of steps."""
        choices, new, own = self.choices, self.slow.new_empty, self.rays
        count, samples = len(self.slow), choices.samples
        rays = (count, samples, choices.source_count)
        filled = Filled(
            new((3, count, samples)),
            new(rays if own.has_factor else 0),
            new(rays if own.has_weight else 0),
            new(count),
            new((3, count)),
            new(count),
            new(16),
        )
        block = pixels_of_a_program(self.slow.device)
        if count > 0:
            pixel_rays[(-(-count // block),)](
                filled,
                self._arrays,
                self._sizes,
                block=block,
                kind=own,
                # Roundings are those that the model's formulas have.
                enable_fp_fusion=False,
            )
        return filled

    def values(
        self, sums: SumChoices, domain_weights: Tensor | None, lit: LitSteps | None
    ) -> Tensor:
        """Values, (pixels,), without derivatives; lit: the steps that are visited, None: all."""
        choices, packed, count = self.choices, self.packed, len(self.slow)
        value = self.slow.new_empty(count)
        nothing, grid = self.limit, packed.grid
        given = Given(
            *(nothing, nothing),
            packed.cells.detach().contiguous(),
            nothing if grid is None else grid.detach().contiguous(),
            *(nothing, nothing, nothing, nothing),
            nothing if domain_weights is None else domain_weights,
        )
        sizes = Sizes(
            disguised((count, choices.samples, choices.source_count)),
            disguised((packed.cells.shape[0], sums.domains)),
            disguised(extent_of(sums, grid)),
            disguised((0, 0, 0)),
            disguised((0, 0, 0)),
        )
        block = pixels_of_a_program(self.slow.device) if lit is None else TILE
        if count > 0:
            pixel_values[(-(-count // block),)](
                value,
                self._arrays,
                self._sizes,
                given,
                sizes,
                listed_or_all(lit, nothing),
                block=block,
                kind=self.rays,
                steps=StepKind(
                    sums.shape,
                    sums.single,
                    grid is not None,
                    sums.interpolation,
                    self.rays.has_limit,
                    self.rays.has_factor,
                    self.rays.has_weight,
                    domain_weights is not None,
                    lit is not None,
                ),
                num_warps=4 if lit is None else 1,
                enable_fp_fusion=False,
            )
        return value


def _capture(choices: Choices) -> str:
    if choices.capture_per_sample:
        return "sample" if choices.capture_per_layer or choices.layers == 1 else "last"
    if choices.capture_per_layer:
        return "layer"
    return "pixel" if choices.has_pixel_capture else ""


def _polar(choices: Choices) -> str:
    if choices.polar_per_source:
        return "ray" if choices.polar_per_sample else "source"
    if choices.polar_per_sample:
        return "first"
    return "pixel" if choices.has_pixel_polarization else ""


def _omega(choices: Choices) -> str:
    if choices.omega_per_sample:
        return "sample"
    return "pixel" if choices.has_pixel_solid_angle else ""
