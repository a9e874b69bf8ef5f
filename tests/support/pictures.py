"""Small pictures for the tests of quirks: rendering, and saying that two are the same."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.plan import Plan

CONSTANT = nb.StructureFactors.constant(100.0)
STILL = nb.Experiment(
    crystal=nb.Crystal(
        cell_angstrom=(40, 50, 60), misset_deg=(10, 20, 30), n_cells=(4, 5, 6), misset_seed=1
    ),
    detector=nb.Detector(n_fast=24, n_slow=20, pixel_size_mm=1.0, distance_mm=60),
    sampling=nb.Sampling(oversample=1),
)
"""A small still of a small crystal: MOSFLM's detector, one source, one layer."""


def off(*names: str) -> nb.Quirks:
    """Everything on but these."""
    return dataclasses.replace(nb.Quirks(), **dict.fromkeys(names, False))


def picture(
    experiment: nb.Experiment,
    quirks: nb.Quirks | None = None,
    factors: nb.StructureFactors = CONSTANT,
    backend: str = "c",
) -> NDArray[np.float64]:
    """Pixel values before rounding to float32, shape (slow, fast)."""
    result = nb.simulate(
        experiment, factors, backend=backend, quirks=quirks, threads=1, unrounded=True
    )
    assert result.unrounded is not None
    return result.unrounded


def info(experiment: nb.Experiment, quirks: nb.Quirks | None = None) -> dict[str, object]:
    """What the plan chose and derived."""
    return Plan(experiment, CONSTANT, quirks or nb.Quirks()).info()


def relative_l2(got: NDArray[np.float64], need: NDArray[np.float64]) -> float:
    """Root of the summed squares of the difference, over that of `need`."""
    return float(np.linalg.norm(got - need) / np.linalg.norm(need))


def assert_same(
    got: NDArray[np.float64], need: NDArray[np.float64], tolerance: float = 1e-10
) -> None:
    """Equal up to rounding: relative L2 and the largest difference, over the largest pixel."""
    assert got.shape == need.shape
    assert np.linalg.norm(need) > 0.0
    assert relative_l2(got, need) < tolerance
    assert np.abs(got - need).max() < tolerance * np.abs(need).max()


def assert_differs(got: NDArray[np.float64], need: NDArray[np.float64], least: float) -> None:
    """Different by at least `least`, as relative L2."""
    assert relative_l2(got, need) > least
