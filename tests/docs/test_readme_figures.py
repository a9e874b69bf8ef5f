"""The table of figures in README.md is what the code and the recordings say."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="one of the figures needs PyTorch (extra: torch)")

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "figures" / "make_table.py"


def test_figures_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("make_figures_table", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = script.PAGE.read_text(encoding="utf-8")
    assert text == script.page(), "stale: run docs/figures/make_table.py"
    figures = re.findall(r"^\| (.*) \| (.*) \|$", script.table(), re.MULTILINE)
    assert len(figures) == 6
    assert dict(figures)["recorded runs of nanoBragg whose files come out byte for byte"] == "265"
