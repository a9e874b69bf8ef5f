"""The experiment: everything an image depends on, except the structure factors and the quirks."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nanobragg_hybrid.errors import ConfigError, NanobraggWarning
from nanobragg_hybrid.record import Record

from .beam import Beam
from .crystal import Crystal
from .detector import Detector
from .goniometer import Goniometer
from .output import Output
from .sampling import Sampling
from .validate import Instance, check_fields, meta

if TYPE_CHECKING:
    from nanobragg_hybrid.quirks import Quirks

    from .serialize import SavedRun


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Experiment(Record):
    """One experiment: frozen, comparable, hashable, savable.

    beam, crystal, goniometer, detector, sampling, output: objects of the classes `Beam`, `Crystal`,
        `Goniometer`, `Detector`, `Sampling`, `Output`; each defaults to its defaults.

    A field that is None means "choose for me"; `resolved` shows what is chosen.  Raises
    `ConfigError` for a part of another class.
    """

    beam: Beam = field(default=Beam(), metadata=meta(Instance(Beam)))
    crystal: Crystal = field(default=Crystal(), metadata=meta(Instance(Crystal)))
    goniometer: Goniometer = field(default=Goniometer(), metadata=meta(Instance(Goniometer)))
    detector: Detector = field(default=Detector(), metadata=meta(Instance(Detector)))
    sampling: Sampling = field(default=Sampling(), metadata=meta(Instance(Sampling)))
    output: Output = field(default=Output(), metadata=meta(Instance(Output)))

    def __post_init__(self) -> None:
        check_fields(self, "")

    def replace(self, changes: Mapping[str, Any]) -> Experiment:
        """A copy with other values, given by dotted path: ``{"crystal.n_cells": (5, 5, 5)}``.

        A whole part may be given by its name.  All changes of a part happen together.  Raises
        `ConfigError` for an unknown path and every value that breaks its rule.
        """
        parts: dict[str, Any] = {}
        by_part: dict[str, dict[str, Any]] = {}
        for path, value in changes.items():
            part, dot, name = path.partition(".")
            known = part in _PARTS and (not dot or name in _PARTS[part])
            if not known:
                raise ConfigError("experiment", path, "a path like crystal.n_cells")
            if dot:
                by_part.setdefault(part, {})[name] = value
            else:
                parts[part] = value
        whole = dataclasses.replace(self, **parts)
        return dataclasses.replace(
            whole,
            **{
                part: dataclasses.replace(getattr(whole, part), **values)
                for part, values in by_part.items()
            },
        )

    def resolved(self, quirks: Quirks | None = None) -> Experiment:
        """A copy in which "choose for me" fields hold what the C engine's plan chose.

        `quirks`: all on if None.  It renders as this experiment does; which fields cannot be filled
        without changing the image, and stay None, says `config.resolved.resolved_from_info`.
        Raises what the engine raises for an experiment that cannot be rendered.
        """
        from nanobragg_hybrid.c_engine.engine import resolve
        from nanobragg_hybrid.quirks import Quirks

        resolved: Experiment = resolve(self, Quirks() if quirks is None else quirks)
        return resolved

    def to_dict(self, quirks: Quirks | None = None) -> dict[str, Any]:
        """Plain data: the inverse of `from_dict`; with an entry for `quirks` if they are given."""
        from .serialize import experiment_to_dict

        return experiment_to_dict(self, quirks)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Experiment:
        """From plain data with a schema version; unknown keys are errors (`ConfigError`).

        Warns if the data names quirks that are not all on, because they are no part of it.
        """
        from .serialize import experiment_from_dict

        return experiment_from_dict(data)

    def to_json(self, quirks: Quirks | None = None) -> str:
        """JSON text: the inverse of `from_json`, to the last bit; with an entry for `quirks`."""
        from .serialize import experiment_to_json

        return experiment_to_json(self, quirks)

    @classmethod
    def from_json(cls, text: str) -> Experiment:
        """From JSON text; `FileFormatError` if it is no JSON, else as `from_dict`."""
        from .serialize import experiment_from_json

        return experiment_from_json(text)

    def save(self, path: str | os.PathLike[str], quirks: Quirks | None = None) -> None:
        """Writes the JSON text to a file, with the quirks to render it with if they are given.

        Raises `FileAccessError` if it cannot be written.
        """
        from nanobragg_hybrid.io.atomic import atomic_write

        text = self.to_json(quirks)
        with atomic_write(path) as file:
            file.write(text.encode("utf-8"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Experiment:
        """Reads the experiment of a file written by `save`; `load_run` reads its quirks as well.

        Warns if the file names quirks that are not all on.  Raises `FileAccessError`,
        `FileFormatError`, or `ConfigError` for the values in it.
        """
        from nanobragg_hybrid.io.text import read_text

        from .serialize import experiment_from_json

        return experiment_from_json(read_text(path), os.fspath(path))

    @classmethod
    def from_nanobragg_args(
        cls, args: str | Sequence[str], folder: str | os.PathLike[str] = "."
    ) -> Experiment:
        """The experiment that a nanoBragg command line means.

        `args`: the words, or one text that is split as a shell would; files it names are read from
        `folder`.  The structure factors that it names are not part of the experiment: see
        `nanobragg_args.parse_command`.  Warns (`NanobraggWarning`) about words that are passed over
        or mean more than they seem to.  Raises `CommandLineError`, `ConfigError` and file errors.
        """
        from nanobragg_hybrid.nanobragg_args import parse_command

        command = parse_command(args, folder)
        for text in command.warnings:
            warnings.warn(text, NanobraggWarning, stacklevel=2)
        experiment: Experiment = command.experiment
        return experiment

    def to_nanobragg_args(self, folder: str | os.PathLike[str] | None = None) -> list[str]:
        """The words of a nanoBragg command line that mean this experiment.

        `folder`: where to write the files that the words name (matrix, sources, mask); None: raise
        `ConfigError` or `UnsupportedError` if one is needed, or if no words can say something.
        """
        from nanobragg_hybrid.nanobragg_args import emit_args

        words: list[str] = emit_args(self, folder)
        return words


def load_run(path: str | os.PathLike[str]) -> SavedRun:
    """Reads a file written by `Experiment.save`: the experiment, and the quirks to render it with.

    All quirks are on if the file says nothing about them.  Raises `FileAccessError`,
    `FileFormatError`, also for quirks that there are not, or `ConfigError` for other values.
    """
    from nanobragg_hybrid.io.text import read_text

    from .serialize import run_from_json

    return run_from_json(read_text(path), os.fspath(path))


_PARTS = {
    part.name: {f.name for f in dataclasses.fields(part.metadata["rule"].of)}
    for part in dataclasses.fields(Experiment)
}
