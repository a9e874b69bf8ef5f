"""C-PARITY-035 no_sensor_is_black."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from for_each import for_each
from pictures import CONSTANT, STILL, assert_same, info, off, picture

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.parse import parse_command

NAME = "no_sensor_is_black"
OFF = off(NAME)
BLACK = "the image is black because the sensor captures nothing"
ENDLESS = {
    "detector.sensor_thickness_um": 300.0,
    "detector.sensor_attenuation_depth_um": math.inf,
    "detector.sensor_layers": 3,
}
OPTION = {"sampling.oversample_thick": True}
NOTHING: list[dict[str, object]] = [
    OPTION,
    ENDLESS,
    {**ENDLESS, **OPTION},
    {**ENDLESS, "sampling.oversample": 2},
    {**ENDLESS, "detector.sensor_thickness_um": None, "detector.sensor_layers": 2},
]
"""Sensors that capture nothing, or that are none."""
pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")


def told(experiment: nb.Experiment, quirks: nb.Quirks | None = None) -> tuple[str, ...]:
    """What a result says about the sensor; that the quirk mattered goes with it."""
    result = nb.simulate(experiment, CONSTANT, quirks=quirks, threads=1)
    found = tuple(text for text in result.warnings if BLACK in text)
    assert (NAME in result.quirks_that_mattered) == bool(found)
    return found


@for_each("changes", NOTHING)
def test_no_sensor_captures_everything(changes: dict[str, object]) -> None:
    """Off: the bytes without any sensor, and no layers; on: black, and a warning."""
    oversample = {"sampling.oversample": changes.get("sampling.oversample", 1)}
    need = picture(STILL.replace(oversample))
    experiment = STILL.replace(changes)
    assert picture(experiment, OFF).tobytes() == need.tobytes()
    assert told(experiment, OFF) == ()
    assert info(experiment, OFF)["sensor_layers"] == 1
    assert info(experiment, OFF)["sensor_thickness_m"] == 0.0
    assert not np.any(picture(experiment))
    assert len(told(experiment)) == 1


@for_each(
    "changes",
    [
        {},
        {**ENDLESS, "detector.sensor_attenuation_depth_um": 1e9},
        {**ENDLESS, "detector.sensor_attenuation_depth_um": 1e9, **OPTION},
        {**ENDLESS, "detector.sensor_attenuation_depth_um": None},
        {**ENDLESS, "detector.sensor_thickness_um": 0.0},
    ],
)
def test_sensors_that_capture_a_little_are_left_alone(changes: dict[str, object]) -> None:
    """No warning, and the same bytes in both positions."""
    experiment = STILL.replace(changes)
    assert picture(experiment).tobytes() == picture(experiment, OFF).tobytes()
    assert told(experiment) == told(experiment, OFF) == ()
    assert np.any(picture(experiment))


def test_a_thin_sensor_captures_what_it_absorbs() -> None:
    """Towards no thickness or an endless depth the fraction goes to 0, not to 1: there is no limit
    in which a sensor becomes none."""
    sensor = {
        "detector.convention": "xds",
        "crystal.n_cells": (1.0, 1.0, 1.0),
        "detector.sensor_layers": 1,
        "detector.sensor_thickness_um": 300.0,
        "detector.sensor_attenuation_depth_um": 3e8,
    }
    experiment = STILL.replace(sensor)
    bare = picture(experiment.replace({"detector.sensor_thickness_um": 0.0}))
    n_slow, n_fast = STILL.detector.shape
    fast, slow = np.arange(n_fast) + 0.5 - n_fast / 2, np.arange(n_slow) + 0.5 - n_slow / 2
    path = np.sqrt(fast**2 + slow[:, None] ** 2 + 60.0**2) / 60.0
    got = picture(experiment, off(NAME, "layer_overshoot"))
    assert_same(got, bare * 1e-6 * path, 1e-6)


ARGS = "-cell 70 80 90 90 90 90 -default_F 100 -N 5 -detpixels 16 -pixel 1 -oversample 1"


def test_the_order_of_the_flags_does_not_matter() -> None:
    """Off: thickness and endless depth in any order, with and without the option."""
    need = picture(nb.Experiment.from_nanobragg_args(ARGS))
    flags = ("-detector_thick 300", "-detector_abs inf", "-thicksteps 3")
    orders = [*itertools.permutations(flags), ("-detector_thick 300", "-detector_abs 0")]
    for order, option in itertools.product(orders, ("", " -oversample_thick")):
        command = parse_command(f"{ARGS} {' '.join(order)}{option}", quirks=OFF)
        got = nb.simulate(command.experiment, CONSTANT, quirks=OFF, threads=1, unrounded=True)
        assert got.unrounded is not None
        assert got.unrounded.tobytes() == need.tobytes()


def test_water_is_seen_without_a_sensor() -> None:
    """Off: the corrected water as without the sensor, too."""
    wet = STILL.replace({"crystal.water_um": 3.0})
    quirks = off(NAME, "water_background")
    assert picture(wet.replace(ENDLESS), quirks).tobytes() == picture(wet, quirks).tobytes()
