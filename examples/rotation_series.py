"""Render a rotation series on two processes, as CBF images that DIALS or XDS read.

usage: python examples/rotation_series.py [FOLDER] [FRAMES]
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import nanobragg_hybrid as nb


def light(_: int, experiment: nb.Experiment, result: nb.SimulationResult) -> tuple[float, int]:
    """What is kept of each frame beside its image: where it begins, and its counts."""
    assert result.counts is not None
    return experiment.goniometer.phi_deg, int(result.counts.sum())


def main(folder: Path, frames: int) -> None:
    start = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0, fluence_photons_per_m2=1.2e28),
        crystal=nb.Crystal(
            cell_angstrom=(79, 79, 38),
            misset_deg=(12, 34, 56),
            n_cells=(12, 12, 12),
            mosaic_spread_deg=0.15,
            mosaic_domains=2,
        ),
        goniometer=nb.Goniometer(phi_deg=10, osc_deg=0.5, phi_steps=5),
        detector=nb.Detector(distance_mm=120, pixel_size_mm=0.4, n_fast=64, n_slow=64),
        sampling=nb.Sampling(oversample=4),
        response=nb.Response(seed=1),
    )
    series = nb.Series.rotation(start, frames)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        done = nb.simulate_series(
            series,
            nb.StructureFactors.constant(100.0),
            out=folder / "series_###.cbf",
            executor=pool,
            per_frame=[light],
        )
    for path, (_, ((phi_deg, counts),)) in zip(done.images(), done.data(), strict=True):
        print(f"{path.name}: from {phi_deg:g} degrees on, {counts} photons")


if __name__ == "__main__":
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path(),
        int(sys.argv[2]) if len(sys.argv) > 2 else 3,
    )
