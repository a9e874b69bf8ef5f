"""Coordinates for the parameters that a user names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError, suggestion
from nanobragg_hybrid.fitting.coordinates import (
    FLUENCE,
    MISSET,
    ROTATION,
    SCALE,
    SPOT_SCALES,
    Block,
    Coordinates,
    Linear,
    Orientation,
    Positive,
    Scale,
    SpotScales,
)
from nanobragg_hybrid.fitting.crystal_systems import (
    CRYSTAL_SYSTEMS,
    CrystalSystem,
    Tied,
    require_system,
    system_of,
    tied_angles,
    tied_lengths,
)
from nanobragg_hybrid.fitting.likelihoods import Array
from nanobragg_hybrid.model.experiment import Experiment

LENGTHS: Final = "crystal.cell_angstrom"
ANGLES: Final = "crystal.cell_deg"
_CELL: Final = (LENGTHS, ANGLES)
_POSITIVE: Final = ("crystal.mosaic_spread_deg",)
"""Moved by their logarithms: they may change by a factor within a step."""

_REFUSED: Final = {
    "crystal.rotation_matrix": "crystal.misset_deg (nine numbers are too many for a rotation)",
    "detector.origin_m": "detector.distance_mm and the beam centre (no experiment has an origin)",
    "structure_factors.grid": "a number of the experiment (its Jacobian would be too large)",
    "structure_factors.default_f": "scale (no experiment has structure factors)",
}

_TWICE: Final = (
    (MISSET, ROTATION),
    (SCALE, FLUENCE),
    (SCALE, SPOT_SCALES),
    (FLUENCE, SPOT_SCALES),
)
"""Two names for the same numbers, or for numbers of which one follows from the others."""


class Known(NamedTuple):
    """A parameter as the model has it."""

    unit: str
    shape: tuple[int, ...]
    value: Array


class Model(Protocol):
    """What the blocks are made from."""

    def known(self, name: str) -> Known:
        """A parameter of the model; `ConfigError` for one that is not active."""
        ...


def checked_names(parameters: object) -> tuple[str, ...]:
    """The parameters' names; `ConfigError` for what is no list of different ones."""
    rule = "a list of names of parameters, each once"
    given: Any = (parameters,) if isinstance(parameters, str) else parameters
    if not isinstance(given, Sequence) or not given:
        raise ConfigError("parameters", parameters, rule)
    for name in given:
        if not isinstance(name, str):
            raise ConfigError("parameters", name, "the name of a parameter, a str")
        if given.count(name) > 1:
            raise ConfigError("parameters", name, rule)
        if name in _REFUSED:
            raise ConfigError("parameters", name, _REFUSED[name])
    for one, other in _TWICE:
        if one in given and other in given:
            raise ConfigError("parameters", other, f"one of {one} and {other}, which are the same")
    return tuple(given)


def checked_system(given: object, names: tuple[str, ...]) -> CrystalSystem | None:
    """The crystal system that the user names, None for "auto"."""
    if given == "auto":
        return None
    if given is None:
        return "triclinic"
    for system in CRYSTAL_SYSTEMS:
        if given == system:
            if not set(_CELL) & set(names):
                rule = f"{LENGTHS} or {ANGLES} among the parameters, which it is about"
                raise ConfigError("crystal_system", given, rule)
            return system
    words = ", ".join(CRYSTAL_SYSTEMS)
    near = suggestion(given, CRYSTAL_SYSTEMS)
    raise ConfigError("crystal_system", given, f"auto, None or one of {words}{near}")


def coordinates_of(
    model: Model, experiment: Experiment, names: tuple[str, ...], system: CrystalSystem | None
) -> tuple[Coordinates, CrystalSystem | None]:
    """The coordinates of parameters, and the crystal system that a cell among them has.

    system: None: the one of most rules that the cell obeys exactly.  Raises `ConfigError` for a
    parameter that is not active, and a cell that is not of the system.
    """
    used = _system(model, experiment, system) if set(_CELL) & set(names) else None
    blocks = tuple(_block(model, experiment, name, used) for name in names)
    return Coordinates(blocks), used


def _system(model: Model, experiment: Experiment, given: CrystalSystem | None) -> CrystalSystem:
    crystal = experiment.crystal
    if crystal.orientation_matrix is not None or crystal.cell_angstrom is None:
        return given or "triclinic"  # the matrix has angles of its own
    lengths, angles = model.known(LENGTHS).value, model.known(ANGLES).value
    if given is None:
        return system_of(lengths, angles)
    require_system(given, lengths, angles)
    return given


def _block(model: Model, experiment: Experiment, name: str, system: CrystalSystem | None) -> Block:
    if name == SCALE:
        return Scale(name, "", 1.0, np.zeros(1))
    if name == SPOT_SCALES:
        return SpotScales(np.zeros(model.known(name).value.size))
    known = model.known(name)
    if name == FLUENCE:
        whole = float(known.value[0])
        if not whole > 0.0:
            raise ConfigError(name, whole, "a value > 0 to start from", known.unit)
        return Scale(name, known.unit, whole, np.zeros(1))
    if name in (MISSET, ROTATION):
        misset = model.known(MISSET).value
        return Orientation(name, misset, np.zeros(3), as_vector=name == ROTATION)
    if name in _POSITIVE:
        return Positive(name, known.unit, np.log(known.value))
    if name == "crystal.n_cells" and experiment.crystal.shape == "square":
        raise ConfigError("parameters", name, "another crystal shape: square has poles between")
    tied = Tied(np.eye(known.value.size), np.zeros(known.value.size))
    if system is not None and name in _CELL:
        tied = tied_lengths(system) if name == LENGTHS else tied_angles(system)
    first = tied.matrix.argmax(axis=0)  # of the numbers that are one free one
    start = known.value[first]
    return Linear(name, known.unit, start, tied, known.shape)
