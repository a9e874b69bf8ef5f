"""The values of paths where none is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from nanobragg_hybrid.base.units import (
    angstrom_to_m,
    m_to_mm,
    per_m_to_attenuation_depth_um,
    rad_to_deg,
)
from nanobragg_hybrid.engines.torch.detector import ORIGIN
from nanobragg_hybrid.engines.torch.lattice import ROTATION_MATRIX, ROTATION_VECTOR
from nanobragg_hybrid.engines.torch.quantities import DEFAULT_F, GRID
from nanobragg_hybrid.engines.torch.scalars import as_float
from nanobragg_hybrid.engines.torch.setup import Setup
from nanobragg_hybrid.engines.torch.sources import DISTANCE_M, POSITIONS, WAVELENGTHS, WEIGHTS


def value_of(name: str, setup: Setup) -> Any:
    """What the set-up has for a listed path: numbers (nested)."""
    if name in _CHOSEN:
        return _CHOSEN[name](setup)
    part, field = name.split(".")
    configured = getattr(getattr(setup.experiment, part), field)
    if configured is None:
        return _LEFT_OPEN[name](setup)
    return configured


def _positions(setup: Setup) -> list[list[float]]:
    upstream = [DISTANCE_M * as_float(component) for component in setup.geometry.beam]
    return [
        [there if x is None else x for x, there in zip(source.position, upstream, strict=True)]
        for source in setup.experiment.beam.sources or ()
    ]


def _wavelengths(setup: Setup) -> list[float]:
    default = angstrom_to_m(setup.experiment.beam.wavelength_angstrom)
    return [
        default if source.wavelength_m is None else source.wavelength_m
        for source in setup.experiment.beam.sources or ()
    ]


def _misset(setup: Setup) -> tuple[float, ...]:
    crystal = setup.experiment.crystal
    if crystal.misset_random:
        return tuple(rad_to_deg(as_float(angle)) for angle in setup.misset)
    return crystal.misset_deg


# Values that are no configuration fields, or not simply what they say.
_CHOSEN: Final[dict[str, Callable[[Setup], Any]]] = {
    GRID: lambda setup: setup.structure_factors.grid,
    DEFAULT_F: lambda setup: setup.structure_factors.default_f,
    ROTATION_MATRIX: lambda _: ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    ROTATION_VECTOR: lambda _: (0.0, 0.0, 0.0),
    ORIGIN: lambda setup: tuple(as_float(component) for component in setup.geometry.pix0),
    POSITIONS: _positions,
    WAVELENGTHS: _wavelengths,
    WEIGHTS: lambda setup: [source.weight for source in setup.experiment.beam.sources or ()],
    "crystal.misset_deg": _misset,
}

# Values that the set-up chooses where the configuration leaves them open.
_LEFT_OPEN: Final[dict[str, Callable[[Setup], float]]] = {
    "detector.close_distance_mm": lambda setup: m_to_mm(as_float(setup.geometry.asked_close)),
    "detector.beam_x_mm": lambda setup: m_to_mm(as_float(setup.geometry.beam_x)),
    "detector.beam_y_mm": lambda setup: m_to_mm(as_float(setup.geometry.beam_y)),
    "detector.close_x_mm": lambda setup: m_to_mm(as_float(setup.geometry.close_fast)),
    "detector.close_y_mm": lambda setup: m_to_mm(as_float(setup.geometry.close_slow)),
    "detector.org_x_px": lambda setup: (
        as_float(setup.geometry.close_fast) / as_float(setup.geometry.pixel) + 0.5
    ),
    "detector.org_y_px": lambda setup: (
        as_float(setup.geometry.close_slow) / as_float(setup.geometry.pixel) + 0.5
    ),
    "detector.sensor_attenuation_depth_um": lambda setup: per_m_to_attenuation_depth_um(
        setup.sampling.attenuation_per_m
    ),
}
