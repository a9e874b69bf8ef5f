"""The arrays of a set-up, once, on the device that renders."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.engines.torch.setup import Setup
from nanobragg_hybrid.engines.torch.sources import SourceOffsets
from nanobragg_hybrid.engines.torch.structure_factors import shared_tensor
from nanobragg_hybrid.engines.torch.vectors import Vector


@dataclass(frozen=True, slots=True)
class Tables:
    """grid: the structure factors, or None; never written to.  phi_in_steps: as in `Setup`.
    domain_axes, domain_angles: the domains' rotations, the first by 0.  sources: generated ones.
    recorded: what is found out once for each set of names of values (see `packed_values`).
    """

    grid: Tensor | None
    phi_in_steps: Tensor
    domain_axes: Vector
    domain_angles: Tensor
    sources: SourceOffsets
    recorded: dict[tuple[str, ...], object] = field(default_factory=dict, compare=False, repr=False)


def tables_of(setup: Setup, device: torch.device) -> Tables:
    """The arrays on the device, float64: structure factors have a wider range than float32."""

    def on_device(array: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.array(array, dtype=np.float64)).to(device)

    rotations, dispersion = setup.rotations, setup.sampling.dispersion
    angles = rotations.angles(setup.sampling.mosaic_spread_rad)
    angles[0] = 0.0
    x, y, z = (on_device(component) for component in rotations.axes.T)
    grid = setup.structure_factors.grid
    index = setup.grid.wavelength_index
    return Tables(
        grid=None if grid is None else shared_tensor(grid).to(device),
        phi_in_steps=on_device(setup.phi_in_steps),
        domain_axes=(x, y, z),
        domain_angles=on_device(angles),
        sources=SourceOffsets(
            horizontal=on_device(setup.grid.horizontal),
            vertical=on_device(setup.grid.vertical),
            wavelength=on_device(1.0 + dispersion.step * index - dispersion.range / 2.0),
        ),
    )
