"""Which directions and wavelengths divergence and dispersion make: model 5.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.engines.torch.sampling import Sampling, Steps
from nanobragg_hybrid.model.experiment import Experiment

_ROUND_LIMIT: Final = 1.1


@dataclass(frozen=True, slots=True, eq=False)
class SourceGrid:
    """The sources that divergence and dispersion make (model 5.2), in the model's order.

    horizontal, vertical: angles from the beam, radians, shape (n,).  wavelength_index: which of the
    wavelengths, shape (n,).
    """

    horizontal: NDArray[np.float64]
    vertical: NDArray[np.float64]
    wavelength_index: NDArray[np.float64]


def source_grid(experiment: Experiment, sampling: Sampling) -> SourceGrid:
    """All grid points, or with round divergence those inside an ellipse."""
    h, v, wavelengths = sampling.divergence_h, sampling.divergence_v, sampling.dispersion
    horizontal, along_h = _offsets(h)
    vertical, along_v = _offsets(v)
    keep = np.full((h.count, v.count), True)
    if experiment.beam.divergence_shape == "round":
        keep = ~((along_h[:, None] + along_v[None, :]) * 4.0 > _ROUND_LIMIT)
    kept_h, kept_v = np.nonzero(keep)
    return SourceGrid(
        np.repeat(horizontal[kept_h], wavelengths.count),
        np.repeat(vertical[kept_v], wavelengths.count),
        np.tile(np.arange(wavelengths.count, dtype=np.float64), len(kept_h)),
    )


def source_count(experiment: Experiment, grid: SourceGrid) -> int:
    """How many sources there are."""
    listed = experiment.beam.sources
    return len(grid.horizontal) if listed is None else len(listed)


def _offsets(steps: Steps) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Angles of the grid points along one axis, and their share of the ellipse's equation."""
    index = np.arange(steps.count, dtype=np.float64)
    angle = steps.step * index - steps.range / 2.0
    correction = steps.step * steps.step / 4.0 * (1 - steps.count % 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (angle * angle - correction) / steps.range / steps.range
    return angle, share
