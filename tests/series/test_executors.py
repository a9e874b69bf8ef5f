"""The same files by processes, dask and MPI, also after somebody was killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from series_scenes import TURNING, KillsOnce, factors, hashes, light, per_file

import nanobragg_hybrid as nb

FACTORS = factors()
WEDGE = nb.Series.rotation(TURNING, 9, seed=2)
SUPPORT = str(Path(__file__).resolve().parents[1] / "support")
COMMAND = [
    sys.executable, "-m", "nanobragg_hybrid.cli.umbrella.main", "series",
    "--progress-every", "0", "--osc", "0.5",
]  # fmt: skip
WORDS = (
    "-cell 79 79 38 90 90 90 -default_F 100 -N 6 -misset 12 34 56 -mosaic 0.15 -mosaic_domains 2 "
    "-oversample 1 -lambda 1 -distance 120 -detpixels 40 -pixel 3 -phisteps 2 -seed 5"
).split()
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*oversample 1 is too low:nanobragg_hybrid.NanobraggWarning",
    "ignore:.*pixels are below -1:nanobragg_hybrid.NanobraggWarning",
)


@pytest.fixture(autouse=True)
def _workers_find_their_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are started anew import what they call by its name."""
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", SUPPORT + (os.pathsep + before if before else ""))


@contextmanager
def processes(count: int) -> Iterator[Executor]:
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield pool


def settings_of(name: str) -> dict[str, Any]:
    return {"per_frame": [light], **per_file(name, 4)}


def reference(folder: Path, name: str) -> dict[str, str]:
    """Files of one process."""
    nb.simulate_series(WEDGE, FACTORS, out=folder / name, **settings_of(name))
    return hashes(folder)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_processes_write_the_same_files(tmp_path: Path, count: int) -> None:
    for name in ("x_#.cbf", "x.h5")[: 1 if count == 7 else 2]:
        expected = reference(tmp_path / f"a{name}", name)
        folder = tmp_path / f"b{name}"
        with processes(count) as pool:
            done = nb.simulate_series(
                WEDGE, FACTORS, out=folder / name, executor=pool, **settings_of(name)
            )
        assert done.rendered == 9
        assert hashes(folder) == expected


@pytest.mark.parametrize("name", ["x_#.cbf", "x.h5"])
def test_a_worker_that_is_killed(tmp_path: Path, name: str) -> None:
    flag = tmp_path / "flag"
    settings: dict[str, Any] = {"per_frame": [KillsOnce(5, flag)], **per_file(name, 4)}
    nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "a" / name, **settings)
    flag.touch()
    with processes(2) as pool, pytest.raises(nb.SeriesError, match="a worker died") as error:
        nb.simulate_series(
            WEDGE, FACTORS, out=tmp_path / "b" / name, executor=pool, window=3, **settings
        )
    lost, whole = error.value.lost, error.value.whole
    assert 5 in lost
    assert 1 <= len(lost) <= 3
    assert whole + len(lost) + error.value.waiting == 9
    assert not list(tmp_path.rglob("*.pickle"))
    with processes(2) as pool:
        again = nb.simulate_series(
            WEDGE, FACTORS, out=tmp_path / "b" / name, executor=pool, resume=True, **settings
        )
    assert (again.kept, again.rendered, again.is_complete) == (whole, 9 - whole, True)
    assert hashes(tmp_path / "b") == hashes(tmp_path / "a")


