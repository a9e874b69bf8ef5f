"""One run of the drop-in command, from words to files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.atomic import is_standard_output
from nanobragg_hybrid.base.constants import DEFAULT_COUNTS_FILE
from nanobragg_hybrid.base.errors import CommandLineError, NanobraggError
from nanobragg_hybrid.cli.nanobragg.facts import Images, facts, plan_facts
from nanobragg_hybrid.cli.nanobragg.image_formats import (
    check_before,
    doubts_before,
    image_formats,
    named_by_format,
)
from nanobragg_hybrid.cli.nanobragg.inputs import Warn, read_input
from nanobragg_hybrid.cli.nanobragg.outputs import (
    check_outputs,
    named_files,
    output_files,
    write_outputs,
)
from nanobragg_hybrid.cli.nanobragg.progress import Progress
from nanobragg_hybrid.cli.nanobragg.report import log_files, log_image, log_kernel, log_setup
from nanobragg_hybrid.engines.registry import make_engine
from nanobragg_hybrid.formats.smv import SmvHeader
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.run.pictures import (
    integer_image_parts,
    noise_image_parts,
    pgm_image_parts,
)
from nanobragg_hybrid.run.prepare import Prepared, image_warnings, prepare

if TYPE_CHECKING:
    from nanobragg_hybrid.arguments.command import Command
    from nanobragg_hybrid.cli.nanobragg.log import Log
    from nanobragg_hybrid.cli.nanobragg.options import Options
    from nanobragg_hybrid.engines.c.engine import CRun
    from nanobragg_hybrid.model.result import SimulationResult


class StrictError(NanobraggError):
    """With --strict, an image that should not be what it is."""


def run(options: Options, command_line: Sequence[str], log: Log, say: Warn) -> None:
    """Renders what `options` ask for and writes all files.

    `command_line`, the words as given, is recorded; `log` gets the facts, `say` the warnings.
    Raises errors of the package; then no output file has been touched.
    """
    messages: list[str] = []

    def warn(text: str) -> None:
        messages.append(text)
        say(f"warning: {text}")

    engine = make_engine(options.backend, options.engine_options)
    quirks = Quirks.parse(options.quirks)
    read = read_input(options, quirks, warn)
    command, table = read.command, read.table
    counts = None if options.response is None else options.counts or DEFAULT_COUNTS_FILE
    command, counts = named_by_format(command, counts, options.format)
    formats = image_formats(command, counts, options.format)
    outputs = output_files(command, options.json, counts)
    check_outputs(outputs, read.files())
    if any(is_standard_output(path) for path in outputs.values()):
        log.use_standard_error()

    log.line(f"nanoBragg (nanobragg-hybrid {__version__}), backend {options.backend}")
    log.line(f"quirks: {quirks}")
    if options.experiment is not None:
        log.line(f"geometry from {options.experiment}")
    prepared = prepare(command.experiment, table, backend=engine, quirks=quirks)
    command = command._replace(experiment=prepared.experiment)
    plan = prepared.plan
    if options.strict and (doubts := plan.doubts()):
        raise CommandLineError("; ".join(doubts))
    # The image is what was asked for, so it is rendered in any case.
    check_before(formats, command.experiment, quirks)
    header = SmvHeader.from_plan(plan, command.experiment)
    header_doubt = header.doubts(quirks)
    if header_doubt is not None:
        warn(header_doubt)
    for text in doubts_before(command, formats, header, plan):
        warn(text)
    misset_random = command.experiment.crystal.misset_random
    log_setup(log, command, table, plan_facts(plan, misset_random=misset_random), plan)
    _print_pixels(log, command, prepared, options.threads)
    log.flush()

    result = _render(prepared, command, options.threads)
    for text in result.warnings:
        warn(text)
    if options.strict and image_warnings(result):
        raise StrictError("nothing is written: with --strict a warning about the image is an error")
    mattered = result.quirks_that_mattered
    images = Images(
        integer=integer_image_parts(result),
        pgm=None if command.pgm_path is None else pgm_image_parts(result),
        noise=None if command.noise_path is None else noise_image_parts(result),
    )

    def document() -> str:
        import shlex

        from nanobragg_hybrid.cli.json_text import json_text

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
                "quirks_that_mattered": list(mattered),
                "files": named_files(outputs),
                "warnings": messages,
            }
        )

    write_outputs(outputs, command.quirks, table, result, images, formats, document, warn)
    log_image(log, result.statistics, images)
    log_kernel(log, result.provenance)
    log_files(log, named_files(outputs))
    if mattered:
        log.group("quirks that could have changed this image")
        for name in mattered:
            log.line(f"  {name}")
    log.flush()


def _render(prepared: Prepared, command: Command, threads: int | None) -> SimulationResult:
    meter = Progress() if command.progress else None
    try:
        return prepared.render_quietly(
            threads=threads, progress=None if meter is None else meter.update
        )
    finally:
        if meter is not None:
            meter.close()


def _print_pixels(log: Log, command: Command, prepared: Prepared, threads: int | None) -> None:
    """What -trace_pixel and -printout ask for, which the C engine says whatever the backend."""
    if command.trace_pixel is None and command.printout_pixel is None and not command.printout:
        return
    run = _c_run(prepared)
    if run is not prepared.run:
        log.line(
            "the backend c computes the lines TRACE_C and PIXEL that follow, not "
            f"{prepared.backend}: nb-trace traces other backends"
        )
    if command.trace_pixel is not None:
        from nanobragg_hybrid.formats.trace_text import format_trace
        from nanobragg_hybrid.model.trace import StepChoice

        trace = run.trace(*command.trace_pixel, StepChoice(), 1, threads)
        for line in format_trace(trace):
            log.line(line)
    if command.printout_pixel is None and not command.printout:
        return
    from nanobragg_hybrid.cli.nanobragg.pixels import printout_lines

    pixels: Iterable[tuple[int, int]]
    if command.printout_pixel is not None:
        pixels = [command.printout_pixel]
    else:
        fast_min, fast_max, slow_min, slow_max = prepared.plan.roi
        pixels = (
            (fast, slow)
            for slow in range(slow_min, slow_max + 1)
            for fast in range(fast_min, fast_max + 1)
        )
    for fast, slow in pixels:
        if not log.is_open:
            break
        for line in printout_lines(run.c_plan.trace(fast, slow, threads)):
            log.line(line)


def _c_run(prepared: Prepared) -> CRun:
    from nanobragg_hybrid.engines.c.engine import CEngine, CRun

    if isinstance(prepared.run, CRun):
        return prepared.run
    return CEngine().prepare(prepared.experiment, prepared.structure_factors, prepared.quirks)
