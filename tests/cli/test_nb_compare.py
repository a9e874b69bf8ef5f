"""The command nb-compare: what it writes, every exit status, and bad input."""

from __future__ import annotations

import contextlib
import html.parser
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from json_schema import problems, schema
from PIL import Image
from recorded import GOLDEN, INPUTS, image, program

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.compare import suite as compare_suite
from nanobragg_hybrid.cli.compare.main import main

SMALL = (
    "-cell 70 80 90 75 85 95 -default_F 100 -lambda 1 -distance 100 -detpixels 48 -pixel 0.8 "
    "-N 5 -osc 1 -phisteps 3"
)
OTHER_SIZE = "-detpixels_xx 20"  # read as -detpixels_x with the quirk cli_substring only
PNG_START = b"\x89PNG\r\n\x1a\n"
ARTIFACTS = {
    *("a.bin", "b.bin", "a.png", "b.png", "diff.png", "report.html", "summary.json"),
    "metrics.json",
    *("a.stdout.txt", "a.stderr.txt", "b.stdout.txt", "b.stderr.txt"),
}


def compare(folder: Path, words: str, args: str = "", status: int = 0) -> Path:
    """Runs the command on words that have no blanks inside; the folder that it made."""
    folder.mkdir(exist_ok=True)
    (folder / "kept").touch()  # a folder that is not empty gets new ones
    before = set(folder.glob("nb-compare-*"))
    tail = ["--", *args.split()] if args else []
    assert main(["--outdir", str(folder), *words.split(), *tail]) == status
    (made,) = set(folder.glob("nb-compare-*")) - before
    return made


def document(made: Path, name: str = "summary") -> dict[str, Any]:
    """A JSON file, which fits its schema."""
    content: dict[str, Any] = json.loads((made / f"{name}.json").read_text())
    kind = {"summary": "image_comparison", "suite": "comparison_suite"}[name]
    assert problems(content, schema(kind)) == []
    return content


def refused(capsys: pytest.CaptureFixture[str], words: list[str], status: int) -> str:
    """What the command says when it ends with `status`."""
    try:
        got: object = main(words)
    except SystemExit as end:
        got = end.code
    captured = capsys.readouterr()
    assert got == status, captured.err
    assert captured.err.startswith(("nb-compare: error: ", "usage: nb-compare"))
    assert "Traceback" not in captured.err
    return captured.err


