"""Trace lines: what is written, what is read back, and what is refused."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from nanobragg_hybrid.base.errors import FileFormatError
from nanobragg_hybrid.formats.trace_text import TraceText, format_trace, parse_trace, trace_texts
from nanobragg_hybrid.model.trace import QUANTITIES, STEP_INDICES, StepTrace, Trace


def _filled(cls: type, start: float) -> dict[str, Any]:
    """A value of the right type for each field, every number another one."""
    values: dict[str, Any] = {}
    for n, field in enumerate(dataclasses.fields(cls)):
        number = start + n + 1.0 / 3.0
        values[field.name] = {
            "int": int(number),
            "bool": n % 2 == 0,
            "str": "c",
            "Vector": (number, -number, 1e-12 * number),
            "float": number,
        }.get(str(field.type))
    return values


def trace(step_count: int, **changes: Any) -> Trace:
    steps = tuple(StepTrace(**_filled(StepTrace, 100.0 * n)) for n in range(step_count))
    values = {**_filled(Trace, 1000.0), "steps": steps, "is_active": True, **changes}
    return Trace(**values)


def test_every_number_is_written_and_read_back() -> None:
    written = trace(1)
    lines = format_trace(written)
    assert all(line.startswith("TRACE_C: ") for line in lines)
    (text,) = parse_trace("\n".join(lines), "t")
    names = ["fast", "slow", *STEP_INDICES, *(item.recorded for item in QUANTITIES)]
    assert list(text.values) == names
    for item in QUANTITIES:
        value = getattr(written if item.of == "pixel" else written.steps[0], item.name)
        need = [x * item.factor for x in (value if isinstance(value, tuple) else (value,))]
        assert text.values[item.recorded] == pytest.approx(need, rel=1e-14, abs=0.0)
    (exact,) = trace_texts(written)
    assert exact.values["rot_a_angstroms"] == tuple(x * 1e10 for x in written.steps[0].a_m)
    assert (exact.values["layer"], exact.values["fast"]) == ((0.0,), (float(written.fast),))


def test_one_record_for_each_step() -> None:
    written = trace(3)
    texts = parse_trace("\n".join(format_trace(written)), "t")
    assert [text.values["layer"] for text in texts] == [(0.0,), (100.0,), (200.0,)]
    assert len({text.values["fast"] for text in texts}) == 1


def test_without_steps_only_the_pixel_is_written() -> None:
    (text,) = trace_texts(trace(0))
    assert list(text.values) == [
        "fast",
        "slow",
        *(item.recorded for item in QUANTITIES if item.of == "pixel"),
    ]
    dark = trace(0, is_active=False, fast=3, slow=4)
    assert format_trace(dark) == ["TRACE_C: fast 3", "TRACE_C: slow 4"]


@pytest.mark.parametrize(
    ("backend", "tag", "start"),
    [
        ("c", None, "TRACE_C: "),
        ("torch", None, "TRACE_PY: "),
        ("reference", None, "TRACE_REFERENCE: "),
        ("c", "MINE", "TRACE_MINE: "),
    ],
)
def test_tag(backend: str, tag: str | None, start: str) -> None:
    assert format_trace(trace(0, backend=backend), tag)[0].startswith(start)


def test_integers_have_no_sign_of_zero_and_numbers_have_15_digits() -> None:
    step = dataclasses.replace(trace(1).steps[0], hkl_rounded=(-0.0, 2.0, -3.0), term=-0.0)
    lines = format_trace(trace(0, steps=(step,), pixel_value=2.0 / 3.0))
    assert "TRACE_C: hkl_rounded 0 2 -3" in lines
    assert "TRACE_C: term -0" in lines
    assert "TRACE_C: I_pixel_final 0.666666666666667" in lines


def test_logs_of_other_programs() -> None:
    text = """
some words
TRACE_C: R_distance_meters 0.1
 TRACE_PY: R_distance_meters 0.2
TRACE_C: spindle 1 0 0
TRACE_C: note in words
TRACE_C:    hkl_frac  1 nan -inf
TRACE_PY_PHI phi_tic=0
TRACE_C: R_distance_meters 0.3
"""
    first, other, second = parse_trace(text, "t")
    assert first.tag == "C"
    assert list(first.values) == ["R_distance_meters", "spindle", "hkl_frac"]
    assert first.values["spindle"] == (1.0, 0.0, 0.0)
    assert math.isnan(first.values["hkl_frac"][1])
    assert other == TraceText("PY", {"R_distance_meters": (0.2,)})
    assert second == TraceText("C", {"R_distance_meters": (0.3,)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t: has no line like 'TRACE_C: name values'"),
        ("TRACE_C hkl_frac 1 2 3\n", "t: has no line like 'TRACE_C: name values'"),
        ("\nTRACE_C: hkl_frac 1 2\n", "t:2: hkl_frac: got 2 numbers, need 3"),
        ("TRACE_C: polar 1 2\n", "t:1: polar: got 2 numbers, need 1"),
        ("TRACE_C: polar\n", "t:1: polar: got 0 numbers, need 1"),
        ("TRACE_C: unheard_of\n", "t:1: unheard_of: got 0 numbers, need 1"),
        ("TRACE_C: polar 0.5 x\n", "t:1: polar: got '0.5 x', need numbers"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        parse_trace(text, "t")
    assert str(caught.value) == message
