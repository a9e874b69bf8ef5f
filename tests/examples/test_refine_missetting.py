"""The worked example of docs/differentiable.md recovers the orientation it started from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from with_torch import torch

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "refine_missetting.py"


@pytest.mark.parametrize("degrees", ["0.3", "-0.3"])
def test_recovers_the_missetting(degrees: str, tmp_path: Path) -> None:
    assert torch.__version__
    done = subprocess.run(
        [sys.executable, str(SCRIPT), degrees],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # small tensors: threads would only wait
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    offs = [float(line.split()[-1]) for line in lines[2:-2]]
    assert len(offs) == 3
    assert offs[0] > 0.02  # the first stage alone is not enough
    angles = [float(word) for word in re.findall(r"-?\d+\.\d+", lines[-2])]
    error = sum((a - b) ** 2 for a, b in zip(angles, (12.0, 34.0, 56.0), strict=True)) ** 0.5
    assert error < 0.005
