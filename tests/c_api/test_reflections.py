"""nbh_plan_pixel_reflections: the light of each reflection is that of its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Create = Callable[..., tuple[int, Any, Any]]
PIXEL = (2, 3)


@pytest.fixture
def loops(cubic: Any) -> Any:
    """An experiment in which every loop runs more than once."""
    cubic.detector.sensor_thickness_m = 3e-4
    cubic.detector.sensor_layers = 2
    cubic.sampling.oversample = 2
    cubic.beam.dispersion_fraction = 0.3
    cubic.beam.dispersion_steps = 3
    cubic.goniometer.phi_rad = 0.1
    cubic.goniometer.osc_rad = 0.02
    cubic.goniometer.phi_steps = 2
    cubic.crystal.mosaic_spread_rad = 0.01
    cubic.crystal.mosaic_domains = 2
    return cubic


def lights_of(
    ffi: Any, lib: Any, plan: Any, pixel: tuple[int, int] = PIXEL, capacity: int = 100
) -> tuple[int, list[tuple[tuple[int, int, int], float, float]], Any]:
    lights, count = ffi.new("nbh_reflection_light[]", 100), ffi.new("int64_t *")
    error = ffi.new("nbh_error *")
    status = lib.nbh_plan_pixel_reflections(plan, *pixel, capacity, lights, count, ffi.NULL, error)
    rows = [lights[n] for n in range(count[0])]
    return (
        status,
        [((row.h, row.k, row.l), row.photons, row.photons_phi_rad) for row in rows],
        error,
    )


def steps_of(ffi: Any, lib: Any, plan: Any) -> tuple[Any, list[Any]]:
    steps, count = ffi.new("nbh_step_trace[]", 1000), ffi.new("int64_t *")
    trace, error = ffi.new("nbh_trace *"), ffi.new("nbh_error *")
    status = lib.nbh_plan_trace_steps(
        plan, *PIXEL, ffi.NULL, 1000, steps, count, ffi.NULL, trace, error
    )
    assert status == lib.NBH_OK
    return trace, [steps[n] for n in range(count[0])]


@pytest.mark.parametrize("shape", ["SQUARE", "ROUND", "GAUSS", "GAUSS_HKL"])
def test_light_is_that_of_the_steps(
    ffi: Any, lib: Any, loops: Any, create_plan: Create, shape: str
) -> None:
    loops.crystal.shape = getattr(lib, f"NBH_SHAPE_{shape}")
    _, plan, _ = create_plan(loops)
    trace, steps = steps_of(ffi, lib, plan)
    terms: dict[tuple[int, ...], list[float]] = {}
    for step in steps:
        hkl = tuple(int(x) for x in step.hkl_rounded)
        both = terms.setdefault(hkl, [0.0, 0.0])
        both[0] += step.term
        both[1] += step.term * step.phi_rad
    status, lights, _ = lights_of(ffi, lib, plan)
    assert status == lib.NBH_OK
    assert len(lights) > 1
    assert [hkl for hkl, _, _ in lights] == [hkl for hkl in terms if terms[hkl][0] > 0.0]
    scale = trace.pixel_value / trace.i_before_scaling
    for hkl, photons, photons_phi in lights:
        assert photons == pytest.approx(scale * terms[hkl][0], rel=1e-13)
        assert photons_phi == pytest.approx(scale * terms[hkl][1], rel=1e-13)
    assert sum(light[1] for light in lights) == pytest.approx(trace.pixel_value, rel=1e-13)


def test_water_is_nobodys_light(ffi: Any, lib: Any, loops: Any, create_plan: Create) -> None:
    dry = lights_of(ffi, lib, create_plan(loops)[1])
    loops.crystal.water_size_m = 1e-6
    assert lights_of(ffi, lib, create_plan(loops)[1])[:2] == dry[:2]


def test_far_steps_of_a_gaussian(ffi: Any, lib: Any, loops: Any, create_plan: Create) -> None:
    loops.crystal.shape = lib.NBH_SHAPE_GAUSS_HKL
    loops.crystal.n_cells = [300.0, 300.0, 300.0]
    _, plan, _ = create_plan(loops)
    trace, _ = steps_of(ffi, lib, plan)
    assert trace.pixel_value < 1e-60
    status, lights, _ = lights_of(ffi, lib, plan)
    assert (status, lights) == (lib.NBH_OK, [])


def test_room_for_them(ffi: Any, lib: Any, loops: Any, create_plan: Create) -> None:
    _, plan, _ = create_plan(loops)
    _, lights, _ = lights_of(ffi, lib, plan)
    most = len(lights)
    assert lights_of(ffi, lib, plan, capacity=most)[:2] == (lib.NBH_OK, lights)
    status, none, error = lights_of(ffi, lib, plan, capacity=most - 1)
    assert (status, none) == (lib.NBH_TOO_LARGE, [])
    assert ffi.string(error.field) == b"capacity"
    status, _, error = lights_of(ffi, lib, plan, capacity=-1)
    assert (status, ffi.string(error.field)) == (lib.NBH_INVALID, b"lights")


def test_pixels_that_are_not_there(ffi: Any, lib: Any, loops: Any, create_plan: Create) -> None:
    loops.sampling.roi_fast_min = 3
    _, plan, _ = create_plan(loops)
    assert lights_of(ffi, lib, plan, (2, 3))[:2] == (lib.NBH_OK, [])
    assert lights_of(ffi, lib, plan, (3, 3))[1] != []
    for pixel in ((-1, 0), (8, 0), (0, -1), (0, 6)):
        assert lights_of(ffi, lib, plan, pixel)[0] == lib.NBH_INVALID


@pytest.mark.parametrize("option", ["thick", "polar", "omega"])
def test_running_product(ffi: Any, lib: Any, loops: Any, create_plan: Create, option: str) -> None:
    setattr(loops.sampling, f"oversample_{option}", 1)
    status, lights, error = lights_of(ffi, lib, create_plan(loops)[1])
    assert (status, lights) == (lib.NBH_NOT_IMPLEMENTED, [])
    assert ffi.string(error.field) == b"quirks.oversample_running_product"
    loops.quirks &= ~lib.NBH_QUIRK_OVERSAMPLE_RUNNING_PRODUCT
    _, plan, _ = create_plan(loops)
    trace, _ = steps_of(ffi, lib, plan)
    status, lights, _ = lights_of(ffi, lib, plan)
    assert status == lib.NBH_OK
    assert sum(light[1] for light in lights) == pytest.approx(trace.pixel_value, rel=1e-13)


def test_cancelled(ffi: Any, lib: Any, loops: Any, create_plan: Create) -> None:
    _, plan, error = create_plan(loops)
    lights, count = ffi.new("nbh_reflection_light[]", 100), ffi.new("int64_t *", 5)
    flag = ffi.new("int32_t *", 1)
    status = lib.nbh_plan_pixel_reflections(plan, *PIXEL, 100, lights, count, flag, error)
    assert (status, count[0]) == (lib.NBH_CANCELLED, 0)
