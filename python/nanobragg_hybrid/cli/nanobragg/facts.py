"""The numbers that describe a run, by the names under which golden/cases.json keeps them.

Lengths are in metres unless the name says otherwise, angles in degrees, cells in angstrom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from nanobragg_hybrid.base.units import RTD
from nanobragg_hybrid.model.conventions import convention_name, pivot_name

if TYPE_CHECKING:
    from nanobragg_hybrid.arguments.command import Command
    from nanobragg_hybrid.model.result import SimulationResult
    from nanobragg_hybrid.run.picture_parts import ImageParts, NoiseParts

_PIVOT_WORDS = {"beam": "direct beam spot", "sample": "sample"}


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
        **plan_facts(result.info, misset_random=command.experiment.crystal.misset_random),
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


def plan_facts(info: Mapping[str, Any], *, misset_random: bool) -> dict[str, Any]:
    """The facts that are known before the image is rendered; `info` is that of the plan."""
    known = {
        "convention": convention_name(info["convention"]),
        "pivot": _PIVOT_WORDS[pivot_name(info["pivot"])],
        "unit_cell": _cell(info["cell_length_angstrom"], info["cell_angle_rad"]),
        "reciprocal_cell": _cell(
            info["reciprocal_length_per_angstrom"], _reported_reciprocal_angles(info)
        ),
        "volume_A3": info["cell_volume_angstrom3"],
        "oversample": info["oversample"],
        "sources": info["source_count"],
        "mosaic_domains": info["mosaic_domains"],
        "phi_steps": info["phi_steps"],
        "cells": list(info["n_cells"]),
        "fluence": info["fluence_photons_per_m2"],
        "distance_m": info["distance_m"],
        "detector": [info["n_fast"], info["n_slow"]],
        "sensor": [
            info["sensor_thickness_m"],
            info["sensor_layers"],
            # A coefficient that was not given is printed as -1.
            max(info["sensor_attenuation_per_m"], -1.0),
        ],
        "Xbeam_Ybeam": [info["beam_x_m"], info["beam_y_m"]],
        "Fbeam_Sbeam": [info["beam_fast_m"], info["beam_slow_m"]],
        "Fclose_Sclose": [info["close_fast_m"], info["close_slow_m"]],
        "fdet": list(info["fast_axis"]),
        "sdet": list(info["slow_axis"]),
        "odet": list(info["normal_axis"]),
        "dials_origin": list(info["dials_origin_mm"]),
    }
    if misset_random:
        known["misset_deg"] = [angle * RTD for angle in info["misset_rad"]]
    return known


def _cell(lengths: Any, angles_rad: Any) -> list[float]:
    return [*lengths, *(angle * RTD for angle in angles_rad)]


def _reported_reciprocal_angles(info: Mapping[str, Any]) -> list[float]:
    """Reciprocal angles as nanoBragg prints them, radians.

    Their sines come from the volume and their cosines from the vectors, which differ by the quirk
    triclinic_cell; `info` has the angles between the vectors.  NaN for vectors without a length.
    """
    lengths = info["reciprocal_length_per_angstrom"]
    angles = []
    for n in range(3):
        sine, angle = info["cell_length_angstrom"][n], info["reciprocal_angle_rad"][n]
        for divisor in (
            info["cell_volume_angstrom3"],
            lengths[(n + 1) % 3],
            lengths[(n + 2) % 3],
        ):
            sine = sine / divisor if divisor != 0.0 else math.nan
        cosine = math.cos(angle) if math.isfinite(angle) else math.nan
        angles.append(math.atan2(min(sine, 1.0), cosine))
    return angles
