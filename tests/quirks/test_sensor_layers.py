"""C-PARITY-003 thick_last_layer and C-PARITY-007 layer_overshoot."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import STILL, assert_differs, assert_same, info, off, picture

import nanobragg_hybrid as nb

DISTANCE_MM, THICKNESS_MM, DEPTH_MM = 60.0, 0.9, 0.5
THICK = STILL.replace(
    {
        "beam.polarization_correction": False,
        "detector.convention": "xds",
        "detector.distance_mm": DISTANCE_MM,
        "detector.sensor_thickness_um": 1000 * THICKNESS_MM,
        "detector.sensor_attenuation_depth_um": 1000 * DEPTH_MM,
        "detector.sensor_layers": 3,
    }
)
NO_SENSOR = {
    "detector.sensor_thickness_um": 0.0,
    "detector.sensor_attenuation_depth_um": None,
    "detector.sensor_layers": None,
}
UNIFORM = THICK.replace({"crystal.n_cells": (1, 1, 1)})  # the same intensity in every direction


def radius_mm(distance_mm: float) -> np.ndarray:
    """From the sample to the centres of the pixels of a plane at this distance."""
    n_slow, n_fast = THICK.detector.shape
    fast, slow = np.arange(n_fast) + 0.5 - n_fast / 2, np.arange(n_slow) + 0.5 - n_slow / 2
    pixel = THICK.detector.pixel_size_mm
    return np.sqrt((pixel * fast) ** 2 + (pixel * slow[:, None]) ** 2 + distance_mm**2)


def layer_by_layer(quirks: nb.Quirks, count: int, step_mm: float) -> np.ndarray:
    """A thin detector at the depth of each layer, times what that layer captures there.

    All layers share the first one's solid angle.
    """
    total = np.zeros(THICK.detector.shape)
    omega = DISTANCE_MM / radius_mm(DISTANCE_MM) ** 3
    for layer in range(count):
        distance = DISTANCE_MM + layer * step_mm
        r = radius_mm(distance)
        plane = picture(THICK.replace({**NO_SENSOR, "detector.distance_mm": distance}), quirks)
        depth = DEPTH_MM * distance / r
        captured = np.exp(-layer * step_mm / depth) - np.exp(-(layer + 1) * step_mm / depth)
        total += captured * plane * omega / (distance / r**3)
    return total


def test_every_layer_has_its_own_capture() -> None:
    """Off, with the layers of nanoBragg: three of half the thickness each."""
    need = layer_by_layer(nb.Quirks(), 3, THICKNESS_MM / 2)
    assert_same(picture(THICK, off("thick_last_layer")), need)
    assert_differs(picture(THICK), need, 0.3)


def test_on_the_last_layer_scales_all() -> None:
    r, step = radius_mm(DISTANCE_MM + THICKNESS_MM), THICKNESS_MM / 2
    depth = DEPTH_MM * (DISTANCE_MM + THICKNESS_MM) / r
    last = np.exp(-2 * step / depth) - np.exp(-3 * step / depth)
    one = picture(UNIFORM.replace(NO_SENSOR))
    assert_same(picture(UNIFORM), 3 * one * last)


@pytest.mark.parametrize("layers", [1, 2, 3, 7])
def test_layers_fill_the_thickness(layers: int) -> None:
    many = THICK.replace({"detector.sensor_layers": layers})
    got = info(many, off("layer_overshoot"))
    assert got["sensor_layers"] == layers
    assert got["sensor_layer_step_m"] == pytest.approx(1e-3 * THICKNESS_MM / layers, rel=1e-15)
    on = info(many)
    assert on["sensor_layers"] == max(layers, 2)
    assert on["sensor_layer_step_m"] == pytest.approx(
        1e-3 * THICKNESS_MM / (max(layers, 2) - 1), rel=1e-15
    )


def test_layers_chosen_by_the_program_fill_the_thickness_anyway() -> None:
    auto = THICK.replace({"detector.sensor_layers": None})
    for quirks in (nb.Quirks(), off("layer_overshoot")):
        assert info(auto, quirks)["sensor_layers"] == 2
        assert info(auto, quirks)["sensor_layer_step_m"] == 0.00045


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_all_layers_together_capture_what_the_sensor_captures(layers: int) -> None:
    """Both off: the fractions of a uniform picture add up to 1 - exp(-path/depth).

    Parallax changes from layer to layer, so the sensor is thin against the distance.
    """
    thin = {"detector.distance_mm": 6e4, "detector.pixel_size_mm": 1000.0}
    flat = UNIFORM.replace({**thin, "detector.sensor_layers": layers})
    got = picture(flat, off("layer_overshoot", "thick_last_layer"))
    r = 1000 * radius_mm(DISTANCE_MM)
    need = picture(flat.replace(NO_SENSOR)) * (1 - np.exp(-THICKNESS_MM * r / (DEPTH_MM * 6e4)))
    assert_same(got, need, 1e-5)


def test_layers_one_by_one_without_overshoot() -> None:
    got = picture(THICK, off("layer_overshoot", "thick_last_layer"))
    assert_same(got, layer_by_layer(nb.Quirks(), 3, THICKNESS_MM / 3))
