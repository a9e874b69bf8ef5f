"""Slopes of the interference function: the compiled sums and the formulas of the torch engine."""

from __future__ import annotations

import numpy as np
from for_each import for_each
from with_torch import torch

from nanobragg_hybrid import _core
from nanobragg_hybrid.engines.torch.arithmetic.interference import sincg_squared

SQUARE = 0
UNIT_CELL = np.eye(3).reshape(1, 9)
NOTHING = np.zeros((1, 9))


def _indices() -> np.ndarray:
    """Anywhere, and next to reflections on both sides; at 0."""
    random = np.random.default_rng(4)
    sign = random.choice([-1.0, 1.0], 60)
    near = random.integers(-20, 21, 60) + sign * np.logspace(-12, -0.5, 60)
    return np.concatenate([random.uniform(-50.0, 50.0, 60), near, [0.0]])


def _compiled(h: np.ndarray, n: float) -> tuple[np.ndarray, np.ndarray]:
    """By h and by N: of a lattice of N cells in a row whose indices are the scattering vectors."""
    lattice = _core.Lattice(
        0, SQUARE, False, [n, 1.0, 1.0], 1.0, [0.0] * 9, UNIT_CELL, None, [0] * 3, 1.0
    )
    q, still = np.stack([h, 0.0 * h, 0.0 * h]), np.zeros((3, len(h)))
    ahead = np.stack([np.ones(len(h)), 0.0 * h, 0.0 * h])
    _, by_h = lattice.tangents(q, ahead, NOTHING, [0.0] * 3, 0.0, [0.0] * 9, None, 0.0, 1)
    _, by_n = lattice.tangents(q, still, NOTHING, [1.0, 0, 0], 0.0, [0.0] * 9, None, 0.0, 1)
    return np.asarray(by_h), np.asarray(by_n)


def _eager(h: np.ndarray, n: float, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    at = torch.from_numpy(h).requires_grad_()
    count = torch.tensor(n, dtype=torch.float64, requires_grad=True)
    value = sincg_squared(at, torch.round(at.detach()), count, dtype)
    (by_h,) = torch.autograd.grad(value.sum(), at, retain_graph=True)
    weights = torch.eye(len(h), dtype=dtype)
    by_n = [torch.autograd.grad(value, count, one, retain_graph=True)[0] for one in weights]
    return by_h.numpy(), np.array(by_n)


@for_each("n", [1.0, 2.0, 5.0, 36.0, 441.0, 1000.0, 1.53, 7.3, 123.456, 999.9])
def test_slopes_agree(n: float) -> None:
    h = _indices()
    for dtype, tolerance in ((torch.float64, 1e-11), (torch.float32, 1e-4)):
        for ours, theirs in zip(_eager(h, n, dtype), _compiled(h, n), strict=True):
            # With N = 1 the slope is 0, which roundings may miss.
            assert np.linalg.norm(ours - theirs) <= tolerance * np.linalg.norm(theirs) + 1e-20
            # And in every single place, beside the terms that cancel there.
            away = np.abs(np.sin(np.pi * h))
            if n == round(n):
                away = np.maximum(away, 1.0 / n)
            away[h == 0.0] = 1.0 / n
            terms = 20.0 * (1.0 / away + np.abs(h)) / away**2
            assert (np.abs(ours - theirs) <= tolerance * (np.abs(theirs) + terms)).all()
