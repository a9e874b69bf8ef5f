"""The command nb-trace: what it prints, what it compares, and how it fails."""

from __future__ import annotations

import contextlib
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from json_schema import problems, schema
from recorded import GOLDEN, program, table

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.trace.main import main
from nanobragg_hybrid.formats.trace_text import parse_trace
from nanobragg_hybrid.model.trace import QUANTITIES

ARGS = shlex.split(table("traces")["triclinic"]["args"])
PIXEL = ["--pixel", "10", "20"]
PHI_ARGS = [*ARGS, "-phi", "0", "-osc", "1", "-phisteps", "3"]
NO_CARRYOVER = ["--quirks-b", "nanobragg,-phi_carryover"]
TRUE = ["reference", "--c-bin", "/bin/true"]
FALSE = ["reference", "--c-bin", "/bin/false"]

Out = pytest.CaptureFixture[str]


def needs_torch() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")


def recorded_file(path: Path, case: str = "triclinic") -> Path:
    """A log of nanoBragg's with the lines of all recorded pixels of a case."""
    lines = ["nanoBragg nanocrystal diffraction simulator"]
    for pixel in table("traces")[case]["pixels"]:
        for name, values in pixel.items():
            numbers = values if isinstance(values, list) else [values]
            lines.append(f"TRACE_C: {name} {' '.join(f'{x:.15g}' for x in numbers)}")
    path.write_text("\n".join(lines) + "\n")
    return path


# ---- printing ---------------------------------------------------------------------------------


def test_text_has_every_number_of_both_engines(capsys: Out) -> None:
    needs_torch()
    assert main([*PIXEL, "--backends", "c", "torch", "--", *ARGS]) == 0
    ours, theirs = parse_trace(capsys.readouterr().out, "out")
    assert (ours.tag, theirs.tag) == ("C", "PY")
    assert {quantity.recorded for quantity in QUANTITIES} <= ours.values.keys()
    assert ours.values.keys() == theirs.values.keys()
    need = table("traces")["triclinic"]["pixels"][0]
    assert ours.values["hkl_frac"] == tuple(need["hkl_frac"])
    assert ours.values["I_before_scaling"] == (need["I_before_scaling"],)


def test_json_fits_its_schema_and_has_every_digit(capsys: Out) -> None:
    assert main([*PIXEL, "--format", "json", "--", *ARGS]) == 0
    document = json.loads(capsys.readouterr().out)
    assert problems(document, schema("traces")) == []
    (trace,) = document["traces"]
    experiment = nb.Experiment.from_nanobragg_args(ARGS)
    need = nb.trace(experiment, nb.StructureFactors.constant(100.0), pixel=(10, 20))
    assert (trace["backend"], trace["quirks"], trace["is_lit"]) == ("c", "nanobragg", True)
    (record,) = trace["records"]
    assert tuple(record["hkl_frac"]) == need.steps[0].hkl
    assert record["I_pixel_final"] == [need.pixel_value]


def test_a_pixel_that_is_not_lit(capsys: Out) -> None:
    args = [*ARGS, "-roi", "0", "5", "0", "5"]
    assert main([*PIXEL, "--", *args]) == 0
    assert capsys.readouterr().out == "TRACE_C: fast 10\nTRACE_C: slow 20\n"
    assert main([*PIXEL, "--format", "json", "--", *args]) == 0
    document = json.loads(capsys.readouterr().out)
    assert problems(document, schema("traces")) == []
    assert document["traces"][0]["is_lit"] is False


def test_a_row_for_each_phi_step(capsys: Out) -> None:
    assert main([*PIXEL, "--phi", "--", *PHI_ARGS]) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines() if line.startswith("# ")]
    assert rows[0][1:] == "phi_step phi_deg h k l F_latt_a F_latt_b F_latt_c b_x b_y b_z".split()
    records = parse_trace(out, "out")
    assert [record.values["phi_step"] for record in records] == [(0.0,), (1.0,), (2.0,)]
    for row, record in zip(rows[1:], records, strict=True):
        values = record.values
        numbers = [float(word) for word in row[1:]]
        assert numbers[0] == values["phi_step"][0]
        names = ("hkl_frac", "F_latt_a", "F_latt_b", "F_latt_c", "rot_b_angstroms")
        need = [x for name in names for x in values[name]]
        assert numbers[2:] == pytest.approx(need, rel=1e-9, abs=1e-12)
    assert [row[2] for row in rows[1:]] == ["0", "0.3333333333", "0.6666666667"]


