"""`nanobragg-hybrid bench`: what it measures and how it says it, with a clock of its own."""

from __future__ import annotations

import itertools
import json
import math
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nanobragg_hybrid.base.errors import BackendError
from nanobragg_hybrid.cli.bench import main as bench_module
from nanobragg_hybrid.cli.bench import whole_process
from nanobragg_hybrid.cli.bench import workloads as bench_workloads
from nanobragg_hybrid.cli.bench.main import fraction_redone, kernel_figures, thread_figures
from nanobragg_hybrid.cli.bench.workloads import (
    Workload,
    scaled,
    series,
    shot,
    shots,
    workloads,
)
from nanobragg_hybrid.cli.umbrella.main import main
from nanobragg_hybrid.engines.c.libnbh import available_kernels
from nanobragg_hybrid.model.structure_factors import StructureFactors

TINY = Workload("tiny", scaled(8, phi_steps=2, domains=2), StructureFactors.constant(100.0))
SHOT = shot(64, 2, 25)
"""64 x 64 pixels of a still, most of whose steps have no light."""


def clock(*seconds: float) -> Callable[[], float]:
    """A clock whose intervals between pairs of readings are `seconds`, over and over."""

    def readings() -> Iterator[float]:
        now = 0.0
        for each in itertools.cycle(seconds):
            yield now
            now += each
            yield now

    return readings().__next__


@pytest.fixture
def one_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "available_kernels", lambda: ("exact",))


def test_nanoseconds_are_those_of_the_clock(one_kernel: None) -> None:
    """The first 1 s only finds the number of repeats; then 1, 3 and 2 s for 8 * 8 * 4 steps."""
    said: list[str] = []
    (figure,) = kernel_figures([TINY], 3, said.append, clock(1.0, 1.0, 3.0, 2.0))
    assert figure["workload"] == "tiny"
    assert figure["steps"] == 256
    assert figure["ns_per_step"] == {"exact": pytest.approx(2e9 / 256)}
    assert figure["spread"] == {"exact": pytest.approx(1.0)}
    assert said[1].split() == ["workload", "exact", "redone"]
    assert said[2].split()[:2] == ["tiny", f"{2e9 / 256:.2f}"]


def test_short_renderings_are_repeated(one_kernel: None) -> None:
    """1 ms is repeated 20 times, and the interval is that of all."""
    (figure,) = kernel_figures([TINY], 1, lambda _: None, clock(0.001, 0.04))
    assert figure["ns_per_step"] == {"exact": pytest.approx(0.04 / 20 / 256 * 1e9)}


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])]
)
def test_threads_up_to_the_cores(cores: int, counts: list[int]) -> None:
    said: list[str] = []
    seconds = [8.0 / count for count in counts]
    figures = thread_figures([TINY], cores, 2, said.append, clock(*seconds), clock(9.0))
    assert [figure["threads"] for figure in figures] == counts
    assert [figure["seconds"] for figure in figures] == pytest.approx(seconds)
    assert [figure["times_faster"] for figure in figures] == pytest.approx(counts)
    assert all(figure["spread"] == pytest.approx(0.0) for figure in figures)
    assert all(figure["cpu_seconds"] == pytest.approx(9.0) for figure in figures)
    assert said[1].split()[1:] == [str(count) for count in counts]


def test_share_of_pixels_redone() -> None:
    assert 0.0 <= fraction_redone(TINY) < 1.0
    assert fraction_redone(TINY._replace(experiment=scaled(300))) < 0.01
    water = {"sampling.oversample_thick": True, "detector.sensor_thickness_um": 100.0}
    assert 0.0 <= fraction_redone(TINY._replace(experiment=TINY.experiment.replace(water))) <= 1.0


@pytest.mark.parametrize("quick", [True, False])
def test_workloads_differ_in_name(quick: bool) -> None:
    names = [workload.name for workload in workloads(quick=quick)]
    assert len(set(names)) == len(names) >= 8
    assert sum(workload.long for workload in workloads(quick=quick)) == 2
    for members in series(quick=quick).values():
        numbers = [number for number, _ in members]
        assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("quick", [True, False])
def test_shots_differ_in_name(quick: bool) -> None:
    names = [workload.name for workload in shots(quick=quick)]
    assert len(set(names)) == len(names) >= 6
    assert sum(workload.long for workload in shots(quick=quick)) == (0 if quick else 1)


def _keys(value: Any) -> Any:
    return sorted(value) if isinstance(value, dict) else None


@pytest.fixture
def tiny_workloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "workloads", lambda **_: [TINY._replace(long=True)])
    monkeypatch.setattr(bench_module, "shots", lambda **_: [TINY._replace(experiment=SHOT)])
    monkeypatch.setattr(bench_module, "series", lambda **_: {"edge": [(8, TINY)]})
    monkeypatch.setattr(bench_module, "_SHORTEST_S", 0.0)


