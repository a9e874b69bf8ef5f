"""The command `nb-compare`: two images of one command line, or two files, side by side."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from nanobragg_hybrid.base.errors import FileFormatError
from nanobragg_hybrid.cli.compare.measured import measured_panels, measured_side, told
from nanobragg_hybrid.cli.compare.options import (
    UsageProblemError,
    check_usage,
    compare_parser,
    option_name,
    require_pillow,
)
from nanobragg_hybrid.cli.compare.output import (
    document_of,
    picture_files,
    print_comparison,
    result_folder,
    run_document,
    versions_used,
    write_texts,
)
from nanobragg_hybrid.cli.compare.runs import (
    REFERENCE,
    RunnerError,
    RunSpec,
    finished_run,
    read_inputs,
    require_executable,
    run_spec,
)
from nanobragg_hybrid.cli.compare.suite import recorded_folder, run_suite, shapes_text
from nanobragg_hybrid.cli.json_text import json_text
from nanobragg_hybrid.cli.nanobragg.inputs import Warn
from nanobragg_hybrid.cli.tool import (
    AGREE,
    DIVERGED,
    FILE_ERROR,
    RUNNER_FAILED,
    USAGE,
    prepare_process,
    run_tool,
    say,
    split_arguments,
)
from nanobragg_hybrid.compare.comparison import Criteria, compared, comparison_document, dark_text
from nanobragg_hybrid.compare.images import Image, Region, signed_difference
from nanobragg_hybrid.compare.metrics import resample
from nanobragg_hybrid.compare.report import comparison_html, suite_html
from nanobragg_hybrid.compare.suite import (
    BAD_WORDS,
    FAIL,
    FILES,
    PASS,
    RUNNER,
    SHAPES,
    read_suite,
    recorded_suite,
    selected,
    suite_document,
    worst,
)
from nanobragg_hybrid.formats.any_image import read_image
from nanobragg_hybrid.formats.measured.image import is_measured
from nanobragg_hybrid.formats.raw import write_raw
from nanobragg_hybrid.formats.text import write_bytes, write_text

PROG: Final = "nb-compare"
BELOW, OTHER_SHAPE = DIVERGED, 4
_SUITE_STATUS: Final = {
    PASS: AGREE,
    FAIL: BELOW,
    SHAPES: OTHER_SHAPE,
    FILES: FILE_ERROR,
    RUNNER: RUNNER_FAILED,
    BAD_WORDS: USAGE,
}


class OtherShapeError(Exception):
    """The images have different shapes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; `argv` is without the program's name.  Returns the exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    own, args = split_arguments(arguments)
    asked = compare_parser().parse_args(own)

    def body() -> int:
        try:
            return _dispatch(asked, arguments, args)
        except OtherShapeError as error:
            _say_error(f"{error}; --resample brings B to the shape of A", error)
            return OTHER_SHAPE
        except RunnerError as error:
            _say_error(str(error), error)
            return RUNNER_FAILED

    return run_tool(PROG, body)


def console() -> NoReturn:
    """The console script."""
    prepare_process()
    sys.exit(main())


def _dispatch(asked: argparse.Namespace, arguments: Sequence[str], args: Sequence[str]) -> int:
    check_usage(asked, args)
    command = shlex.join([PROG, *arguments])
    criteria = Criteria(asked.max_l2, asked.max_ulp, asked.threshold, asked.allow_dark).or_default()
    if asked.suite is not None:
        return _compare_suite(asked, criteria, command)
    if not asked.no_pictures:
        require_pillow()
    if asked.files is not None:
        return _compare_files(asked, criteria, command)
    return _compare_runs(asked, args, criteria, command)


