"""Counts, ranges and steps: model 5.1, decided from the configuration's numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, assert_never

from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.units import (
    attenuation_depth_um_to_per_m,
    deg_to_rad,
    mrad_to_rad,
    percent_to_fraction,
    um_to_m,
)
from nanobragg_hybrid.engines.torch.scalars import Scalar
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks

NOT_GIVEN = -1.0
"""A range or step that is not given (model 5.1)."""

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


def phi_steps(count: int | None, span: float, step: float) -> Steps:
    """The rules for phi; `span` and `step` are negative where not given."""
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


def beam_steps(count: int | None, span: float, step: float) -> Steps:
    """The rules for divergence and dispersion, and their final reset."""
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

    attenuation_per_m: as used; negative if there is none.  attenuation_given: whether it is the
    configuration's own number.  domains_chosen: the number of domains was left to us although a
    spread was given.
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


def sampling_of(experiment: Experiment, quirks: Quirks) -> Sampling:
    """Model 5.1 for an experiment."""
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
    return Sampling(
        phi=phi_steps(
            goniometer.phi_steps,
            _or_not(goniometer.osc_deg, deg_to_rad),
            _or_not(goniometer.phi_step_deg, deg_to_rad),
        ),
        divergence_h=beam_steps(
            beam.divergence_h_steps,
            _or_not(beam.divergence_h_mrad, mrad_to_rad),
            _or_not(beam.divergence_h_step_mrad, mrad_to_rad),
        ),
        divergence_v=beam_steps(
            beam.divergence_v_steps,
            _or_not(beam.divergence_v_mrad, mrad_to_rad),
            _or_not(beam.divergence_v_step_mrad, mrad_to_rad),
        ),
        dispersion=beam_steps(
            beam.dispersion_steps,
            _or_not(beam.dispersion_percent, percent_to_fraction),
            NOT_GIVEN,
        ),
        layers=layers,
        attenuation_per_m=attenuation,
        attenuation_given=attenuation_given,
        mosaic_spread_rad=spread,
        mosaic_domains=domains,
        domains_chosen=chosen,
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
