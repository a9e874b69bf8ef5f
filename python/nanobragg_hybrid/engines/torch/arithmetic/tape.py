"""A calculation with scalars that is recorded once, and then done again for other numbers.

The set-up of an image is some hundreds of operations with single numbers.  As tensors of one number
each they cost a thousand times what they compute.  So it is written down once, with a `Symbol` in
place of each number that is to be differentiated, and the list of its operations (a tape) is
replayed for floats: the model's arithmetic to the last bit.  Derivatives are the chain rule along
the tape: backwards for a gradient, forwards for a Jacobian (Griewank & Walther, Evaluating
Derivatives, 2008, sections 3.1 and 3.2).

Which operations there are may not depend on the numbers: a choice between two of them is an
operation, too, of which the derivative is that of the number that was chosen.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One kind of step.

    plain: what it does with floats; it may raise where IEEE has an infinity or NaN.  ieee: the same
    with numpy's rules.  slopes: derivatives with respect to the first one or two operands, as
    numbers, or computed from arrays of operands and of results; operands after these, conditions
    and limits, have none.
    """

    name: str
    plain: Callable[..., Any]
    ieee: Callable[..., Any]
    slopes: Callable[..., tuple[Numbers, ...]] | tuple[float, ...]


def _root_slopes(_: Numbers, root: Numbers) -> tuple[Numbers]:
    return (np.where(root == 0.0, 0.0, 0.5 / root),)


def _clip(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


def _clip_slopes(x: Numbers, low: Numbers, high: Numbers, _: Numbers) -> tuple[Numbers]:
    return (((low <= x) & (x <= high)).astype(np.float64),)


def _choose(x: float, y: float, condition: float) -> float:
    return x if condition else y


def _choose_slopes(
    _x: Numbers, _y: Numbers, condition: Numbers, _: Numbers
) -> tuple[Numbers, Numbers]:
    return condition, 1.0 - condition


def _side(x: float) -> float:
    return -1.0 if x < 0.0 else 1.0


ADD: Final = Operation("add", operator.add, np.add, (1.0, 1.0))
SUBTRACT: Final = Operation("subtract", operator.sub, np.subtract, (1.0, -1.0))
MULTIPLY: Final = Operation("multiply", operator.mul, np.multiply, lambda x, y, _: (y, x))
DIVIDE: Final = Operation(
    "divide", operator.truediv, np.divide, lambda _, y, ratio: (1.0 / y, -ratio / y)
)
NEGATE: Final = Operation("negate", operator.neg, np.negative, (-1.0,))
SIN: Final = Operation("sin", math.sin, np.sin, lambda x, _: (np.cos(x),))
COS: Final = Operation("cos", math.cos, np.cos, lambda x, _: (-np.sin(x),))
EXP: Final = Operation("exp", math.exp, np.exp, lambda _, power: (power,))
SQRT: Final = Operation("sqrt", math.sqrt, np.sqrt, _root_slopes)
ABSOLUTE: Final = Operation("absolute", abs, np.abs, lambda x, _: (np.sign(x),))
SIDE: Final = Operation("side", _side, _side, ())
CLIP: Final = Operation("clip", _clip, _clip, _clip_slopes)
IS_LESS: Final = Operation("is less", operator.lt, np.less, ())
IS_EQUAL: Final = Operation("is equal", operator.eq, np.equal, ())
CHOOSE: Final = Operation("choose", _choose, _choose, _choose_slopes)


class Symbol:
    """A number of a recording: its operations with floats and others are noted."""

    __slots__ = ("_recording", "number")

    def __init__(self, recording: Recording, number: int) -> None:
        self._recording = recording
        self.number = number

    def through(self, operation: Operation, *others: Operand) -> Symbol:
        """The result of an operation on this number and others."""
        return self._recording.note(operation, self, *others)

    def through_from(self, operation: Operation, other: Operand) -> Symbol:
        """The result of an operation on another number and this one."""
        return self._recording.note(operation, other, self)

    def choose(self, x: Operand, y: Operand) -> Symbol:
        """x where this condition holds, else y."""
        return self._recording.note(CHOOSE, x, y, self)

    def __add__(self, other: Operand) -> Symbol:
        return self._recording.note(ADD, self, other)

    def __radd__(self, other: Operand) -> Symbol:
        return self._recording.note(ADD, other, self)

    def __sub__(self, other: Operand) -> Symbol:
        return self._recording.note(SUBTRACT, self, other)

    def __rsub__(self, other: Operand) -> Symbol:
        return self._recording.note(SUBTRACT, other, self)

    def __mul__(self, other: Operand) -> Symbol:
        return self._recording.note(MULTIPLY, self, other)

    def __rmul__(self, other: Operand) -> Symbol:
        return self._recording.note(MULTIPLY, other, self)

    def __truediv__(self, other: Operand) -> Symbol:
        return self._recording.note(DIVIDE, self, other)

    def __rtruediv__(self, other: Operand) -> Symbol:
        return self._recording.note(DIVIDE, other, self)

    def __neg__(self) -> Symbol:
        return self._recording.note(NEGATE, self)

    def __bool__(self) -> bool:
        raise TypeError("a number that is being recorded has no value to decide by")


Operand = float | Symbol


@dataclass(frozen=True, slots=True)
class _Step:
    operation: Operation
    operands: tuple[int, ...]


class Recording:
    """Notes what is done with `inputs` symbols; the same step on the same operands only once."""

    def __init__(self, inputs: int) -> None:
        self.inputs = tuple(Symbol(self, n) for n in range(inputs))
        self._entries: list[_Step | float | None] = [None] * inputs
        self._numbers: dict[object, int] = {}

    def note(self, operation: Operation, *operands: Operand) -> Symbol:
        """The result of an operation; `symbol.through` and the signs of arithmetic call it."""
        step = _Step(operation, tuple(self.number_of(operand) for operand in operands))
        return Symbol(self, self._number((operation.name, step.operands), step))

    def number_of(self, operand: Operand) -> int:
        """The number of a symbol, or of a constant."""
        if isinstance(operand, Symbol):
            return operand.number
        constant = float(operand)
        return self._number((constant, math.copysign(1.0, constant)), constant)

    def tape(self, outputs: Iterable[Operand]) -> Tape:
        """The steps that lead to some numbers, which may be constants, too."""
        return Tape(self._entries, len(self.inputs), [self.number_of(each) for each in outputs])

    def _number(self, key: object, entry: _Step | float) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self._entries)
            self._entries.append(entry)
        return self._numbers[key]


