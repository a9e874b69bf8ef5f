"""Pixels of scenes (nbh_scene_values): the model's formulas over the library's lattice sums."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from c_scenes import (
    GAUSS,
    NONE,
    PIXEL,
    RAY,
    Calls,
    CScene,
    RefusedError,
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


@pytest.mark.parametrize("solid_angle", [PIXEL, RAY])
@pytest.mark.parametrize("polarization", [NONE, PIXEL, RAY])
@pytest.mark.parametrize("capture", [NONE, PIXEL, RAY])
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
    ],
)
def test_options(call: Calls, rest: dict[str, Any]) -> None:
    assert_is_the_models(call, scene_of(**rest))


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
        crystal_of(shape, mode=mode, seed=shape, background=0.0 if place == RAY else shape)
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


def straight(**rest: Any) -> CScene:
    """The pixel (10, 10) is exactly in the middle of the beam, 0.1 m away."""
    scene = scene_of(**rest)
    numbers = scene.numbers.copy()
    numbers[:9] = np.eye(3).reshape(-1)
    numbers[9:12] = [-10.5e-4, -10.5e-4, 0.1]
    return dataclasses.replace(scene, numbers=numbers)


def single(slow: int, fast: int) -> tuple[Any, Any]:
    return np.array([slow], np.int32), np.array([fast], np.int32)


@for_each("place", [NONE, PIXEL, RAY])
def test_exactly_forward(call: Calls, place: int) -> None:
    """q is 0: every orientation is on a reflection, and the polarization factor is 1."""
    value = call.values(straight(polarization=place), single(10, 10))[0, 0]
    omega = 1e-8 / 0.01 * 0.099 / 0.1
    assert value == pytest.approx(0.3 * 3 * (7.0 * 60) ** 2 * omega, rel=1e-13)


def test_exactly_backward(call: Calls) -> None:
    """d is -i, where the polarization factor is 1 again."""
    scene = straight(polarization=PIXEL)
    scene.numbers[11] = -0.1
    plain = dataclasses.replace(scene, polarization=NONE)
    value, expected = (call.values(s, single(10, 10))[0, 0] for s in (scene, plain))
    assert value == pytest.approx(expected, rel=1e-15)
    assert value > 0.0


@for_each("place", [PIXEL, RAY])
def test_polarization_axis_along_the_beam(call: Calls, place: int) -> None:
    """Then psi is 0; and an axis of any length elsewhere."""
    scene = straight(polarization=place)
    for axis in ([0.0, 0.0, 2.0], [0.0, 0.0, -1e-3], [0.0, 0.0, 0.0]):
        scene.numbers[17:20] = axis
        values = call.values(scene, PIXELS)
        scene.numbers[17:20] = [0.0, 0.0, 1.0]
        assert np.array_equal(values, call.values(scene, PIXELS))
        error = values - expected_values(call, scene, PIXELS)
        assert np.linalg.norm(error) < 1e-13 * np.linalg.norm(values)
    scene.numbers[17:20] = [0.3, -0.2, 0.5]
    values = call.values(scene, PIXELS)
    scene.numbers[17:20] *= 3.0
    assert call.values(scene, PIXELS) == pytest.approx(values, rel=1e-13)


def test_a_pixel_on_the_crystal(call: Calls) -> None:
    """R is 0: there is no direction, so q is -i / wavelength, and the solid angle is infinite."""
    scene = straight()
    scene.numbers[9:12] = [-0.5 * 1e-4, -0.5 * 1e-4, 0.0]
    assert call.values(scene, single(0, 0))[0, 0] == np.inf
    assert np.isfinite(call.values(scene, single(0, 1))).all()


def test_beams_that_graze_the_sensor_or_never_leave_it(call: Calls) -> None:
    """Depths whose exponentials underflow, beside ordinary ones in the same tile."""
    scene = scene_of(capture=RAY, layers=2, oversample=2)
    scene.numbers[14] = 1e8
    assert_is_the_models(call, scene)


def test_a_cancelled_call(call: Calls) -> None:
    """Non-zero from the start: the first tile is computed, then the call ends."""
    for flag, status in ((0, call.lib.NBH_OK), (1, call.lib.NBH_CANCELLED)):
        cancel = call.ffi.new("int32_t *", flag)
        pixels = call.pixel_list(*PIXELS)
        pixels.cancel = cancel
        values = np.full((1, 300), np.nan)
        error = call.ffi.new("nbh_error *")
        given = call.scene(scene_of())
        assert (
            call.lib.nbh_scene_values(given, pixels, 0, 300, call.pointer(values), error) == status
        )
        assert np.isfinite(values).sum() == (256 if flag else 300)


@for_each(
    "changes, status, field, message",
    [
        ({"struct_size": 8}, "STRUCT_SIZE", "struct_size", "call nbh_scene_init first"),
        ({"oversample": 0}, "INVALID", "oversample", "got 0, need at least 1"),
        ({"layers": 0}, "INVALID", "layers", "got 0, need at least 1"),
        ({"oversample": 2**30}, "TOO_LARGE", "oversample", "got 1 layers of 1073741824 * 107"),
        ({"capture": 3}, "INVALID", "capture", "got 3, need an nbh_factor_place"),
        ({"capture": -1}, "INVALID", "capture", "got -1, need an nbh_factor_place"),
        ({"polarization": 3}, "INVALID", "polarization", "got 3, need an nbh_factor_place"),
        ({"solid_angle": 0}, "INVALID", "solid_angle", "got 0, need an nbh_factor_place but"),
        ({"solid_angle": 3}, "INVALID", "solid_angle", "got 3, need an nbh_factor_place but"),
        ({"polarization": 1, "dmin_m": 1e-10}, "INVALID", "polarization", "need NBH_FACTOR_RAY"),
        ({"dmin_m": -1e-10}, "INVALID", "dmin_m", "got -1e-10, need a finite number >= 0"),
        ({"dmin_m": float("nan")}, "INVALID", "dmin_m", "got nan, need a finite number >= 0"),
        ({"dmin_m": float("inf")}, "INVALID", "dmin_m", "got inf, need a finite number >= 0"),
        ({"source_count": 0}, "INVALID", "source_count", "got 0, need at least 1"),
        ({"crystal_count": 0}, "INVALID", "crystal_count", "got 0, need at least 1"),
        ({"steps": 0.0}, "INVALID", "steps", "got 0, need a finite number > 0"),
        ({"steps": float("nan")}, "INVALID", "steps", "got nan, need a finite number > 0"),
        ({"steps": float("inf")}, "INVALID", "steps", "got inf, need a finite number > 0"),
        ({"solid_angle": 2}, "INVALID", "background", "got 4, need 0 where rays have factors"),
        ({"polarization": 2}, "INVALID", "background", "got 4, need 0 where rays have factors"),
        ({"capture": 2}, "INVALID", "background", "got 4, need 0 where rays have factors"),
    ],
)
def test_what_is_refused(
    call: Calls, changes: dict[str, Any], status: str, field: str, message: str
) -> None:
    scene = scene_of([crystal_of(background=4.0)])
    assert np.isfinite(call.values(scene, PIXELS)).all()
    with pytest.raises(RefusedError) as refused:
        call.values(dataclasses.replace(scene, changes=changes), PIXELS)
    assert refused.value.status == f"NBH_{status}"
    assert refused.value.field == field
    assert refused.value.message.startswith(message)


@for_each("name", ["sources", "crystals", "strength", "background"])
def test_arrays_that_are_not_there(call: Calls, name: str) -> None:
    scene = scene_of()
    with pytest.raises(RefusedError) as refused:
        call.values(dataclasses.replace(scene, changes={name: call.ffi.NULL}), PIXELS)
    assert (refused.value.status, refused.value.field) == ("NBH_INVALID", name)
    assert refused.value.message == "got NULL, need an array"


def test_pixels_that_are_not_there(call: Calls) -> None:
    given, out = call.scene(scene_of()), np.zeros(300)
    error = call.ffi.new("nbh_error *")
    for first, end in ((-1, 3), (3, 2), (0, 301)):
        pixels = call.pixel_list(*PIXELS)
        status = call.lib.nbh_scene_values(given, pixels, first, end, call.pointer(out), error)
        assert status == call.lib.NBH_INVALID
        assert call.ffi.string(error.field) == b"pixels"
        assert call.ffi.string(error.message).decode() == f"got {first} to {end} of 300"
    for name in ("slow", "fast"):
        pixels = call.pixel_list(*PIXELS)
        setattr(pixels, name, call.ffi.NULL)
        status = call.lib.nbh_scene_values(given, pixels, 0, 300, call.pointer(out), error)
        assert status == call.lib.NBH_INVALID
        assert call.ffi.string(error.message) == b"got NULL, need an array"
        assert call.lib.nbh_scene_values(given, pixels, 0, 0, call.pointer(out), error) == 0
    assert not out.any()


@for_each(
    "change, status, field",
    [
        ({"struct_size": 8}, "STRUCT_SIZE", b"crystals"),
        ({"kernel": 2}, "INVALID", b"crystals"),
        ({"shape": 6}, "INVALID", b"shape"),
        ({"n_cells": [1e5, 1.0, 1.0]}, "TOO_LARGE", b"q"),
        ({"orientation_count": -1}, "INVALID", b"orientation_count"),
        ({"cells_m": None}, "INVALID", b"cells_m"),
    ],
)
def test_the_second_crystal_is_looked_at(
    call: Calls, change: dict[str, Any], status: str, field: bytes
) -> None:
    given, pixels = call.scene(scene_of([crystal_of(), crystal_of()])), call.pixel_list(*PIXELS)
    out, error = np.zeros((2, 300)), call.ffi.new("nbh_error *")
    assert call.lib.nbh_scene_values(given, pixels, 0, 300, call.pointer(out), error) == 0
    for name, value in change.items():
        setattr(given.crystals[1], name, call.ffi.NULL if value is None else value)
    found = call.lib.nbh_scene_values(given, pixels, 0, 300, call.pointer(out), error)
    assert found == getattr(call.lib, f"NBH_{status}")
    assert call.ffi.string(error.field) == field


@for_each("kernel", [1, 77, -1])
def test_kernels_that_are_none(call: Calls, kernel: int) -> None:
    with pytest.raises(RefusedError) as refused:
        call.values(dataclasses.replace(scene_of(), kernel=kernel), PIXELS)
    assert refused.value.field == "kernel"
    assert refused.value.message.startswith(f"got {kernel}, need a build of the fast kernels")


@for_each(
    "source, column, value",
    [(s, c, v) for s in (0, 1) for c, v in ((0, np.nan), (1, np.inf), (3, 0.0), (3, np.nan))],
)
def test_sources_that_no_kernel_takes(call: Calls, source: int, column: int, value: float) -> None:
    """Whichever of them it is."""
    scene = scene_of(sources=2)
    assert np.isfinite(call.values(scene, PIXELS)).all()
    scene.sources[source, column] = value
    with pytest.raises(RefusedError) as refused:
        call.values(scene, PIXELS)
    assert (refused.value.status, refused.value.field) == ("NBH_TOO_LARGE", "q")
