"""What the intensities of a pixel are multiplied with: model 6.2, 6.3, 6.5 and 6.8.

Capture fraction, polarization factor, solid angle and source weight belong to the whole pixel or,
as options and quirks say, to its rays.  What belongs to rays has the shape (pixels, samples,
sources), with a length of 1 where it does not differ.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar, exp
from nanobragg_hybrid.engines.torch.arithmetic.vectors import Vector, as_tensor, cross, dot, unit
from nanobragg_hybrid.engines.torch.eager.rays import Beams, beams_to, first_beams, rays_of
from nanobragg_hybrid.engines.torch.scenes.scene import Choices, Scene
from nanobragg_hybrid.engines.torch.scenes.tiles import Block, Tile


def step_weight(scene: Scene, choices: Choices, beams: Beams, sources: range) -> Tensor | None:
    """The factors that the oversample options apply at every step (model 6.5); None without."""
    factors = []
    if choices.oversample_thick:
        factors.append(layer_capture(scene, choices, beams).unsqueeze(-1))
    if choices.oversample_polar:
        factors.append(ray_polarization(scene, beams, sources))
    if choices.oversample_omega:
        factors.append(solid_angle(scene, choices, beams).unsqueeze(-1))
    return _product(factors)


def ray_factor(
    scene: Scene, choices: Choices, tile: Tile, block: Block, beams: Beams, first: Beams
) -> Tensor | None:
    """What each ray has of its own without any option, for quirks that are off; None without.

    The layer's capture fraction (thick_last_layer), the source's polarization factor
    (polar_first_source), its weight, 1 on average (source_weights_ignored); each of the first two,
    and the solid angle, for every sample (first_subpixel_factors).  beams: to the block's samples.
    """
    factors = []
    if choices.capture_per_sample:
        factors.append(_sample_capture(scene, choices, tile, block.samples, beams).unsqueeze(-1))
    elif choices.capture_per_layer:
        factors.append(_own_capture(scene, choices, tile, block.samples))
    if choices.polar_per_sample and not choices.polar_per_source:
        factors.append(_sample_polarization(scene, choices, beams))
    elif choices.polar_per_source:
        seen = beams if choices.polar_per_sample else first
        factors.append(ray_polarization(scene, seen, block.sources))
    if choices.omega_per_sample:
        factors.append(solid_angle(scene, choices, beams).unsqueeze(-1))
    if scene.sources.relative_weight is not None:
        factors.append(scene.sources.relative_weight[block.sources.start : block.sources.stop])
    return _product(factors)


def pixel_factors(scene: Scene, choices: Choices, tile: Tile, first: Beams) -> list[Tensor]:
    """The factors that a pixel has as a whole, each of shape (pixels,) (model 6.8)."""
    factors = []
    if choices.has_pixel_capture:
        factors.append(last_layer_capture(scene, choices, tile))
    if choices.has_pixel_polarization:
        factors.append(pixel_polarization(scene, choices, tile, first))
    if choices.has_pixel_solid_angle:
        factors.append(solid_angle(scene, choices, first)[:, 0])
    return factors


def final_factors(
    scene: Scene, choices: Choices, tile: Tile
) -> tuple[Scalar, Scalar, Scalar, Scalar]:
    """Capture fraction, polarization factor and solid angle as they stand when a pixel is finished,
    and the cosine of the last scattering angle (0 and NaN if dmin cuts everything).
    """
    first = first_beams(scene, choices, tile)
    last = beams_to(scene, choices, tile, range(choices.samples - 1, choices.samples))
    capture: Scalar = 1.0
    if choices.oversample_thick or choices.capture_per_sample:
        capture = layer_capture(scene, choices, last)[:, 0]
    elif choices.has_sensor:
        capture = last_layer_capture(scene, choices, tile)
    polar: Scalar = 0.0 if choices.has_polarization else 1.0
    cosine: Scalar = math.nan
    ray = _last_uncut(scene, choices, tile)
    if ray is not None:
        sample, source = ray
        beams = beams_to(scene, choices, tile, range(sample, sample + 1))
        incident = [as_tensor(i)[source] for i in scene.sources.incident]
        cosine = dot((incident[0], incident[1], incident[2]), beams.direction)
        own = range(source, source + 1)
        if choices.oversample_polar:
            polar = ray_polarization(scene, beams, own)
        elif choices.polar_per_source:
            seen = beams if choices.polar_per_sample else first
            polar = ray_polarization(scene, seen, own)
        elif choices.polar_per_sample:
            polar = _sample_polarization(scene, choices, beams)[:, 0, 0]
        elif choices.has_polarization:
            polar = pixel_polarization(scene, choices, tile, first)
    omega = solid_angle(scene, choices, first if choices.has_pixel_solid_angle else last)
    return capture, polar, omega, cosine


def _last_uncut(scene: Scene, choices: Choices, tile: Tile) -> tuple[int, int] | None:
    """Sample and source of a single pixel's last ray that dmin does not cut."""
    sources = range(choices.source_count)
    for sample in reversed(range(choices.samples)):
        if choices.dmin_m <= 0.0:
            return sample, sources[-1]
        beams = beams_to(scene, choices, tile, range(sample, sample + 1))
        is_cut = rays_of(scene, choices, beams, sources).is_cut
        assert is_cut is not None
        uncut = (~is_cut).flatten().nonzero()
        if len(uncut) > 0:
            return sample, int(uncut[-1])
    return None


