"""The background by torch's operators (model 9)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.units import deg_to_rad
from nanobragg_hybrid.engines.torch.arithmetic.vectors import as_tensor, cross, dot, mag, minus
from nanobragg_hybrid.engines.torch.eager.factors import captured, ray_polarization, solid_angle
from nanobragg_hybrid.engines.torch.eager.rays import Beams, beams_to
from nanobragg_hybrid.engines.torch.scenes.pixels import Pixels
from nanobragg_hybrid.engines.torch.scenes.scene import Choices, Scene
from nanobragg_hybrid.engines.torch.scenes.tiles import Tile
from nanobragg_hybrid.model.background import Background, Scatterer

_STEPS: Final = 2**22
"""Pixels times sources that are held in memory at a time."""
_PER_ANGSTROM: Final = 1e10
_PER_MM: Final = 1000.0

Values = Mapping[str, Tensor]


def background_numbers(background: Background) -> dict[str, float | tuple[float, ...]]:
    """The numbers that a background is differentiable in, by their names."""
    found: dict[str, float | tuple[float, ...]] = {}
    for n, each in enumerate(background.scatterers):
        found[f"background.scatterers[{n}].scale"] = each.scale
        found[f"background.scatterers[{n}].values"] = each.values
    if background.scatterers:
        found["background.air_attenuation_per_mm"] = background.air_attenuation_per_mm
    if background.radial is not None:
        found["background.radial.photons_per_pixel"] = background.radial.photons_per_pixel
    found["background.flat_photons_per_pixel"] = background.flat_photons_per_pixel
    for n, offset in enumerate(background.offsets):
        found[offset_name(n)] = offset.photons_per_pixel
    return found


def offset_name(number: int) -> str:
    """The name of the photons of an offset."""
    return f"background.offsets[{number}].photons_per_pixel"


def background_photons(
    background: Background,
    scene: Scene,
    choices: Choices,
    active: Pixels,
    values: Values,
) -> tuple[Tensor, tuple[int, ...]]:
    """Photons beside the spots in the active pixels, float64, shape (pixels,), and for each
    scatterer, and behind them for the radial curve, in how many of them its table was asked outside
    its rows.  values: those of `background_numbers`."""
    pixels = max(_STEPS // choices.source_count, 1)
    tables = len(background.scatterers) + 1
    outside = [0] * tables
    parts = []
    device = as_tensor(scene.sources.wavelength).device
    for start in range(0, active.count, pixels):
        slow, fast = active.numbers(start, min(start + pixels, active.count), device)
        part, counts = _part(background, scene, choices, Tile(slow, fast, 0), values)
        parts.append(part)
        outside = [a + b for a, b in zip(outside, counts, strict=True)]
    empty = torch.zeros(0, dtype=torch.float64, device=device)
    return torch.cat(parts) if parts else empty, tuple(outside)


def _part(
    background: Background, scene: Scene, choices: Choices, tile: Tile, values: Values
) -> tuple[Tensor, list[int]]:
    centre = dataclasses.replace(choices, oversample=1, layers=1)
    beams = beams_to(scene, centre, tile, range(1))
    photons = torch.zeros_like(beams.length[:, 0])
    outside = []
    if background.scatterers:
        factor = solid_angle(scene, centre, beams)[:, 0] * scene.strength
        air = values["background.air_attenuation_per_mm"] * _PER_MM
        factor = factor * torch.exp(-air * beams.length[:, 0])
        if choices.has_sensor:
            factor = factor * captured(scene, centre, beams, 0.0, float(choices.layers))[:, 0]
        stol, weight = _rays(scene, choices, beams)
        for n, each in enumerate(background.scatterers):
            name = f"background.scatterers[{n}]"
            mean, count = _mean_square(each, values[f"{name}.values"], stol, weight)
            photons = photons + each.strength * values[f"{name}.scale"] * factor * mean
            outside.append(count)
    outside.append(0)
    if background.radial is not None:
        direction, beam = beams.direction, scene.beam
        angle = torch.atan2(
            as_tensor(mag(cross(beam, direction))), as_tensor(dot(beam, direction))
        )[:, 0]
        rows = [deg_to_rad(x) for x in background.radial.two_theta_deg]
        found, is_outside = _curve(rows, values["background.radial.photons_per_pixel"], angle)
        photons = photons + found
        outside[-1] = int(is_outside.sum())
    photons = photons + values["background.flat_photons_per_pixel"]
    fast, slow = tile.fast[:, 0], tile.slow[:, 0]
    for n, offset in enumerate(background.offsets):
        is_in = (fast >= (offset.fast_min or 0)) & (slow >= (offset.slow_min or 0))
        is_in &= fast <= (INT32_MAX if offset.fast_max is None else offset.fast_max)
        is_in &= slow <= (INT32_MAX if offset.slow_max is None else offset.slow_max)
        photons = photons + is_in * values[offset_name(n)]
    return photons, outside


def _rays(scene: Scene, choices: Choices, beams: Beams) -> tuple[Tensor, Tensor | None]:
    """sin(theta)/lambda, 1/m, and polarization factor times weight of each source's ray, shape
    (pixels, sources)."""
    x, y, z = (as_tensor(component) for component in beams.direction)
    q = minus((x, y, z), scene.sources.incident)
    stol = 0.5 * as_tensor(mag(q)) / scene.sources.wavelength
    weight = None
    if choices.has_polarization:
        weight = ray_polarization(scene, beams, range(choices.source_count))[:, 0]
    relative = scene.sources.relative_weight
    if relative is not None:
        weight = relative if weight is None else weight * relative
    return stol, weight


def _mean_square(
    scatterer: Scatterer, values: Tensor, stol: Tensor, weight: Tensor | None
) -> tuple[Tensor, int]:
    """F^2 of a molecule, the mean over all sources, shape (pixels,)."""
    rows = [_PER_ANGSTROM * x for x in scatterer.stol_per_angstrom]
    found, is_outside = _curve(rows, values, stol)
    match scatterer.quantity:
        case "amplitude":
            found = found * found
        case "intensity":
            pass
    if weight is not None:
        found = found * weight
    return found.mean(-1), int(is_outside.any(-1).sum())


def _curve(rows: list[float], values: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """A curve that is linear between its rows and as at its ends outside; whether it is outside."""
    x = torch.tensor(rows, dtype=torch.float64, device=at.device)
    where = at.detach()
    is_outside = (where < x[0]) | (where > x[-1])
    if len(rows) == 1:
        return values[0].expand(at.shape), is_outside
    low = (torch.searchsorted(x, where.contiguous(), right=True) - 1).clamp(0, len(rows) - 2)
    part = ((at - x[low]) / (x[low + 1] - x[low])).clamp(0.0, 1.0)
    return values[low] + part * (values[low + 1] - values[low]), is_outside