def test_a_region_pixel_by_pixel(capsys: Out) -> None:
    assert main(["--scan", "3", "4", "7", "8", "--", *ARGS]) == 0
    records = parse_trace(capsys.readouterr().out, "out")
    pixels = [(record.values["fast"], record.values["slow"]) for record in records]
    assert pixels == [((f,), (s,)) for s in (7.0, 8.0) for f in (3.0, 4.0)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scan", "0", "0", "0", "64", "--", *ARGS], "--scan: got [0, 0, 0, 64], need F within"),
        (["--scan", "-1", "0", "0", "0", "--", *ARGS], "--scan: got [-1, 0, 0, 0], need F within"),
        ([*PIXEL, "--", *ARGS, "--threads", "2"], "--threads: is no option of nanoBragg"),
    ],
)
def test_nothing_is_printed_of_what_cannot_be_done(
    words: list[str], message: str, capsys: Out
) -> None:
    assert main(words) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


def test_a_region_up_to_the_last_pixel(capsys: Out) -> None:
    assert main(["--scan", "63", "63", "63", "63", "--", *ARGS]) == 0
    (record,) = parse_trace(capsys.readouterr().out, "out")
    assert (record.values["fast"], record.values["slow"]) == ((63.0,), (63.0,))


def test_a_region_by_two_engines_as_json(capsys: Out) -> None:
    """A trace for every pixel from each engine, its numbers those of the pixel alone."""
    needs_torch()
    words = ["--scan", "3", "4", "7", "8", "--backends", "c", "torch", "--format", "json"]
    assert main([*words, "--", *ARGS]) == 0
    document = json.loads(capsys.readouterr().out)
    assert problems(document, schema("traces")) == []
    found = [
        (trace["backend"], *(int(trace["records"][0][name][0]) for name in ("fast", "slow")))
        for trace in document["traces"]
    ]
    pixels = [(fast, slow) for slow in (7, 8) for fast in (3, 4)]
    assert sorted(found) == sorted((name, *pixel) for name in ("c", "torch") for pixel in pixels)
    assert main(["--pixel", "4", "8", "--format", "json", "--", *ARGS]) == 0
    (alone,) = json.loads(capsys.readouterr().out)["traces"]
    assert alone["records"] == document["traces"][found.index(("c", 4, 8))]["records"]


def test_names_are_those_that_were_recorded(capsys: Out) -> None:
    """The text has every name of the recorded traces, in their number of words."""
    recorded = table("traces")["triclinic"]["pixels"][0]
    for backend in ("c", "torch"):
        if backend == "torch":
            needs_torch()
        tag = {"c": "TRACE_C", "torch": "TRACE_PY"}[backend]
        assert main([*PIXEL, "--backends", backend, "--", *ARGS]) == 0
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert {line[0] for line in lines} == {f"{tag}:"}
        sizes = {line[1]: len(line) - 2 for line in lines}
        assert {name: sizes[name] for name in recorded} == {
            name: np.atleast_1d(value).size for name, value in recorded.items()
        }


def test_a_chosen_step(capsys: Out) -> None:
    args = [*PHI_ARGS, "-mosaic", "0.3", "-mosaic_dom", "4", "-oversample", "3"]
    words = ["--phi-step", "2", "--domain", "3", "--subpixel", "1", "2", "--source", "0"]
    assert main([*PIXEL, *words, "--layer", "0", "--", *args]) == 0
    (record,) = parse_trace(capsys.readouterr().out, "out")
    names = ("layer", "sub_slow", "sub_fast", "source", "phi_step", "domain")
    assert [record.values[name][0] for name in names] == [0, 2, 1, 0, 2, 3]


def test_quirks_are_those_asked_for(capsys: Out) -> None:
    values = []
    for quirks in ("nanobragg", "nanobragg,-phi_carryover"):
        assert main([*PIXEL, "--quirks", quirks, "--", *PHI_ARGS]) == 0
        values.append(parse_trace(capsys.readouterr().out, "out")[0].values["rot_a_angstroms"])
    assert values[0] != values[1]


# ---- comparing --------------------------------------------------------------------------------


