"""What a frame of a series costs: kernel, background, noise, compression, writing, hash.

usage: python benchmarks/series.py [--frames N] [--pixels N] [--json FILE]

One scene: 1000 x 1000 pixels, a cell of 79 79 38 A, 12 cells along each axis, 4 mosaic domains, 10
phi steps of 0.05 degrees, water and air, Poisson and read-out noise.  Parts are CPU time of one
thread, the least of some runs; frames per second are of whole runs of workers that have started.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import nanobragg_hybrid as nb
from nanobragg_hybrid.base.atomic import atomic_write
from nanobragg_hybrid.formats.images import nxmx
from nanobragg_hybrid.formats.images.byte_offset import compressed
from nanobragg_hybrid.run.read_out import Chain

RUNS = 5


def scene(pixels: int) -> nb.Experiment:
    """The fixed scene, on so many pixels along an edge."""
    return nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0, fluence_photons_per_m2=1.2e28),
        crystal=nb.Crystal(
            cell_angstrom=(79, 79, 38),
            misset_deg=(12, 34, 56),
            n_cells=(12, 12, 12),
            mosaic_spread_deg=0.15,
            mosaic_domains=4,
        ),
        goniometer=nb.Goniometer(phi_deg=10.0, osc_deg=0.5, phi_steps=10),
        detector=nb.Detector(
            distance_mm=120, pixel_size_mm=100.0 / pixels, n_fast=pixels, n_slow=pixels
        ),
        sampling=nb.Sampling(oversample=1),
        background=nb.Background(
            scatterers=(nb.water_scatterer(1e-9), nb.air_scatterer(1e-8)),
        ),
        response=nb.Response(read_noise=1.5, pedestal=40, seed=1),
    )


def factors() -> nb.StructureFactors:
    """Invented ones, to 2 A."""
    grid = np.random.default_rng(5).uniform(1.0, 200.0, (81, 81, 39))
    return nb.StructureFactors.from_grid(grid, (-40, -40, -19))


def least(function: Callable[[], Any]) -> float:
    """CPU time of the fastest of some runs, ms."""
    times = []
    for _ in range(RUNS):
        began = time.process_time()
        function()
        times.append(time.process_time() - began)
    return 1e3 * min(times)


def parts(experiment: nb.Experiment, table: nb.StructureFactors, folder: Path) -> dict[str, float]:
    """Milliseconds of each part of a frame."""
    bare = experiment.replace({"background": None, "response": None})
    lit = experiment.replace({"response": None})

    def of(each: nb.Experiment) -> float:
        run = nb.prepare(each, table)
        return least(lambda: run.render(threads=1))

    result = nb.simulate(experiment, table, threads=1)
    kernel, with_background = of(bare), of(lit)
    engine_run = nb.prepare(lit, table).run
    background = np.asarray(engine_run.render(threads=1, progress=None, unrounded=False).background)
    chain = Chain.of(result.experiment, result.plan)
    counts, expected = result.counts, result.expected
    assert counts is not None
    assert expected is not None

    def cbf() -> io.BytesIO:
        memory = io.BytesIO()
        nb.write_image(memory, result, format="cbf")
        return memory

    content = cbf().getvalue()
    compression = least(lambda: compressed(counts))
    series = nb.Series.rotation(experiment, 2)

    def whole_frame() -> float:
        """CPU time of the fastest frame of a series behind the first one."""
        ends = [time.process_time()]

        def progress(*_: int) -> None:
            ends.append(time.process_time())

        several = nb.Series.rotation(experiment, 5 * RUNS)
        nb.simulate_series(
            several, table, out=folder / "frames" / "x_##.cbf", threads=1, progress=progress
        )
        return 1e3 * float(np.diff(ends)[1:].min())

    return {
        "recipe": least(lambda: series.frame(1)),
        "set-up": least(lambda: nb.prepare(experiment, table)),
        "kernel": kernel,
        "background, once": with_background - kernel,
        "background added": least(lambda: chain.expected(result.image, background)),
        "noise and read-out": least(lambda: chain.counts(expected, 0)),
        "compression (CBF)": compression,
        "compression (NXmx)": least(lambda: nxmx.compressed_chunk(counts)),
        "rest of a CBF file": least(cbf) - compression,
        "writing": least(lambda: written(folder / "x", content)),
        "hash": least(lambda: hashlib.sha256(content).digest()),
        "a whole frame": whole_frame(),
    }


def written(path: Path, content: bytes) -> None:
    """A file that is there as a whole or not at all."""
    with atomic_write(path) as file:
        file.write(content)


def rates(
    experiment: nb.Experiment, table: nb.StructureFactors, folder: Path, frames: int
) -> dict[str, float]:
    """Frames per second of one process here, and of pools of one and two."""
    series = nb.Series.rotation(experiment, frames)
    found = {}
    began = time.perf_counter()
    nb.simulate_series(series, table, out=folder / "here" / "x_####.cbf", threads=1)
    found["this process"] = frames / (time.perf_counter() - began)
    for count in (1, 2):
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            warm = nb.Series.rotation(experiment, 2 * count)
            out = folder / f"warm{count}" / "x_####.cbf"
            nb.simulate_series(warm, table, out=out, executor=pool)
            began = time.perf_counter()
            out = folder / f"pool{count}" / "x_####.cbf"
            nb.simulate_series(series, table, out=out, executor=pool)
            found[f"pool of {count}"] = frames / (time.perf_counter() - began)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=20, help="of each run (default: 20)")
    parser.add_argument("--pixels", type=int, default=1000, help="along an edge (default: 1000)")
    parser.add_argument("--json", metavar="FILE", help="write the figures for scripts")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", nb.NanobraggWarning)
    experiment, table = scene(arguments.pixels), factors()
    with tempfile.TemporaryDirectory() as name:
        of_parts = parts(experiment, table, Path(name))
        of_series = rates(experiment, table, Path(name), arguments.frames)
    print(f"{arguments.pixels} x {arguments.pixels} pixels; CPU ms of a frame, one thread")
    for what, ms in of_parts.items():
        print(f"  {what:20s} {ms:8.2f}")
    beside = of_parts["a whole frame"] - of_parts["kernel"]
    print(f"  {'all but the kernel':20s} {beside:8.2f}")
    print("frames per second")
    for what, rate in of_series.items():
        print(f"  {what:20s} {rate:8.2f}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"ms": of_parts, "frames_per_s": of_series}))


if __name__ == "__main__":
    main()
