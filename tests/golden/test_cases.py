"""The drop-in command writes the bytes that nanoBragg wrote, for every recorded command line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from for_each import for_each
from recorded import (
    FACTS,
    Run,
    arguments,
    differing_facts,
    differing_files,
    image,
    is_input,
    link_inputs,
    pixel_report,
    program,
    run_in_process,
    same_text,
    table,
)

CASES = table("cases")
FIXED = table("cases_fixed")
MORE = table("more/cases")
SUCCEED = [name for name, case in CASES.items() if case["exit"] == 0]
FAIL = [name for name, case in CASES.items() if case["exit"] != 0]
THROUGH_THE_EXECUTABLE = ["triclinic", "hkl_mat", "interp_latch", "kitchen", "img_and_mask"]
THREADED = ["triclinic", "phi0_carryover", "interp_latch", "thick_os", "mosaic_phi_hkl", "kitchen"]


def test_number_of_cases() -> None:
    assert (len(SUCCEED), len(FAIL), len(FIXED), len(MORE)) == (214, 1, 20, 31)
    assert MORE.keys().isdisjoint(CASES)
    assert {case["exit"] for case in MORE.values()} == {0}


@pytest.mark.parametrize("case", SUCCEED)
def test_files(case: str, golden_run: Callable[[str], Run]) -> None:
    """And the numbers that nanoBragg prints, as --json reports them, printed the same way."""
    run = golden_run(case)
    assert run.exit == 0
    assert differing_files(run, CASES[case], image("images", case)) == []
    assert differing_facts(run, CASES[case]) == []


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@pytest.mark.parametrize("case", MORE)
def test_files_of_odd_input(case: str, golden_run: Callable[[str], Run]) -> None:
    """The same where the input is odd: the bytes stay nanoBragg's, and no other file is written."""
    run = golden_run(case)
    assert run.exit == 0
    assert differing_files(run, MORE[case], image("more/images", case)) == []
    assert differing_facts(run, MORE[case]) == []
    written = {path.name for path in run.folder.iterdir() if not is_input(path)}
    assert written == {*MORE[case]["files"], FACTS}


@pytest.mark.parametrize("case", FAIL)
def test_failures_leave_nothing_behind(case: str, golden_run: Callable[[str], Run]) -> None:
    run = golden_run(case)
    assert run.exit == CASES[case]["exit"] == 9
    assert [path.name for path in run.folder.iterdir() if not is_input(path)] == []


@pytest.mark.parametrize("case", THROUGH_THE_EXECUTABLE)
def test_installed_executable(case: str, input_folder: Path) -> None:
    words = [program("nanoBragg"), *arguments(CASES[case]["args"])]
    done = subprocess.run(words, cwd=input_folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    run = Run(done.returncode, input_folder)
    assert differing_files(run, CASES[case], image("images", case)) == []


def test_installed_executable_fails_alike(input_folder: Path) -> None:
    words = [program("nanoBragg"), *arguments(CASES["hkl_commented"]["args"])]
    done = subprocess.run(words, cwd=input_folder, capture_output=True, text=True, check=False)
    assert done.returncode == 9
    assert done.stderr.strip() != ""


def _run(folder: Path, case: str, *extra: str) -> Run:
    """A recorded command line with more words, in a new folder."""
    folder.mkdir()
    link_inputs(folder)
    return run_in_process(folder, arguments(CASES[case]["args"], *extra))


@for_each("case", SUCCEED)
def test_fixed_preset(case: str, tmp_path: Path) -> None:
    """The three upstream fixes change 20 cases to their recorded bytes, and no other one."""
    run = _run(tmp_path / case, case, "--quirks", "nanobragg-fixed")
    assert run.exit == 0
    recorded, archive = (FIXED[case], "images_fixed") if case in FIXED else (CASES[case], "images")
    assert differing_files(run, recorded, image(archive, case)) == []


@for_each("case", sorted(FIXED))
def test_fixed_cases_differ_from_the_unfixed(case: str) -> None:
    recorded = (FIXED[case]["files"], CASES[case]["files"])
    assert recorded[0]["floatimage.bin"] != recorded[1]["floatimage.bin"]


@for_each("case", THREADED)
@for_each("threads", [1, 2, 3, 5, 16])
def test_threads_do_not_change_a_bit(case: str, threads: int, tmp_path: Path) -> None:
    run = _run(tmp_path / f"{case}_{threads}", case, "--threads", str(threads))
    assert run.exit == 0
    assert differing_files(run, CASES[case], image("images", case)) == []


def test_a_changed_pixel_is_seen(golden_run: Callable[[str], Run], tmp_path: Path) -> None:
    """The comparison itself: one bit of one pixel, and a missing file, are reported."""
    run = golden_run("triclinic")
    pixels = image("images", "triclinic").copy()
    pixels[3, 5] = np.nextafter(pixels[3, 5], np.float32(np.inf))
    pixels.tofile(tmp_path / "floatimage.bin")
    changed = Run(0, tmp_path)
    problems = differing_files(changed, CASES["triclinic"], image("images", "triclinic"))
    assert any("1 of 4096 pixels differ, the first at slow 3, fast 5" in text for text in problems)
    assert "intimage.img: not written" in problems
    assert pixel_report(image("images", "triclinic"), image("images", "triclinic")) == "equal"
    assert differing_files(run, CASES["triclinic"], image("images", "triclinic")) == []


def test_sign_of_nan_is_not_compared() -> None:
    assert same_text("nan", "-nan")
    assert not same_text("nan", "inf")
    assert not same_text("-1", "1")
