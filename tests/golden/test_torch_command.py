"""`nanoBragg --backend torch` writes what was recorded, and says what `--backend c` says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import with_torch  # noqa: F401 (skips this module where there is no torch)
from recorded import (
    FACTS,
    Run,
    arguments,
    differing_facts,
    differing_files,
    image,
    is_input,
    link_inputs,
    table,
)
from recorded import run_in_process as run_command

from agreement import CHOSEN, compare
from nanobragg_hybrid.engines.c.libnbh import available_kernels

CASES = table("cases")
MORE = table("more/cases")
# Left to benchmarks/agreement_table.py: many steps, or a table of many million reflections.
LARGE = {"img_spaced", "samplesize_xyz", "xtalsize", "hkl_fivecol"}
# All others but those of tests/agreement/test_recorded_images.py.
SUCCEED = [name for name, case in CASES.items() if case["exit"] == 0]
OTHERS = [name for name in SUCCEED if name not in {*LARGE, *CHOSEN}]
FLOATS = "floatimage.bin"
ENGINES = re.compile(
    f" kernel ({'|'.join(available_kernels())}|"
    "(compiled|eager, because [^:]+) device cpu number type float64)"
    r"( steps visited (all, because [^:]+|[\d.]+ ?%.*))?"
)
SAID_ALIKE = """
    triclinic kitchen misset_random_1 thick_os interp_latch dump_read img_and_mask roi_reversed
    sourcefile_weighted disp_auto header_overflow round water
""".split()


def _run(case: str, folder: Path, *extra: str) -> Run:
    folder.mkdir(exist_ok=True)
    link_inputs(folder)
    return run_command(folder, arguments(CASES[case]["args"], "--threads", "1", *extra))


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@pytest.mark.parametrize("case", OTHERS)
def test_files(case: str, tmp_path: Path) -> None:
    """The numbers of the log and the bytes of every file; or, where another processor's sine is
    another one, float pixels that are neighbours."""
    _assert_recorded(_torch_run(CASES[case], tmp_path), CASES[case], image("images", case))


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@pytest.mark.parametrize("case", MORE)
def test_files_of_odd_input(case: str, tmp_path: Path) -> None:
    """The same where the input is odd."""
    _assert_recorded(_torch_run(MORE[case], tmp_path), MORE[case], image("more/images", case))


def _torch_run(recorded: dict[str, Any], folder: Path) -> Run:
    link_inputs(folder)
    words = arguments(recorded["args"], "--threads", "1", "--backend", "torch")
    return run_command(folder, words)


def _assert_recorded(run: Run, recorded: dict[str, Any], need: np.ndarray) -> None:
    assert run.exit == 0
    document = json.loads((run.folder / FACTS).read_text())
    assert (document["provenance"]["device"], document["provenance"]["dtype"]) == (
        "cpu",
        "float64",
    )
    assert differing_facts(run, recorded) == []
    lines = differing_files(run, recorded, need)
    if any(line.startswith(FLOATS) for line in lines):
        figures = compare(np.fromfile(run.folder / FLOATS, "<f4").reshape(need.shape), need)
        assert figures.same_non_finite
        assert figures.identical >= 0.9999
        assert figures.max_ulp <= 1
    else:
        assert lines == []


def test_every_case_is_somewhere() -> None:
    assert len(LARGE) == 4
    assert {*OTHERS, *CHOSEN, *LARGE} == set(SUCCEED)


@pytest.mark.parametrize("case", ["hkl_commented"])
def test_failures_leave_nothing_behind(case: str, tmp_path: Path) -> None:
    run = _run(case, tmp_path, "--backend", "torch")
    assert run.exit == CASES[case]["exit"] == 9
    assert [path.name for path in tmp_path.iterdir() if not is_input(path)] == []


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@pytest.mark.parametrize("case", SAID_ALIKE)
def test_log_and_json(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """But for who rendered, and for how long, every line and every number is the same."""
    logs, documents = {}, {}
    for backend in ("c", "torch"):
        run = _run(case, tmp_path / backend, "--backend", backend)
        assert run.exit == 0
        captured = capsys.readouterr()
        logs[backend] = (_without_engine(captured.out), captured.err)
        documents[backend] = json.loads((run.folder / FACTS).read_text())
    assert logs["torch"] == logs["c"]
    assert _files(tmp_path / "torch") == _files(tmp_path / "c")
    ours, theirs = documents["torch"], documents["c"]
    assert ours.keys() == theirs.keys()
    for name in ("facts", "info", "statistics"):
        assert theirs[name].keys() - ours[name].keys() <= {"kernel", "kernel_reason"}
        for key, value in ours[name].items():
            _assert_close(value, theirs[name][key], f"{name}.{key}")
    for name in ("quirks_that_mattered", "files", "warnings", "version"):
        assert ours[name] == theirs[name]
    assert (theirs["provenance"]["backend"], ours["provenance"]["backend"]) == ("c", "torch")


def _files(folder: Path) -> dict[str, int]:
    """The sizes of what a run wrote."""
    paths = [path for path in folder.iterdir() if not is_input(path) and path.name != FACTS]
    return {path.name: path.stat().st_size for path in paths}


def _without_engine(log: str) -> list[str]:
    lines = [re.sub(r"backend \w+", "backend B", line) for line in log.splitlines()]
    at = lines.index("computed by")
    engine = lines[at + 1 : lines.index("", at)]
    assert ENGINES.fullmatch(re.sub(r"  +", " ", " ".join(engine)))
    return [line for line in lines if line not in engine]


def _assert_close(got: object, need: object, name: str) -> None:
    if isinstance(need, str | bool) or need is None:
        assert got == need, name
    else:
        assert np.allclose(got, need, rtol=1e-6, atol=1e-25), name  # type: ignore[arg-type]


def test_float32_on_a_named_device(tmp_path: Path) -> None:
    run = _run("triclinic", tmp_path, *"--backend torch --device cpu --dtype float32".split())
    assert run.exit == 0
    provenance = json.loads((tmp_path / FACTS).read_text())["provenance"]
    assert (provenance["device"], provenance["dtype"]) == ("cpu", "float32")
    need = image("images", "triclinic")
    got = np.fromfile(tmp_path / FLOATS, "<f4").reshape(need.shape)
    assert 0.0 < compare(got, need).relative_l2 <= 1e-5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--backend torch --device cuda:99", "no device 'cuda:99'"),
        ("--backend torch --dtype float16", "float16"),
        ("--backend c --device cpu", "device"),
    ],
)
def test_what_is_not_there_is_said(
    words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("triclinic", tmp_path, *words.split()).exit == 9
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / FLOATS).exists()


def test_pixels_are_printed_by_the_c_engine_which_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is said where the C engine renders, or where no pixel is to be printed."""
    said = "the backend c computes the lines TRACE_C and PIXEL that follow, not torch"
    for backend in ("c", "torch"):
        for n, words in enumerate(("", "-trace_pixel 1 2", "-printout_pixel 1 2")):
            extra = ("--backend", backend, *words.split())
            assert _run("triclinic", tmp_path / f"{backend}{n}", *extra).exit == 0
            before, found, after = capsys.readouterr().out.partition(said)
            assert bool(found) == (backend == "torch" and n > 0)
            if found:
                assert "TRACE_C: " not in before
                assert "PIXEL " not in before
                assert ("TRACE_C: fast 2" if n == 1 else "PIXEL 1 2: ") in after
