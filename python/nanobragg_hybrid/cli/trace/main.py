"""The command `nb-trace`: the chain of numbers behind a pixel, printed or compared."""

from __future__ import annotations

import argparse
import itertools
import math
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.atomic import AtomicFiles, access_errors
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError
from nanobragg_hybrid.base.units import m_to_angstrom
from nanobragg_hybrid.cli.json_text import json_text
from nanobragg_hybrid.cli.nanobragg.inputs import Warn
from nanobragg_hybrid.cli.tool import (
    AGREE,
    DIVERGED,
    prepare_process,
    run_tool,
    say,
    split_arguments,
)
from nanobragg_hybrid.cli.trace.options import check_trace_usage, trace_parser
from nanobragg_hybrid.cli.trace.origins import (
    REFERENCE,
    TRACES_FORMAT,
    Found,
    Runner,
    Wanted,
    is_file,
    read_trace_file,
    texts_of,
)
from nanobragg_hybrid.compare.trace_report import (
    comparison_document,
    comparison_lines,
    comparison_markdown,
)
from nanobragg_hybrid.compare.traces import RTOL, Comparison, compare_traces
from nanobragg_hybrid.formats.text import write_text
from nanobragg_hybrid.formats.trace_text import TraceText, format_texts
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.trace import Trace

PROG: Final = "nb-trace"
_PHI_COLUMNS: Final = "phi_step phi_deg h k l F_latt_a F_latt_b F_latt_c b_x b_y b_z"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; `argv` is without the program's name.  Returns the exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    own, args = split_arguments(arguments)
    parser = trace_parser()
    asked = parser.parse_args(own)
    check_trace_usage(parser, asked, args)
    command = shlex.join([PROG, *arguments])
    return run_tool(PROG, lambda: _dispatch(asked, args, command))


def console() -> NoReturn:
    """The console script."""
    prepare_process()
    sys.exit(main())


def _dispatch(asked: argparse.Namespace, args: Sequence[str], command: str) -> int:
    if asked.compare is None:
        return _print_traces(asked, args, command)
    return _compare(asked, args, command)


def _warner() -> Warn:
    """Says each warning once, however many backends read the same words."""
    said: set[str] = set()

    def warn(text: str) -> None:
        if text not in said:
            said.add(text)
            say(PROG, f"warning: {text}")

    return warn


# ---- printing ---------------------------------------------------------------------------------


def _print_traces(asked: argparse.Namespace, args: Sequence[str], command: str) -> int:
    quirks = Quirks.parse(asked.quirks or "nanobragg")
    wanted, now_s = Wanted.of(asked), time.time()
    backends = list(dict.fromkeys(asked.backends or ["c"]))
    warn = _warner()
    runners = [Runner(name, quirks, args, now_s, asked.c_bin, warn) for name in backends]
    if asked.scan is not None:
        _check_scan(asked.scan, runners[0].shape)
    documents: list[dict[str, Any]] = []
    for pixel in _pixels(asked):
        for runner in runners:
            found = runner.trace(pixel, wanted)
            if asked.format == "json":
                documents.append(_trace_document(runner, found))
                continue
            for line in _lines(found, phi=wanted.phi):
                print(line)
    if asked.format == "json":
        document = {
            "format": TRACES_FORMAT,
            "schema_version": 1,
            "version": __version__,
            "command": command,
            "traces": documents,
        }
        print(json_text(document), end="")
    return AGREE


def _pixels(asked: argparse.Namespace) -> Iterator[tuple[int, int]]:
    if asked.pixel is not None:
        yield asked.pixel[0], asked.pixel[1]
        return
    fast_0, fast_1, slow_0, slow_1 = asked.scan
    for slow, fast in itertools.product(range(slow_0, slow_1 + 1), range(fast_0, fast_1 + 1)):
        yield fast, slow


def _check_scan(scan: Sequence[int], shape: tuple[int, int]) -> None:
    """Before the first line is printed."""
    fast_0, fast_1, slow_0, slow_1 = scan
    if fast_0 < 0 or slow_0 < 0 or fast_1 >= shape[1] or slow_1 >= shape[0]:
        rule = f"F within 0 to {shape[1] - 1} and S within 0 to {shape[0] - 1}"
        raise ConfigError("--scan", list(scan), rule)


