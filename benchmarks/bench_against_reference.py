"""Time the installed `nanoBragg` command against an executable of yours.

usage: NB_C_BIN=/path/to/nanoBragg python benchmarks/bench_against_reference.py
           [--runs N] [--only NAME] [--threads N ...] [--json FILE]

What `nanobragg-hybrid bench --c-bin` does, with the Pilatus frame as well and with several numbers
of threads.  The two run in turn, A B A B, whole processes from start to end; the table has the
medians, their ratio (above 1: ours is faster), the spread of each (largest minus smallest, of the
median) and the peak memory.  Without NB_C_BIN it reports our own command only.  The Pilatus frame
needs its folder (NB_PILATUS_DIR, or ../shared/pilatus beside the repository); where that is missing
a line says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path

from nanobragg_hybrid.base.errors import NanobraggError
from nanobragg_hybrid.cli.bench.whole_process import CommandLine, command_lines, compare

ROOT = Path(__file__).resolve().parents[1]


def lines() -> list[CommandLine]:
    """The command lines; the Pilatus frame only where its files are."""
    default = ROOT.parent / "shared" / "pilatus"
    folder = Path(os.environ.get("NB_PILATUS_DIR", default)).resolve()
    files = [folder / "A.mat", folder / "scaled.hkl"]
    found = command_lines(quick=False)
    if all(file.is_file() for file in files):
        args = (ROOT / "golden" / "pilatus_args.txt").read_text().strip()
        found.insert(0, CommandLine("Pilatus 6M, 10 phi", args, files))
    else:
        print(f"no Pilatus frame: A.mat and scaled.hkl are not in {folder}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each program")
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()

    binary = os.environ.get("NB_C_BIN")
    if binary is None:
        print("NB_C_BIN is not set: only our own command is timed, nothing is compared")
    try:
        figures = compare(
            None if binary is None else Path(binary),
            quick=False,
            runs=options.runs,
            say=lambda text: print(text, flush=True),
            lines=[line for line in lines() if options.only in line.name],
            threads=options.threads,
        )
    except NanobraggError as error:
        sys.exit(str(error))
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
