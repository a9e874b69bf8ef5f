"""The recipe of a series of frames: frame i is a function of the recipe and of i alone."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple

from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.lazy import work_of
from nanobragg_hybrid.base.philox import Purpose, stream
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.base.units import energy_ev_to_wavelength_angstrom
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.series_kinds import (
    ParameterGrid,
    RandomStills,
    RotationWedge,
    SasePulses,
    SeriesKind,
    grid_as_stored,
    grid_changes,
    sase_pulse,
)
from nanobragg_hybrid.model.validate import (
    Instance,
    Integer,
    Number,
    Optional,
    meta,
    normalised,
    require_class,
)

MOST_FRAMES: Final = 10**7
_SPREAD: Final = Number(at_least=0.0, below=1.0)


class _Seed(Integer):
    """A whole number from 0 to 2147483647, whose rule says the upper bound too."""

    @property
    def text(self) -> str:
        """What is needed."""
        return f"an integer from {self.at_least} to {self.at_most}"


_KINDS: Final = (RotationWedge, RandomStills, ParameterGrid)


class SeriesFrame(NamedTuple):
    """One frame of a series.

    experiment: what is rendered; its counts are those of the frame's number.  provenance: "frame",
    "kind", "changes" (dotted path -> value in the place of the series' own, but for the spectrum of
    a pulse) and, where they are drawn, "flux_factor", "size_factor", "sase_seed".
    """

    experiment: Experiment
    provenance: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Series(Record):
    """Frames of one experiment: a rotation, stills in random orientations, or a grid.

    `rotation`, `stills` and `grid` make one; `frame` is one of its frames.  Frozen, comparable,
    savable.

    experiment: what all frames share.
    kind: `RotationWedge`, `RandomStills` or `ParameterGrid`.
    frames: their number, 1 to 10000000; of a grid that of its combinations.
    seed: of all that is drawn for frames, 0 to 2147483647, default 0: orientations, jitter, pulses,
        mosaic domains of stills, nanoBragg's noise.  The noise of a response has its own seed.
    spectrum: `SasePulses`, another pulse for each frame; None (default): the beam's.
    flux_jitter: relative standard deviation of the fluence from frame to frame, 0 to < 1, default
        0; log-normal with mean 1, on fluence and flux.
    size_jitter: the same of the crystal's size, n_cells and size_mm, one factor for its three axes.
        Of the shape "square" n_cells is rounded to whole numbers >= 1, as only they are crystals of
        this shape; `SeriesFrame.provenance` has both the factor and the n_cells used.

    Everything drawn comes from Philox with the key (seed, frame number): it depends on neither the
    order of frames nor on who renders them.

    Raises `ConfigError` for a value that breaks its rule; for seeds that would come from the clock
    or that the series draws; for stills of an experiment with an oscillation.
    """

    experiment: Experiment = field(metadata=meta(Instance(Experiment)))
    kind: SeriesKind = field()
    frames: int = field(metadata=meta(Integer(at_least=1, at_most=MOST_FRAMES)))
    seed: int = field(default=0, metadata=meta(_Seed(at_least=0)))
    spectrum: SasePulses | None = field(default=None, metadata=meta(Optional(Instance(SasePulses))))
    flux_jitter: float = field(default=0.0, metadata=meta(_SPREAD))
    size_jitter: float = field(default=0.0, metadata=meta(_SPREAD))

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def rotation(
        cls,
        experiment: Experiment,
        frames: int,
        *,
        osc_deg: float | None = None,
        start_deg: float | None = None,
        **options: Any,
    ) -> Series:
        """Frames that follow each other.

        osc_deg, start_deg: see `RotationWedge`; None: osc_deg and phi_deg of the experiment's
        goniometer.  options: seed, spectrum, flux_jitter, size_jitter.
        """
        require_class("experiment", experiment, Experiment)
        goniometer = experiment.goniometer
        width = goniometer.osc_deg if osc_deg is None else osc_deg
        if width is None:
            rule = "a value > 0, here or as goniometer.osc_deg of the experiment"
            raise ConfigError("osc_deg", None, rule, "deg")
        start = goniometer.phi_deg if start_deg is None else start_deg
        return cls(experiment, RotationWedge(start, width), frames, **_known(options))

    @classmethod
    def stills(cls, experiment: Experiment, frames: int, **options: Any) -> Series:
        """Stills in random orientations.  options: seed, spectrum, flux_jitter, size_jitter."""
        return cls(experiment, RandomStills(), frames, **_known(options))

    @classmethod
    def grid(
        cls,
        experiment: Experiment,
        axes: Mapping[str, SequenceOf[Any]] | SequenceOf[tuple[str, SequenceOf[Any]]],
        **options: Any,
    ) -> Series:
        """Every combination of values, see `ParameterGrid`.

        options: seed, spectrum, flux_jitter, size_jitter.
        """
        kind = ParameterGrid(axes)  # type: ignore[arg-type]
        return cls(experiment, kind, kind.size, **_known(options))

    def __len__(self) -> int:
        return self.frames

    def frame(self, number: int) -> SeriesFrame:
        """Frame `number`, from 0.  Raises `ConfigError`, also for a combination of a grid's values
        that cannot be."""
        number = self._number(number)
        experiment, changes = self._of_kind(number)
        provenance: dict[str, Any] = {"frame": number, "kind": kind_name(self.kind)}
        drawn: dict[str, Any] = {"output.noise_seed": self._seed(number, "classic noise")}
        if experiment.crystal.misset_seed is None:
            drawn["crystal.misset_seed"] = 0  # nothing asks for it; the clock would fill it in
        if self.flux_jitter > 0.0:
            factor = self._factor(number, "pulse energy", self.flux_jitter)
            provenance["flux_factor"] = factor
            beam = experiment.beam
            drawn["beam.fluence_photons_per_m2"] = beam.fluence_photons_per_m2 * factor
            drawn["beam.flux_photons_per_s"] = beam.flux_photons_per_s * factor
        if self.size_jitter > 0.0:
            factor = self._factor(number, "crystal size", self.size_jitter)
            provenance["size_factor"] = factor
            crystal = experiment.crystal
            cells = tuple(n * factor for n in crystal.n_cells)
            drawn["crystal.n_cells"] = _whole(cells) if crystal.shape == "square" else cells
            sizes = tuple(None if size is None else size * factor for size in crystal.size_mm)
            drawn["crystal.size_mm"] = sizes
        provenance["changes"] = {**changes, **drawn}
        if self.spectrum is not None:
            seed = provenance["sase_seed"] = self._seed(number, "spectrum")
            beam_ev = energy_ev_to_wavelength_angstrom(experiment.beam.wavelength_angstrom)
            drawn["beam.spectrum"] = sase_pulse(self.spectrum, seed, beam_ev)
        return SeriesFrame(experiment.replace(drawn), provenance)

    def undrawn(self, number: int) -> Experiment:
        """The experiment of a frame before anything is drawn for it: in its place of the wedge or
        grid, without jitter, pulse and missetting."""
        number = self._number(number)
        if isinstance(self.kind, RandomStills):
            return self.experiment
        return self._of_kind(number)[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the inverse of `from_dict`."""
        data: dict[str, Any] = work_of("Series.to_dict")(self)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Series:
        """From plain data with a schema version; unknown keys are errors (`ConfigError`)."""
        series: Series = work_of("Series.from_dict")(data)
        return series

    def to_json(self) -> str:
        """JSON text: the inverse of `from_json`, to the last bit."""
        text: str = work_of("Series.to_json")(self)
        return text

    @classmethod
    def from_json(cls, text: str) -> Series:
        """From JSON text; `FileFormatError` if it is no JSON, else as `from_dict`."""
        series: Series = work_of("Series.from_json")(text)
        return series

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the JSON text to a file.  Raises `FileAccessError`."""
        work_of("Series.save")(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Series:
        """Reads a file written by `save`.  Raises `FileAccessError`, `FileFormatError`, or
        `ConfigError` for the values in it."""
        series: Series = work_of("Series.load")(path)
        return series

    def _number(self, number: object) -> int:
        rule = Integer(at_least=0, at_most=self.frames - 1)
        found: int = normalised("frame", number, rule)
        return found

    def _of_kind(self, number: int) -> tuple[Experiment, dict[str, Any]]:
        """The experiment with what the kind changes, and these changes."""
        match self.kind:
            case RotationWedge(start_deg=start, osc_deg=width):
                changes: dict[str, Any] = {
                    "goniometer.phi_deg": start + number * width,
                    "goniometer.osc_deg": width,
                }
            case RandomStills():
                changes = {"crystal.misset_deg": self._orientation(number)}
                if self.experiment.crystal.mosaic_rotations is None:
                    changes["crystal.mosaic_seed"] = self._seed(number, "mosaic domains")
            case ParameterGrid():
                changes = grid_changes(self.kind, number)
        return self.experiment.replace(changes), changes

    def _orientation(self, number: int) -> tuple[float, float, float]:
        """Angles about x, y and z of a uniform rotation: of those about x and z all are alike, of
        the one about y all sines, which is the invariant measure of rotations in these angles.
        Rounded to 1e-9 degrees, so that no library's last bit counts."""
        x, y, z = self._uniform(number, "orientation", 3)
        about_y = math.degrees(math.asin(2.0 * y - 1.0))
        return round(360.0 * x, 9), round(about_y, 9), round(360.0 * z, 9)

    def _factor(self, number: int, purpose: Purpose, spread: float) -> float:
        """Log-normal with mean 1 and this standard deviation (Box and Muller)."""
        one, two = self._uniform(number, purpose, 2)
        normal = math.sqrt(-2.0 * math.log(1.0 - one)) * math.cos(2.0 * math.pi * two)
        variance = math.log1p(spread * spread)
        return round(math.exp(math.sqrt(variance) * normal - 0.5 * variance), 12)

    def _seed(self, number: int, purpose: Purpose) -> int:
        """1 to 2147483647."""
        return 1 + int(self._uniform(number, purpose, 1)[0] * INT32_MAX)

    def _uniform(self, number: int, purpose: Purpose, count: int) -> list[float]:
        drawn: list[float] = stream(self.seed, number, 0, purpose).random(count).tolist()
        return drawn


