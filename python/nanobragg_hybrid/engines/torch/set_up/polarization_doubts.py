"""What is wrong with a polarization that the model takes all the same: model 6.6."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.engines.torch.arithmetic.scalars import as_float
from nanobragg_hybrid.engines.torch.arithmetic.vectors import Vector, cross, mag, scale, unit
from nanobragg_hybrid.engines.torch.scenes.scene import Choices
from nanobragg_hybrid.engines.torch.set_up.detector import DetectorGeometry
from nanobragg_hybrid.engines.torch.set_up.sampling import Sampling
from nanobragg_hybrid.engines.torch.set_up.sources import DISTANCE_M
from nanobragg_hybrid.model.experiment import Experiment

_PARALLEL: Final = 1e-6
"""Sine of the angle to the beam below which the polarization axis is along it."""


@dataclass(frozen=True, slots=True)
class PolarizationDoubts:
    """factor_is_wrong: the Kahn factor is not -1 to 1.  axis_is_along_beam: the polarization axis
    is, or is along a listed source, and something is made of it."""

    factor_is_wrong: bool
    axis_is_along_beam: bool

    def require_none(self, experiment: Experiment) -> None:
        """Raises `ConfigError` for either (polarization_unchecked off)."""
        beam = experiment.beam
        off = "while polarization_unchecked is off"
        if self.factor_is_wrong:
            raise ConfigError("beam.polarization_kahn", beam.polarization_kahn, f"-1 to 1 {off}")
        if self.axis_is_along_beam:
            rule = f"beam and polarization axis in different directions {off}"
            if beam.polarization_axis is not None:
                raise ConfigError("beam.polarization_axis", beam.polarization_axis, rule)
            if beam.direction is not None:
                raise ConfigError("beam.direction", beam.direction, rule)
            raise ConfigError("beam.sources", beam.sources, rule)


def polarization_doubts(
    experiment: Experiment, sampling: Sampling, choices: Choices, geometry: DetectorGeometry
) -> PolarizationDoubts:
    """What is wrong where factors are computed, or a divergence turns about the axis.

    A source without direction (0 0 0) is along nothing.
    """
    kahn, listed = experiment.beam.polarization_kahn, experiment.beam.sources
    diverges = listed is None and max(sampling.divergence_h.count, sampling.divergence_v.count) > 1
    matters = diverges or (choices.uses_polarization and kahn != 0.0)
    beams: list[Vector] = [geometry.beam]
    if listed is not None:
        beams = []
        for source in listed:
            x, y, z = (
                upstream if given is None else given
                for given, upstream in zip(
                    source.position, scale(geometry.beam, DISTANCE_M), strict=True
                )
            )
            beams.append(unit((x, y, z)))
    along = (
        as_float(mag(beam)) > 0.0 and as_float(mag(cross(beam, geometry.polarization))) < _PARALLEL
        for beam in beams
    )
    return PolarizationDoubts(
        factor_is_wrong=choices.uses_polarization and not abs(kahn) <= 1.0,
        axis_is_along_beam=matters and any(along),
    )