class _Links(html.parser.HTMLParser):
    """Collects what a page would load, and whether tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "link", "iframe", "object"}
        self.loads += [value or "" for name, value in attrs if name in {"src", "href", "data"}]
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def loads(page: Path) -> list[str]:
    """What an HTML file refers to; its tags are closed in order."""
    text = page.read_text()
    parser = _Links()
    parser.feed(text)
    assert parser.open == []
    assert "url(" not in text
    assert "@import" not in text
    return parser.loads


def test_two_runs_of_c(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = compare(tmp_path, "--a c --b c --threads 1", SMALL)
    assert {path.name for path in made.iterdir()} == ARTIFACTS
    need = nb.simulate(
        nb.Experiment.from_nanobragg_args(SMALL), nb.StructureFactors.constant(100.0)
    )
    for name in "ab":
        assert np.array_equal(nb.read_raw(made / f"{name}.bin", (48, 48)), need.image)
        assert (made / f"{name}.png").read_bytes().startswith(PNG_START)
        assert "pixels fast slow" in (made / f"{name}.stdout.txt").read_text()
        assert (made / f"{name}.stderr.txt").read_text() == ""
    found = document(made)
    assert found["verdict"] == "pass"
    assert found["args"] == SMALL.split()
    assert found["command"].endswith(f"--threads 1 -- {SMALL}")
    metrics = found["metrics"]
    assert metrics["bytes_equal"] is True
    assert (metrics["correlation"], metrics["sum_ratio"], metrics["max_ulp"]) == (1.0, 1.0, 0)
    assert found["a"]["sha256"] == found["b"]["sha256"]
    assert found["a"]["quirks_that_mattered"] == [
        "phi_carryover",
        "triclinic_cell",
        "phi_left_edge",
        "first_subpixel_factors",
    ]
    assert found["a"]["statistics"]["max"] == need.statistics.max
    printed = capsys.readouterr().out
    assert re.search(r"^correlation   1$", printed, re.MULTILINE)
    assert f"folder        {made}\n" in printed


def test_other_quirks_do_not_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--a c --b c --quirks-b nanobragg,-phi_carryover --save-diff --roi 5 40 0 30"
    made = compare(tmp_path, words, SMALL, status=3)
    found = document(made)
    assert found["verdict"] == "fail"
    assert found["b"]["quirks"] == "nanobragg,-phi_carryover"
    experiment = nb.Experiment.from_nanobragg_args(SMALL)
    constant = nb.StructureFactors.constant(100.0)
    a, b = (
        nb.simulate(experiment, constant, quirks=nb.Quirks.parse(quirks)).image[0:31, 5:41]
        for quirks in ("nanobragg", "nanobragg,-phi_carryover")
    )
    change = b.astype(float) - a
    metrics = found["metrics"]
    assert metrics["relative_l2"] == pytest.approx(np.linalg.norm(change) / np.linalg.norm(a))
    assert metrics["sum_ratio"] == pytest.approx(b.sum(dtype=float) / a.sum(dtype=float), rel=1e-12)
    assert metrics["max_abs"] == np.abs(change).max()
    assert metrics["pixels"] == 31 * 36
    place = metrics["max_abs_pixel"]
    assert change[place["slow"], place["fast"] - 5] == pytest.approx(place["b"] - place["a"])
    written = nb.read_raw(made / "difference.bin", (31, 36))
    assert np.array_equal(written, change.astype(np.float32))
    assert "fail          relative_l2" in capsys.readouterr().out


def test_quirks_of_both_sides(tmp_path: Path) -> None:
    """--quirks is for both, --quirks-b for B alone."""
    found = document(compare(tmp_path, "--a c --b c --quirks none --no-pictures", SMALL))
    assert (found["a"]["quirks"], found["b"]["quirks"]) == ("none", "none")
    words = "--a c --b c --quirks none --quirks-b none,+phi_carryover --no-pictures"
    found = document(compare(tmp_path, f"{words} --max-l2 9", SMALL))
    assert (found["a"]["quirks"], found["b"]["quirks"]) == ("none", "none,+phi_carryover")


def test_the_percentile_that_is_drawn_black(tmp_path: Path) -> None:
    """Of A's lit pixels; darkness goes with the root of the photons."""
    first = _save(tmp_path / "one.bin", image("images", "triclinic"))
    for percentile in (100.0, 60.0):
        made = compare(tmp_path, f"--files {first} {first} --png-scale {percentile}")
        pixels = image("images", "triclinic")
        level = np.percentile(pixels[pixels > 0.0], percentile)
        need = 255.0 * (1.0 - np.sqrt(np.minimum(pixels / level, 1.0)))
        for name in ("a.png", "b.png"):
            with Image.open(made / name) as picture:
                drawn = np.asarray(picture).astype(float)
            assert np.abs(drawn - need).max() <= 1.0
            assert (drawn == 0.0).mean() == pytest.approx((need < 0.5).mean())


@pytest.mark.parametrize(
    ("criterion", "status"),
    [
        ("--threshold 0.5", 0),
        ("--threshold 0.9999999", 3),
        ("--max-l2 1", 0),
        ("--max-l2 1 --max-ulp 5", 3),
        ("--threshold 0.5 --max-l2 1e-6", 3),
    ],
)
def test_criteria(criterion: str, status: int, tmp_path: Path) -> None:
    words = f"--a c --b c --quirks-b none {criterion} --no-pictures"
    made = compare(tmp_path, words, SMALL, status)
    assert len(document(made)["criteria"]) == 1 + criterion.count("--")
    assert not list(made.glob("*.png"))
    assert loads(made / "report.html") == []


