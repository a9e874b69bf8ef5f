"""Random combinations of all quirks on random experiments: nothing raises, every kernel agrees."""

from __future__ import annotations

import numpy as np
import pytest
from random_experiments import random_experiment, random_table

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.libnbh import available_kernels


def combination(seed: int) -> tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]:
    random = np.random.default_rng(2000 + seed)
    experiment, factors = random_experiment(random), random_table(random)
    quirks = nb.Quirks.from_bits(int(random.integers(0, 2 ** len(nb.LEDGER))))
    return experiment, factors, quirks


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@pytest.mark.parametrize("seed", range(60))
def test_kernels_agree(seed: int) -> None:
    experiment, factors, quirks = combination(seed)
    images = {
        kernel: nb.simulate(
            experiment, factors, quirks=quirks, threads=1, backend=nb.CEngine(kernel=kernel)
        ).image
        for kernel in available_kernels()
    }
    for image in images.values():
        assert np.all(np.isfinite(image))
        assert image.tobytes() == images["exact"].tobytes()


def test_combinations_are_covered_by_the_fast_kernels() -> None:
    for seed in range(60):
        experiment, factors, quirks = combination(seed)
        result = nb.simulate(experiment, factors, quirks=quirks, threads=1)
        assert result.provenance["kernel"] == available_kernels()[-1]
        assert result.provenance["kernel_reason"] == ""


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@pytest.mark.parametrize("name", [quirk.name for quirk in nb.LEDGER])
def test_every_quirk_alone(name: str) -> None:
    """Off alone and on alone: everything that a simulation reports is there."""
    experiment, factors, _ = combination(4)
    for text in (f"nanobragg,-{name}", f"none,+{name}"):
        result = nb.simulate(experiment, factors, quirks=nb.Quirks.parse(text), threads=1)
        assert np.all(np.isfinite(result.image))
        assert str(result.quirks) == result.provenance["quirks"]
        assert set(result.quirks_that_mattered) <= set(result.quirks.names_on)
