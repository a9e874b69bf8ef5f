"""Render random command lines with every kernel and compare the bytes with the exact kernel's.

usage: python benchmarks/random_kernels.py [--count N] [--first SEED] [--dump FILE]

Each command line has a few hundred pixels; its structure factors are random too, and so are the
quirk positions of every second one.  A difference is printed with its command line and seed, and
the exit status is 1.  `--dump` writes all command lines, one a line.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.engines.c.libnbh import available_kernels

SHAPES = (
    "-square_xtal",
    "-round_xtal",
    "-gauss_xtal",
    "-tophat_spots",
    "-gauss_hkl_xtal",
    "-tophat_hkl_spots",
)
CONVENTIONS = ("-mosflm", "-xds", "-adxv", "-denzo", "-dials")


def random_words(random: np.random.Generator) -> list[str]:
    """The words of a command line after the program's name."""
    pick = random.uniform
    words: list[str] = []

    def add(name: str, *values: float, chance: float = 1.0) -> None:
        if pick() < chance:
            words.extend([name, *(f"{value:.6g}" for value in values)])

    add("-cell", *pick(20, 120, 3), *pick(75, 105, 3))
    add("-misset", *pick(-180, 180, 3))
    words.append(str(random.choice(SHAPES)))
    add("-fudge", pick(0.01, 2.0), chance=0.3)
    for axis in "abc":
        add(f"-N{axis}", random.choice([1, 2, 3, random.integers(1, 21)]))
    add("-mosaic", pick(0, 2), chance=0.4)
    add("-mosaic_dom", random.integers(1, 5), chance=0.4)
    add("-water", pick(0, 50), chance=0.25)
    add("-phi", random.choice([0, pick(-90, 90)]), chance=0.6)
    add("-osc", pick(0, 2), chance=0.6)
    add("-phisteps", random.integers(1, 5), chance=0.6)
    add("-lambda", pick(0.6, 3))
    add("-dispersion", pick(0, 3), chance=0.3)
    add("-dispsteps", random.integers(1, 4), chance=0.3)
    add("-hdivrange", pick(0, 5), chance=0.3)
    add("-hdivsteps", random.integers(1, 4), chance=0.3)
    add("-polar", pick(-1, 1), chance=0.4)
    add("-nopolar", chance=0.15)
    words.append(str(random.choice(CONVENTIONS)))
    add("-distance", pick(30, 200))
    add("-pixel", pick(0.1, 2))
    add("-detpixels_x", random.integers(1, 60))
    add("-detpixels_y", random.integers(1, 13))
    add("-detector_rotx", pick(-20, 20), chance=0.5)
    add("-detector_roty", pick(-20, 20), chance=0.5)
    add("-twotheta", pick(-30, 30), chance=0.3)
    add("-curved_det", chance=0.2)
    add("-point_pixel", chance=0.2)
    add("-detector_thick", pick(10, 500), chance=0.4)
    add("-detector_abs", pick(100, 900), chance=0.4)
    add("-thicksteps", random.integers(1, 4), chance=0.4)
    add("-oversample", random.integers(1, 4))
    add("-oversample_thick", chance=0.25)
    add("-oversample_polar", chance=0.25)
    add("-oversample_omega", chance=0.25)
    add("-dmin", pick(1, 6), chance=0.25)
    words.append(str(random.choice(["-interpolate", "-nointerpolate"])))
    return words


def random_table(random: np.random.Generator) -> nb.StructureFactors:
    """Structure factors around the origin, some of them 0; sometimes the same everywhere."""
    if random.uniform() < 0.15:
        return nb.StructureFactors.constant(random.uniform(1, 100))
    shape = random.integers(3, 60, 3)
    grid = random.uniform(0, 300, shape) * (random.uniform(size=shape) < 0.8)
    corner = tuple(-int(count) // 2 for count in shape)
    return nb.StructureFactors.from_grid(grid, corner, default_f=random.choice([0.0, 7.0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="command lines")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--dump", type=Path, help="write the command lines here")
    options = parser.parse_args()
    warnings.simplefilter("ignore", nb.NanobraggWarning)

    kernels = available_kernels()
    used: Counter[str] = Counter()
    pixels, lit, different, refused = 0, 0, 0, 0
    lines = []
    start = time.perf_counter()
    for seed in range(options.first, options.first + options.count):
        random = np.random.default_rng(seed)
        words, factors = random_words(random), random_table(random)
        bits = int(random.integers(0, 2 ** len(nb.LEDGER))) if seed % 2 else None
        quirks = nb.Quirks() if bits is None else nb.Quirks.from_bits(bits)
        lines.append(shlex.join(["nanoBragg", *words, "--quirks", str(quirks)]))
        try:
            experiment = parse_command(words, quirks=quirks, strict=True).experiment
            results = {
                kernel: nb.simulate(
                    experiment, factors, quirks=quirks, threads=1, backend=nb.CEngine(kernel=kernel)
                )
                for kernel in kernels
            }
        except nb.NanobraggError as error:
            refused += 1
            print(f"seed {seed}: {error}")
            continue
        exact = results["exact"].image
        pixels += exact.size
        lit += int(np.count_nonzero(exact))
        for kernel, result in results.items():
            provenance = result.provenance
            reason = f" ({provenance['kernel_reason']})" if provenance["kernel_reason"] else ""
            used[f"{kernel}: {provenance['kernel']}{reason}"] += 1
            if result.image.tobytes() != exact.tobytes():
                different += 1
                print(f"DIFFERENT with {kernel}, seed {seed}: {lines[-1]}")
    if options.dump is not None:
        options.dump.write_text("\n".join(lines) + "\n")
    took = time.perf_counter() - start
    print(f"{options.count} command lines, {refused} refused, {pixels} pixels, {lit} not 0")
    print(f"{different} images differ from the exact kernel's; {took:.0f} s")
    for name, count in sorted(used.items()):
        print(f"  asked for {name}: {count}")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
