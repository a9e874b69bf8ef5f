"""Calls of nbh_scene_* that end with a status: cancelled ones, and what makes no sense."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from c_scenes import Calls, Directions, RefusedError, crystal_of, pixels_of, scene_of
from for_each import for_each

PIXELS = pixels_of(300)
WEIGHT = np.ones(300)


@pytest.fixture
def call(ffi: Any, lib: Any) -> Calls:
    """The functions of the library with arrays."""
    return Calls(ffi, lib)


def test_a_cancelled_call(call: Calls) -> None:
    """Non-zero from the start: no pixel is set."""
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
        assert np.isfinite(values).sum() == (0 if flag else 300)


@for_each(
    "changes, status, field, message",
    [
        ({"struct_size": 8}, "STRUCT_SIZE", "struct_size", "call nbh_scene_init first"),
        ({"oversample": 0}, "INVALID", "oversample", "got 0, need at least 1"),
        ({"layers": 0}, "INVALID", "layers", "got 0, need at least 1"),
        ({"oversample": 2**30}, "TOO_LARGE", "oversample", "got 1 layers of 1073741824 * 107"),
        ({"capture": 6}, "INVALID", "capture", "got 6, need an nbh_factor_place of capture"),
        ({"capture": 8}, "INVALID", "capture", "got 8, need an nbh_factor_place of capture"),
        ({"capture": -1}, "INVALID", "capture", "got -1, need an nbh_factor_place of capture"),
        ({"polarization": 4}, "INVALID", "polarization", "got 4, need an nbh_factor_place of pol"),
        ({"polarization": 8}, "INVALID", "polarization", "got 8, need an nbh_factor_place of pol"),
        ({"solid_angle": 0}, "INVALID", "solid_angle", "got 0, need NBH_FACTOR_PIXEL, _RAY or"),
        ({"solid_angle": 4}, "INVALID", "solid_angle", "got 4, need NBH_FACTOR_PIXEL, _RAY or"),
        ({"solid_angle": 6}, "INVALID", "solid_angle", "got 6, need NBH_FACTOR_PIXEL, _RAY or"),
        ({"surface": 3}, "INVALID", "surface", "got 3, need an nbh_detector_surface"),
        ({"surface": -1}, "INVALID", "surface", "got -1, need an nbh_detector_surface"),
        ({"background_factors": 8}, "INVALID", "background_factors", "got 8, need a sum of"),
        ({"background_factors": -1}, "INVALID", "background_factors", "got -1, need a sum of"),
        ({"water_factors": 32}, "INVALID", "water_factors", "got 32, need a sum of"),
        ({"tolerance_photons": -1.0}, "INVALID", "tolerance_photons", "got -1, need a finite"),
        ({"tolerance_photons": float("nan")}, "INVALID", "tolerance_photons", "got nan, need a"),
        ({"tolerance_photons": float("inf")}, "INVALID", "tolerance_photons", "got inf, need a"),
        ({"dmin_m": -1e-10}, "INVALID", "dmin_m", "got -1e-10, need a finite number >= 0"),
        ({"dmin_m": float("nan")}, "INVALID", "dmin_m", "got nan, need a finite number >= 0"),
        ({"dmin_m": float("inf")}, "INVALID", "dmin_m", "got inf, need a finite number >= 0"),
        ({"source_count": 0}, "INVALID", "source_count", "got 0, need at least 1"),
        ({"crystal_count": 0}, "INVALID", "crystal_count", "got 0, need at least 1"),
        ({"steps": 0.0}, "INVALID", "steps", "got 0, need a finite number > 0"),
        ({"steps": float("nan")}, "INVALID", "steps", "got nan, need a finite number > 0"),
        ({"steps": float("inf")}, "INVALID", "steps", "got inf, need a finite number > 0"),
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
        assert call.ffi.string(error.field).decode() == name
        assert call.ffi.string(error.message) == b"got NULL, need an array"
        assert call.lib.nbh_scene_values(given, pixels, 0, 0, call.pointer(out), error) == 0
    assert not out.any()


@for_each(
    "missing", [None, "values", "jacobian", "weight", "sources", "crystals", "cells_m", "of 0"]
)
def test_places_for_what_comes_out(call: Calls, missing: str | None) -> None:
    """Without one of them nothing is computed; with none missing everything is."""
    ffi, lib = call.ffi, call.lib
    given, pixels, error = call.scene(scene_of()), call.pixel_list(*PIXELS), ffi.new("nbh_error *")

    def pointer(name: str, array: Any) -> Any:
        return ffi.NULL if name == missing else call.pointer(array)

    values, found = np.zeros(300), np.zeros((1, 300))
    sources, crystals, cells = np.zeros((1, 5)), np.zeros((1, 17)), np.zeros((3, 9))
    cells_m = ffi.new("double *[]", [pointer("of 0", cells)])
    by = ffi.new("nbh_scene_gradient *")
    by.sources, by.crystals = pointer("sources", sources), pointer("crystals", crystals)
    by.cells_m = ffi.NULL if missing == "cells_m" else cells_m
    along = ffi.new("nbh_scene_directions *", {"count": 1})
    of_values, of_found = pointer("values", values), pointer("jacobian", found)
    statuses = (
        lib.nbh_scene_values(given, pixels, 0, 300, of_values, error),
        lib.nbh_scene_jacobian(given, pixels, along, 0, 300, of_values, of_found, error),
        lib.nbh_scene_gradients(given, pixels, pointer("weight", WEIGHT), 0, 300, by, error),
    )
    refused = {None: "", "values": "vj", "jacobian": "j"}.get(missing, "g")
    expected = [lib.NBH_INVALID if name in refused else lib.NBH_OK for name in "vjg"]
    assert list(statuses) == expected
    if missing is not None:
        field = "cells_m" if missing == "of 0" else missing
        assert ffi.string(error.field).decode() == field
        assert ffi.string(error.message) == b"got NULL, need an array"
    assert cells.any() == ("g" not in refused)


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
    [
        (s, c, v)
        for s in (0, 1)
        for c, v in (
            (0, np.nan),
            (1, np.inf),
            (3, 1e-25),
            (3, 0.0),
            (3, 1e-46),
            (3, np.nan),
            (3, np.inf),
            (3, 1e46),
        )
    ],
)
def test_sources_that_no_kernel_takes(call: Calls, source: int, column: int, value: float) -> None:
    """Whichever of them it is."""
    scene = scene_of(sources=2)
    assert np.isfinite(call.values(scene, PIXELS)).all()
    scene.sources[source, column] = value
    with pytest.raises(RefusedError) as refused:
        call.values(scene, PIXELS)
    is_ordinary = column < 3 or value == 1e-25
    assert refused.value.status == "NBH_TOO_LARGE"
    assert refused.value.field == ("q" if is_ordinary else "sources")


def test_cancelled_derivatives(call: Calls) -> None:
    """Non-zero from the start: no pixel is set."""
    scene, (slow, fast) = scene_of(), pixels_of(300)
    for flag, status in ((0, call.lib.NBH_OK), (1, call.lib.NBH_CANCELLED)):
        cancel = call.ffi.new("int32_t *", flag)
        pixels = call.pixel_list(slow, fast)
        pixels.cancel = cancel
        values, found = np.full(300, np.nan), np.full((1, 300), np.nan)
        to = call.ffi.new("nbh_scene_directions *", {"count": 1})
        arguments = (pixels, to, 0, 300, call.pointer(values), call.pointer(found), call.ffi.NULL)
        assert call.lib.nbh_scene_jacobian(call.scene(scene), *arguments) == status
        assert np.isfinite(found).sum() == (0 if flag else 300)
        by = call.ffi.new("nbh_scene_gradient *")
        sources, crystals, cells = np.zeros((1, 5)), np.zeros((1, 17)), np.zeros((3, 9))
        cells_m = call.ffi.new("double *[]", [call.pointer(cells)])
        by.sources, by.crystals, by.cells_m = (
            call.pointer(sources),
            call.pointer(crystals),
            cells_m,
        )
        weight = np.ones(300)
        rest = (call.pointer(weight), 0, 300, by, call.ffi.NULL)
        assert call.lib.nbh_scene_gradients(call.scene(scene), pixels, *rest) == status


@for_each(
    "along, field, message",
    [
        (Directions(0), "directions", "got 0, need at least 1"),
        (Directions(-2), "directions", "got -2, need at least 1"),
        (Directions(1, reference_m=np.zeros(9)), "rotations", "need one for each orientation"),
        (Directions(1, amplitude=np.zeros(1)), "amplitude", "need a crystal that has a table"),
        (
            Directions(2, turning=np.array([2], np.int32), turning_m=np.zeros(27)),
            "turning",
            "got 2, need a direction, 0 to 1",
        ),
        (
            Directions(2, turning=np.array([0, -1], np.int32), turning_m=np.zeros(54)),
            "turning",
            "got -1, need a direction, 0 to 1",
        ),
        (Directions(2, turning=np.array([0], np.int32)), "turning_m", "got NULL, need an array"),
    ],
)
def test_directions_that_are_refused(
    call: Calls, along: Directions, field: str, message: str
) -> None:
    call.jacobian(scene_of(), PIXELS, Directions(1))
    with pytest.raises(RefusedError) as refused:
        call.jacobian(scene_of(), PIXELS, along)
    assert (refused.value.status, refused.value.field) == ("NBH_INVALID", field)
    assert refused.value.message.startswith(message)


@for_each(
    "members, field",
    [({"turning_count": -1}, b"turning_count"), ({"turning_count": 1}, b"turning")],
)
def test_turning_that_is_not_there(call: Calls, members: dict[str, int], field: bytes) -> None:
    to = call.ffi.new("nbh_scene_directions *", {"count": 3, **members})
    values, found, error = np.zeros(300), np.zeros((3, 300)), call.ffi.new("nbh_error *")
    arguments = (0, 300, call.pointer(values), call.pointer(found), error)
    given, pixels = call.scene(scene_of()), call.pixel_list(*PIXELS)
    status = call.lib.nbh_scene_jacobian(given, pixels, to, *arguments)
    assert status == call.lib.NBH_INVALID
    assert call.ffi.string(error.field) == field


def test_a_jacobian_is_that_of_one_crystal(call: Calls) -> None:
    with pytest.raises(RefusedError) as refused:
        call.jacobian(scene_of([crystal_of(), crystal_of()]), PIXELS, Directions(1))
    assert refused.value.field == "crystal_count"
    assert refused.value.message == "got 2, need 1 for a Jacobian"


def test_gradients_are_refused_like_values(call: Calls) -> None:
    """Every entry looks at the scene."""
    wrong = dataclasses.replace(scene_of(), changes={"oversample": 0})
    for use in (
        lambda: call.gradients(wrong, PIXELS, WEIGHT),
        lambda: call.jacobian(wrong, PIXELS, Directions(1)),
    ):
        with pytest.raises(RefusedError) as refused:
            use()
        assert refused.value.field == "oversample"
