"""docs/quirks.md is what its table, its figures and the code say, and the figures are measured."""

from __future__ import annotations

import ast
import copy
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from PIL import Image
from quirk_page import ROOT, ledger_table, script
from recorded import table

import nanobragg_hybrid as nb

PAGE = script().PAGE.read_text()
RESULTS = json.loads(script().RESULTS.read_text())
ROWS = re.findall(r"^\| (C-PARITY-\d{3}) \| \[(\w+)\]\(", PAGE, re.MULTILINE)
SECTIONS = {"kernel": "## Kernel quirks", "setup": "## Set-up quirks"}
READERS = {
    "cli_substring",
    "smv_header_search",
    "hkl_stream",
    "source_file_comments",
    "fdump_whitespace",
    "curved_needs_argument",
    "distance_beside_close",
    "header_geometry",
}
"""Quirks that act before there is an experiment, which a run cannot name."""


def changed(change: str, value: Any) -> dict[str, Any]:
    """The table with another value at a path like ``quirk/0/what``; ``...`` takes it away."""
    changed_table: dict[str, Any] = copy.deepcopy(ledger_table())
    kind, number, *keys = change.split("/")
    inner = changed_table[kind]
    *parents, last = [int(number), *keys]
    for parent in parents:
        inner = inner[parent]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return changed_table


# --- the page says what the table and the figures say


def test_page_is_up_to_date() -> None:
    need = script().page_text(ledger_table(), RESULTS)
    assert need == PAGE, "stale: run docs/ledger/make_page.py"


def test_a_changed_row_makes_the_page_stale() -> None:
    texts = {"quirk": ("what", "corrected", "bites"), "candidate": ("what", "should")}
    changes = [
        f"{kind}/{row}/{key}"
        for kind, keys in texts.items()
        for row in range(len(ledger_table()[kind]))
        for key in (*keys, "args", "sure")
    ]
    assert len(changes) > 130
    said = {change: changed(change, "something else") for change in changes}
    assert [c for c in changes if script().page_text(said[c], RESULTS) == PAGE] == []


def test_a_changed_figure_makes_the_page_stale() -> None:
    def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if isinstance(value, dict):
            return [p for key, item in value.items() for p in places(item, (*path, key))]
        if isinstance(value, list):
            return [p for n, item in enumerate(value) for p in places(item, (*path, n))]
        return [path]

    found = places(RESULTS)
    assert len(found) > 200
    for path in found:
        results = copy.deepcopy(RESULTS)
        inner = results
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = not inner[path[-1]] if path[-1] == "same_image" else "17.5"
        assert script().page_text(ledger_table(), results) != PAGE, path


# --- the table has the rows of the ledger


def test_page_lists_the_ledger_in_order_and_where_each_quirk_acts() -> None:
    by_kind = [q for kind in ("kernel", "setup") for q in nb.LEDGER if q.kind == kind]
    assert [(q.id, q.name) for q in by_kind] == ROWS
    above, sections = "", {}
    for heading in re.findall(r"^(## .*|### C-PARITY-\d{3})", PAGE, re.MULTILINE):
        above = heading if heading.startswith("## ") else above
        sections[heading.removeprefix("### ")] = above
    assert {q.id: sections[q.id] for q in nb.LEDGER} == {q.id: SECTIONS[q.kind] for q in nb.LEDGER}


@pytest.mark.parametrize("quirk", nb.LEDGER, ids=lambda quirk: quirk.name)
def test_model_marks_the_quirk_in_its_section(quirk: nb.Quirk) -> None:
    of_files = quirk.section == "files_and_cli"
    page = ROOT / "docs" / ("files_and_command_line.md" if of_files else "model.md")
    above, *below = page.read_text().split(f"[Q:{quirk.name}]")
    assert below, f"{page.name} has no [Q:{quirk.name}]"
    sections = re.findall(r"^(?:#+ )?(\d(?:\.\d)?) ", above, re.MULTILINE)
    assert of_files or sections[-1] == quirk.section


@pytest.mark.parametrize(
    ("change", "value", "message"),
    [
        ("quirk/3", ..., "need those of LEDGER"),
        ("quirk/3/id", "C-PARITY-099", "need those of LEDGER"),
        ("quirk/3/id", "C-PARITY-005", "need those of LEDGER"),
        ("quirk/3/bites", ..., "C-PARITY-004: has no bites"),
        ("quirk/3/argument", "", "C-PARITY-004: argument is no key"),
        ("candidate/1/sure", ..., "has no sure"),
        ("candidate/1/against", ..., "needs one of against and special"),
        ("candidate/1/name", "mosaic_spread", "candidate mosaic_spread: the name is taken"),
        ("candidate/1/name", "phi_carryover", "candidate phi_carryover: the name is taken"),
    ],
)
def test_a_table_that_is_not_the_ledgers_is_refused(change: str, value: Any, message: str) -> None:
    script().check_table(ledger_table())
    with pytest.raises(ValueError, match=message):
        script().check_table(changed(change, value))