def _metrics(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    assert problems(document, schema("trace_comparison")) == []
    return document


def test_engines_agree(tmp_path: Path, capsys: Out) -> None:
    needs_torch()
    out = tmp_path / "a" / "new" / "folder"
    words = ["--compare", "c", "torch", *PIXEL, "--outdir", str(out)]
    assert main([*words, "--phi", "--", *PHI_ARGS]) == 0
    document = _metrics(out)
    assert document["first_divergence"] is None
    assert (document["quirks_a"], document["quirks_b"]) == ("nanobragg", "nanobragg")
    assert max(document[f"max_delta_{x}"] for x in "hkl") < 1e-12
    assert document["command"] == shlex.join(["nb-trace", *words, "--phi", "--", *PHI_ARGS])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("no divergence: c and torch agree in all ")
    assert last in (out / "summary.md").read_text()


def test_the_first_divergence_is_named(tmp_path: Path, capsys: Out) -> None:
    words = ["--compare", "c", "c", *NO_CARRYOVER, *PIXEL, "--phi", "--outdir", str(tmp_path)]
    assert main([*words, "--", *PHI_ARGS]) == 3
    document = _metrics(tmp_path)
    first = document["first_divergence"]
    assert (first["stage"], first["quantity"]) == ("cell rotation", "rot_a_angstroms")
    assert first["step"]["phi_step"] == 0
    assert document["b"] == "c [nanobragg,-phi_carryover]"
    assert [step["agree"] for step in document["steps"]] == [False, True, True]
    out = capsys.readouterr().out
    assert "\n=>                     rot_a_angstroms " in out
    assert "first divergence: cell rotation, rot_a_angstroms at phi step 0: " in out


def test_quirks_of_both_sides(tmp_path: Path) -> None:
    """--quirks is for both, --quirks-b for B alone."""
    words = ["--compare", "c", "c", *PIXEL, "--outdir", str(tmp_path), "--quirks", "none"]
    assert main([*words, "--", *PHI_ARGS]) == 0
    assert (_metrics(tmp_path)["quirks_a"], _metrics(tmp_path)["quirks_b"]) == ("none", "none")
    assert main([*words, "--quirks-b", "none,+phi_carryover", "--", *PHI_ARGS]) in (0, 3)
    assert _metrics(tmp_path)["quirks_b"] == "none,+phi_carryover"


def test_a_tolerance_lets_pass(capsys: Out) -> None:
    words = ["--compare", "c", "c", *NO_CARRYOVER, *PIXEL]
    assert main([*words, "--rtol", "2", "--", *PHI_ARGS]) == 0
    assert main([*words, "--rtol", "1e-6", "--", *PHI_ARGS]) == 3


def test_comparison_as_json(capsys: Out) -> None:
    words = ["--compare", "c", "c", *PIXEL, "--format", "json"]
    assert main([*words, "--", *ARGS]) == 0
    document = json.loads(capsys.readouterr().out)
    assert problems(document, schema("trace_comparison")) == []
    assert document["agree"] is True


@pytest.mark.parametrize("backend", ["c", "torch"])
def test_against_a_log_of_nanobragg(backend: str, tmp_path: Path, capsys: Out) -> None:
    if backend == "torch":
        needs_torch()
    log = recorded_file(tmp_path / "their.log")
    for pixel in (["10", "20"], ["33", "31"]):
        words = ["--compare", str(log), backend, "--pixel", *pixel, "--outdir", str(tmp_path)]
        assert main([*words, "--", *ARGS]) == 0
    assert _metrics(tmp_path)["only_in_b"] == ["odet_vec", "phi_rad", "term", "I_running_sum"]
    assert f"not compared, only in {backend}: odet_vec, phi_rad" in capsys.readouterr().out
    # nanoBragg's -trace_pixel takes slow and fast: the other pixel is another one
    assert main(["--compare", str(log), backend, "--pixel", "20", "10", "--", *ARGS]) == 5
    assert "has no pixel 20 10 (fast slow), but 10 20; 33 31" in capsys.readouterr().err


def test_files_of_ours_come_back(tmp_path: Path, capsys: Out) -> None:
    assert main([*PIXEL, "--phi", "--", *PHI_ARGS]) == 0
    text = tmp_path / "c.txt"
    text.write_text(capsys.readouterr().out)
    assert main([*PIXEL, "--phi", "--format", "json", "--", *PHI_ARGS]) == 0
    data = tmp_path / "c.json"
    data.write_text(capsys.readouterr().out)
    assert main(["--compare", str(text), str(data)]) == 0
    for path in (text, data):
        assert main(["--compare", str(path), "c", *PIXEL, "--", *PHI_ARGS]) == 0
        assert main(["--compare", "c", str(path), *PIXEL, "--phi", "--", *PHI_ARGS]) == 0
    words = ["--compare", str(data), "c", "--outdir", str(tmp_path)]
    assert main([*words, *NO_CARRYOVER, *PIXEL, "--", *PHI_ARGS]) == 3
    assert _metrics(tmp_path)["first_divergence"]["step"]["phi_step"] == 0
    assert len(_metrics(tmp_path)["steps"]) == 3


def test_a_file_of_two_kinds_of_lines(tmp_path: Path, capsys: Out) -> None:
    needs_torch()
    assert main([*PIXEL, "--backends", "c", "torch", "--", *ARGS]) == 0
    path = tmp_path / "both.txt"
    path.write_text(capsys.readouterr().out)
    assert main(["--compare", f"{path}:C", f"{path}:PY"]) == 0
    assert main(["--compare", str(path), f"{path}:PY"]) == 5
    assert f"has TRACE_C and TRACE_PY: say which, as {path}:C" in capsys.readouterr().err
    assert main(["--compare", f"{path}:C", f"{path}:ZZ"]) == 5
    assert "has no line TRACE_ZZ, but TRACE_C and TRACE_PY" in capsys.readouterr().err


def test_an_executable(capsys: Out) -> None:
    """Our own drop-in command stands in for a development build of nanoBragg."""
    words = ["--compare", "reference", "c", "--c-bin", program("nanoBragg"), *PIXEL]
    assert main([*words, "--", *ARGS]) == 0
    assert "no divergence: reference and c agree in all" in capsys.readouterr().out
    assert main(["--backends", "reference", *words[3:], "--", *ARGS]) == 0
    assert capsys.readouterr().out.startswith("TRACE_REFERENCE: fast 10\n")


# ---- builds that print no fast and no slow ----------------------------------------------------

BUILD_LOG = GOLDEN / "more" / "tracing_build.log"
BUILD_ARGS = shlex.split(
    "-default_F 10 -cell 70 80 90 90 90 90 -N 5 -detpixels 64 -lambda 1 -distance 100 -pixel 0.4 "
    "-oversample 1"
)


def test_a_log_that_names_its_pixel_in_another_line(capsys: Out) -> None:
    """spixel=20, fpixel=10: fast 10, slow 20."""
    words = ["--compare", str(BUILD_LOG), "c"]
    assert main([*words, *PIXEL, "--", *BUILD_ARGS]) == 0
    assert "no divergence" in capsys.readouterr().out
    assert main([*words, "--pixel", "20", "10", "--", *BUILD_ARGS]) == 5
    error = capsys.readouterr().err.strip()
    assert error.endswith(f"{BUILD_LOG}: has no pixel 20 10 (fast slow), but 10 20")
    assert main(["--compare", str(BUILD_LOG), str(BUILD_LOG)]) == 0


def test_a_log_that_does_not_name_its_pixel(tmp_path: Path, capsys: Out) -> None:
    """It is of the pixel that was asked for."""
    lines = [line for line in BUILD_LOG.read_text().splitlines() if "TRACE_CONFIG" not in line]
    log = tmp_path / "log"
    log.write_text("\n".join(lines) + "\n")
    assert main(["--compare", str(log), "c", *PIXEL, "--", *BUILD_ARGS]) == 0
    assert "no divergence" in capsys.readouterr().out
    assert main(["--compare", str(log), "c", "--pixel", "20", "10", "--", *BUILD_ARGS]) == 3
    assert "=>  " in capsys.readouterr().out
    assert main(["--compare", str(log), str(BUILD_LOG), *PIXEL]) == 0
    capsys.readouterr()
    assert main(["--compare", str(log), str(BUILD_LOG)]) == 1
    error = capsys.readouterr().err.strip()
    assert error.endswith(f"{log} does not say which pixel it is of: say it with --pixel F S")


def test_several_pixels_named_in_lines_of_their_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    text = BUILD_LOG.read_text()
    log.write_text(text + text.replace("spixel=20, fpixel=10", "spixel=3, fpixel=4"))
    assert [record.values["slow"] for record in nb.read_trace(log)] == [(20.0,), (3.0,)]
    assert [record.values["fast"] for record in nb.read_trace(log)] == [(10.0,), (4.0,)]
    assert main(["--compare", str(log), "c", *PIXEL, "--", *BUILD_ARGS]) == 0
    assert main(["--compare", str(log), "c", "--pixel", "4", "3", "--", *BUILD_ARGS]) == 3


def test_names_of_a_pixel_count_more_than_a_line_before_them() -> None:
    text = "TRACE_CONFIG: tracing pixel (spixel=1, fpixel=2)\nTRACE_C: slow 3\nTRACE_C: fast 4\n"
    (record,) = parse_trace(text, "log")
    assert record.values == {"slow": (3.0,), "fast": (4.0,)}


@pytest.mark.parametrize("announces", [True, False])
def test_an_executable_that_prints_no_names_of_a_pixel(
    announces: bool, tmp_path: Path, capsys: Out
) -> None:
    kept = "." if announces else "-v TRACE_CONFIG"
    path = tmp_path / "build"
    path.write_text(f"#!/bin/sh\ngrep {kept} {BUILD_LOG}\n")
    path.chmod(0o755)
    words = ["--compare", "reference", "c", "--c-bin", str(path)]
    assert main([*words, *PIXEL, "--", *BUILD_ARGS]) == 0
    assert "no divergence" in capsys.readouterr().out
    assert main(["--backends", "reference", *words[3:], *PIXEL, "--", *BUILD_ARGS]) == 0
    assert "TRACE_REFERENCE: fast 10\nTRACE_REFERENCE: slow 20\n" in capsys.readouterr().out
    other = main([*words, "--pixel", "11", "20", "--", *BUILD_ARGS])
    error = capsys.readouterr().err.strip()
    if announces:
        assert other == 5
        assert error.endswith("the executable: has no pixel 11 20 (fast slow), but 10 20")
    else:
        assert other == 3


@pytest.mark.parametrize("side", [0, 1])
def test_what_is_wrong_with_two_files_is_said_of_one(
    side: int, tmp_path: Path, capsys: Out
) -> None:
    """Each file is named once."""
    twice = tmp_path / "twice"
    twice.write_text(BUILD_LOG.read_text() * 2)
    sides = [str(BUILD_LOG), str(BUILD_LOG)]
    sides[side] = str(twice)
    assert main(["--compare", *sides]) == 5
    error = capsys.readouterr().err.strip()
    need = f"nb-trace: error: {twice}: steps: got two records without a step, need each step once"
    assert error == need


# ---- failing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "args", "status", "message"),
    [
        (["--compare", "c", "no.txt", *PIXEL], ARGS, 5, "no.txt: No such file or directory"),
        (["--compare", "c", "GARBAGE", *PIXEL], ARGS, 5, "garbage:1: is no text"),
        (["--compare", "WORDS", "c", *PIXEL], ARGS, 5, "words: has no line like 'TRACE_C: name"),
        (["--compare", "NUMBERS", "c", *PIXEL], ARGS, 5, "numbers:3: hkl_frac: got '1 x 3', need"),
        (["--compare", "JSON", "c", *PIXEL], ARGS, 5, "json: is no JSON of the format"),
        (["--compare", "EMPTY", "c", *PIXEL], ARGS, 5, "empty: layer: got '', need one whole"),
        (["--compare", "NAN", "c", *PIXEL], ARGS, 5, "nan: phi_step: got 'nan', need one whole"),
        (["--compare", "c", "NOTHING", *PIXEL], ARGS, 5, "nothing: has no quantity that the"),
        (["--compare", "LOG", "LOG"], [], 1, "has 2 pixels: say which with --pixel F S"),
        (["--compare", "c", "c", "--pixel", "64", "0"], ARGS, 1, "pixel: got (64, 0), need"),
        (["--compare", "c", "c", "--rtol", "-1", *PIXEL], ARGS, 1, "rtol: got -1.0, need"),
        (["--compare", "c", "c", "--phi-step", "9", *PIXEL], ARGS, 1, "phi_step: got 9, need"),
        (["--compare", "c", "c", "--quirks-a", "x", *PIXEL], ARGS, 1, "quirks: got 'x', need"),
        (["--compare", "c", "c", *PIXEL], ["-N", "5"], 1, "there is no crystal"),
        (["--compare", "c", "c", *PIXEL], [*ARGS, "-hkl", "no.hkl"], 5, "no.hkl: No such file"),
        (["--compare", "reference", "c", *PIXEL], ARGS, 2, "needs an executable: set NB_C_BIN"),
        (["--compare", "c", "reference", "--c-bin", "/bin/true", *PIXEL], ARGS, 2, "prints no tra"),
        (
            ["--compare", "c", "reference", "--c-bin", "/bin/false", *PIXEL],
            ARGS,
            2,
            "exit status 1",
        ),
        (["--backends", "reference", "--phi", *PIXEL], ARGS, 2, "prints one step only"),
        (["--outdir", "GARBAGE", "--compare", "c", "c", *PIXEL], ARGS, 5, "garbage: File exists"),
    ],
)
def test_failures(
    words: list[str], args: list[str], status: int, message: str, tmp_path: Path, capsys: Out
) -> None:
    contents = {
        "GARBAGE": b"\x89\x00\xff\n\xfe garbage",
        "WORDS": b"nothing to see\n",
        "NUMBERS": b"TRACE_C: fast 10\nTRACE_C: slow 20\nTRACE_C: hkl_frac 1 x 3\n",
        "JSON": b'{"format": "nanobragg-hybrid traces", "schema_version": 1, "traces": [[]]}',
        "EMPTY": b'{"format": "nanobragg-hybrid traces", "schema_version": 1, "traces": '
        b'[{"tag": "C", "records": [{"fast": [10], "slow": [20], "layer": []}]}]}',
        "NAN": b"TRACE_C: fast 10\nTRACE_C: slow 20\nTRACE_C: phi_step nan\n",
        "NOTHING": b"TRACE_C: fast 10\nTRACE_C: slow 20\n",
    }
    files = {"LOG": str(recorded_file(tmp_path / "log"))}
    for name, content in contents.items():
        path = tmp_path / name.lower()
        path.write_bytes(content)
        files[name] = str(path)
    with contextlib.chdir(tmp_path):
        assert main([*(files.get(word, word) for word in words), "--", *args]) == status
    error = capsys.readouterr().err
    assert message in error
    assert len([line for line in error.splitlines() if "nb-trace: error: " in line]) == 1


