"""Compare the kernels' time per step with what this processor's arithmetic allows.

usage: python benchmarks/roofline.py [--runs N] [--json FILE]

One core's rate of vector operations is measured by peak_rate.c, compiled here for each instruction
set; the operations of a step are those that docs/speed.md counts.  Their quotient is the floor, and
floor over measured time the fraction reached.  Rates and kernels take turns.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from nanobragg_hybrid.cli.bench.main import kernel_figures
from nanobragg_hybrid.cli.bench.workloads import Workload, scaled
from nanobragg_hybrid.engines.c.libnbh import available_kernels
from nanobragg_hybrid.model.structure_factors import StructureFactors

SOURCE = Path(__file__).resolve().parent / "peak_rate.c"
FLAGS = {
    "baseline": ["-DLANES=2"],
    "avx2": ["-DLANES=4", "-mavx2", "-mfma"],
    "avx512": ["-DLANES=8", "-mavx512f", "-mfma", "-mprefer-vector-width=512"],
}
# Operations of one step with a constant F; without FMA the fused ones are two or more each.
OPERATIONS = {"baseline": 166, "avx2": 102, "avx512": 102}


def compiled(folder: Path, kernel: str) -> Path:
    """The program that measures the rate with a kernel's instruction set."""
    program = folder / kernel
    flags = ["-O3", "-std=gnu11", "-ffp-contract=fast", *FLAGS[kernel]]
    subprocess.run(["cc", *flags, SOURCE, "-o", program], check=True)
    return program


def rate(program: Path) -> float:
    """Operations of one lane per nanosecond."""
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    return float(done.stdout)


def figures(runs: int) -> list[dict[str, float | str]]:
    """Rate, floor, measured ns per step and fraction of each kernel."""
    workload = Workload("", scaled(256, phi_steps=10, domains=10), StructureFactors.constant(100.0))
    kernels = [name for name in available_kernels() if name in FLAGS]
    rates: dict[str, list[float]] = {name: [] for name in kernels}
    measured: dict[str, list[float]] = {name: [] for name in kernels}
    with tempfile.TemporaryDirectory() as name:
        programs = {kernel: compiled(Path(name), kernel) for kernel in kernels}
        for _ in range(runs):
            for kernel, program in programs.items():
                rates[kernel].append(rate(program))
            (figure,) = kernel_figures([workload], 1, lambda _: None)
            for kernel in kernels:
                measured[kernel].append(figure["ns_per_step"][kernel])
    table: list[dict[str, float | str]] = []
    for kernel in kernels:
        peak, ns = max(rates[kernel]), median(measured[kernel])
        floor = OPERATIONS[kernel] / peak
        table.append(
            {
                "kernel": kernel,
                "operations_per_step": OPERATIONS[kernel],
                "operations_per_ns": peak,
                "floor_ns_per_step": floor,
                "ns_per_step": ns,
                "fraction": floor / ns,
            }
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    if shutil.which("cc") is None:
        sys.exit("this needs a C compiler, cc")
    table = figures(options.runs)
    print(f"{'kernel':10} {'ops/step':>9} {'ops/ns':>8} {'floor, ns':>10} {'ns/step':>8} {'':>9}")
    for row in table:
        print(
            f"{row['kernel']:10} {row['operations_per_step']:9d} {row['operations_per_ns']:8.2f} "
            f"{row['floor_ns_per_step']:10.2f} {row['ns_per_step']:8.2f} {row['fraction']:9.0%}"
        )
    if options.json is not None:
        options.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
