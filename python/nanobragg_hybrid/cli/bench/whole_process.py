"""Whole runs of the command `nanoBragg`, timed from outside and beside another executable."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from nanobragg_hybrid.base.errors import BackendError
from nanobragg_hybrid.formats.text import read_bytes

_MIB: Final = 2**20

# Runs a command and prints its exit status, wall seconds and peak resident bytes.  A process of its
# own without site packages: a child's peak starts from the size of the process that starts it.
_MEASURE: Final = """
import json, os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
message = child.stderr.read()
_, status, usage = os.wait4(child.pid, 0)
wall = time.perf_counter() - start
print(json.dumps([os.waitstatus_to_exitcode(status), wall, usage.ru_maxrss * 1024,
                  message.decode(errors="replace")[-400:]]))
"""


@dataclass(frozen=True)
class CommandLine:
    """A command line, and the files that it reads, if it does."""

    name: str
    args: str
    inputs: Sequence[Path] = ()


@dataclass
class Series:
    """Repeated runs of one program on one workload."""

    wall_s: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    image_sha256: str = ""

    @property
    def median_s(self) -> float:
        return statistics.median(self.wall_s)

    @property
    def spread(self) -> float:
        """Largest minus smallest wall time, as a fraction of the median."""
        return (max(self.wall_s) - min(self.wall_s)) / self.median_s


def command_lines(*, quick: bool) -> list[CommandLine]:
    """The command lines that both programs run."""
    part = 4 if quick else 1
    return [
        CommandLine(
            f"still {1024 // part}",
            "-cell 100 100 100 90 90 90 -default_F 100 -lambda 6.2 -distance 100 "
            f"-detpixels {1024 // part} -pixel {0.1 * part:g} -N 5 -oversample 1 -seed 1",
        ),
        CommandLine(
            f"10 phi x 10 domains {512 // part}",
            "-cell 70 80 90 75 85 95 -default_F 100 -lambda 1.0 -distance 100 "
            f"-detpixels {512 // part} -pixel {0.1 * part:g} -N 5 -oversample 1 "
            "-phi 0 -osc 1 -phisteps 10 -mosaic 0.5 -mosaic_dom 10 -seed 1",
        ),
    ]


def own_command() -> str:
    """The installed command `nanoBragg`.  Raises `BackendError` if there is none."""
    beside_python = Path(sys.executable).parent / "nanoBragg"
    found = str(beside_python) if beside_python.exists() else shutil.which("nanoBragg")
    if found is None:
        raise BackendError("the command nanoBragg is not installed in this environment")
    return found


def compare(
    reference: Path | None,
    quick: bool,
    runs: int,
    say: Callable[[str], None],
    lines: Sequence[CommandLine] | None = None,
    threads: Sequence[int] = (1,),
) -> list[dict[str, Any]]:
    """Times our command and `reference` in turn, A B A B; None: our own only.

    `lines`: what to run, None: `command_lines`.  Raises `BackendError` for a program that cannot be
    run or fails.
    """
    own = own_command()
    header = f"{'workload':24} {'threads':>7} {'ours, s':>9} {'spread':>6} {'peak MiB':>8}"
    if reference is not None:
        header += f" {'ref., s':>9} {'spread':>6} {'peak MiB':>8} {'ratio':>7} {'equal':>5}"
    say(f"\nwhole runs of the command: medians of {runs}\n{header}")
    figures = []
    for line in command_lines(quick=quick) if lines is None else lines:
        for count in threads:
            ours, theirs = Series(), Series()
            for _ in range(runs):
                run_once(own, ["--threads", str(count)], line, count, ours)
                if reference is not None:
                    run_once(str(reference), [], line, count, theirs)
            other = None if reference is None else theirs
            say(_row(line.name, count, ours, other))
            figures.append(
                {
                    "workload": line.name,
                    "args": line.args,
                    "threads": count,
                    "ours": {**asdict(ours), "median_s": ours.median_s, "spread": ours.spread},
                    "reference": other
                    and {**asdict(other), "median_s": other.median_s, "spread": other.spread},
                    "times_faster": other and other.median_s / ours.median_s,
                }
            )
    return figures


def run_once(
    program: str, extra: Sequence[str], line: CommandLine, threads: int, to: Series
) -> None:
    """Runs in an empty folder and adds the result to `to`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in line.inputs:
            (folder / file.name).symlink_to(file)
        arguments = [program, *line.args.split(), "-noprogress", *extra]
        done = subprocess.run(
            [sys.executable, "-S", "-c", _MEASURE, *arguments],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1]
            raise BackendError(f"{program} cannot be run: {reason}")
        status, wall, peak, message = json.loads(done.stdout)
        if status != 0:
            last_words = f": {message}" if message else ""
            raise BackendError(f"{program} ended with status {status} on {line.name}{last_words}")
        to.wall_s.append(wall)
        to.peak_bytes = max(to.peak_bytes, peak)
        to.image_sha256 = _sha256(folder / "floatimage.bin")


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(read_bytes(path)).hexdigest()


def _row(workload: str, threads: int, ours: Series, reference: Series | None) -> str:
    """One line of the table."""

    def columns(series: Series) -> str:
        peak = series.peak_bytes / _MIB
        return f"{series.median_s:9.3f} {series.spread:6.0%} {peak:8.0f}"

    text = f"{workload:24} {threads:7d} {columns(ours)}"
    if reference is not None:
        same = "yes" if ours.image_sha256 == reference.image_sha256 else "NO"
        text += f" {columns(reference)} {reference.median_s / ours.median_s:7.2f} {same:>5}"
    return text
