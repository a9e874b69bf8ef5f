"""The free numbers of a fit, what they make of the model's values, and what users are told.

A fit moves coordinates x.  A block of them gives values to the model, y(x), or a factor on the
signal, and has numbers u(x) that stand in the experiment: a misset of three angles is moved by a
rotation vector, a cell by the numbers that its crystal system leaves free, a positive number by its
logarithm.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.fitting.crystal_systems import Tied
from nanobragg_hybrid.fitting.likelihoods import Array
from nanobragg_hybrid.fitting.rotations import (
    angle_between_deg,
    misset_angles,
    misset_matrix,
    nearest_angles,
    rotation_matrix,
)
from nanobragg_hybrid.model.experiment import Experiment

MISSET: Final = "crystal.misset_deg"
ROTATION: Final = "crystal.rotation_vector_deg"
FLUENCE: Final = "beam.fluence_photons_per_m2"
SCALE: Final = "scale"
_OF_SOURCES: Final = "beam.sources."
OF_BACKGROUND: Final = "background."
_LISTED: Final = re.compile(r"background\.(scatterers|offsets)\[([0-9]+)\]\.([a-z_]+)")
SHIFT: Final = "detector.shift_mm"
OF_PANELS: Final = "detector.panels."
SPOT_SCALES: Final = "spot_scales"
_ONE_AFTER_THE_OTHER: Final = (_OF_SOURCES, OF_PANELS, OF_BACKGROUND, SHIFT)
"""How the names of blocks begin that change the same field of an experiment."""
FARTHEST_TURN_DEG: Final = 10.0
"""What is farther from the start was not found by derivatives but by a step that went astray."""


def grown(x: Any) -> Any:
    """exp(x), infinite without a word where it is too large: such a step is refused."""
    with np.errstate(over="ignore"):
        return np.exp(x)


class Block(Protocol):
    """Some coordinates that belong together."""

    @property
    def name(self) -> str:
        """The parameter's name, as the user says it."""
        ...

    @property
    def unit(self) -> str:
        """Of the numbers u."""
        ...

    @property
    def start(self) -> Array:
        """The coordinates to start from, shape (n,)."""
        ...

    def starting_at(self, x: Array) -> Self:
        """The same with another start."""
        ...

    @property
    def model_name(self) -> str | None:
        """The model's parameter that y is the value of; None: x is the logarithm of a factor on
        the whole signal."""
        ...

    def model_numbers(self, x: Array) -> tuple[Array, Array]:
        """y, flat, and dy/dx, shape (y, x)."""
        ...

    def numbers(self, x: Array) -> Array:
        """u, flat."""
        ...

    def slopes(self, x: Array) -> Array:
        """du/dx, shape (u, x)."""
        ...

    def changes(self, x: Array, experiment: Experiment) -> Mapping[str, Any]:
        """What to change in the experiment, by dotted path."""
        ...


class _Movable:
    """A dataclass with a field `start`."""

    __slots__ = ()

    def starting_at(self, x: Array) -> Self:
        """The same with another start."""
        return dataclasses.replace(self, start=x)  # type: ignore[type-var]


