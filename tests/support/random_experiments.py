"""Small random experiments in which everything that a quirk acts on can happen."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

import nanobragg_hybrid as nb

REFUSING = ("impossible_cell", "impossible_sources", "cell_beside_matrix", "count_alone")
"""Quirks without which some of what is made here, and some recorded case, is an error."""


CORRECTED = dataclasses.replace(nb.Quirks.none(), **dict.fromkeys(REFUSING, True))
"""Everything off but those."""


def random_quirks(random: np.random.Generator) -> nb.Quirks:
    """Any of them; those of `REFUSING` are on."""
    quirks = nb.Quirks.from_bits(int(random.integers(0, nb.Quirks().bits + 1)))
    return dataclasses.replace(quirks, **dict.fromkeys(REFUSING, True))


def random_experiment(random: np.random.Generator) -> nb.Experiment:
    """At most 7 x 5 pixels and a few hundred steps each."""
    pick = random.uniform

    def maybe(value: Any, chance: float = 0.5) -> Any:
        return value if pick() < chance else None

    def often(chance: float) -> bool:
        return bool(pick() < chance)

    def near(*vector: float) -> tuple[float, ...]:
        return tuple(np.array(vector) + pick(-0.1, 0.1, 3))

    n_fast, n_slow = int(random.integers(2, 8)), int(random.integers(2, 6))
    convention = str(random.choice(["mosflm", "xds", "adxv", "denzo", "dials", "custom"]))
    centres = {
        "none": {},
        "beam": {"beam_x_mm": pick(0, 20), "beam_y_mm": pick(0, 20)},
        "near": {"close_x_mm": pick(0, 20), "close_y_mm": pick(0, 20)},
        "origin": {"org_x_px": pick(-2, 10), "org_y_px": pick(-2, 10)},
    }
    along_x = convention in ("mosflm", "denzo", "custom")
    sources = tuple(
        nb.Source(
            position=near(-10, 0, 0) if along_x else near(0, 0, -10),
            weight=pick(0.1, 4.0),
            wavelength_m=pick(0.9e-10, 1.1e-10),
        )
        for _ in range(int(random.integers(1, 4)))
    )
    return nb.Experiment(
        beam=nb.Beam(
            wavelength_angstrom=pick(0.8, 2.0),
            polarization_kahn=random.choice([0.0, pick(-1.0, 1.0)]),
            polarization_correction=often(0.8),
            polarization_axis=maybe(near(0, 1, 1), 0.2),
            divergence_h_mrad=maybe(pick(0.0, 5.0)),
            divergence_h_steps=maybe(int(random.integers(1, 4))),
            dispersion_percent=random.choice([0.0, pick(0.0, 2.0)]),
            sources=maybe(sources, 0.4),
        ),
        crystal=nb.Crystal(
            cell_angstrom=tuple(pick(20.0, 60.0, 3)),
            cell_deg=tuple(pick(75.0, 105.0, 3)),
            misset_deg=tuple(pick(-180.0, 180.0, 3)),
            misset_random=often(0.2),
            misset_seed=int(random.integers(1, 10**6)),
            n_cells=tuple(random.choice([1.0, 2.0, pick(1.0, 9.0)], 3)),
            shape=str(random.choice(["square", "square", "square", "round", "gauss", "gauss_hkl"])),
            mosaic_spread_deg=maybe(pick(0.0, 2.0)),
            mosaic_domains=maybe(int(random.integers(1, 4))),
            water_um=random.choice([0.0, 0.0, pick(0.0, 20.0)]),
        ),
        goniometer=nb.Goniometer(
            phi_deg=random.choice([0.0, -0.5, pick(-90.0, 90.0)]),
            osc_deg=maybe(random.choice([1.0, pick(0.0, 2.0)])),
            phi_steps=maybe(int(random.integers(1, 5))),
            spindle_axis=maybe(near(0, 1, 1), 0.3),
        ),
        detector=nb.Detector(
            convention=convention,
            pivot=maybe(str(random.choice(["beam", "sample"]))),
            pix0_m=maybe(near(0.1, 0.02, -0.02) if along_x else near(-0.02, 0.02, 0.1), 0.15),
            twotheta_axis=maybe(near(0, 1, 0), 0.2),
            distance_mm=pick(30.0, 100.0),
            pixel_size_mm=pick(0.5, 3.0),
            n_fast=n_fast,
            n_slow=n_slow,
            rotation_deg=tuple(pick(-20.0, 20.0, 3)) if often(0.5) else (0, 0, 0),
            twotheta_deg=random.choice([0.0, pick(-30.0, 30.0)]),
            curved=often(0.25),
            point_pixel=often(0.2),
            sensor_thickness_um=random.choice([0.0, pick(10.0, 500.0)]),
            sensor_attenuation_depth_um=maybe(pick(100.0, 900.0)),
            sensor_layers=maybe(int(random.integers(1, 4))),
            mask=maybe(nb.Mask(random.uniform(size=(n_slow, n_fast)) < 0.8), 0.2),
            **centres[str(random.choice(list(centres)))],
        ),
        sampling=nb.Sampling(
            oversample=int(random.integers(1, 4)),
            oversample_thick=often(0.15),
            oversample_polar=often(0.15),
            oversample_omega=often(0.15),
            interpolate=maybe(often(0.4)),
            dmin_angstrom=random.choice([0.0, pick(1.0, 6.0)]),
            roi=maybe((1, None, 0, int(n_slow - 1)), 0.2),
        ),
    )


def random_table(random: np.random.Generator) -> nb.StructureFactors:
    """Structure factors around the origin, some of them 0; sometimes the same everywhere."""
    if random.uniform() < 0.2:
        return nb.StructureFactors.constant(random.uniform(1.0, 100.0))
    shape = (random.integers(4, 30), random.integers(4, 30), random.integers(4, 30))
    grid = random.uniform(0.0, 300.0, shape) * (random.uniform(size=shape) < 0.7)
    corner = tuple(-int(count) // 2 for count in shape)
    return nb.StructureFactors.from_grid(grid, corner, default_f=random.choice([0.0, 7.0]))
