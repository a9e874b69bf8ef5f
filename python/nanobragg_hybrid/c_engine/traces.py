"""The C library's trace of a pixel as the record that every engine fills."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..config import Sampling
from ..trace_record import StepTrace, Trace

_STEP_FIELDS: Final = tuple(field.name for field in dataclasses.fields(StepTrace))


def trace_of(
    trace: Mapping[str, Any],
    steps: Iterable[Mapping[str, Any]],
    info: Mapping[str, Any],
    sampling: Sampling,
) -> Trace:
    """From the members of `nbh_trace`, `nbh_step_trace` and `nbh_plan_info` by name."""
    return Trace(
        backend="c",
        fast=trace["fast"],
        slow=trace["slow"],
        is_lit=bool(trace["is_active"]),
        pix0_m=info["pix0_m"],
        fast_axis=info["fast_axis"],
        slow_axis=info["slow_axis"],
        normal_axis=info["normal_axis"],
        close_distance_m=info["close_distance_m"],
        a_star_per_angstrom=info["a_star_per_angstrom"],
        b_star_per_angstrom=info["b_star_per_angstrom"],
        c_star_per_angstrom=info["c_star_per_angstrom"],
        i_before_scaling=trace["i_before_scaling"],
        r_e_sqr_m2=trace["r_e_sqr_m2"],
        fluence_photons_per_m2=trace["fluence_photons_per_m2"],
        step_count=info["steps"],
        oversample_thick=sampling.oversample_thick,
        oversample_polar=sampling.oversample_polar,
        oversample_omega=sampling.oversample_omega,
        capture_fraction=trace["capture_fraction"],
        polarization=trace["polarization"],
        omega_sr=trace["omega_sr"],
        cos_2theta=trace["cos_2theta"] if trace["evaluated"] else math.nan,
        pixel_value=trace["pixel_value"],
        pixel_float=trace["pixel_float"],
        steps=tuple(StepTrace(**{name: step[name] for name in _STEP_FIELDS}) for step in steps),
    )
