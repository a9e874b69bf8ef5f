"""The suite mode of nb-compare: every case of a suite, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from nanobragg_hybrid.base.errors import (
    CommandLineError,
    ConfigError,
    FileAccessError,
    FileFormatError,
    NanobraggError,
)
from nanobragg_hybrid.cli.compare.runs import RunnerError, RunSpec, finished_run, read_inputs
from nanobragg_hybrid.compare.comparison import Comparison, Criteria, compared, dark_text
from nanobragg_hybrid.compare.images import Image, Region
from nanobragg_hybrid.compare.suite import (
    BAD_WORDS,
    FAIL,
    FILES,
    PASS,
    RUNNER,
    SHAPES,
    CaseResult,
    SuiteCase,
)
from nanobragg_hybrid.formats.any_image import read_archived_image

_CHECKOUT: Final = Path(__file__).resolve().parents[4]


def recorded_folder(given: str | None) -> Path:
    """The folder of recorded images: the one given, ``golden`` here, or that of a checkout whose
    package this is.  `FileAccessError` if there is none."""
    places = [Path(given)] if given else [Path("golden"), _CHECKOUT / "golden"]
    for place in places:
        if (place / "cases.json").is_file():
            return place
    raise FileAccessError(places[0], "has no cases.json: name the recorded images with --golden")


def run_suite(
    cases: Sequence[SuiteCase], specs: Sequence[RunSpec], criteria: Criteria
) -> Iterator[CaseResult]:
    """Each case in turn.  With one side, that is compared with the recorded image."""
    for case in cases:
        try:
            yield _run_case(case, specs, criteria)
        except RunnerError as error:
            status = PASS if case.fails else RUNNER
            yield CaseResult(case, status, problem=str(error))
        except (FileAccessError, FileFormatError) as error:
            status = PASS if case.fails else FILES
            yield CaseResult(case, status, problem=str(error))
        except (CommandLineError, ConfigError) as error:
            status = PASS if case.fails else BAD_WORDS
            yield CaseResult(case, status, problem=str(error))
        except (NanobraggError, MemoryError) as error:
            yield CaseResult(case, RUNNER, problem=str(error) or "out of memory")


def _run_case(case: SuiteCase, specs: Sequence[RunSpec], criteria: Criteria) -> CaseResult:
    now_s = time.time()
    inputs = read_inputs(specs, case.args, lambda _: None, case.folder)
    runs = [finished_run(spec, given, now_s) for spec, given in zip(specs, inputs, strict=True)]
    if case.fails:
        return CaseResult(case, FAIL, problem="is recorded to fail, and did not")
    images = [run.result.image for run in runs]
    seconds_a = runs[0].seconds if len(runs) == 2 else None
    seconds_b = runs[-1].seconds
    if len(runs) == 1 and case.archive is not None:
        images.insert(0, read_archived_image(case.archive, case.name))
    a, b = images
    if a.shape != b.shape:
        return CaseResult(case, SHAPES, None, seconds_a, seconds_b, shapes_text(a, b))
    found: Comparison = compared(a, b, Region.whole(a.shape), criteria)
    problem = "" if found.is_met else dark_text(found.difference) or ""
    status = PASS if found.is_met else FAIL
    return CaseResult(case, status, found, seconds_a, seconds_b, problem)


def shapes_text(a: Image, b: Image) -> str:
    """In words."""
    return f"A has {a.shape[1]} x {a.shape[0]} pixels, B {b.shape[1]} x {b.shape[0]} (fast x slow)"
