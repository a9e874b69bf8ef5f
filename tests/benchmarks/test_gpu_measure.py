"""The script that measures GPUs and checks them, in Triton's interpreter."""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu" / "measure.py"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None or importlib.util.find_spec("torch") is None,
    reason="PyTorch or Triton is not installed (extra: gpu)",
)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """On the CPU."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--device", "cpu", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TRITON_INTERPRET": "1"},
    )


def test_the_check_compares_everything() -> None:
    done = run("--check", "--shape", "gauss")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "0 wrong"
    assert sum(line.startswith("ok ") for line in lines) == 15
    assert any("gauss float32: by detector.distance_mm" in line for line in lines)


def test_the_table_has_its_columns(tmp_path: Path) -> None:
    done = run("--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    with (tmp_path / "cpu.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["quantity"], row["dtype"]) for row in rows] == [
        ("fixed forward", "float64"),
        ("fixed gradient", "float64"),
        ("fixed forward", "float32"),
        ("fixed gradient", "float32"),
    ]
    assert all(row["steps"] == "64" and float(row["seconds"]) > 0.0 for row in rows)
    assert all(row["torch"] and row["triton"] for row in rows)
