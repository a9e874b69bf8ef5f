"""Seeds from the clock."""

from __future__ import annotations

import pytest

from nanobragg_hybrid import Crystal, Experiment, Output, Quirks
from nanobragg_hybrid.model.seeds import clock_seed, with_clock_seeds


@pytest.mark.parametrize(
    ("now", "seed"),
    [
        (1784822400.75, 1784822400),
        (2.0**31 - 1, 2**31 - 1),
        (2.0**31, -(2**31)),
        (2.0**32 + 7, 7),
    ],
)
def test_seed_is_the_time_in_32_bits(now: float, seed: int) -> None:
    assert clock_seed(now) == seed


def test_missing_seeds_are_filled() -> None:
    seeded = with_clock_seeds(Experiment(), 99.5, Quirks())
    assert (seeded.crystal.misset_seed, seeded.output.noise_seed) == (99, 99)
    assert seeded.replace({"crystal.misset_seed": None, "output.noise_seed": None}) == Experiment()


def test_given_seeds_stay() -> None:
    given = Experiment(crystal=Crystal(misset_seed=1), output=Output(noise_seed=-2))
    for quirks in (Quirks(), Quirks.none()):
        assert with_clock_seeds(given, 99.5, quirks) == given


def test_seed_of_the_missetting_is_that_of_the_noise() -> None:
    """With misset_seed_default off."""
    given = Experiment(output=Output(noise_seed=-2))
    assert with_clock_seeds(given, 99.5, Quirks.none()).crystal.misset_seed == -2
    assert with_clock_seeds(given, 99.5, Quirks()).crystal.misset_seed == 99
    assert with_clock_seeds(Experiment(), 99.5, Quirks.none()).crystal.misset_seed == 99