class Tape:
    """The steps of a recording that its outputs need, level by level: none needs another of its
    own level.

    inputs: how many there are.  depends_on: for each output the inputs that its derivatives need,
    as bits of a whole number.
    """

    def __init__(
        self, entries: Sequence[_Step | float | None], inputs: int, outputs: Sequence[int]
    ) -> None:
        needed = _needed(entries, outputs)
        constants = [n for n in sorted(needed) if isinstance(entries[n], float)]
        levels = _levels(entries, needed)
        steps = sorted(levels, key=lambda n: (levels[n], n))
        place = {n: at for at, n in enumerate((*range(inputs), *constants, *steps))}
        self.inputs = inputs
        self._constants = [entry for n in constants if isinstance(entry := entries[n], float)]
        self._places = [place[n] for n in outputs]
        self._size = len(place)
        needs = [1 << n if n < inputs else 0 for n in range(len(place))]
        self._code: list[tuple[Operation, tuple[int, ...]]] = []
        first = inputs + len(constants)
        for at, n in enumerate(steps, start=first):
            step = entries[n]
            assert isinstance(step, _Step)
            operands = tuple(place[operand] for operand in step.operands)
            self._code.append((step.operation, operands))
            for operand in operands[: 2 if step.operation.slopes else 0]:
                needs[at] |= needs[operand]
        self.depends_on = [needs[at] for at in self._places]
        self._plain = [_padded(operation.plain, operands) for operation, operands in self._code]
        self._groups = self._grouped(first)
        self._fixed_slopes = np.zeros((len(steps), 2))
        for row, (operation, _) in enumerate(self._code):
            if not callable(operation.slopes):
                self._fixed_slopes[row, : len(operation.slopes)] = operation.slopes
        # Edges: of each step to those of its first two operands that depend on an input.
        self._edges = [
            (at, operand, 2 * (at - first) + side)
            for at, (operation, operands) in enumerate(self._code, start=first)
            if operation.slopes
            for side, operand in enumerate(operands[:2])
            if needs[operand]
        ]
        backward = self._edges[::-1]
        self._backward = [(step, operand) for step, operand, _ in backward]
        self._backward_slopes = np.array([slope for _, _, slope in backward], dtype=int)
        is_used: NDArray[np.bool_] = np.zeros(2 * len(steps), dtype=bool)
        is_used[[slope for _, _, slope in self._edges]] = True
        self._is_used = is_used.reshape(-1, 2)
        self._spans = self._level_spans([levels[n] for n in steps], first)

    def _grouped(self, first: int) -> list[tuple[Operation, NDArray[np.intp], NDArray[np.intp]]]:
        """For each operation that computes slopes its steps, and their operands, shape
        (operands, n)."""
        steps: dict[str, list[int]] = {}
        for at, (operation, _) in enumerate(self._code):
            if callable(operation.slopes):
                steps.setdefault(operation.name, []).append(at)
        return [
            (
                self._code[group[0]][0],
                np.array(group) + first,
                np.array([self._code[at][1] for at in group]).T,
            )
            for group in steps.values()
        ]

    def _level_spans(self, levels: list[int], first: int) -> list[_Span]:
        """The steps of each level, and where their two operands are that have slopes."""
        operands = np.zeros((len(levels), 2), dtype=int)
        for at, operand, slope in self._edges:
            operands[at - first, slope % 2] = operand
        spans = []
        edges = [n for n in range(1, len(levels)) if levels[n] != levels[n - 1]]
        for start, stop in itertools.pairwise([0, *edges, len(levels)]):
            rows = slice(start, stop)
            if np.any(self._is_used[rows]):
                second = operands[rows, 1] if np.any(self._is_used[rows, 1]) else None
                places = slice(start + first, stop + first)
                spans.append(_Span(places, rows, operands[rows, 0], second))
        return spans

    def replay(self, inputs: Sequence[float]) -> list[float]:
        """The numbers of all steps, with those of inputs and constants in front."""
        numbers = [*inputs, *self._constants]
        append = numbers.append
        try:
            for function, x, y, z in self._plain:
                if y < 0:
                    append(function(numbers[x]))
                elif z < 0:
                    append(function(numbers[x], numbers[y]))
                else:
                    append(function(numbers[x], numbers[y], numbers[z]))
        except (ArithmeticError, ValueError):
            return self._replay_to_infinity(inputs)
        return numbers

    def _replay_to_infinity(self, inputs: Sequence[float]) -> list[float]:
        numbers = [np.float64(number) for number in (*inputs, *self._constants)]
        with np.errstate(all="ignore"):
            for operation, operands in self._code:
                numbers.append(operation.ieee(*(numbers[operand] for operand in operands)))
        return [float(number) for number in numbers]

    def results(self, numbers: list[float]) -> list[float]:
        """The outputs, from what `replay` gave."""
        return [numbers[place] for place in self._places]

    def gradient(self, numbers: list[float], weights: Sequence[float]) -> list[float]:
        """Derivatives of the weighted sum of the outputs with respect to the inputs."""
        slopes = self._slopes(numbers).reshape(-1)[self._backward_slopes].tolist()
        sums = [0.0] * self._size
        for place, weight in zip(self._places, weights, strict=True):
            sums[place] += weight
        for (step, operand), slope in zip(self._backward, slopes, strict=True):
            sums[operand] += sums[step] * slope
        return sums[: self.inputs]

    def jacobian(self, numbers: list[float], inputs: Sequence[int]) -> Numbers:
        """Derivatives of the outputs with respect to some inputs, shape (outputs, inputs)."""
        slopes = np.where(self._is_used, self._slopes(numbers), 0.0)[:, :, None]
        tangents = np.zeros((self._size, len(inputs)))
        tangents[list(inputs), np.arange(len(inputs))] = 1.0
        with np.errstate(all="ignore"):
            for span in self._spans:
                own = tangents[span.places]
                np.multiply(slopes[span.rows, 0], tangents[span.first], out=own)
                if span.second is not None:
                    own += slopes[span.rows, 1] * tangents[span.second]
        return tangents[self._places]

    def _slopes(self, numbers: list[float]) -> Numbers:
        """Derivatives of each step with respect to its first two operands, shape (steps, 2)."""
        every = np.array(numbers, dtype=np.float64)
        first = self._size - len(self._code)
        slopes = self._fixed_slopes.copy()
        with np.errstate(all="ignore"):
            for operation, places, operands in self._groups:
                assert callable(operation.slopes)
                own = operation.slopes(*every[operands], every[places])
                for side, slope in enumerate(own):
                    slopes[places - first, side] = slope
        return slopes


