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
    from nanobragg_hybrid.arguments.parse import Complete
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
    command = _read_command(options, quirks, warn)
    if not _hkl_may_have_a_cell(command):
        _require_crystal(command)
    with _reader_warnings(warn, strict=options.strict):
        table = _structure_factors(command, warn, options)
        return Input(_with_cell_of(command, table, warn), table)


def read_input_again(
    options: Options, quirks: Quirks, warn: Warn, table: StructureFactors
) -> Input:
    """The same with structure factors that have been read."""
    command = _read_command(options, quirks, warn)
    with _reader_warnings(warn, strict=options.strict):
        return Input(_with_cell_of(command, table, warn), table)


def _read_command(options: Options, quirks: Quirks, warn: Warn) -> Command:
    with _reader_warnings(warn, strict=options.strict):
        command = parse_command(
            options.arguments,
            quirks=quirks,
            strict=options.strict,
            complete=None if options.experiment is None else _completed_by(options, quirks),
        )
        if options.experiment is not None:
            command = command._replace(inputs=(*command.inputs, Path(options.experiment)))
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
    return command


def _has_crystal(command: Command) -> bool:
    crystal = command.experiment.crystal
    return crystal.cell_angstrom is not None or crystal.orientation_matrix is not None


def _require_crystal(command: Command) -> None:
    if not _has_crystal(command):
        raise UsageError("there is no crystal: give -cell (a > 0) or -mat")


def _hkl_may_have_a_cell(command: Command) -> bool:
    """Whether -hkl names a file of reflections or a model: not text of h k l F."""
    if command.hkl_path is None:
        return False
    from nanobragg_hybrid.formats.any_structure_factors import WITH_GEMMI, own_kind

    return own_kind(command.hkl_path) in WITH_GEMMI


def _with_cell_of(command: Command, table: StructureFactors, warn: Warn) -> Command:
    """The command with the cell of its structure factors, if it has none and they have one."""
    if table.report is None or table.report.cell_angstrom is None:
        _require_crystal(command)
        return command
    from nanobragg_hybrid.cli.nanobragg.reflections import cell_doubt, experiment_with_cell

    if _has_crystal(command):
        doubt = cell_doubt(command.experiment, table.report)
        if doubt is not None:
            warnings.warn(doubt, NanobraggWarning, stacklevel=2)
        return command
    warn(f"{table.report.source}: there is no -cell and no -mat, so the cell comes from this file")
    return command._replace(experiment=experiment_with_cell(command.experiment, table.report))


def _completed_by(options: Options, quirks: Quirks) -> Complete:
    """What puts the geometry of --experiment in the place of the words' own."""
    from nanobragg_hybrid.cli.nanobragg.geometry_file import with_geometry

    return lambda words, complain: with_geometry(words, options, quirks, complain)


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


def _structure_factors(command: Command, warn: Warn, options: Options) -> StructureFactors:
    """From -hkl, else from a dump, else the -default_F alone."""
    default_f, quirks, strict = command.default_f, command.quirks, options.strict
    if command.hkl_path is not None and _hkl_may_have_a_cell(command):
        from nanobragg_hybrid.cli.nanobragg.reflections import read_for_command

        return read_for_command(command.hkl_path, command, options.columns)
    if options.column is not None:
        where = "there is no -hkl" if command.hkl_path is None else f"{command.hkl_path} has none"
        raise CommandLineError(f"--column: chooses a column of -hkl with MTZ or CIF, and {where}")
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
