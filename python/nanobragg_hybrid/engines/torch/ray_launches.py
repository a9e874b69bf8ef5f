"""Pixels and rays in one launch of Triton: what is to be computed, and when torch's operators do it
instead."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.packing import NUMBERS, Packed, Template
from nanobragg_hybrid.engines.torch.scene import Choices
from nanobragg_hybrid.engines.torch.sum_arguments import LATTICE_NUMBERS
from nanobragg_hybrid.engines.torch.triton_pixels import Filled, pixel_rays
from nanobragg_hybrid.engines.torch.triton_rays import disguised

CURVED: Final = "the detector is curved"

_STRENGTH: Final = NUMBERS.index("strength")
_BACKGROUND: Final = NUMBERS.index("background")
_WATER: Final = NUMBERS.index("water")
_KAHN: Final = NUMBERS.index("kahn")


@dataclass(frozen=True, slots=True)
class RayChoices:
    """Everything discrete about pixels and rays, see `triton_pixels`."""

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


def rays_of_pixels(
    choices: Choices,
    own: RayChoices,
    packed: Packed,
    limit: Tensor,
    pixels: tuple[Tensor, Tensor],
    block: int,
) -> Filled:
    """What `pixel_rays` makes of a scene.

    limit: the resolution limit, m, (1,).  pixels: their numbers along slow and fast, (pixels,);
    block: of them in a program.
    """
    slow, fast = pixels
    count, samples, sources = len(slow), choices.samples, choices.source_count
    new = slow.new_empty
    rays = (count, samples, sources)
    filled = Filled(
        new((3, count, samples)),
        new(rays if own.has_factor else 0),
        new(rays if own.has_weight else 0),
        new(count),
        new((3, count)),
        new(count),
        new(16),
    )
    if count > 0:
        pixel_rays[(-(-count // block),)](
            filled,
            slow,
            fast,
            packed.numbers.detach(),
            packed.sources.detach(),
            limit,
            disguised((count, choices.oversample, choices.layers, sources)),
            block=block,
            **asdict(own),
            # Roundings are those that the model's formulas have.
            enable_fp_fusion=False,
        )
    return filled


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