def _specs(asked: argparse.Namespace) -> list[RunSpec]:
    """A and B; for the recorded suite B alone."""
    has_reference = bool(asked.c_bin or os.environ.get("NB_C_BIN"))
    if asked.py_bin is not None and asked.b not in (None, REFERENCE):
        raise UsageProblemError(f"--py-bin: is B, which --b says is {asked.b!r}")
    executables = {"a": asked.c_bin, "b": asked.py_bin or asked.c_bin}
    recorded = asked.suite == "golden"
    alone = recorded or asked.measured is not None
    backends = {
        "a": asked.a or (REFERENCE if has_reference else "c"),
        "b": asked.b or (REFERENCE if asked.py_bin else "c" if alone else "torch"),
    }
    if alone:
        del backends["a"]
    for option, backend in (("c_bin", REFERENCE), ("device", "torch"), ("dtype", "torch")):
        takers = [n for n in backends.values() if n == backend]
        if option == "c_bin" and asked.py_bin is not None:
            takers.remove(REFERENCE)
        if getattr(asked, option) is not None and not takers:
            raise UsageProblemError(f"{option_name(option)}: neither side is {backend!r}")
    if asked.tolerance is not None and backends["b"] not in ("c", "torch"):
        raise UsageProblemError("--tolerance: B is neither 'c' nor 'torch'")
    both = asked.quirks or "nanobragg"
    quirks = {"a": asked.quirks_a or both, "b": asked.quirks_b or both}
    return [
        run_spec(
            label,
            backend,
            quirks[label],
            {
                "executable": executables[label],
                "device": asked.device,
                "dtype": asked.dtype,
                "tolerance_photons": asked.tolerance if label == "b" else None,
            },
            asked.threads,
        )
        for label, backend in backends.items()
    ]


def _compare_runs(
    asked: argparse.Namespace, args: Sequence[str], criteria: Criteria, command: str
) -> int:
    specs = _specs(asked)
    warnings: list[str] = []

    def warn(text: str) -> None:
        if text not in warnings:
            warnings.append(text)
            _say(f"warning: {text}")

    measured = None
    if asked.measured is not None:
        with told(warn):
            measured = measured_side(asked.measured, asked.frame, asked.panel)
    inputs = read_inputs(specs, args, warn)
    shapes = [given.command.experiment.detector.shape for given in inputs]
    region = _region(asked, shapes[0], warn)
    for spec in specs:
        require_executable(spec)
    folder = result_folder(asked.outdir)
    now_s = time.time()
    runs = []
    for spec, given in zip(specs, inputs, strict=True):
        try:
            run = finished_run(spec, given, now_s)
        except RunnerError as error:
            write_texts(folder, spec.label, error.stdout, error.stderr)
            error.add_note(f"what there is so far: {folder}")
            raise
        write_texts(folder, spec.label, run.stdout, run.stderr)
        write_raw(folder / f"{spec.label}.bin", run.result.image)
        for text in run.result.warnings:
            warn(f"{spec.label.upper()}: {text}")
        runs.append(run)
    images = [run.result.image for run in runs]
    documents = [run_document(spec, run) for spec, run in zip(specs, runs, strict=True)]
    if measured is not None:
        images.insert(0, measured.photons)
        documents.insert(0, measured.document(measured.photons))
        write_raw(folder / "a.bin", measured.photons)
    a, b = images
    if measured is not None and a.shape == b.shape:
        b = np.where(measured.mask, b, np.float32(np.nan))  # where there is nothing to compare
    return _finish(asked, folder, a, b, region, criteria, documents, list(args), command, warnings)


def _compare_files(asked: argparse.Namespace, criteria: Criteria, command: str) -> int:
    warnings: list[str] = []

    def warn(text: str) -> None:
        warnings.append(text)
        _say(f"warning: {text}")

    if any(is_measured(path) for path in asked.files):
        return _compare_measured(asked, criteria, command, warnings, warn)
    for name in ("panel", "frame"):
        if getattr(asked, name) is not None:
            rule = "does not go with files of one image each"
            raise UsageProblemError(f"{option_name(name)}: {rule}")
    shape = None if asked.shape is None else (asked.shape[1], asked.shape[0])
    a, b = _read_pair(asked.files[0], asked.files[1], shape)
    region = _region(asked, a.shape, warn)
    folder = result_folder(asked.outdir)
    for label, image in (("a", a), ("b", b)):
        write_raw(folder / f"{label}.bin", image)
    documents = [
        document_of(name=Path(path).name, path=str(path), image=image)
        for path, image in zip(asked.files, (a, b), strict=True)
    ]
    return _finish(asked, folder, a, b, region, criteria, documents, None, command, warnings)


