"""One run of the drop-in command, from words to files."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.backends import get_backend
from nanobragg_hybrid.cli.facts import Images, facts, plan_facts
from nanobragg_hybrid.cli.outputs import check_outputs, named_files, output_files, write_outputs
from nanobragg_hybrid.cli.pixels import printout_lines, trace_lines
from nanobragg_hybrid.cli.progress import Progress
from nanobragg_hybrid.cli.report import log_files, log_image, log_setup
from nanobragg_hybrid.config.seeds import with_clock_seeds
from nanobragg_hybrid.errors import CommandLineError, NanobraggWarning
from nanobragg_hybrid.images import integer_image, noise_image, pgm_image
from nanobragg_hybrid.memory import require_memory
from nanobragg_hybrid.nanobragg_args.parse import parse_command
from nanobragg_hybrid.quirks import Quirks
from nanobragg_hybrid.simulation import memory_needed, simulate
from nanobragg_hybrid.structure_factors import StructureFactors

if TYPE_CHECKING:
    from nanobragg_hybrid.c_engine.engine import Plan
    from nanobragg_hybrid.cli.log import Log
    from nanobragg_hybrid.cli.options import Options
    from nanobragg_hybrid.nanobragg_args.command import Command
    from nanobragg_hybrid.result import SimulationResult

Say = Callable[[str], None]


class UsageError(CommandLineError):
    """The command line lacks what every run needs."""


def run(options: Options, command_line: Sequence[str], log: Log, say: Say) -> None:
    """Renders what `options` ask for and writes all files.

    `command_line`, the words as given, is recorded; `log` gets the facts, `say` the warnings.
    Raises errors of the package; then no output file has been touched.
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
    command = command._replace(experiment=with_clock_seeds(command.experiment, now_s))
    outputs = output_files(command, options.json)
    check_outputs(outputs, _files_read(command, table))

    log.line(f"nanoBragg (nanobragg-hybrid {__version__}), backend {options.backend}")
    log.line(f"quirks: {quirks}")
    require_memory(_memory_needed(command, table))
    plan = _plan(command, table)
    info = plan.info()
    misset_random = command.experiment.crystal.misset_random
    log_setup(log, command, table, plan_facts(info, misset_random=misset_random), info)
    _print_pixels(log, command, plan, info, options.threads)
    del plan  # the engine makes its own
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

    def document() -> str:
        import shlex

        return json_text(
            {
                "format": "nanobragg-hybrid run",
                "schema_version": 1,
                "version": __version__,
                "command": shlex.join(["nanoBragg", *command_line]),
                "facts": facts(result, command, images, table.reflections),
                "statistics": dataclasses.asdict(result.statistics),
                "info": dict(result.info),
                "provenance": dict(result.provenance),
                "quirks_that_mattered": list(result.quirks_that_mattered),
                "files": named_files(outputs),
                "warnings": messages,
            }
        )

    write_outputs(outputs, command.quirks, table, result, images, document)
    log_files(log, named_files(outputs))
    if result.quirks_that_mattered:
        log.group("quirks that could have changed this image")
        for name in result.quirks_that_mattered:
            log.line(f"  {name}")
    log.flush()


def json_text(document: Mapping[str, Any]) -> str:
    """JSON of plain data and arrays; numbers that are not finite become words: nan, inf, -inf."""
    import json

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
        from nanobragg_hybrid.io.hkl import read_hkl

        return read_hkl(command.hkl_path, default_f=default_f, quirks=quirks)
    if command.dump_named or command.dump_path.exists():
        from nanobragg_hybrid.io.dump import read_dump

        if not command.dump_named:
            warn(f"{command.dump_path}: there is no -hkl, so structure factors come from this file")
        return read_dump(command.dump_path, default_f=default_f, quirks=quirks)
    if default_f == 0.0:
        raise UsageError("there are no structure factors: give -hkl, -dump or a -default_F not 0")
    return StructureFactors.constant(default_f)


def _files_read(command: Command, table: StructureFactors) -> list[Path]:
    """The files that no output may replace; an image read by -img is none of them."""
    paths = list(command.inputs)
    if command.hkl_path is not None:
        paths.append(command.hkl_path)
    elif table.grid is not None:
        paths.append(command.dump_path)
    return paths


def _memory_needed(command: Command, table: StructureFactors) -> dict[str, int]:
    """Bytes that rendering and the images made of it need, by what needs them."""
    parts = memory_needed(command.experiment, table)
    n_slow, n_fast = command.experiment.detector.shape
    for what, wanted, each in (
        ("integer image", True, 2),
        ("PGM picture", command.pgm_path is not None, 1),
        ("noise image", command.noise_path is not None, 2),
    ):
        if wanted:
            parts[what] = each * n_slow * n_fast
    return parts


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
            kernel=options.kernel,
            device=options.device,
            dtype=options.dtype,
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
    pixels: Iterable[tuple[int, int]] = ()
    if command.printout_pixel is not None:
        pixels = [command.printout_pixel]
    elif command.printout:
        pixels = (
            (fast, slow)
            for slow in range(info["roi_slow_min"], info["roi_slow_max"] + 1)
            for fast in range(info["roi_fast_min"], info["roi_fast_max"] + 1)
        )
    for fast, slow in pixels:
        if not log.is_open:
            break
        for line in printout_lines(plan.trace(fast, slow, threads)):
            log.line(line)
