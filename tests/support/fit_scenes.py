"""Small images to fit: seconds for a handful of Jacobians."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

TRUTH = nb.Experiment(
    beam=nb.Beam(fluence_photons_per_m2=3e27),
    crystal=nb.Crystal(
        cell_angstrom=(40, 45, 50),
        cell_deg=(80, 95, 100),
        misset_deg=(10, 20, 30),
        n_cells=(6, 6, 6),
        mosaic_spread_deg=0.4,
        mosaic_domains=3,
        shape="gauss",
    ),
    detector=nb.Detector(distance_mm=60, pixel_size_mm=0.8, n_fast=24, n_slow=22),
    sampling=nb.Sampling(oversample=1),
)
"""A triclinic still of gaussian spots, some pixels wide."""

NARROW = TRUTH.replace(
    {
        "beam.fluence_photons_per_m2": 1e26,
        "crystal.cell_angstrom": (95, 105, 115),
        "crystal.n_cells": (12, 12, 12),
        "crystal.mosaic_spread_deg": 0.1,
        "crystal.shape": "gauss_hkl",
        "detector.pixel_size_mm": 0.3,
        "detector.n_fast": 64,
        "detector.n_slow": 60,
    }
)
"""Many spots, which overlap with those of an orientation up to some 0.4 degrees away."""

FACTORS = nb.StructureFactors.from_grid(
    np.random.default_rng(3).rayleigh(100.0, (41, 41, 41)), (-20, -20, -20), default_f=0.0
)


def expected(experiment: nb.Experiment = TRUTH) -> NDArray[np.float64]:
    """Photons without noise, not rounded, shape (slow, fast)."""
    with torch.no_grad():
        image: NDArray[np.float64] = ForwardModel(experiment, FACTORS)().numpy()
    return image


def fitted(
    data: Any, parameters: Any, start: nb.Experiment = TRUTH, **options: Any
) -> nb.FitResult:
    """`fit` with the table of this module."""
    return nb.fit(start, FACTORS, data, parameters, **options)
