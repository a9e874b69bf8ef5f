"""The formulas with derivatives of their own: their second derivatives, also at singular points."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from exact_interference import interference
from for_each import for_each
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines import torch as torch_engine
from nanobragg_hybrid.engines.torch.arithmetic import derivatives
from nanobragg_hybrid.engines.torch.arithmetic import interference as own_interference
from nanobragg_hybrid.engines.torch.arithmetic.bessel import bessel_ratio, cosine_of_root
from nanobragg_hybrid.engines.torch.arithmetic.interference import sincg_squared
from nanobragg_hybrid.engines.torch.arithmetic.scalars import applied, sqrt
from nanobragg_hybrid.engines.torch.arithmetic.shapes import sinc3
from nanobragg_hybrid.engines.torch.arithmetic.vectors import unit
from nanobragg_hybrid.engines.torch.scenes.tiles import grown

GRADGRADCHECKED = {
    "Positions", "LengthAndDirection", "ScatteringVectors", "FractionalIndices", "SquaredProduct",
    "_SquareRoot", "_SincgSquared", "_Slopes", "_Sinc3", "_BesselRatio", "_CosineOfRoot",
}  # fmt: skip
WITHOUT_DERIVATIVES = {"_Third"}
"""Zeros, and an error in place of their derivatives."""
WITH_FORMULAS = ("bessel", "derivatives", "interference", "scalars", "shapes")
"""Modules; other functions of the engine hand things on."""


def _random(*shape: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed + 97 * math.prod(shape))
    return torch.rand(shape, dtype=torch.float64, generator=generator).sub_(0.4).requires_grad_()


def _double(values: object) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64).requires_grad_()


def test_every_formula_is_looked_at() -> None:
    names = set()
    for module in WITH_FORMULAS:
        path = Path(torch_engine.__file__).parent / "arithmetic" / f"{module}.py"
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base) for base in node.bases}
                names |= {node.name} if "torch.autograd.Function" in bases else set()
    assert names == GRADGRADCHECKED | WITHOUT_DERIVATIVES


def _positions(*arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
    found: tuple[torch.Tensor, ...] = applied(derivatives.Positions, *arguments)
    return found


def _applied(function: type[torch.autograd.Function]) -> Callable[..., object]:
    return lambda *arguments: applied(function, *arguments)


def _cells(h: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    return sincg_squared(h, (h.detach() - 0.5).ceil(), n, torch.float64)


NUMBERS = tuple(_random(seed=n) for n in range(15))
SAMPLES = (
    _random(3, 2, seed=1).detach(),
    _random(3, 2, seed=2).detach(),
    torch.arange(2.0).double(),
)
Q = tuple(_random(2, 2, 2, seed=n) for n in range(3))
FORMULAS: dict[str, tuple[Callable[..., object], tuple[torch.Tensor, ...]]] = {
    "positions": (_applied(derivatives.Positions), (*SAMPLES, *NUMBERS)),
    "length and direction": (
        _applied(derivatives.LengthAndDirection), tuple(_random(3, 2, seed=n) for n in range(3)),
    ),
    "scattering vectors": (
        _applied(derivatives.ScatteringVectors),
        (*(_random(2, 2, seed=n) for n in range(3)), *(_random(2, seed=n) for n in range(3)),
         _double([0.9, 1.1])),
    ),
    "indices": (
        _applied(derivatives.FractionalIndices), (*(_random(2, seed=n) for n in range(9)), *Q),
    ),
    "indices of one orientation": (
        _applied(derivatives.FractionalIndices), (*(_random(1, seed=n) for n in range(9)), *Q),
    ),
    "product": (_applied(derivatives.SquaredProduct), (_random(4), _random(4, seed=2))),
    "product with one F": (_applied(derivatives.SquaredProduct), (_random(), _random(4))),
    "product where F, the factor or both are 0": (
        _applied(derivatives.SquaredProduct), (_double([0.0, 2.0, 0.0]), _double([0.3, 0.0, 0.0])),
    ),
    "product with a number": (
        lambda latt: applied(derivatives.SquaredProduct, 3.0, latt), (_double([0.0, 0.4, -1.0]),),
    ),
    "root": (sqrt, (_double([1e-2, 0.7, 4.0]),)),
    "cells": (_cells, (_double([0.02, 0.4, -2.1, 3.3]), _double(5.0))),
    "cells, N not whole": (_cells, (_double([0.02, 0.4, -2.1, 3.3]), _double(4.3))),
    "cells at 0 and next to it": (
        _cells, (_double([0.0, 1e-9, 1e-4, 0.0191, 0.0192]), _double(5.0)),
    ),
    "cells next to a reflection": (lambda h: _cells(h, 7.0), (_double([2.999, 3.01, 4.02]),)),
    "sphere": (sinc3, (_double([0.02, 0.1, 0.102, 0.7, 3.0]),)),
    "sphere's derivative": (lambda x: bessel_ratio(2, x), (_double([2e-5, 0.5, 0.999, 1.001]),)),
    "sin(x)/x": (lambda x: bessel_ratio(0, x), (_double([1e-4, 0.5, 1.2, 9.0]),)),
    "cosine of a root": (cosine_of_root, (_double([1e-4, 0.5, 1.2, 9.0]),)),
}  # fmt: skip


@for_each("name", FORMULAS)
def test_second_derivatives_are_those_of_the_first(name: str) -> None:
    function, arguments = FORMULAS[name]
    assert torch.autograd.gradcheck(function, arguments)
    assert torch.autograd.gradgradcheck(function, arguments, atol=1e-6)


def _second(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    (first,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    return second


LIMITS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], float, float]] = {
    # a function of x, where, and its second derivative there
    "sphere": (sinc3, 0.0, math.pi**4 * 3 / 420),
    "sphere next to its centre": (sinc3, 1e-30, math.pi**4 * 3 / 420),
    "cosine of a root": (cosine_of_root, 0.0, 1 / 12),
    "sin(x)/x": (lambda x: bessel_ratio(0, x), 0.0, 1 / 60),
    "root": (sqrt, 0.0, 0.0),
    "unit vector": (lambda x: unit((x, 0.0 * x, 0.0 * x))[0], 0.0, 0.0),
    "direction": (
        lambda x: sum(applied(derivatives.LengthAndDirection, x, x, x)), 0.0, 0.0,
    ),
    "infinite F": (lambda x: applied(derivatives.SquaredProduct, math.inf, x), 0.0, 0.0),
    "F whose square is infinite": (
        lambda x: applied(derivatives.SquaredProduct, 1e200, x), 0.0, 0.0,
    ),
    "F": (lambda x: applied(derivatives.SquaredProduct, 3.0, x), 0.0, 18.0),
    "cells": (lambda x: _cells(x, 5.0), 0.0, -400 * math.pi**2),
    "cells at a reflection": (lambda x: _cells(x, 5.0), -3.0, -400 * math.pi**2),
    "cells at a pole": (lambda x: _cells(x, 4.5), 3.0, -259.875 * math.pi**2),
    "one cell": (lambda x: _cells(x, 1.0), 0.3, 0.0),
    "no light under an infinite product": (
        lambda x: grown(x * x, torch.tensor([[1e300], [math.inf]]).double()), 0.0, 0.0,
    ),
}  # fmt: skip


@for_each("name", LIMITS)
def test_limits(name: str) -> None:
    function, where, wanted = LIMITS[name]
    second = _second(function, _double([where]))
    assert float(second) == pytest.approx(wanted, rel=1e-13)


def test_third_derivatives_of_cells_are_an_error() -> None:
    """They would be 0; those of what is made of Bessel functions are right."""
    h = _double([0.3])
    (first,) = torch.autograd.grad(_cells(h, 5.0).sum(), h, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), h, create_graph=True)
    with pytest.raises(nb.UnsupportedError, match="first and second derivatives only"):
        torch.autograd.grad(second.sum(), h)
    weight = _double([2.0])
    (first,) = torch.autograd.grad(_cells(h, 5.0), h, weight, create_graph=True)
    (twice,) = torch.autograd.grad(first.sum(), h, create_graph=True)
    (linear,) = torch.autograd.grad(twice.sum(), weight)
    assert float(linear) == pytest.approx(float(second.detach()), rel=1e-14)
    x = _double([0.0])
    (first,) = torch.autograd.grad(sinc3(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), x)
    assert float(third) == pytest.approx(-(math.pi**6) * 3 / 7560, rel=1e-13)


COUNTS = (1.0, 2.0, 5.0, 12.0, 47.0, 1000.0, 12.71, 999.37)


def _places(n: float) -> np.ndarray:
    """Anywhere; close to whole numbers; around 0, on both sides of where series begin."""
    random = np.random.default_rng(int(n))
    sign = random.choice([-1.0, 1.0], 25)
    near = random.integers(-7, 8, 25) + sign * np.logspace(-12, -1, 25)
    series = sign[:5] * np.array([0.9, 0.99, 1.0, 1.01, 1.1]) * own_interference._SERIES_BELOW
    return np.concatenate(
        [random.uniform(-20.0, 20.0, 25), near, sign * np.logspace(-12, -1, 25),
         series / (math.pi * n), 4.0 + series / (math.pi * n), [0.0]],
    )  # fmt: skip


def _derivatives_of_cells(h: np.ndarray, n: float, dtype: torch.dtype) -> np.ndarray:
    """By h, by N; by h twice, by both, by N twice: shape (5, places).  N is one number for all
    places, so it is one place after the other."""
    found = []
    for place in h:
        at, count = _double([place]), _double(n)
        value = sincg_squared(at, (at.detach() - 0.5).ceil(), count, dtype).sum()
        by_h, by_n = torch.autograd.grad(value, (at, count), create_graph=True)
        twice, mixed = torch.autograd.grad(by_h.sum(), (at, count), retain_graph=True)
        mixed_again, by_n_twice = torch.autograd.grad(by_n, (at, count))
        assert float(mixed) == pytest.approx(float(mixed_again), rel=1e-14)
        found.append([y.detach().sum() for y in (by_h, by_n, twice, mixed, by_n_twice)])
    return np.array(found).T


@for_each("n", COUNTS)
def test_derivatives_of_cells_to_all_digits(n: float) -> None:
    """Against decimal numbers: in float64 in every single place, in float32 on the whole."""
    h = _places(n)
    wanted = np.array([interference(place, n)[1:] for place in h]).T
    error = np.abs(_derivatives_of_cells(h, n, torch.float64) - wanted)
    # Terms cancel in places: between maxima, where a derivative is 0.
    x = math.pi * np.abs(h)
    away = math.pi * np.abs(h - np.round(h))
    steep = 1.0 / np.maximum(np.sin(away), 1.0 / n)
    factors = [n + 0.0 * x, x, n * n + 0.0 * x, n * (1.0 + x), x * x]
    terms = 2.0 * math.pi**2 * np.stack(factors) * steep**2
    assert (error <= 1e-12 * (np.abs(wanted) + terms)).all()
    # With N = 1 those by h, and by h twice, are 0, which roundings may miss.
    assert (error.max(axis=1) <= 1e-12 * np.abs(wanted).max(axis=1) + 1e-20).all()
    single = np.abs(_derivatives_of_cells(h, n, torch.float32) - wanted)
    assert (np.linalg.norm(single, axis=1) <= 1e-5 * np.linalg.norm(wanted, axis=1) + 1e-20).all()
