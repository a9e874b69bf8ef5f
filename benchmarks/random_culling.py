"""Render random realistic experiments with and without the steps that carry no light.

usage: python benchmarks/random_culling.py [--count N] [--first SEED] [--tolerance]

Without --tolerance the bytes of all kernels are compared with those of an image without culling;
with it, images of random tolerances with the exact image: no pixel may differ by more than the
tolerance, plus one unit in the last place.  A difference is printed with its seed, and the exit
status is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.libnbh import available_kernels

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from realistic_experiments import COMPACT, SHAPES, realistic_experiment


def excess(exact: np.ndarray, found: np.ndarray, tolerance: float) -> float:
    """The largest difference beyond one unit in the last place, over the tolerance."""
    known = np.isfinite(exact)
    difference = np.abs(exact[known].astype(np.float64) - found[known])
    allowed = np.spacing(np.maximum(exact[known], found[known])).astype(np.float64)
    beyond = difference - allowed * (1.0 + 1e-9)
    return float(np.max(beyond, initial=0.0)) / tolerance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--tolerance", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    kernels = [kernel for kernel in available_kernels() if kernel != "exact"]
    reasons: Counter[str] = Counter()
    bad = refused = compared = 0
    steps = visited = largest = 0.0
    start = time.perf_counter()
    for seed in range(options.first, options.first + options.count):
        random = np.random.default_rng(seed)
        shapes = SHAPES if options.tolerance else COMPACT
        experiment, factors, quirks = realistic_experiment(random, shapes[seed % len(shapes)])
        tolerance = float(10 ** random.uniform(-9, 2))

        def render(engine: nb.CEngine) -> nb.SimulationResult:
            return nb.simulate(experiment, factors, quirks=quirks, threads=1, backend=engine)  # noqa: B023

        try:
            exact = render(nb.CEngine(culling="off"))
        except nb.NanobraggError:
            refused += 1
            continue
        compared += 1
        for kernel in kernels:
            asked = tolerance if options.tolerance else 0.0
            result = render(nb.CEngine(kernel=kernel, tolerance_photons=asked))
            culling = result.provenance["culling"]
            if options.tolerance:
                worst = excess(exact.image, result.image, tolerance)
                largest = max(largest, worst)
                differs = worst > 1.0 + 1e-6 or bool(
                    np.any(np.isfinite(exact.image) != np.isfinite(result.image))
                )
            else:
                differs = result.image.tobytes() != exact.image.tobytes()
                differs |= repr(result.statistics) != repr(exact.statistics)  # NaN is NaN
            if differs:
                bad += 1
                print(f"DIFFERENT: seed {seed}, kernel {kernel}, {culling}")
        reasons[culling["reason"] or "culled"] += 1
        of_image = result.info["steps"] * experiment.detector.n_fast * experiment.detector.n_slow
        steps += of_image
        visited += of_image * culling["share_visited"]
    print(f"{compared} experiments ({refused} refused), {bad} differences; "
          f"{time.perf_counter() - start:.0f} s")  # fmt: skip
    print(f"share of all steps visited: {visited / steps:.3f}")
    if options.tolerance:
        print(f"largest difference, less one unit in it, over the tolerance: {largest:.3f}")
    for reason, count in reasons.most_common():
        print(f"  {count:5d} {reason}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
