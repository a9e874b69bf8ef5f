"""Every row of the ledger, on and off, by the command: the torch engine writes what C writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import with_torch  # noqa: F401 (skips this module where there is no torch)
from quirk_page import ledger_table
from recorded import FACTS, Run, arguments, is_input, link_inputs, run_in_process, table

import nanobragg_hybrid as nb
from agreement import compare

CASES = table("cases")
FLOATS = "floatimage.bin"
FIVE_COLUMNS = "five.hkl"

# quirk -> a recorded case; as in tests/quirks/test_recorded.py
SHOWN_BY = {
    quirk.name: CASES[entry["recorded"]["case"]]["args"]
    for quirk, entry in zip(nb.LEDGER, ledger_table()["quirk"], strict=True)
    if "recorded" in entry
}
SHOWN_BY |= {
    "polarization_unchecked": CASES["polar"]["args"] + " -polar 3",
    "beam_clips_y_and_z": CASES["beam_clip"]["args"] + " -xds",
    "impossible_cell": CASES["cubic"]["args"] + " -cell 79 79 38 60 60 150",
    "step_and_count": CASES["phi"]["args"] + " -phistep 0.3 -phisteps 5",
    "misset_seed_default": f"{CASES['triclinic']['args']} -misset random",
    "curved_needs_argument": f"{CASES['triclinic']['args']} -curved_det",
    "solid_angle_over_steps": CASES["phi_osc"]["args"],
    "curved_flat_factors": CASES["curved_xds"]["args"] + " -detector_rotx 20",
    "normal_towards_source": CASES["twotheta"]["args"] + " -twotheta 120",
    # The recorded case has a table of many million reflections.
    "hkl_stream": CASES["hkl_mat"]["args"] + f" -hkl {FIVE_COLUMNS}",
}


REFUSED = {
    quirk.name: entry["refused"]
    for quirk, entry in zip(nb.LEDGER, ledger_table()["quirk"], strict=True)
    if "refused" in entry
}
"""Quirks that hide an error, and what the error is about."""


def _run(folder: Path, name: str, *words: str) -> Run:
    folder.mkdir(parents=True)
    link_inputs(folder)
    rows = [f"{h} {k} {l} {50 + h - k} 2\n" for h, k, l in np.ndindex(4, 4, 4)]
    (folder / FIVE_COLUMNS).write_text("".join(rows))
    # Last, because the last word is what one of the quirks is about.
    return run_in_process(folder, [*arguments("", "--threads", "1", *words), *_words(name)])


def _words(name: str) -> list[str]:
    words: list[str] = SHOWN_BY[name].split()
    return words


def _files(run: Run) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in run.folder.iterdir()
        if not is_input(path) and path.name != FACTS
    }


def test_every_row_is_here() -> None:
    assert SHOWN_BY.keys() == {quirk.name for quirk in nb.LEDGER}


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@pytest.mark.parametrize("name", SHOWN_BY)
def test_both_positions(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("time.time", lambda: 1.7e9)  # which seeds are taken from
    changed = []
    for text in ("nanobragg", f"nanobragg,-{name}"):
        runs = {
            backend: _run(tmp_path / text / backend, name, "--backend", backend, "--quirks", text)
            for backend in ("c", "torch")
        }
        if name in REFUSED and text != "nanobragg":
            assert [run.exit for run in runs.values()] == [9, 9]
            said = capsys.readouterr().err.splitlines()
            first, second = [line for line in said if line.startswith("nanoBragg: error: ")]
            assert first.removeprefix("nanoBragg: error: ").startswith(REFUSED[name])
            assert first == second
            return
        need, got = _files(runs["c"]), _files(runs["torch"])
        assert [run.exit for run in runs.values()] == [0, 0]
        assert got.keys() == need.keys()
        if got[FLOATS] == need[FLOATS]:
            assert got == need
        else:  # another processor's sine
            figures = compare(*(np.frombuffer(f[FLOATS], "<f4") for f in (got, need)))
            assert figures.same_non_finite
            assert figures.identical >= 0.9999
            assert figures.max_ulp <= 1
        documents = [json.loads((run.folder / FACTS).read_text()) for run in runs.values()]
        mattered = [document["quirks_that_mattered"] for document in documents]
        assert mattered[0] == mattered[1]
        angles = [document["facts"]["solid_angle"] for document in documents]
        assert angles[1] == pytest.approx(angles[0], rel=1e-12, nan_ok=True)
        changed.append((got, angles[1]))
    assert changed[0] != changed[1]
