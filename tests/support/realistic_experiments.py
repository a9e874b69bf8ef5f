"""Random experiments like those of real images, in which many steps have no light: small pixels,
crystals of tens of cells, fluences of real beams."""

from __future__ import annotations

from typing import Any

import numpy as np
from random_experiments import random_quirks

import nanobragg_hybrid as nb

SHAPES = ("gauss_hkl", "gauss", "tophat", "tophat_hkl", "round", "square")
COMPACT = ("gauss_hkl", "gauss", "tophat", "tophat_hkl")
"""Shapes whose steps can be left out without changing a bit."""


def realistic_experiment(
    random: np.random.Generator, shape: str
) -> tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]:
    """Some 2000 pixels and up to a few hundred steps each.  All quirks are on in half of them; a
    region, a mask, a table, interpolation and the rarer options are there at random."""
    pick = random.uniform

    def often(chance: float) -> bool:
        return bool(pick() < chance)

    def maybe(value: Any, chance: float) -> Any:
        return value if often(chance) else None

    n_fast, n_slow = int(random.integers(17, 70)), int(random.integers(17, 70))
    interpolates = often(0.2)
    along_x = np.array([-10.0, 0.0, 0.0])
    listed = tuple(
        nb.Source(
            position=tuple(along_x + random.normal(0, 0.003, 3)),
            weight=pick(0.5, 2.0),
            wavelength_m=pick(0.99e-10, 1.01e-10),
        )
        for _ in range(int(random.integers(2, 6)))
    )
    experiment = nb.Experiment(
        beam=nb.Beam(
            wavelength_angstrom=pick(0.8, 2.0),
            fluence_photons_per_m2=float(10 ** pick(18, 30)),
            polarization_kahn=random.choice([0.0, pick(-1.0, 1.0)]),
            polarization_correction=often(0.8),
            dispersion_percent=maybe(pick(0.05, 2.0), 0.6),
            dispersion_steps=int(random.integers(2, 12)),
            divergence_h_mrad=maybe(pick(0.1, 1.0), 0.2),
            divergence_h_steps=2,
            sources=maybe(listed, 0.15),
        ),
        crystal=nb.Crystal(
            cell_angstrom=tuple(pick(30, 150, 3)),
            cell_deg=(90.0, 90.0, 90.0) if often(0.5) else tuple(pick(75, 105, 3)),
            misset_deg=tuple(pick(-180, 180, 3)),
            n_cells=tuple(float(n) for n in random.integers(3, 61, 3)),
            shape=shape,
            shape_fudge=random.choice([1.0, pick(0.3, 2.0)]),
            mosaic_spread_deg=pick(0.0, 0.5),
            mosaic_domains=int(random.integers(1, 20)),
            mosaic_seed=int(random.integers(1, 1000)),
            water_um=maybe(pick(0, 50), 0.15) or 0.0,
        ),
        goniometer=nb.Goniometer(
            phi_deg=random.choice([0.0, pick(-90, 90)]),
            osc_deg=maybe(pick(0, 1), 0.5),
            phi_steps=int(random.integers(1, 8)),
        ),
        detector=nb.Detector(
            convention=str(random.choice(["mosflm", "xds"])) if not often(0.0) else "mosflm",
            n_fast=n_fast,
            n_slow=n_slow,
            pixel_size_mm=float(np.exp(pick(np.log(0.005), np.log(0.2)))),
            distance_mm=pick(40, 250),
            beam_x_mm=maybe(pick(-40, 60), 0.8),
            beam_y_mm=maybe(pick(-40, 60), 0.8),
            rotation_deg=tuple(pick(-20, 20, 3)) if often(0.4) else (0.0, 0.0, 0.0),
            twotheta_deg=random.choice([0.0, pick(-30, 30)]),
            curved=often(0.15),
            point_pixel=often(0.1),
            sensor_thickness_um=maybe(pick(50, 500), 0.2),
            sensor_attenuation_depth_um=pick(100, 900),
            sensor_layers=int(random.integers(1, 4)),
            mask=maybe(nb.Mask(random.uniform(size=(n_slow, n_fast)) < pick(0.02, 1.0)), 0.25),
        ),
        sampling=nb.Sampling(
            oversample=random.choice([1, 1, 1, 2]),
            oversample_thick=often(0.05),
            oversample_polar=often(0.05),
            oversample_omega=often(0.05),
            interpolate=interpolates,
            dmin_angstrom=maybe(pick(0.8, 4.0), 0.2) or 0.0,
            roi=maybe(
                (
                    int(random.integers(0, 6)),
                    int(n_fast - random.integers(1, 6)),
                    int(random.integers(0, 6)),
                    int(n_slow - random.integers(1, 6)),
                ),
                0.3,
            ),
        ),
    )
    return experiment, _table(random), nb.Quirks() if often(0.5) else random_quirks(random)


def _table(random: np.random.Generator) -> nb.StructureFactors:
    if random.uniform() < 0.5:
        return nb.StructureFactors.constant(float(10 ** random.uniform(0, 4)))
    shape = random.integers(3, 60, 3)
    grid = random.uniform(0, 3000, shape) * (random.uniform(size=shape) < 0.8)
    corner = tuple(-int(count) // 2 for count in shape)
    return nb.StructureFactors.from_grid(grid, corner, default_f=random.choice([0.0, 70.0]))