def test_torch_is_the_other_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    made = compare(tmp_path, "--json --threads 1", SMALL)
    found = document(made)
    assert json.loads(capsys.readouterr().out) == found
    assert (found["a"]["name"], found["b"]["name"]) == ("c", "torch")
    assert found["metrics"]["relative_l2"] < 1e-7
    single = document(compare(tmp_path, "--dtype float32 --threads 1", SMALL))
    assert single["b"]["provenance"]["dtype"] == "float32"
    assert single["metrics"]["max_ulp"] > 1
    # The set-up of both engines, as text: the same but for what rounding shows.
    assert (made / "a.stdout.txt").read_text() == (made / "b.stdout.txt").read_text()


def test_a_tolerance_is_of_b(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(compare(tmp_path, "--a c --b c --threads 1 --tolerance 0.5", SMALL))
    tolerances = [found[side]["provenance"]["culling"]["tolerance_photons"] for side in "ab"]
    assert tolerances == [0.0, 0.5]
    assert main(["--a", "c", "--b", "reference", "--tolerance", "1", "--", *SMALL.split()]) == 1
    assert "--tolerance: B is neither 'c' nor 'torch'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--a", "c", "--b", "c", "--tolerance", "-1", "--", *SMALL.split()])
    assert "got '-1', need a finite number >= 0" in capsys.readouterr().err


def test_own_executable_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NB_C_BIN", program("nanoBragg"))
    found = document(made := compare(tmp_path, "--b c --max-ulp 0", SMALL))
    assert (found["a"]["name"], found["b"]["name"]) == ("reference", "c")
    assert found["a"]["provenance"]["executable"] == program("nanoBragg")
    assert "stdout" not in found["a"]["provenance"]
    assert (made / "a.stdout.txt").read_text().startswith("nanoBragg (nanobragg-hybrid")
    monkeypatch.delenv("NB_C_BIN")
    found = document(compare(tmp_path, f"--b c --c-bin {program('nanoBragg')}", SMALL))
    assert found["a"]["name"] == "reference"