def background(scene: Scene, choices: Choices, tile: Tile, first: Beams) -> Scalar:
    """I_bg, which starts a pixel's sum (quirk water_background).

    It has the last layer's capture fraction, the first source's polarization factor and the solid
    angle of the first sample even where the reflections have those of their rays.
    """
    total: Scalar = scene.background
    if isinstance(total, float) and total == 0.0:
        return total
    if choices.capture_per_layer or choices.capture_per_sample:
        total = total * last_layer_capture(scene, choices, tile)
    if choices.polar_per_source or choices.polar_per_sample:
        total = total * ray_polarization(scene, first, range(1))[:, 0, 0]
    if choices.omega_per_sample:
        total = total * solid_angle(scene, choices, first)[:, 0]
    return total


def water(scene: Scene, choices: Choices, tile: Tile, first: Beams) -> Scalar:
    """The photons that the water scatters into each pixel, once (water_background off): with the
    factors of its first sub-pixel, or of all on its surface (first_subpixel_factors off).
    """
    if isinstance(scene.water, float) and scene.water == 0.0:
        return 0.0
    seen = first
    if choices.water_sees_sub_pixels:
        seen = beams_to(scene, choices, tile, range(choices.oversample * choices.oversample))
    photons: Scalar = scene.strength * scene.water
    if choices.has_sensor:
        photons = photons * captured(scene, choices, seen, 0.0, float(choices.layers))
    if choices.has_polarization:
        photons = photons * _water_polarization(scene, choices, seen)
    return (photons * solid_angle(scene, choices, seen)).mean(1)


def _product(factors: list[Tensor]) -> Tensor | None:
    product: Tensor | None = None
    for factor in factors:
        product = factor if product is None else product * factor
    return product


def ray_polarization(scene: Scene, beams: Beams, sources: range) -> Tensor:
    """Factors of shape (pixels, samples, sources)."""
    ix, iy, iz = (as_tensor(i)[sources.start : sources.stop] for i in scene.sources.incident)
    dx, dy, dz = (as_tensor(d).unsqueeze(-1) for d in beams.direction)
    return polarization_factor(scene.kahn, (ix, iy, iz), (dx, dy, dz), scene.polarization)


def _water_polarization(scene: Scene, choices: Choices, seen: Beams) -> Tensor:
    """The first source's factor, or with polar_first_source off the mean over all sources."""
    if not choices.water_sees_all_sources:
        return ray_polarization(scene, seen, range(1))[:, :, 0]
    factors = ray_polarization(scene, seen, range(choices.source_count))
    weight = scene.sources.relative_weight
    return (factors if weight is None else factors * weight).mean(-1)


def _own_capture(scene: Scene, choices: Choices, tile: Tile, samples: range) -> Tensor:
    """For each sample its layer's capture fraction at the layer's first sub-pixel."""
    per_layer = choices.oversample * choices.oversample
    layer = torch.arange(samples.start, samples.stop, device=tile.fast.device) // per_layer
    begin, end = samples.start // per_layer, (samples.stop - 1) // per_layer + 1
    beams = beams_to(scene, choices, tile, range(begin * per_layer, end * per_layer, per_layer))
    return layer_capture(scene, choices, beams)[:, layer - begin].unsqueeze(-1)


def _sample_capture(
    scene: Scene, choices: Choices, tile: Tile, samples: range, beams: Beams
) -> Tensor:
    """For each sample its layer's capture fraction, or with the quirk thick_last_layer the last
    layer's at the same sub-pixel; (pixels, samples).
    """
    if choices.capture_per_layer or choices.layers == 1:
        return layer_capture(scene, choices, beams)
    per_layer = choices.oversample * choices.oversample
    lowest = range((choices.layers - 1) * per_layer, choices.samples)
    own = torch.arange(samples.start, samples.stop, device=tile.fast.device) % per_layer
    return layer_capture(scene, choices, beams_to(scene, choices, tile, lowest))[:, own]


