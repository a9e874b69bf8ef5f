"""What the intensities of a pixel are multiplied with: model 6.2, 6.3, 6.5 and 6.8.

Capture fraction, polarization factor, solid angle and source weight belong to the whole pixel or,
as options and quirks say, to its rows: the visits (sub-pixels of layers) and sources.  What belongs
to rows has the shape (pixels, visits, sources), with a length of 1 where it does not differ.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.blocks import Block, Tile
from nanobragg_hybrid.engines.torch.polarization import polarization_factor
from nanobragg_hybrid.engines.torch.rays import (
    Rays,
    captured,
    first_rays,
    layer_capture,
    rays_to,
    solid_angle,
)
from nanobragg_hybrid.engines.torch.scalars import Scalar
from nanobragg_hybrid.engines.torch.scattering import rows_of
from nanobragg_hybrid.engines.torch.scene import Choices, Scene
from nanobragg_hybrid.engines.torch.vectors import as_tensor, dot


def step_weight(scene: Scene, choices: Choices, rays: Rays, sources: range) -> Tensor | None:
    """The factors that the oversample options apply at every step (model 6.5); None without."""
    factors = []
    if choices.oversample_thick:
        factors.append(layer_capture(scene, rays).unsqueeze(-1))
    if choices.oversample_polar:
        factors.append(row_polarization(scene, rays, sources))
    if choices.oversample_omega:
        factors.append(solid_angle(scene, choices, rays).unsqueeze(-1))
    return _product(factors)


def row_share(
    scene: Scene, choices: Choices, tile: Tile, block: Block, first: Rays
) -> Tensor | None:
    """What each row has of its own without any option, for quirks that are off; None without.

    The layer's capture fraction (thick_last_layer), the source's polarization factor
    (polar_first_source), its weight, 1 on average (source_weights_ignored).
    """
    factors = []
    if choices.capture_per_layer:
        factors.append(_own_capture(scene, choices, tile, block.visits))
    if choices.polar_per_source:
        factors.append(row_polarization(scene, first, block.sources))
    if scene.sources.share is not None:
        factors.append(scene.sources.share[block.sources.start : block.sources.stop])
    return _product(factors)


def pixel_factors(scene: Scene, choices: Choices, tile: Tile, first: Rays) -> list[Tensor]:
    """The factors that a pixel has as a whole, each of shape (pixels,) (model 6.8)."""
    factors = []
    if choices.has_pixel_capture and not choices.capture_per_layer:
        factors.append(last_layer_capture(scene, choices, tile))
    if choices.has_pixel_polarization and not choices.polar_per_source:
        factors.append(pixel_polarization(scene, choices, tile, first))
    if not choices.oversample_omega:
        factors.append(solid_angle(scene, choices, first)[:, 0])
    return factors


def final_factors(
    scene: Scene, choices: Choices, tile: Tile
) -> tuple[Scalar, Scalar, Scalar, Scalar]:
    """Capture fraction, polarization factor and solid angle as they stand when a pixel is finished,
    and the cosine of the last scattering angle (0 and NaN if dmin cuts everything).
    """
    first = first_rays(scene, choices, tile.slow, tile.fast)
    last_visit = torch.full((1,), choices.visits - 1, device=tile.fast.device)
    last = rays_to(scene, choices, tile.slow, tile.fast, last_visit)
    capture: Scalar = 1.0
    if choices.oversample_thick:
        capture = layer_capture(scene, last)[:, 0]
    elif choices.has_sensor:
        capture = last_layer_capture(scene, choices, tile)
    polar: Scalar = 0.0 if choices.has_polarization else 1.0
    cosine: Scalar = math.nan
    row = _last_uncut(scene, choices, tile)
    if row is not None:
        visit, source = row
        rays = rays_to(
            scene, choices, tile.slow, tile.fast, torch.full((1,), visit, device=tile.fast.device)
        )
        incident = [as_tensor(i)[source] for i in scene.sources.incident]
        cosine = dot((incident[0], incident[1], incident[2]), rays.direction)
        own = range(source, source + 1)
        if choices.oversample_polar:
            polar = row_polarization(scene, rays, own)
        elif choices.polar_per_source:
            polar = row_polarization(scene, first, own)
        elif choices.has_polarization:
            polar = pixel_polarization(scene, choices, tile, first)
    seen = last if choices.oversample_omega else first
    return capture, polar, solid_angle(scene, choices, seen), cosine


def _last_uncut(scene: Scene, choices: Choices, tile: Tile) -> tuple[int, int] | None:
    """Visit and source of a single pixel's last row that dmin does not cut."""
    sources = range(choices.source_count)
    for visit in reversed(range(choices.visits)):
        if choices.dmin_m <= 0.0:
            return visit, sources[-1]
        place = torch.full((1,), visit, device=tile.fast.device)
        cut = rows_of(
            scene, choices, rays_to(scene, choices, tile.slow, tile.fast, place), sources
        ).cut
        assert cut is not None
        uncut = (~cut).flatten().nonzero()
        if len(uncut) > 0:
            return visit, int(uncut[-1])
    return None


