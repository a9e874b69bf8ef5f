"""Conversions are those of `base.units`, for tensors as for floats."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
from with_torch import torch

from nanobragg_hybrid.base import units
from nanobragg_hybrid.engines import torch as engine

CONVERSIONS = [
    function
    for name, function in inspect.getmembers(units, inspect.isfunction)
    if "_to_" in name and name != "energy_ev_to_wavelength_angstrom"
]
INVERSES = (  # torch divides by a tensor by multiplying with its reciprocal
    units.attenuation_depth_um_to_per_m,
    units.per_m_to_attenuation_depth_um,
    units.wavelength_m_to_per_angstrom,
)
FACTORS = (1e3, 1e6, 1e10, 1e-3, 1e-6, 1e-10)


@pytest.mark.parametrize("convert", CONVERSIONS, ids=lambda function: function.__name__)
def test_tensors_have_the_bits_of_floats(convert: Callable[..., object]) -> None:
    numbers = [0.7 * 1.9**n for n in range(-9, 10)]
    tensor = torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
    converted = convert(tensor)
    assert isinstance(converted, torch.Tensor)
    need = [convert(number) for number in numbers]
    if convert in INVERSES:
        assert converted.tolist() == pytest.approx(need, rel=3e-16, abs=0.0)
    else:
        assert converted.tolist() == need
    (slope,) = torch.autograd.grad(converted.sum(), tensor)
    assert (slope != 0.0).all()


def test_there_are_conversions() -> None:
    assert len(CONVERSIONS) >= 14


def _written_out(source: str) -> list[str]:
    """Products and quotients with a factor between units."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Mult | ast.Div)
        and any(
            isinstance(side, ast.Constant) and side.value in FACTORS
            for side in (node.left, node.right)
        )
    ]


def test_no_conversion_is_written_out() -> None:
    folder = Path(engine.__file__).parent
    found = {path.name: _written_out(path.read_text()) for path in folder.rglob("*.py")}
    assert len(found) > 20
    assert {name: written for name, written in found.items() if written} == {}


@pytest.mark.parametrize("source", ["x / 1000.0", "1e-6 * x", "1e-10 / y", "f(1e6 * x)"])
def test_a_written_out_conversion_is_seen(source: str) -> None:
    assert len(_written_out(source)) == 1


@pytest.mark.parametrize("source", ["x / 2.0", "x < 1e-6", "C = 1e6", "mm_to_m(x)"])
def test_other_arithmetic_is_none(source: str) -> None:
    assert _written_out(source) == []