def _lines(found: Found, *, phi: bool) -> Iterator[str]:
    """Trace lines; of all phi steps with a table before them, which readers pass over."""
    if phi and isinstance(found, Trace):
        yield f"# {_PHI_COLUMNS}"
        for step in found.steps:
            numbers = (
                math.degrees(step.phi_rad),
                *step.hkl,
                *(step.f_latt_a, step.f_latt_b, step.f_latt_c),
                *(m_to_angstrom(x) for x in step.b_m),
            )
            yield f"# {step.phi_step} {' '.join(f'{x:.10g}' for x in numbers)}"
    yield from format_texts(texts_of(found))


def _trace_document(runner: Runner, found: Found) -> dict[str, Any]:
    texts = texts_of(found)
    return {
        "backend": runner.backend,
        "quirks": str(runner.quirks),
        "tag": texts[0].tag,
        "is_lit": found.is_active if isinstance(found, Trace) else None,
        "records": [text.values for text in texts],
    }


# ---- comparing --------------------------------------------------------------------------------


def _compare(asked: argparse.Namespace, args: Sequence[str], command: str) -> int:
    pixel = None if asked.pixel is None else (asked.pixel[0], asked.pixel[1])
    quirks = [
        None if is_file(origin) else Quirks.parse(text or asked.quirks or "nanobragg")
        for origin, text in zip(asked.compare, (asked.quirks_a, asked.quirks_b), strict=True)
    ]
    names = [
        origin if own is None or own == Quirks() else f"{origin} [{own}]"
        for origin, own in zip(asked.compare, quirks, strict=True)
    ]
    found = _traces(asked, pixel, quirks, args)
    try:
        comparison = compare_traces(
            found[0],
            found[1],
            rtol=RTOL if asked.rtol is None else asked.rtol,
            names=(names[0], names[1]),
        )
    except ConfigError as error:
        files = [origin for origin in asked.compare if is_file(origin)]
        if error.field == "rtol" or not files:
            raise
        raise _blamed(error, files) from None
    document = {
        **comparison_document(comparison),
        "version": __version__,
        "command": command,
        "quirks_a": None if quirks[0] is None else str(quirks[0]),
        "quirks_b": None if quirks[1] is None else str(quirks[1]),
    }
    if asked.outdir is not None:
        _write(Path(asked.outdir), comparison, document)
    if asked.format == "json":
        print(json_text(document), end="")
    else:
        for line in comparison_lines(comparison):
            print(line)
    return AGREE if comparison.first_divergence is None else DIVERGED


def _blamed(error: ConfigError, files: Sequence[str]) -> FileFormatError:
    """What is wrong with two traces, said of a file and naming it once."""
    for file in files:
        if error.field.startswith(f"{file}: "):
            return FileFormatError(file, None, str(error).removeprefix(f"{file}: "))
    if error.field == "traces":
        return FileFormatError(files[0], None, "has no quantity that the other side has")
    return FileFormatError(files[0], None, str(error))


def _traces(
    asked: argparse.Namespace,
    pixel: tuple[int, int] | None,
    quirks: Sequence[Quirks | None],
    args: Sequence[str],
) -> list[Found]:
    """Of both sides; an engine beside a file or an executable traces the steps that these have."""
    wanted, now_s = Wanted.of(asked), time.time()
    warn = _warner()
    texts: dict[int, list[TraceText]] = {}
    runners: dict[int, Runner] = {}
    for n, (origin, own) in enumerate(zip(asked.compare, quirks, strict=True)):
        if own is None:
            texts[n] = read_trace_file(origin, pixel)
        else:
            runners[n] = Runner(origin, own, args, now_s, asked.c_bin, warn)
    assert pixel is not None or not runners
    found: dict[int, Found] = {}
    for n, runner in runners.items():
        if runner.backend == REFERENCE and pixel is not None:
            printed = runner.trace(pixel, wanted)
            texts[n] = texts_of(printed)
    for n, runner in runners.items():
        if n in texts or pixel is None:
            continue
        others = next(iter(texts.values()), None)
        if others is not None and not wanted.phi and not wanted.indices:
            found[n] = runner.trace_like(pixel, others)
        else:
            found[n] = runner.trace(pixel, wanted)
    return [found[n] if n in found else texts[n] for n in range(2)]


def _write(folder: Path, comparison: Comparison, document: dict[str, Any]) -> None:
    with access_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with AtomicFiles() as files:
        with files.write(folder / "metrics.json") as file:
            write_text(file, json_text(document))
        with files.write(folder / "summary.md") as file:
            write_text(file, comparison_markdown(comparison))


if __name__ == "__main__":
    console()
