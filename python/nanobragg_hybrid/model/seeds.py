"""Seeds that come from the clock (model 2)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.quirks import Quirks


def clock_seed(now_s: float) -> int:
    """The seed that nanoBragg takes at this time (seconds since 1970), wrapped to 32 bits."""
    return (int(now_s) + 2**31) % 2**32 - 2**31


def with_clock_seeds(experiment: Experiment, now_s: float, quirks: Quirks) -> Experiment:
    """The experiment with its missing seeds (`misset_seed`, `noise_seed`) set from the time.

    With the quirk misset_seed_default off, `misset_seed` is what `noise_seed` is.
    """
    seed = clock_seed(now_s)
    crystal, output = experiment.crystal, experiment.output
    if output.noise_seed is None:
        output = dataclasses.replace(output, noise_seed=seed)
    if crystal.misset_seed is None:
        misset_seed = seed if quirks.misset_seed_default else output.noise_seed
        crystal = dataclasses.replace(crystal, misset_seed=misset_seed)
    return dataclasses.replace(experiment, crystal=crystal, output=output)
