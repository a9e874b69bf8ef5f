"""What a series is: a wedge of rotation, stills in random orientations, a grid of parameters; and
the pulses of a free-electron laser that light its frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.spectrum import Spectrum
from nanobragg_hybrid.model.validate import COUNT, FINITE, POSITIVE, Optional, check_fields, meta


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RotationWedge(Record):
    """Frame i turns from start_deg + i osc_deg to start_deg + (i + 1) osc_deg.

    start_deg: spindle angle at which frame 0 begins, degrees, finite.  osc_deg: range of a frame,
    degrees, > 0.  Both replace those of the experiment's goniometer.
    """

    start_deg: float = field(metadata=meta(FINITE, "deg"))
    osc_deg: float = field(metadata=meta(POSITIVE, "deg"))

    def __post_init__(self) -> None:
        check_fields(self, "series.kind")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RandomStills(Record):
    """Each frame is another crystal in an orientation of its own, all orientations alike.

    The missetting of a frame is uniform over all rotations, and its mosaic domains have a seed of
    their own.
    """


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ParameterGrid(Record):
    """Every combination of some values of some fields; the last field changes fastest.

    axes: dotted path of the experiment (``crystal.n_cells``, ``background``) and its values, as a
    mapping or pairs; at least one path, at least one value each.
    """

    axes: tuple[tuple[str, tuple[Any, ...]], ...]

    def __post_init__(self) -> None:
        given: Any = self.axes
        rule = "paths of the experiment, each with a list of values"
        if isinstance(given, Mapping):
            given = tuple(given.items())
        if not isinstance(given, list | tuple) or not given:
            raise ConfigError("series.kind.axes", given, rule)
        axes: list[tuple[str, tuple[Any, ...]]] = []
        for axis in given:
            if not isinstance(axis, list | tuple) or len(axis) != 2:
                raise ConfigError("series.kind.axes", axis, rule)
            path, values = axis
            if not isinstance(path, str) or path in [known for known, _ in axes]:
                raise ConfigError("series.kind.axes", path, "paths of the experiment, each once")
            if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
                raise ConfigError(f"series.kind.axes[{path!r}]", values, "a list of values")
            if not (listed := tuple(values)):
                raise ConfigError(f"series.kind.axes[{path!r}]", values, "at least one value")
            axes.append((path, listed))
        object.__setattr__(self, "axes", tuple(axes))

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return math.prod(len(values) for _, values in self.axes)


SeriesKind = RotationWedge | RandomStills | ParameterGrid


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SasePulses(Record):
    """The spectrum of each frame is another pulse of a free-electron laser that starts from noise.

    fwhm_ev, pulse_fwhm_fs, nodes, span_fwhm, centre_ev: as of `Spectrum.sase`; centre_ev None
    (default): the photon energy of the beam's wavelength.
    """

    fwhm_ev: float = field(metadata=meta(POSITIVE, "eV"))
    pulse_fwhm_fs: float = field(metadata=meta(POSITIVE, "fs"))
    nodes: int = field(default=101, metadata=meta(COUNT))
    span_fwhm: float = field(default=3.0, metadata=meta(POSITIVE))
    centre_ev: float | None = field(default=None, metadata=meta(Optional(POSITIVE), "eV"))

    def __post_init__(self) -> None:
        check_fields(self, "series.spectrum")


def grid_changes(grid: ParameterGrid, number: int) -> dict[str, Any]:
    """The values of combination `number`, from 0."""
    found = {}
    for path, values in reversed(grid.axes):
        number, place = divmod(number, len(values))
        found[path] = values[place]
    return dict(reversed(found.items()))


def grid_as_stored(grid: ParameterGrid, experiment: Experiment) -> ParameterGrid:
    """The grid with its values as the experiment stores them.

    Raises `ConfigError` naming path and number of a value that breaks its rule.
    """
    axes = []
    for path, values in grid.axes:
        stored = []
        for n, value in enumerate(values):
            try:
                changed = experiment.replace({path: value})
            except ConfigError as error:
                if error.field == "experiment":  # no such path
                    raise ConfigError("series.kind.axes", path, error.rule) from None
                name = f"series.kind.axes[{path!r}][{n}] ({error.field})"
                raise ConfigError(name, error.value, error.rule, error.unit) from None
            part, _, name = path.partition(".")
            whole = getattr(changed, part)
            stored.append(getattr(whole, name) if name else whole)
        axes.append((path, tuple(stored)))
    return ParameterGrid(tuple(axes))


def sase_pulse(pulses: SasePulses, seed: int, beam_ev: float) -> Spectrum:
    """The pulse of a seed, for a beam of this photon energy, eV.  Raises `ConfigError`."""
    return Spectrum.sase(
        seed=seed,
        centre_ev=beam_ev if pulses.centre_ev is None else pulses.centre_ev,
        fwhm_ev=pulses.fwhm_ev,
        pulse_fwhm_fs=pulses.pulse_fwhm_fs,
        nodes=pulses.nodes,
        span_fwhm=pulses.span_fwhm,
    )
