"""Where the X-rays come from: model 5.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.units import angstrom_to_m
from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar, as_float
from nanobragg_hybrid.engines.torch.arithmetic.vectors import (
    Vector,
    negative,
    rot_axis,
    scale,
    unit,
)
from nanobragg_hybrid.engines.torch.scenes.scene import Sources
from nanobragg_hybrid.engines.torch.scenes.transfers import constants_on
from nanobragg_hybrid.engines.torch.set_up.detector import DetectorGeometry
from nanobragg_hybrid.engines.torch.set_up.inputs import Inputs
from nanobragg_hybrid.engines.torch.set_up.sampling import Sampling, Steps
from nanobragg_hybrid.model.conventions import DivergenceShape
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks

POSITIONS: Final = "beam.sources.position"
WAVELENGTHS: Final = "beam.sources.wavelength_m"
WEIGHTS: Final = "beam.sources.weight"
"""Names of the values for all listed sources together, shapes (n, 3), (n,), (n,)."""

SPECTRUM_WEIGHTS: Final = "beam.spectrum.weights"
"""The same for the nodes of a spectrum, shape (nodes,)."""

_ROUND_LIMIT: Final = 1.1

SHORTEST_M: Final = 1e-13
LONGEST_M: Final = 1e-7
"""Wavelengths of X-rays, m."""

DISTANCE_M: Final = -10.0
"""Along the beam, where a source's position is not given."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceGrid:
    """The sources that divergence and dispersion make (model 5.2), in the model's order.

    horizontal, vertical: angles from the beam, radians, shape (n,).  wavelength_index: which of the
    wavelengths, shape (n,).
    """

    horizontal: NDArray[np.float64]
    vertical: NDArray[np.float64]
    wavelength_index: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SourceOffsets:
    """A `SourceGrid` on the device that renders: angles from the beam, radians, and wavelengths
    over lambda0, shape (n,).

    spectrum: the wavelengths that every direction has, m, shape (nodes,), which are innermost in
    the grid, too; None: there is no spectrum.
    """

    horizontal: Tensor
    vertical: Tensor
    wavelength: Tensor
    spectrum: Tensor | None


def source_grid(experiment: Experiment, sampling: Sampling) -> SourceGrid:
    """All grid points, or with round divergence those inside an ellipse."""
    h, v, wavelengths = sampling.divergence_h, sampling.divergence_v, sampling.dispersion
    horizontal, along_h = _offsets(h)
    vertical, along_v = _offsets(v)
    shape: DivergenceShape = experiment.beam.divergence_shape
    match shape:
        case "round":
            keep = ~((along_h[:, None] + along_v[None, :]) * 4.0 > _ROUND_LIMIT)
        case "square":
            keep = np.full((h.count, v.count), True)
        case other:
            assert_never(other)
    kept_h, kept_v = np.nonzero(keep)
    spectrum = experiment.beam.spectrum
    count = wavelengths.count if spectrum is None else spectrum.nodes
    return SourceGrid(
        np.repeat(horizontal[kept_h], count),
        np.repeat(vertical[kept_v], count),
        np.tile(np.arange(count, dtype=np.float64), len(kept_h)),
    )


def source_count(experiment: Experiment, grid: SourceGrid) -> int:
    """How many sources there are."""
    listed = experiment.beam.sources
    return len(grid.horizontal) if listed is None else experiment.beam.source_candidates


@dataclass(frozen=True, slots=True)
class ImpossibleSources:
    """How many sources cannot be, and the number of the first, from 0; -1: none."""

    count: int
    first: int


