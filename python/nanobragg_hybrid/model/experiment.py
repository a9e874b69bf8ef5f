"""The experiment: everything an image depends on, except the structure factors and the quirks."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nanobragg_hybrid.base.errors import ConfigError, suggestion
from nanobragg_hybrid.base.lazy import work_of
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.model.beam import Beam
from nanobragg_hybrid.model.conventions import DIRECTIONS
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.detector import Detector, several_panels
from nanobragg_hybrid.model.goniometer import Goniometer
from nanobragg_hybrid.model.output import Output
from nanobragg_hybrid.model.sampling import Sampling
from nanobragg_hybrid.model.sketch import Sketch
from nanobragg_hybrid.model.validate import Instance, InstanceIn, Optional, check_fields, meta

if TYPE_CHECKING:
    from nanobragg_hybrid.model.background import Background
    from nanobragg_hybrid.model.quirks import Quirks
    from nanobragg_hybrid.model.response import Response


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Experiment(Record):
    """One experiment: frozen, comparable, hashable, savable.

    >>> import nanobragg_hybrid as nb
    >>> experiment = nb.Experiment.from_nanobragg_args("-cell 70 80 90 75 85 95 -lambda 1.5 -N 5")
    >>> experiment.beam.wavelength_angstrom, experiment.crystal.n_cells
    (1.5, (5.0, 5.0, 5.0))
    >>> experiment.replace({"beam.wavelength_angstrom": 1.0}).beam.wavelength_angstrom
    1.0

    beam, crystal, goniometer, detector, sampling, output: objects of the classes `Beam`, `Crystal`,
        `Goniometer`, `Detector`, `Sampling`, `Output`; each defaults to its defaults.
    background: `Background`, light beside the crystal's spots; None (default): none.
    response: `Response`, what the detector makes of the photons; None (default): no counts.

    A field that is None means "choose for me"; `resolved` shows what is chosen.  Raises
    `ConfigError` for a part of another class, and for an offset of the background on a panel that
    the detector does not have.
    """

    beam: Beam = field(default=Beam(), metadata=meta(Instance(Beam)))
    crystal: Crystal = field(default=Crystal(), metadata=meta(Instance(Crystal)))
    goniometer: Goniometer = field(default=Goniometer(), metadata=meta(Instance(Goniometer)))
    detector: Detector = field(default=Detector(), metadata=meta(Instance(Detector)))
    sampling: Sampling = field(default=Sampling(), metadata=meta(Instance(Sampling)))
    output: Output = field(default=Output(), metadata=meta(Instance(Output)))
    background: Background | None = field(
        default=None,
        metadata=meta(Optional(InstanceIn("nanobragg_hybrid.model.background", "Background"))),
    )
    response: Response | None = field(
        default=None,
        metadata=meta(Optional(InstanceIn("nanobragg_hybrid.model.response", "Response"))),
    )

    def __post_init__(self) -> None:
        check_fields(self, "")
        panels = self.detector.panel_count
        if self.background is not None:
            for n, offset in enumerate(self.background.offsets):
                if offset.panel >= panels:
                    rule = f"a panel of the detector, 0 to {panels - 1}"
                    raise ConfigError(f"background.offsets[{n}].panel", offset.panel, rule)
        if self.response is not None and self.response.point_spread is not None:
            size = self.detector.pixel_size_mm
            sizes = [panel.pixel_size_mm for panel in self.detector.panels or ()] or [size]
            for edges in sizes:
                if isinstance(edges, tuple):
                    rule = f"None with pixels that are not square, {edges[0]:g} x {edges[1]:g} mm"
                    raise ConfigError("response.point_spread", self.response.point_spread, rule)
        if self.detector.panels is not None and self.sampling.roi is not None:
            rule = "None beside detector.panels, each of which has a roi"
            raise ConfigError("sampling.roi", self.sampling.roi, rule, "px")

    def replace(self, changes: Mapping[str, Any]) -> Experiment:
        """A copy with other values, given by dotted path: ``{"crystal.n_cells": (5, 5, 5)}``.

        A whole part may be given by its name.  All changes of a part happen together.  Raises
        `ConfigError` for an unknown path, for a field of a part that is None and for every value
        that breaks its rule.
        """
        parts: dict[str, Any] = {}
        by_part: dict[str, dict[str, Any]] = {}
        if not isinstance(changes, Mapping):
            raise ConfigError("changes", changes, "a mapping from paths to values")
        for path, value in changes.items():
            part, dot, name = str(path).partition(".")
            known = part in _parts() and (not dot or name in _parts()[part])
            if not known or not isinstance(path, str):
                rule = f"a path like crystal.n_cells{_near_path(path)}"
                raise ConfigError("experiment", path, rule)
            if dot:
                by_part.setdefault(part, {})[name] = value
            else:
                parts[part] = value
        whole = dataclasses.replace(self, **parts)
        for part, values in by_part.items():
            if getattr(whole, part) is None:
                rule = f"a path into a part that there is: {part} is None, give all of it"
                raise ConfigError("experiment", f"{part}.{next(iter(values))}", rule)
        return dataclasses.replace(
            whole,
            **{
                part: dataclasses.replace(getattr(whole, part), **values)
                for part, values in by_part.items()
            },
        )

    def of_panel(self, which: int | str, quirks: Quirks | None = None) -> Experiment:
        """The experiment of one panel alone: it defines that panel's image (model 3.1).

        which: number, from 0, or name.  quirks: all on if None; an upstream panel needs to know
        (quirk normal_towards_source).  A detector without `panels` has the number 0, itself.  Every
        panel is the first of its run: what depends on the serial order of pixels starts anew.

        Raises `ConfigError` (``panel``) for a panel that is not there.
        """
        if quirks is not None:
            from nanobragg_hybrid.model.quirks import quirks_or_all

            quirks = quirks_or_all(quirks)
        detector, number = self.detector, self.detector.panel_number(which)
        if detector.panels is None:
            return self
        from nanobragg_hybrid.model.panel import detector_fields

        whole, panel = self.with_directions(), detector.panels[number]
        b = whole.beam.direction
        assert b is not None
        faces_source = quirks is None or quirks.normal_towards_source
        sampling = self.sampling
        if panel.roi is not None:
            sampling = dataclasses.replace(sampling, roi=panel.roi)
        return dataclasses.replace(
            whole,
            detector=Detector(
                **detector_fields(panel, b, faces_source),
                twotheta_axis=detector.twotheta_axis or DIRECTIONS[detector.convention].twotheta,
                rotation_deg=detector.rotation_deg,
                twotheta_deg=detector.twotheta_deg,
                point_pixel=detector.point_pixel,
            ),
            sampling=sampling,
            background=None if self.background is None else self.background.of_panel(number),
            response=None if self.response is None else self.response.of_panel(number),
        )

    def with_directions(self) -> Experiment:
        """A copy in which the directions that the convention says are given: of the beam, its
        polarization and the spindle (model 3.1)."""
        directions = DIRECTIONS[self.detector.convention]
        beam, goniometer = self.beam, self.goniometer
        if beam.direction is None or beam.polarization_axis is None:
            beam = dataclasses.replace(
                beam,
                direction=beam.direction or directions.beam,
                polarization_axis=beam.polarization_axis or directions.polarization,
            )
        if goniometer.spindle_axis is None:
            goniometer = dataclasses.replace(goniometer, spindle_axis=directions.spindle)
        if beam is self.beam and goniometer is self.goniometer:
            return self
        return dataclasses.replace(self, beam=beam, goniometer=goniometer)

    def with_cell(self) -> Experiment:
        """A copy whose crystal is said by its cell and missetting angles, not by an orientation
        matrix; itself where it has none.

        So the numbers of the cell can be fitted.  Lengths and angles are rounded to 1e-9.  A
        triclinic cell is rendered as it is said with the quirk triclinic_cell off.  Raises
        `ConfigError` for a matrix that is no right-handed cell, and with ``misset_random``.
        """
        crystal = self.crystal
        if crystal.orientation_matrix is None:
            return self
        if crystal.misset_random:
            rule = "False beside an orientation matrix, to have angles"
            raise ConfigError("crystal.misset_random", True, rule)
        from nanobragg_hybrid.model.cell_of_matrix import cell_and_misset

        found = cell_and_misset(
            crystal.orientation_matrix, crystal.misset_deg, self.beam.wavelength_angstrom
        )
        changed = dataclasses.replace(crystal, orientation_matrix=None, **found._asdict())
        return dataclasses.replace(self, crystal=changed)

    def of_only_panel(self, quirks: Quirks | None = None) -> Experiment:
        """Itself, or the experiment of its only panel; `ConfigError` if it has several."""
        count = self.detector.panel_count
        if count > 1:
            instead = "Experiment.of_panel(n) is the experiment of one of them"
            raise several_panels("detector.panels", count, instead)
        return self.of_panel(0, quirks)

    def resolved(self, quirks: Quirks | None = None) -> Experiment:
        """A copy in which "choose for me" fields hold what the C engine's plan chose.

        `quirks`: all on if None.  It renders as this experiment does; which fields cannot be filled
        without changing the image, and stay None, says `run.resolve.resolved_from_plan`.
        Raises what the engine raises for an experiment that cannot be rendered.
        """
        resolved: Experiment = work_of("Experiment.resolved")(self, quirks)
        return resolved

    def to_dict(self, quirks: Quirks | None = None) -> dict[str, Any]:
        """Plain data: the inverse of `from_dict`; with an entry for `quirks` if they are given."""
        data: dict[str, Any] = work_of("Experiment.to_dict")(self, quirks)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Experiment:
        """From plain data with a schema version; unknown keys are errors (`ConfigError`).

        Warns if the data names quirks that are not all on, because they are no part of it.
        """
        experiment: Experiment = work_of("Experiment.from_dict")(data)
        return experiment

    def sketch(self) -> Sketch:
        """A drawing to scale of beam, sample, spindle and all panels, from the side, from above and
        along the beam; the crystal does not matter.  Notebooks show it, `Sketch.save` writes SVG.

        Raises what `prepare` raises for a detector that cannot be.
        """
        made: Sketch = work_of("Experiment.sketch")(self)
        return made

    def to_json(self, quirks: Quirks | None = None) -> str:
        """JSON text: the inverse of `from_json`, to the last bit; with an entry for `quirks`."""
        text: str = work_of("Experiment.to_json")(self, quirks)
        return text

    @classmethod
    def from_json(cls, text: str) -> Experiment:
        """From JSON text; `FileFormatError` if it is no JSON, else as `from_dict`."""
        experiment: Experiment = work_of("Experiment.from_json")(text)
        return experiment

    def save(self, path: str | os.PathLike[str], quirks: Quirks | None = None) -> None:
        """Writes the JSON text to a file, with the quirks to render it with if they are given.

        Raises `FileAccessError` if it cannot be written.
        """
        work_of("Experiment.save")(self, path, quirks)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Experiment:
        """Reads the experiment of a file written by `save`; `load_run` reads its quirks as well.

        Warns if the file names quirks that are not all on.  Raises `FileAccessError`,
        `FileFormatError`, or `ConfigError` for the values in it.
        """
        experiment: Experiment = work_of("Experiment.load")(path)
        return experiment

    @classmethod
    def from_nanobragg_args(
        cls, args: str | Sequence[str], folder: str | os.PathLike[str] = "."
    ) -> Experiment:
        """The experiment that a nanoBragg command line means.

        `args`: the words, or one text that is split as a shell would; files it names are read from
        `folder`.  The structure factors that it names are not part of the experiment: see
        `arguments.parse.parse_command`.  Warns (`NanobraggWarning`) about words that are passed
        over or mean more than they seem to.  Raises `CommandLineError`, `ConfigError` and file
        errors.
        """
        experiment: Experiment = work_of("Experiment.from_nanobragg_args")(args, folder)
        return experiment

    def to_nanobragg_args(self, folder: str | os.PathLike[str] | None = None) -> list[str]:
        """The words of a nanoBragg command line that mean this experiment.

        `folder`: where to write the files that the words name (matrix, sources, spectrum, mask);
        None: raise `ConfigError` or `UnsupportedError` if one is needed, or if no words can say
        something.
        """
        words: list[str] = work_of("Experiment.to_nanobragg_args")(self, folder)
        return words


@functools.cache
def _parts() -> dict[str, set[str]]:
    """Each part with the names of its fields."""
    found = {}
    for part in dataclasses.fields(Experiment):
        rule: Any = part.metadata["rule"]
        rule = getattr(rule, "rule", rule)  # that of a part which may be None
        of: type = rule.of
        found[part.name] = {field.name for field in dataclasses.fields(of)}
    return found


def _near_path(path: object) -> str:
    """The suggestion: the field of that name of some part, or the nearest of all paths."""
    paths = [f"{part}.{name}" for part, names in _parts().items() for name in names]
    same = [known for known in paths if known.endswith(f".{path}")]
    return f" (did you mean {same[0]}?)" if same else suggestion(path, [*_parts(), *paths])