@dataclass(frozen=True, slots=True, eq=False)
class Linear(_Movable):
    """Numbers that are free, or follow from fewer: u = y = matrix x + constant."""

    name: str
    unit: str
    start: Array
    tied: Tied
    shape: tuple[int, ...]

    @property
    def model_name(self) -> str:
        """The parameter itself."""
        return self.name

    def model_numbers(self, x: Array) -> tuple[Array, Array]:
        """The numbers themselves."""
        return self.numbers(x), self.tied.matrix

    def numbers(self, x: Array) -> Array:
        """Free and tied ones."""
        numbers: Array = self.tied.matrix @ x + self.tied.constant
        return numbers

    def slopes(self, x: Array) -> Array:  # noqa: ARG002
        """The matrix."""
        return self.tied.matrix

    def changes(self, x: Array, experiment: Experiment) -> Mapping[str, Any]:
        """The field of that name."""
        numbers = self.numbers(x)
        if self.name.startswith(_OF_SOURCES):
            return _changed_sources(self.name, numbers.reshape(self.shape), experiment)
        if self.name.startswith(OF_BACKGROUND):
            return _changed_background(self.name, numbers, self.shape, experiment)
        if self.name == SHIFT:
            x_mm, y_mm, z_mm = numbers.tolist()
            return {"detector": experiment.detector.shifted((x_mm, y_mm, z_mm))}
        if self.name.startswith(OF_PANELS):
            return _changed_panels(self.name, numbers.reshape(self.shape), experiment)
        if self.name == "beam.spectrum.weights" and experiment.beam.spectrum is not None:
            weights = tuple(numbers.tolist())
            spectrum = dataclasses.replace(experiment.beam.spectrum, weights=weights)
            return {"beam.spectrum": spectrum}
        rotations = experiment.crystal.mosaic_rotations
        if self.name == "crystal.mosaic_rotations.scale" and rotations is not None:
            return {"crystal.mosaic_rotations": rotations.scaled(float(numbers[0]))}
        return {self.name: tuple(numbers.tolist()) if self.shape else float(numbers[0])}


def _changed_panels(name: str, numbers: Array, experiment: Experiment) -> Mapping[str, Any]:
    field = name.removeprefix(OF_PANELS)
    detector = experiment.detector
    changed = []
    for panel, row in zip(detector.panels or (), numbers.tolist(), strict=True):
        if field == "shift_mm":
            changed.append(panel.moved(shift_mm=tuple(row)))
        elif field == "rotation_deg":
            changed.append(panel.moved(rotation_deg=row))
        else:
            changed.append(dataclasses.replace(panel, **{field: row}))
    return {"detector": dataclasses.replace(detector, panels=tuple(changed))}


def _changed_sources(name: str, numbers: Array, experiment: Experiment) -> Mapping[str, Any]:
    field = name.removeprefix(_OF_SOURCES)
    sources = experiment.beam.sources or ()
    changed = []
    for source, row in zip(sources, numbers.tolist(), strict=True):
        change: dict[str, Any] = {field: tuple(row) if isinstance(row, list) else row}
        changed.append(dataclasses.replace(source, **change))
    return {"beam.sources": tuple(changed)}


def _changed_background(
    name: str, numbers: Array, shape: tuple[int, ...], experiment: Experiment
) -> Mapping[str, Any]:
    value: Any = tuple(numbers.tolist()) if shape else float(numbers[0])
    background = experiment.background
    assert background is not None
    listed = _LISTED.fullmatch(name)
    if listed is not None:
        field, number, own = listed[1], int(listed[2]), listed[3]
        parts = list(getattr(background, field))
        parts[number] = dataclasses.replace(parts[number], **{own: value})
        return {f"background.{field}": tuple(parts)}
    if name.startswith("background.radial."):
        own = name.removeprefix("background.radial.")
        assert background.radial is not None
        return {"background.radial": dataclasses.replace(background.radial, **{own: value})}
    return {name: value}


@dataclass(frozen=True, slots=True, eq=False)
class Positive(_Movable):
    """One number > 0, moved by its logarithm: u = y = exp(x)."""

    name: str
    unit: str
    start: Array

    @property
    def model_name(self) -> str:
        """The parameter itself."""
        return self.name

    def model_numbers(self, x: Array) -> tuple[Array, Array]:
        """The number itself."""
        return self.numbers(x), self.slopes(x)

    def numbers(self, x: Array) -> Array:
        """The number."""
        number: Array = grown(x)
        return number

    def slopes(self, x: Array) -> Array:
        """Its derivative, which is the number again."""
        number: Array = grown(x)[:, None]
        return number

    def changes(self, x: Array, experiment: Experiment) -> Mapping[str, Any]:  # noqa: ARG002
        """The field of that name."""
        return {self.name: float(grown(x[0]))}


