"""Every row of the table of deliberate differences does what the page says."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from for_each import for_each

from nanobragg_hybrid.arguments.flags import FLAGS
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.base.errors import NanobraggError

ROOT = Path(__file__).resolve().parents[2]


def _script() -> ModuleType:
    path = ROOT / "docs" / "differences" / "make_table.py"
    spec = importlib.util.spec_from_file_location("differences_table", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()
BASE, ROWS = SCRIPT.load_table()
NUMBERS = [flag for flag in FLAGS if flag.kind in ("float", "int", "seed")]


@for_each("row", ROWS, ids=lambda row: row["args"])
def test_row(row: SCRIPT.Row, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("row")
    done = SCRIPT.run_row(BASE, row, folder, "--json", SCRIPT.JSON_FILE)
    assert SCRIPT.problem_of(row, done) == ""
    if row["outcome"] == SCRIPT.ERROR:
        return
    document = json.loads((folder / SCRIPT.JSON_FILE).read_text())
    assert document["facts"]["detector"] == [8, 8]
    is_warned = any(SCRIPT.is_message(text, row["message"]) for text in document["warnings"])
    assert is_warned == (row["outcome"] == SCRIPT.WARNING)


@for_each("row", [row for row in ROWS if row["outcome"] == "warning"], ids=lambda r: r["args"])
def test_strict_makes_a_warning_an_error(
    row: SCRIPT.Row, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = SCRIPT.run_row(BASE, row, tmp_path_factory.mktemp("row"), "--strict")
    assert (done.status, done.written) == (9, set())
    assert row["message"] in done.stderr


def test_the_words_that_all_rows_have_are_not_odd(tmp_path: Path) -> None:
    row = {"args": "", "files": {}}
    done = SCRIPT.run_row(BASE, row, tmp_path, "--strict")
    assert (done.status, done.stderr, done.written) == (0, "", SCRIPT.IMAGES)


def test_page() -> None:
    page = SCRIPT.PAGE.read_text()
    assert SCRIPT.page_text(page) == page, "run docs/differences/make_table.py"
    assert SCRIPT.page_text(page.replace("-distance abc", "-distance abd")) == page


@for_each("flag", NUMBERS, ids=lambda flag: flag.option)
def test_a_number_that_is_refused_is_in_the_table(flag: object) -> None:
    """0 or a number below 0, where nanoBragg takes any number."""
    assert isinstance(flag, type(FLAGS[0]))
    for number in ("0", "-1"):
        words = [flag.option, *[number] * len(flag.words)]
        try:
            parse_command(words)
        except NanobraggError:
            sign = "-" if number == "-1" else "0"
            pairs = [
                (_of_both_axes(word), value[:1])
                for row in ROWS
                if row["outcome"] == SCRIPT.ERROR
                for word, value in itertools.pairwise(row["args"].split())
            ]
            assert (_of_both_axes(flag.option), sign) in pairs, f"{' '.join(words)} is refused"


def _of_both_axes(option: str) -> str:
    return option.removesuffix("_f").removesuffix("_s")


@for_each(
    "outcome, message, problem",
    [
        ("error", "detector.distance_mm: got 0.0 mm, need a finite value > 0", ""),
        ("error", "detector.distance_mm: got 0.0 mm...", ""),
        ("error", "detector.distance_mm: got 0.0 mm", "says"),
        ("warning", "detector.distance_mm: got 0.0 mm...", "status 9"),
    ],
)
def test_a_row_that_is_wrong_is_seen(
    outcome: str, message: str, problem: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    row = {"args": "-distance 0", "outcome": outcome, "message": message}
    done = SCRIPT.run_row(BASE, row, tmp_path_factory.mktemp("row"))
    found = SCRIPT.problem_of(row, done)
    assert found.startswith(problem) if problem else found == ""