def test_two_executables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--py-bin is B, whatever A is."""
    other = tmp_path / "other"
    other.write_text(f'#!/bin/sh\nexec {program("nanoBragg")} --quirks none "$@"\n')
    other.chmod(0o755)
    plain = f"{SMALL} -water 1"
    words = f"--c-bin {program('nanoBragg')} --py-bin {other} --max-l2 1e-9"
    found = document(compare(tmp_path, words, plain, 3))
    assert (found["a"]["name"], found["b"]["name"]) == ("reference", "reference")
    executables = [found[side]["provenance"]["executable"] for side in "ab"]
    assert executables == [program("nanoBragg"), str(other)]
    assert f"B             {other}, quirks nanobragg" in capsys.readouterr().out
    same = document(compare(tmp_path, f"--a c --py-bin {program('nanoBragg')} --max-ulp 0", plain))
    assert (same["a"]["name"], same["b"]["name"]) == ("c", "reference")
    suite = tmp_path / "suite.txt"
    suite.write_text(plain + "\n")
    made = compare(tmp_path, f"--a c --py-bin {program('nanoBragg')} --suite {suite}")
    assert document(made, "suite")["b"]["name"] == "reference"


def test_executables_are_looked_for_before_a_side_is_rendered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    words = ["--outdir", str(folder), "--a", "c", "--py-bin", "nowhere", "--", *SMALL.split()]
    assert "B (reference): executable: got 'nowhere', but there is no such file" in refused(
        capsys, words, 2
    )
    assert not folder.exists()


def test_both_sides_take_the_same_seeds_from_the_clock(tmp_path: Path) -> None:
    found = document(compare(tmp_path, "--a c --b c", f"{SMALL} -misset random"))
    assert found["metrics"]["bytes_equal"] is True
    seeds = [found[side]["provenance"]["misset_seed"] for side in "ab"]
    assert seeds[0] == seeds[1]


EMPTY = "-roi 9 3 0 15"
NO_LIGHT = "both images are dark: there is nothing to compare"


def test_dark_images_do_not_pass_by_accident(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = [f"{side}: the image is dark: the region of interest is empty" for side in "AB"]
    for words, status, verdict in (("", 3, "fail"), ("--allow-dark", 0, "pass")):
        made = compare(tmp_path, f"--a c --b c {words}", f"{SMALL} {EMPTY}", status)
        found = document(made)
        assert (found["verdict"], found["metrics"]["lit_a"]) == (verdict, 0)
        assert {"name": "lit", "rule": "a pixel that is not 0", "value": False} | {
            "pass": status == 0
        } in found["criteria"]
        assert [w.split(" (")[0] for w in found["warnings"]] == [*sides, NO_LIGHT]
        errors = capsys.readouterr().err
        assert errors.count("nb-compare: warning: ") == 3
        assert ("--allow-dark passes over that" in errors) == (status == 3)


def test_dark_files_and_cases_do_not_pass_by_accident(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dark = str(_save(tmp_path / "dark.bin", np.zeros((3, 3), np.float32)))
    lit = str(_save(tmp_path / "lit.bin", np.ones((3, 3), np.float32)))
    assert document(compare(tmp_path, f"--files {lit} {lit}"))["verdict"] == "pass"
    assert document(compare(tmp_path, f"--files {dark} {dark}", status=3))["verdict"] == "fail"
    compare(tmp_path, f"--allow-dark --files {dark} {dark}")
    suite = tmp_path / "suite.txt"
    suite.write_text(f"{SMALL}\n{SMALL} {EMPTY}\n")
    found = document(compare(tmp_path, f"--a c --b c --suite {suite}", status=3), "suite")
    assert [case["status"] for case in found["cases"]] == ["pass", "fail"]
    assert found["cases"][1]["problem"] == NO_LIGHT
    assert NO_LIGHT in capsys.readouterr().out
    compare(tmp_path, f"--a c --b c --allow-dark --suite {suite}")


def test_report_holds_everything_it_shows(tmp_path: Path) -> None:
    made = compare(tmp_path, "--a c --b c --quirks-b none", SMALL, 3)
    shown = loads(made / "report.html")
    assert len(shown) == 3
    assert all(text.startswith("data:image/png;base64,") for text in shown)
    text = (made / "report.html").read_text()
    assert '<td class="fail">fail</td>' in text
    assert "quirks that mattered" in text


def test_folders_are_never_the_same(tmp_path: Path) -> None:
    made = {compare(tmp_path / "new", "--a c --b c --no-pictures", SMALL) for _ in range(3)}
    assert len(made) == 3


def test_a_new_or_empty_folder_is_written_into(tmp_path: Path) -> None:
    """Another one gets a new folder, and nothing in it is touched."""
    words = ["--a", "c", "--b", "c", "--", *SMALL.split()]
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (tmp_path / "new" / "inner", empty):
        assert main(["--outdir", str(folder), *words]) == 0
        assert {path.name for path in folder.iterdir()} == ARTIFACTS
        assert (folder / "metrics.json").read_text() == (folder / "summary.json").read_text()
        assert (folder / "diff.png").read_bytes().startswith(PNG_START)
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert main(["--outdir", str(folder), *words]) == 0
        (made,) = folder.glob("nb-compare-*")
        assert {path.name for path in made.iterdir()} == ARTIFACTS
        assert all((folder / name).read_bytes() == data for name, data in before.items())


def test_without_outdir_there_is_a_new_folder_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--no-pictures", "--a", "c", "--b", "c", "--", *SMALL.split()]) == 0
    (made,) = tmp_path.iterdir()
    assert made.name.startswith("nb-compare-")


@for_each(
    "roi, clipped",
    [
        ("0 48 0 3", (0, 47, 0, 3)),
        ("-5 3 40 1000", (0, 3, 40, 47)),
        ("0 47 0 47", (0, 47, 0, 47)),
    ],
)
def test_a_region_beyond_the_image_is_clipped(
    roi: str, clipped: tuple[int, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    found = document(compare(tmp_path, f"--a c --b c --no-pictures --roi {roi}", SMALL))
    assert tuple(found["roi"].values()) == clipped
    first, last, low, high = roi.split()
    fast = f"fast {clipped[0]} to {clipped[1]}, slow {clipped[2]} to {clipped[3]}"
    said = f"--roi: got fast {first} to {last}, slow {low} to {high}, of which the image has {fast}"
    is_clipped = roi != "0 47 0 47"
    assert (said in found["warnings"]) == is_clipped
    assert (f"warning: {said}" in capsys.readouterr().err) == is_clipped


def test_a_region_beyond_a_file_is_clipped(tmp_path: Path) -> None:
    first = _save(tmp_path / "one.bin", np.ones((4, 4)))
    found = document(compare(tmp_path, f"--files {first} {first} --roi 1 9 0 0"))
    assert found["metrics"]["pixels"] == 3
    assert len(found["warnings"]) == 1


def _save(path: Path, pixels: np.ndarray) -> Path:
    nb.write_raw(path, np.ascontiguousarray(pixels, np.float32))
    return path


def test_files(tmp_path: Path) -> None:
    a = image("images", "triclinic")
    first = _save(tmp_path / "one.bin", a)
    second = _save(tmp_path / "two.bin", a * np.float32(1.5))
    found = document(compare(tmp_path, f"--files {first} {first}"))
    assert found["verdict"] == "pass"
    assert found["args"] is None
    assert found["a"]["path"] == str(first)
    found = document(compare(tmp_path, f"--files {first} {second} --threshold 0.999"))
    assert found["metrics"]["sum_ratio"] == pytest.approx(1.5)
    assert found["metrics"]["relative_l2"] == pytest.approx(0.5, rel=1e-6)
    found = document(compare(tmp_path, f"--files {first} {second} --roi 3 9 0 1", status=3))
    assert found["metrics"]["pixels"] == 14


def test_files_of_other_kinds_and_shapes(tmp_path: Path) -> None:
    donor = INPUTS / "donor.img"
    pixels = nb.read_smv(donor).pixels
    flat = _save(tmp_path / "flat.bin", pixels)
    for files in (f"{donor} {flat}", f"{flat} {donor}"):
        assert document(compare(tmp_path, f"--files {files} --max-ulp 0"))["shape"] == [
            *pixels.shape
        ]
    wide = _save(tmp_path / "wide.bin", np.arange(6).reshape(2, 3))
    made = compare(tmp_path, f"--files {wide} {wide} --shape 3 2")
    assert document(made)["shape"] == [2, 3]


def test_other_shapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = image("images", "triclinic")
    fine = _save(tmp_path / "fine.bin", np.kron(a / 4.0, np.ones((2, 2))))
    coarse = _save(tmp_path / "coarse.bin", a)
    compare(tmp_path, f"--files {coarse} {fine}", status=4)
    message = capsys.readouterr().err
    assert "A has 64 x 64 pixels, B 128 x 128 (fast x slow); --resample brings B" in message
    found = document(compare(tmp_path, f"--files {coarse} {fine} --resample"))
    assert found["resampled"] is True
    assert (found["a"]["shape"], found["b"]["shape"]) == ([64, 64], [128, 128])
    assert found["metrics"]["relative_l2"] < 1e-7


def test_command_line_that_means_other_shapes(tmp_path: Path) -> None:
    words = "--a c --b c --quirks-b nanobragg,-cli_substring"
    made = compare(tmp_path, words, f"{SMALL} {OTHER_SIZE}", status=4)
    assert not (made / "summary.json").exists()
    made = compare(tmp_path, f"{words} --resample --max-l2 10", f"{SMALL} {OTHER_SIZE}")
    assert document(made)["shape"] == [48, 20]


def test_pixels_that_are_not_finite(tmp_path: Path) -> None:
    a = np.array([[np.nan, np.inf], [1.0, 2.0]])
    first, second = _save(tmp_path / "one", a), _save(tmp_path / "two", np.nan_to_num(a, posinf=1))
    assert document(compare(tmp_path, f"--files {first} {first}"))["metrics"]["finite"] == 2
    found = document(compare(tmp_path, f"--files {first} {second}", status=3))
    assert found["metrics"]["same_non_finite"] is False
    dark = _save(tmp_path / "dark", np.zeros((2, 2)))
    found = document(compare(tmp_path, f"--allow-dark --files {dark} {dark}"))
    assert found["metrics"]["correlation"] == "nan"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--colour"],
        ["--a", "fortran", "--", "-N", "1"],
        ["--files", "one"],
        ["--files", "a", "b", "--", "-N", "1"],
        ["--files", "a", "b", "--a", "c"],
        ["--files", "a", "b", "--quirks", "none"],
        ["--files", "a", "b", "--limit", "3"],
        ["--shape", "0", "5", "--files", "a", "b"],
        ["--suite", "golden", "--a", "c"],
        ["--suite", "x", "--golden", "y"],
        ["--suite", "x", "--roi", "1", "2", "3", "4"],
        ["--suite", "golden", "--limit", "0"],
        ["--suite", "golden", "--golden", str(GOLDEN), "--select", "nothing"],
        ["--suite", "golden", "--golden", str(GOLDEN), "--quirks-b", "none"],
        ["--roi", "1", "2", "--", "-N", "1"],
        ["--roi", "48", "50", "0", "3", "--a", "c", "--b", "c", "--", *SMALL.split()],
        ["--roi", "0", "3", "-9", "-1", "--a", "c", "--b", "c", "--", *SMALL.split()],
        ["--roi", "3", "0", "0", "3", "--a", "c", "--b", "c", "--", *SMALL.split()],
        ["--py-bin", "x", "--b", "torch", "--", *SMALL.split()],
        ["--py-bin", "x", "--c-bin", "y", "--a", "c", "--", *SMALL.split()],
        ["--files", "a", "b", "--py-bin", "x"],
        ["--quirks-a", "nonsense", "--", *SMALL.split()],
        ["--threshold", "2", "--", *SMALL.split()],
        ["--max-l2", "nan", "--", *SMALL.split()],
        ["--max-ulp", "-1", "--", *SMALL.split()],
        ["--png-scale", "0", "--", *SMALL.split()],
        ["--device", "cpu", "--a", "c", "--b", "c", "--", *SMALL.split()],
        ["--c-bin", "x", "--a", "c", "--b", "c", "--", *SMALL.split()],
        ["--a", "c", "--b", "c", "--", "--threads", "1", *SMALL.split()],
        ["--a", "c", "--b", "c", "--", "-N", "1"],
        ["--a", "c", "--b", "c", "--", *SMALL.split(), "-pixel", "-1"],
    ],
    ids=lambda words: " ".join(words).replace(str(GOLDEN), "DIR"),
)
def test_status_1_usage(
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(capsys, words, 1)
    assert list(tmp_path.iterdir()) == []


def test_status_1_pictures_without_pillow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    words = ["--outdir", str(tmp_path), "--a", "c", "--b", "c", "--", *SMALL.split()]
    message = refused(capsys, words, 1)
    assert (
        "pip install 'nanobragg-hybrid[png]' (in a clone: '.[png]'), or give --no-pictures"
        in message
    )
    assert main(["--no-pictures", *words]) == 0


def test_status_2_no_executable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--outdir", str(tmp_path), "--a", "reference", "--b", "c", "--", *SMALL.split()]
    assert "A (reference): the backend 'reference' needs" in refused(capsys, words, 2)


def test_status_2_executable_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it printed is kept."""
    path = tmp_path / "nanoBragg"
    path.write_text("#!/bin/sh\necho printed\necho broken >&2\nexit 7\n")
    path.chmod(0o755)
    made = compare(tmp_path, f"--a c --b reference --c-bin {path}", SMALL, status=2)
    message = capsys.readouterr().err
    assert "B (reference): " in message
    assert "failed with exit status 7; its last words: broken" in message
    assert f"what there is so far: {made}\n" in message
    assert (made / "b.stdout.txt").read_text() == "printed\n"
    assert (made / "b.stderr.txt").read_text() == "broken\n"
    assert (made / "a.bin").is_file()
    assert not (made / "summary.json").exists()


