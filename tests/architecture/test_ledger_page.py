"""docs/quirks.md says what the code says, and its status column what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.nanobragg_args.parse import parse_command

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "quirks.md").read_text()
ROWS = re.findall(r"^\| (C-PARITY-\d{3}) \| (\w+) \|.*\| (on|on, off) \|$", PAGE, re.MULTILINE)
SECTIONS = {"kernel": "## Kernel quirks", "setup": "## Set-up quirks"}
ARGS = "-cell 70 80 90 90 90 90 -default_F 1 -detpixels 4 -pixel 1 -oversample 1"


def test_page_lists_the_ledger_in_order() -> None:
    assert [(number, name) for number, name, _ in ROWS] == [(q.id, q.name) for q in nb.LEDGER]


@pytest.mark.parametrize("quirk", nb.LEDGER, ids=lambda quirk: quirk.name)
def test_row_stands_where_the_quirk_acts(quirk: nb.Quirk) -> None:
    above = PAGE[: PAGE.index(f"| {quirk.id} |")]
    headings = [line for line in above.splitlines() if line.startswith("## ")]
    assert headings[-1] == SECTIONS[quirk.kind]


@pytest.mark.parametrize(("number", "name", "status"), ROWS, ids=lambda value: value)
def test_both_positions_are_implemented(number: str, name: str, status: str) -> None:
    """By the command line and by the C engine; the status column may promise no less."""
    assert status == "on, off"
    for text in ("nanobragg", f"nanobragg,-{name}", "none", f"none,+{name}"):
        command = parse_command(ARGS, quirks=nb.Quirks.parse(text))
        factors = nb.StructureFactors.constant(command.default_f)
        result = nb.simulate(command.experiment, factors, quirks=command.quirks)
        assert result.image.max() > 0.0
