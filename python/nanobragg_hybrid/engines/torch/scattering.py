"""Scattering vectors and the resolution limit: model 6.3."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.autograd import applied
from nanobragg_hybrid.engines.torch.derivatives import ScatteringVectors
from nanobragg_hybrid.engines.torch.rays import Rays
from nanobragg_hybrid.engines.torch.scene import Choices, Scene
from nanobragg_hybrid.engines.torch.vectors import Vector, as_tensor, mag


@dataclass(frozen=True, slots=True)
class Rows:
    """Scattering vectors of a block: shapes (pixels, visits, sources).

    cut: beyond the resolution limit, or None if there is no limit.
    """

    q: Vector
    cut: Tensor | None


def rows_of(scene: Scene, choices: Choices, rays: Rays, sources: range) -> Rows:
    """Scattering vectors for a range of sources, and which of them are cut (model 6.3)."""
    wavelength = scene.sources.wavelength[sources.start : sources.stop]
    incident = (
        as_tensor(component)[sources.start : sources.stop] for component in scene.sources.incident
    )
    x, y, z = applied(ScatteringVectors, *rays.direction, *incident, wavelength)
    cut = None
    if choices.dmin_m > 0.0:
        with torch.no_grad():
            stol = 0.5 * as_tensor(mag((x, y, z)))
            cut = (stol > 0.0) & (choices.dmin_m > 0.5 / stol)
    return Rows((x, y, z), cut)
