"""The table of all recorded images: a line for each, and an exit status."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import with_torch  # noqa: F401 (skips this module where there is no torch)

import nanobragg_hybrid as nb

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "agreement_table.py"


def _run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *words])
    monkeypatch.setattr(sys, "path", [*sys.path])  # which the script adds to
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert isinstance(end.value.code, int)
    return end.value.code


def test_a_line_for_each_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    assert _run(monkeypatch, "--only", "^(fixed:)?phi0_carryover$", "--json", str(file)) == 0
    lines = capsys.readouterr().out.splitlines()
    names = ["phi0_carryover", "fixed:phi0_carryover"]
    assert [line.split()[0] for line in lines[1:3]] == names
    assert re.fullmatch(r"float64: 2 images, 100.0000% of \d+ pixels identical, .*", lines[3])
    assert lines[-1].startswith("float32: 2 images")
    rows = json.loads(file.read_text())
    assert {(row["case"], row["dtype"]) for row in rows} == {
        (name, dtype) for name in names for dtype in ("float64", "float32")
    }
    exact = [row for row in rows if row["dtype"] == "float64"]
    assert all(row["figures"]["identical"] >= 0.9999 for row in exact)
    assert all(row["before_rounding"] <= 1e-13 for row in exact)


def test_a_row_beyond_its_bound_is_marked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With another quirk position than what was recorded; and nothing is not everything."""
    monkeypatch.setattr(nb.Quirks, "nanobragg_fixed", nb.Quirks)
    words = ["--dtype", "float64", "--only", "^fixed:phi0_carryover$"]
    assert _run(monkeypatch, *words) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[1].endswith(" *")
    assert "1 beyond a bound" in out
    assert _run(monkeypatch, "--only", "no such case") == 1
