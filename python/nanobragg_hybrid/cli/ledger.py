"""The quirk ledger as a table (`nanobragg-hybrid quirks`)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from nanobragg_hybrid.quirks import LEDGER

_WIDTH = 118


def ledger_lines() -> Iterator[str]:
    """A heading, and one row for each quirk: id, name, section of docs/model.md, kind, summary."""
    headings = ("id", "name", "section", "kind", "what nanoBragg does")
    rows = [headings, *((q.id, q.name, q.section, q.kind, q.summary) for q in LEDGER)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        left = "".join(f"{row[n]:<{width}}  " for n, width in enumerate(widths))
        first, *rest = textwrap.wrap(row[4], _WIDTH - len(left))
        yield left + first
        for line in rest:
            yield " " * len(left) + line
