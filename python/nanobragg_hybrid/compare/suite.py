"""Suites: many command lines, one comparison each, one table."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from nanobragg_hybrid.base.errors import ConfigError, FileFormatError, quoted
from nanobragg_hybrid.compare.comparison import Comparison
from nanobragg_hybrid.formats.text import read_text
from nanobragg_hybrid.model.quirks import Quirks

PASS: Final = "pass"
FAIL: Final = "fail"
RUNNER: Final = "runner failed"
SHAPES: Final = "shapes differ"
FILES: Final = "file error"
BAD_WORDS: Final = "bad command line"

WORST_FIRST: Final = (RUNNER, FILES, BAD_WORDS, SHAPES, FAIL, PASS)


class SuiteCase(NamedTuple):
    """One command line: its name, its words as a text, and the folder of the files that it names.

    archive: the file of recorded images, None: there is nothing recorded.  fails: the program is
    recorded to fail.
    """

    name: str
    args: str
    folder: Path
    archive: Path | None = None
    fails: bool = False


class CaseResult(NamedTuple):
    """What came of a case: one of the status words above, the comparison if there is one, the
    seconds of both sides, and what went wrong."""

    case: SuiteCase
    status: str
    found: Comparison | None = None
    seconds_a: float | None = None
    seconds_b: float | None = None
    problem: str = ""


def read_suite(path: str | os.PathLike[str]) -> list[SuiteCase]:
    """The cases of a file; files that they name are looked for in the suite's folder.

    A text file has a command line on each line, with or without the program's name; empty lines and
    lines that begin with # are skipped; a case is called by its line number.  A JSON file has a
    list of command lines, or of objects with `args` and `name`.

    Raises `FileAccessError`, and `FileFormatError` with the line for another content or a suite
    without cases.
    """
    text = read_text(path, "command lines, as text or JSON", own="JSON")
    folder = Path(path).resolve().parent
    if text.lstrip()[:1] in ("[", "{"):
        pairs = _json_cases(path, text)
    else:
        pairs = [
            (f"line {number}", line.strip())
            for number, line in enumerate(text.splitlines(), start=1)
            if line.strip() and not line.lstrip().startswith("#")
        ]
    if not pairs:
        raise FileFormatError(path, 0, "has no command line")
    doubled = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if doubled:
        raise FileFormatError(path, 0, f"two cases are called {quoted(doubled[0])}")
    return [SuiteCase(name, _without_program(args), folder) for name, args in pairs]


def recorded_suite(folder: str | os.PathLike[str], quirks: Quirks) -> list[SuiteCase]:
    """The recorded command lines of a folder like ``golden`` of this project's repository.

    quirks: which images to compare with: the presets nanobragg and nanobragg-fixed are recorded;
    `ConfigError` for others.  Raises `FileAccessError` and `FileFormatError`.
    """
    root = Path(folder)
    presets = (Quirks.nanobragg(), Quirks.nanobragg_fixed())
    if quirks not in presets:
        raise ConfigError("quirks", str(quirks), "nanobragg or nanobragg-fixed, which are recorded")
    table = _recorded_table(root / "cases.json")
    fixed = _recorded_table(root / "cases_fixed.json") if quirks == presets[1] else {}
    return [
        SuiteCase(
            name,
            str(case["args"]),
            root / "inputs",
            root / ("images_fixed.npz" if name in fixed else "images.npz"),
            fails=case["exit"] != 0,
        )
        for name, case in table.items()
    ]


def selected(
    cases: Sequence[SuiteCase], names: Sequence[str] | None, limit: int | None
) -> list[SuiteCase]:
    """The cases of these names, in the suite's order, and the first `limit` of them; `ConfigError`
    for a name that there is not."""
    known = {case.name for case in cases}
    for name in names or ():
        if name not in known:
            raise ConfigError("select", name, "the name of a case of the suite")
    chosen = [case for case in cases if names is None or case.name in names]
    return chosen[:limit]


def worst(results: Sequence[CaseResult]) -> str:
    """The gravest status of a suite."""
    found = {result.status for result in results}
    return next((status for status in WORST_FIRST if status in found), PASS)


def suite_document(results: Sequence[CaseResult]) -> dict[str, Any]:
    """The part of ``suite.json`` that tells about the cases."""
    counts = Counter(result.status for result in results)
    return {
        "verdict": PASS if worst(results) == PASS else FAIL,
        "counts": {status: counts[status] for status in reversed(WORST_FIRST) if counts[status]},
        "cases": [_row(result) for result in results],
    }


def _row(result: CaseResult) -> dict[str, Any]:
    found = None if result.found is None else result.found.difference
    a, b = result.seconds_a, result.seconds_b
    return {
        "name": result.case.name,
        "args": result.case.args,
        "status": result.status,
        "problem": result.problem or None,
        "bytes_equal": None if found is None else found.bytes_equal,
        "identical": None if found is None else found.identical,
        "max_ulp": None if found is None else found.max_ulp,
        "relative_l2": None if found is None else found.relative_l2,
        "correlation": None if found is None else found.correlation,
        "sum_ratio": None if found is None else found.sum_ratio,
        "seconds_a": a,
        "seconds_b": b,
        "runtime_ratio": b / a if a and b is not None else None,
    }


def _json_cases(path: str | os.PathLike[str], text: str) -> list[tuple[str, str]]:
    content = _parsed(path, text)
    if not isinstance(content, list):
        raise FileFormatError(path, 0, "need a JSON list of command lines")
    pairs = []
    for number, item in enumerate(content, start=1):
        entry = {"args": item} if isinstance(item, str) else item
        if not (isinstance(entry, dict) and isinstance(entry.get("args"), str)):
            raise FileFormatError(
                path, 0, f"case {number}: need a command line, or an object with args"
            )
        pairs.append((str(entry.get("name", f"case {number}")), entry["args"].strip()))
    return pairs


def _recorded_table(path: Path) -> dict[str, Any]:
    content = _parsed(path, read_text(path, "recorded cases as JSON", own="JSON"))
    if not isinstance(content, dict) or not all(
        isinstance(case, dict) and {"args", "exit"} <= case.keys() for case in content.values()
    ):
        raise FileFormatError(path, 0, "need an object of cases with args and exit")
    return content


def _parsed(path: str | os.PathLike[str], text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise FileFormatError(path, error.lineno, f"is no JSON: {error.msg}") from None
    except RecursionError:
        raise FileFormatError(path, 0, "is no JSON: nested too deeply") from None


def _without_program(args: str) -> str:
    first, _, rest = args.partition(" ")
    return rest.strip() if not first.startswith("-") and "nanoBragg" in first else args
