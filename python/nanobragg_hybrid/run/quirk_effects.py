"""Which quirks could have changed an image."""

from __future__ import annotations

import math
from typing import Final

from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan

_AS_WARNED: Final = (
    "impossible_cell",
    "impossible_sources",
    "cell_beside_matrix",
    "step_and_count",
    "count_alone",
    "missing_last_source",
    "osc_overshoot",
)
"""Quirks that make a plan warn wherever they have an effect."""


def quirks_that_mattered(
    experiment: Experiment, quirks: Quirks, plan: ResolvedPlan
) -> tuple[str, ...]:
    """Names of the quirks that are on and could have changed the pixel values, in ledger order.

    `experiment` is as the user gave it, before missing seeds were filled in.  Quirks of the command
    line and of file readers act before there is an experiment, and quirks of reports and headers
    change no pixel: they are never named.
    """
    could = _image_effects(experiment, quirks, plan)
    return tuple(name for name in quirks.names_on if could.get(name, False))


def _image_effects(experiment: Experiment, quirks: Quirks, plan: ResolvedPlan) -> dict[str, bool]:
    beam, crystal, detector = experiment.beam, experiment.crystal, experiment.detector
    sampling = experiment.sampling
    first = 0.0 if quirks.phi_left_edge or plan.osc_rad == 0.0 else 0.5
    phi = [plan.phi_rad + plan.phi_step_rad * (first + n) for n in range(plan.phi_steps)]
    cuts_sub_pixels = sampling.dmin_angstrom > 0.0 and plan.oversample > 1
    layers, thickness = plan.sensor_layers, plan.sensor_thickness_m
    weights = {source.weight for source in beam.sources or ()}
    right_angles = crystal.cell_deg.count(90.0)
    is_custom = plan.convention == "custom"
    return {
        "phi_carryover": 0.0 in phi and any(phi),
        "oversample_running_product": (
            sampling.oversample_thick or sampling.oversample_polar or sampling.oversample_omega
        ),
        "thick_last_layer": layers > 1 and not sampling.oversample_thick,
        "polar_first_source": (
            (plan.source_count > 1 or cuts_sub_pixels)
            and beam.polarization_correction
            and not sampling.oversample_polar
        ),
        "interpolation_latch": plan.interpolate,
        "water_background": crystal.water_um != 0.0,
        "layer_overshoot": plan.sensor_layer_step_m * layers != thickness,
        "curved_detector_axes": detector.curved,
        "source_weights_ignored": len(weights) > 1,
        "triclinic_cell": (
            crystal.cell_angstrom is not None
            and crystal.orientation_matrix is None
            and right_angles < 2
        ),
        "misset_random_radians": crystal.misset_random,
        "misset_seed_default": (
            crystal.misset_random
            and crystal.misset_seed is None
            and experiment.output.noise_seed is not None
        ),
        "custom_convention_switch": is_custom and detector.convention != "custom",
        "pivot_flag_ignored": detector.pivot not in (None, plan.pivot),
        "pix0_ignored": detector.pix0_m is not None,
        "near_point_ignored": _a_centre_is_ignored(experiment, plan, is_custom),
        "phi_left_edge": plan.osc_rad > 0.0,
        "ratio_before_twotheta": (
            plan.twotheta_rad != 0.0 and (detector.curved or _oversampling_is_chosen(experiment))
        ),
        "normal_towards_source": _points_at_the_source(experiment, plan),
        "curved_flat_factors": (detector.curved and (thickness > 0.0 or not detector.point_pixel)),
        "twotheta_axis_length": (
            plan.twotheta_rad != 0.0 and abs(math.hypot(*plan.twotheta_axis) - 1.0) > 1e-15
        ),
        "point_pixel_area": detector.point_pixel,
        "first_deviate": crystal.misset_random
        or (plan.mosaic_domains > 1 and crystal.mosaic_rotations is None),
        "no_sensor_is_black": "no_sensor_is_black" in plan.warnings,
        "first_subpixel_factors": _samples_share_a_factor(experiment, plan),
        "polarization_unchecked": bool(
            {"polarization_factor", "polarization_axis"} & set(plan.warnings)
        ),
        "nopolar_undone": sampling.oversample_polar and not beam.polarization_correction,
        "beam_clips_y_and_z": _the_beam_clips_otherwise(experiment, plan),
        **{name: name in plan.warnings for name in _AS_WARNED},
    }


def _oversampling_is_chosen(experiment: Experiment) -> bool:
    """Whether the number of sub-pixels follows from the distance (model 4.5)."""
    return experiment.sampling.oversample is None


def _points_at_the_source(experiment: Experiment, plan: ResolvedPlan) -> bool:
    """Whether the detector's normal does, or may have done so before the detector was turned."""
    detector = experiment.detector
    along_beam = sum(b * o for b, o in zip(plan.beam_direction, plan.normal_axis, strict=True))
    is_behind = plan.distance_m < 0.0 or along_beam < 0.0
    if not any(detector.rotation_deg) and plan.twotheta_rad == 0.0:
        return is_behind
    vectors = (experiment.beam.direction, detector.fast_axis, detector.slow_axis)
    has_its_own = any(vector is not None for vector in (*vectors, detector.normal_axis))
    # Turned about the sample, a detector may well be behind it.
    is_odd = is_behind and (plan.pivot == "beam" or detector.curved)
    return plan.close_distance_m < 0.0 or has_its_own or is_odd


def _the_beam_clips_otherwise(experiment: Experiment, plan: ResolvedPlan) -> bool:
    """Whether across the beam a crystal would be cut to another size than in y and z (model 2)."""
    beam = experiment.beam.beam_size_mm
    if beam < 0.0:
        return False
    for axis, size in enumerate(experiment.crystal.size_mm):
        others = (b for n, b in enumerate(plan.beam_direction) if n != axis)
        across = math.hypot(*others)
        limits = (math.inf if axis == 0 else beam, beam / across if across > 0.0 else math.inf)
        if size is not None and min(size, limits[0]) != min(size, limits[1]):
            return True
    return False


def _samples_share_a_factor(experiment: Experiment, plan: ResolvedPlan) -> bool:
    """Whether sub-pixels, or those of the layers, have no factor of their own; water never has."""
    sampling = experiment.sampling
    shared = (
        not sampling.oversample_omega
        or (experiment.beam.polarization_correction and not sampling.oversample_polar)
        or (plan.sensor_thickness_m > 0.0 and not sampling.oversample_thick)
        or experiment.crystal.water_um > 0.0
    )
    return shared and (plan.oversample > 1 or plan.sensor_layers > 1)


def _a_centre_is_ignored(experiment: Experiment, plan: ResolvedPlan, is_custom: bool) -> bool:
    """Whether a beam centre or near point was given that model 3 does not use."""
    detector = experiment.detector

    def given(*names: str) -> bool:
        return any(getattr(detector, name) is not None for name in names)

    beam_given = given("beam_x_mm", "beam_y_mm")
    close_given = given("close_x_mm", "close_y_mm")
    near_given = close_given or given("org_x_px", "org_y_px")
    if is_custom:
        # Takes one for the other, which is another point unless the beam is along the normal.
        is_tilted = plan.beam_direction != plan.normal_axis
        is_other = near_given if plan.pivot == "beam" else beam_given
        return (beam_given and near_given) or (is_tilted and is_other)
    if plan.pivot == "beam":
        return near_given
    return beam_given or close_given