def kind_name(kind: SeriesKind) -> str:
    """The kind as files call it."""
    match kind:
        case RotationWedge():
            return "rotation"
        case RandomStills():
            return "stills"
        case ParameterGrid():
            return "grid"


def _whole(cells: SequenceOf[float]) -> tuple[float, ...]:
    """The nearest whole numbers >= 1.  The light of the shape square, sin^2(pi N h) over
    sin^2(pi h), has no limit at a reflection for another N."""
    return tuple(float(max(1, round(n))) for n in cells)


def _known(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options that all kinds have; `ConfigError` for another one."""
    names = ("seed", "spectrum", "flux_jitter", "size_jitter")
    for name in options:
        if name not in names:
            raise ConfigError("series", name, f"one of the options {', '.join(names)}")
    return options


def _check(series: Series) -> None:
    kind: Any = series.kind
    if not isinstance(kind, _KINDS):
        names = ", ".join(each.__name__ for each in _KINDS)
        raise ConfigError("series.kind", kind, f"an object of class {names}")
    _check_fields_but_kind(series)
    experiment = series.experiment
    _require_no_clock(experiment, "series.experiment.")
    if isinstance(kind, ParameterGrid):
        kind = grid_as_stored(kind, experiment)
        _check_grid(series, kind)
        object.__setattr__(series, "kind", kind)
        if series.frames != kind.size:
            rule = f"{kind.size}, the number of the grid's combinations"
            raise ConfigError("series.frames", series.frames, rule)
    if isinstance(kind, RandomStills):
        _check_stills(experiment)
    if series.spectrum is not None:
        beam_ev = energy_ev_to_wavelength_angstrom(experiment.beam.wavelength_angstrom)
        if experiment.beam.spectrum is not None:
            rule = "None beside series.spectrum"
            raise ConfigError("series.experiment.beam.spectrum", experiment.beam.spectrum, rule)
        experiment.replace({"beam.spectrum": sase_pulse(series.spectrum, 1, beam_ev)})


def _check_fields_but_kind(series: Series) -> None:
    """Replaces the others by their normalised values."""
    for each in fields(series):
        if each.name != "kind":
            value = normalised(
                f"series.{each.name}",
                getattr(series, each.name),
                each.metadata["rule"],
                each.metadata["unit"],
            )
            object.__setattr__(series, each.name, value)


def _check_stills(experiment: Experiment) -> None:
    if experiment.crystal.misset_random:
        rule = "False: a series of stills draws the orientations"
        raise ConfigError("series.experiment.crystal.misset_random", True, rule)
    goniometer = experiment.goniometer
    for name, fine in (("osc_deg", 0.0), ("phi_steps", 1), ("phi_step_deg", 0.0)):
        value = getattr(goniometer, name)
        if value not in (None, fine):
            rule = f"{fine:g} or None for stills, which do not turn"
            raise ConfigError(f"series.experiment.goniometer.{name}", value, rule)


def _check_grid(series: Series, grid: ParameterGrid) -> None:
    """Raises `ConfigError` for a path whose values would be drawn instead."""
    drawn = {"output.noise_seed": "the series draws it"}
    if series.spectrum is not None:
        drawn["beam.spectrum"] = "series.spectrum draws it"
    for path, values in grid.axes:
        if path in drawn:
            raise ConfigError("series.kind.axes", path, f"another path: {drawn[path]}")
        for n, value in enumerate(values):
            _require_no_clock(
                series.experiment.replace({path: value}), f"series.kind.axes[{path!r}][{n}]: "
            )


def _require_no_clock(experiment: Experiment, where: str) -> None:
    """Raises `ConfigError` for seeds that would come from the clock, or that a series draws."""
    crystal, output = experiment.crystal, experiment.output
    if crystal.misset_random and crystal.misset_seed is None:
        rule = "a number beside misset_random: a series does not look at the clock"
        raise ConfigError(f"{where}crystal.misset_seed", None, rule)
    if output.noise_seed is not None:
        rule = "None: series.seed draws that of each frame"
        raise ConfigError(f"{where}output.noise_seed", output.noise_seed, rule)
