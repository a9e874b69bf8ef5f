"""Pixels of scenes where a formula has no value: in the beam, behind the crystal, on it, and a
polarization axis along the beam."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from c_scene_columns import TYPICAL, by_name, column_error, every_direction
from c_scenes import (
    NONE,
    PIXEL,
    RAY,
    Calls,
    CScene,
    Integers,
    expected_values,
    pixels_of,
    scene_of,
)
from for_each import for_each

PIXELS = pixels_of(60, seed=5)
WEIGHT = np.random.default_rng(1).uniform(0.5, 1.5, 60)


@pytest.fixture
def call(ffi: Any, lib: Any) -> Calls:
    """The functions of the library with arrays."""
    return Calls(ffi, lib)


def straight(**rest: Any) -> CScene:
    """The pixel (10, 10) is exactly in the middle of the beam, 0.1 m away."""
    scene = scene_of(**rest)
    numbers = scene.numbers.copy()
    numbers[:9] = np.eye(3).reshape(-1)
    numbers[9:12] = [-10.5e-4, -10.5e-4, 0.1]
    return dataclasses.replace(scene, numbers=numbers)


def single(slow: int, fast: int) -> tuple[Integers, Integers]:
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


@for_each("distance", [1e-46, 1e46, 1e200, -1e200, np.inf, np.nan])
def test_pixels_out_of_reach(call: Calls, distance: float) -> None:
    """No number at all in any build, rather than a wrong one."""
    scene = straight()
    scene.numbers[9:12] = [-10.5e-4, -10.5e-4, distance]
    for kernel in call.kernels():
        assert np.isnan(call.values(dataclasses.replace(scene, kernel=kernel), single(10, 10)))
    scene.numbers[11] = 0.1
    assert np.isfinite(call.values(scene, single(10, 10)))


@for_each("polarization, distance", [(p, d) for p in (NONE, PIXEL, RAY) for d in (0.1, -0.1)])
def test_derivatives_exactly_forward_and_backward(
    call: Calls, polarization: int, distance: float
) -> None:
    """Nothing is singular there: finite, and what differences give."""
    scene, here, weight = straight(polarization=polarization), single(10, 10), np.ones(1)
    scene.numbers[11] = distance
    gradient = call.gradients(scene, here, weight)
    columns = call.jacobian(scene, here, every_direction(scene))[1]
    value = call.values(scene, here)[0, 0]
    assert value > 0.0
    for name, part in by_name(scene, columns).items():
        assert part[:, 0] == pytest.approx(gradient[name].reshape(-1), rel=1e-10, abs=0.0), name
        typical = np.broadcast_to(TYPICAL[name], gradient[name].shape).reshape(-1)
        for place, step in enumerate(1e-6 * typical):
            change = np.zeros(part.shape[0])
            change[place] = step
            change = change.reshape(gradient[name].shape)
            ahead, behind = (
                call.values(scene.moved(name, s * change), here)[0, 0] for s in (1.0, -1.0)
            )
            assert (ahead - behind) / 2 == pytest.approx(
                step * part[place, 0], rel=1e-5, abs=1e-12 * value
            ), (name, place)


@for_each("place", [PIXEL, RAY])
def test_derivatives_where_the_axis_is_along_the_beam(call: Calls, place: int) -> None:
    """There is no frame, and none of its derivatives; the others are differences."""
    scene = straight(polarization=place)
    scene.numbers[17:20] = [0.0, 0.0, 2.0]
    gradient = call.gradients(scene, PIXELS, WEIGHT)
    assert all(np.isfinite(array).all() for array in gradient.values())
    assert not gradient["numbers"][17:20].any()
    columns = by_name(scene, call.jacobian(scene, PIXELS, every_direction(scene))[1])
    assert not columns["numbers"][17:20].any()
    for at in (*range(9, 13), 15, 16):
        assert column_error(call, scene, PIXELS, "numbers", at, columns["numbers"][at]) < 1e-6, at


def test_a_pixel_on_the_crystal_does_not_spoil_the_others(call: Calls) -> None:
    """R is 0 there and derivatives are not finite; those of other pixels are what they were."""
    scene = straight(polarization=PIXEL)
    scene.numbers[9:12] = [-0.5 * 1e-4, -0.5 * 1e-4, 0.0]
    pixels = np.array([0, 3], np.int32), np.array([0, 5], np.int32)
    columns = call.jacobian(scene, pixels, every_direction(scene))[1]
    alone = call.jacobian(scene, single(3, 5), every_direction(scene))[1]
    assert np.isfinite(alone).all()
    assert np.array_equal(columns[:, 1:], alone)
    assert not np.isfinite(columns[9:12, 0]).all()
