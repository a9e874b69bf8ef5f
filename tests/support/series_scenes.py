"""Small series for tests, hashes of their files, and what spawned workers call."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

import nanobragg_hybrid as nb

CRYSTAL = nb.Crystal(
    cell_angstrom=(79, 79, 38),
    misset_deg=(12, 34, 56),
    n_cells=(6, 6, 6),
    mosaic_spread_deg=0.15,
    mosaic_domains=2,
)
RESPONSE = nb.Response(pedestal=40, read_noise=3, count_type="uint16", seed=7)
STILL = nb.Experiment(
    beam=nb.Beam(fluence_photons_per_m2=1e28),
    crystal=CRYSTAL,
    detector=nb.Detector(distance_mm=120, pixel_size_mm=3.0, n_fast=40, n_slow=32),
    sampling=nb.Sampling(oversample=1),
    response=RESPONSE,
)
TURNING = STILL.replace({"goniometer": nb.Goniometer(phi_deg=10.0, osc_deg=0.5, phi_steps=2)})


def factors() -> nb.StructureFactors:
    """More than travels with a task."""
    grid = np.random.default_rng(5).uniform(1.0, 100.0, (41, 41, 21))
    return nb.StructureFactors.from_grid(grid, (-20, -20, -10))


def hashes(folder: Path) -> dict[str, str]:
    """Of every file below a folder, but for manifests."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "_manifest" not in path.name
    }


def per_file(name: str, images: int) -> dict[str, Any]:
    """Settings with so many images in each file of data, where there are such files."""
    return {} if "#" in name else {"images_per_file": images}


def light(number: int, experiment: nb.Experiment, result: nb.SimulationResult) -> tuple[Any, ...]:
    """A function of a frame."""
    return number, experiment.goniometer.phi_deg, float(result.image.sum())


class KillsOnce:
    """A function of a frame that kills its process at one frame, if a file is there."""

    identity = "kills"

    def __init__(self, number: int, flag: Path) -> None:
        self._number = number
        self._flag = flag

    def __call__(self, number: int, *_: object) -> None:
        if number == self._number and self._flag.exists():
            self._flag.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
