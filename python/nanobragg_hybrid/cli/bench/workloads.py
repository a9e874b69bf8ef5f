"""What `nanobragg-hybrid bench` renders: each workload stresses another part of the kernel."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from nanobragg_hybrid.model.beam import Beam
from nanobragg_hybrid.model.conventions import Shape
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.detector import Detector
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.goniometer import Goniometer
from nanobragg_hybrid.model.sampling import Sampling
from nanobragg_hybrid.model.structure_factors import StructureFactors

_CELL: Final = (70.0, 80.0, 90.0)
_ANGLES: Final = (75.0, 85.0, 95.0)
_CONSTANT: Final = StructureFactors.constant(100.0)
_HALF_TABLE: Final = 30


class Workload(NamedTuple):
    """An experiment with its structure factors; `long`: worth more than one thread."""

    name: str
    experiment: Experiment
    structure_factors: StructureFactors
    long: bool = False


def workloads(*, quick: bool) -> list[Workload]:
    """The workloads; `quick` makes the images a quarter as wide and high."""
    pixels = 128 if quick else 512
    rotation = scaled(pixels, phi_steps=10, domains=10)
    small = scaled(pixels, phi_steps=2, domains=2)
    table = _table()
    return [
        Workload(f"still {2 * pixels}", scaled(2 * pixels), _CONSTANT),
        Workload(f"10 phi x 10 domains {pixels}", rotation, _CONSTANT, long=True),
        Workload("the same with a table", rotation, table, long=True),
        *(
            Workload(f"{shape} {pixels}", small.replace({"crystal.shape": shape}), table)
            for shape in ("round", "gauss", "tophat")
        ),
        Workload(
            f"tricubic {pixels}",  # so far away that the table holds every index
            small.replace({"sampling.interpolate": True, "detector.distance_mm": 300.0}),
            table,
        ),
        Workload(
            f"water and sensor layers {pixels}",
            small.replace(
                {
                    "crystal.water_um": 10.0,
                    "detector.sensor_thickness_um": 450.0,
                    "detector.sensor_attenuation_depth_um": 230.0,
                    "detector.sensor_layers": 4,
                    "sampling.oversample_thick": True,
                }
            ),
            table,
        ),
        Workload(
            f"2 x 2 sub-pixels, 9 sources {pixels}",
            small.replace(
                {
                    "sampling.oversample": 2,
                    "beam.divergence_h_mrad": 1.0,
                    "beam.divergence_h_steps": 3,
                    "beam.divergence_v_mrad": 1.0,
                    "beam.divergence_v_steps": 3,
                    "beam.divergence_shape": "square",
                }
            ),
            table,
        ),
    ]


def series(*, quick: bool) -> dict[str, list[tuple[int, Workload]]]:
    """Series of workloads in which one number grows: name -> (that number, workload)."""
    pixels = 64 if quick else 256
    sizes = (1, 7, 64, 127, 256) if quick else (1, 7, 64, 127, 512, 1024, 2048)
    counts = (1, 3, 10) if quick else (1, 3, 10, 30)
    return {
        "pixels along an edge": [(n, Workload(f"{n}", scaled(n), _CONSTANT)) for n in sizes],
        "phi steps = domains": [
            (n, Workload(f"{n}", scaled(pixels, phi_steps=n, domains=n), _CONSTANT)) for n in counts
        ],
        "cells along an edge": [
            (n, Workload(f"{n}", scaled(pixels, 3, 3, cells=n), _CONSTANT))
            for n in (1, 5, 20, 100, 1000)
        ],
    }


def shots(*, quick: bool) -> list[Workload]:
    """Stills of many wavelengths and domains, most of whose steps have no light; the one that is
    `long` takes a minute if every step is visited.  `quick` makes them a quarter as wide and high.
    """
    pixels = 256 if quick else 1024
    shapes: tuple[Shape, ...] = ("gauss_hkl", "gauss", "tophat", "tophat_hkl", "round", "square")
    every = [
        Workload(f"{shape} {pixels}", shot(pixels, 20, 25, shape), _CONSTANT) for shape in shapes
    ]
    if not quick:
        every.append(Workload("whole shot 2400", shot(2400, 100, 50), _CONSTANT, long=True))
    return every


def shot(pixels: int, wavelengths: int, domains: int, shape: Shape = "gauss_hkl") -> Experiment:
    """A crystal of 20 x 20 x 40 cells at an X-ray laser, on pixels of 0.11 mm at 120 mm."""
    return Experiment(
        beam=Beam(
            wavelength_angstrom=1.3,
            dispersion_percent=0.4,
            dispersion_steps=wavelengths,
            fluence_photons_per_m2=1e24,
        ),
        crystal=Crystal(
            cell_angstrom=(79.0, 79.0, 38.0),
            misset_deg=(11.0, 22.0, 33.0),
            n_cells=(20, 20, 40),
            shape=shape,
            mosaic_spread_deg=0.1,
            mosaic_domains=domains,
        ),
        detector=Detector(n_fast=pixels, n_slow=pixels, pixel_size_mm=0.11, distance_mm=120.0),
        sampling=Sampling(oversample=1, interpolate=False),
    )


def scaled(pixels: int, phi_steps: int = 1, domains: int = 1, cells: int = 5) -> Experiment:
    """A triclinic crystal on a detector of 100 mm x 100 mm at 100 mm, `pixels` along each edge."""
    return Experiment(
        beam=Beam(wavelength_angstrom=1.0),
        crystal=Crystal(
            cell_angstrom=_CELL,
            cell_deg=_ANGLES,
            n_cells=(cells, cells, cells),
            mosaic_spread_deg=0.5 if domains > 1 else 0.0,
            mosaic_domains=domains,
            mosaic_seed=1,
        ),
        goniometer=Goniometer(phi_deg=0.5, osc_deg=1.0, phi_steps=phi_steps),
        detector=Detector(
            n_fast=pixels, n_slow=pixels, pixel_size_mm=100.0 / pixels, distance_mm=100.0
        ),
        sampling=Sampling(oversample=1, interpolate=False),
    )


def _table() -> StructureFactors:
    count = 2 * _HALF_TABLE + 1
    h, k, l = np.indices((count, count, count))
    return StructureFactors.from_grid(
        10.0 + (7 * h + 5 * k + 3 * l) % 13, (-_HALF_TABLE,) * 3, default_f=1.0
    )
