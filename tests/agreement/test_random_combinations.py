"""Random positions of all quirks on random experiments: the torch engine against the C engine."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import with_torch  # noqa: F401 (skips this module where there is no torch)
from for_each import for_each
from random_experiments import REFUSING, random_experiment, random_quirks, random_table

import nanobragg_hybrid as nb
from agreement import compare, relative_l2

COUNT = 100

# Relative L2 before rounding.  Of 4000 such experiments the worst was 1.04e-13 (close to a
# reflection the rounding of h counts h/(h - h0) times), and every pixel was identical after it.
RANDOM = 1e-12


def combination(seed: int) -> tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]:
    """A square crystal has whole numbers of cells: others have poles, where nothing is accurate."""
    random = np.random.default_rng(5000 + seed)
    experiment, factors = random_experiment(random), random_table(random)
    quirks = random_quirks(random)
    if experiment.crystal.shape == "square":
        whole = tuple(float(round(n)) for n in experiment.crystal.n_cells)
        experiment = experiment.replace({"crystal.n_cells": whole})
    return experiment, factors, quirks


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("seed", range(COUNT))
def test_the_engines_agree(seed: int) -> None:
    """Both kernels of the torch engine: the compiled one where it renders such a scene."""
    experiment, factors, quirks = combination(seed)
    need, *others = (
        nb.simulate(experiment, factors, quirks=quirks, backend=backend, unrounded=True, threads=1)
        for backend in ("c", "torch", nb.TorchEngine(kernel="eager"))
    )
    assert need.unrounded is not None
    assert np.all(np.isfinite(need.unrounded))
    for got in others:
        _assert_same(got, need)


def _assert_same(got: nb.SimulationResult, need: nb.SimulationResult) -> None:
    assert need.unrounded is not None
    assert got.unrounded is not None
    assert relative_l2(got.unrounded, need.unrounded) <= RANDOM
    figures = compare(got.unrounded, need.image)
    assert figures.identical >= 0.9999
    assert figures.max_ulp <= 1
    assert got.quirks_that_mattered == need.quirks_that_mattered
    assert got.warnings == need.warnings
    statistics, wanted = (dataclasses.asdict(result.statistics) for result in (got, need))
    assert statistics == pytest.approx(wanted, rel=1e-6)  # of float32 pixels, one ULP apart
    for name, value in got.info.items():
        assert np.allclose(value, need.info[name], rtol=1e-12, atol=1e-25), name


def test_the_combinations_have_every_row_in_both_positions() -> None:
    chosen = [combination(seed)[2] for seed in range(COUNT)]
    for quirk in nb.LEDGER:
        count = sum(getattr(quirks, quirk.name) for quirks in chosen)
        if quirk.name in REFUSING:
            assert count == COUNT
            continue
        assert COUNT // 4 < count < 3 * COUNT // 4
