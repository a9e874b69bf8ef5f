"""Random combinations of all quirks on random experiments: nothing raises, every kernel agrees."""

from __future__ import annotations

import numpy as np
import pytest
from for_each import for_each
from random_experiments import random_experiment, random_quirks, random_table

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.engines.c.libnbh import available_kernels


def combination(seed: int) -> tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]:
    random = np.random.default_rng(2000 + seed)
    experiment, factors = random_experiment(random), random_table(random)
    quirks = random_quirks(random)
    return experiment, factors, quirks


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("seed", range(60))
def test_kernels_agree(seed: int) -> None:
    """And the fast ones cover every combination."""
    experiment, factors, quirks = combination(seed)
    results = {
        kernel: nb.simulate(
            experiment, factors, quirks=quirks, threads=1, backend=nb.CEngine(kernel=kernel)
        )
        for kernel in ("auto", *available_kernels())
    }
    for kernel, result in results.items():
        assert np.all(np.isfinite(result.image))
        assert result.image.tobytes() == results["exact"].image.tobytes()
        used = available_kernels()[-1] if kernel == "auto" else kernel
        assert result.provenance["kernel"] == used
        assert (result.provenance["kernel_reason"] == "") == (used != "exact")


ARGS = "-cell 70 80 90 90 90 90 -default_F 1 -detpixels 4 -pixel 1 -oversample 1"


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("name", [quirk.name for quirk in nb.LEDGER])
def test_every_quirk_alone(name: str) -> None:
    """Off alone and on alone, from Python and for a command line: everything that a simulation
    reports is there."""
    experiment, factors, _ = combination(4)
    for text in (f"nanobragg,-{name}", f"none,+{name}"):
        result = nb.simulate(experiment, factors, quirks=nb.Quirks.parse(text), threads=1)
        assert np.all(np.isfinite(result.image))
        assert str(result.quirks) == result.provenance["quirks"]
        assert set(result.quirks_that_mattered) <= set(result.quirks.names_on)
        command = parse_command(ARGS, quirks=nb.Quirks.parse(text))
        constant = nb.StructureFactors.constant(command.default_f)
        plain = nb.simulate(command.experiment, constant, quirks=command.quirks, threads=1)
        assert plain.image.max() > 0.0