def _compare_measured(
    asked: argparse.Namespace,
    criteria: Criteria,
    command: str,
    warnings: list[str],
    warn: Warn,
) -> int:
    """Two files of which at least one holds panels, frames or bad pixels."""
    shape = None if asked.shape is None else (asked.shape[1], asked.shape[0])
    with told(warn):
        first, second = (
            measured_panels(path, asked.frame, asked.panel, shape) for path in asked.files
        )
    if len(first) != len(second):
        text = f"A has {len(first)} panels, B {len(second)}; --panel chooses one"
        raise UsageProblemError(f"--files: {text}")
    folder = result_folder(asked.outdir)
    statuses: list[int] = []
    summaries: list[dict[str, Any]] = []
    for a, b in zip(first, second, strict=True):
        own = folder
        if len(first) > 1:
            own = folder / f"panel_{len(statuses)}"
            own.mkdir()
            if not asked.json:
                print(f"panel         {a.name}")
        both = a.mask & b.mask if a.mask.shape == b.mask.shape else None
        images = [side.compared(both) for side in (a, b)]
        for label, image in zip("ab", images, strict=True):
            write_raw(own / f"{label}.bin", image)
        region = _region(asked, images[0].shape, warn)
        documents = [side.document(image) for side, image in zip((a, b), images, strict=True)]
        summary: dict[str, Any] = {}
        statuses.append(
            _finish(
                asked,
                own,
                images[0],
                images[1],
                region,
                criteria,
                documents,
                None,
                command,
                warnings,
                summary if len(first) > 1 else None,
            )
        )
        summaries.append({"panel": a.name, **summary})
    if len(first) == 1:
        return statuses[0]
    failed = [each["panel"] for each in summaries if each["verdict"] == "fail"]
    document = {
        "format": "nanobragg-hybrid comparison of panels",
        "schema_version": 1,
        "versions": versions_used(),
        "command": command,
        "verdict": "fail" if failed else "pass",
        "panels": summaries,
    }
    text = json_text(document)
    write_text(folder / "summary.json", text)
    if asked.json:
        print(text, end="")
    else:
        shown = f": {', '.join(failed)}" if failed else ""
        print(f"{len(first)} panels, {len(failed)} fail{shown}\nfolder {folder}")
    return max(statuses)


def _read_pair(first: str, second: str, shape: tuple[int, int] | None) -> tuple[Image, Image]:
    """Both files; raw floats of unknown shape take the other file's."""
    try:
        a = read_image(first, shape)
    except FileFormatError:
        b = read_image(second, shape)
        return read_image(first, shape, like=b.shape), b
    return a, read_image(second, shape, like=a.shape)


def _region(asked: argparse.Namespace, shape: tuple[int, int], warn: Warn) -> Region:
    """The pixels to compare: what --roi has of an image of `shape`; `ConfigError` for nothing."""
    if asked.roi is None:
        return Region.whole(shape)
    given = Region(*asked.roi)
    region = given.clipped(shape)
    region.of(np.broadcast_to(np.float32(0.0), shape))
    if region != given:
        warn(f"--roi: got {given}, of which the image has {region}")
    return region


