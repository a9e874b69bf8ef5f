"""Pixels of scenes (nbh_scene_values): the model's formulas over the library's lattice sums."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from c_scenes import (
    GAUSS,
    LAST_LAYER,
    LAYER,
    NONE,
    PIXEL,
    PLANE,
    RAY,
    SAMPLE,
    SOURCE,
    SPHERE,
    STEP,
    TOPHAT,
    TURNED,
    Calls,
    CScene,
    crystal_of,
    expected_values,
    pixels_of,
    scene_of,
)
from for_each import for_each

PIXELS = pixels_of(300)
"""More than a tile, and no multiple of one."""


@pytest.fixture
def call(ffi: Any, lib: Any) -> Calls:
    """The functions of the library with arrays."""
    return Calls(ffi, lib)


def assert_is_the_models(call: Calls, scene: CScene, pixels: Any = PIXELS) -> None:
    """With every build; the error is that of all pixels together."""
    for kernel in call.kernels():
        one = dataclasses.replace(scene, kernel=kernel)
        values, expected = call.values(one, pixels), expected_values(call, one, pixels)
        assert np.linalg.norm(expected) > 0.0
        error = np.linalg.norm(values - expected) / np.linalg.norm(expected)
        assert error < 1e-13, (kernel, error)


@pytest.mark.parametrize("solid_angle", [PIXEL, RAY, STEP])
@pytest.mark.parametrize("polarization", [NONE, PIXEL, RAY, STEP, SOURCE, SAMPLE])
@pytest.mark.parametrize("capture", [NONE, PIXEL, RAY, STEP, LAYER, LAST_LAYER])
def test_factors_act_where_they_are_put(
    call: Calls, capture: int, polarization: int, solid_angle: int
) -> None:
    """Layers, sub-pixels and sources, so that each place gives another image."""
    scene = scene_of(
        sources=2,
        oversample=2,
        layers=3,
        capture=capture,
        polarization=polarization,
        solid_angle=solid_angle,
        steps=24.0,
    )
    assert_is_the_models(call, scene)


@for_each(
    "name, place",
    [("capture", RAY), ("capture", NONE), ("polarization", RAY), ("solid_angle", RAY)],
)
def test_another_place_is_another_image(call: Calls, name: str, place: int) -> None:
    scene = scene_of(sources=2, oversample=2, layers=3, capture=PIXEL, polarization=PIXEL)
    other = dataclasses.replace(scene, **{name: place})  # type: ignore[arg-type]
    one, two = call.values(scene, PIXELS), call.values(other, PIXELS)
    assert np.linalg.norm(one - two) > 1e-8 * np.linalg.norm(one)


@for_each(
    "rest",
    [
        {"has_pixel_area": False},
        {"is_oblique": False},
        {"has_pixel_area": False, "is_oblique": False, "solid_angle": RAY, "oversample": 3},
        {"sources": 4, "steps": 12.0},
        {"dmin_m": 4e-10},
        {"dmin_m": 4e-10, "polarization": RAY, "capture": RAY, "sources": 3, "oversample": 2},
        {"dmin_m": 4e-10, "polarization": PIXEL, "sources": 3, "oversample": 2},
        {"dmin_m": 4e-10, "polarization": SAMPLE, "sources": 3, "oversample": 2},
        {"dmin_m": 4e-10, "polarization": STEP, "sources": 3},
        {"faces_sample": True, "capture": RAY, "layers": 2},
        {"has_water": True, "water_factors": 7, "oversample": 2, "sources": 2, "layers": 2},
        {"has_water": True, "water_factors": 31, "oversample": 2, "sources": 2, "layers": 2},
        {"has_water": True},
    ],
)
def test_options(call: Calls, rest: dict[str, Any]) -> None:
    assert_is_the_models(call, scene_of(**rest))


@for_each("surface", [TURNED, SPHERE])
def test_curved_detectors(call: Calls, surface: int) -> None:
    """Sines of angles are right to a rounding: that of an index is 1e-15 of a phase."""
    scene = scene_of(surface=surface, oversample=2, layers=2, capture=RAY, polarization=RAY)
    values, expected = call.values(scene, PIXELS), expected_values(call, scene, PIXELS)
    plane = call.values(dataclasses.replace(scene, surface=PLANE), PIXELS)
    size = np.linalg.norm(expected)
    assert np.linalg.norm(values - expected) < 1e-12 * size
    assert np.linalg.norm(plane - expected) > 1e-6 * size


@for_each("own", range(8))
def test_factors_of_the_background(call: Calls, own: int) -> None:
    crystals = [crystal_of(background=4e4)]
    scene = scene_of(crystals, layers=2, oversample=2, sources=2, background_factors=own)
    assert_is_the_models(call, scene)
    assert_is_the_models(call, dataclasses.replace(scene, polarization=STEP))


@for_each("shape, counts", itertools.product(range(6), (False, True)))
def test_steps_without_light_may_not_count(call: Calls, shape: int, counts: bool) -> None:
    """Of a running sum: of shapes that are nothing far from a reflection."""
    crystal = crystal_of(shape, background=4.0, mode="table")
    crystal.numbers[3] = 8.0
    scene = scene_of([crystal], polarization=STEP, sources=2, counts_zeros=counts)
    assert_is_the_models(call, scene)


def test_steps_without_light_make_a_difference(call: Calls) -> None:
    crystal = crystal_of(TOPHAT, background=4.0)
    crystal.numbers[3] = 8.0
    scene = scene_of([crystal], polarization=STEP)
    other = dataclasses.replace(scene, counts_zeros=True)
    one, two = call.values(scene, PIXELS), call.values(other, PIXELS)
    assert np.linalg.norm(one - two) > 1e-3 * np.linalg.norm(one)


def test_a_running_sum_that_grows_and_falls(call: Calls) -> None:
    """By factors whose product is no double."""
    for close, pixel in ((1e-6, 1e-9), (1e2, 1.0)):
        crystal = crystal_of(background=4.0)
        cells = np.tile(crystal.cells, (20, 1))
        scene = scene_of([dataclasses.replace(crystal, cells=cells)], solid_angle=STEP)
        scene.numbers[15], scene.numbers[12], scene.numbers[20] = close, pixel, pixel
        pixels = tuple(x[:3].copy() for x in pixels_of(3))
        values = call.values(scene, pixels)
        with np.errstate(over="ignore"):
            expected = expected_values(call, scene, pixels)
        assert np.allclose(values, expected, rtol=1e-12, atol=0.0)


def test_the_resolution_limit_cuts_some_rays(call: Calls) -> None:
    """So that the rows above that have one say something."""
    all_rays = call.values(scene_of(), PIXELS)
    some = call.values(scene_of(dmin_m=4e-10), PIXELS)
    is_left = some == all_rays
    assert 30 < is_left.sum() < 270
    assert not some[~is_left].any()


@for_each("shape, mode", itertools.product(range(6), ("one F", "table", "interpolated")))
def test_shapes_and_structure_factors(call: Calls, shape: int, mode: str) -> None:
    assert_is_the_models(call, scene_of([crystal_of(shape, mode=mode, background=4.0)]))


@for_each("place", [PIXEL, RAY])
def test_crystals_are_those_that_stand_alone(call: Calls, place: int) -> None:
    """Of different shapes, sizes, tables, strengths and numbers of orientations."""
    crystals = [
        crystal_of(shape, mode=mode, seed=shape, background=shape)
        for shape, mode in enumerate(["one F", "table", "interpolated", "one F"])
    ]
    crystals[1] = dataclasses.replace(crystals[1], cells=crystals[1].cells[:1])
    crystals[2].numbers[14] = 2.0
    rest = {"sources": 2, "oversample": 2, "capture": place, "polarization": place}
    together = call.values(scene_of(crystals, **rest), PIXELS)
    for crystal, image in zip(crystals, together, strict=True):
        assert np.array_equal(call.values(scene_of([crystal], **rest), PIXELS)[0], image)


@for_each("count", [1, 2, 255, 256, 257, 512])
def test_numbers_of_pixels(call: Calls, count: int) -> None:
    slow, fast = pixels_of(512)
    pixels = slow[:count].copy(), fast[:count].copy()
    values = call.values(scene_of(sources=2, polarization=RAY), pixels)
    assert np.isfinite(values).all()
    everything = call.values(scene_of(sources=2, polarization=RAY), (slow, fast))
    assert values[0] == pytest.approx(everything[0, :count], rel=1e-12)


def test_parts_may_be_computed_by_themselves(call: Calls) -> None:
    scene = scene_of([crystal_of(GAUSS), crystal_of(GAUSS, seed=1)], polarization=PIXEL)
    whole = call.values(scene, PIXELS)
    assert np.array_equal(call.values(scene, PIXELS, parts=(1, 2, 40, 296, 300)), whole)
    part = call.values(scene, PIXELS, parts=(7, 7))
    assert np.array_equal(part[:, :7], whole[:, :7])
    assert np.isnan(part[:, 7:]).all()


def test_no_pixel_and_no_orientation(call: Calls) -> None:
    assert np.isnan(call.values(scene_of(), PIXELS, parts=(0,))).all()
    empty = dataclasses.replace(crystal_of(GAUSS, background=5.0), cells=np.zeros((0, 9)))
    scene = scene_of([empty])
    values = call.values(scene, PIXELS)
    assert_is_the_models(call, scene)
    assert (values > 0.0).all()


def test_beams_that_graze_the_sensor_or_never_leave_it(call: Calls) -> None:
    """Depths whose exponentials underflow, beside ordinary ones in the same tile."""
    scene = scene_of(capture=RAY, layers=2, oversample=2)
    scene.numbers[14] = 1e8
    assert_is_the_models(call, scene)
