"""The Jacobian of a packed scene against its gradient."""

from __future__ import annotations

import numpy as np
import pytest
from for_each import for_each
from packed_scenes import ALL, gradient_of, prepared, shaken, weighted, with_tensors
from with_torch import torch

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS, Packed
from nanobragg_hybrid.engines.torch.set_up.quantities import DEFAULT_F, GRID
from nanobragg_hybrid.engines.torch.values.packed_values import packed_and_tangents, packed_of


@for_each("scene", ALL)
def test_tangents_are_the_gradient(scene: str) -> None:
    """The Jacobian, contracted with weights, and its factors: cells are rotations of one cell."""
    setup, tables, values = prepared(scene)
    values = shaken(values)
    names = [name for name in values if name != GRID]
    packed, _, gradient = gradient_of(packed_of, scene, values)
    sizes, _ = with_tensors(setup, tables, values)
    scene, _, found = packed_and_tangents(setup, tables, values, names)
    assert torch.equal(scene.numbers, packed.numbers.detach())
    assert torch.equal(scene.cells, packed.cells.detach())
    count = sum(values[name].numel() for name in names)
    assert found.numbers.shape == (count, len(NUMBERS))
    assert found.sources.shape == (count, *packed.sources.shape)
    cell = found.reference_cell.reshape(3, 3)
    torch.testing.assert_close(
        torch.from_numpy(np.einsum("oij,vj->ovi", found.rotations, cell).reshape(-1, 9)),
        packed.cells.detach(),
        rtol=0.0,
        atol=1e-23,
    )
    moved = _cells(found.rotations, found.reference_cell_tangents)
    start = None
    if packed.run_start is not None:
        assert found.run_start_rotations is not None
        start = _cells(found.run_start_rotations, found.reference_cell_tangents)
    for one in found.turning:
        moved[one.number] += one.cells
        if start is not None:
            start[one.number] += one.run_start
    turning = {
        "goniometer.spindle_axis",
        "goniometer.phi_deg",
        "goniometer.osc_deg",
        "crystal.mosaic_spread_deg",
        "crystal.mosaic_rotations.scale",
    }
    whose = [name for name in names for _ in range(values[name].numel())]
    assert {whose[one.number] for one in found.turning} <= turning
    columns = [found.numbers, found.sources, moved, *([] if start is None else [start])]
    flat = [
        weighted(
            Packed(
                *(torch.from_numpy(column[p]) for column in columns[:3]),
                None if start is None else torch.from_numpy(start[p]),
                None,
            ),
            sizes,
        )
        for p in range(count)
    ]
    at = 0
    for name in names:
        need = gradient[name].reshape(-1)
        own = torch.stack(flat[at : at + len(need)])
        at += len(need)
        scale = need.abs().max().item()
        torch.testing.assert_close(own, need, rtol=0.0, atol=1e-11 * scale)


def _cells(rotations: np.ndarray, tangents: np.ndarray) -> np.ndarray:
    moved = np.einsum("oij,pvj->povi", rotations, tangents.reshape(-1, 3, 3))
    cells: np.ndarray = moved.reshape(len(tangents), -1, 9)
    return cells


def test_some_names_in_another_order() -> None:
    setup, tables, values = prepared("rotation")
    all_of_them = packed_and_tangents(
        setup, tables, values, ["beam.direction", "goniometer.phi_deg"]
    )[2]
    turned = packed_and_tangents(setup, tables, values, ["goniometer.phi_deg", "beam.direction"])[2]
    np.testing.assert_array_equal(all_of_them.numbers[[3, 0, 1, 2]], turned.numbers)
    assert [one.number for one in all_of_them.turning] == [3]
    assert [one.number for one in turned.turning] == [0]


@for_each(
    "names, rule",
    [
        ((GRID,), "a Jacobian by all structure factors is not formed"),
        (("beam.flux",), "names of values that are given"),
        ((DEFAULT_F, DEFAULT_F), "each name once"),
    ],
)
def test_names_that_are_refused(names: tuple[str, ...], rule: str) -> None:
    setup, tables, values = prepared("rotation")
    with pytest.raises(ConfigError, match=rule):
        packed_and_tangents(setup, tables, values, names)[2]
    assert packed_and_tangents(setup, tables, values, (DEFAULT_F,))[2].numbers.shape == (
        1,
        len(NUMBERS),
    )
