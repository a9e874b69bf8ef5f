"""From nanoBragg's words to an experiment and its structure factors: everything a run reads."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.base.errors import CommandLineError, NanobraggWarning
from nanobragg_hybrid.model.structure_factors import StructureFactors

if TYPE_CHECKING:
    from nanobragg_hybrid.arguments.command import Command
    from nanobragg_hybrid.cli.nanobragg.options import Options
    from nanobragg_hybrid.model.quirks import Quirks

Warn = Callable[[str], None]


class UsageError(CommandLineError):
    """The command line lacks what every run needs."""


class Input(NamedTuple):
    """A command line and the structure factors that it names."""

    command: Command
    table: StructureFactors

    def files(self) -> list[Path]:
        """The files that no output may replace; an image read by -img is none of them."""
        paths = list(self.command.inputs)
        if self.command.hkl_path is not None:
            paths.append(self.command.hkl_path)
        elif self.table.grid_buffer is not None:
            paths.append(self.command.dump_path)
        return paths


def read_input(options: Options, quirks: Quirks, warn: Warn) -> Input:
    """Reads the words and every file they name; `warn` gets the text of each oddity."""
    command = read_command(options, quirks, warn)
    with _reader_warnings(warn, strict=options.strict):
        return Input(command, _structure_factors(command, warn, strict=options.strict))


def read_command(options: Options, quirks: Quirks, warn: Warn) -> Command:
    """The same without the structure factors."""
    with _reader_warnings(warn, strict=options.strict):
        command = parse_command(options.arguments, quirks=quirks, strict=options.strict)
        for text in command.warnings:
            warn(text)
        for arguments in command.ignored:
            warn(f"{arguments}: accepted, has no effect on the image")
    if options.response is not None:
        from nanobragg_hybrid.formats.experiment_json import load_light

        background, response = load_light(options.response)
        light = {"background": background, "response": response}
        command = command._replace(
            experiment=command.experiment.replace(light),
            inputs=(*command.inputs, Path(options.response)),
        )
    crystal = command.experiment.crystal
    if crystal.cell_angstrom is None and crystal.orientation_matrix is None:
        raise UsageError("there is no crystal: give -cell (a > 0) or -mat")
    return command


@contextmanager
def _reader_warnings(warn: Warn, *, strict: bool) -> Iterator[None]:
    """Sends the warnings of file readers to `warn`; with `strict` the first one is an error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NanobraggWarning)
        try:
            yield
        finally:
            if not strict:
                for warning in caught:
                    warn(str(warning.message))
    if strict and caught:
        raise CommandLineError(str(caught[0].message))


def _is_missing(path: Path) -> bool:
    """Whether there is no such file; another reason for which it cannot be read is none."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def _structure_factors(command: Command, warn: Warn, *, strict: bool) -> StructureFactors:
    """From -hkl, else from a dump, else the -default_F alone."""
    default_f, quirks = command.default_f, command.quirks
    if command.hkl_path is not None:
        from nanobragg_hybrid.formats.hkl import read_hkl

        return read_hkl(command.hkl_path, default_f=default_f, quirks=quirks)
    if command.dump_named or command.dump_path.exists():
        from nanobragg_hybrid.formats.dump import read_dump

        if not command.dump_named:
            warn(f"{command.dump_path}: there is no -hkl, so structure factors come from this file")
        if default_f == 0.0 or strict or not _is_missing(command.dump_path):
            return read_dump(command.dump_path, default_f=default_f, quirks=quirks)
        warn(f"{command.dump_path}: there is no such dump, so -default_F counts everywhere")
    if default_f == 0.0:
        raise UsageError("there are no structure factors: give -hkl, -dump or a -default_F not 0")
    return StructureFactors.constant(default_f)
