"""Traces and structure factors of the real frame: from a wrong pixel to the line."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from recorded import PILATUS_ARGS, table
from structure_factor_files import structure_factors_of

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.compare_hkl import main as nb_compare_hkl
from nanobragg_hybrid.cli.trace import main as nb_trace

# The quirk shows in pixel fast 1039, slow 685 (and in fast 685, slow 1039, the brightest).
PIXEL = ["--pixel", "1039", "685"]
NO_CARRYOVER = "nanobragg,-phi_carryover"


def _compare(folder: Path, out: Path, *words: str) -> tuple[int, dict[str, Any]]:
    with contextlib.chdir(folder):
        status = nb_trace.main(
            ["--compare", *words, "--outdir", str(out), "--", *PILATUS_ARGS.split()]
        )
    document: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return status, document


@pytest.mark.parametrize("backend", ["c", "torch"])
def test_phi_carryover_is_named(backend: str, pilatus_folder: Path, tmp_path: Path) -> None:
    if backend == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    status, found = _compare(
        *(pilatus_folder, tmp_path, "c", backend, *PIXEL, "--phi", "--quirks-b", NO_CARRYOVER)
    )
    assert status == 3
    first = found["first_divergence"]
    assert (first["stage"], first["quantity"]) == ("cell rotation", "rot_a_angstroms")
    assert first["step"]["phi_step"] == 0
    delta_k = [step["delta_k"] for step in found["steps"]]
    assert delta_k[0] == pytest.approx(0.018088203481, rel=1e-9)
    assert found["max_delta_k"] == delta_k[0]
    assert len(delta_k) == 10
    assert max(delta_k[1:]) <= 1e-12
    values = {item["quantity"]: item for item in found["quantities"] if item["step"] is None}
    before = values["I_before_scaling"]
    assert before["a"][0] == pytest.approx(943654.80923755, rel=1e-14)
    assert before["b"][0] == pytest.approx(807189.768677586, rel=1e-14)


@pytest.mark.parametrize("pixel", [(1039, 685), (685, 1039), (1039, 684), (1800, 900)])
def test_engines_agree(pixel: tuple[int, int], pilatus_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    words = ["--pixel", *map(str, pixel), "--phi"]
    status, found = _compare(pilatus_folder, tmp_path, "c", "torch", *words)
    assert (status, found["first_divergence"]) == (0, None)
    assert max(found[f"max_delta_{x}"] for x in "hkl") <= 1e-12


def test_structure_factors(pilatus_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    dump, metrics = tmp_path / "Fdump.bin", tmp_path / "metrics.json"
    nb.write_dump(dump, structure_factors_of(PILATUS_ARGS, pilatus_folder))
    words = ["--hkl", str(pilatus_folder / "scaled.hkl"), "--fdump", str(dump)]
    words += ["--engines", "c", "torch", "--metrics", str(metrics)]
    assert nb_compare_hkl.main(words) == 0
    document = json.loads(metrics.read_text())
    assert document["fdump_sha256"] == table("pilatus_expected")["Fdump_sha256"]
    assert document["fdump_sha256"] == hashlib.sha256(dump.read_bytes()).hexdigest()
    for found in document["comparisons"]:
        assert (found["matched"], found["missing"], found["extra"]) == (64333, 0, 0)
        assert (found["mismatches"], found["max_delta_F"]) == (0, 0.0)
