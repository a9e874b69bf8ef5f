"""A rotation series that DIALS integrates, and DIALS' programs."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import nanobragg_hybrid as nb

ONLY_IN_FULL = pytest.mark.skipif(
    os.environ.get("NB_DIALS_SERIES") == "brief",
    reason="takes DIALS long and is much like what is run: .ci/release acceptance runs it",
)
"""For tests that .ci/acceptance --brief leaves out."""

IMAGES = 12
CELL = (79.0, 79.0, 38.0)
PEDESTAL = 40


def dials(program: str, folder: Path, *words: str) -> str:
    """What a program of DIALS prints; fails with that if the program does."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    with contextlib.suppress(ImportError):
        import hdf5plugin

        environment["HDF5_PLUGIN_PATH"] = hdf5plugin.PLUGIN_PATH
    done = subprocess.run(
        [program, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, f"{program}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def structure_factors() -> nb.StructureFactors:
    """Random amplitudes of the symmetry 4/mmm to 1.9 angstrom."""
    random = np.random.default_rng(5)
    most = [int(length / 1.9) for length in CELL]
    amplitudes: dict[tuple[int, ...], float] = {}
    indices = []
    for h in range(-most[0], most[0] + 1):
        for k in range(-most[1], most[1] + 1):
            for l in range(-most[2], most[2] + 1):
                if (h / CELL[0]) ** 2 + (k / CELL[1]) ** 2 + (l / CELL[2]) ** 2 <= 1.9**-2:
                    indices.append((h, k, l))
    values = []
    for h, k, l in indices:
        key = (*sorted((abs(h), abs(k))), abs(l))
        if key not in amplitudes:
            amplitudes[key] = 100.0 * float(np.sqrt(random.exponential()))
        values.append(amplitudes[key])
    return nb.StructureFactors.from_reflections(indices, values, 0.0)


def experiment(number: int = 0) -> nb.Experiment:
    """Image `number`, from 0, of the series."""
    return nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0, fluence_photons_per_m2=1.2e28),
        crystal=nb.Crystal(
            cell_angstrom=CELL,
            n_cells=(12, 12, 12),
            misset_deg=(12, 34, 56),
            mosaic_spread_deg=0.15,
            mosaic_domains=4,
            water_um=1.6,
        ),
        goniometer=nb.Goniometer(phi_deg=10.0 + 0.5 * number, osc_deg=0.5, phi_steps=10),
        detector=nb.Detector(
            distance_mm=120, pixel_size_mm=0.1, n_fast=1280, n_slow=1280, beam_x_mm=64.05
        ),
        sampling=nb.Sampling(oversample=1),
        output=nb.Output(noise_seed=number + 1, adc_offset=PEDESTAL),
    )
