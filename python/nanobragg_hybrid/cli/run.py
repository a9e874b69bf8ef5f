"""One run of the drop-in command, from words to files."""

from __future__ import annotations

import dataclasses
import json
import math
import stat
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.backends import get_backend
from nanobragg_hybrid.cli.facts import Images, facts, plan_facts
from nanobragg_hybrid.cli.log import Log
from nanobragg_hybrid.cli.pixels import printout_lines, trace_lines
from nanobragg_hybrid.cli.progress import Progress
from nanobragg_hybrid.cli.report import log_files, log_image, log_setup
from nanobragg_hybrid.config.seeds import with_clock_seeds
from nanobragg_hybrid.errors import CommandLineError, NanobraggWarning
from nanobragg_hybrid.images import integer_image, noise_image, pgm_image
from nanobragg_hybrid.io import (
    SmvHeader,
    atomic_write,
    read_dump,
    read_hkl,
    write_dump,
    write_pgm,
    write_raw,
    write_smv,
    write_text,
)
from nanobragg_hybrid.memory import require_memory
from nanobragg_hybrid.nanobragg_args import parse_command
from nanobragg_hybrid.quirks import Quirks
from nanobragg_hybrid.simulate import memory_needed, simulate
from nanobragg_hybrid.structure_factors import StructureFactors

if TYPE_CHECKING:
    from nanobragg_hybrid.c_engine.engine import Plan
    from nanobragg_hybrid.cli.options import Options
    from nanobragg_hybrid.nanobragg_args.command import Command
    from nanobragg_hybrid.result import SimulationResult

Say = Callable[[str], None]


class UsageError(CommandLineError):
    """The command line lacks what every run needs."""


def run(options: Options, command_line: str, say: Say) -> None:
    """Renders what `options` ask for and writes all files.

    `command_line` is recorded; `say` gets warnings.  Raises errors of the package; then no output
    file has been touched, unless writing itself failed.
    """
    now_s = time.time()
    messages: list[str] = []

    def warn(text: str) -> None:
        messages.append(text)
        say(f"warning: {text}")

    get_backend(options.backend)
    quirks = Quirks.parse(options.quirks)
    with _reader_warnings(warn):
        command = parse_command(options.words, quirks=quirks, strict=options.strict)
        for text in command.warnings:
            warn(text)
        for words in command.ignored:
            warn(f"{words}: accepted, has no effect on the image")
        _require_crystal(command)
        table = _structure_factors(command, warn)
    command = dataclasses.replace(command, experiment=with_clock_seeds(command.experiment, now_s))
    json_path = None if options.json is None else Path(options.json)
    _check_outputs(_outputs(command) | ({"JSON": json_path} if json_path is not None else {}))

    log = Log()
    log.line(f"nanoBragg (nanobragg-hybrid {__version__}), backend {options.backend}")
    log.line(f"quirks: {quirks}")
    require_memory(memory_needed(command.experiment, table))
    plan = _plan(command, table)
    info = plan.info()
    misset_random = command.experiment.crystal.misset_random
    log_setup(log, command, table, plan_facts(info, misset_random=misset_random), info)
    _print_pixels(log, command, plan, info, options.threads)
    log.flush()

    result = _simulate(command, table, options)
    for text in result.warnings:
        warn(text)
    images = Images(
        integer=integer_image(result),
        pgm=None if command.pgm_path is None else pgm_image(result),
        noise=None if command.noise_path is None else noise_image(result),
    )
    log_image(log, result.statistics, images)
    files = _write(command, table, result, images)
    log_files(log, files)
    if result.quirks_that_mattered:
        log.group("quirks that could have changed this image")
        for name in result.quirks_that_mattered:
            log.line(f"  {name}")
    if json_path is not None:
        document = {
            "format": "nanobragg-hybrid run",
            "schema_version": 1,
            "version": __version__,
            "command": command_line,
            "facts": facts(result, command, images, table.reflections),
            "statistics": dataclasses.asdict(result.statistics),
            "info": dict(result.info),
            "provenance": dict(result.provenance),
            "quirks_that_mattered": list(result.quirks_that_mattered),
            "files": files,
            "warnings": messages,
        }
        write_text(json_path, json_text(document))
    log.flush()