def _finish(
    asked: argparse.Namespace,
    folder: Path,
    a: Image,
    b: Image,
    region: Region,
    criteria: Criteria,
    documents: Sequence[Mapping[str, Any]],
    args: list[str] | None,
    command: str,
    warnings: list[str],
    part: dict[str, Any] | None = None,
) -> int:
    """Compares, writes and says what there is to write and say.

    part: of a comparison of several panels: filled with the summary, which is not printed.
    """
    is_resampled = a.shape != b.shape
    if is_resampled:
        if not asked.resample:
            other = OtherShapeError(shapes_text(a, b))
            other.add_note(f"what there is so far: {folder}")
            raise other
        b = resample(b, a.shape)
    found = compared(a, b, region, criteria)
    dark = dark_text(found.difference)
    if dark is not None:
        warnings.append(dark)
        allowed = "" if criteria.allow_dark else "; --allow-dark passes over that"
        _say(f"warning: {dark}{allowed}")
    part_a, part_b = region.of(a), region.of(b)
    change = signed_difference(part_a, part_b)
    pictures = {} if asked.no_pictures else picture_files(part_a, part_b, change, asked.png_scale)
    summary = {
        "format": "nanobragg-hybrid image comparison",
        "schema_version": 1,
        "versions": versions_used(),
        "command": command,
        "args": args,
        "shape": list(a.shape),
        "resampled": is_resampled,
        "a": documents[0],
        "b": documents[1],
        **comparison_document(found),
        "warnings": warnings,
    }
    captions = ("A", "B", "B - A: red where B is brighter, blue where A is")
    for name, png in pictures.items():
        write_bytes(folder / name, png)
    if asked.save_diff:
        write_raw(folder / "difference.bin", change.astype(np.float32))
    shown = dict(zip(captions, pictures.values(), strict=False))
    write_text(folder / "report.html", comparison_html(summary, shown))
    text = json_text(summary)
    for name in ("summary.json", "metrics.json"):
        write_text(folder / name, text)
    if part is not None:
        part.update(summary)
    if asked.json and part is None:
        print(text, end="")
    elif not asked.json:
        print_comparison(found, documents)
        print(f"folder        {folder}")
    return AGREE if found.is_met else BELOW


def _compare_suite(asked: argparse.Namespace, criteria: Criteria, command: str) -> int:
    specs = _specs(asked)
    if asked.suite == "golden":
        criteria = criteria._replace(allow_dark=True)  # some are recorded to be
        cases = recorded_suite(recorded_folder(asked.golden), specs[0].quirks)
    else:
        cases = read_suite(asked.suite)
    cases = selected(cases, asked.select, asked.limit)
    folder = result_folder(asked.outdir)
    results = []
    width = max(len(case.name) for case in cases)
    for result in run_suite(cases, specs, criteria):
        results.append(result)
        if not asked.json:
            found = result.found
            figures = (
                result.problem
                if result.problem or found is None
                else f"L2 {found.difference.relative_l2:<10.3g} ULP {found.difference.max_ulp:<6} "
                + ("same bytes" if found.difference.bytes_equal else "")
            )
            print(f"{result.case.name:<{width}}  {result.status:<6} {figures}".rstrip(), flush=True)
    recorded = {"name": "recorded images", "quirks": str(specs[-1].quirks)}
    named = [{"name": spec.backend, "quirks": str(spec.quirks)} for spec in specs]
    document = {
        "format": "nanobragg-hybrid comparison suite",
        "schema_version": 1,
        "versions": versions_used(),
        "command": command,
        "suite": asked.suite,
        "a": named[0] if len(named) == 2 else recorded,
        "b": named[-1],
        "criteria": criteria.texts(),
        **suite_document(results),
    }
    write_text(folder / "suite.html", suite_html(document))
    text = json_text(document)
    write_text(folder / "suite.json", text)
    if asked.json:
        print(text, end="")
    else:
        counts = ", ".join(f"{count} {status}" for status, count in document["counts"].items())
        print(f"{len(results)} cases: {counts}\nfolder {folder}")
    return _SUITE_STATUS[worst(results)]


def _say_error(text: str, error: Exception) -> None:
    """The message, then the notes that the error has."""
    _say(f"error: {text}")
    for note in getattr(error, "__notes__", ()):
        _say(note)


def _say(text: str) -> None:
    say(PROG, text)


if __name__ == "__main__":
    console()
