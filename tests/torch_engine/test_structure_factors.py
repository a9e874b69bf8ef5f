"""Structure factors by index: nearest, tricubic, outside the table, and their derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from with_torch import torch

from nanobragg_hybrid.engines.torch.scenes.structure_factors import (
    Table,
    leaves_table,
    nearest,
    tricubic,
)

FIRST = (-3, 2, 0)
SHAPE = (7, 6, 5)


def _double(values: object) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


def _grid() -> torch.Tensor:
    return _double(np.random.default_rng(1).normal(size=SHAPE))


def _columns(*points: tuple[float, float, float]) -> tuple[torch.Tensor, ...]:
    return tuple(_double(points).unbind(-1))


def test_every_element_and_what_lies_outside() -> None:
    grid = _grid()
    table = Table(grid, FIRST, 9.0)
    assert table.hkl_max == (3, 7, 4)
    indices = np.argwhere(np.ones(SHAPE)) + FIRST
    got = nearest(table, *_double(indices.astype(float)).unbind(-1))
    assert torch.equal(got, grid.reshape(-1))
    outside = _columns(
        (-4.0, 2.0, 0.0), (4.0, 2.0, 0.0), (0.0, 1.0, 0.0), (0.0, 8.0, 0.0), (0.0, 2.0, -1.0),
        (0.0, 2.0, 5.0), (1e300, 2.0, 0.0), (float("nan"), 2.0, 0.0), (0.0, float("nan"), 4.0),
        (0.0, 2.0, -float("inf")),
    )  # fmt: skip
    assert nearest(table, *outside).tolist() == [9.0] * 10


def test_derivatives_count_how_often_an_element_was_used() -> None:
    grid = _grid().requires_grad_()
    default_f = _double(9.0).requires_grad_()
    table = Table(grid, FIRST, default_f)
    used = _columns((0.0, 3.0, 1.0), (0.0, 3.0, 1.0), (1.0, 2.0, 0.0), (50.0, 3.0, 1.0))
    nearest(table, *used).sum().backward()
    assert grid.grad is not None
    assert default_f.grad is not None
    assert grid.grad[3, 1, 1] == 2.0
    assert grid.grad[4, 0, 0] == 1.0
    assert grid.grad.sum() == 3.0
    assert default_f.grad == 1.0


def test_tricubic_is_exact_for_cubics() -> None:
    """Third powers along each axis are reproduced, with their derivatives."""
    h, k, l = np.meshgrid(*(np.arange(n) + first for n, first in zip(SHAPE, FIRST, strict=True)),
                          indexing="ij")  # fmt: skip
    grid = _double((h**3 - h) * (k**2 + 1.0) * (l**3 - 2.0 * l**2))
    table = Table(grid, FIRST, 0.0)
    x, y, z = (
        a.requires_grad_() for a in _columns((0.3, 4.6, 1.7), (-1.0, 4.0, 2.0), (0.9, 5.2, 2.9))
    )
    value = tricubic(table, x, y, z)
    wanted = (x**3 - x) * (y**2 + 1.0) * (z**3 - 2.0 * z**2)
    assert torch.allclose(value, wanted, rtol=1e-12, atol=1e-10)
    got = torch.autograd.grad(value.sum(), (x, y, z), retain_graph=True)
    need = torch.autograd.grad(wanted.sum(), (x, y, z))
    for one, other in zip(got, need, strict=True):
        assert torch.allclose(one, other, rtol=1e-11, atol=1e-9)


@pytest.mark.parametrize(
    ("point", "leaves"),
    [
        ((0.0, 4.5, 2.0), False),
        ((-1.0, 4.5, 2.0), False),
        ((-1.01, 4.5, 2.0), True),
        ((1.0, 4.5, 2.0), False),
        ((1.01, 4.5, 2.0), True),
        ((0.0, 3.99, 2.0), True),
        ((0.0, 5.01, 2.0), True),
        ((0.0, 4.5, 1.99), True),
        ((0.0, 4.5, 2.01), True),
    ],
)
def test_where_interpolation_ends(point: tuple[float, float, float], leaves: bool) -> None:
    table = Table(_grid(), FIRST, 0.0)
    assert bool(leaves_table(table, *_columns(point))[0]) is leaves


def test_interpolation_far_outside_is_finite() -> None:
    table = Table(_grid(), FIRST, 0.0)
    assert torch.isfinite(tricubic(table, *_columns((90.0, -70.0, 1e6)))).all()