@for_each("entry", ledger_table()["quirk"], ids=lambda entry: entry["id"])
def test_what_a_row_refers_to_is_there(entry: dict[str, Any]) -> None:
    assert entry["proof"] != []
    for proof in entry["proof"]:
        assert has_function(proof), proof
    if "recorded" in entry:
        assert entry["recorded"]["file"] in table("cases")[entry["recorded"]["case"]]["files"]
    for case in re.findall(r"case[s]? `(\w+)`", entry["what"] + entry["sure"]):
        assert case in table("cases")


def has_function(proof: str) -> bool:
    """Whether ``file::function`` is there."""
    path, _, name = proof.partition("::")
    if not (ROOT / path).is_file():
        return False
    body = ast.parse((ROOT / path).read_text()).body
    return name in {node.name for node in body if isinstance(node, ast.FunctionDef)}


def test_functions_that_are_not_there_are_seen() -> None:
    here = Path(__file__).relative_to(ROOT).as_posix()
    assert has_function(f"{here}::has_function")
    assert not has_function(f"{here}::has_functions")
    assert not has_function("tests/quirks/test_nothing.py::test_nothing")


# --- the figures and the pictures are what the command lines give


@pytest.fixture(scope="module")
def measured() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Every command line of the page, run again."""
    results, pictures = script().measure_all(ledger_table())
    return json.loads(script().results_text(results)), pictures


@for_each("name", RESULTS)
def test_figures_are_those_of_the_command_lines(name: str, measured: Any) -> None:
    """Every row has figures, and the file no others."""
    assert measured[0][name] == RESULTS[name]
    assert list(measured[0]) == list(RESULTS)


def test_another_command_line_gives_other_figures() -> None:
    entry = dict(ledger_table()["quirk"][0])
    entry["args"] = entry["args"].replace("-osc 2", "-osc 3")
    figures, _ = script().measure_quirk(entry, "phi_carryover")
    need = RESULTS["C-PARITY-001"]
    assert figures.keys() == need.keys()
    assert figures["relative_l2"] != need["relative_l2"]
    assert figures["total"][1] != need["total"][1]


@for_each("quirk", nb.LEDGER, ids=lambda quirk: quirk.name)
def test_a_row_shows_its_quirk(quirk: nb.Quirk) -> None:
    """The image changes or a reported number does; the run names what could change its image."""
    figures = RESULTS[quirk.id]
    on_off = [figures.get("total"), figures.get("refused"), *figures["facts"].values()]
    assert any(pair is not None and pair[0] != pair[1] for pair in on_off)
    changes_the_image = "relative_l2" in figures or "refused" in figures
    is_named = changes_the_image and quirk.name not in READERS
    assert figures["named"] == ["yes" if is_named else "no", "no"]


def test_pictures_are_those_of_the_command_lines(measured: Any) -> None:
    folder = script().PICTURES
    pictures = measured[1]
    assert {path.name for path in folder.glob("quirk_*")} == pictures.keys()
    # no pixel shows what is only reported, and errors have no picture
    without = [e for e in ledger_table()["quirk"] if e.get("shows") == "none" or "refused" in e]
    assert len(pictures) == len(nb.LEDGER) - len(without)
    assert {entry["id"][-3:] for entry in without} >= {"022", "027", "033"}
    for name, pixels in pictures.items():
        assert is_picture(folder / name, pixels), name
        assert (folder / name).stat().st_size < 20_000
        other = pixels.copy()
        other[5, 7, 1] ^= 1
        assert not is_picture(folder / name, other)


def is_picture(path: Path, pixels: np.ndarray) -> bool:
    """Whether a file holds these pixels."""
    with Image.open(path) as image:
        return np.array_equal(np.asarray(image), pixels)


def test_a_row_that_should_be_refused_and_is_not_is_told() -> None:
    entry = dict(ledger_table()["quirk"][0])
    entry["refused"] = "goniometer.phi_steps"
    with pytest.raises(RuntimeError, match="is not refused with phi_carryover off"):
        script().measure_quirk(entry, "phi_carryover")
    of_cells = next(e for e in ledger_table()["quirk"] if e["id"] == "C-PARITY-040")
    with pytest.raises(RuntimeError, match=r"crystal\.cell_deg: got"):
        script().measure_quirk({**of_cells, "refused": "crystal.misset"}, "impossible_cell")


def test_a_command_that_fails_is_told() -> None:
    entry = {"args": "-default_F 1"}
    with pytest.raises(RuntimeError, match=r"exit status 9\n.*there is no crystal"):
        script().measure_quirk(entry, "phi_carryover")