@dataclass(frozen=True, slots=True, eq=False)
class _Span:
    """Steps of one level.  places: of their results.  rows: of their slopes.  first, second: places
    of their operands."""

    places: slice
    rows: slice
    first: NDArray[np.intp]
    second: NDArray[np.intp] | None


def _needed(entries: Sequence[_Step | float | None], outputs: Iterable[int]) -> set[int]:
    """The entries that some of them are computed from, and these."""
    needed: set[int] = set()
    waiting = list(outputs)
    while waiting:
        n = waiting.pop()
        if n not in needed:
            needed.add(n)
            entry = entries[n]
            if isinstance(entry, _Step):
                waiting.extend(entry.operands)
    return needed


def _levels(entries: Sequence[_Step | float | None], needed: set[int]) -> dict[int, int]:
    """For each step that is needed, one more than the largest of its operands."""
    levels: dict[int, int] = {}
    for n in sorted(needed):
        entry = entries[n]
        if isinstance(entry, _Step):
            levels[n] = 1 + max(levels.get(operand, 0) for operand in entry.operands)
    return levels


def _padded(
    function: Callable[..., Any], operands: tuple[int, ...]
) -> tuple[Callable[..., Any], int, int, int]:
    x, y, z = (*operands, -1, -1)[:3]
    return function, x, y, z
