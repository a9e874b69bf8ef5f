"""Two traces side by side, quantity by quantity in computing order, to the first that differs.

A trace is a record that an engine has filled (`nanobragg_hybrid.model.trace.Trace`) or what
`nanobragg_hybrid.read_trace` finds in a file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.compare.numbers import FLOAT32_STEP, FLOAT32_ULP, Distance, distance
from nanobragg_hybrid.formats.trace_text import TraceText, trace_texts
from nanobragg_hybrid.model.trace import (
    PIXEL_INDICES,
    QUANTITIES,
    STEP_INDICES,
    Quantity,
    Stage,
    Trace,
)

RTOL: Final = 1e-12
"""The relative difference up to which two floats agree."""

Values = tuple[float, ...]


class StepIndex(NamedTuple):
    """Which evaluation of the innermost loop, counted from 0."""

    layer: int
    sub_slow: int
    sub_fast: int
    source: int
    phi_step: int
    domain: int


class Difference(NamedTuple):
    """One quantity of both traces.

    quantity: its recorded name.  step_index: the step it belongs to; None: to the whole pixel,
    or to the one step of a trace file that does not say which.  a, b: values; empty where this
    trace has no such step.  agrees: within the tolerance (`Comparison`).
    """

    quantity: str
    stage: Stage
    step_index: StepIndex | None
    a: Values
    b: Values
    distance: Distance
    agrees: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two traces of one pixel.

    differences: every quantity that both have, in computing order: the set-up and the first step,
    the other steps, what follows from their sum.  Floats agree if their relative difference is at
    most `rtol`; a vector's is the length of the difference over the greater length of the two.
    Indices, counts and switches agree if they are equal, and the 32-bit pixel if it is off by one
    unit in the last place at most.  only_in_a, only_in_b: recorded names that one side lacks.
    """

    name_a: str
    name_b: str
    fast: int
    slow: int
    rtol: float
    differences: tuple[Difference, ...]
    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]

    @property
    def first_divergence(self) -> Difference | None:
        """The first quantity beyond tolerance; None: the traces agree."""
        return next((item for item in self.differences if not item.agrees), None)

    def steps(self) -> list[StepDeltas]:
        """How far the two are apart in each step, in serial order."""
        by_step: dict[StepIndex | None, list[Difference]] = {}
        for item in self.differences:
            if item.quantity in _NAMES_OF_STEPS:
                by_step.setdefault(item.step_index, []).append(item)
        return [_step_deltas(step_index, items) for step_index, items in by_step.items()]

    def maxima(self) -> dict[str, float | None]:
        """``max_`` and the names of `DELTAS`: the largest of all steps, None if none has it."""
        steps = self.steps()
        return {
            f"max_{name}": max((s.deltas[name] for s in steps if name in s.deltas), default=None)
            for name in DELTAS
        }


class StepDeltas(NamedTuple):
    """One step of both traces.

    phi_rad: spindle angle, of `a`.  deltas: absolute differences by the names of `DELTAS`.
    agrees: in every quantity but the running sum, which carries differences of earlier steps along.
    """

    step_index: StepIndex | None
    phi_rad: float | None
    deltas: dict[str, float]
    agrees: bool


DELTAS: Final[Mapping[str, tuple[str, int | None]]] = {
    "delta_phi_rad": ("phi_rad", None),
    "delta_rot_a_angstroms": ("rot_a_angstroms", None),
    "delta_rot_b_angstroms": ("rot_b_angstroms", None),
    "delta_rot_c_angstroms": ("rot_c_angstroms", None),
    "delta_h": ("hkl_frac", 0),
    "delta_k": ("hkl_frac", 1),
    "delta_l": ("hkl_frac", 2),
    "delta_F_latt_a": ("F_latt_a", None),
    "delta_F_latt_b": ("F_latt_b", None),
    "delta_F_latt_c": ("F_latt_c", None),
    "delta_F_latt": ("F_latt", None),
    "delta_F_cell": ("F_cell", None),
}
"""Name -> the quantity it is the absolute difference of, and which component (None: all)."""


def _step_deltas(step_index: StepIndex | None, items: Sequence[Difference]) -> StepDeltas:
    by_name = {item.quantity: item for item in items}
    found = {}
    for name, (quantity, component) in DELTAS.items():
        item = by_name.get(quantity)
        if item is None:
            continue
        if component is None or len(item.a) != len(item.b):
            found[name] = item.distance.absolute
        else:
            a, b = item.a[component : component + 1], item.b[component : component + 1]
            found[name] = distance(a, b).absolute
    phi = by_name.get("phi_rad")
    return StepDeltas(
        step_index,
        phi.a[0] if phi is not None else None,
        found,
        all(item.agrees for item in items if item.quantity != "I_running_sum"),
    )


def compare_traces(
    a: Trace | Sequence[TraceText],
    b: Trace | Sequence[TraceText],
    *,
    rtol: float = RTOL,
    names: tuple[str, str] = ("a", "b"),
) -> Comparison:
    """Compares two traces of the same pixel.

    rtol: see `Comparison`.  names: what to call the two sides.  A file that does not say which step
    it holds is taken to hold the first of the other's, and only that is compared.  Raises
    `ConfigError` for a tolerance that is no finite number >= 0, for traces of different pixels or
    that have no quantity in common, and for a file with several pixels or with a step twice.
    """
    if not (math.isfinite(rtol) and rtol >= 0.0):
        raise ConfigError("rtol", rtol, "a finite number >= 0")
    left, right = _chain(a, names[0]), _chain(b, names[1])
    if left.pixel != right.pixel:
        raise ConfigError(f"{names[1]}: (fast, slow)", right.pixel, f"{left.pixel} as {names[0]}")
    if None in left.steps or None in right.steps:
        left, right = left.of_first_step(), right.of_first_step()
    differences = tuple(_differences(left, right, rtol))
    if not differences:
        raise ConfigError("traces", " and ".join(names), "a quantity that both have")
    have, others = left.names(), right.names()
    return Comparison(
        *names,
        *left.pixel,
        rtol,
        differences,
        tuple(name for name in have if name not in others),
        tuple(name for name in others if name not in have),
    )


