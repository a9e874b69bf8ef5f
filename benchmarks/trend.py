"""Add this version's line to benchmarks/trend.csv.

usage: python benchmarks/trend.py [--dry-run]

version: that of the package; a line of the same version is replaced.
compiler, instructions_CASE: of benchmarks/callgrind_counts.py, kernel "baseline"; needs valgrind.
pilatus_sha256: of the float image of the Pilatus frame.  It is rendered where NB_PILATUS_DIR names
    its files, else that of the recording, which the tests compare with.
ns_per_step_KERNEL, processor: CPU time of one thread for a step of 10 phi steps x 10 domains, and
    the machine it was measured on, which should be idle; empty where its processor lacks the
    kernel.  No test compares these with another machine's.
refinement_error_deg: how far examples/refine_missetting.py ends from the truth; needs PyTorch.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Final, get_args

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.bench.main import kernel_figures
from nanobragg_hybrid.cli.bench.workloads import workloads
from nanobragg_hybrid.model.conventions import Kernel
from nanobragg_hybrid.run.versions import processor_name

HERE: Final = Path(__file__).resolve().parent
TREND: Final = HERE / "trend.csv"
EXAMPLE: Final = HERE.parent / "examples" / "refine_missetting.py"
RECORDED: Final = HERE.parent / "golden" / "pilatus_expected.json"

KERNELS: Final = tuple(name for name in get_args(Kernel) if name != "auto")
RUNS: Final = 5


def rows() -> list[dict[str, str]]:
    """All lines, the oldest first."""
    with TREND.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pilatus_sha256() -> str:
    """Of the float image, rendered if its files are there."""
    folder = os.environ.get("NB_PILATUS_DIR")
    if folder is None:
        return str(json.loads(RECORDED.read_text(encoding="utf-8"))["floatimage_sha256"])
    words = (RECORDED.parent / "pilatus_args.txt").read_text(encoding="utf-8")
    experiment = nb.Experiment.from_nanobragg_args(words, folder)
    factors = nb.read_hkl(Path(folder) / "scaled.hkl")
    return hashlib.sha256(nb.simulate(experiment, factors).image.tobytes()).hexdigest()


def refinement_error_deg() -> float:
    """What the example prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(EXAMPLE)]
    with tempfile.TemporaryDirectory() as folder:
        printed = subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment, cwd=folder
        ).stdout
    found = re.search(r"^off by (\S+) deg$", printed, re.MULTILINE)
    if found is None:
        raise SystemExit(f"{EXAMPLE.name} does not say how far off it is: {printed}")
    return float(found[1])


def ns_per_step(runs: int = RUNS, *, quick: bool = False) -> dict[str, str]:
    """By kernel: of one thread, median of so many runs; "" for one this processor has not got."""
    chosen = [
        each for each in workloads(quick=quick) if each.name.startswith("10 phi x 10 domains")
    ]
    (figures,) = kernel_figures(chosen, runs, say=lambda _: None)
    found = figures["ns_per_step"]
    return {name: f"{found[name]:.3g}" if name in found else "" for name in KERNELS}


def measured() -> dict[str, str]:
    """This version's line."""
    sys.path.insert(0, str(HERE))
    import callgrind_counts

    counts = callgrind_counts.measure()
    instructions = {f"instructions_{case}": str(n) for case, n in counts["instructions"].items()}
    return {
        "version": nb.__version__,
        "compiler": counts["compiler"],
        **instructions,
        **{f"ns_per_step_{name}": value for name, value in ns_per_step().items()},
        "processor": processor_name(),
        "pilatus_sha256": pilatus_sha256(),
        "refinement_error_deg": f"{refinement_error_deg():.5f}",
    }


def main() -> int:
    """Measures, prints, writes."""
    warnings.simplefilter("ignore", nb.SetupWarning)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print the line, write nothing")
    dry_run: bool = parser.parse_args().dry_run
    line = measured()
    for name, value in line.items():
        print(f"{name}: {value}")
    if not dry_run:
        older = [row for row in rows() if row["version"] != line["version"]]
        with TREND.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(line), lineterminator="\n")
            writer.writeheader()
            writer.writerows([*older, line])
    return 0


if __name__ == "__main__":
    sys.exit(main())
