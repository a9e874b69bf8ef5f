"""Where bounds leave out no step of an image, the provenance says why: as the C engine does."""

from __future__ import annotations

from typing import Any

import pytest
from for_each import for_each
from triton_scenes import BETWEEN_SPOTS, DEVICE
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch.on_triton.step_lists import no_bounds_because
from nanobragg_hybrid.model.conventions import CULLING_REASONS

# The interpreter computes with NumPy, which warns of infinity where a GPU has it.
pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning"),
]


def culling(changes: dict[str, Any], f: float, backend: nb.CEngine | nb.TorchEngine) -> Any:
    table = nb.StructureFactors.constant(f)
    return nb.simulate(BETWEEN_SPOTS.replace(changes), table, backend=backend).provenance["culling"]


@for_each(
    "changes, f, reason",
    [
        ({}, 50.0, 0),
        ({"crystal.shape_fudge": 0.0}, 50.0, 4),
        ({"crystal.n_cells": (3.0, 3.0, 3.0)}, 50.0, 5),
        ({}, 1e160, 7),
        ({}, 0.0, 9),
        ({"beam.fluence_photons_per_m2": 0.0}, 50.0, 9),
    ],
)
def test_the_reason_is_that_of_the_c_engine(changes: dict[str, Any], f: float, reason: int) -> None:
    own = nb.TorchEngine(device=str(DEVICE), kernel="triton", tolerance_photons=1e-4)
    for backend in (own, nb.CEngine(tolerance_photons=1e-4)):
        found = culling(changes, f, backend)
        assert found["reason"] == CULLING_REASONS[reason]
        assert (found["share_visited"] == 1.0) == (reason != 0)


LIMITS, LATTICE = (50.0, 1e-5), (20.0, 22.0, 18.0, 1.0)
INF, NAN = float("inf"), float("nan")


@for_each(
    "limits, lattice, strength, source, reason",
    [
        (LIMITS, LATTICE, 1e-3, 1.0, 0),
        (LIMITS, LATTICE, -1e-3, 1.0, 0),
        ((INF, 1e-5), LATTICE, 1e-3, 1.0, 7),
        ((NAN, 1e-5), LATTICE, 1e-3, 1.0, 7),
        (LIMITS, LATTICE, INF, 1.0, 7),
        (LIMITS, LATTICE, 1e-3, NAN, 7),
        (LIMITS, LATTICE, 1e-3, INF, 7),
        ((50.0, NAN), LATTICE, 1e-3, 1.0, 7),
        ((50.0, INF), LATTICE, 1e-3, 1.0, 9),
        (LIMITS, LATTICE, 0.0, 1.0, 9),
        ((0.0, 1e-5), LATTICE, 1e-3, 1.0, 9),
        (LIMITS, (20.0, 22.0, 18.0, 0.0), 1e-3, 1.0, 4),
    ],
)
def test_values_of_which_nothing_is_bounded(
    limits: tuple[float, ...],
    lattice: tuple[float, ...],
    strength: float,
    source: float,
    reason: int,
) -> None:
    """A share of infinity: every weight of a domain is 0."""
    given = (torch.tensor(x, dtype=torch.float64) for x in (limits, lattice, [strength]))
    sources = torch.ones((5, 2), dtype=torch.float64)
    sources[1, 1] = source
    assert no_bounds_because(*given, sources) == CULLING_REASONS[reason]


def test_the_model_says_it_too() -> None:
    for f, reason in ((50.0, 0), (1e160, 7)):
        model = nb.ForwardModel(
            BETWEEN_SPOTS,
            nb.StructureFactors.constant(f),
            device=DEVICE,
            kernel="triton",
            tolerance_photons=1e-4,
        )
        assert model.every_step_because == CULLING_REASONS[reason]
