"""Which pages of docs/ show a public name of the package."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).resolve().parents[1]
_CODE: Final = re.compile(r"`[^`\n]+`|^```\w*\n.*?^```$", re.DOTALL | re.MULTILINE)
NOT_SHOWN_BY: Final = frozenset({"architecture", "model", "quirks"})
"""Pages that are about the inside."""


@functools.cache
def _code_of(page: Path) -> str:
    return "\n".join(_CODE.findall(page.read_text(encoding="utf-8")))


def pages_that_show(name: str) -> list[Path]:
    """Pages that have a name in code, as `nb.name` or by itself."""
    pattern = re.compile(rf"(?<![\w.])(?:nb\.|nanobragg_hybrid\.)?{name}\b(?!:)")
    pages = [page for page in sorted(DOCS.glob("*.md")) if page.stem not in NOT_SHOWN_BY]
    return [page for page in pages if pattern.search(_code_of(page))]
