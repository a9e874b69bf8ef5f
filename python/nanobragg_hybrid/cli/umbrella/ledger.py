"""The quirk ledger as a table (`nanobragg-hybrid quirks`)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from nanobragg_hybrid.model.quirks import LEDGER, Quirks

_WIDTH = 118


def ledger_lines(quirks: Quirks | None = None) -> Iterator[str]:
    """A heading, and one row for each quirk: id, name, section of docs/model.md, kind, summary.

    With `quirks`, which of them are on, between kind and summary.
    """
    headings = ("id", "name", "section", "kind", "is", "what nanoBragg does")
    rows = [
        headings,
        *((q.id, q.name, q.section, q.kind, _position(quirks, q.name), q.summary) for q in LEDGER),
    ]
    shown = [0, 1, 2, 3] if quirks is None else [0, 1, 2, 3, 4]
    widths = {column: max(len(row[column]) for row in rows) for column in shown}
    for row in rows:
        left = "".join(f"{row[n]:<{width}}  " for n, width in widths.items())
        first, *rest = textwrap.wrap(row[5], _WIDTH - len(left))
        yield left + first
        for line in rest:
            yield " " * len(left) + line


def _position(quirks: Quirks | None, name: str) -> str:
    return "" if quirks is None else "on" if getattr(quirks, name) else "off"
