"""Count the instructions of small cases with valgrind and compare them with those kept here.

usage: python benchmarks/callgrind_counts.py [--limit RATIO] [--update]

Unlike times, the counts do not depend on what else the machine does: a slow-down of the library
shows as a ratio above 1.  The program callgrind_cases.c is compiled and linked to the installed
libnbh; only what happens inside the library's calls is counted, with the kernel "baseline" and with
the C library's plain routines, so that processors do not matter.  Compilers do: the baseline says
which one it was made with.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.libnbh import build_info

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "callgrind_cases.c"
BASELINE = HERE / "callgrind_baseline.json"
CASES = ("still", "rotation", "tricubic", "gauss", "shot", "text")
COUNTED = ("nbh_plan_render", "nbh_hkl_scan", "nbh_hkl_fill")
PLAIN_LIBM = "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX,-AVX512F"


def compile_cases(folder: Path) -> Path:
    """The program, linked to the library that Python uses."""
    library, program = nb.get_library(), folder / "callgrind_cases"
    subprocess.run(
        [
            "cc", "-std=c99", "-O2", f"-I{nb.get_include()}", SOURCE, library, "-lm",
            f"-Wl,-rpath,{library.parent}", "-o", program,
        ],
        check=True,
    )  # fmt: skip
    return program


def collected(report: str) -> int:
    """The instructions that valgrind's report says were counted."""
    found = re.search(r"Collected : (\d+)", report)
    if found is None:
        raise ValueError(f"no count in what valgrind says: {report[-400:]}")
    return int(found[1])


def count(program: Path, case: str, folder: Path) -> int:
    """Instructions of one case."""
    done = subprocess.run(
        [
            "valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'callgrind.out'}",
            *(f"--toggle-collect={name}" for name in COUNTED), program, case,
        ],
        env={**os.environ, "GLIBC_TUNABLES": PLAIN_LIBM, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"{case} failed: {done.stderr[-800:]}")
    return collected(done.stderr)


def measure() -> dict[str, Any]:
    """The counts of every case, and what made the library."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = compile_cases(folder)
        counts = {case: count(program, case, folder) for case in CASES}
    built = build_info()
    return {
        "format": "nanobragg-hybrid instruction counts",
        "compiler": built["compiler"],
        "flags": built["flags"],
        "instructions": counts,
    }


def lines(measured: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """The table of counts and their ratios to the baseline."""
    table = [f"{'case':10} {'instructions':>14} {'baseline':>14} {'ratio':>7}"]
    for case, found in measured["instructions"].items():
        kept = baseline["instructions"].get(case)
        columns = "             -       -" if kept is None else f"{kept:14,d} {found / kept:7.3f}"
        table.append(f"{case:10} {found:14,d} {columns}")
    if measured["compiler"] != baseline["compiler"]:
        table.append(f"another compiler: {measured['compiler']}; kept: {baseline['compiler']}")
    return table


def slower(measured: Mapping[str, Any], baseline: Mapping[str, Any], limit: float) -> list[str]:
    """The cases whose count is more than `limit` times the baseline's."""
    kept = baseline["instructions"]
    return [
        case
        for case, found in measured["instructions"].items()
        if case in kept and found > limit * kept[case]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, help="fail if a ratio is larger than this")
    parser.add_argument("--update", action="store_true", help="keep these counts as the baseline")
    options = parser.parse_args()
    for needed in ("valgrind", "cc"):
        if shutil.which(needed) is None:
            sys.exit(f"this needs the program {needed}")
    measured = measure()
    if options.update:
        BASELINE.write_text(json.dumps(measured, indent=1) + "\n")
    baseline = json.loads(BASELINE.read_text())
    print("\n".join(lines(measured, baseline)))
    if options.limit is None:
        return 0
    found = slower(measured, baseline, options.limit)
    for case in found:
        print(f"{case} takes more than {options.limit} times the instructions kept")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