_IS_ACTIVE: Final = Quantity("is_lit", "pixel", "is_lit", "detector", kind="switch")
_IS_EVALUATED: Final = Quantity("", "step", "is_evaluated", "scattering vector", kind="switch")
"""Whether a step takes place at all: the resolution limit cuts some."""
_IS_EVALUATED_AT: Final = "q_per_m"

_AFTER_THE_STEPS: Final = [quantity.name for quantity in QUANTITIES].index("i_before_scaling")


_NAMES_OF_STEPS: Final = {
    _IS_EVALUATED.recorded,
    *(quantity.recorded for quantity in QUANTITIES if quantity.of == "step"),
}
_NAMES: Final = tuple(quantity.recorded for quantity in QUANTITIES)


@dataclass(frozen=True, slots=True)
class _Chain:
    """A trace by recorded names; other names than those of `QUANTITIES` do no harm.

    steps: values of each step; the index is None if it is not known.
    """

    pixel: tuple[int, int]
    whole: Mapping[str, Values]
    steps: Mapping[StepIndex | None, Mapping[str, Values]]

    def of_first_step(self) -> _Chain:
        """With one step only, whose index is not told."""
        first = min(
            (step_index for step_index in self.steps if step_index is not None), default=None
        )
        return _Chain(self.pixel, self.whole, {None: self.steps.get(first, {})})

    def names(self) -> list[str]:
        """Every quantity of which there is a value, once."""
        have = set(self.whole).union(*self.steps.values())
        return [name for name in dict.fromkeys(_NAMES) if name in have]


def _chain(trace: Trace | Sequence[TraceText], name: str) -> _Chain:
    texts = trace_texts(trace) if isinstance(trace, Trace) else trace
    pixels = {_whole(text, PIXEL_INDICES, name) for text in texts}
    if len(pixels) != 1:
        raise ConfigError(f"{name}: (fast, slow)", sorted(pixels), "one pixel")
    steps: dict[StepIndex | None, dict[str, Values]] = {}
    for text in texts:
        step_index = (
            StepIndex(*_whole(text, STEP_INDICES, name)) if "phi_step" in text.values else None
        )
        if step_index in steps:
            which = "two records without a step" if step_index is None else f"{step_index} twice"
            raise ConfigError(f"{name}: steps", Description(which), "each step once")
        if not isinstance(trace, Trace) or trace.steps:
            steps[step_index] = text.values
    whole = texts[0].values
    if isinstance(trace, Trace):
        whole = {**whole, _IS_ACTIVE.recorded: (float(trace.is_active),)}
    fast, slow = pixels.pop()
    return _Chain((fast, slow), whole, steps)


def _whole(text: TraceText, names: Sequence[str], name: str) -> tuple[int, ...]:
    """The whole numbers that say which pixel or step a record is of."""
    numbers = []
    for key in names:
        values = text.values.get(key, ())
        if len(values) != 1 or not values[0].is_integer():
            raise ConfigError(f"{name}: {key}", values, "one whole number")
        numbers.append(int(values[0]))
    return tuple(numbers)


def _differences(left: _Chain, right: _Chain, rtol: float) -> Iterator[Difference]:
    """In computing order, of everything that both have, and of steps that one of them has not."""

    def of_pixel(quantity: Quantity) -> Iterator[Difference]:
        x, y = left.whole.get(quantity.recorded), right.whole.get(quantity.recorded)
        if x is not None and y is not None:
            yield _difference(quantity, None, x, y, rtol)

    def of_step(quantity: Quantity, step_index: StepIndex | None) -> Iterator[Difference]:
        have = [step_index in side.steps for side in (left, right)]
        if step_index is not None and have[0] != have[1] and quantity.name == _IS_EVALUATED_AT:
            yield _difference(_IS_EVALUATED, step_index, (float(have[0]),), (float(have[1]),), rtol)
        x, y = (side.steps.get(step_index, {}).get(quantity.recorded) for side in (left, right))
        if x is not None and y is not None:
            yield _difference(quantity, step_index, x, y, rtol)

    indices = sorted({*left.steps, *right.steps}, key=lambda step_index: step_index or ())
    first, others = indices[:1], indices[1:]
    yield from of_pixel(_IS_ACTIVE)
    for quantity in QUANTITIES[:_AFTER_THE_STEPS]:
        if quantity.of == "pixel":
            yield from of_pixel(quantity)
        for step_index in first:
            if quantity.of == "step":
                yield from of_step(quantity, step_index)
    for step_index in others:
        for quantity in QUANTITIES:
            if quantity.of == "step":
                yield from of_step(quantity, step_index)
    for quantity in QUANTITIES[_AFTER_THE_STEPS:]:
        yield from of_pixel(quantity)


def _difference(
    quantity: Quantity, step_index: StepIndex | None, a: Values, b: Values, rtol: float
) -> Difference:
    apart = distance(a, b)
    if quantity.kind != "float":
        agrees = apart.absolute == 0.0
    elif quantity.name == "pixel_float":
        apart = apart._replace(ulps=apart.ulps / FLOAT32_ULP)
        agrees = apart.relative <= max(rtol, FLOAT32_STEP)
    else:
        agrees = apart.relative <= rtol
    return Difference(quantity.recorded, quantity.stage, step_index, a, b, apart, agrees)