def impossible_sources(
    experiment: Experiment,
    quirks: Quirks,
    grid: SourceGrid,
    sampling: Sampling,
    geometry: DetectorGeometry,
    wavelength_m: float,
) -> ImpossibleSources:
    """Sources without direction, with no X-rays, or that shine away from the detector.

    Raises `ConfigError` for the first of them with the quirk impossible_sources off.
    """
    beam = experiment.beam
    travel = np.array([as_float(component) for component in geometry.beam])
    has_direction: NDArray[np.bool_]
    towards: NDArray[np.bool_]
    if beam.sources is not None:
        upstream = DISTANCE_M * travel
        place = np.array(
            [
                [there if x is None else x for x, there in zip(s.position, upstream, strict=True)]
                for s in beam.sources
            ]
        )
        wavelength = np.array(
            [wavelength_m if s.wavelength_m is None else s.wavelength_m for s in beam.sources]
        )
        with np.errstate(over="ignore", invalid="ignore"):
            length = np.sqrt((place * place).sum(axis=1))
            one = place / np.where(length == 0.0, 1.0, length)[:, None]
            has_direction = (length != 0.0) & (one != 0.0).any(axis=1)
            towards = -one @ travel > 0.0
    else:
        # cos of the angle to the beam: turned by v about the polarization axis, then by h about the
        # vertical one, which is at right angles to both.
        axis = np.array([as_float(component) for component in geometry.polarization])
        vertical = np.array([as_float(component) for component in geometry.vertical])
        turned = _turned(np.tile(travel, (len(grid.vertical), 1)), axis, grid.vertical)
        towards = _turned(turned, vertical, grid.horizontal) @ travel > 0.0
        has_direction = np.full(len(towards), True)
        spread = sampling.dispersion
        wavelength = wavelength_m * (1.0 + spread.step * grid.wavelength_index - spread.range / 2.0)
    if beam.spectrum is not None:
        nodes = beam.spectrum.nodes
        if beam.sources is not None:  # those of the grid are repeated
            has_direction, towards = np.repeat(has_direction, nodes), np.repeat(towards, nodes)
        wavelength = np.tile(np.array(beam.spectrum.wavelengths_m), len(towards) // nodes)
    is_x_rays = (wavelength >= SHORTEST_M) & (wavelength <= LONGEST_M)
    wrong = np.flatnonzero(~(is_x_rays & towards))
    if not len(wrong):
        return ImpossibleSources(0, -1)
    first = int(wrong[0])
    if not quirks.impossible_sources:
        raise _refused(
            experiment,
            sampling,
            first,
            float(wavelength[first]),
            has_direction=bool(has_direction[first]),
            is_x_rays=bool(is_x_rays[first]),
        )
    return ImpossibleSources(len(wrong), first)


def _turned(
    v: NDArray[np.float64], axis: NDArray[np.float64], angle: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rows of v turned about a unit vector (or not at all about the zero vector's)."""
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    along: NDArray[np.float64] = (v @ axis)[:, None] * axis
    return v * c + np.cross(axis, v) * s + along * (1.0 - c)


def _refused(
    experiment: Experiment,
    sampling: Sampling,
    number: int,
    wavelength_m: float,
    *,
    has_direction: bool,
    is_x_rays: bool,
) -> ConfigError:
    """What is wrong with a source, in the field that made it."""
    beam = experiment.beam
    if not has_direction:
        need = f"a direction for each source (source {number} has none)"
        return ConfigError("beam.sources", beam.sources, need)
    if not is_x_rays:
        need = (
            f"wavelengths from {SHORTEST_M:g} to {LONGEST_M:g} m "
            f"(source {number} has {wavelength_m:g} m)"
        )
        if beam.spectrum is not None:
            return ConfigError("beam.spectrum", beam.spectrum, need)
        if beam.sources is not None:
            return ConfigError("beam.sources", beam.sources, need)
        if not SHORTEST_M <= angstrom_to_m(beam.wavelength_angstrom) <= LONGEST_M:
            return ConfigError(
                "beam.wavelength_angstrom", beam.wavelength_angstrom, need, "angstrom"
            )
        return ConfigError("beam.dispersion_percent", beam.dispersion_percent, need, "%")
    need = f"sources that shine towards the detector (source {number} shines away from it)"
    if beam.sources is not None:
        return ConfigError("beam.sources", beam.sources, need)
    if sampling.divergence_h.range >= sampling.divergence_v.range:
        return ConfigError("beam.divergence_h_mrad", beam.divergence_h_mrad, need, "mrad")
    return ConfigError("beam.divergence_v_mrad", beam.divergence_v_mrad, need, "mrad")


def _offsets(steps: Steps) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Angles of the grid points along one axis, and what they add to the ellipse's equation."""
    index = np.arange(steps.count, dtype=np.float64)
    angle = steps.step * index - steps.range / 2.0
    correction = steps.step * steps.step / 4.0 * (1 - steps.count % 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        term = (angle * angle - correction) / steps.range / steps.range
    return angle, term


@dataclass(frozen=True, slots=True)
class Beam:
    """What sources are made from where they have nothing of their own: unit vectors along the beam,
    of polarization and across both; wavelength, m."""

    direction: Vector
    polarization: Vector
    vertical: Vector
    wavelength: Scalar


def sources(inputs: Inputs, quirks: Quirks, offsets: SourceOffsets, beam: Beam) -> Sources:
    """Directions, wavelengths and weights of all sources.

    Raises `ConfigError` for given weights without a positive sum, where they count.
    """
    upstream = scale(beam.direction, DISTANCE_M)
    position: Vector
    if inputs.experiment.beam.sources is not None:
        ones = torch.ones(
            len(inputs.experiment.beam.sources),
            dtype=torch.float64,
            device=offsets.wavelength.device,
        )
        position, wavelength = _listed(inputs, upstream, beam.wavelength, ones)
        if offsets.spectrum is not None:
            nodes = len(offsets.spectrum)
            x, y, z = ((component * ones).repeat_interleave(nodes) for component in position)
            position, ones = (x, y, z), ones.repeat_interleave(nodes)
    else:
        ones = torch.ones_like(offsets.wavelength)
        position = rot_axis(upstream, beam.polarization, offsets.vertical)
        position = rot_axis(position, beam.vertical, offsets.horizontal)
        wavelength = beam.wavelength * offsets.wavelength
    if offsets.spectrum is not None:
        wavelength = offsets.spectrum.repeat(len(ones) // len(offsets.spectrum))
    x, y, z = (component * ones for component in negative(unit(position)))
    return Sources((x, y, z), wavelength * ones, _relative_weights(inputs, quirks, ones))


def _relative_weights(inputs: Inputs, quirks: Quirks, ones: Tensor) -> Tensor | None:
    """Weights of sources over their mean; None if none count that can differ.

    A source has that of its place in the list, times that of its node of the spectrum.
    """
    listed, spectrum = inputs.experiment.beam.sources, inputs.experiment.beam.spectrum
    own = nodes = None
    if not quirks.source_weights_ignored and listed is not None:
        own = _weights(inputs, WEIGHTS, [source.weight for source in listed], ones)
    if spectrum is not None:
        nodes = _weights(inputs, SPECTRUM_WEIGHTS, list(spectrum.node_weights), ones)
    if own is None and nodes is None:
        return None
    count = 1 if spectrum is None else spectrum.nodes
    live = ones.reshape(-1, count)
    for weights in (None if own is None else own.unsqueeze(-1), nodes):
        live = live if weights is None else live * weights
    live = live.reshape(-1)
    total = live.sum()
    # Values are on a device and are not looked at from here: a NaN says that they are wrong.
    return torch.where(total > 0.0, live * len(live) / total, torch.nan)


def _weights(inputs: Inputs, name: str, configured: list[float], ones: Tensor) -> Tensor | None:
    """Live weights, or those of the configuration; None where these are all alike."""
    if inputs.is_live(name):
        return inputs.tensor(name)
    if len(set(configured)) == 1:
        return None
    return constants_on(ones.device, configured)


def _listed(
    inputs: Inputs, upstream: Vector, wavelength_m: Scalar, ones: Tensor
) -> tuple[Vector, Tensor]:
    """Positions and wavelengths of listed sources; what is missing gets its default."""
    listed = inputs.experiment.beam.sources
    assert listed is not None

    def column(items: list[float | None], default: Scalar) -> Tensor:
        given = constants_on(ones.device, [0.0 if item is None else item for item in items])
        if all(item is not None for item in items):
            return given
        is_missing = constants_on(ones.device, [float(item is None) for item in items])
        return torch.where(is_missing != 0.0, default * ones, given)

    if inputs.is_live(POSITIONS):
        x, y, z = inputs.tensor(POSITIONS).unbind(-1)
    else:
        x, y, z = (
            column([source.position[axis] for source in listed], upstream[axis])
            for axis in range(3)
        )
    if inputs.is_live(WAVELENGTHS):
        wavelength = inputs.tensor(WAVELENGTHS)
    else:
        wavelength = column([source.wavelength_m for source in listed], wavelength_m)
    return (x, y, z), wavelength
