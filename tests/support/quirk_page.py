"""The script that writes docs/quirks.md, as a module, and its table."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "ledger"


@cache
def script() -> ModuleType:
    """docs/ledger/make_page.py."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    spec = importlib.util.spec_from_file_location("make_page", FOLDER / "make_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def ledger_table() -> dict[str, Any]:
    """The table of docs/ledger/ledger.toml; not to be changed."""
    table: dict[str, Any] = script().load_table()
    return table