def test_status_2_engine_that_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    made = compare(tmp_path, "--device nonsense", SMALL, status=2)
    assert "B (torch): no device 'nonsense'" in capsys.readouterr().err
    assert "no device 'nonsense'" in (made / "b.stderr.txt").read_text()


@pytest.mark.parametrize("content", [b"", b"12345", b"{\ngarbage", b"P5 9 9 255 ", b"\0" * 40])
def test_status_5_garbage(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "garbage").write_bytes(content)
    good = str(_save(tmp_path / "good.bin", np.ones((2, 2))))
    for files in ([str(tmp_path / "garbage"), good], [good, str(tmp_path / "garbage")]):
        words = ["--outdir", str(tmp_path), "--files", *files]
        assert "garbage" in refused(capsys, words, 5)
    assert not list(tmp_path.glob("nb-compare-*"))


def test_status_5_files_and_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert "nowhere" in refused(capsys, ["--files", nowhere, nowhere], 5)
    assert "nowhere" in refused(capsys, ["--suite", nowhere], 5)
    assert "nowhere" in refused(capsys, ["--suite", "golden", "--golden", nowhere], 5)
    words = ["--a", "c", "--b", "c", "--", "-hkl", nowhere, *SMALL.split()]
    assert "nowhere" in refused(capsys, words, 5)
    (tmp_path / "file").touch()
    words = ["--outdir", str(tmp_path / "file"), *words[:5], *SMALL.split()]
    assert "file: is no folder" in refused(capsys, words, 5)
    words[1] = str(tmp_path / "file" / "new")
    assert "new: Not a directory" in refused(capsys, words, 5)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    words[1] = str(tmp_path / "link")
    assert "link: is no folder" in refused(capsys, words, 5)


