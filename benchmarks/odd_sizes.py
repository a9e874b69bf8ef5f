"""Time per pixel of narrow, low, masked and cut-out images beside that of an ordinary one.

usage: python benchmarks/odd_sizes.py [--runs N] [--steps N] [--json FILE]

Each image has about 16 thousand pixels to compute, in some shape.  Shapes take turns, so that the
ratios hold on a busy machine; CPU time of one thread.  Then wall seconds with as many threads as
there are usable cores, which mean something on an idle machine only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nanobragg_hybrid.base.host import usable_cores
from nanobragg_hybrid.cli.bench.workloads import scaled
from nanobragg_hybrid.engines.c.engine import Plan
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.mask import Mask
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors

PIXELS = 16384
REPEATS = 4
WIDTHS = (1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 100, 127, 1021, 1024, 4096, PIXELS)
ORDINARY = "1024 wide"
FEW = ("64 x 64", "1 wide", "16384 wide", ORDINARY)


def shaped(n_fast: int, n_slow: int, steps: int) -> Experiment:
    """So many pixels on a detector whose longer edge has 100 mm, `steps` phi steps.

    The crystal is turned so that no index is nearly 0 in a whole column of pixels: its blocks would
    be computed twice, whatever the shape.
    """
    return scaled(64, phi_steps=steps).replace(
        {
            "crystal.misset_deg": (10.0, 20.0, 30.0),
            "detector.n_fast": n_fast,
            "detector.n_slow": n_slow,
            "detector.pixel_size_mm": 100.0 / max(n_fast, n_slow),
        }
    )


def shapes(steps: int) -> dict[str, tuple[Experiment, int]]:
    """Name -> (experiment, pixels to compute)."""
    found = {}
    for width in WIDTHS:
        height = max(1, PIXELS // width)
        found[f"{width} wide"] = (shaped(width, height, steps), width * height)
    found["64 x 64"] = (shaped(64, 64, steps), 64 * 64)
    region = shaped(64, 1024, steps).replace({"sampling.roi": (30, 32, 0, 1023)})
    found["region of 3 x 1024 in 64 x 1024"] = (region, 3 * 1024)
    for name, edge, share in (("one in 16", 512, 1 / 16), ("half", 180, 0.5)):
        mask = np.random.default_rng(1).uniform(size=(edge, edge)) < share
        masked = shaped(edge, edge, steps).replace({"detector.mask": Mask(mask)})
        found[f"mask that leaves {name}"] = (masked, int(mask.sum()))
    return found


def seconds(plan: Plan, threads: int, clock: Callable[[], float]) -> float:
    """One rendering, the mean of some: memory that one gives back the next has to ask for."""
    start = clock()
    for _ in range(REPEATS):
        plan.render(threads, None, False)
    return (clock() - start) / REPEATS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20, help="phi steps (20)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    chosen = shapes(options.steps)
    factors = StructureFactors.constant(100.0)
    plans = {name: Plan(each, factors, Quirks()) for name, (each, _) in chosen.items()}
    times: dict[str, list[float]] = {name: [] for name in plans}
    for _ in range(options.runs):
        for name, plan in plans.items():
            times[name].append(seconds(plan, 1, time.process_time))
    per_pixel = {
        name: 1e9 * statistics.median(each) / chosen[name][1] for name, each in times.items()
    }
    print(f"one thread, {options.steps} steps a pixel")
    print(f"{'image':32} {'ns/pixel':>9} {'ratio':>6}")
    for name, ns in per_pixel.items():
        print(f"{name:32} {ns:9.1f} {ns / per_pixel[ORDINARY]:6.2f}")

    cores = usable_cores()
    faster = {}
    print(f"\n{'times faster with threads':32} {cores:>9}")
    for name in FEW:
        walls: dict[int, list[float]] = {1: [], cores: []}
        for _ in range(options.runs):
            for threads, each in walls.items():
                each.append(seconds(plans[name], threads, time.perf_counter))
        faster[name] = statistics.median(walls[1]) / statistics.median(walls[cores])
        print(f"{name:32} {faster[name]:9.2f}")
    if options.json is not None:
        figures = {"steps": options.steps, "ns_per_pixel": per_pixel, "times_faster": faster}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
