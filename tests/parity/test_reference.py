"""The backend "reference": our own drop-in command stands in for the user's executable, and scripts
for executables that fail."""

from __future__ import annotations

import os
import pickle
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import warnings
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctrl_c import ctrl_c_raises
from recorded import INPUTS, image, program, table

import nanobragg_hybrid as nb
from agreement import experiment_of
from nanobragg_hybrid.arguments.flags import FLAGS, Flag
from nanobragg_hybrid.base.errors import ExecutableError
from nanobragg_hybrid.cli.nanobragg.main import main as nanobragg
from nanobragg_hybrid.compare.traces import compare_traces
from nanobragg_hybrid.engines.external.engine import find_executable, trace_text
from nanobragg_hybrid.engines.registry import make_engine
from nanobragg_hybrid.formats.trace_text import parse_trace

CASES = """
    triclinic hkl_mat hkl_sparse hkl_offset dump_read mat_and_cell conv_xds custom_vectors curved
    thick_auto interp_latch gauss tophat phi0_carryover mosaic_phi_hkl div_square
    sourcefile_weighted mask_roi dmin_polar misset_random_1 kitchen
""".split()
SMALL = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(70, 80, 90), cell_deg=(75, 85, 95), n_cells=(5, 5, 5)),
    goniometer=nb.Goniometer(osc_deg=1, phi_steps=2),
    detector=nb.Detector(n_fast=12, n_slow=10, pixel_size_mm=2.0),
)
TABLE = nb.StructureFactors.constant(100.0)
IMAGE_BYTES = 12 * 10 * 4


@pytest.fixture
def drop_in(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our own command in NB_C_BIN."""
    monkeypatch.setenv("NB_C_BIN", program("nanoBragg"))
    return Path(program("nanoBragg"))


def script(folder: Path, body: str) -> Path:
    """An executable shell script."""
    path = folder / "nanoBragg.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def render(c_bin: Path, **options: object) -> nb.SimulationResult:
    return nb.simulate(SMALL, TABLE, backend=nb.ExternalEngine(c_bin), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES)
def test_recorded_cases_come_back(case: str, drop_in: Path) -> None:
    """Through words and files and back: the recorded bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)
        experiment, factors = experiment_of(table("cases")[case]["args"], INPUTS)
    result = nb.simulate(experiment, factors, backend="reference")
    need = image("images", case)
    assert result.image.shape == need.shape
    assert result.image.tobytes() == need.tobytes()


def test_result_is_that_of_the_c_backend(drop_in: Path) -> None:
    got, need = nb.simulate(SMALL, TABLE, backend="reference"), nb.simulate(SMALL, TABLE)
    assert np.array_equal(got.image, need.image)
    assert got.geometry == need.geometry
    assert got.statistics.max == need.statistics.max
    assert np.isnan(got.statistics.solid_angle_sr)
    assert got.quirks_that_mattered == need.quirks_that_mattered
    assert got.unrounded is None
    provenance = got.provenance
    assert provenance["backend"] == "reference"
    assert provenance["executable"] == str(drop_in)
    assert len(provenance["executable_sha256"]) == 64
    assert "-cell 70.0 80.0 90.0 75.0 85.0 95.0" in provenance["command"]
    assert provenance["stdout"].startswith("nanoBragg (nanobragg-hybrid")
    assert provenance["seconds"] > 0.0


def test_table_that_a_dump_would_shift_goes_as_text(drop_in: Path) -> None:
    """A first value whose bytes look like white space."""
    grid = np.full((3, 4, 5), 50.0)
    grid[0, 0, 0] = struct.unpack("<d", b"\n" + struct.pack("<d", 90.0)[1:])[0]
    for first, kind in ((grid[0, 0, 0], "-hkl"), (90.0, "-dump Fdump.bin -float")):
        grid = grid.copy()
        grid[0, 0, 0] = first
        factors = nb.StructureFactors.from_grid(grid, (-1, -2, -2), 7.0)
        got = nb.simulate(SMALL, factors, backend="reference")
        assert np.array_equal(got.image, nb.simulate(SMALL, factors).image)
        assert kind in got.provenance["command"]


def test_our_own_command_takes_other_quirks(drop_in: Path) -> None:
    for text in ("none", "nanobragg-fixed"):
        quirks = nb.Quirks.parse(text)
        got = nb.simulate(SMALL, TABLE, backend="reference", quirks=quirks)
        assert np.array_equal(got.image, nb.simulate(SMALL, TABLE, quirks=quirks).image)
        assert f"--quirks {text}" in got.provenance["command"]
    own_shape = SMALL.replace({"crystal.shape": "gauss_hkl"})
    got = nb.simulate(own_shape, TABLE, backend="reference")
    assert np.array_equal(got.image, nb.simulate(own_shape, TABLE).image)


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
def test_another_executable_keeps_its_quirks(tmp_path: Path) -> None:
    path = script(tmp_path, f"head -c {IMAGE_BYTES} /dev/zero > floatimage.bin")
    assert render(path).image.max() == 0.0
    with pytest.raises(nb.UnsupportedError, match="cannot be asked for the quirks none"):
        render(path, quirks=nb.Quirks.none())
    with pytest.raises(nb.UnsupportedError, match="no unrounded values"):
        render(path, unrounded=True)


