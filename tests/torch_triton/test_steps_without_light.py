"""A tolerance on a GPU: which steps are visited, and that values, gradients and tangents are those
of all steps to what was promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compiled_scenes import Part, parts_of, relative_error
from triton_scenes import BETWEEN_SPOTS, DEVICE, TritonPart
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.compiled import bridge as compiled
from nanobragg_hybrid.engines.torch.on_triton import step_lists
from nanobragg_hybrid.engines.torch.scenes.packing import Packed, tensors

TOLERANCE = 1e-4


def experiment(**changes: Any) -> nb.Experiment:
    """`BETWEEN_SPOTS` with changes."""
    return BETWEEN_SPOTS.replace(
        {name.replace("__", "."): value for name, value in changes.items()}
    )


def table() -> nb.StructureFactors:
    grid = np.random.default_rng(0).uniform(10.0, 100.0, (21, 21, 21))
    return nb.StructureFactors.from_grid(grid, (-10, -10, -10), default_f=7.0)


SMALL: dict[str, Any] = {"sampling__roi": (141, 148, 349, 356)}
"""Two tiles."""


def part_of(**changes: Any) -> Part:
    parts = parts_of(experiment(**changes), table(), nb.Quirks())
    return max(parts, key=lambda part: len(part.tile.slow))


def visited_by(own: TritonPart) -> tuple[torch.Tensor, float]:
    """Values, and the share of the steps."""
    visits = compiled.Visits()
    token = compiled.COUNTED.set(visits)
    try:
        values = own.values()
    finally:
        compiled.COUNTED.reset(token)
    return values, float(visits.visited) / visits.every


SHAPES: dict[str, dict[str, Any]] = {
    "gauss": {"crystal__n_cells": (8, 8, 8)},
    "gauss_hkl": {},
    "tophat": {"crystal__n_cells": (8, 8, 8), "crystal__shape_fudge": 0.3},
    "tophat_hkl": {"crystal__shape_fudge": 0.3},
    "round": {"beam__fluence_photons_per_m2": 1e21},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_no_pixel_loses_more_than_the_tolerance(shape: str) -> None:
    part = part_of(crystal__shape=shape, **SHAPES[shape])
    every = TritonPart(part).values()
    values, share = visited_by(TritonPart(part, tolerance_photons=TOLERANCE))
    assert float(every.max()) > TOLERANCE
    assert 0.0 < share < 0.8
    lost = every - values
    assert float(lost.abs().max()) <= TOLERANCE + 1e-12 * float(every.max())
    assert float(lost.min()) >= -1e-12 * float(every.max())
    if shape.startswith("tophat"):  # what is left out is 0
        assert relative_error(values, every) < 1e-14


def test_gradients_and_tangents_are_those_of_what_is_left() -> None:
    part = part_of(**SHAPES["gauss"], **SMALL)
    own, every = TritonPart(part, tolerance_photons=TOLERANCE), TritonPart(part)
    assert visited_by(own)[1] < 1.0
    gradient = own.gradients()
    for one, other in zip(tensors(gradient), tensors(every.gradients()), strict=True):
        if one is not None and other is not None:
            assert relative_error(one, other) < 1e-4
    along = Packed(*(None if x is None else 1e-3 * x.abs() for x in tensors(part.packed)))
    tangent = own.tangents(along)
    assert relative_error(tangent, every.tangents(along)) < 1e-4
    # Both are of the same steps: to rounding they are each other's transpose.
    pulled = sum(
        float((g * c).sum())
        for g, c in zip(tensors(gradient), tensors(along), strict=True)
        if g is not None and c is not None
    )
    assert pulled == pytest.approx(float((tangent * part.weight).sum()), rel=1e-10)


def test_a_smaller_tolerance_visits_more() -> None:
    part = part_of(crystal__shape="gauss_hkl", **SMALL)
    shares = [
        visited_by(TritonPart(part, tolerance_photons=tolerance))[1]
        for tolerance in (10.0, 1e-4, 1e-30)
    ]
    assert shares == sorted(shares)
    assert len(set(shares)) == 3


def test_what_is_no_number_is_visited() -> None:
    """A structure factor that is infinite or NaN is a bound of nothing."""
    for wrong in (float("inf"), float("nan")):
        part = part_of(**SHAPES["gauss"], **SMALL)
        assert part.packed.grid is not None
        part.packed.grid[0, 0, 0] = wrong
        assert visited_by(TritonPart(part, tolerance_photons=TOLERANCE))[1] == 1.0


def test_pixels_in_tiles_and_back() -> None:
    slow, fast = (x.reshape(-1) for x in np.mgrid[3:19, 5:13].astype(float))
    order = step_lists.tile_order(torch.from_numpy(slow), torch.from_numpy(fast))
    assert torch.equal(order.pixel[order.place], torch.arange(len(slow)))
    for first in range(0, len(slow), step_lists.TILE):
        own = order.pixel[first : first + step_lists.TILE].numpy()
        assert np.ptp(slow[own]) == 7
        assert np.ptp(fast[own]) <= 7


def model(**changes: Any) -> ForwardModel:
    return ForwardModel(
        experiment(**changes), table(), device=DEVICE, kernel="triton", tolerance_photons=TOLERANCE
    )


def test_the_model_says_why_every_step_is_visited() -> None:
    assert model().every_step_because == ""
    assert model(crystal__shape="square").every_step_because == step_lists.SQUARE
    running = model(sampling__oversample_polar=True).every_step_because
    assert running == "oversample options multiply the whole sum at every step"
    few = model(crystal__mosaic_domains=1, crystal__mosaic_spread_deg=0.0)
    assert few.every_step_because == "a sub-pixel has fewer than four steps"


def test_the_provenance_has_the_share() -> None:
    engine = nb.TorchEngine(device=str(DEVICE), kernel="triton", tolerance_photons=TOLERANCE)
    culling = nb.simulate(experiment(), table(), backend=engine).provenance["culling"]
    assert culling["reason"] == ""
    assert 0.0 < culling["share_visited"] < 0.8
