"""Time the installed `nanoBragg` command against an executable of yours.

usage: NB_C_BIN=/path/to/nanoBragg python benchmarks/bench_against_reference.py
           [--runs N] [--only NAME] [--threads N ...] [--json FILE]

The two run in turn, A B A B, whole processes from start to end; the table has the medians, their
ratio (above 1: ours is faster), the spread of each (largest minus smallest, of the median) and the
peak memory.  Without NB_C_BIN it reports our own command only.  The Pilatus frame needs its folder
(NB_PILATUS_DIR, or ../shared/pilatus beside the repository); where that is missing a line says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MIB = 2**20

STILL = (
    "-cell 100 100 100 90 90 90 -default_F 100 -lambda 6.2 -distance 100 "
    "-detpixels 1024 -pixel 0.1 -N 5 -oversample 1 -seed 1"
)
ROTATION = (
    "-cell 70 80 90 75 85 95 -default_F 100 -lambda 1.0 -distance 100 -detpixels 512 -pixel 0.1 "
    "-N 5 -oversample 1 -phi 0 -osc 1 -phisteps 10 -mosaic 0.5 -mosaic_dom 10 -seed 1"
)

# Runs a command and prints its exit status, wall seconds and peak resident bytes.  A process of its
# own without site packages: a child's peak starts from the size of the process that starts it.
MEASURE = """
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
class Workload:
    """A command line and the folder of the files it names, if it names any."""

    name: str
    args: str
    inputs: Path | None = None


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


def workloads() -> list[Workload]:
    """The three workloads; the Pilatus frame only where its files are."""
    default = ROOT.parent / "shared" / "pilatus"
    folder = Path(os.environ.get("NB_PILATUS_DIR", default)).resolve()
    found = [Workload("cubic still 1024x1024", STILL), Workload("10 phi x 10 domains", ROTATION)]
    if (folder / "A.mat").is_file() and (folder / "scaled.hkl").is_file():
        args = (ROOT / "golden" / "pilatus_args.txt").read_text().strip()
        found.insert(0, Workload("Pilatus 6M, 10 phi", args, folder))
    else:
        print(f"no Pilatus frame: A.mat and scaled.hkl are not in {folder}")
    return found


def run_once(program: str, extra: list[str], workload: Workload, threads: int, to: Series) -> None:
    """Run in an empty folder and add the result to `to`; a failing program ends the benchmark."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if workload.inputs is not None:
            for file in ("A.mat", "scaled.hkl"):
                (folder / file).symlink_to(workload.inputs / file)
        words = [program, *workload.args.split(), "-noprogress", *extra]
        done = subprocess.run(
            [sys.executable, "-S", "-c", MEASURE, *words],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"{program} cannot be run: {done.stderr.strip().splitlines()[-1]}")
        status, wall, peak, message = json.loads(done.stdout)
        if status != 0:
            sys.exit(f"{program} failed with status {status} on {workload.name}: {message}")
        to.wall_s.append(wall)
        to.peak_bytes = max(to.peak_bytes, peak)
        to.image_sha256 = hashlib.sha256((folder / "floatimage.bin").read_bytes()).hexdigest()


def row(workload: str, threads: int, ours: Series, reference: Series | None) -> str:
    """One line of the table."""

    def columns(series: Series) -> str:
        peak = series.peak_bytes / MIB
        return f"{series.median_s:9.3f} {series.spread:6.0%} {peak:8.0f}"

    text = f"{workload:24} {threads:7d} {columns(ours)}"
    if reference is not None:
        same = "yes" if ours.image_sha256 == reference.image_sha256 else "NO"
        text += f" {columns(reference)} {reference.median_s / ours.median_s:7.2f} {same:>5}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each program")
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()

    beside_python = Path(sys.executable).parent / "nanoBragg"
    command = str(beside_python) if beside_python.exists() else shutil.which("nanoBragg")
    if command is None:
        sys.exit("the command nanoBragg is not installed in this environment")
    binary = os.environ.get("NB_C_BIN")
    if binary is None:
        print("NB_C_BIN is not set: only our own command is timed, nothing is compared")

    header = f"{'workload':24} {'threads':>7} {'ours, s':>9} {'spread':>6} {'peak MiB':>8}"
    if binary is not None:
        header += f" {'ref., s':>9} {'spread':>6} {'peak MiB':>8} {'ratio':>7} {'equal':>5}"
    print(header)
    figures = []
    for workload in workloads():
        if options.only not in workload.name:
            continue
        for threads in options.threads:
            ours, reference = Series(), Series() if binary is not None else None
            for _ in range(options.runs):
                run_once(command, ["--threads", str(threads)], workload, threads, ours)
                if binary is not None and reference is not None:
                    run_once(binary, [], workload, threads, reference)
            print(row(workload.name, threads, ours, reference), flush=True)
            figures.append(
                {
                    "workload": workload.name,
                    "args": workload.args,
                    "threads": threads,
                    "ours": asdict(ours),
                    "reference": None if reference is None else asdict(reference),
                }
            )
    report = {
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "reference": binary,
        "figures": figures,
    }
    text = json.dumps(report, indent=1)
    if options.json is None:
        print(text)
    else:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
