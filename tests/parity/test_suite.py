"""Suites of command lines: reading, choosing, and the gravest status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recorded import GOLDEN, table

import nanobragg_hybrid as nb
from nanobragg_hybrid.compare.suite import (
    BAD_WORDS,
    FAIL,
    FILES,
    PASS,
    RUNNER,
    SHAPES,
    CaseResult,
    SuiteCase,
    read_suite,
    recorded_suite,
    selected,
    suite_document,
    worst,
)


def test_text(tmp_path: Path) -> None:
    path = tmp_path / "suite.txt"
    path.write_text("# a comment\n\n-cell 1 2 3 90 90 90\n  ./bin/nanoBragg -mat 'a b.mat' -N 3\n")
    cases = read_suite(path)
    assert [(case.name, case.args) for case in cases] == [
        ("line 3", "-cell 1 2 3 90 90 90"),
        ("line 4", "-mat 'a b.mat' -N 3"),
    ]
    assert {case.folder for case in cases} == {tmp_path}


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    path.write_text(
        json.dumps(["-N 1", {"args": "-N 2", "name": "two"}, {"args": "nanoBragg -N 3"}])
    )
    assert [(case.name, case.args) for case in read_suite(path)] == [
        ("case 1", "-N 1"),
        ("two", "-N 2"),
        ("case 3", "-N 3"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no command line"),
        ("# only this\n", "has no command line"),
        ("[]", "has no command line"),
        ("[1]", "case 1: need a command line, or an object with args"),
        ('["-N 1", {"name": "x"}]', "case 2: need a command line"),
        ('{"args": "-N 1"}', "need a JSON list"),
        ("[\n'x']", r"suite:2: is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('[{"args": "-N 1", "name": "x"}, {"args": "-N 2", "name": "x"}]', "two cases are called"),
        ("\0", "is no text"),
    ],
)
def test_garbage(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "suite"
    path.write_text(text)
    with pytest.raises(nb.FileFormatError, match=message):
        read_suite(path)


def test_recorded_cases() -> None:
    cases = recorded_suite(GOLDEN, nb.Quirks.nanobragg())
    assert len(cases) == 215
    assert [case.name for case in cases if case.fails] == ["hkl_commented"]
    assert cases[0] == SuiteCase(
        "cubic", table("cases")["cubic"]["args"], GOLDEN / "inputs", GOLDEN / "images.npz"
    )
    fixed = recorded_suite(GOLDEN, nb.Quirks.nanobragg_fixed())
    assert sum(case.archive == GOLDEN / "images_fixed.npz" for case in fixed) == 20
    with pytest.raises(nb.ConfigError, match="quirks: got 'none', need nanobragg or"):
        recorded_suite(GOLDEN, nb.Quirks.none())


@pytest.mark.parametrize("text", ["[]", '{"x": 1}', '{"x": {"args": "-N 1"}}', "x"])
def test_garbage_in_place_of_records(text: str, tmp_path: Path) -> None:
    (tmp_path / "cases.json").write_text(text)
    with pytest.raises(nb.FileFormatError):
        recorded_suite(tmp_path, nb.Quirks.nanobragg())


def _cases(names: str) -> list[SuiteCase]:
    return [SuiteCase(name, "-N 1", Path()) for name in names]


def test_selection() -> None:
    cases = _cases("abcd")
    assert selected(cases, None, None) == cases
    assert [case.name for case in selected(cases, ["d", "b"], None)] == ["b", "d"]
    assert [case.name for case in selected(cases, ["d", "b"], 1)] == ["b"]
    with pytest.raises(nb.ConfigError, match="select: got 'x', need the name of a case"):
        selected(cases, ["a", "x"], None)


@pytest.mark.parametrize(
    ("statuses", "gravest"),
    [
        ([], PASS),
        ([PASS, PASS], PASS),
        ([PASS, FAIL], FAIL),
        ([FAIL, SHAPES], SHAPES),
        ([SHAPES, BAD_WORDS], BAD_WORDS),
        ([BAD_WORDS, FILES], FILES),
        ([FILES, RUNNER, PASS], RUNNER),
    ],
)
def test_gravest_status(statuses: list[str], gravest: str) -> None:
    (case,) = _cases("a")
    results = [CaseResult(case, status) for status in statuses]
    assert worst(results) == gravest
    document = suite_document(results)
    assert document["verdict"] == ("pass" if gravest == PASS else "fail")
    assert document["counts"] == {status: statuses.count(status) for status in set(statuses)}


def test_runtime_ratio() -> None:
    (case,) = _cases("a")
    (row,) = suite_document([CaseResult(case, PASS, None, 2.0, 3.0)])["cases"]
    assert row["runtime_ratio"] == 1.5
    for a, b in ((None, 3.0), (0.0, 3.0), (2.0, None)):
        (row,) = suite_document([CaseResult(case, PASS, None, a, b)])["cases"]
        assert row["runtime_ratio"] is None
