"""benchmarks/series.py: it says every part of a frame."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "series.py"


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
def test_every_part_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("series_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    figures = tmp_path / "figures.json"
    words = ["series.py", "--frames", "2", "--pixels", "40", "--json", str(figures)]
    monkeypatch.setattr(sys, "argv", words)
    script.main()
    said, found = capsys.readouterr().out, json.loads(figures.read_text())
    for name in ("kernel", "noise and read-out", "compression (CBF)", "writing", "hash"):
        assert found["ms"][name] > 0.0
        assert name in said
    assert list(found["frames_per_s"]) == ["this process", "pool of 1", "pool of 2"]