def test_recorded_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = "triclinic hkl_mat mask_roi hkl_commented kitchen dark"
    made = compare(tmp_path, f"--suite golden --max-ulp 0 --select {names}")
    found = document(made, "suite")
    assert {path.name for path in made.iterdir()} == {"suite.json", "suite.html"}
    assert found["counts"] == {"pass": 6}
    rows = {row["name"]: row for row in found["cases"]}
    assert set(rows) == set(names.split())
    assert [name for name, row in rows.items() if not row["bytes_equal"]] == ["hkl_commented"]
    assert rows["triclinic"]["correlation"] == 1.0
    assert rows["triclinic"]["runtime_ratio"] is None
    assert "commented.hkl" in rows["hkl_commented"]["problem"]
    assert loads(made / "suite.html") == []
    assert "6 cases: 6 pass" in capsys.readouterr().out


def test_recorded_suite_of_the_fixed_preset(tmp_path: Path) -> None:
    words = "--suite golden --select phi0_carryover os_all triclinic --max-ulp 0"
    words += f" --golden {GOLDEN} --quirks-b nanobragg-fixed"
    assert document(compare(tmp_path, words), "suite")["counts"] == {"pass": 3}


def test_recorded_suite_outside_a_checkout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare_suite, "_CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert "name the recorded images with --golden" in refused(capsys, ["--suite", "golden"], 5)


