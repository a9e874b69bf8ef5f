"""The C library's trace of a pixel as the record that every engine fills."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.sampling import Sampling
from nanobragg_hybrid.model.trace import StepTrace, Trace

_STEP_FIELDS: Final = tuple(field.name for field in dataclasses.fields(StepTrace))


def trace_of(
    trace: Mapping[str, Any],
    steps: Iterable[Mapping[str, Any]],
    plan: ResolvedPlan,
    sampling: Sampling,
) -> Trace:
    """From the members of `nbh_trace` and `nbh_step_trace` by name, and the plan."""
    return Trace(
        backend="c",
        fast=trace["fast"],
        slow=trace["slow"],
        is_active=bool(trace["is_active"]),
        pix0_m=plan.pix0_m,
        fast_axis=plan.fast_axis,
        slow_axis=plan.slow_axis,
        normal_axis=plan.normal_axis,
        close_distance_m=plan.close_distance_m,
        a_star_per_angstrom=plan.a_star_per_angstrom,
        b_star_per_angstrom=plan.b_star_per_angstrom,
        c_star_per_angstrom=plan.c_star_per_angstrom,
        i_before_scaling=trace["i_before_scaling"],
        r_e_sqr_m2=trace["r_e_sqr_m2"],
        fluence_photons_per_m2=trace["fluence_photons_per_m2"],
        step_count=plan.steps,
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