def test_the_document(
    tmp_path: Path,
    tiny_workloads: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NB_C_BIN", raising=False)
    assert main(["bench", "--quick", "--runs", "1", "--json", str(tmp_path / "b.json")]) == 0
    document = json.loads((tmp_path / "b.json").read_text())
    page = (Path(__file__).parents[2] / "docs" / "speed.md").read_text()
    for key in _named(document) - set(available_kernels()):
        assert f"`{key}`" in page, f"docs/speed.md does not explain {key}"
    assert document["format"] == "nanobragg-hybrid bench"
    assert (document["quick"], document["runs"], document["reference"]) == (True, 1, [])
    assert document["machine"]["kernels"] == list(available_kernels())
    (kernels,), threads, (growing,) = document["kernels"], document["threads"], document["series"]
    assert kernels["kernel_chosen"] == available_kernels()[-1]
    (culling,) = document["culling"]
    shares = culling["share_visited"]
    assert list(culling["ns_per_step"]) == list(shares)
    assert list(shares) == ["nothing", "no bit", "0.0001 photons", "0.01 photons"]
    assert shares["nothing"] == 1.0 > shares["no bit"] > shares["0.0001 photons"] > 0.0
    assert kernels["ns_per_step"].keys() == set(available_kernels())
    figures = [*kernels["ns_per_step"].values(), growing["ns_per_step"]]
    figures += [
        figure[key] for figure in threads for key in ("seconds", "cpu_seconds", "times_faster")
    ]
    assert all(math.isfinite(figure) and figure > 0.0 for figure in figures)
    assert all(figure["steps"] == 256 for figure in (kernels, growing))
    out = capsys.readouterr().out
    assert "one thread, ns per step" in out
    assert "by edge" in out


def _named(value: Any) -> set[str]:
    """Every key of a document but those of the build's description."""
    if isinstance(value, list):
        return set().union(*map(_named, value))
    if not isinstance(value, dict):
        return set()
    inner = [_named(item) for key, item in value.items() if key != "libnbh"]
    return set(value).union(*inner)


def test_runs_must_be_positive(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--runs", "0"])
    assert "--runs: got 0, need at least 1" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_known_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "nanobragg_hybrid.cli.bench.main.bench", lambda **_: pytest.fail("measured")
    )
    path = tmp_path / "nowhere" / "figures.json"
    assert main(["bench", "--json", str(path)]) == 1
    assert f"{path}: No such file or directory" in capsys.readouterr().err


# ---- whole runs beside another executable ------------------------------------------------------


def _program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _program(tmp_path / "own", "printf image > floatimage.bin; echo $* > /dev/stdout")
    monkeypatch.setattr(whole_process, "own_command", lambda: str(program))


@pytest.mark.parametrize(("image", "equal"), [("image", "yes"), ("other", "NO")])
def test_the_two_run_in_turn(own: None, tmp_path: Path, image: str, equal: str) -> None:
    other = _program(tmp_path / "other", f"printf {image} > floatimage.bin")
    said: list[str] = []
    figures = whole_process.compare(other, quick=True, runs=2, say=said.append)
    assert [figure["workload"] for figure in figures] == ["still 256", "10 phi x 10 domains 128"]
    for figure, line in zip(figures, said[1:], strict=True):
        assert line.split()[-1] == equal
        assert figure["threads"] == 1
        assert figure["args"].startswith("-cell ")
        for program in ("ours", "reference"):
            assert len(figure[program]["wall_s"]) == 2
            assert min(figure[program]["wall_s"]) > 0.0
            assert figure[program]["peak_bytes"] > 0
        ratio = figure["reference"]["median_s"] / figure["ours"]["median_s"]
        assert figure["times_faster"] == pytest.approx(ratio)


def test_without_a_reference_only_our_own_runs(own: None) -> None:
    said: list[str] = []
    lines = whole_process.command_lines(quick=True)[:1]
    (figure,) = whole_process.compare(None, quick=True, runs=1, say=said.append, lines=lines)
    assert (figure["reference"], figure["times_faster"]) == (None, None)
    assert "ratio" not in said[0]


@pytest.mark.parametrize(
    ("script", "message"),
    [("exit 3", "ended with status 3 on still 256$"), (None, "cannot be run: ")],
)
def test_a_program_that_fails(own: None, tmp_path: Path, script: str | None, message: str) -> None:
    other = tmp_path / "other" if script is None else _program(tmp_path / "other", script)
    with pytest.raises(BackendError, match=message):
        whole_process.compare(other, quick=True, runs=1, say=lambda _: None)


def test_the_command_compares_with_the_variable(
    own: None,
    tiny_workloads: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = _program(tmp_path / "other", "printf image > floatimage.bin")
    monkeypatch.setenv("NB_C_BIN", os.fspath(other))
    assert main(["bench", "--quick", "--runs", "1"]) == 0
    assert "ratio" in capsys.readouterr().out
    assert main(["bench", "--quick", "--runs", "1", "--c-bin", os.fspath(tmp_path / "no")]) == 1
    assert "cannot be run" in capsys.readouterr().err


def test_tricubic_stays_interpolated() -> None:
    """The latch would make it another workload (model 6.5)."""
    (tricubic,) = [w for w in workloads(quick=True) if w.name.startswith("tricubic")]
    table = tricubic.structure_factors
    n = tricubic.experiment.detector.n_fast
    assert n is not None
    plan = bench_module._plan(tricubic, "exact")
    for fast, slow in itertools.product((0, n - 1), repeat=2):
        hkl = plan.trace(fast, slow, 1)["last"]["hkl"]
        assert all(
            low + 2 <= x <= high - 2
            for x, low, high in zip(hkl, table.hkl_min, table.hkl_max, strict=True)
        )
    assert bench_workloads.workloads is workloads
