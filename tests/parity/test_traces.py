"""Traces side by side: what agrees, what does not, and which quantity is the first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from traces import STEP, TRACE, step, trace

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.compare.traces import StepIndex, compare_traces
from nanobragg_hybrid.formats.trace_text import TraceText, trace_texts
from nanobragg_hybrid.model.trace import QUANTITIES, Quantity

PLACES = ("layer", "sub_slow", "sub_fast", "source", "phi_step", "domain")
VALUES = {
    name: values for name, values in trace_texts(TRACE)[0].values.items() if name not in PLACES
}


def _file(*records: dict[str, tuple[float, ...]]) -> list[TraceText]:
    return [TraceText("C", record) for record in records]


def _without(*names: str) -> list[TraceText]:
    return _file({name: values for name, values in VALUES.items() if name not in names})


def _changed(value: Any, factor: float) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, tuple):
        return (value[0], value[1], value[2] + factor * math.hypot(*value))
    return value * (1.0 + factor) + (factor if value == 0.0 else 0.0)


def test_equal_traces_agree_in_every_quantity() -> None:
    found = compare_traces(TRACE, trace(backend="torch"))
    assert found.first_divergence is None
    assert [item.quantity for item in found.differences] == [
        "is_lit",
        *(quantity.recorded for quantity in QUANTITIES),
    ]
    assert all(item.agrees and item.distance == (0.0, 0.0, 0.0) for item in found.differences)
    assert (found.fast, found.slow, found.only_in_a, found.only_in_b) == (10, 20, (), ())


# Numbers that a trace has in two forms.
TWICE = {"lambda_angstroms", "r_e_meters", "r_e_sqr"}
EACH = [quantity for quantity in QUANTITIES if quantity.recorded not in TWICE]


@for_each("quantity", EACH, ids=lambda quantity: quantity.recorded)
def test_each_quantity_is_looked_at(quantity: Quantity) -> None:
    large = 1e-6 if quantity.name == "pixel_float" else 1e-11

    def other(factor: float) -> Any:
        if quantity.of == "pixel":
            return trace(**{quantity.name: _changed(getattr(TRACE, quantity.name), factor)})
        return trace(step(**{quantity.name: _changed(getattr(STEP, quantity.name), factor)}))

    for a, b in ((TRACE, other(large)), (other(large), TRACE)):
        first = compare_traces(a, b).first_divergence
        assert first is not None
        assert (first.quantity, first.stage) == (quantity.recorded, quantity.stage)
        assert first.step_index == (None if quantity.of == "pixel" else StepIndex(0, 0, 0, 0, 0, 0))
        assert compare_traces(a, b, rtol=1.0).first_divergence is None or quantity.kind != "float"
    if quantity.kind == "float" and quantity.name != "phi_rad":
        assert compare_traces(TRACE, other(1e-13)).first_divergence is None


def test_the_first_of_several_is_the_first_in_computing_order() -> None:
    other = trace(step(hkl=(0.0, 0.0, 0.0), q_per_m=(1.0, 0.0, 0.0)), r_e_sqr_m2=1.0)
    first = compare_traces(TRACE, other).first_divergence
    assert first is not None
    assert first.quantity == "scattering_vec_A_inv"


def test_of_a_number_in_two_forms_the_first_is_named() -> None:
    first = compare_traces(TRACE, trace(r_e_sqr_m2=1.0)).first_divergence
    assert first is not None
    assert (first.quantity, first.stage) == ("r_e_meters", "constants")


def test_tolerance_is_met_at_its_edge() -> None:
    other = trace(pixel_value=2.0)
    at_edge = compare_traces(trace(pixel_value=1.0), other, rtol=0.5)
    assert at_edge.first_divergence is None
    below = compare_traces(trace(pixel_value=1.0), other, rtol=math.nextafter(0.5, 0.0))
    assert below.first_divergence is not None
    assert below.first_divergence.distance.relative == 0.5


def test_a_float32_may_round_the_other_way() -> None:
    value = np.float32(TRACE.pixel_float)
    above = np.nextafter(value, np.float32(1))
    further = np.nextafter(above, np.float32(1))
    near = compare_traces(TRACE, trace(pixel_float=float(above)))
    assert near.first_divergence is None
    assert near.differences[-1].distance.ulps == 1.0
    far = compare_traces(trace(pixel_float=1.0), trace(pixel_float=1.0 + 2.0**-22))
    assert far.first_divergence is not None
    assert further > above


def test_a_file_that_does_not_say_which_step() -> None:
    found = compare_traces(_file(VALUES), TRACE, names=("old.txt", "c"))
    assert found.first_divergence is None
    assert found.only_in_a == ()
    assert found.only_in_b == ()
    names = [item.quantity for item in found.differences]
    assert names == [quantity.recorded for quantity in QUANTITIES]
    assert all(item.step_index is None for item in found.differences)
    changed = _file({**VALUES, "hkl_frac": (1.0, 2.0, 3.0)})
    first = compare_traces(_file(VALUES), changed).first_divergence
    assert first is not None
    assert (first.quantity, first.a, first.b) == ("hkl_frac", STEP.hkl, (1.0, 2.0, 3.0))


def test_a_file_that_says_which_steps() -> None:
    several = trace(STEP, step(phi_step=1, f_cell=7.0))
    found = compare_traces(trace_texts(several), several)
    assert found.first_divergence is None
    assert len([item for item in found.differences if item.quantity == "F_cell"]) == 2
    first = compare_traces(trace_texts(several), trace(STEP, step(phi_step=1))).first_divergence
    assert first is not None
    assert (first.quantity, first.step_index) == ("F_cell", StepIndex(0, 0, 0, 0, 1, 0))


def test_what_a_file_lacks_is_told() -> None:
    short = _file({name: VALUES[name] for name in ("fast", "slow", "hkl_frac", "polar")})
    found = compare_traces(short, TRACE)
    assert [item.quantity for item in found.differences] == ["hkl_frac", "polar"]
    assert "F_cell" in found.only_in_b
    assert found.only_in_a == ()
    assert compare_traces(TRACE, _without("term", "odet_vec")).only_in_a == ("odet_vec", "term")
    unknown = compare_traces(_file({**VALUES, "my_number": (2.8e-15,)}), TRACE)
    assert unknown.only_in_a == ()
    assert len(unknown.differences) == len(QUANTITIES)


def test_another_number_of_values_differs() -> None:
    changed = _file({**VALUES, "hkl_frac": (1.0, 2.0)})
    first = compare_traces(_file(VALUES), changed).first_divergence
    assert first is not None
    assert (first.quantity, first.distance.absolute) == ("hkl_frac", math.inf)


def test_steps_are_matched_by_their_place() -> None:
    a = trace(step(phi_step=1, hkl=(5.0, 5.0, 5.0)), step())
    b = trace(step(), step(phi_step=1, hkl=(5.0, 5.5, 5.0), f_latt_b=3.0))
    found = compare_traces(a, b)
    first = found.first_divergence
    assert first is not None
    assert (first.quantity, first.step_index) == ("hkl_frac", StepIndex(0, 0, 0, 0, 1, 0))
    maxima = found.maxima()
    assert maxima["max_delta_k"] == 0.5
    assert maxima["max_delta_F_latt_b"] == 0.5
    others = {"max_delta_k", "max_delta_F_latt_b"}
    assert all(value == 0.0 for name, value in maxima.items() if name not in others)


def test_each_step_has_its_deltas() -> None:
    steps = compare_traces(
        trace(STEP, step(phi_step=1, phi_rad=0.25)),
        trace(step(b_m=(3e-10, 8e-9, 4e-10)), step(phi_step=1, phi_rad=0.75, hkl=(0.75, 2.0, 0.0))),
    ).steps()
    assert [item.step_index for item in steps] == [StepIndex(0, 0, 0, 0, n, 0) for n in (0, 1)]
    assert [item.phi_rad for item in steps] == [0.0, 0.25]
    assert [item.agrees for item in steps] == [False, False]
    first, second = ({name: x for name, x in item.deltas.items() if x} for item in steps)
    assert first == {"delta_rot_b_angstroms": pytest.approx(5.0, rel=1e-12)}
    assert second == {"delta_phi_rad": 0.5, "delta_h": 2.0, "delta_k": 0.0625, "delta_l": 8.25}


def test_a_running_sum_does_not_blame_its_step() -> None:
    a, b = trace(STEP, step(phi_step=1)), trace(step(term=1.0), step(phi_step=1, running_sum=2.0))
    assert [item.agrees for item in compare_traces(a, b).steps()] == [False, True]


def test_a_nan_is_infinitely_far() -> None:
    maxima = compare_traces(TRACE, trace(step(hkl=(-1.25, math.nan, -8.25)))).maxima()
    assert (maxima["max_delta_h"], maxima["max_delta_k"]) == (0.0, math.inf)


def test_a_step_that_one_side_cuts() -> None:
    first = compare_traces(trace(STEP, step(phi_step=1)), TRACE).first_divergence
    assert first is not None
    assert (first.quantity, first.stage) == ("is_evaluated", "scattering vector")
    assert (first.step_index, first.a, first.b) == (StepIndex(0, 0, 0, 0, 1, 0), (1.0,), (0.0,))
    # A fault in the detector that moves the pixel beyond the limit is named first.
    moved = trace(pix0_m=(0.2, 0.0, 0.0), steps=())
    first = compare_traces(TRACE, moved).first_divergence
    assert first is not None
    assert first.stage == "detector"


def test_a_pixel_that_is_not_lit() -> None:
    dark = trace(is_active=False, steps=(), pix0_m=(0.0, 0.0, 0.0))
    assert compare_traces(dark, dark).first_divergence is None
    first = compare_traces(TRACE, dark).first_divergence
    assert first is not None
    assert (first.quantity, first.stage, first.a, first.b) == ("is_lit", "detector", (1.0,), (0.0,))


def test_a_file_that_does_not_say_holds_the_first_step() -> None:
    several = trace(step(sub_fast=1, f_cell=7.0), step(phi_step=1, f_cell=6.0), step(f_cell=5.0))
    for records in (several, trace_texts(several)):
        found = compare_traces(_file({**VALUES, "F_cell": (5.0,)}), records)
        assert found.first_divergence is None


@pytest.mark.parametrize("rtol", [-1e-9, math.inf, math.nan])
def test_tolerances_that_mean_nothing(rtol: float) -> None:
    with pytest.raises(ConfigError, match=r"rtol: got .*, need a finite number >= 0"):
        compare_traces(TRACE, TRACE, rtol=rtol)


def test_traces_of_different_pixels() -> None:
    with pytest.raises(ConfigError, match=r"b: \(fast, slow\): got \(20, 10\), need \(10, 20\)"):
        compare_traces(TRACE, trace(fast=20, slow=10))


@pytest.mark.parametrize("fast", [(), (1.5,), (1.0, 2.0), (math.nan,)])
def test_a_file_without_a_pixel(fast: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match=r"a: fast: got .*, need one whole number"):
        compare_traces(_file({**VALUES, "fast": fast}), TRACE)


def test_nothing_in_common() -> None:
    with pytest.raises(ConfigError, match="need a quantity that both have"):
        compare_traces(_file({"fast": (10.0,), "slow": (20.0,)}), TRACE)


def test_a_file_of_several_pixels_or_with_a_step_twice() -> None:
    with pytest.raises(ConfigError, match=r"a: \(fast, slow\): got .*, need one pixel"):
        compare_traces(_file(VALUES, {**VALUES, "fast": (11.0,)}), TRACE)
    with pytest.raises(ConfigError, match="b: steps: got two records without a step"):
        compare_traces(TRACE, _file(VALUES, VALUES))
    with pytest.raises(ConfigError, match="need each step once"):
        compare_traces(TRACE, trace(STEP, STEP))
    with pytest.raises(ConfigError, match="need one pixel"):
        compare_traces([], TRACE)