@dataclass(frozen=True, slots=True, eq=False)
class SpotScales(_Movable):
    """A factor >= 0 on the signal of each box, moved by its root, which is in proportion to the
    amplitude of a structure factor: u = y = x^2.

    A logarithm would go far astray where the model's spot is beside that of the data.
    """

    start: Array
    name: str = SPOT_SCALES
    unit: str = ""

    @property
    def model_name(self) -> str:
        """What `ScaledForward` has besides the model's parameters."""
        return self.name

    def model_numbers(self, x: Array) -> tuple[Array, Array]:
        """The factors themselves."""
        return self.numbers(x), self.slopes(x)

    def numbers(self, x: Array) -> Array:
        """The factors."""
        numbers: Array = x * x
        return numbers

    def slopes(self, x: Array) -> Array:
        """Their derivatives."""
        return np.diag(2.0 * x)

    def changes(self, x: Array, experiment: Experiment) -> Mapping[str, Any]:  # noqa: ARG002
        """None: an experiment has no factors of boxes."""
        return {}


@dataclass(frozen=True, slots=True, eq=False)
class Scale(_Movable):
    """The beam's fluence, or a factor on whatever makes it: all light is in proportion to it.

    whole: u where the factor is 1: the fluence, or 1 for the parameter "scale".
    """

    name: str
    unit: str
    whole: float
    start: Array

    @property
    def model_name(self) -> None:
        """None: the model need not be asked."""
        return

    def model_numbers(self, x: Array) -> tuple[Array, Array]:  # noqa: ARG002
        """None at all."""
        return np.zeros(0), np.zeros((0, 1))

    def numbers(self, x: Array) -> Array:
        """The fluence, or the factor."""
        numbers: Array = self.whole * grown(x)
        return numbers

    def slopes(self, x: Array) -> Array:
        """Its derivative, which is itself."""
        return self.numbers(x)[:, None]

    def changes(self, x: Array, experiment: Experiment) -> Mapping[str, Any]:
        """The fluence, and the flux where that decides."""
        factor, beam = float(grown(x[0])), experiment.beam
        fluence = {FLUENCE: beam.fluence_photons_per_m2 * factor}
        if self.name == FLUENCE:
            return fluence
        return {**fluence, "beam.flux_photons_per_s": beam.flux_photons_per_s * factor}


@dataclass(frozen=True, slots=True, eq=False)
class Orientation(_Movable):
    """The crystal's orientation, moved by a rotation after the missetting it started with.

    misset_deg: the missetting, whose angles are u; or, with `as_vector`, u is the rotation vector.
    origin: the rotation vector from which is counted how far a fit may go.
    """

    name: str
    misset_deg: Array
    start: Array
    as_vector: bool
    origin: Array = field(default_factory=lambda: np.zeros(3))

    @property
    def unit(self) -> str:
        """Degrees."""
        return "deg"

    @property
    def model_name(self) -> str:
        """The rotation vector."""
        return ROTATION

    def model_numbers(self, x: Array) -> tuple[Array, Array]:
        """The rotation vector."""
        return x, np.eye(3)

    def _angles(self, x: Array) -> Array:
        turned = rotation_matrix(x) @ misset_matrix(self.misset_deg)
        return nearest_angles(misset_angles(turned), self.misset_deg)

    def numbers(self, x: Array) -> Array:
        """The missetting angles, or the vector."""
        return x.copy() if self.as_vector else self._angles(x)

    def slopes(self, x: Array) -> Array:
        """By differences; the angles have an error of some 1e-10 of it."""
        if self.as_vector:
            return np.eye(3)
        step = 1e-3
        columns = []
        for axis in np.eye(3):
            ahead, behind = self._angles(x + step * axis), self._angles(x - step * axis)
            columns.append((ahead - behind) / (2.0 * step))
        return np.stack(columns, axis=1)

    def changes(self, x: Array, experiment: Experiment) -> Mapping[str, Any]:  # noqa: ARG002
        """The missetting, which is no longer drawn; `ConfigError` for one that is far away."""
        turn = angle_between_deg(rotation_matrix(self.origin), rotation_matrix(x))
        if turn > FARTHEST_TURN_DEG:
            rule = f"at most {FARTHEST_TURN_DEG:g}, counted where the fit starts"
            raise ConfigError(self.name, turn, rule, "deg")
        return {MISSET: tuple(self._angles(x).tolist()), "crystal.misset_random": False}


