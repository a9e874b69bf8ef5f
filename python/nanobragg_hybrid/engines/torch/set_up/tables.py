"""The arrays of a set-up, once, on the device that renders."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.vectors import Vector
from nanobragg_hybrid.engines.torch.scenes.structure_factors import shared_tensor
from nanobragg_hybrid.engines.torch.set_up.setup import Setup
from nanobragg_hybrid.engines.torch.set_up.sources import SourceOffsets
from nanobragg_hybrid.model.rotations import axes_and_angles


@dataclass(frozen=True, slots=True)
class Tables:
    """grid: the structure factors, or None; never written to.  phi_in_steps: as in `Setup`.
    domain_axes, domain_angles: the domains' rotations; the first by 0, unless they are given.
    sources: generated ones, and the spectrum's part in all of them.
    recorded: what is found out once for each set of names of values (see `packed_values`).
    host: the same arrays on the CPU, where these are not; None: these are.
    """

    grid: Tensor | None
    phi_in_steps: Tensor
    domain_axes: Vector
    domain_angles: Tensor
    sources: SourceOffsets
    recorded: dict[tuple[str, ...], object] = field(default_factory=dict, compare=False, repr=False)
    host: Tables | None = field(default=None, compare=False, repr=False)

    @property
    def on_host(self) -> Tables:
        """These arrays on the CPU."""
        return self if self.host is None else self.host


def tables_of(setup: Setup) -> Tables:
    """The arrays on the CPU, float64: structure factors have a wider range than float32."""

    def own(array: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.array(array, dtype=np.float64))

    dispersion = setup.sampling.dispersion
    axes, angles = _domains(setup)
    x, y, z = (own(component) for component in axes.T)
    spectrum = setup.experiment.beam.spectrum
    grid = setup.structure_factors.grid
    index = setup.grid.wavelength_index
    return Tables(
        grid=None if grid is None else shared_tensor(grid),
        phi_in_steps=own(setup.phi_in_steps),
        domain_axes=(x, y, z),
        domain_angles=own(angles),
        sources=SourceOffsets(
            horizontal=own(setup.grid.horizontal),
            vertical=own(setup.grid.vertical),
            wavelength=own(1.0 + dispersion.step * index - dispersion.range / 2.0),
            spectrum=None if spectrum is None else own(np.array(spectrum.wavelengths_m)),
        ),
    )


def _domains(setup: Setup) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Axes, shape (domains, 3), and angles of the domains' rotations."""
    if setup.rotations is None:
        given = setup.experiment.crystal.mosaic_rotations
        assert given is not None
        return axes_and_angles(given.matrices)
    angles = setup.rotations.angles(setup.sampling.mosaic_spread_rad)
    angles[0] = 0.0
    return setup.rotations.axes, angles
