"""From the crystal to the sub-pixels, and the scattering vectors on the way: model 6.1 to 6.3.

A pixel is sampled at the sub-pixels of every layer of its sensor.  One diffracted beam goes to each
sample, shape (pixels, samples); with each source it makes a ray, shape (pixels, samples, sources).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.bessel import cosine_of_root
from nanobragg_hybrid.engines.torch.arithmetic.derivatives import (
    LengthAndDirection,
    Positions,
    ScatteringVectors,
)
from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar, applied, sin, sqrt
from nanobragg_hybrid.engines.torch.arithmetic.vectors import (
    Vector,
    as_tensor,
    dot,
    mag,
    minus,
    rot_axis,
    scale,
)
from nanobragg_hybrid.engines.torch.scenes.scene import Choices, Scene
from nanobragg_hybrid.engines.torch.scenes.tiles import Tile


@dataclass(frozen=True, slots=True)
class Beams:
    """From the crystal to samples of pixels, shape (pixels, samples).

    length: R, metres.  direction: d.  layer: number of the layer, float64, shape (samples,).
    """

    length: Tensor
    direction: Vector
    layer: Tensor

    def first(self) -> Beams:
        """Only the first sample."""
        x, y, z = (as_tensor(component)[:, :1] for component in self.direction)
        return Beams(self.length[:, :1], (x, y, z), self.layer[:1])


def beams_to(scene: Scene, choices: Choices, tile: Tile, samples: range) -> Beams:
    """The beams to these samples of a tile's pixels, numbered in serial order, layers outermost."""
    sample = _tensor_of(samples, tile)
    position = _positions(scene, choices, tile, sample)
    length, x, y, z = applied(LengthAndDirection, *position)
    return Beams(length, (x, y, z), _layer(choices, sample))


def first_beams(scene: Scene, choices: Choices, tile: Tile) -> Beams:
    """Only those to the first sub-pixel of the first layer."""
    return beams_to(scene, choices, tile, range(1))


def positions(scene: Scene, choices: Choices, tile: Tile, samples: range) -> Vector:
    """Where these samples are, metres from the crystal, components (pixels, samples)."""
    return _positions(scene, choices, tile, _tensor_of(samples, tile))


def _tensor_of(samples: range, tile: Tile) -> Tensor:
    """The samples' numbers, int64, shape (samples,)."""
    return torch.arange(samples.start, samples.stop, samples.step, device=tile.fast.device)


def _layer(choices: Choices, sample: Tensor) -> Tensor:
    """Number of the layer that each sample belongs to, float64."""
    return (sample // (choices.oversample * choices.oversample)).to(torch.float64)


def _positions(scene: Scene, choices: Choices, tile: Tile, sample: Tensor) -> Vector:
    per_edge = choices.oversample
    sub_fast = sample % per_edge
    sub_slow = sample // per_edge % per_edge
    layer = _layer(choices, sample)
    along_fast, along_slow = tile.fast * per_edge + sub_fast, tile.slow * per_edge + sub_slow
    position: Vector
    if choices.is_sphere:
        position = _on_sphere(
            scene,
            scene.pixel / per_edge,
            scene.pixel_slow / per_edge,
            along_fast,
            along_slow,
            layer,
        )
    else:
        position = applied(
            Positions,
            along_fast,
            along_slow,
            layer,
            scene.pixel / per_edge,
            scene.pixel_slow / per_edge,
            scene.layer_step,
            *scene.fast,
            *scene.slow,
            *scene.normal,
            *scene.pix0,
        )
    if choices.is_curved:
        _, y, z = position
        far = scale(scene.beam, scene.distance)
        turned = rot_axis(far, scene.slow, y / scene.distance)
        position = rot_axis(turned, scene.fast, z / scene.distance)
    return position


def _on_sphere(
    scene: Scene,
    width: Scalar,
    height: Scalar,
    sub_fast: Tensor,
    sub_slow: Tensor,
    layer: Tensor,
) -> Vector:
    """P on a sphere around the crystal, the sub-pixels' distances from the beam centre being arcs
    (curved_detector_axes off).  width, height: of a sub-pixel, along fast and slow; sub_fast,
    sub_slow: numbers of sub-pixels; layer: of layers.

    Towards the beam centre sin(rho)/|across| is 1 where both detector directions are across the
    beam; where they are not, the sphere has a tip there, which is given that derivative.
    """
    u = (width * sub_fast + width / 2.0 - scene.beam_fast) / scene.distance
    w = (height * sub_slow + height / 2.0 - scene.beam_slow) / scene.distance
    rho_sqr = u * u + w * w
    rho = sqrt(rho_sqr)
    arc: Vector = (
        u * scene.fast[0] + w * scene.slow[0],
        u * scene.fast[1] + w * scene.slow[1],
        u * scene.fast[2] + w * scene.slow[2],
    )
    across = minus(arc, scale(scene.beam, dot(arc, scene.beam)))
    length = as_tensor(mag(across))
    is_tip = length == 0.0
    length = torch.where(is_tip, 1.0, length)
    aside = torch.where(is_tip, 1.0, as_tensor(sin(rho)))
    radius, ahead = scene.distance + layer * scene.layer_step, cosine_of_root(as_tensor(rho_sqr))
    x, y, z = (
        radius * (ahead * b + aside * (e / length)) for b, e in zip(scene.beam, across, strict=True)
    )
    return x, y, z


@dataclass(frozen=True, slots=True)
class Rays:
    """Scattering vectors, 1/m, shape (pixels, samples, sources).

    is_cut: beyond the resolution limit, or None if there is no limit.
    """

    q: Vector
    is_cut: Tensor | None


def rays_of(scene: Scene, choices: Choices, beams: Beams, sources: range) -> Rays:
    """Scattering vectors for a range of sources, and which of them are cut (model 6.3)."""
    wavelength = scene.sources.wavelength[sources.start : sources.stop]
    incident = (
        as_tensor(component)[sources.start : sources.stop] for component in scene.sources.incident
    )
    x, y, z = applied(ScatteringVectors, *beams.direction, *incident, wavelength)
    is_cut = None
    if choices.dmin_m > 0.0:
        with torch.no_grad():
            stol = 0.5 * as_tensor(mag((x, y, z)))
            is_cut = (stol > 0.0) & (choices.dmin_m > 0.5 / stol)
    return Rays((x, y, z), is_cut)