class Coordinates:
    """All blocks of a fit, their coordinates one after the other."""

    def __init__(self, blocks: tuple[Block, ...]) -> None:
        self.blocks = blocks
        stops = np.cumsum([0, *(block.start.size for block in blocks)]).tolist()
        self._places = [slice(*pair) for pair in itertools.pairwise(stops)]
        self.start = np.concatenate([np.zeros(0), *(block.start for block in blocks)])

    def has(self, kind: type[Block]) -> bool:
        """Whether there is a block of a class."""
        return any(isinstance(block, kind) for block in self.blocks)

    def place(self, kind: type[Block]) -> slice:
        """Where the coordinates of the only block of a class are."""
        (place,) = (
            place
            for block, place in zip(self.blocks, self._places, strict=True)
            if isinstance(block, kind)
        )
        return place

    def block(self, kind: type[Block], x: Array) -> Block:
        """The only block of a class, starting from where x is."""
        (block,) = (block for block in self.blocks if isinstance(block, kind))
        return block.starting_at(x[self.place(kind)])

    def counting_from(self, x: Array) -> Coordinates:
        """The same, where the farthest turn counts from the orientation of x."""
        return Coordinates(
            tuple(
                dataclasses.replace(block, origin=part) if isinstance(block, Orientation) else block
                for block, _, part in self._parts(x)
            )
        )

    @property
    def size(self) -> int:
        """How many."""
        return self.start.size

    def _parts(self, x: Array) -> list[tuple[Block, slice, Array]]:
        return [(b, place, x[place]) for b, place in zip(self.blocks, self._places, strict=True)]

    def model_names(self) -> tuple[str, ...]:
        """The model's parameters that have values."""
        return tuple(b.model_name for b in self.blocks if b.model_name is not None)

    def model_values(self, x: Array) -> dict[str, Array]:
        """The model's values, flat, by name."""
        return {
            block.model_name: block.model_numbers(part)[0]
            for block, _, part in self._parts(x)
            if block.model_name is not None
        }

    def log_scale(self, x: Array) -> float:
        """The logarithm of the factor on the signal."""
        return sum(float(part.sum()) for b, _, part in self._parts(x) if b.model_name is None)

    def signal_slopes(self, x: Array) -> tuple[Array, Array]:
        """The derivatives of the scaled signal s by x are J slopes + s scale: J being its Jacobian
        by the model's numbers y.  Shapes (y, x) and (x,)."""
        parts = [(b, place, b.model_numbers(part)[1]) for b, place, part in self._parts(x)]
        slopes = np.zeros((sum(own.shape[0] for _, _, own in parts), self.size))
        scale = np.zeros(self.size)
        at = 0
        for block, place, own in parts:
            slopes[at : at + own.shape[0], place] = own
            scale[place] = block.model_name is None
            at += own.shape[0]
        return slopes, scale

    def numbers(self, x: Array) -> Array:
        """u of all blocks, one after the other."""
        return np.concatenate([np.zeros(0), *(b.numbers(part) for b, _, part in self._parts(x))])

    def slopes(self, x: Array) -> Array:
        """du/dx, shape (u, x)."""
        blocks = [(place, block.slopes(part)) for block, place, part in self._parts(x)]
        matrix = np.zeros((sum(slopes.shape[0] for _, slopes in blocks), self.size))
        at = 0
        for place, slopes in blocks:
            matrix[at : at + slopes.shape[0], place] = slopes
            at += slopes.shape[0]
        return matrix

    def experiment(self, x: Array, experiment: Experiment) -> Experiment:
        """The experiment with the numbers of x; `ConfigError` for one that breaks its rule."""
        changed = experiment
        together: dict[str, Any] = {}
        for block, _, part in self._parts(x):
            change = block.changes(part, changed)
            if block.name.startswith(_ONE_AFTER_THE_OTHER):  # the next sees what this one changed
                changed = changed.replace(change)
            else:
                together.update(change)
        return changed.replace(together)
