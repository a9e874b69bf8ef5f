"""With every kernel quirk off, pixels are worth what plain sums in numpy say they are."""

from __future__ import annotations

import numpy as np
import pytest
from corrected import Corrected
from for_each import for_each
from pictures import assert_same, picture
from random_experiments import CORRECTED, random_experiment, random_table

from nanobragg_hybrid.engines.c.plan import Plan


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("seed", range(40))
def test_random_experiments(seed: int) -> None:
    random = np.random.default_rng(seed)
    experiment, factors = random_experiment(random), random_table(random)
    plan = Plan(experiment, factors, CORRECTED)
    need = Corrected(plan, factors).image()
    got = picture(experiment, CORRECTED, factors)
    if np.any(need):
        assert_same(got, need, 1e-8)
    else:
        assert not np.any(got)
