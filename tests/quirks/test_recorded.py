"""Every row of the ledger on a recorded command line: on is the reference's bytes, off is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from for_each import for_each
from quirk_page import ledger_table
from recorded import arguments, differing_files, image, is_input, link_inputs, run_in_process, table

import nanobragg_hybrid as nb

CASES = table("cases")
FLOATS = "floatimage.bin"

# quirk -> the recorded case that shows it, and a file that changes without it
SHOWN_BY = {
    quirk.name: (entry["recorded"]["case"], entry["recorded"]["file"])
    for quirk, entry in zip(nb.LEDGER, ledger_table()["quirk"], strict=True)
    if "recorded" in entry
}
# quirk -> the field, or file, that the error names with the quirk off
REFUSED = {
    quirk.name: entry["refused"]
    for quirk, entry in zip(nb.LEDGER, ledger_table()["quirk"], strict=True)
    if "refused" in entry
}
# step_and_count and impossible_cell have no recorded case here: see test_counts_and_ranges.py and
# test_impossible_cells.py.
# misset_seed_default needs the clock, curved_needs_argument the last word, and
# solid_angle_over_steps changes no file: see below.  The bytes of normal_towards_source are in
# test_distances_and_normals.py; no case has a curved detector that is tilted or has a sensor,
# an impossible polarization, or a crystal that a beam along z clips.
SEPARATELY = {
    *("misset_seed_default", "curved_needs_argument", "solid_angle_over_steps"),
    *("normal_towards_source", "curved_flat_factors", "impossible_cell", "step_and_count"),
    *("polarization_unchecked", "beam_clips_y_and_z"),
}


def test_every_row_is_shown() -> None:
    assert SHOWN_BY.keys() | SEPARATELY == {quirk.name for quirk in nb.LEDGER}


@pytest.mark.parametrize("name", SHOWN_BY)
def test_both_positions(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case, file = SHOWN_BY[name]
    changed = {}
    for text in ("nanobragg", f"nanobragg,-{name}"):
        folder = tmp_path / text
        folder.mkdir()
        link_inputs(folder)
        run = run_in_process(folder, arguments(CASES[case]["args"], "--quirks", text))
        if name in REFUSED and text != "nanobragg":
            assert run.exit == 9
            assert f"error: {REFUSED[name]}" in capsys.readouterr().err
            assert [path.name for path in folder.iterdir() if not is_input(path)] == []
            return
        assert run.exit == 0
        lines = differing_files(run, CASES[case], image("images", case))
        changed[text] = {line.partition(":")[0] for line in lines}
    assert changed["nanobragg"] == set()
    assert file in changed[f"nanobragg,-{name}"]


def test_seed_of_the_missetting(tmp_path: Path) -> None:
    """Off: `-misset random -seed 7` is what `-misset_seed 7 -misset random` is."""
    args = CASES["misset_random_1"]["args"].replace("-misset_seed 7 ", "")
    args = args.replace("-seed 1234", "-seed 7")
    need = CASES["misset_random_1"]["files"][FLOATS]["sha256"]
    off = run_in_process(tmp_path, arguments(args, "--quirks", "nanobragg,-misset_seed_default"))
    assert off.exit == 0
    assert off.sha256(FLOATS) == need
    on = run_in_process(tmp_path, arguments(args))
    assert on.exit == 0
    assert on.sha256(FLOATS) != need


def test_curved_detector_as_the_last_word(tmp_path: Path) -> None:
    args = CASES["triclinic"]["args"]
    for text, case in (("nanobragg", "triclinic"), ("nanobragg,-curved_needs_argument", "curved")):
        words = [*arguments(args, "--quirks", text), "-curved_det"]
        run = run_in_process(tmp_path, words)
        assert run.exit == 0
        assert run.sha256(FLOATS) == CASES[case]["files"][FLOATS]["sha256"]


def test_reported_solid_angle(tmp_path: Path) -> None:
    """The scan's is five times its still's when every step is divided by."""
    angles = {}
    for case in ("phi", "phi_osc"):
        for text in ("nanobragg", "nanobragg,-solid_angle_over_steps"):
            run = run_in_process(tmp_path, arguments(CASES[case]["args"], "--quirks", text))
            angles[case, text] = run.facts()["solid_angle"]
        recorded = float(CASES[case]["facts"]["solid_angle"])
        assert angles[case, "nanobragg"] == pytest.approx(recorded, rel=1e-5)
    assert angles["phi_osc", "nanobragg"] == pytest.approx(angles["phi", "nanobragg"] / 5)
    corrected = "nanobragg,-solid_angle_over_steps"
    assert angles["phi_osc", corrected] == angles["phi", corrected] == angles["phi", "nanobragg"]


NO_RANGE = {"phi_steps_only", "disp_steps_only", "div_steps_only"}


@for_each("case", CASES)
def test_everything_corrected_runs(case: str, tmp_path: Path) -> None:
    """`--quirks none` on every recorded command line; also on the one that nanoBragg refuses."""
    folder = tmp_path / case
    folder.mkdir()
    link_inputs(folder)
    run = run_in_process(folder, arguments(CASES[case]["args"], "--quirks", "none"))
    # they ask for several directions, wavelengths or steps of a range that is not there
    assert run.exit == (9 if case in NO_RANGE else 0)
