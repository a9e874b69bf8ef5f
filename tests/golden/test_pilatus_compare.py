"""nb-compare on the real Pilatus frame: the two engines, and two quirk presets."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import PILATUS_ARGS, table
from structure_factor_files import structure_factors_of

import nanobragg_hybrid as nb
from agreement import compare, relative_l2
from nanobragg_hybrid.cli.compare.main import main

EXPECTED = table("pilatus_expected")


def _summary(folder: Path, words: str, status: int, folder_of_inputs: Path) -> tuple[Path, Any]:
    (folder / "kept").touch()  # a folder that is not empty gets new ones
    before = set(folder.iterdir())
    with contextlib.chdir(folder_of_inputs):
        assert main(["--outdir", str(folder), "--no-pictures", *words.split()]) == status
    (made,) = set(folder.iterdir()) - before
    return made, json.loads((made / "summary.json").read_text())


def _is_the_same_image(metrics: dict[str, Any]) -> None:
    assert metrics["correlation"] == pytest.approx(1.0, abs=1e-12)
    assert metrics["sum_ratio"] == pytest.approx(1.0, abs=1e-9)


def test_torch_against_c(pilatus_folder: Path, tmp_path: Path) -> None:
    """With default quirks: the whole frame, and a small region of it; rendered once."""
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    words = f"--a c --b torch --threads 1 -- {PILATUS_ARGS}"
    made, found = _summary(tmp_path, words, 0, pilatus_folder)
    assert found["shape"] == EXPECTED["shape"]
    _is_the_same_image(found["metrics"])
    assert found["metrics"]["sum_a"] == pytest.approx(EXPECTED["sum"], rel=1e-12)
    assert found["metrics"]["relative_l2"] < 1e-9
    assert found["metrics"]["identical"] >= 0.9999
    assert found["metrics"]["max_ulp"] <= 1
    assert found["a"]["sha256"] == EXPECTED["floatimage_sha256"]
    peaks = found["peaks"]
    assert peaks["matched"] == peaks["a"] == peaks["b"] == 100
    files = f"--files {made / 'a.bin'} {made / 'b.bin'} --shape 2463 2527"
    _, found = _summary(tmp_path, f"{files} --roi 100 156 100 156", 0, pilatus_folder)
    assert found["metrics"]["pixels"] == 57 * 57
    _is_the_same_image(found["metrics"])


@pytest.mark.parametrize(("fast", "slow"), [(100, 100), (660, 1010), (1200, 1240)])
def test_torch_in_both_number_types(fast: int, slow: int, pilatus_folder: Path) -> None:
    """Three regions of the frame (dark, the brightest pixel, the beam): before rounding in float64,
    and in float32."""
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    experiment = nb.Experiment.from_nanobragg_args(PILATUS_ARGS, pilatus_folder)
    part = experiment.replace({"sampling.roi": (fast, fast + 56, slow, slow + 56)})
    factors = structure_factors_of(PILATUS_ARGS, pilatus_folder)
    need, double, single = (
        nb.simulate(part, factors, unrounded=True, threads=1, backend=backend)
        for backend in ("c", "torch", nb.TorchEngine(dtype="float32"))
    )
    assert need.unrounded is not None
    assert double.unrounded is not None
    assert np.count_nonzero(need.image) > 500
    assert relative_l2(double.unrounded, need.unrounded) <= 1e-13
    figures = compare(double.unrounded, need.image)
    assert figures.identical >= 0.9999
    assert figures.max_ulp <= 1
    assert relative_l2(single.image, need.image) <= 1e-5


def test_what_carried_over_vectors_do(pilatus_folder: Path, tmp_path: Path) -> None:
    fixed = EXPECTED["fixed"]
    words = f"--a c --b c --quirks-b {fixed['quirks']} -- {PILATUS_ARGS}"
    _, found = _summary(tmp_path, words, 3, pilatus_folder)
    metrics = found["metrics"]
    assert metrics["relative_l2"] == pytest.approx(fixed["relative_L2_change"], rel=1e-12)
    assert metrics["sum_b"] == pytest.approx(fixed["sum"], rel=1e-12)
    assert found["b"]["sha256"] == fixed["floatimage_sha256"]
    pixel = metrics["max_abs_pixel"]
    assert (pixel["fast"], pixel["slow"]) == (1443, 1632)
    assert pixel["a"] == pytest.approx(330.2167, rel=1e-6)
    assert pixel["b"] == pytest.approx(292.1694, rel=1e-6)
    assert "phi_carryover" in found["a"]["quirks_that_mattered"]
    assert "phi_carryover" not in found["b"]["quirks_that_mattered"]
