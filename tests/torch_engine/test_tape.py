"""A recorded calculation, replayed and derived, against the same one with torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from with_torch import torch

from nanobragg_hybrid.engines.torch.arithmetic import scalars
from nanobragg_hybrid.engines.torch.arithmetic.tape import Recording, Tape
from nanobragg_hybrid.engines.torch.arithmetic.vectors import rescale, unit

INF, NAN = math.inf, math.nan

# A function of scalars of any kind, and its arguments.
CASES: list[tuple[str, Callable[..., Any], tuple[float, ...]]] = [
    ("add", lambda x, y: 2.0 + x + y + 3.0, (0.5, -1.25)),
    ("subtract", lambda x, y: 2.0 - x - y - 3.0, (0.5, -1.25)),
    ("multiply", lambda x, y: 2.0 * x * y * 3.0, (0.5, -1.25)),
    ("divide", lambda x, y: x / y / 3.0 + x / (2.0 / y), (0.5, -1.25)),
    ("negate", lambda x: -x, (0.5,)),
    ("the same twice", lambda x: x * x + x * x, (0.7,)),
    ("sin", scalars.sin, (0.4,)),
    ("cos", scalars.cos, (0.4,)),
    ("exp", scalars.exp, (0.4,)),
    ("sqrt", scalars.sqrt, (2.0,)),
    ("sqrt at 0", scalars.sqrt, (0.0,)),
    ("sqrt below 0", scalars.sqrt, (-1.0,)),
    ("magnitude", scalars.magnitude_of, (-0.4,)),
    ("magnitude at 0", scalars.magnitude_of, (0.0,)),
    ("side", lambda x: x * scalars.side_of(x), (-0.4,)),
    ("side at 0", lambda x: x * scalars.side_of(x), (0.0,)),
    ("clipped below", lambda x: scalars.clipped(x, -1.0, 1.0), (-1.5,)),
    ("clipped inside", lambda x: scalars.clipped(x, -1.0, 1.0), (0.5,)),
    ("clipped at the edge", lambda x: scalars.clipped(x, -1.0, 1.0), (1.0,)),
    ("clipped above", lambda x: scalars.clipped(x, -1.0, 1.0), (1.5,)),
    ("quotient", scalars.quotient, (1.0, 3.0)),
    ("quotient by 0", scalars.quotient, (1.0, 0.0)),
    ("quotient 0/0", scalars.quotient, (0.0, 0.0)),
    ("sin of infinity", scalars.sin, (INF,)),
    ("exp beyond", scalars.exp, (1000.0,)),
    ("not a number", lambda x: scalars.cos(x) + scalars.clipped(x, 0.0, 1.0), (NAN,)),
    ("less", lambda x, y: scalars.chosen(scalars.is_less(x, 1.0), x * x, y), (0.5, 2.0)),
    ("not less", lambda x, y: scalars.chosen(scalars.is_less(x, 1.0), x * x, y), (1.0, 2.0)),
    ("less than it", lambda x, y: scalars.chosen(scalars.is_less(1.0, x), x * x, y), (1.5, 2.0)),
    ("is zero", lambda x, y: scalars.chosen(scalars.is_zero(x), 1.0, x) * y, (0.0, 2.0)),
    ("is not zero", lambda x, y: scalars.chosen(scalars.is_zero(x), 1.0, x) * y, (0.1, 2.0)),
    ("unit", lambda x, y: unit((x, y, 2.0 * x))[1], (0.3, -0.4)),
    ("unit of none", lambda x, y: unit((x, y, 2.0 * x))[1], (0.0, 0.0)),
    ("rescale", lambda x, y: rescale((x, y, 1.0), 3.0)[0], (0.3, -0.4)),
    ("rescale none", lambda x, y: rescale((x, y, 0.0), 3.0)[0], (0.0, 0.0)),
]


def _recorded(function: Callable[..., Any], count: int) -> Tape:
    recording = Recording(count)
    return recording.tape([function(*recording.inputs)])


@for_each("name, function, arguments", CASES, ids=lambda row: row[0])
def test_values_and_slopes_are_those_of_torch(
    name: str, function: Callable[..., Any], arguments: tuple[float, ...]
) -> None:
    """And values those of floats, to the bit, where floats have one."""
    tape = _recorded(function, len(arguments))
    steps = tape.replay(arguments)
    (value,) = tape.results(steps)
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in arguments]
    result = function(*tensors)
    slopes = torch.autograd.grad(result, tensors, allow_unused=True, materialize_grads=True)
    np.testing.assert_allclose(value, result.item(), rtol=1e-15, atol=0.0)
    need = [slope.item() for slope in slopes]
    np.testing.assert_allclose(tape.gradient(steps, [1.0]), need, rtol=1e-14, atol=0.0)
    if all(math.isfinite(slope) for slope in need):  # an infinity times no change is none
        jacobian = tape.jacobian(steps, range(len(arguments)))
        np.testing.assert_allclose(jacobian, [need], rtol=1e-14, atol=0.0)
    if all(math.isfinite(x) for x in (value, *arguments)):
        np.testing.assert_array_equal(value, function(*arguments), strict=False)


def test_several_outputs_and_some_inputs() -> None:
    """Constants are outputs without derivative; a gradient is of the weighted sum."""
    recording = Recording(3)
    x, y, z = recording.inputs
    tape = recording.tape([x * y, 4.0, scalars.sin(z), x, x])
    steps = tape.replay([2.0, 3.0, 0.5])
    assert tape.results(steps) == [6.0, 4.0, math.sin(0.5), 2.0, 2.0]
    assert tape.depends_on == [0b011, 0, 0b100, 0b001, 0b001]
    assert tape.gradient(steps, [1.0, 7.0, 2.0, 10.0, 20.0]) == [33.0, 2.0, 2.0 * math.cos(0.5)]
    some = tape.jacobian(steps, [2, 0])
    np.testing.assert_array_equal(some, [[0, 3], [0, 0], [math.cos(0.5), 0], [0, 1], [0, 1]])


def test_what_is_not_needed_is_not_done() -> None:
    """A division by zero on the way to nothing does not slow the others down, or make them NaN."""
    recording = Recording(1)
    (x,) = recording.inputs
    _ = 1.0 / (x - x)
    tape = recording.tape([x + x])
    assert len(tape.replay([1.5])) == 2
    assert tape.results(tape.replay([1.5])) == [3.0]


def test_a_step_is_taken_once() -> None:
    recording = Recording(1)
    (x,) = recording.inputs
    assert scalars.sin(x).number == scalars.sin(x).number
    assert scalars.sin(x).number != scalars.cos(x).number


def test_zeros_keep_their_sign() -> None:
    recording = Recording(1)
    (x,) = recording.inputs
    results = (tape := recording.tape([x * 0.0, x * -0.0])).results(tape.replay([1.0]))
    assert [math.copysign(1.0, zero) for zero in results] == [1.0, -1.0]


def test_nothing_decides_by_a_symbol() -> None:
    recording = Recording(1)
    (x,) = recording.inputs
    with pytest.raises(TypeError, match="has no value to decide by"):
        bool(x)
    with pytest.raises(TypeError, match="has no value to decide by"):
        x if scalars.is_zero(x) else 1.0


def test_an_infinity_on_the_way_is_that_of_ieee() -> None:
    """And the next replay is an ordinary one again."""
    tape = _recorded(lambda x: 1.0 / (1.0 + 1.0 / x), 1)
    assert tape.results(tape.replay([0.0])) == [0.0]
    assert tape.results(tape.replay([1.0])) == [0.5]