def test_suite_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that it names are beside it; the exit status is that of the worst case."""
    suite = tmp_path / "suite.txt"
    (tmp_path / "F.hkl").write_text("0 0 1 100\n-1 2 3 50\n1 1 -1 20\n")
    table = f"nanoBragg -hkl F.hkl {SMALL.replace('-default_F 100', '')}"
    suite.write_text(f"# two\n{table}\n{SMALL} -N 3\n")
    with contextlib.chdir("/"):
        made = compare(tmp_path, f"--suite {suite} --a c --b c --max-ulp 0 --json")
    found = document(made, "suite")
    assert json.loads(capsys.readouterr().out) == found
    assert [row["name"] for row in found["cases"]] == ["line 2", "line 3"]
    assert all(row["runtime_ratio"] > 0.0 for row in found["cases"])
    for line, status, word in (
        (f"{SMALL} -osc 0", 3, "1 pass, 1 fail"),
        (SMALL, 3, "2 fail"),
        ("-N 1", 1, "1 fail, 1 bad command line"),
        ("--threads 5", 1, "1 fail, 1 bad command line"),
        ("'", 1, "1 fail, 1 bad command line"),
        (f"{SMALL} -hkl none.hkl", 5, "1 fail, 1 file error"),
        (f"{SMALL} -mask suite.txt", 5, "1 fail, 1 file error"),
    ):
        suite.write_text(f"{SMALL}\n{line}\n")
        words = f"--suite {suite} --a c --b c --quirks-b nanobragg,-phi_carryover"
        compare(tmp_path, words, status=status)
        assert f"2 cases: {word}\n" in capsys.readouterr().out
    suite.write_text(f"{SMALL} {OTHER_SIZE}\n")
    words = f"--suite {suite} --a c --b c --quirks-b nanobragg,-cli_substring"
    (row,) = document(compare(tmp_path, words, status=4), "suite")["cases"]
    assert row["problem"] == "A has 20 x 48 pixels, B 48 x 48 (fast x slow)"
    suite.write_text(f"{SMALL}\n")
    made = compare(tmp_path, f"--suite {suite} --a reference --b c", status=2)
    (row,) = document(made, "suite")["cases"]
    assert row["status"] == "runner failed"
    assert "set NB_C_BIN" in row["problem"]


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "nb-compare -- -cell 70 80 90 75 85 95" in text
    assert "exit status: 0" in text


def test_installed_command_without_a_display(tmp_path: Path) -> None:
    words = [program("nb-compare"), "--a", "c", "--b", "c", "--outdir", str(tmp_path)]
    environment = {k: v for k, v in os.environ.items() if k not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    done = subprocess.run(
        [*words, "--", *SMALL.split()], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == ARTIFACTS
    closed = subprocess.run(
        f"{' '.join(words)} --json -- {SMALL} | head -c 10",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert closed.stderr == ""


def test_ending_the_command_ends_the_executable(tmp_path: Path) -> None:
    note, path = tmp_path / "id", tmp_path / "slow"
    path.write_text(f"#!/bin/sh\necho $$ > {note}\nexec sleep 60\n")
    path.chmod(0o755)
    words = [program("nb-compare"), "--c-bin", str(path), "--b", "c", "--outdir", str(tmp_path)]
    with subprocess.Popen([*words, "--", *SMALL.split()], stderr=subprocess.PIPE) as process:
        while not (note.exists() and note.read_text().endswith("\n")):
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, message = process.communicate()
    assert process.returncode == 130
    assert message == b"nb-compare: interrupted\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)
