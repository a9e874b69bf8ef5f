"""Tables of choices have every choice; the others are matches, which mypy checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import pytest
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.arithmetic import devices, shapes
from nanobragg_hybrid.engines.torch.set_up import placement
from nanobragg_hybrid.model.conventions import Convention, Shape


@pytest.mark.parametrize(
    ("table", "choices"),
    [
        (placement.FRAMES, get_args(Convention)),
        (devices.DTYPES, get_args(devices.Precision)),
    ],
)
def test_tables_have_every_choice(table: Mapping[str, object], choices: tuple[str, ...]) -> None:
    assert set(table) == set(choices)


def test_spots_are_every_shape_but_square() -> None:
    assert {*get_args(shapes.SpotShape), "square"} == set(get_args(Shape))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_number_types_have_names(dtype: torch.dtype) -> None:
    assert devices.DTYPES[devices.precision_of(dtype)] is dtype


def test_other_number_types_have_none() -> None:
    with pytest.raises(TypeError, match=r"torch\.float16 is not one of float64, float32"):
        devices.precision_of(torch.float16)


def test_an_optimizer_does_not_take_descriptions() -> None:
    """`parameters()` is not that of a torch.nn.Module; what it says is no tensor."""
    model = ForwardModel(
        nb.Experiment(crystal=nb.Crystal(cell_angstrom=(50, 60, 70))),
        nb.StructureFactors.constant(100.0),
    )
    with pytest.raises(TypeError, match="Tensors, but one of the params is"):
        torch.optim.SGD(model.parameters(), lr=0.1)
    values = [model.initial(each.name).requires_grad_() for each in model.parameters()]
    assert len(torch.optim.SGD(values, lr=0.1).param_groups[0]["params"]) == len(values)
