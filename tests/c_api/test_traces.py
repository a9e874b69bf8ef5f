"""nbh_plan_trace_steps: choices, capacity, cancelling and errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from nanobragg_hybrid.model.trace import STEP_INDICES

Create = Callable[..., tuple[int, Any, Any]]
COUNTS = (2, 2, 2, 3, 2, 2)
"""Layers, sub-pixels twice, sources, phi steps, domains."""


@pytest.fixture
def loops(cubic: Any) -> Any:
    """An experiment in which every loop runs more than once."""
    cubic.detector.sensor_thickness_m = 3e-4
    cubic.detector.sensor_layers = 2
    cubic.sampling.oversample = 2
    cubic.beam.dispersion_fraction = 0.01
    cubic.beam.dispersion_steps = 3
    cubic.goniometer.osc_rad = 0.01
    cubic.goniometer.phi_steps = 2
    cubic.crystal.mosaic_spread_rad = 0.01
    cubic.crystal.mosaic_domains = 2
    return cubic


@dataclass
class Traced:
    status: int
    count: int
    steps: Any
    trace: Any
    error: Any


@pytest.fixture
def trace_steps(ffi: Any, lib: Any, create_plan: Create) -> Callable[..., Traced]:
    def call(
        experiment: Any,
        choice: dict[str, int] | None = None,
        capacity: int = 1000,
        pixel: tuple[int, int] = (2, 3),
        cancel: int | None = None,
    ) -> Traced:
        status, plan, error = create_plan(experiment)
        assert status == lib.NBH_OK
        steps = ffi.new("nbh_step_trace[]", 1000)
        count, trace = ffi.new("int64_t *"), ffi.new("nbh_trace *")
        flag = ffi.NULL if cancel is None else ffi.new("int32_t *", cancel)
        chosen = ffi.NULL
        if choice is not None:
            chosen = ffi.new("nbh_step_choice *", {**dict.fromkeys(STEP_INDICES, -1), **choice})
        status = lib.nbh_plan_trace_steps(
            plan, *pixel, chosen, capacity, steps, count, flag, trace, error
        )
        return Traced(status, count[0], steps, trace, error)

    return call


def _places(traced: Traced, recorded: int) -> list[tuple[int, ...]]:
    return [tuple(getattr(traced.steps[n], name) for name in STEP_INDICES) for n in range(recorded)]


def test_all_steps_in_serial_order(lib: Any, loops: Any, trace_steps: Any) -> None:
    traced = trace_steps(loops)
    every = list(itertools.product(*map(range, COUNTS)))
    assert (traced.status, traced.count) == (lib.NBH_OK, len(every))
    assert _places(traced, traced.count) == every
    assert traced.steps[traced.count - 1].running_sum == traced.trace.i_before_scaling
    total = 0.0
    for n in range(traced.count):
        step = traced.steps[n]
        assert step.term == step.f_cell * step.f_cell * step.f_latt * step.f_latt
        total += step.term
        assert step.running_sum == total
        assert step.obliquity == traced.trace.close_distance_m / step.airpath_m
    first, last = traced.trace.first, traced.trace.last
    assert (first.running_sum, last.running_sum) == (traced.steps[0].running_sum, total)
    assert first.solid_angle_sr == traced.trace.omega_sr


@pytest.mark.parametrize("name", STEP_INDICES)
def test_choice_and_capacity(lib: Any, loops: Any, trace_steps: Any, name: str) -> None:
    axis = STEP_INDICES.index(name)
    wanted = [step for step in itertools.product(*map(range, COUNTS)) if step[axis] == 1]
    traced = trace_steps(loops, {name: 1}, capacity=7)
    assert (traced.status, traced.count) == (lib.NBH_OK, len(wanted))
    assert _places(traced, 7) == wanted[:7]
    assert traced.steps[7].airpath_m == 0.0  # not written


def test_a_single_step_and_none(lib: Any, loops: Any, trace_steps: Any) -> None:
    last = dict(zip(STEP_INDICES, (n - 1 for n in COUNTS), strict=True))
    one = trace_steps(loops, last)
    assert (one.count, _places(one, 1)) == (1, [tuple(last.values())])
    assert trace_steps(loops, capacity=0).count == 96
    loops.sampling.roi_fast_min = 3
    outside = trace_steps(loops)
    assert (outside.status, outside.count, outside.trace.is_active) == (lib.NBH_OK, 0, 0)
    loops.sampling.roi_fast_min = 0
    loops.sampling.dmin_m = 1e-6
    cut = trace_steps(loops)
    assert (cut.status, cut.count, cut.trace.evaluated) == (lib.NBH_OK, 0, 0)


@pytest.mark.parametrize(("name", "count"), [*zip(STEP_INDICES, COUNTS, strict=True)])
def test_indices_must_exist(
    ffi: Any, lib: Any, loops: Any, trace_steps: Any, name: str, count: int
) -> None:
    for refused in (-2, count):
        traced = trace_steps(loops, {name: refused})
        assert traced.status == lib.NBH_INVALID
        assert ffi.string(traced.error.field).decode() == f"choice.{name}"
        message = ffi.string(traced.error.message).decode()
        assert message == f"got {refused}, need 0 to {count - 1}, or -1 for any"
    for accepted in (-1, count - 1):
        assert trace_steps(loops, {name: accepted}).status == lib.NBH_OK


def test_pixel_must_exist(ffi: Any, lib: Any, loops: Any, trace_steps: Any) -> None:
    traced = trace_steps(loops, pixel=(8, 0))
    assert (traced.status, traced.count) == (lib.NBH_INVALID, 0)
    assert ffi.string(traced.error.field) == b"pixel"
    assert trace_steps(loops, pixel=(7, 5)).status == lib.NBH_OK


def test_cancelled(lib: Any, loops: Any, trace_steps: Any) -> None:
    cancelled = trace_steps(loops, cancel=1)
    assert (cancelled.status, cancelled.count) == (lib.NBH_CANCELLED, 0)
    assert trace_steps(loops, cancel=0).count == 96