def test_an_engine_that_raises_has_failed(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    def fail(*_: object, **_options: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("nanobragg_hybrid.run.prepare.Prepared.trace", fail)
    assert main([*PIXEL, "--", *ARGS]) == 2
    assert capsys.readouterr().err == "nb-trace: error: c: ZeroDivisionError: by zero\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "need a nanoBragg command line after --"),
        (["--", *ARGS], "need one of --pixel F S and --scan"),
        ([*PIXEL, "--scan", "1", "2", "3", "4", "--", *ARGS], "need one of --pixel F S and --scan"),
        (["--scan", "2", "1", "3", "4", "--", *ARGS], "need F0 <= F1 and S0 <= S1"),
        ([*PIXEL, "--rtol", "1", "--", *ARGS], "--rtol does not go with printing"),
        ([*PIXEL, "--phi", "--phi-step", "1", "--", *ARGS], "--phi-step does not go with --phi"),
        (["--compare", "c", "torch", *PIXEL], "need a nanoBragg command line after --"),
        (["--compare", "c", "torch", "--", *ARGS], "need --pixel F S"),
        (["--compare", "a", "b", "--", *ARGS], "two files need no command line"),
        (["--compare", "a", "b", "--phi"], "--phi does not go with two files"),
        (["--compare", "a", "b", "--quirks", "none"], "--quirks does not go with two files"),
        (["--compare", "a", "c", "--quirks-a", "none", *PIXEL, "--", *ARGS], "go with a file"),
        (["--compare", "c", "c", "--backends", "c", *PIXEL, "--", *ARGS], "go with --compare"),
        ([*PIXEL, "--backends", "fortran", "--", *ARGS], "invalid choice: 'fortran'"),
    ],
)
def test_wrong_words(words: list[str], message: str, capsys: Out) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 1
    error = capsys.readouterr().err
    assert "usage: nb-trace" in error
    assert message in error


def test_help_has_examples_and_the_exit_status(capsys: Out) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "nb-trace --compare c torch --pixel 33 31 --outdir found -- ARGS" in text
    assert "3 they differ" in text


def test_the_example_of_the_documentation(capsys: Out) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tracing.md").read_text()
    command, *shown = page.split("$ nb-trace ")[1].split("\n```")[0].splitlines()
    assert main(shlex.split(command)) == 3
    printed = iter(capsys.readouterr().out.splitlines())
    for line in shown:
        assert line == "..." or line in printed  # in this order


def test_warnings_of_the_command_line_go_to_standard_error(capsys: Out) -> None:
    need = "nb-trace: warning: '-colour' is no known option\n"
    assert main([*PIXEL, "--", *ARGS, "-colour"]) == 0
    assert capsys.readouterr().err == need
    assert main(["--compare", "c", "c", *PIXEL, "--", *ARGS, "-colour"]) == 0
    assert capsys.readouterr().err == need  # once, though both sides read it