def json_text(document: Mapping[str, Any]) -> str:
    """JSON of plain data and arrays; numbers that are not finite become words: nan, inf, -inf."""
    return json.dumps(_plain(document), indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0.0 else "-inf"
    if isinstance(value, Path):
        return str(value)
    return value


@contextmanager
def _reader_warnings(warn: Say) -> Iterator[None]:
    """Sends the warnings of file readers to `warn`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NanobraggWarning)
        try:
            yield
        finally:
            for warning in caught:
                warn(str(warning.message))


def _require_crystal(command: Command) -> None:
    crystal = command.experiment.crystal
    if crystal.cell_angstrom is None and crystal.orientation_matrix is None:
        raise UsageError("there is no crystal: give -cell (a > 0) or -mat")


def _structure_factors(command: Command, warn: Say) -> StructureFactors:
    """From -hkl, else from a dump, else the -default_F alone."""
    default_f, quirks = command.default_f, command.quirks
    if command.hkl_path is not None:
        table = read_hkl(command.hkl_path, default_f=default_f, quirks=quirks)
    elif command.dump_named or command.dump_path.exists():
        if not command.dump_named:
            warn(f"{command.dump_path}: there is no -hkl, so structure factors come from this file")
        table = read_dump(command.dump_path, default_f=default_f, quirks=quirks)
    elif default_f != 0.0:
        return StructureFactors.constant(default_f)
    else:
        raise UsageError("there are no structure factors: give -hkl, -dump or a -default_F not 0")
    return table


def _outputs(command: Command) -> dict[str, Path]:
    """Every file that the command writes, by what it holds."""
    wanted = {
        "float image": command.float_path,
        "integer image": command.int_path,
        "PGM picture": command.pgm_path,
        "noise image": command.noise_path,
        "structure factor dump": None if command.hkl_path is None else command.dump_path,
    }
    return {kind: path for kind, path in wanted.items() if path is not None}


class _OnlyAskingError(Exception):
    """Leaves `atomic_write` without writing."""


def _check_outputs(paths: Mapping[str, Path]) -> None:
    """Raises `FileAccessError` for the first file that cannot be written, before any time is spent
    on rendering.  What is no regular file (a pipe, /dev/null) is not tried."""
    for path in paths.values():
        if _is_special(path):
            continue
        try:
            with atomic_write(path):
                raise _OnlyAskingError
        except _OnlyAskingError:
            pass


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _plan(command: Command, table: StructureFactors) -> Plan:
    from nanobragg_hybrid.c_engine.engine import plan_for

    return plan_for(command.experiment, table, command.quirks)


def _simulate(command: Command, table: StructureFactors, options: Options) -> SimulationResult:
    meter = Progress() if command.progress else None
    try:
        return simulate(
            command.experiment,
            table,
            backend=options.backend,
            quirks=command.quirks,
            threads=options.threads,
            progress=None if meter is None else meter.update,
        )
    finally:
        if meter is not None:
            meter.close()


def _print_pixels(
    log: Log, command: Command, plan: Plan, info: Mapping[str, Any], threads: int | None
) -> None:
    if command.trace_pixel is not None:
        trace = plan.trace(*command.trace_pixel, threads)
        for line in trace_lines(trace, info, command.experiment.sampling):
            log.line(line)
    pixels: list[tuple[int, int]] = []
    if command.printout_pixel is not None:
        pixels = [command.printout_pixel]
    elif command.printout:
        pixels = [
            (fast, slow)
            for slow in range(info["roi_slow_min"], info["roi_slow_max"] + 1)
            for fast in range(info["roi_fast_min"], info["roi_fast_max"] + 1)
        ]
    for fast, slow in pixels:
        for line in printout_lines(plan.trace(fast, slow, threads)):
            log.line(line)


def _write(
    command: Command, table: StructureFactors, result: SimulationResult, images: Images
) -> dict[str, str]:
    """Writes every file; returns kind -> path."""
    header = SmvHeader.from_plan_info(result.info)
    quirks = command.quirks
    if command.hkl_path is not None:
        write_dump(command.dump_path, table)
    write_raw(command.float_path, result.image)
    write_smv(command.int_path, images.integer.pixels, header, quirks)
    if command.pgm_path is not None and images.pgm is not None:
        write_pgm(command.pgm_path, images.pgm.pixels, images.pgm.scale_used)
    if command.noise_path is not None and images.noise is not None:
        write_smv(command.noise_path, images.noise.pixels, header, quirks)
    return {kind: str(path) for kind, path in _outputs(command).items()}