def _sample_polarization(scene: Scene, choices: Choices, beams: Beams) -> Tensor:
    """For each sample the factor of the first source that the resolution limit leaves there (quirk
    polar_first_source); (pixels, samples, 1).
    """
    if choices.dmin_m <= 0.0:
        return ray_polarization(scene, beams, range(1))
    sources = range(choices.source_count)
    is_cut = rays_of(scene, choices, beams, sources).is_cut
    assert is_cut is not None
    first = (~is_cut).to(torch.int8).argmax(dim=-1, keepdim=True)
    return ray_polarization(scene, beams, sources).gather(-1, first)


def last_layer_capture(scene: Scene, choices: Choices, tile: Tile) -> Tensor:
    """The last layer's capture fraction at its first sub-pixel (quirk thick_last_layer)."""
    per_layer = choices.oversample * choices.oversample
    begin = (choices.layers - 1) * per_layer
    end = begin + (per_layer if choices.searches_capture else 1)
    beams = beams_to(scene, choices, tile, range(begin, end))
    return _first_nonzero(layer_capture(scene, choices, beams))


def pixel_polarization(scene: Scene, choices: Choices, tile: Tile, first: Beams) -> Tensor:
    """The first factor, in serial order, that is not cut and not 0 (quirk polar_first_source)."""
    if not choices.searches_polarization:
        return ray_polarization(scene, first, range(1))[:, 0, 0]
    beams = beams_to(scene, choices, tile, range(choices.samples))
    sources = range(choices.source_count)
    factor = ray_polarization(scene, beams, sources)
    is_cut = rays_of(scene, choices, beams, sources).is_cut
    if is_cut is not None:
        factor = torch.where(is_cut, 0.0, factor)
    return _first_nonzero(factor.flatten(1))


def _first_nonzero(candidates: Tensor) -> Tensor:
    """The first of each pixel's candidates (pixels, n) that is not 0; 0 if all are."""
    if candidates.shape[1] == 1:
        return candidates[:, 0]
    first = (candidates.detach() != 0.0).to(torch.int8).argmax(dim=1, keepdim=True)
    return candidates.gather(1, first)[:, 0]


def polarization_factor(kahn: Scalar, incident: Vector, diffracted: Vector, axis: Vector) -> Tensor:
    """The factor for a Kahn factor and unit vectors, by broadcasting.

    The model normalises the directions once more here; that changes no more than their last bit.

    With E the polarization direction across the incident beam and B = incident x E reversed, the
    model's cos(2 psi) (1 - c^2) is (d.E)^2 - (d.B)^2, which is smooth where psi is not defined.
    An axis along the beam has no E: then psi is 0.
    """
    c = dot(incident, diffracted)
    c2 = c * c
    if isinstance(kahn, float) and kahn == 0.0:
        factor = 0.5 * (1.0 + c2)
    else:
        across = unit(cross(unit(axis), incident))
        e_axis = unit(cross(incident, across))
        along_b, along_e = dot(diffracted, across), dot(diffracted, e_axis)
        has_axis = torch.as_tensor(dot(across, across) != 0.0)
        split = torch.where(has_axis, along_e * along_e - along_b * along_b, 1.0 - c2)
        factor = 0.5 * (1.0 + c2 - kahn * split)
    assert isinstance(factor, Tensor)
    return factor


def solid_angle(scene: Scene, choices: Choices, beams: Beams) -> Tensor:
    """Solid angle of a pixel as seen from the crystal, steradian (model 6.2)."""
    length = beams.length
    area = scene.pixel * scene.pixel_slow if choices.has_pixel_area else 1.0
    facing = area / length / length
    return facing * scene.close / length if choices.is_oblique else facing


def layer_capture(scene: Scene, choices: Choices, beams: Beams) -> Tensor:
    """The part of the photons that a layer of the sensor absorbs (model 6.2)."""
    return captured(scene, choices, beams, beams.layer, beams.layer + 1.0)


def captured(scene: Scene, choices: Choices, beams: Beams, top: Scalar, bottom: Scalar) -> Tensor:
    """The part of the photons that is absorbed between two depths, in layers (model 6.2)."""
    if choices.faces_sample:
        slant: Scalar = torch.ones_like(beams.length)
    else:
        slant = dot(beams.direction, scene.normal)
    step, mu = scene.layer_step, scene.attenuation
    above = exp(-top * step * mu / slant)
    below = exp(-bottom * step * mu / slant)
    return as_tensor(above - below)
