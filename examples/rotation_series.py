"""Render a few frames of a rotation series, write them as raw floats and count noisy photons.

usage: python examples/rotation_series.py [FOLDER] [FRAMES]
"""

from __future__ import annotations

import sys
from pathlib import Path

import nanobragg_hybrid as nb


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
        goniometer=nb.Goniometer(osc_deg=0.5, phi_steps=5),
        detector=nb.Detector(distance_mm=120, pixel_size_mm=0.4, n_fast=64, n_slow=64),
    )
    factors = nb.StructureFactors.constant(100.0)
    for frame in range(1, frames + 1):
        experiment = start.replace({"goniometer.phi_deg": 10 + 0.5 * (frame - 1)})
        result = nb.simulate(experiment, factors)
        path = folder / f"series_{frame:03d}.bin"
        nb.write_raw(path, result.image)
        noise = nb.noise_image(result, seed=frame)
        print(f"{path.name}: {noise.photons:.0f} photons, {noise.overloads} overloads")


if __name__ == "__main__":
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path(),
        int(sys.argv[2]) if len(sys.argv) > 2 else 3,
    )
