"""nanobragg-hybrid quirks: the ledger, and what its rows do to an image."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from recorded import INPUTS, table

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.umbrella.explain import COLOURS, Change
from nanobragg_hybrid.cli.umbrella.ledger import ledger_lines
from nanobragg_hybrid.cli.umbrella.main import main

SMALL = "-cell 70 80 90 90 90 90 -default_F 100 -N 5 -detpixels 24 -pixel 1 -oversample 1 -seed 1"


def explained(args: str, folder: Path, *own: str) -> dict[str, Any]:
    """What --explain writes for scripts about a command line."""
    file = folder / "found.json"
    with contextlib.chdir(INPUTS):
        assert main(["quirks", "--explain", "--json", str(file), *own, "--", *args.split()]) == 0
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def rows(found: dict[str, Any]) -> dict[str, Any]:
    return {row["name"]: row for row in found["rows"]}


def test_table_has_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quirks"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines() == list(ledger_lines())
    words = " ".join(printed.split())
    for quirk in nb.LEDGER:
        assert f"{quirk.id} {quirk.name} {quirk.section} {quirk.kind}" in words
    assert max(map(len, printed.splitlines())) <= 118


def test_figures_are_those_of_two_renderings(tmp_path: Path) -> None:
    args = f"{SMALL} -osc 2 -phisteps 4 -water 5"
    found = explained(args, tmp_path, "--pixel", "3", "17")
    assert list(rows(found)) == ["phi_carryover", "water_background", "phi_left_edge"]
    experiment = nb.Experiment.from_nanobragg_args(args)
    constant = nb.StructureFactors.constant(100.0)
    before = nb.simulate(experiment, constant).image.astype(float)
    for name, row in rows(found).items():
        quirks = nb.Quirks.parse(f"nanobragg,-{name}")
        after = nb.simulate(experiment, constant, quirks=quirks).image.astype(float)
        change = np.linalg.norm(after - before) / np.linalg.norm(before)
        assert row["relative_l2"] == pytest.approx(change, rel=1e-12)
        assert row["total"] == {"before": before.sum(), "after": after.sum()}
        largest = row["largest"]
        assert np.abs(after - before).max() == abs(largest["after"] - largest["before"])
        assert largest["after"] == after[largest["slow"], largest["fast"]]
        need = {"fast": 3, "slow": 17, "before": before[17, 3], "after": after[17, 3]}
        assert row["pixels"] == [need]


@pytest.mark.parametrize(
    ("args", "names"),
    [
        ("", []),
        ("-phi 5", []),
        ("-spindle_axis 0 0 1", ["custom_convention_switch"]),
        ("-xds -Xbeam 5", ["pivot_flag_ignored", "near_point_ignored"]),
        ("-curved_det", ["curved_needs_argument"]),
        ("-curved_det x", ["curved_detector_axes", "curved_flat_factors"]),
        ("-misset random", ["misset_random_radians", "misset_seed_default", "first_deviate"]),
        ("-misset_seed 5 -misset random", ["misset_random_radians", "first_deviate"]),
        ("-misset_seed 12 -phi 3", ["cli_substring"]),
        ("-img donor.img", ["phi_left_edge", "smv_header_search", "header_geometry"]),
        ("-dump whitespace_dump.bin", ["fdump_whitespace"]),
        (
            "-sourcefile sources_comment.txt",
            ["polar_first_source", "source_file_comments", "impossible_sources"],
        ),
    ],
)
def test_what_matters(args: str, names: list[str], tmp_path: Path) -> None:
    """Also quirks of words and files, without which the command line means something else."""
    found = rows(explained(f"{SMALL} {args}", tmp_path))
    expected = [quirk.name for quirk in nb.LEDGER if quirk.name in names]
    assert [name for name in found if name not in ("source_weights_ignored",)] == expected


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@pytest.mark.parametrize(
    ("case", "name", "least"),
    [
        ("thick", "thick_last_layer", 0.1),
        ("beam_xds", "near_point_ignored", 0.5),
        ("curved", "curved_detector_axes", 0.5),
        ("phi0_carryover", "phi_carryover", 0.05),
        ("misset_seed_eats_args", "cli_substring", 0.5),
    ],
)
def test_recorded_cases(case: str, name: str, least: float, tmp_path: Path) -> None:
    assert rows(explained(table("cases")[case]["args"], tmp_path))[name]["relative_l2"] > least


def test_own_options_of_the_command_line(tmp_path: Path) -> None:
    args = f"--quirks none,+phi_carryover --threads 1 {SMALL} -osc 2 -phi -0.5"
    found = explained(args, tmp_path)
    assert found["quirks"] == "none,+phi_carryover"
    assert list(rows(found)) == ["phi_carryover"]
    assert found["command"].startswith("nanoBragg --quirks none,+phi_carryover")


def test_table_says_which_are_on(capsys: pytest.CaptureFixture[str]) -> None:
    quirks = nb.Quirks.parse("none,+phi_carryover")
    assert main(["quirks", "--quirks", str(quirks)]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines() == list(ledger_lines(quirks))
    words = " ".join(printed.split())
    for quirk in nb.LEDGER:
        position = "on" if quirk.name == "phi_carryover" else "off"
        assert f"{quirk.name} {quirk.section} {quirk.kind} {position} " in words
    assert max(map(len, printed.splitlines())) <= 118


def test_quirks_may_stand_before_the_command_line(tmp_path: Path) -> None:
    args = f"--threads 1 {SMALL} -osc 2 -phi -0.5"
    found = explained(args, tmp_path, "--quirks", "none,+phi_carryover")
    assert found["quirks"] == "none,+phi_carryover"
    later = explained(f"--quirks none {args}", tmp_path, "--quirks", "none,+phi_carryover")
    assert later["quirks"] == "none"


def test_image_that_cannot_be_rendered_without_a_quirk(tmp_path: Path) -> None:
    """Here it has another size then: the row says so, and the others are there."""
    dimensions = "-cell 70 80 90 90 90 90 -default_F 1 -N 2 -img donor_dimensions.img -pixel 0.3"
    found = rows(explained(dimensions, tmp_path))
    assert "the image has 64 x 72 pixels then" in found["smv_header_search"]["problem"]
    assert "relative_l2" not in found["smv_header_search"]


def test_picture_shows_changed_pixels_in_colour(tmp_path: Path) -> None:
    out = tmp_path / "changes.png"
    found = rows(explained(f"{SMALL} -spindle_axis 0 0 1", tmp_path, "--out", str(out)))
    assert found["custom_convention_switch"]["colour"] == "red"
    with Image.open(out) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (24, 24, 3)
    red = np.all(pixels == COLOURS["red"], axis=-1)
    grey = np.all(pixels == pixels[..., :1], axis=-1)
    assert np.all(red | grey)
    assert 10 < np.count_nonzero(red) < red.size - 10


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["quirks", "--explain", "--pixel", "3", "17", "--", *SMALL.split(), "-osc", "2"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert text.startswith("quirks: nanobragg\nimage: 24 x 24 pixels, ")
    assert "\nC-PARITY-001 phi_carryover: a φ step of exactly 0" in text
    assert "\n  relative L2 change  0." in text
    assert "\n  most changed pixel  fast " in text
    assert "\n  pixel asked about   fast 3, slow 17: " in text
    assert main(["quirks", "--explain", "--", *SMALL.split()]) == 0
    assert "no quirk that is on could have changed this image" in capsys.readouterr().out


def test_an_unchanged_image_is_said_to_be_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """A pivot matters for the simulation to say, but not if nothing is turned."""
    assert main(["quirks", "--explain", "--", *SMALL.split(), "-pivot", "sample"]) == 0
    assert "pivot_flag_ignored" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["quirks", "--explain"], "needs a nanoBragg command line after --"),
        (["quirks", "--json", "x"], "belong to quirks --explain"),
        (
            ["quirks", "--", "-N", "5"],
            "only converge, series and quirks --explain take a command line after --",
        ),
        (
            ["info", "--", "-N", "5"],
            "only converge, series and quirks --explain take a command line after --",
        ),
    ],
)
def test_wrong_words(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(words)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("own", "args", "message"),
    [
        ([], "-N 5", "there is no crystal"),
        ([], f"{SMALL} --quirks cubist", "quirks: got 'cubist'"),
        (["--pixel", "24", "0"], SMALL, "pixel: got fast 24, slow 0, need fast 0 to 23"),
        (["--json", "nosuch/x.json"], SMALL, "No such file"),
        (["--out", "nosuch/x.png"], SMALL, "No such file"),
        (["--out", "x", "--json", "x"], SMALL, "named for the picture, but it is also named for"),
        (["--json", "a.hkl"], f"{SMALL} -hkl a.hkl", "a.hkl: named for the JSON, but it is a file"),
        ([], f"{SMALL} --json x", "--json x: has its place before the --"),
        ([], f"{SMALL} --dtype float32", "dtype: got 'float32', need no value: the backend 'c'"),
    ],
)
def test_failures(
    own: list[str],
    args: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.hkl").write_text("1 0 0 5\n")
    assert main(["quirks", "--explain", *own, "--", *args.split()]) == 1
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.hkl"]
    assert (tmp_path / "a.hkl").read_text() == "1 0 0 5\n"


def test_change_of_dark_images() -> None:
    dark, lit = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    lit[1, 2] = 5.0
    assert Change.between(dark, lit) == Change(np.inf, 2, 1, 0.0, 5.0, 0.0, 5.0)
    assert Change.between(dark, dark).relative_l2 == 0.0
    assert Change.between(lit, dark) == Change(1.0, 2, 1, 5.0, 0.0, 5.0, 0.0)


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
def test_pixels_that_are_not_finite_count_as_dark(tmp_path: Path) -> None:
    found = rows(explained(f"{SMALL} -sourcefile sources_comment.txt", tmp_path))
    row = found["source_file_comments"]
    assert row["total"]["after"] > 0.0
    assert np.isfinite(row["total"]["before"])


def test_structure_factors_that_are_read_in_another_way(tmp_path: Path) -> None:
    hkl = tmp_path / "five.hkl"
    lines = [f"{h} {k} {l} {50 + h - k} 2\n" for h, k, l in np.ndindex(4, 4, 4)]
    hkl.write_text("".join(lines))
    found = rows(explained(f"{SMALL} -hkl {hkl}", tmp_path))
    assert list(found) == ["hkl_stream"]
    assert found["hkl_stream"]["relative_l2"] > 0.05


def test_the_example_of_the_page_changes_in_every_row(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "quirks.md").read_text()
    (args,) = re.findall(r"^    nanobragg-hybrid quirks --explain --out \S+ -- (.*)$", page, re.M)
    found = rows(explained(f"{args} -detpixels 32", tmp_path))
    large = ["phi_carryover", "triclinic_cell", "phi_left_edge"]
    assert list(found) == [*large, "first_subpixel_factors"]
    assert all(found[name]["relative_l2"] > 0.001 for name in large)
    assert 0.0 < found["first_subpixel_factors"]["relative_l2"] < 0.001


def test_colours_are_named_where_there_is_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--", *SMALL.split(), "-osc", "2"]
    assert main(["quirks", "--explain", *words]) == 0
    assert "in the picture" not in capsys.readouterr().out
    assert main(["quirks", "--explain", "--out", str(tmp_path / "a.png"), *words]) == 0
    assert "in the picture      red\n" in capsys.readouterr().out
