"""docs/quirks.md says what the code says, and its status column what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.nanobragg_args.parse import parse_command

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "quirks.md").read_text()
ROWS = re.findall(r"^\| (C-PARITY-\d{3}) \| (\w+) \|.*\| (on|on, off) \|$", PAGE, re.MULTILINE)
STATUS = {name: status for _, name, status in ROWS}
ARGS = "-cell 70 80 90 90 90 90 -default_F 1 -detpixels 4 -pixel 1 -oversample 1"


def test_page_lists_the_ledger_in_order() -> None:
    assert [(number, name) for number, name, _ in ROWS] == [(q.id, q.name) for q in nb.LEDGER]


@pytest.mark.parametrize("name", sorted(STATUS))
def test_position_off_is_implemented_or_refused(name: str) -> None:
    """Refused means: by the command line or by the engine, with the name of the quirk."""

    def use() -> None:
        command = parse_command(ARGS, quirks=nb.Quirks.parse(f"nanobragg,-{name}"))
        factors = nb.StructureFactors.constant(command.default_f)
        nb.simulate(command.experiment, factors, quirks=command.quirks)

    if STATUS[name] == "on, off":
        use()
    else:
        with pytest.raises(nb.UnsupportedError, match=name):
            use()
