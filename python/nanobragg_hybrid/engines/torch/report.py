"""What was chosen and derived, and what to warn of, as every engine says it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from nanobragg_hybrid.base.units import deg_to_rad, m_to_mm
from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar, as_float
from nanobragg_hybrid.engines.torch.arithmetic.shapes import has_poles
from nanobragg_hybrid.engines.torch.arithmetic.vectors import Vector, dot, mag
from nanobragg_hybrid.engines.torch.scenes.pixels import region_of_interest
from nanobragg_hybrid.engines.torch.set_up.bounds import MANY_STEPS, MOST_CHOSEN_OVERSAMPLE
from nanobragg_hybrid.engines.torch.set_up.inputs import Inputs
from nanobragg_hybrid.engines.torch.set_up.placement import normal_is_recomputed
from nanobragg_hybrid.engines.torch.set_up.quantities import water_background
from nanobragg_hybrid.engines.torch.set_up.setup import Setup, fluence, wavelength_m
from nanobragg_hybrid.model.resolved_plan import PlanWarning, ResolvedPlan


def plan_of(setup: Setup) -> ResolvedPlan:
    """What was chosen and derived."""
    experiment, sampling, choices = setup.experiment, setup.sampling, setup.choices
    geometry, cell, size = setup.geometry, setup.cell, setup.size
    inputs = Inputs(experiment, setup.structure_factors, setup.quirks)
    photons = as_float(fluence(inputs))
    n_slow, n_fast = experiment.detector.shape
    roi = region_of_interest(experiment)
    pixel, pixel_slow = as_float(geometry.pixel), as_float(geometry.pixel_slow)
    real = (cell.a, cell.b, cell.c)
    star = (cell.a_star, cell.b_star, cell.c_star)
    lengths = _lengths(real)
    return ResolvedPlan(
        convention=geometry.placement.convention,
        pivot=geometry.placement.pivot,
        beam_direction=_floats(geometry.beam),
        polarization_axis=_floats(geometry.polarization),
        vertical_axis=_floats(geometry.vertical),
        spindle_axis=_floats(geometry.spindle),
        fast_axis=_floats(geometry.fast),
        slow_axis=_floats(geometry.slow),
        normal_axis=_floats(geometry.normal),
        twotheta_axis=_floats(geometry.twotheta_axis),
        pix0_m=_floats(geometry.pix0),
        distance_m=as_float(geometry.distance),
        close_distance_m=as_float(geometry.close),
        beam_x_m=as_float(geometry.beam_x),
        beam_y_m=as_float(geometry.beam_y),
        beam_fast_m=as_float(geometry.beam_fast),
        beam_slow_m=as_float(geometry.beam_slow),
        close_fast_m=as_float(geometry.close_fast),
        close_slow_m=as_float(geometry.close_slow),
        org_x_px=as_float(geometry.close_fast / pixel + 0.5),
        org_y_px=as_float(geometry.close_slow / pixel_slow + 0.5),
        dials_origin_mm=_floats(
            (
                m_to_mm(dot(geometry.pix0, (0.0, 0.0, 1.0))),
                m_to_mm(dot(geometry.pix0, (0.0, 1.0, 0.0))),
                m_to_mm(dot(geometry.pix0, (-1.0, 0.0, 0.0))),
            )
        ),
        pixel_size_m=pixel,
        pixel_size_slow_m=pixel_slow,
        size_fast_m=as_float(geometry.size_fast),
        size_slow_m=as_float(geometry.size_slow),
        twotheta_rad=as_float(geometry.twotheta),
        n_fast=n_fast,
        n_slow=n_slow,
        roi=roi,
        a0_m=_floats(cell.a0),
        b0_m=_floats(cell.b0),
        c0_m=_floats(cell.c0),
        a_star_per_angstrom=_floats(cell.a_star),
        b_star_per_angstrom=_floats(cell.b_star),
        c_star_per_angstrom=_floats(cell.c_star),
        cell_length_angstrom=lengths,
        cell_angle_rad=_angles(real, lengths),
        reciprocal_length_per_angstrom=_lengths(star),
        reciprocal_angle_rad=_angles(star, _lengths(star)),
        cell_volume_angstrom3=as_float(cell.volume),
        misset_rad=_floats(setup.misset),
        n_cells=size.n_cells,
        crystal_size_m=size.size_m,
        source_count=choices.source_count,
        mosaic_domains=sampling.mosaic_domains,
        phi_steps=sampling.phi.count,
        oversample=choices.oversample,
        recommended_oversample=setup.recommended_oversample,
        sensor_layers=sampling.layers.count,
        steps=choices.steps,
        interpolate=choices.interpolate,
        divergence_h_steps=sampling.divergence_h.count,
        divergence_v_steps=sampling.divergence_v.count,
        dispersion_steps=sampling.dispersion.count,
        divergence_h_rad=sampling.divergence_h.range,
        divergence_v_rad=sampling.divergence_v.range,
        divergence_h_step_rad=sampling.divergence_h.step,
        divergence_v_step_rad=sampling.divergence_v.step,
        dispersion_fraction=sampling.dispersion.range,
        dispersion_step=sampling.dispersion.step,
        phi_rad=as_float(deg_to_rad(experiment.goniometer.phi_deg)),
        osc_rad=sampling.phi.range,
        phi_step_rad=sampling.phi.step,
        mosaic_spread_rad=sampling.mosaic_spread_rad,
        sensor_thickness_m=sampling.layers.range,
        sensor_layer_step_m=sampling.layers.step,
        sensor_attenuation_per_m=sampling.attenuation_per_m,
        wavelength_m=as_float(wavelength_m(inputs)),
        fluence_photons_per_m2=photons,
        water_background=as_float(water_background(setup, inputs, photons)),
        warnings=_warnings(setup),
        impossible_sources=setup.impossible_sources.count,
        first_impossible_source=setup.impossible_sources.first,
    )


def _warnings(setup: Setup) -> tuple[PlanWarning, ...]:
    happened: dict[PlanWarning, bool] = {
        "size_y_clipped": setup.size.clipped_y,
        "size_z_clipped": setup.size.clipped_z,
        "normal_recomputed": normal_is_recomputed(setup.experiment),
        "cell_volume": setup.cell.impossible_volume,
        "reciprocal_length": setup.cell.negative_lengths,
        "mosaic_domains": setup.sampling.domains_chosen,
        "interpolation_off": setup.interpolation_refused,
        "oversample_low": setup.choices.oversample < setup.recommended_oversample,
        "close_distance_negative": as_float(setup.geometry.close) < 0.0,
        "distance_ignored": setup.geometry.distance_ignored,
        "no_sensor_is_black": _captures_nothing(setup),
        "polarization_factor": setup.polarization.factor_is_wrong,
        "polarization_axis": setup.polarization.axis_is_along_beam,
        "size_x_clipped": setup.size.clipped_x,
        "impossible_cell": "impossible_cell" in setup.cell_doubts,
        "angles_in_radians": "angles_in_radians" in setup.cell_doubts,
        "left_handed_matrix": "left_handed_matrix" in setup.cell_doubts,
        "matrix_scale": "matrix_scale" in setup.cell_doubts,
        "impossible_sources": setup.impossible_sources.count > 0,
        "cell_beside_matrix": "cell_beside_matrix" in setup.cell_doubts,
        "step_and_count": "step_and_count" in setup.sampling.misfits,
        "count_alone": "count_alone" in setup.sampling.misfits,
        "missing_last_source": "missing_last_source" in setup.sampling.misfits,
        "osc_overshoot": "osc_overshoot" in setup.sampling.misfits,
        "domains_without_spread": "domains_without_spread" in setup.sampling.misfits,
        "wavelengths_without_range": "wavelengths_without_range" in setup.sampling.misfits,
        "oversample_high": setup.experiment.sampling.oversample is None
        and setup.choices.oversample > MOST_CHOSEN_OVERSAMPLE,
        "many_steps": setup.steps_in_all > MANY_STEPS,
        "wavelength_outside_spectrum": _is_outside_spectrum(setup),
        "broken_cells": has_poles(setup.choices.shape, setup.size.n_cells),
    }
    return tuple(name for name, is_so in happened.items() if is_so)


def _captures_nothing(setup: Setup) -> bool:
    """Whether the quirk no_sensor_is_black acts."""
    has_sensor = setup.choices.has_sensor
    if has_sensor and setup.sampling.attenuation_per_m > 0.0:
        return False
    asked = has_sensor or setup.experiment.sampling.oversample_thick
    return setup.quirks.no_sensor_is_black and asked


def _floats(vector: Iterable[Scalar]) -> tuple[float, float, float]:
    x, y, z = (as_float(component) for component in vector)
    return x, y, z


def _lengths(vectors: tuple[Vector, Vector, Vector]) -> tuple[float, float, float]:
    return _floats(mag(vector) for vector in vectors)


def _angles(
    vectors: tuple[Vector, Vector, Vector], lengths: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Angles between the second and third vector, and so on round."""
    angles = []
    for n in range(3):
        first, second = (n + 1) % 3, (n + 2) % 3
        cosine = as_float(dot(vectors[first], vectors[second]))
        product = lengths[first] * lengths[second]
        angles.append(
            math.acos(min(max(cosine / product, -1.0), 1.0)) if product > 0.0 else math.nan
        )
    return angles[0], angles[1], angles[2]


def _is_outside_spectrum(setup: Setup) -> bool:
    """Whether the beam's own wavelength is none of its spectrum, by more than 0.1 %."""
    spectrum = setup.experiment.beam.spectrum
    if spectrum is None:
        return False
    lengths, own = spectrum.wavelengths_m, setup.wavelength_m
    return not min(lengths) * (1.0 - 1e-3) <= own <= max(lengths) * (1.0 + 1e-3)