FILES_OF_OURS = {
    "-spectrum": "# eV\n12000 1\n",
    "-spectrum_ev": "12000 1\n",
    "-spectrum_angstrom": "1.1 1\n",
    "-mosaic_rotations": "0 0 1\n",
}


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.is_ours], ids=lambda f: f.option)
def test_another_executable_is_not_asked_for_what_is_ours(flag: Flag, tmp_path: Path) -> None:
    path = script(tmp_path, f"head -c {IMAGE_BYTES} /dev/zero > floatimage.bin")
    field = flag.targets[0]
    if flag.kind == "file":
        (tmp_path / "2").write_text(FILES_OF_OURS[flag.option])
    words = [flag.option, *("2" for _ in flag.words)]
    given = nb.Experiment.from_nanobragg_args(words, tmp_path)
    value = attrgetter(field)(given)
    assert value != attrgetter(field)(SMALL)
    with pytest.raises(
        nb.UnsupportedError, match=re.escape(f"cannot be asked for {field} {value!r}: it has")
    ):
        nb.simulate(SMALL.replace({field: value}), TABLE, backend=nb.ExternalEngine(path))


def test_words_that_no_program_can_have_are_an_error(tmp_path: Path) -> None:
    from nanobragg_hybrid.engines.external.engine import _Program

    with pytest.raises(nb.BackendError, match=r"python.*: cannot be run: embedded null byte"):
        _Program([sys.executable, "a\0b"], tmp_path).started()


def test_no_executable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(nb.BackendError, match="needs an executable: set NB_C_BIN"):
        nb.simulate(SMALL, TABLE, backend="reference")
    monkeypatch.setenv("NB_C_BIN", str(tmp_path / "nowhere"))
    with pytest.raises(nb.BackendError, match=r"NB_C_BIN: got '.*nowhere', but there is no such"):
        nb.simulate(SMALL, TABLE, backend="reference")
    with pytest.raises(nb.BackendError, match=r"executable: got .*, need a file that can be"):
        render(tmp_path)
    plain = tmp_path / "plain"
    plain.write_text("text")
    with pytest.raises(nb.BackendError, match=r"executable: got .*, which is not executable"):
        render(plain)
    plain.chmod(0o755)
    with pytest.raises(nb.BackendError, match=r"plain: cannot be run: Exec format error"):
        render(plain)
    with pytest.raises(nb.ConfigError, match="executable: got 3, need a path, or None"):
        nb.simulate(SMALL, TABLE, backend=nb.ExternalEngine(3))
    with pytest.raises(nb.ConfigError, match=r"executable: got .*, need no value: the backend 'c'"):
        make_engine("c", {"executable": plain})


def test_executable_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = script(tmp_path, "true")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NB_C_BIN", path.name)
    assert find_executable() == path
    monkeypatch.chdir(tmp_path.parent)
    assert find_executable(f"{tmp_path.name}/{path.name}") == path


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("echo one >&2; echo two >&2; exit 9", 9, "exit status 9; its last words: one | two"),
        ("echo only here; exit 3", 3, "exit status 3; its last words: only here"),
        ("exit 4", 4, "failed with exit status 4$"),
        ("kill -SEGV $$", -signal.SIGSEGV, "was ended by SIGSEGV"),
        ("echo hello", 0, "ended well, but wrote no floatimage.bin; its last words: hello"),
        (
            "head -c 12 /dev/zero > floatimage.bin",
            0,
            "another shape: floatimage.bin has 12 bytes, 12 x 10 floats need 480",
        ),
    ],
)
def test_executable_that_fails(body: str, status: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(nb.ExecutableError, match=message.replace("|", r"\|")) as caught:
        render(script(tmp_path, body))
    assert caught.value.status == status
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.stderr) == (str(caught.value), caught.value.stderr)


def test_temporary_folder_is_removed(tmp_path: Path) -> None:
    with pytest.raises(nb.ExecutableError, match="exit status 1") as caught:
        render(script(tmp_path, "pwd; exit 1"))
    folder = Path(caught.value.stdout.strip())
    assert "nanobragg-" in folder.name
    assert not folder.exists()


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process_id}/stat")
    return not state.exists() or state.read_text().split()[2] != "Z"


def _ends(process_id: int) -> bool:
    for _ in range(100):
        if not _is_running(process_id):
            return True
        time.sleep(0.05)
    return False


