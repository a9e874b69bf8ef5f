"""The binding's lattice sums: the same bits on any number of threads; wrong arrays are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid import _core

RNG = np.random.default_rng(0)
ROWS = 5000
CELLS = np.ascontiguousarray(
    (np.eye(3) * 80e-10 + RNG.normal(size=(7, 3, 3)) * 1e-10).reshape(7, 9)
)
Q = RNG.uniform(-1e9, 1e9, (3, ROWS))
WEIGHT = RNG.uniform(0.5, 1.5, ROWS)
GRID = RNG.uniform(10, 100, (23, 22, 21))


def lattice(cells: Any = CELLS, single_precision: bool = False) -> _core.Lattice:
    """A parallelepiped of 5 x 4 x 3 cells with a table."""
    return _core.Lattice(
        0,
        0,
        False,
        [5, 4, 3],
        1.0,
        [0] * 9,
        cells,
        GRID,
        [-11, -11, -10],
        7.0,
        single_precision=single_precision,
    )


@for_each("threads, single", [(2, False), (3, True), (7, False), (64, True)])
def test_any_number_of_threads(threads: int, single: bool) -> None:
    crystal = lattice(single_precision=single)
    assert bytes(crystal.sums(Q, threads)) == bytes(crystal.sums(Q, 1))
    one, many = (crystal.gradients(Q, WEIGHT, True, n) for n in (1, threads))
    for a, b in zip(one, many, strict=True):
        assert np.array_equal(np.asarray(a), np.asarray(b))
    along = (Q, CELLS, [0, 0, 0], 0.0, [0] * 9, GRID, 1.0)
    one_thread, more = (crystal.tangents(Q, *along, n) for n in (1, threads))
    for a, b in zip(one_thread, more, strict=True):
        assert bytes(a) == bytes(b)


def test_derivatives_in_groups_add_up() -> None:
    """By Euler: along F itself the derivative of a sum of F^2 is twice the sum."""
    crystal = lattice()
    sums, *_, by_grid, by_default = crystal.gradients(Q, WEIGHT, True, 2)
    assert by_grid is not None
    total = float((np.asarray(by_grid) * GRID).sum()) + 7.0 * by_default
    assert total == pytest.approx(2.0 * float(WEIGHT @ np.asarray(sums)), rel=1e-12)


@for_each(
    "use",
    [
        lambda: lattice(np.zeros((7, 8))),
        lambda: lattice().sums(np.zeros((2, 5)), 1),
        lambda: lattice().sums(Q, 0),
        lambda: lattice().gradients(Q, WEIGHT[:-1].copy(), True, 1),
    ],
)
def test_wrong_arrays(use: Any) -> None:
    with pytest.raises(_core.Error):
        use()
