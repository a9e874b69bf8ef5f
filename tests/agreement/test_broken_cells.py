"""Parts of cells in a square crystal, whose light has no bound: every engine says so."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import nanobragg_hybrid as nb

FACTORS = nb.StructureFactors.constant(100.0)
BASE = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(40, 50, 60), n_cells=(3, 3, 3), misset_deg=(10, 20, 30)),
    detector=nb.Detector(distance_mm=60, pixel_size_mm=4.0, n_fast=5, n_slow=4),
    sampling=nb.Sampling(oversample=1),
)


@pytest.mark.parametrize("backend", ["c", "torch"])
@pytest.mark.parametrize(
    ("changes", "is_broken"),
    [
        ({}, False),
        ({"n_cells": (3, 3, 2.5)}, True),
        ({"n_cells": (1.5, 1, 1)}, True),
        ({"n_cells": (0.5, 3, 0.1)}, False),  # one cell
        ({"n_cells": (1e17, 3, 3)}, False),
        ({"n_cells": (3, 3, 2.5), "size_mm": (2e-5, 2e-5, 2e-5)}, False),  # made whole
        *(({"n_cells": (3, 3, 2.5), "shape": shape}, False) for shape in ("round", "gauss")),
        *(
            ({"n_cells": (3, 3, 2.5), "shape": f"{name}_hkl"}, False)
            for name in ("gauss", "tophat")
        ),
        ({"n_cells": (3, 3, 2.5), "shape": "tophat"}, False),
    ],
)
def test_which_crystals_have_poles(backend: str, changes: dict[str, Any], is_broken: bool) -> None:
    if backend == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    experiment = BASE.replace({f"crystal.{name}": value for name, value in changes.items()})
    plan = nb.prepare(experiment, FACTORS, backend=backend).plan
    assert ("broken_cells" in plan.warnings) == is_broken
    told = [text for text in plan.sentences() if text.startswith("crystal.n_cells")]
    assert len(told) == is_broken


def test_the_warning_has_the_value() -> None:
    fine = BASE.replace({"sampling.oversample": 40})
    with pytest.warns(nb.SetupWarning, match=r"^crystal\.n_cells 3 x 3 x 2\.5: .* whole numbers"):
        result = nb.simulate(fine.replace({"crystal.n_cells": (3, 3, 2.5)}), FACTORS)
    assert any("3 x 3 x 2.5" in text for text in result.warnings)
    with warnings.catch_warnings():
        warnings.simplefilter("error", nb.SetupWarning)
        nb.simulate(fine, FACTORS)
