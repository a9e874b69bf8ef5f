"""From the sample to the sub-pixels: model 6.1 and 6.2."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.autograd import applied
from nanobragg_hybrid.engines.torch.derivatives import LengthAndDirection, Positions
from nanobragg_hybrid.engines.torch.scalars import Scalar, cos, exp, sin, sqrt
from nanobragg_hybrid.engines.torch.scene import Choices, Scene
from nanobragg_hybrid.engines.torch.vectors import (
    Vector,
    as_tensor,
    dot,
    mag,
    minus,
    rot_axis,
    scale,
)


@dataclass(frozen=True, slots=True)
class Rays:
    """Diffracted beams, for pixels and visits (sub-pixels of layers): tensors (pixels, visits).

    length: R, metres.  direction: d.  layer: shape (visits,).
    """

    length: Tensor
    direction: Vector
    layer: Tensor

    def first(self) -> Rays:
        """Only the first visit."""
        x, y, z = (as_tensor(component)[:, :1] for component in self.direction)
        return Rays(self.length[:, :1], (x, y, z), self.layer[:1])


def rays_to(scene: Scene, choices: Choices, slow: Tensor, fast: Tensor, visit: Tensor) -> Rays:
    """The rays to sub-pixels of pixels.

    slow, fast: pixel numbers, shape (pixels, 1).  visit: serial number of the sub-pixel, layers
    outermost, int64, shape (visits,).
    """
    position = positions(scene, choices, slow, fast, visit)
    length, x, y, z = applied(LengthAndDirection, *position)
    return Rays(length, (x, y, z), _layer(choices, visit))


def positions(scene: Scene, choices: Choices, slow: Tensor, fast: Tensor, visit: Tensor) -> Vector:
    """Where these sub-pixels are, metres from the sample, components (pixels, visits)."""
    per_edge = choices.oversample
    sub_fast = visit % per_edge
    sub_slow = visit // per_edge % per_edge
    layer = _layer(choices, visit)
    along_fast, along_slow = fast * per_edge + sub_fast, slow * per_edge + sub_slow
    position: Vector
    if choices.is_sphere:
        position = _on_sphere(scene, scene.pixel / per_edge, along_fast, along_slow, layer)
    else:
        position = applied(
            Positions,
            along_fast,
            along_slow,
            layer,
            scene.pixel / per_edge,
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


def _layer(choices: Choices, visit: Tensor) -> Tensor:
    """Number of the layer that a visit belongs to, float64."""
    return (visit // (choices.oversample * choices.oversample)).to(torch.float64)


def first_rays(scene: Scene, choices: Choices, slow: Tensor, fast: Tensor) -> Rays:
    """Only those to the first sub-pixel of the first layer."""
    return rays_to(
        scene, choices, slow, fast, torch.zeros(1, dtype=torch.int64, device=fast.device)
    )


def _on_sphere(
    scene: Scene, subpixel: Scalar, sub_fast: Tensor, sub_slow: Tensor, layer: Tensor
) -> Vector:
    """P on a sphere around the sample, the sub-pixels' distances from the beam centre being arcs
    (curved_detector_axes off).  sub_fast, sub_slow: numbers of sub-pixels; layer: of layers.

    Towards the beam centre sin(rho)/|across| is 1 where both detector directions are across the
    beam; where they are not, the sphere has a tip there, which is given that derivative.
    """
    u = (subpixel * sub_fast + subpixel / 2.0 - scene.beam_fast) / scene.distance
    w = (subpixel * sub_slow + subpixel / 2.0 - scene.beam_slow) / scene.distance
    rho = sqrt(u * u + w * w)
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
    radius, ahead = scene.distance + layer * scene.layer_step, cos(rho)
    x, y, z = (
        radius * (ahead * b + aside * (e / length)) for b, e in zip(scene.beam, across, strict=True)
    )
    return x, y, z


def solid_angle(scene: Scene, choices: Choices, rays: Rays) -> Tensor:
    """Solid angle of a pixel as seen from the sample, steradian (model 6.2)."""
    length = rays.length
    if choices.is_point_pixel:
        return 1.0 / length / length
    return scene.pixel * scene.pixel / length / length * scene.close / length


def layer_capture(scene: Scene, rays: Rays) -> Tensor:
    """The part of the photons that a layer of the sensor absorbs (model 6.2)."""
    return captured(scene, rays, rays.layer, rays.layer + 1.0)


def captured(scene: Scene, rays: Rays, top: Scalar, bottom: Scalar) -> Tensor:
    """The part of the photons that is absorbed between two depths, in layers (model 6.2)."""
    slant = dot(rays.direction, scene.normal)
    step, mu = scene.layer_step, scene.attenuation
    above = exp(-top * step * mu / slant)
    below = exp(-bottom * step * mu / slant)
    return as_tensor(above - below)