def test_progress_can_stop_it(tmp_path: Path) -> None:
    note = tmp_path / "id"
    path = script(tmp_path, f"echo $$ > {note}; sleep 60")
    calls = []

    def progress(done: int, rows: int) -> bool:
        calls.append((done, rows))
        return not note.exists()

    with pytest.raises(nb.RenderCancelled):
        render(path, progress=progress)
    assert set(calls) == {(0, 10)}
    assert _ends(int(note.read_text()))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_while_it_starts_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program runs already, and Popen has not said which one it is."""
    found = []

    class Slow(subprocess.Popen[bytes]):
        def __init__(self, *words: Any, **settings: Any) -> None:
            super().__init__(*words, **settings)
            found.append(self.pid)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)

    path = script(tmp_path, "sleep 60")
    monkeypatch.setattr(subprocess, "Popen", Slow)
    with ctrl_c_raises(), pytest.raises(KeyboardInterrupt):
        render(path)
    assert len(found) == 1
    assert _ends(found[0])


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    """And what the script has started."""
    note = tmp_path / "id"
    path = script(tmp_path, f"sleep 60 & echo $! > {note}; wait")

    def interrupt() -> None:
        while not (note.exists() and note.read_text().endswith("\n")):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    with ctrl_c_raises():
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            render(path)
        thread.join()
    assert _ends(int(note.read_text()))


def test_trace_of_the_executable(drop_in: Path) -> None:
    text = trace_text(SMALL, TABLE, pixel=(3, 7))
    (lines,) = parse_trace(text, "stdout")
    assert (lines.values["fast"], lines.values["slow"]) == ((3.0,), (7.0,))
    assert lines.values["I_pixel_final"][0] > 0.0
    assert compare_traces(nb.trace(SMALL, TABLE, pixel=(3, 7)), [lines]).first_divergence is None


def test_an_executable_that_cannot_trace(tmp_path: Path) -> None:
    with pytest.raises(nb.UnsupportedError, match="prints no trace: that needs a development"):
        trace_text(SMALL, TABLE, pixel=(3, 7), executable=script(tmp_path, "echo rendered"))
    with pytest.raises(ExecutableError, match=r"failed with exit status 9; its last words: no"):
        trace_text(SMALL, TABLE, pixel=(3, 7), executable=script(tmp_path, "echo no; exit 9"))
    engine = nb.ExternalEngine("/bin/true")
    with pytest.raises(nb.UnsupportedError, match="fills no record of a trace"):
        nb.trace(SMALL, TABLE, pixel=(3, 7), backend=engine)


def test_the_executable_is_looked_for_before_anything_is_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(nb.BackendError, match="needs an executable: set NB_C_BIN"):
        nb.prepare(SMALL, TABLE, backend="reference")
    assert nb.prepare(SMALL, TABLE, backend=nb.ExternalEngine("/bin/true")).plan.n_fast == 12
    monkeypatch.chdir(tmp_path)
    words = "-cell 70 80 90 75 85 95 -default_F 100 -detpixels 24 -N 5 --backend reference".split()
    assert nanobragg(words) == 9
    printed = capsys.readouterr()
    assert "needs an executable: set NB_C_BIN" in printed.err
    assert "crystal" not in printed.out  # no set-up, and no trace, of what cannot be rendered
    assert list(tmp_path.iterdir()) == []


# Builds that know less than others

TWO_REFLECTIONS = "0 0 0 50\n1 0 0 200\n"
TWO_ARGS = (
    "-default_F 10 -cell 70 80 90 90 90 90 -N 5 -detpixels 64 -lambda 1 -distance 100 -pixel 0.4"
)


def test_a_build_that_knows_no_dump_has_the_structure_factors(tmp_path: Path) -> None:
    """It passes over the option, and reads the file Fdump.bin in its folder."""
    path = tmp_path / "nanoBragg.py"
    path.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "from nanobragg_hybrid.cli.nanobragg.main import main\n"
        "words = sys.argv[1:]\n"
        "if '-dump' in words:\n"
        "    at = words.index('-dump')\n"
        "    del words[at : at + 2]\n"
        "sys.exit(main(words))\n"
    )
    path.chmod(0o755)
    (tmp_path / "two.hkl").write_text(TWO_REFLECTIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)
        experiment, factors = experiment_of(f"-hkl two.hkl {TWO_ARGS}", tmp_path)
    result = nb.simulate(experiment, factors, backend=nb.ExternalEngine(path))
    assert result.image.sum(dtype=float) == pytest.approx(865.3, abs=0.05)
    assert np.array_equal(result.image, nb.simulate(experiment, factors).image)
    alone = nb.simulate(experiment, nb.StructureFactors.constant(10.0))
    assert alone.image.sum(dtype=float) == pytest.approx(660.4, abs=0.05)


def test_the_command_renders_with_an_executable(
    drop_in: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = "-cell 70 80 90 75 85 95 -default_F 100 -detpixels 24 -N 5 -nonoise -nopgm".split()
    images = []
    for backend in ("c", "reference"):
        assert nanobragg(["--backend", backend, *words, "-floatfile", f"{backend}.bin"]) == 0
        images.append(Path(f"{backend}.bin").read_bytes())
        log = capsys.readouterr().out
        assert ("  executable " in log, "  kernel " in log) == (backend != "c", backend == "c")
    assert images[0] == images[1]