def background(scene: Scene, choices: Choices, tile: Tile, first: Rays) -> Scalar:
    """I_bg, which starts a pixel's sum (quirk water_background).

    It has the last layer's capture fraction and the first source's polarization factor even where
    the reflections have those of their rows.
    """
    total: Scalar = scene.background
    if isinstance(total, float) and total == 0.0:
        return total
    if choices.capture_per_layer:
        total = total * last_layer_capture(scene, choices, tile)
    if choices.polar_per_source:
        total = total * row_polarization(scene, first, range(1))[:, 0, 0]
    return total


def water(scene: Scene, choices: Choices, first: Rays) -> Scalar:
    """The photons that the water scatters into each pixel, once (water_background off)."""
    if isinstance(scene.water, float) and scene.water == 0.0:
        return 0.0
    photons: Scalar = scene.strength * scene.water
    if choices.has_sensor:
        photons = photons * captured(scene, first, 0.0, float(choices.layers))[:, 0]
    if choices.has_polarization:
        photons = photons * _water_polarization(scene, choices, first)
    return photons * solid_angle(scene, choices, first)[:, 0]


def _product(factors: list[Tensor]) -> Tensor | None:
    product: Tensor | None = None
    for factor in factors:
        product = factor if product is None else product * factor
    return product


def row_polarization(scene: Scene, rays: Rays, sources: range) -> Tensor:
    """Factors of shape (pixels, visits, sources)."""
    ix, iy, iz = (as_tensor(i)[sources.start : sources.stop] for i in scene.sources.incident)
    dx, dy, dz = (as_tensor(d).unsqueeze(-1) for d in rays.direction)
    return polarization_factor(scene.kahn, (ix, iy, iz), (dx, dy, dz), scene.polarization)


def _water_polarization(scene: Scene, choices: Choices, first: Rays) -> Tensor:
    """The first source's factor, or with polar_first_source off the mean over all sources."""
    if not choices.water_sees_all_sources:
        return row_polarization(scene, first, range(1))[:, 0, 0]
    factors = row_polarization(scene, first, range(choices.source_count))[:, 0]
    share = scene.sources.share
    return (factors if share is None else factors * share).mean(-1)


def _own_capture(scene: Scene, choices: Choices, tile: Tile, visits: range) -> Tensor:
    """For each visit its layer's capture fraction at the layer's first sub-pixel."""
    per_layer = choices.oversample * choices.oversample
    layer = torch.arange(visits.start, visits.stop, device=tile.fast.device) // per_layer
    begin, end = visits.start // per_layer, (visits.stop - 1) // per_layer + 1
    first_visit = torch.arange(begin, end, device=tile.fast.device) * per_layer
    rays = rays_to(scene, choices, tile.slow, tile.fast, first_visit)
    return layer_capture(scene, rays)[:, layer - begin].unsqueeze(-1)


def last_layer_capture(scene: Scene, choices: Choices, tile: Tile) -> Tensor:
    """The last layer's capture fraction at its first sub-pixel (quirk thick_last_layer)."""
    per_layer = choices.oversample * choices.oversample
    begin = (choices.layers - 1) * per_layer
    end = begin + (per_layer if choices.searches_capture else 1)
    visit = torch.arange(begin, end, device=tile.fast.device)
    rays = rays_to(scene, choices, tile.slow, tile.fast, visit)
    return _first_nonzero(layer_capture(scene, rays))


def pixel_polarization(scene: Scene, choices: Choices, tile: Tile, first: Rays) -> Tensor:
    """The first factor, in serial order, that is not cut and not 0 (quirk polar_first_source)."""
    if not choices.searches_polarization:
        return row_polarization(scene, first, range(1))[:, 0, 0]
    visit = torch.arange(choices.visits, device=tile.fast.device)
    rays = rays_to(scene, choices, tile.slow, tile.fast, visit)
    sources = range(choices.source_count)
    factor = row_polarization(scene, rays, sources)
    cut = rows_of(scene, choices, rays, sources).cut
    if cut is not None:
        factor = torch.where(cut, 0.0, factor)
    return _first_nonzero(factor.flatten(1))


def _first_nonzero(candidates: Tensor) -> Tensor:
    """The first of each row's candidates (pixels, n) that is not 0; 0 if all are."""
    if candidates.shape[1] == 1:
        return candidates[:, 0]
    place = (candidates.detach() != 0.0).to(torch.int8).argmax(dim=1, keepdim=True)
    return candidates.gather(1, place)[:, 0]
