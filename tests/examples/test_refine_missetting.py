"""The worked example of docs/fitting.md recovers the orientation it started from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from with_torch import torch

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed (extra: png)")

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "refine_missetting.py"


@pytest.mark.parametrize("degrees", ["0.3", "-0.3"])
def test_recovers_the_missetting(degrees: str, tmp_path: Path) -> None:
    assert torch.__version__
    done = subprocess.run(
        [sys.executable, str(SCRIPT), degrees, "boxes.png"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # small tensors: threads would only wait
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[1].startswith("converged: ")
    angles = [float(line.split()[1]) for line in lines if line.startswith("crystal.misset_deg")]
    error = sum((a - b) ** 2 for a, b in zip(angles, (12.0, 34.0, 56.0), strict=True)) ** 0.5
    assert error < 0.001
    assert lines[-1] == f"off by {error:.5f} deg"
    with Image.open(tmp_path / "boxes.png") as picture:
        assert picture.size == (3 * 128 * 4 + 2 * 2 + 2 + 2, 128 * 4 + 2 + 2)
