"""C-PARITY-029 and 031: what a curved detector and point pixels see of a uniform scatterer."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from field_values import BASE, FACTORS, QUIRKS, SENSOR
from for_each import for_each
from pictures import CONSTANT, STILL, assert_differs, assert_same, off, picture

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.libnbh import available_kernels
from nanobragg_hybrid.engines.c.plan import Plan

R_E_SQR_M2 = 7.94079248018965e-30
UNIFORM = STILL.replace(
    {
        "crystal.n_cells": (1, 1, 1),
        "beam.polarization_correction": False,
        "beam.fluence_photons_per_m2": 1e29,
    }
)
PER_STERADIAN = R_E_SQR_M2 * 1e29 * 100.0**2
PIXEL_M, DISTANCE_M = 0.001, 0.06
FACING_SR = PIXEL_M**2 / DISTANCE_M**2
CURVED = {"detector.curved": True}
TILTED = {"detector.rotation_deg": (10.0, 25.0, 5.0)}
CONVENTIONS = ["mosflm", "xds", "adxv", "denzo", "dials", "custom"]
NONE = nb.Quirks.none()
"""A sensor has layers of equal share then, and the curved detector is a sphere."""


def everywhere(value: float) -> np.ndarray:
    """A picture of one value."""
    return np.full(STILL.detector.shape, value)


# --- 029 curved_flat_factors


@for_each("convention", CONVENTIONS)
@for_each("tilt", [{}, TILTED, {"detector.twotheta_deg": 20.0}])
def test_every_pixel_of_a_sphere_is_alike(convention: str, tilt: dict[str, Any]) -> None:
    """All see pixel^2/R^2, R being the distance."""
    experiment = UNIFORM.replace({**CURVED, **tilt, "detector.convention": convention})
    distance: Any = Plan(experiment, CONSTANT, NONE).info()["distance_m"]
    need = everywhere(PER_STERADIAN * PIXEL_M**2 / distance**2)
    assert_same(picture(experiment, NONE), need, 1e-12)


def test_on_they_are_darker_by_the_tilt() -> None:
    experiment = UNIFORM.replace({**CURVED, "detector.rotation_deg": (0, 30, 0)})
    need = PER_STERADIAN * FACING_SR
    assert_same(picture(experiment), everywhere(np.cos(np.radians(30)) * need), 1e-12)
    assert_same(picture(experiment, off("curved_flat_factors")), everywhere(need), 1e-12)


@for_each("options", [{}, {"sampling.oversample_thick": True}, {"crystal.water_um": 1.0}])
@for_each("tilt", [{}, TILTED])
def test_rays_go_straight_through_the_sensor(options: dict[str, Any], tilt: dict[str, Any]) -> None:
    """It stops 1 - exp(-thickness/depth) of them everywhere, whatever its layers.

    All layers have the solid angle of the first here: those of their own are smaller by twice their
    depth over the distance.
    """
    bare = UNIFORM.replace({**CURVED, **tilt, **options, "sampling.oversample_thick": False})
    sensor = bare.replace({**SENSOR, **options})
    stopped = 1 - np.exp(-450.0 / 200.0)
    shared = nb.Quirks.parse("none,+first_subpixel_factors")
    assert_same(picture(sensor, shared), stopped * picture(bare, shared), 1e-12)
    slanted = picture(sensor, dataclasses.replace(shared, curved_flat_factors=True))
    assert_differs(slanted, stopped * picture(bare, shared), 1e-3)
    if not options.get("crystal.water_um"):  # water is taken at the surface
        deeper = picture(sensor, dataclasses.replace(shared, first_subpixel_factors=False))
        assert_same(deeper, stopped * picture(bare, shared), 0.01)
        assert_differs(deeper, stopped * picture(bare, shared), 1e-4)


def test_a_flat_detector_keeps_its_factors() -> None:
    experiment = UNIFORM.replace({**SENSOR, **TILTED})
    on, corrected = picture(experiment), picture(experiment, off("curved_flat_factors"))
    assert on.tobytes() == corrected.tobytes()


def test_the_trace_says_which_obliquity_was_used() -> None:
    experiment = UNIFORM.replace({**CURVED, **TILTED})
    for quirks in (nb.Quirks(), off("curved_flat_factors")):
        for backend in ("c", "torch"):
            if backend not in nb.available_backends():
                continue
            prepared = nb.prepare(experiment, CONSTANT, backend=backend, quirks=quirks)
            (step,) = prepared.trace((3, 4)).steps
            plan = prepared.plan
            need = plan.close_distance_m / step.airpath_m if quirks.curved_flat_factors else 1.0
            assert step.obliquity == pytest.approx(need, rel=1e-14)
            facing = PIXEL_M**2 / step.airpath_m**2
            assert step.solid_angle_sr == pytest.approx(facing * need, rel=1e-14)


# --- 031 point_pixel_area


@for_each("given", [{}, TILTED, {"detector.distance_mm": 10.0}, CURVED])
def test_a_point_pixel_has_the_area_of_a_pixel(given: dict[str, Any]) -> None:
    """pixel^2/R^2, which is what the flat pixel has over its obliquity; 1/R^2 with the quirk."""
    experiment = UNIFORM.replace({**given, "detector.point_pixel": True})
    plan = Plan(experiment, CONSTANT, nb.Quirks())
    n_slow, n_fast = experiment.detector.shape
    r = np.array(
        [
            [plan.trace(fast, slow)["first"]["airpath_m"] for fast in range(n_fast)]
            for slow in range(n_slow)
        ]
    )
    corrected = picture(experiment, off("point_pixel_area"))
    assert_same(corrected, PER_STERADIAN * PIXEL_M**2 / r**2, 1e-12)
    assert_same(picture(experiment), PER_STERADIAN / r**2, 1e-12)


def test_the_reported_solid_angle_is_one() -> None:
    """Of a sphere's part, in steradian: pixels times pixel^2/R^2."""
    experiment = UNIFORM.replace({"detector.point_pixel": True, "detector.distance_mm": 1000.0})
    result = nb.simulate(experiment, CONSTANT, quirks=off("point_pixel_area"))
    need = result.image.size * PIXEL_M**2 / 1.0**2
    assert result.statistics.solid_angle_sr == pytest.approx(need, rel=3e-4)
    on = nb.simulate(experiment, CONSTANT)
    assert on.statistics.solid_angle_sr == pytest.approx(need / PIXEL_M**2, rel=3e-4)


