"""`ResolvedPlan` and the C header's `nbh_plan_info`, whose members users know by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nanobragg_hybrid.engines.c.numbers import (
    CONVENTION_NUMBERS,
    KERNEL_NUMBERS,
    KERNEL_REASONS,
    PIVOT_NUMBERS,
    WARNING_BITS,
    name_of,
)
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan

OF_CULLING: Final = ("culling_reason", "active_pixels")
"""What only the C engine reads, for a result's provenance."""
_ROI: Final = ("roi_fast_min", "roi_fast_max", "roi_slow_min", "roi_slow_max")


def resolved_plan(info: Mapping[str, Any]) -> ResolvedPlan:
    """The plan, from the members of `nbh_plan_info` by name."""
    values = {name: value for name, value in info.items() if name not in (*_ROI, *OF_CULLING)}
    values["convention"] = name_of(CONVENTION_NUMBERS, info["convention"])
    values["pivot"] = name_of(PIVOT_NUMBERS, info["pivot"])
    values["roi"] = tuple(info[bound] for bound in _ROI)
    values["interpolate"] = info["interpolate"] != 0
    bits = info["warnings"]
    values["warnings"] = tuple(name for name, bit in WARNING_BITS.items() if bits & bit)
    values["kernel"] = name_of(KERNEL_NUMBERS, info["kernel"])
    values["kernel_reason"] = KERNEL_REASONS[info["kernel_reason"]]
    return ResolvedPlan(**values)


def plan_info(plan: ResolvedPlan) -> dict[str, Any]:
    """The members of `nbh_plan_info` by name, in the header's order, as `SimulationResult.info`.

    A plan of an engine without the C library's kernels has no `kernel` and no `kernel_reason`; the
    members of `OF_CULLING` are in no plan.
    """
    info: dict[str, Any] = {}
    for name, value in zip(plan._fields, plan, strict=True):
        match name:
            case "convention":
                info["convention"] = CONVENTION_NUMBERS[plan.convention]
            case "pivot":
                info["pivot"] = PIVOT_NUMBERS[plan.pivot]
            case "roi":
                info.update(zip(_ROI, plan.roi, strict=True))
            case "interpolate":
                info["interpolate"] = int(plan.interpolate)
            case "warnings":
                info["warnings"] = sum(WARNING_BITS[warning] for warning in plan.warnings)
            case "kernel":
                if plan.kernel is not None and plan.kernel in KERNEL_NUMBERS:
                    reasons = {text: number for number, text in KERNEL_REASONS.items()}
                    info["kernel"] = KERNEL_NUMBERS[plan.kernel]
                    info["kernel_reason"] = reasons.get(plan.kernel_reason, 0)
            case "kernel_reason":
                pass  # with the kernel
            case _:
                info[name] = value
    return info
