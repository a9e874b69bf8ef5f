"""Where the X-rays come from: model 5.2."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.detector import DetectorGeometry
from nanobragg_hybrid.engines.torch.inputs import Inputs
from nanobragg_hybrid.engines.torch.scalars import Scalar
from nanobragg_hybrid.engines.torch.scene import Sources
from nanobragg_hybrid.engines.torch.tables import Tables
from nanobragg_hybrid.engines.torch.vectors import Vector, negative, rot_axis, scale, unit
from nanobragg_hybrid.model.quirks import Quirks

POSITIONS: Final = "beam.sources.position"
WAVELENGTHS: Final = "beam.sources.wavelength_m"
WEIGHTS: Final = "beam.sources.weight"
"""Names of the values for all sources together, shapes (n, 3), (n,), (n,)."""

DISTANCE_M: Final = -10.0
"""Along the beam, where a source's position is not given."""


def sources(
    inputs: Inputs,
    quirks: Quirks,
    tables: Tables,
    geometry: DetectorGeometry,
    wavelength_m: Scalar,
) -> Sources:
    """Directions, wavelengths and weights of all sources.

    Raises `ConfigError` for given weights without a positive sum, where they count.
    """
    upstream = scale(geometry.beam, DISTANCE_M)
    position: Vector
    if inputs.experiment.beam.sources is not None:
        ones = torch.ones(
            len(inputs.experiment.beam.sources),
            dtype=torch.float64,
            device=tables.phi_place.device,
        )
        position, wavelength = _listed(inputs, upstream, wavelength_m, ones)
    else:
        ones = torch.ones_like(tables.source_wavelength)
        position = rot_axis(upstream, geometry.polarization, tables.source_vertical)
        position = rot_axis(position, geometry.vertical, tables.source_horizontal)
        wavelength = wavelength_m * tables.source_wavelength
    x, y, z = (component * ones for component in negative(unit(position)))
    return Sources((x, y, z), wavelength * ones, _shares(inputs, quirks, ones))


def _shares(inputs: Inputs, quirks: Quirks, ones: Tensor) -> Tensor | None:
    """Weights of listed sources over their mean; None if they are ignored or cannot differ."""
    listed = inputs.experiment.beam.sources
    if quirks.source_weights_ignored or listed is None:
        return None
    if not inputs.is_live(WEIGHTS):
        weights = [source.weight for source in listed]
        if len(set(weights)) == 1:
            return None
        live = torch.tensor(weights, dtype=torch.float64, device=ones.device)
    else:
        live = inputs.values[WEIGHTS]
    total = live.sum()
    # Values are on a device and are not looked at from here: a NaN says that they are wrong.
    return torch.where(total > 0.0, live * len(listed) / total, torch.nan)


def _listed(
    inputs: Inputs, upstream: Vector, wavelength_m: Scalar, ones: Tensor
) -> tuple[Vector, Tensor]:
    """Positions and wavelengths of listed sources; what is missing gets its default."""
    listed = inputs.experiment.beam.sources
    assert listed is not None

    def column(items: list[float | None], default: Scalar) -> Tensor:
        given = torch.tensor(
            [0.0 if item is None else item for item in items],
            dtype=torch.float64,
            device=ones.device,
        )
        if all(item is not None for item in items):
            return given
        is_missing = torch.tensor([item is None for item in items], device=ones.device)
        return torch.where(is_missing, default * ones, given)

    if inputs.is_live(POSITIONS):
        x, y, z = inputs.values[POSITIONS].unbind(-1)
    else:
        x, y, z = (
            column([source.position[axis] for source in listed], upstream[axis])
            for axis in range(3)
        )
    if inputs.is_live(WAVELENGTHS):
        wavelength = inputs.values[WAVELENGTHS]
    else:
        wavelength = column([source.wavelength_m for source in listed], wavelength_m)
    return (x, y, z), wavelength