# --- all kernels, in both positions of everything about the detector

GEOMETRY = (
    *("ratio_before_twotheta", "normal_towards_source", "curved_flat_factors"),
    *("twotheta_axis_length", "point_pixel_area"),
)
OPTIONS = {
    "sampling.oversample": 2,
    "sampling.oversample_thick": True,
    "sampling.oversample_omega": True,
}


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@for_each("name", GEOMETRY)
def test_every_kernel_has_the_bits_of_the_exact_one(name: str) -> None:
    behind = {"detector.twotheta_deg": 120.0} if name == "normal_towards_source" else {}
    for more in ({}, SENSOR, {**SENSOR, **OPTIONS}, {**SENSOR, "crystal.water_um": 0.005}):
        experiment = BASE.replace({**QUIRKS[name].given, **more, **behind})
        for quirks in (nb.Quirks(), off(name), NONE):
            images = {
                kernel: nb.simulate(
                    experiment, FACTORS, backend=nb.CEngine(kernel=kernel), quirks=quirks
                ).image
                for kernel in available_kernels()
            }
            assert images["exact"].any()
            for kernel, image in images.items():
                assert image.tobytes() == images["exact"].tobytes(), (kernel, more, quirks)
            if quirks == NONE:
                assert images["exact"].min() >= 0.0
