"""From the sample to the sub-pixels: model 6.1 and 6.2."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .autograd import applied
from .derivatives import LengthAndDirection, Positions
from .scalars import Scalar, exp
from .scene import Choices, Scene
from .vectors import Vector, dot, rot_axis, scale


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
        x, y, z = (_tensor(component)[:, :1] for component in self.direction)
        return Rays(self.length[:, :1], (x, y, z), self.layer[:1])


def rays_to(scene: Scene, choices: Choices, slow: Tensor, fast: Tensor, visit: Tensor) -> Rays:
    """The rays to sub-pixels of pixels.

    slow, fast: pixel numbers, shape (pixels, 1).  visit: serial number of the sub-pixel, layers
    outermost, int64, shape (visits,).
    """
    per_edge = choices.oversample
    sub_fast = visit % per_edge
    sub_slow = visit // per_edge % per_edge
    layer = (visit // (per_edge * per_edge)).to(torch.float64)
    position: Vector = applied(
        Positions,
        fast * per_edge + sub_fast,
        slow * per_edge + sub_slow,
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
    length, x, y, z = applied(LengthAndDirection, *position)
    return Rays(length, (x, y, z), layer)


def solid_angle(scene: Scene, choices: Choices, rays: Rays) -> Tensor:
    """Solid angle of a pixel as seen from the sample, steradian (model 6.2)."""
    length = rays.length
    if choices.is_point_pixel:
        return 1.0 / length / length
    return scene.pixel * scene.pixel / length / length * scene.close / length


def capture_fraction(scene: Scene, rays: Rays) -> Tensor:
    """The part of the photons that a layer of the sensor absorbs (model 6.2)."""
    slant = dot(rays.direction, scene.normal)
    step, mu = scene.layer_step, scene.attenuation
    above = exp(-rays.layer * step * mu / slant)
    below = exp(-(rays.layer + 1.0) * step * mu / slant)
    return _tensor(above - below)


def _tensor(value: Scalar) -> Tensor:
    assert isinstance(value, Tensor)
    return value
