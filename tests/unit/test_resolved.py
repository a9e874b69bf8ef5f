"""`Experiment.resolved` shows what was chosen and changes nothing else."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from random_experiments import CORRECTED, random_experiment, random_quirks

from nanobragg_hybrid import (
    Beam,
    Crystal,
    Detector,
    Experiment,
    Goniometer,
    Quirks,
    Sampling,
    StructureFactors,
    simulate,
)
from nanobragg_hybrid.base.units import deg_to_rad, exact_inverse, mm_to_m
from nanobragg_hybrid.engines.c.plan import Plan

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CASES: dict[str, Any] = json.loads((GOLDEN / "cases.json").read_text(encoding="utf-8"))
TABLE = StructureFactors.from_grid(np.ones((9, 9, 9)), (-4, -4, -4))
CRYSTAL = Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5))
SMALL = Detector(n_fast=24, n_slow=20, pixel_size_mm=1.0)


def _info(experiment: Experiment) -> dict[str, Any]:
    """What the plan derives, without its remarks on choices that are made by now."""
    info = Plan(experiment, TABLE, Quirks()).info()
    del info["warnings"]
    return info


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("case", CASES)
def test_plan_is_the_same_to_the_last_bit(case: str) -> None:
    experiment = Experiment.from_nanobragg_args(CASES[case]["args"], GOLDEN / "inputs")
    resolved = experiment.resolved()
    assert _info(resolved) == _info(experiment)
    assert resolved.resolved() == resolved


def test_image_is_the_same() -> None:
    experiment = Experiment(
        beam=Beam(divergence_h_mrad=2, dispersion_percent=0.5),
        crystal=dataclasses.replace(CRYSTAL, mosaic_spread_deg=0.3),
        goniometer=Goniometer(phi_step_deg=0.3, osc_deg=1),
        detector=dataclasses.replace(SMALL, sensor_thickness_um=320),
    )
    first = simulate(experiment, TABLE)
    second = simulate(experiment.resolved(), TABLE)
    assert first.image.max() > 0
    assert np.array_equal(first.image, second.image)


def _resolved(**parts: Any) -> Experiment:
    return Experiment(**{"crystal": CRYSTAL, "detector": SMALL, **parts}).resolved()


def test_defaults() -> None:
    resolved = Experiment(crystal=CRYSTAL).resolved()
    detector = resolved.detector
    assert (detector.n_fast, detector.n_slow) == (1024, 1024)
    assert (detector.beam_x_mm, detector.beam_y_mm) == pytest.approx((51.25, 51.25), rel=1e-15)
    assert (detector.close_distance_mm, detector.pivot) == (100.0, "beam")
    assert (detector.sensor_layers, detector.sensor_attenuation_depth_um) == (1, None)
    beam = resolved.beam
    assert (beam.divergence_h_mrad, beam.divergence_h_steps, beam.dispersion_steps) == (0.0, 1, 1)
    goniometer = resolved.goniometer
    assert (goniometer.osc_deg, goniometer.phi_steps, goniometer.phi_step_deg) == (0.0, 1, 0.0)
    assert (resolved.crystal.mosaic_spread_deg, resolved.crystal.mosaic_domains) == (0.0, 1)
    sampling = resolved.sampling
    assert (sampling.oversample, sampling.interpolate) == (2, False)
    assert sampling.roi == (0, 1023, 0, 1023)


def test_phi_rules() -> None:
    both = _resolved(goniometer=Goniometer(osc_deg=1.0, phi_step_deg=0.3)).goniometer
    assert (both.osc_deg, both.phi_steps, both.phi_step_deg) == (1.0, 4, 0.3)
    count = _resolved(goniometer=Goniometer(phi_steps=4)).goniometer
    assert (count.osc_deg, count.phi_steps, count.phi_step_deg) == (1.0, 4, 0.25)
    step = _resolved(goniometer=Goniometer(phi_step_deg=0.3)).goniometer
    assert (step.osc_deg, step.phi_steps, step.phi_step_deg) == (0.3, 2, 0.3)


def test_phi_step_without_a_number_of_degrees_is_left_to_the_rule() -> None:
    steps = [_resolved(goniometer=Goniometer(osc_deg=1, phi_steps=n)) for n in range(1, 40)]
    missing = [n for n, e in enumerate(steps, 1) if e.goniometer.phi_step_deg is None]
    assert missing
    for n in missing:
        rad = deg_to_rad(1.0) / n
        assert exact_inverse(deg_to_rad, rad, math.degrees(rad)) is None


def test_mosaic_rules() -> None:
    spread = _resolved(crystal=dataclasses.replace(CRYSTAL, mosaic_spread_deg=0.5)).crystal
    assert (spread.mosaic_spread_deg, spread.mosaic_domains) == (0.5, 10)
    count = _resolved(crystal=dataclasses.replace(CRYSTAL, mosaic_domains=5)).crystal
    assert (count.mosaic_spread_deg, count.mosaic_domains) == (0.0, 1)


def test_beam_rules() -> None:
    beam = _resolved(beam=Beam(divergence_h_step_mrad=0.4, divergence_v_mrad=2)).beam
    assert (beam.divergence_h_mrad, beam.divergence_h_steps) == (0.4, 2)
    assert beam.divergence_h_step_mrad == 0.4
    assert (beam.divergence_v_mrad, beam.divergence_v_steps) == (2.0, 2)
    assert beam.divergence_v_step_mrad is None
    flux = _resolved(beam=Beam(flux_photons_per_s=1e12, beam_size_mm=1.0)).beam
    assert flux.fluence_photons_per_m2 == 1e12 / 0.001 / 0.001


def test_divergence_steps_alone_need_a_step() -> None:
    beam = _resolved(beam=Beam(divergence_h_steps=4)).beam
    assert (beam.divergence_h_mrad, beam.divergence_h_step_mrad) == (1000.0, 250.0)


def test_wavelengths_without_a_range_cannot_be_said_otherwise() -> None:
    beam = _resolved(beam=Beam(dispersion_percent=None, dispersion_steps=3)).beam
    assert (beam.dispersion_percent, beam.dispersion_steps) == (None, 3)
    none = _resolved(beam=Beam(dispersion_percent=None)).beam
    assert (none.dispersion_percent, none.dispersion_steps) == (0.0, 1)


def test_layers_that_were_chosen_cannot_be_said_otherwise() -> None:
    chosen = _resolved(detector=dataclasses.replace(SMALL, sensor_thickness_um=320)).detector
    assert (chosen.sensor_layers, chosen.sensor_attenuation_depth_um) == (None, 320.0)
    one = _resolved(
        detector=dataclasses.replace(SMALL, sensor_thickness_um=320, sensor_layers=1)
    ).detector
    assert one.sensor_layers == 2


def test_size_that_is_no_whole_number_of_pixels_stays() -> None:
    detector = Detector(size_fast_mm=25.6, size_slow_mm=20.0, pixel_size_mm=0.5)
    resolved = _resolved(detector=detector).detector
    assert (resolved.n_fast, resolved.size_fast_mm) == (None, 25.6)
    assert (resolved.n_slow, resolved.size_slow_mm) == (40, 20.0)
    assert resolved.shape == detector.shape == (40, 51)


def test_close_distance_of_a_tilted_detector_stays_open() -> None:
    changes: list[dict[str, Any]] = [{"rotation_deg": (5, 3, 2)}, {"twotheta_deg": 15}]
    for change in changes:
        detector = dataclasses.replace(SMALL, **change)
        assert _resolved(detector=detector).detector.close_distance_mm is None
    given = dataclasses.replace(SMALL, close_distance_mm=88.5)
    assert _resolved(detector=given).detector.close_distance_mm == 88.5


def test_vectors_select_custom_and_stay() -> None:
    resolved = _resolved(goniometer=Goniometer(spindle_axis=(0, 1, 0)))
    assert (resolved.detector.convention, resolved.detector.pivot) == ("custom", "beam")
    assert resolved.detector.fast_axis is None
    assert _resolved().detector.convention == "mosflm"


def test_interpolation_that_depends_on_a_table_stays_open() -> None:
    thin = dataclasses.replace(CRYSTAL, n_cells=(5, 2, 5))
    assert _resolved(crystal=thin).sampling.interpolate is None
    assert _resolved().sampling.interpolate is False
    asked = Sampling(interpolate=True)
    assert _resolved(sampling=asked).sampling.interpolate is True


def test_empty_region_stays_empty() -> None:
    empty = Sampling(roi=(5, 3, None, None))
    assert _resolved(sampling=empty).sampling.roi == (5, 3, None, None)
    assert _resolved(sampling=Sampling(roi=(3, None, -2, 99))).sampling.roi == (3, 23, 0, 19)


def test_exact_inverse_finds_every_length_that_has_one() -> None:
    for n in range(1, 2000):
        length_mm = n / 7
        found = exact_inverse(mm_to_m, mm_to_m(length_mm), mm_to_m(length_mm) * 1000.0)
        assert found is not None
        assert mm_to_m(found) == mm_to_m(length_mm)


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("seed", range(30))
def test_plan_is_the_same_whatever_the_quirks(seed: int) -> None:
    random = np.random.default_rng(seed)
    experiment = random_experiment(random)
    quirks = CORRECTED if seed % 2 else random_quirks(random)
    resolved = experiment.resolved(quirks)
    before, after = (Plan(e, TABLE, quirks).info() for e in (experiment, resolved))
    del before["warnings"], after["warnings"]
    assert after == before
    assert resolved.resolved(quirks) == resolved
