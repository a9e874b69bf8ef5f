"""Constants are those of the recorded reference."""

from __future__ import annotations

import json
from pathlib import Path

from nanobragg_hybrid import Beam, Crystal
from nanobragg_hybrid.base import constants

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def test_physical_constants_are_the_traced_ones() -> None:
    traces = json.loads((GOLDEN / "traces.json").read_text(encoding="utf-8"))
    pixel = traces["triclinic"]["pixels"][0]
    assert pixel["r_e_sqr"] == constants.R_E_SQR_M2
    assert pixel["fluence_photons_per_m2"] == float(
        f"{constants.DEFAULT_FLUENCE_PHOTONS_PER_M2:.15g}"
    )


def test_defaults_of_the_config_are_the_constants() -> None:
    assert Beam().fluence_photons_per_m2 == constants.DEFAULT_FLUENCE_PHOTONS_PER_M2
    assert Crystal().mosaic_seed == constants.DEFAULT_MOSAIC_SEED


def test_reference_is_the_one_that_was_recorded() -> None:
    readme = (GOLDEN / "README.md").read_text(encoding="utf-8")
    assert constants.REFERENCE_REVISION in readme
