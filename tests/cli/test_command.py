"""The drop-in command from end to end: files, log, --json, and everything that can go wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from recorded import INPUTS, link_inputs, program, table

import nanobragg_hybrid as nb
from nanobragg_hybrid.base.errors import CommandLineError
from nanobragg_hybrid.cli.json_text import json_text
from nanobragg_hybrid.cli.nanobragg import run as run_module
from nanobragg_hybrid.cli.nanobragg.help import USAGE
from nanobragg_hybrid.cli.nanobragg.main import main
from nanobragg_hybrid.cli.nanobragg.options import split_options
from nanobragg_hybrid.cli.nanobragg.progress import Progress

SMALL = "-cell 50 60 70 90 90 90 -default_F 10 -detpixels 16 -pixel 0.5 -N 5 -seed 1".split()
IMAGES = {"floatimage.bin", "intimage.img", "image.pgm", "noiseimage.img"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# What it writes


def test_writes_four_images_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "-noprogress"]) == 0
    assert names(folder) == IMAGES
    output = capsys.readouterr()
    assert output.err == ""
    assert "unit cell a b c            50 60 70 angstrom" in output.out
    assert all(name in output.out for name in IMAGES)
    image = nb.read_raw(folder / "floatimage.bin", (16, 16))
    result = nb.simulate(
        nb.Experiment.from_nanobragg_args(SMALL), nb.StructureFactors.constant(10.0)
    )
    assert np.array_equal(image, result.image)


def test_log_names_the_kernel_and_why_it_is_slow(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*SMALL, "-noprogress", "-nopgm", "-nonoise"]
    assert main([*words, "--kernel", "baseline"]) == 0
    assert "\n  kernel                     baseline\n" in capsys.readouterr().out
    assert main([*words, "--kernel", "exact"]) == 0
    assert "exact, because it was asked for\n" in capsys.readouterr().out
    huge = ["-N", "10000000", "-oversample", "1", "--json", "run.json"]
    assert main([*words, *huge]) == 0
    reason = "Miller indices or numbers of cells are too large for the others"
    assert f"exact, because {reason}\n" in capsys.readouterr().out
    run = json.loads((folder / "run.json").read_text())
    assert run["provenance"]["kernel"] == "exact"
    assert run["provenance"]["kernel_reason"] == reason


STILL = (
    "-cell 79 79 38 90 90 90 -misset 11 22 33 -default_F 100 -lambda 1.3 -dispersion 0.4 "
    "-dispsteps 5 -distance 120 -pixel 0.11 -detpixels 128 -Xbeam 20 -Ybeam 20 -oversample 1 "
    "-mosaic 0.1 -mosaic_dom 5 -N 30 -fluence 1e24 -gauss_hkl_xtal --threads 1"
)


def test_log_and_json_say_which_steps_were_visited(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for name, words in (("0", ""), ("1e-6", " --tolerance 1e-6")):
        assert main([*STILL.split(), *words.split(), "--json", f"{name}.json"]) == 0
        found[name] = json.loads(Path(f"{name}.json").read_text())["provenance"]["culling"]
        log = capsys.readouterr().out
        assert "share of steps visited" in log
        assert ("photons/pixel" in log.split("computed by")[1]) == (name == "1e-6")
        assert found[name]["reason"] == ""
        assert found[name]["tolerance_photons"] == float(name)
    assert 1.0 > found["0"]["share_visited"] > found["1e-6"]["share_visited"] > 0.0
    assert main([*STILL.replace("-gauss_hkl_xtal", "-square_xtal").split()]) == 0
    assert "steps visited" in (log := capsys.readouterr().out)
    assert "all, because the light of this crystal shape reaches everywhere" in log


def test_named_and_unwanted_files(folder: Path) -> None:
    words = "-floatfile a -intfile b -nopgm -pgmfile c -noisefile d -nonoise -noprogress"
    assert main([*SMALL, *words.split()]) == 0
    assert names(folder) == {"a", "b", "c"}


def test_a_scale_after_nopgm_asks_for_the_picture(folder: Path) -> None:
    words = [*SMALL, "-noprogress", "-nonoise"]
    assert main([*words, "-pgmscale", "5", "-nopgm"]) == 0
    assert names(folder) == {"floatimage.bin", "intimage.img"}
    assert main([*words, "-nopgm", "-pgmscale", "5"]) == 0
    assert names(folder) == {"floatimage.bin", "intimage.img", "image.pgm"}
    assert nb.read_pgm(folder / "image.pgm").scale == 5.0


def test_dump_is_written_after_hkl_and_read_without_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*SMALL, "-noprogress", "-nonoise", "-nopgm"]
    assert main([*words, "-hkl", str(INPUTS / "small.hkl")]) == 0
    first = (folder / "floatimage.bin").read_bytes()
    assert "Fdump.bin" in names(folder)
    capsys.readouterr()
    assert main(words) == 0
    assert "Fdump.bin: there is no -hkl" in capsys.readouterr().err
    assert (folder / "floatimage.bin").read_bytes() == first
    assert main([*words, "-dump", "none.bin"]) == 0
    assert "none.bin: there is no such dump, so -default_F counts" in capsys.readouterr().err
    assert (folder / "floatimage.bin").read_bytes() != first


def test_json_has_everything(folder: Path) -> None:
    assert main([*SMALL, "-noprogress", "-unknown", "--json", "run.json", "--threads", "1"]) == 0
    run = json.loads((folder / "run.json").read_text())
    assert run["facts"]["detector"] == [16, 16]
    assert run["facts"].keys() == table("cases")["cubic"]["facts"].keys()
    assert run["statistics"]["pixels"] == 256
    assert run["info"]["n_fast"] == 16
    assert run["provenance"]["threads"] == 1
    assert run["provenance"]["noise_seed"] == 1
    assert run["warnings"] == ["'-unknown' is no known option"]
    assert set(run["files"].values()) == IMAGES
    assert run["command"].startswith("nanoBragg -cell 50 60")


def test_json_of_a_random_missetting_has_its_angles(folder: Path) -> None:
    words = [*SMALL, "-misset", "random", "-nopgm", "-nonoise", "-noprogress", "--json=run.json"]
    assert main(words) == 0
    facts = json.loads((folder / "run.json").read_text())["facts"]
    assert facts.keys() == table("cases")["misset_random_1"]["facts"].keys()
    assert facts["pgm_scale"] is None
    assert facts["photons_overloads"] is None


def test_json_spells_numbers_that_are_not_finite() -> None:
    values = {"a": np.float64("nan"), "b": [float("inf"), -np.inf], "c": np.arange(2), "d": None}
    text = json_text(values)
    assert json.loads(text) == {"a": "nan", "b": ["inf", "-inf"], "c": [0, 1], "d": None}


def test_log_and_json_of_an_image_of_infinities(folder: Path) -> None:
    link_inputs(folder)
    args = table("cases")["sourcefile_comment"]["args"].split()
    assert main([*args, "-noprogress", "--json", "run.json"]) == 0
    facts = json.loads((folder / "run.json").read_text())["facts"]
    assert facts["mean_rms_rmsd"] == ["nan", "nan", "nan"]


DARK = "the image is dark: the region of interest is empty (fast 9 to 3, slow 0 to 15)"


@pytest.mark.parametrize("backend", ["c", "torch"])
def test_a_dark_image_is_told_and_strict_writes_nothing(
    backend: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if backend == "torch":
        pytest.importorskip("torch")
    words = [*SMALL, "-roi", "9", "3", "0", "15", "-noprogress", "--backend", backend]
    assert main([*words, "--json", "run.json"]) == 0
    assert capsys.readouterr().err == f"nanoBragg: warning: {DARK}\n"
    assert json.loads((folder / "run.json").read_text())["warnings"] == [DARK]
    assert names(folder) == IMAGES | {"run.json"}
    for name in names(folder):
        (folder / name).unlink()

    assert main([*words, "--json", "run.json", "--strict"]) == 9
    errors = capsys.readouterr().err.splitlines()
    assert errors[0] == f"nanoBragg: warning: {DARK}"
    assert errors[1:] == [
        "nanoBragg: error: nothing is written: with --strict a warning about the image is an error"
    ]
    assert names(folder) == set()
    assert main([*SMALL, "-noprogress", "--strict", "--backend", backend]) == 0
    assert names(folder) == IMAGES


def test_strict_leaves_what_a_plan_says_a_warning(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SMALL, "-noprogress", "-mosaic", "1", "--strict"]) == 0
    assert "10 domains are used" in capsys.readouterr().err
    assert names(folder) == IMAGES


def test_flags_without_effect_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "-noprogress", "-MW", "18"]) == 0
    assert "warning: -MW 18: accepted, has no effect" in capsys.readouterr().err


def test_quirks_are_honoured(folder: Path) -> None:
    words = [*SMALL, "-osc", "1", "-phisteps", "3", "-noprogress"]
    assert main(words) == 0
    one = (folder / "floatimage.bin").read_bytes()
    assert main([*words, "--quirks", "nanobragg-fixed"]) == 0
    assert (folder / "floatimage.bin").read_bytes() != one


# Single pixels


def test_log_names_the_quirks_that_mattered(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*SMALL, "-noprogress", "-osc", "1", "-phisteps", "3", "--json", "run.json"]
    title = "\nquirks that could have changed this image\n"
    assert main(words) == 0
    listed = capsys.readouterr().out.split(title)[1].split()
    assert listed == json.loads((folder / "run.json").read_text())["quirks_that_mattered"]
    assert listed[0] == "phi_carryover"
    assert main([*words, "--quirks", "none"]) == 0
    assert title not in capsys.readouterr().out


@pytest.mark.parametrize("case", ["triclinic", "hkl_mat", "mosaic_phi", "thick", "div_disp"])
def test_trace_pixel_prints_the_recorded_numbers(
    case: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link_inputs(folder)
    recorded = table("traces")[case]
    for pixel in recorded["pixels"]:
        where = [str(pixel["slow"]), str(pixel["fast"])]
        assert main([*recorded["args"].split(), "-noprogress", "-trace_pixel", *where]) == 0
        lines = [
            line.removeprefix("TRACE_C: ").split()
            for line in capsys.readouterr().out.splitlines()
            if line.startswith("TRACE_C: ")
        ]
        got = {name: [float(word) for word in words] for name, *words in lines}
        assert len(got) == len(lines)
        assert [got[name] for name in pixel] == [
            value if isinstance(value, list) else [value] for value in pixel.values()
        ]
        assert got.keys() - pixel.keys() == {
            "layer",
            "sub_slow",
            "sub_fast",
            "source",
            "phi_step",
            "domain",
            "odet_vec",
            "phi_rad",
            "term",
            "I_running_sum",
        }


def test_printout_pixel_prints_the_recorded_numbers(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link_inputs(folder)
    case = table("cases")["triclinic"]
    pixel = case["printout"][1]
    where = [str(pixel["fast"]), str(pixel["slow"])]
    assert main([*case["args"].split(), "-noprogress", "-printout_pixel", *where]) == 0
    lines = [
        line.partition(": ")[2].split()
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("PIXEL 21 32: ")
    ]
    printed = {name: [float(word) for word in words] for name, *words in lines}
    assert printed.keys() == pixel.keys() - {"fast", "slow"}
    for name, numbers in printed.items():
        recorded = pixel[name] if isinstance(pixel[name], list) else [pixel[name]]
        assert numbers == pytest.approx([float(text) for text in recorded], rel=1e-5, abs=1e-8)


def test_printout_prints_every_pixel_of_the_region(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SMALL, "-noprogress", "-printout", "-roi", "3", "4", "5", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    starts = {line.partition(":")[0] for line in lines if line.startswith("PIXEL")}
    assert starts == {"PIXEL 3 5", "PIXEL 4 5"}


def test_pixels_outside_the_region_have_no_state(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "-noprogress -roi 3 4 5 5 -trace_pixel 0 0 -printout_pixel 0 0".split()
    assert main([*SMALL, *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("TRACE_C")] == [
        "TRACE_C: fast 0",
        "TRACE_C: slow 0",
    ]
    assert "PIXEL 0 0: pixel 0" in lines


def test_dmin_may_leave_nothing_to_trace(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "-noprogress -dmin 1000 -trace_pixel 0 0 -printout_pixel 0 0".split()
    assert main([*SMALL, *words]) == 0
    output = capsys.readouterr().out
    assert "TRACE_C: I_pixel_final 0\n" in output
    assert "hkl" not in output


# Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal() -> None:
    stream = Terminal()
    meter = Progress(stream)
    for done in range(9):
        assert meter.update(done, 8)
    meter.close()
    meter.close()
    parts = stream.getvalue().split("\r")
    assert len(parts) == 10
    assert parts[5] == f"[{'#' * 20}{' ' * 20}]  50%"
    assert parts[-1] == f"[{'#' * 40}] 100%\n"


@pytest.mark.parametrize(
    ("columns", "half"),
    [
        (200, f"[{'#' * 20}{' ' * 20}]  50%"),
        (48, f"[{'#' * 20}{' ' * 20}]  50%"),
        (47, f"[{'#' * 19}{' ' * 20}]  50%"),
        (12, "[##  ]  50%"),
        (9, "[ ]  50%"),
        (8, " 50%"),
        (1, " 50%"),
    ],
)
def test_progress_fits_the_terminal(
    columns: int, half: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    monkeypatch.setattr(stream, "fileno", lambda: 7)
    size = os.terminal_size((columns, 24))
    monkeypatch.setattr(os, "get_terminal_size", {7: size}.get)
    Progress(stream).update(1, 2)
    assert stream.getvalue() == f"\r{half}"
    assert len(half) < max(columns, 5)


def test_progress_is_plain_lines_elsewhere() -> None:
    stream = io.StringIO()
    meter = Progress(stream)
    for done in range(1001):
        meter.update(done, 1000)
    meter.close()
    assert stream.getvalue() == "".join(f"{percent}%\n" for percent in range(0, 101, 10))


def test_progress_that_nobody_reads_does_not_stop_the_run() -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    assert Progress(Gone()).update(1, 2)


def test_progress_goes_to_standard_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(SMALL) == 0
    output = capsys.readouterr()
    assert output.err.endswith("100%\n")
    assert "%" not in output.out


# Our own options


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nanoBragg (nanobragg-hybrid) {nb.__version__}\n"
    texts = []
    for word in ("-h", "-help", "--help"):
        assert main(["-N", "5", word]) == 0
        shown = capsys.readouterr()
        assert shown.err == ""
        texts.append(shown.out)
    assert texts[0].startswith(USAGE)
    assert texts[0].lower().startswith("usage: nanobragg")
    assert texts[0] == texts[1] == texts[2]


@for_each("word", ["-hel", "-helper", "-H"])
def test_words_like_help_are_no_option(
    word: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SMALL, "-noprogress", word]) == 0
    assert f"{word!r} is no known option" in capsys.readouterr().err


def test_options_are_taken_out_of_the_words() -> None:
    words = "-N 5 --threads 3 -curved_det --strict --quirks=none --json=a=b --backend c".split()
    options = split_options(words)
    assert options.arguments == ["-N", "5", "-curved_det"]
    assert (options.threads, options.strict, options.quirks) == (3, True, "none")
    assert (options.json, options.backend, options.help) == ("a=b", "c", False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--threads", "--threads: needs a value after it"),
        ("--threads two", "--threads: got 'two', need a whole number >= 1"),
        ("--threads=12345678901", "--threads: got '12345678901', need a whole number >= 1"),
        ("--strict=yes", "--strict: got 'yes', but it takes no value"),
        ("--device", "--device: needs a value after it"),
        ("--dtype=", "--dtype: got '', need a value"),
        ("--tolerance", "--tolerance: needs a value after it"),
        ("--tolerance little", "--tolerance: got 'little', need a finite number >= 0"),
        ("--tolerance=-1", "--tolerance: got '-1', need a finite number >= 0"),
        ("--tolerance inf", "--tolerance: got 'inf', need a finite number >= 0"),
    ],
)
def test_impossible_options(words: str, message: str) -> None:
    with pytest.raises(CommandLineError) as error:
        split_options(words.split())
    assert str(error.value) == message


# What goes wrong: status 9, a message, and no file; more of it in test_bad_input.py


FAILURES: list[tuple[str, str]] = [
    ("-distance abc", "error: -distance: got 'abc', need a number (mm)"),
    ("--strict -nosuch", "error: '-nosuch' is no known option"),
    ("--backend fortran", "error: no backend 'fortran' in this version; available: c, torch"),
    ("--device cpu", "error: device: got 'cpu', need no value: the backend 'c' does not take it"),
    ("--kernel sse9", "error: kernel: got 'sse9', need one of auto, exact, baseline"),
    ("--quirks cubist", "error: quirks: got 'cubist', need one of"),
]


@pytest.mark.parametrize(("words", "message"), FAILURES)
def test_failure(
    words: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SMALL, "-noprogress", *words.split()]) == 9
    error = capsys.readouterr().err
    assert error.startswith("nanoBragg: ")
    assert message in error
    assert names(folder) == set()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "there is no crystal: give -cell (a > 0) or -mat"),
        ("-cell 10 10 10 90 90 90", "there are no structure factors"),
        ("-cell 10 10 10 90 90 90 -default_F 0", "there are no structure factors"),
    ],
)
def test_usage(words: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 9
    error = capsys.readouterr().err
    assert f"nanoBragg: error: {message}" in error
    assert error.endswith(USAGE)
    assert names(folder) == set()


@pytest.mark.parametrize("error", [MemoryError(), MemoryError("4 TB")])
def test_running_out_of_memory(
    error: MemoryError,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(run_module.Prepared, "render_quietly", fail)
    assert main([*SMALL, "-noprogress"]) == 9
    assert "error: out of memory" in capsys.readouterr().err
    assert names(folder) == set()


def test_interruption(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module.Prepared, "render_quietly", interrupt)
    assert main([*SMALL, "-noprogress"]) == 130
    assert capsys.readouterr().err == "nanoBragg: interrupted\n"
    assert names(folder) == set()


# As a process


@pytest.mark.parametrize("words", [["--help"], [*SMALL, "-printout", "-noprogress"]])
def test_a_reader_that_goes_away(words: list[str], tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [program("nanoBragg"), *words],
            cwd=tmp_path,
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(write)
    assert done.stderr == ""
    assert done.returncode == 0
    assert names(tmp_path) == (set() if words == ["--help"] else IMAGES)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_behind_the_version(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [program("nanoBragg"), "--version"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 9
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert names(tmp_path) == set()


def not_measured() -> dict[str, str]:
    """The environment without what makes .ci/coverage measure, which imports modules of its own."""
    return {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_START"}


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_version_and_help_need_no_numpy(word: str) -> None:
    script = (
        "import sys; from nanobragg_hybrid.cli.nanobragg.main import main;"
        "status = main(sys.argv[1:]);"
        "unwanted = {'numpy', 'inspect', 'nanobragg_hybrid.model.beam', 'nanobragg_hybrid._core'};"
        "sys.exit(str(unwanted & set(sys.modules)) if unwanted & set(sys.modules) else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, word],
        env=not_measured(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_imports_only_what_it_needs(tmp_path: Path) -> None:
    script = (
        "import sys; from nanobragg_hybrid.cli.nanobragg.main import main;"
        "status = main(sys.argv[1:]);"
        "unwanted = {'json', 'secrets', 'tempfile', 'shutil', 'importlib.metadata', 'difflib',"
        "'nanobragg_hybrid.formats.hkl', 'nanobragg_hybrid.formats.dump',"
        "'nanobragg_hybrid.formats.png'};"
        "sys.exit(str(unwanted & set(sys.modules)) if unwanted & set(sys.modules) else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *SMALL, "-noprogress"],
        cwd=tmp_path,
        env=not_measured(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
