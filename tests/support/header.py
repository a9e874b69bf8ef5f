"""The public C header as text."""

from __future__ import annotations

import re
from pathlib import Path

HEADER = Path(__file__).resolve().parents[2] / "csrc" / "include" / "nbh" / "nbh.h"


def enumerators(prefix: str) -> dict[str, int]:
    """The enumerators that start with `prefix`, without it and in lower case, and their numbers."""
    pattern = rf"\b{prefix}(\w+) = (0x[0-9a-f]+|\d+)\b"
    found = re.findall(pattern, HEADER.read_text(encoding="utf-8"))
    return {name.lower(): int(number, 0) for name, number in found}
