"""Counts, ranges and steps: model 5.1, decided from the configuration's numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, assert_never

from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.units import (
    attenuation_depth_um_to_per_m,
    deg_to_rad,
    mrad_to_rad,
    percent_to_fraction,
    um_to_m,
)
from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.resolved_plan import PlanWarning

NOT_GIVEN = -1.0
"""A range or step that is not given (model 5.1)."""

AS_NANOBRAGG: Final = Quirks()

Rule = Literal["as given", "range", "range/2", "range/count", "range/(count-1)"]
"""How the step follows from the range."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A range in `count` steps, `step` apart; `rule` says where the step is from.

    `range_given` tells whether the range is the configuration's own number.
    """

    count: int
    range: float
    step: float
    rule: Rule = "as given"
    range_given: bool = False

    def step_of(self, live_range: Scalar) -> Scalar:
        """The step for another range, by the same rule."""
        match self.rule:
            case "as given":
                return self.step
            case "range":
                return live_range
            case "range/2":
                return live_range / 2.0
            case "range/count":
                return live_range / self.count
            case "range/(count-1)":
                return live_range / (self.count - 1)
            case other:
                assert_never(other)


NONE = Steps(1, 0.0, 0.0)


def _count(span: float, step: float) -> int:
    """How many steps fill a range; a number beyond 32 bits is the largest of 32 bits."""
    wanted = span / step
    return math.ceil(wanted) if wanted < INT32_MAX else INT32_MAX


def _filling(span: float, step: float) -> int:
    """How many steps at least fill a range, without one more for a rounding; never none."""
    return max(_count(span * (1.0 - 1e-12), step), 1)


def phi_steps(count: int | None, span: float, step: float, quirks: Quirks = AS_NANOBRAGG) -> Steps:
    """The rules for phi; `span` and `step` are negative where not given.

    Corrected, a count and a step make their range (step_and_count off), one step alone is a still
    (count_alone off), and steps fill the range (osc_overshoot off).
    """
    given, stepped = span >= 0.0, step > 0.0
    if count is not None and not given and stepped and not quirks.step_and_count:
        count = max(count, 1)
        return Steps(count, count * step, step)
    if count is not None and count <= 1 and not given and not stepped and not quirks.count_alone:
        return NONE
    if not quirks.osc_overshoot:
        if count is not None and given:
            count = max(count, 1)
            return Steps(count, span, span / count, "range/count", True)
        if stepped:
            whole = span if given else step
            count = _filling(whole, step)
            return Steps(count, whole, whole / count, "range/count", given)
    if count is None:
        if span < 0.0:
            return NONE if step <= 0.0 else Steps(2, step, step)
        if step <= 0.0:
            return Steps(2, span, span / 2.0, "range/2", True)
        return Steps(_count(span, step), span, step, "as given", True)
    count = max(count, 1)
    if span < 0.0:
        if step <= 0.0:
            return Steps(count, deg_to_rad(1.0), deg_to_rad(1.0) / count, "range/count")
        return Steps(2, step, step)
    if step < 0.0:
        return Steps(count, span, span / count, "range/count", True)
    return Steps(count, span, step, "as given", True)


def beam_steps(count: int | None, span: float, step: float, quirks: Quirks = AS_NANOBRAGG) -> Steps:
    """The rules for divergence and dispersion, and their final reset.

    Corrected, a count and a step make their range (step_and_count off), one direction alone is the
    beam's own (count_alone off), and there is a source at both ends (missing_last_source off).
    """
    counted, given, stepped = count is not None and count > 0, span >= 0.0, step > 0.0
    if counted and not given and stepped and not quirks.step_and_count:
        assert count is not None
        return _reset(Steps(count, (count - 1) * step, step))
    if count == 1 and not given and not stepped and not quirks.count_alone:
        return NONE
    if counted and not given and not stepped and not quirks.missing_last_source:
        assert count is not None
        gaps = max(count - 1, 1)  # of the range that is made up
        return _reset(Steps(gaps + 1, 1.0, 1.0 / gaps, "range/(count-1)"))
    if span > 0.0 and stepped and not quirks.missing_last_source:
        gaps = _filling(span, step) if count is None or count <= 0 else max(count - 1, 1)
        gaps = min(gaps, INT32_MAX - 1)
        return _reset(Steps(gaps + 1, span, span / gaps, "range/(count-1)", True))
    return _reset(_beam_steps(count, span, step))


def layer_steps(count: int | None, thickness: float, *, overshoots: bool) -> Steps:
    """The rules for the layers of the sensor, whose step cannot be given.

    overshoots: n layers have the thickness/(n-1) each (quirk layer_overshoot).
    """
    if count is None:
        if thickness < 0.0:
            return NONE
        return _reset(Steps(2, thickness, thickness / 2, "range/count", True))
    if thickness < 0.0:
        return _reset(Steps(count, um_to_m(0.5), um_to_m(0.5) / count, "range/count"))
    if not overshoots:
        count = max(count, 1)
        return _reset(Steps(count, thickness, thickness / count, "range/count", True))
    count = max(count, 2)
    return _reset(Steps(count, thickness, thickness / (count - 1), "range/(count-1)", True))


def _beam_steps(count: int | None, span: float, step: float) -> Steps:
    if count is None or count <= 0:
        if span < 0.0:
            return NONE if step <= 0.0 else Steps(2, step, step)
        if step <= 0.0:
            return Steps(2, span, span, "range", True)
        return Steps(_count(span, step), span, step, "as given", True)
    if span < 0.0:
        if step <= 0.0:
            return Steps(count, 1.0, 1.0 / count, "range/count")
        return Steps(2, step, step)
    if step <= 0.0:
        count = max(count, 2)
        return Steps(count, span, span / (count - 1), "range/(count-1)", True)
    return Steps(count, span, step, "as given", True)


def _reset(steps: Steps) -> Steps:
    is_empty = steps.range <= 0.0 or steps.step <= 0.0 or steps.count <= 0
    return NONE if is_empty else steps


@dataclass(frozen=True, slots=True)
class Sampling:
    """Everything of model 5.1, in radians, fractions and metres.

    misfits: warnings of counts, ranges and steps that do not fit.
    attenuation_per_m: as used; negative if there is none.  attenuation_given: whether it is the
    configuration's own number.  domains_chosen: the number of domains was left to us although a
    spread was given.  turns_domains: domains are turned, by their spread or as they are given.
    """

    phi: Steps
    divergence_h: Steps
    divergence_v: Steps
    dispersion: Steps
    layers: Steps
    attenuation_per_m: float
    attenuation_given: bool
    mosaic_spread_rad: float
    mosaic_domains: int
    domains_chosen: bool
    turns_domains: bool = False
    misfits: frozenset[PlanWarning] = frozenset()


def sampling_of(experiment: Experiment, quirks: Quirks) -> Sampling:
    """Model 5.1 for an experiment.

    Raises `ConfigError` for a count without a range, with the quirk count_alone off.
    """
    if not quirks.count_alone:
        _require_ranges(experiment)
    beam, crystal, goniometer = experiment.beam, experiment.crystal, experiment.goniometer
    detector = experiment.detector
    layers = layer_steps(
        detector.sensor_layers,
        _or_not(detector.sensor_thickness_um, um_to_m),
        overshoots=quirks.layer_overshoot,
    )
    attenuation = _or_not(detector.sensor_attenuation_depth_um, attenuation_depth_um_to_per_m)
    attenuation_given = attenuation >= 0.0
    if attenuation == 0.0 and not quirks.no_sensor_is_black:
        layers = NONE
    if layers.range > 0.0 and not attenuation_given:
        attenuation = 1.0 / layers.range
    spread, domains, chosen = _mosaic(crystal.mosaic_spread_deg, crystal.mosaic_domains)
    if crystal.mosaic_rotations is not None:
        domains = len(crystal.mosaic_rotations)
    spindle = (
        goniometer.phi_steps,
        _or_not(goniometer.osc_deg, deg_to_rad),
        _or_not(goniometer.phi_step_deg, deg_to_rad),
    )
    horizontal = (
        beam.divergence_h_steps,
        _or_not(beam.divergence_h_mrad, mrad_to_rad),
        _or_not(beam.divergence_h_step_mrad, mrad_to_rad),
    )
    vertical = (
        beam.divergence_v_steps,
        _or_not(beam.divergence_v_mrad, mrad_to_rad),
        _or_not(beam.divergence_v_step_mrad, mrad_to_rad),
    )
    spectrum = (
        beam.dispersion_steps,
        _or_not(beam.dispersion_percent, percent_to_fraction),
        NOT_GIVEN,
    )
    phi, dispersion = phi_steps(*spindle, quirks), beam_steps(*spectrum, quirks)
    h, v = beam_steps(*horizontal, quirks), beam_steps(*vertical, quirks)
    found: set[PlanWarning] = set()
    if phi.count > 1 or not quirks.phi_left_edge:  # else it is a still, whatever its range
        found |= _misfits(spindle, phi, phi.count, "osc_overshoot")
    if beam.sources is None:
        for asked, made in ((horizontal, h), (vertical, v), (spectrum, dispersion)):
            found |= _misfits(asked, made, made.count - 1, "missing_last_source")
        if (beam.dispersion_steps or 1) > 1 and beam.dispersion_percent == 0.0:
            found.add("wavelengths_without_range")
    if crystal.mosaic_spread_deg is None and (crystal.mosaic_domains or 1) > 1:
        found.add("domains_without_spread")
    return Sampling(
        phi=phi,
        divergence_h=h,
        divergence_v=v,
        dispersion=dispersion,
        layers=layers,
        attenuation_per_m=attenuation,
        attenuation_given=attenuation_given,
        mosaic_spread_rad=spread,
        mosaic_domains=domains,
        domains_chosen=chosen,
        turns_domains=domains > 1 or crystal.mosaic_rotations is not None,
        misfits=frozenset(found),
    )


def _misfits(
    asked: tuple[int | None, float, float], made: Steps, gaps: int, unfilled: PlanWarning
) -> set[PlanWarning]:
    """What is to be said of steps `made` of a count, a range and a step; `gaps` fill the range."""
    count, span, step = asked
    if count is not None and span < 0.0:
        if step > 0.0:
            return {"step_and_count"} if made.count != count else set()
        return {"count_alone"} if made.range > 0.0 else set()
    return {unfilled} if abs(gaps * made.step - made.range) > 1e-9 * made.range else set()


def _require_ranges(experiment: Experiment) -> None:
    """Raises `ConfigError` for a count that has nothing to count."""
    beam, goniometer = experiment.beam, experiment.goniometer

    def require(field: str, count: int | None, given: list[float | None], need: str) -> None:
        if (count or 1) > 1 and all(value is None for value in given):
            raise ConfigError(field, count, need)

    require(
        "goniometer.phi_steps",
        goniometer.phi_steps,
        [goniometer.osc_deg, goniometer.phi_step_deg or None],
        "an oscillation for its steps (-osc), or an angle for each (-phistep)",
    )
    if beam.sources is not None:
        return
    require(
        "beam.divergence_h_steps",
        beam.divergence_h_steps,
        [beam.divergence_h_mrad, beam.divergence_h_step_mrad],
        "a range for its directions (-hdivrange or -divergence)",
    )
    require(
        "beam.divergence_v_steps",
        beam.divergence_v_steps,
        [beam.divergence_v_mrad, beam.divergence_v_step_mrad],
        "a range for its directions (-vdivrange or -divergence)",
    )
    require(
        "beam.dispersion_steps",
        beam.dispersion_steps,
        [beam.dispersion_percent or None],
        "a spread for its wavelengths (-dispersion)",
    )


def _or_not(value: float | None, convert: object) -> float:
    if value is None:
        return NOT_GIVEN
    assert callable(convert)
    converted: float = convert(value)
    return converted


def _mosaic(spread_deg: float | None, domains: int | None) -> tuple[float, int, bool]:
    """Spread (radians), number of domains, and whether that was chosen."""
    if spread_deg is None or spread_deg == 0.0:
        return 0.0, 1, False
    spread = deg_to_rad(spread_deg)
    return (spread, 10, True) if domains is None else (spread, domains, False)
