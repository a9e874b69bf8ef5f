"""Random experiments with random positions of all quirks: the torch engine against the C engine."""

from __future__ import annotations

import numpy as np
import pytest
from random_experiments import random_experiment, random_table
from with_torch import torch

import nanobragg_hybrid as nb
from agreement import compare

COUNT = 60


def _outcome(
    experiment: nb.Experiment, factors: nb.StructureFactors, quirks: nb.Quirks, backend: str
) -> nb.SimulationResult | str:
    """The result, or the text of the error."""
    try:
        return nb.simulate(experiment, factors, quirks=quirks, backend=backend)
    except nb.ConfigError as error:
        return str(error)


@pytest.mark.parametrize("seed", range(COUNT))
def test_both_engines_agree(seed: int) -> None:
    """The same image but for the last digit of float32, or the same error."""
    random = np.random.default_rng(seed)
    experiment, factors = random_experiment(random), random_table(random)
    quirks = nb.Quirks.from_bits(int(random.integers(0, 2 ** len(nb.LEDGER))))
    need, got = (_outcome(experiment, factors, quirks, backend) for backend in ("c", "torch"))
    if isinstance(need, str) or isinstance(got, str):
        assert got == need
        return
    figures = compare(got.image.astype(np.float64), need.image)
    assert figures.same_non_finite
    assert figures.max_ulp <= 1
    assert figures.relative_l2 <= 1e-7
    assert got.quirks_that_mattered == need.quirks_that_mattered


def test_most_experiments_have_an_image() -> None:
    """The test above compares pictures, not only errors; and torch is there."""
    assert torch.__version__
    images = 0
    for seed in range(COUNT):
        random = np.random.default_rng(seed)
        experiment, factors = random_experiment(random), random_table(random)
        quirks = nb.Quirks.from_bits(int(random.integers(0, 2 ** len(nb.LEDGER))))
        images += isinstance(_outcome(experiment, factors, quirks, "c"), nb.SimulationResult)
    assert images > COUNT / 2
