"""What the plan chose, in the fields of an experiment (model 2 to 5)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from nanobragg_hybrid.base.units import (
    attenuation_depth_um_to_per_m,
    deg_to_rad,
    exact_inverse,
    fraction_to_percent,
    m_to_mm,
    m_to_um,
    mm_to_m,
    mrad_to_rad,
    percent_to_fraction,
    rad_to_deg,
    rad_to_mrad,
    um_to_m,
)
from nanobragg_hybrid.engines.c.engine import CEngine
from nanobragg_hybrid.model.beam import Beam
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.detector import Detector
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.goniometer import Goniometer
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.sampling import Sampling
from nanobragg_hybrid.model.structure_factors import StructureFactors


def resolved_from_plan(experiment: Experiment, plan: ResolvedPlan, quirks: Quirks) -> Experiment:
    """The experiment with its "choose for me" fields filled from the plan.

    The result renders to the same image with
    the same quirks, and so these stay None where they were:

    - a range, step or layer count that given explicitly would mean something else, or that no
      number in its unit gives to the last bit while the rule finds it again: `phi_step_deg`, the
      divergence steps, `dispersion_percent` with steps but no range, `sensor_layers` when two
      layers were chosen (model 5.1);
    - `n_fast`, `n_slow` if the size is no whole number of pixels, because a count replaces the size
      (model 2; `Detector.shape` has the counts);
    - `beam_x_mm`, `beam_y_mm` with the quirk near_point_ignored off, if the near point places the
      detector;
    - `close_distance_mm` of a tilted detector, which follows from `distance_mm` and the tilt
      (model 3; `SimulationResult.geometry` has it);
    - the vectors, which the convention names: giving one would select the custom convention;
    - the centre in forms other than `beam_x_mm`, `beam_y_mm`;
    - `interpolate` if it depends on a table of structure factors being there;
    - seeds.

    Values go back to user units exactly: the number is the one whose conversion (model 2) gives the
    plan's bits.  For a beam centre that was chosen there is no such number in about one case in
    forty; then it is the nearest, and the centre is off by a unit in the last place.
    """
    return dataclasses.replace(
        experiment,
        beam=_beam(experiment.beam, plan),
        crystal=_crystal(experiment.crystal, plan),
        goniometer=_goniometer(experiment.goniometer, plan),
        detector=_detector(experiment.detector, plan, quirks),
        sampling=_sampling(experiment, plan),
    )


def resolved(experiment: Experiment, quirks: Quirks | None = None) -> Experiment:
    """The experiment with its "choose for me" fields filled; see `Experiment.resolved`."""
    quirks = quirks_or_all(quirks)
    if experiment.detector.panels is not None:
        return _resolved_panels(experiment, quirks)
    run = CEngine().prepare(experiment, StructureFactors.constant(0.0), quirks)
    return resolved_from_plan(experiment, run.plan, quirks)


def _resolved_panels(experiment: Experiment, quirks: Quirks) -> Experiment:
    """The same for a detector of panels: what is of the beam, the crystal and the spindle, the
    sensors, and `oversample` where all panels choose the same."""
    panels = experiment.detector.panels or ()
    each = [resolved(experiment.of_panel(n, quirks), quirks) for n in range(len(panels))]
    first = each[0]
    oversample = {one.sampling.oversample for one in each}
    sampling = dataclasses.replace(first.sampling, roi=None)
    if len(oversample) > 1:
        sampling = dataclasses.replace(sampling, oversample=None)
    detector = dataclasses.replace(
        experiment.detector,
        panels=tuple(
            dataclasses.replace(
                panel,
                **{
                    name: getattr(one.detector, name)
                    for name in (
                        "sensor_thickness_um",
                        "sensor_attenuation_depth_um",
                        "sensor_layers",
                    )
                },
                roi=one.sampling.roi,
            )
            for panel, one in zip(panels, each, strict=True)
        ),
    )
    return dataclasses.replace(
        experiment,
        beam=first.beam,
        crystal=first.crystal,
        goniometer=first.goniometer,
        detector=detector,
        sampling=sampling,
    )


def _beam(beam: Beam, plan: ResolvedPlan) -> Beam:
    changes: dict[str, Any] = {"fluence_photons_per_m2": plan.fluence_photons_per_m2}
    for axis in ("h", "v"):
        count, span, step = (
            getattr(plan, f"divergence_{axis}_steps"),
            getattr(plan, f"divergence_{axis}_rad"),
            getattr(plan, f"divergence_{axis}_step_rad"),
        )
        changes[f"divergence_{axis}_steps"] = count
        changes[f"divergence_{axis}_mrad"] = _filled(
            getattr(beam, f"divergence_{axis}_mrad"), mrad_to_rad, span, rad_to_mrad(span)
        )
        given_step = getattr(beam, f"divergence_{axis}_step_mrad")
        if span > 0.0 and (count == 1 or step != span / (count - 1)):
            given_step = _filled(given_step, mrad_to_rad, step, rad_to_mrad(step))
        changes[f"divergence_{axis}_step_mrad"] = given_step
    fraction, count = plan.dispersion_fraction, plan.dispersion_steps
    # Without a range the step is range/count, which no range and count give again.
    if beam.spectrum is not None:
        pass  # it has the wavelengths
    elif fraction == 0.0 or (count > 1 and plan.dispersion_step == fraction / (count - 1)):
        changes["dispersion_steps"] = count
        changes["dispersion_percent"] = _filled(
            beam.dispersion_percent, percent_to_fraction, fraction, fraction_to_percent(fraction)
        )
    return dataclasses.replace(beam, **changes)


def _crystal(crystal: Crystal, plan: ResolvedPlan) -> Crystal:
    if crystal.mosaic_rotations is not None:
        return crystal
    spread = plan.mosaic_spread_rad
    return dataclasses.replace(
        crystal,
        mosaic_spread_deg=_filled(
            crystal.mosaic_spread_deg, deg_to_rad, spread, rad_to_deg(spread)
        ),
        mosaic_domains=plan.mosaic_domains,
    )


def _goniometer(goniometer: Goniometer, plan: ResolvedPlan) -> Goniometer:
    count, span, step = plan.phi_steps, plan.osc_rad, plan.phi_step_rad
    step_deg = goniometer.phi_step_deg
    if step_deg is None:
        step_deg = exact_inverse(deg_to_rad, step, rad_to_deg(step))
    if step_deg is None and step != span / count:
        step_deg = rad_to_deg(step)
    return dataclasses.replace(
        goniometer,
        osc_deg=_filled(goniometer.osc_deg, deg_to_rad, span, rad_to_deg(span)),
        phi_steps=count,
        phi_step_deg=step_deg,
    )


def _detector(detector: Detector, plan: ResolvedPlan, quirks: Quirks) -> Detector:
    changes: dict[str, Any] = {
        "convention": plan.convention,
        "pivot": plan.pivot,
    }
    lengths = ["size_fast", "size_slow"]
    if quirks.near_point_ignored or _beam_centre_places(detector, changes["pivot"]):
        lengths += ["beam_x", "beam_y"]
    for name in lengths:
        length = getattr(plan, f"{name}_m")
        given = getattr(detector, f"{name}_mm")
        changes[f"{name}_mm"] = _filled(given, mm_to_m, length, m_to_mm(length))
    for axis, edge_m in (("fast", plan.pixel_size_m), ("slow", plan.pixel_size_slow_m)):
        pixels = getattr(plan, f"n_{axis}")
        if edge_m * pixels == getattr(plan, f"size_{axis}_m"):
            changes[f"n_{axis}"] = pixels
    upright = plan.close_distance_m == plan.distance_m == mm_to_m(detector.distance_mm)
    if upright and detector.close_distance_mm is None:
        changes["close_distance_mm"] = detector.distance_mm
    changes.update(_sensor(detector, plan, quirks))
    return dataclasses.replace(detector, **changes)


def _beam_centre_places(detector: Detector, pivot: str) -> bool:
    """Whether, with near_point_ignored off, giving the beam centre changes nothing."""
    near = (detector.close_x_mm, detector.close_y_mm, detector.org_x_px, detector.org_y_px)
    if any(value is not None for value in near):
        return False
    return pivot == "beam" or (detector.beam_x_mm, detector.beam_y_mm) != (None, None)


def _sensor(detector: Detector, plan: ResolvedPlan, quirks: Quirks) -> dict[str, Any]:
    count, thickness = plan.sensor_layers, plan.sensor_thickness_m
    changes: dict[str, Any] = {}
    # With the quirk layer_overshoot on, two layers that were chosen are thickness/2 each, and two
    # that were asked for are thickness each.
    spaces = max(count - 1, 1) if quirks.layer_overshoot else count
    if plan.sensor_layer_step_m == thickness / spaces:
        changes["sensor_layers"] = count
        changes["sensor_thickness_um"] = _filled(
            detector.sensor_thickness_um, um_to_m, thickness, m_to_um(thickness)
        )
    attenuation = plan.sensor_attenuation_per_m
    if detector.sensor_attenuation_depth_um is None and attenuation > 0.0:
        changes["sensor_attenuation_depth_um"] = exact_inverse(
            attenuation_depth_um_to_per_m, attenuation, 1e6 / attenuation
        )
    return changes


def _sampling(experiment: Experiment, plan: ResolvedPlan) -> Sampling:
    sampling = experiment.sampling
    changes: dict[str, Any] = {"oversample": plan.oversample}
    if sampling.interpolate is None:
        by_table = not plan.interpolate and min(experiment.crystal.n_cells) <= 2.0
        changes["interpolate"] = None if by_table else plan.interpolate
    roi = plan.roi
    if roi[0] <= roi[1] and roi[2] <= roi[3]:
        changes["roi"] = roi
    return dataclasses.replace(sampling, **changes)


def _filled(
    given: float | None, convert: Callable[[float], float], target: float, guess: float
) -> float:
    """What was given if the plan uses it, else the number that means `target`, or the nearest."""
    if given is not None and convert(given) == target:
        return given
    exact = exact_inverse(convert, target, guess)
    return guess if exact is None else exact
