"""Triton's kernels become machine code for GPUs that are not there: all that launches ask for."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

VALUES = {
    "plain": ["lit_steps", "pixel_sums", "pixel_rays", "lit_steps", "pixel_values"],
    "full": ["pixel_sums", "pixel_values"],
}
DERIVATIVES = [
    *("pixel_slopes", "cell_slopes", "element_sums", "pixel_tangents"),
    *("pixel_sums", "pixel_jacobian"),
    *("batch_sums", "batch_slopes", "batch_cell_slopes"),
]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed (extra: gpu)"
)


@pytest.mark.parametrize(
    ("capability", "shape", "precision", "tolerance", "scene"),
    [
        ("80", "gauss", "float64", "1e-4", "plain"),
        ("90", "square", "float32", "0", "full"),
        ("80", "round", "exact", "0", "plain"),
        ("90", "tophat", "exact", "0", "full"),
    ],
)
def test_every_kernel_compiles(
    capability: str, shape: str, precision: str, tolerance: str, scene: str, tmp_path: Path
) -> None:
    """Without fused multiply-adds that the formulas do not have."""
    script = Path(__file__).with_name("compile_only.py")
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(script), capability, shape, precision, tolerance, scene],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = [line.split() for line in done.stdout.splitlines()]
    expected = ["bounded_sums"] if precision == "exact" else VALUES[scene] + DERIVATIVES
    assert {name for name, _, _ in lines} == set(expected)
    if precision != "exact":
        assert [name for name, _, _ in lines] == expected
    for _, size, fused in lines:
        assert int(size) > 1000
        assert int(fused) == 0