def _children(process: int) -> list[int]:
    """Processes that this one has started, and theirs."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    parents = {int(pid): int(parent) for pid, parent in map(str.split, listed.splitlines())}
    found = [process]
    for known in found:
        found += [pid for pid, parent in parents.items() if parent == known]
    return found[1:]


def _is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("name", ["x_###.cbf", "x.h5"])
def test_a_run_that_is_killed_as_a_whole(tmp_path: Path, name: str) -> None:
    """Its processes end by themselves; what it has written is whole, and it is taken up again."""
    frames = ["--frames", "40", *(["--images-per-file", "4"] if name == "x.h5" else [])]
    subprocess.run(
        [*COMMAND, *frames, "--out", str(tmp_path / "a" / name), "--workers", "1", "--", *WORDS],
        check=True, capture_output=True,
    )  # fmt: skip
    call = [*COMMAND, *frames, "--out", str(tmp_path / "b" / name), "--workers", "2"]
    manifest = tmp_path / "b" / "x_manifest.jsonl"
    run = subprocess.Popen(
        [*call, "--", *WORDS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while not manifest.exists() or manifest.read_bytes().count(b"\n") < 8:
            assert time.monotonic() < deadline
            assert run.poll() is None
            time.sleep(0.002)
        workers = _children(run.pid)
    finally:
        run.kill()
        run.wait()
    assert workers
    deadline = time.monotonic() + 60
    while any(map(_is_alive, workers)):
        assert time.monotonic() < deadline, "workers go on without their master"
        time.sleep(0.05)
    done = manifest.read_bytes().count(b'"frame"')
    with manifest.open("ab") as file:  # as if it had been killed while it wrote
        file.write(b'{"frame":39,"sha2')
    refused = subprocess.run([*call, "--", *WORDS], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "--resume is needed" in refused.stderr
    again = subprocess.run(
        [*call, "--resume", "--", *WORDS], capture_output=True, text=True, check=True
    )
    rendered, kept = 40 - done, done
    assert f"{rendered} frames rendered, {kept} were there" in again.stdout
    assert hashes(tmp_path / "b") == hashes(tmp_path / "a")


@pytest.mark.filterwarnings("default")
def test_dask_writes_the_same_files(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="needs dask: the extra dask")
    expected = reference(tmp_path / "a", "x_#.cbf")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        done = nb.simulate_series(
            WEDGE,
            FACTORS,
            out=tmp_path / "b" / "x_#.cbf",
            executor=client.get_executor(),
            **settings_of("x_#.cbf"),
        )
    assert done.rendered == 9
    assert hashes(tmp_path / "b") == expected


@pytest.mark.filterwarnings("default")
def test_dask_goes_on_without_a_worker_that_is_killed(tmp_path: Path) -> None:
    """Its frames are given to others: nothing is lost."""
    distributed = pytest.importorskip("distributed", reason="needs dask: the extra dask")
    flag = tmp_path / "flag"
    settings: dict[str, Any] = {"per_frame": [KillsOnce(4, flag)]}
    nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "a" / "x_#.cbf", **settings)
    flag.touch()
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        nb.simulate_series(
            WEDGE,
            FACTORS,
            out=tmp_path / "b" / "x_#.cbf",
            executor=client.get_executor(),
            **settings,
        )
    assert not flag.exists()
    assert hashes(tmp_path / "b") == hashes(tmp_path / "a")


def _mpiexec() -> str:
    """The program, where MPI works at all; skips with the reason where it does not."""
    pytest.importorskip("mpi4py", reason="needs mpi4py: the extra mpi")
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        pytest.skip("there is no mpiexec")
    tried = subprocess.run(
        [found, "-n", "2", sys.executable, "-c", "from mpi4py import MPI"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tried.returncode != 0:
        pytest.skip(f"mpiexec -n 2 does not work: {tried.stderr.strip()[-200:]}")
    return found


def test_mpi_writes_the_same_files(tmp_path: Path) -> None:
    mpiexec = _mpiexec()
    frames = ["--frames", "6"]
    for name in ("x_#.cbf", "x.h5"):
        each = ["--images-per-file", "4"] if name == "x.h5" else []
        alone, together = tmp_path / f"a{name}", tmp_path / f"b{name}"
        for start, who, folder in (
            ([], ["--workers", "1"], alone),
            ([mpiexec, "-n", "2"], ["--mpi"], together),
        ):
            subprocess.run(
                [
                    *start, *COMMAND, *frames, *each, "--out", str(folder / name), *who, "--",
                    *WORDS,
                ],
                check=True, capture_output=True,
            )  # fmt: skip
        assert hashes(together) == hashes(alone)
    alone_rank = subprocess.run(
        [*COMMAND, *frames, "--out", str(tmp_path / "x_#.cbf"), "--mpi", "--", *WORDS],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert alone_rank.returncode == 1
    assert "--mpi: got 1 rank, need mpiexec -n 2 or more" in alone_rank.stderr
