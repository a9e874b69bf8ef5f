"""The numbers that describe a run, by the names under which golden/cases.json keeps them.

Lengths are in metres unless the name says otherwise, angles in degrees, cells in angstrom.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from nanobragg_hybrid.base.units import rad_to_deg

if TYPE_CHECKING:
    from nanobragg_hybrid.arguments.command import Command
    from nanobragg_hybrid.model.conventions import Pivot
    from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
    from nanobragg_hybrid.model.result import SimulationResult
    from nanobragg_hybrid.run.pictures import ImageParts, NoiseParts


class Images(NamedTuple):
    """The images made of a result; None if the command did not want one."""

    integer: ImageParts
    pgm: ImageParts | None = None
    noise: NoiseParts | None = None


def facts(
    result: SimulationResult, command: Command, images: Images, reflections: int
) -> dict[str, Any]:
    """All facts of a finished run; `reflections` counts those read from a file."""
    statistics = result.statistics
    return {
        **plan_facts(result.plan, misset_random=command.experiment.crystal.misset_random),
        "solid_angle": statistics.solid_angle_sr,
        "max_I": [statistics.max, statistics.max_fast_m, statistics.max_slow_m],
        "mean_rms_rmsd": [statistics.mean, statistics.rms, statistics.rmsd],
        "intfile_scale": images.integer.scale_used,
        "pgm_scale": None if images.pgm is None else images.pgm.scale_used,
        "photons_overloads": (
            None if images.noise is None else [images.noise.photons, images.noise.overloads]
        ),
        "hkls": reflections,
    }


def plan_facts(plan: ResolvedPlan, *, misset_random: bool) -> dict[str, Any]:
    """The facts that are known before the image is rendered."""
    known = {
        "convention": plan.convention,
        "pivot": _pivot_text(plan.pivot),
        "unit_cell": _cell(plan.cell_length_angstrom, plan.cell_angle_rad),
        "reciprocal_cell": _cell(
            plan.reciprocal_length_per_angstrom, _reported_reciprocal_angles(plan)
        ),
        "volume_A3": plan.cell_volume_angstrom3,
        "oversample": plan.oversample,
        "sources": plan.source_count,
        "mosaic_domains": plan.mosaic_domains,
        "phi_steps": plan.phi_steps,
        "cells": list(plan.n_cells),
        "fluence": plan.fluence_photons_per_m2,
        "distance_m": plan.distance_m,
        "detector": [plan.n_fast, plan.n_slow],
        "sensor": [
            plan.sensor_thickness_m,
            plan.sensor_layers,
            # A coefficient that was not given is printed as -1.
            max(plan.sensor_attenuation_per_m, -1.0),
        ],
        "Xbeam_Ybeam": [plan.beam_x_m, plan.beam_y_m],
        "Fbeam_Sbeam": [plan.beam_fast_m, plan.beam_slow_m],
        "Fclose_Sclose": [plan.close_fast_m, plan.close_slow_m],
        "fdet": list(plan.fast_axis),
        "sdet": list(plan.slow_axis),
        "odet": list(plan.normal_axis),
        "dials_origin": list(plan.dials_origin_mm),
    }
    if misset_random:
        known["misset_deg"] = [rad_to_deg(angle) for angle in plan.misset_rad]
    return known


def _pivot_text(pivot: Pivot) -> str:
    match pivot:
        case "beam":
            return "direct beam spot"
        case "sample":
            return "sample"
        case other:
            assert_never(other)


def _cell(lengths: Any, angles_rad: Any) -> list[float]:
    return [*lengths, *(rad_to_deg(angle) for angle in angles_rad)]


def _reported_reciprocal_angles(plan: ResolvedPlan) -> list[float]:
    """Reciprocal angles as nanoBragg prints them, radians.

    Their sines come from the volume and their cosines from the vectors, which differ by the quirk
    triclinic_cell; the plan has the angles between the vectors.  NaN for vectors without a length.
    """
    lengths = plan.reciprocal_length_per_angstrom
    angles = []
    for n in range(3):
        sine, angle = plan.cell_length_angstrom[n], plan.reciprocal_angle_rad[n]
        for divisor in (
            plan.cell_volume_angstrom3,
            lengths[(n + 1) % 3],
            lengths[(n + 2) % 3],
        ):
            sine = sine / divisor if divisor != 0.0 else math.nan
        cosine = math.cos(angle) if math.isfinite(angle) else math.nan
        angles.append(math.atan2(min(sine, 1.0), cosine))
    return angles
