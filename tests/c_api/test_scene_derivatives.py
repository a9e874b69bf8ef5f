"""Derivatives of pixels of scenes (nbh_scene_gradients, nbh_scene_jacobian): differences of values,
and each other's transpose."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from c_scene_columns import assert_alike, by_name, column_error, every_direction
from c_scenes import (
    BACKGROUND,
    GAUSS,
    GAUSS_HKL,
    LAST_LAYER,
    LAYER,
    OWN_SOLID_ANGLE,
    PIXEL,
    RAY,
    ROUND,
    SAMPLE,
    SOURCE,
    SPHERE,
    STEP,
    TOPHAT,
    TOPHAT_HKL,
    TURNED,
    Array,
    Calls,
    Crystal,
    Directions,
    crystal_of,
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


def small(crystal: Crystal) -> Crystal:
    """Spots that do not reach halfway to the next reflection."""
    numbers = crystal.numbers.copy()
    numbers[3] = 8.0
    return dataclasses.replace(crystal, numbers=numbers)


def even(crystal: Crystal) -> Crystal:
    """Even numbers of cells: halfway between two reflections, where the nearest one changes, there
    is no light, and no difference crosses a jump."""
    numbers = crystal.numbers.copy()
    numbers[:3] = [4.0, 6.0, 2.0]
    return dataclasses.replace(crystal, numbers=numbers)


EVERY_RAY: dict[str, Any] = {"capture": RAY, "polarization": RAY, "solid_angle": RAY}
EVERY_PIXEL: dict[str, Any] = {"capture": PIXEL, "polarization": PIXEL}
RUNNING: dict[str, Any] = {"capture": STEP, "polarization": STEP, "solid_angle": RAY}
SCENES = {
    "plain": lambda: scene_of([crystal_of(background=4.0)]),
    "oblong pixels": lambda: scene_of(
        [even(crystal_of(mode="table"))], oversample=2, solid_angle=RAY, pixel_slow_m=1.3e-4
    ),
    "factors of pixels": lambda: scene_of(
        [even(crystal_of(mode="table", background=4.0))],
        sources=2,
        oversample=2,
        layers=2,
        steps=8.0,
        **EVERY_PIXEL,
    ),
    "factors of rays": lambda: scene_of(
        [crystal_of(mode="interpolated")], sources=3, oversample=2, layers=3, **EVERY_RAY
    ),
    "a limit": lambda: scene_of(sources=2, dmin_m=4e-10, polarization=RAY, capture=PIXEL),
    "points": lambda: scene_of(
        [crystal_of(ROUND)], has_pixel_area=False, oversample=2, polarization=PIXEL
    ),
    "facing": lambda: scene_of([small(crystal_of(GAUSS))], is_oblique=False, layers=2, capture=RAY),
    "facing points": lambda: scene_of(
        [crystal_of(GAUSS_HKL, background=1.0)], has_pixel_area=False, is_oblique=False
    ),
    "rays of points": lambda: scene_of(
        [small(crystal_of(GAUSS, mode="interpolated"))],
        has_pixel_area=False,
        solid_angle=RAY,
        oversample=2,
        sources=2,
    ),
    "turned": lambda: scene_of(surface=TURNED, oversample=2, layers=2, capture=RAY),
    "turned, facing": lambda: scene_of(surface=TURNED, faces_sample=True, capture=PIXEL),
    "sphere": lambda: scene_of(surface=SPHERE, oversample=2, layers=2, capture=LAST_LAYER),
    "running": lambda: scene_of(
        [even(crystal_of(mode="table", background=4.0))], sources=2, layers=2, **RUNNING
    ),
    "running among others": lambda: scene_of(
        [crystal_of(background=4.0)],
        sources=3,
        oversample=2,
        polarization=STEP,
        dmin_m=4e-10,
        background_factors=OWN_SOLID_ANGLE,
        solid_angle=RAY,
    ),
    "running without zeros": lambda: scene_of(
        [small(crystal_of(GAUSS))], sources=2, polarization=STEP
    ),
    "of layer and source": lambda: scene_of(
        sources=2, oversample=2, layers=2, capture=LAYER, polarization=SOURCE
    ),
    "of a sample": lambda: scene_of(sources=2, oversample=2, polarization=SAMPLE, dmin_m=4e-10),
    "searched": lambda: scene_of(sources=3, oversample=2, polarization=PIXEL, dmin_m=4e-10),
    "background of its own": lambda: scene_of(
        [crystal_of(background=4.0)], oversample=2, layers=2, **EVERY_RAY, background_factors=7
    ),
    "water": lambda: scene_of(has_water=True, sources=2, oversample=2, water_factors=31),
    "plain water": lambda: scene_of(has_water=True, sources=2, oversample=2, water_factors=7),
}


@pytest.mark.parametrize("name", SCENES)
def test_every_column_is_a_difference(call: Calls, name: str) -> None:
    scene = SCENES[name]()
    columns = by_name(scene, call.jacobian(scene, PIXELS, every_direction(scene))[1])
    errors = {
        (array, place): column_error(call, scene, PIXELS, array, place, column)
        for array, part in columns.items()
        for place, column in enumerate(part)
    }
    assert {at: error for at, error in errors.items() if not error < 1e-6} == {}
    assert all(part.any() for part in columns.values())


@pytest.mark.parametrize("name", ["plain", "factors of pixels", "factors of rays"])
def test_every_entry_of_the_table(call: Calls, name: str) -> None:
    """Pixels are of the second order in them, so a difference is exact at any step."""
    scene = SCENES[name]()
    grid = scene.crystals[0].grid
    gradient = call.gradients(scene, PIXELS, WEIGHT)
    if grid is None:
        assert "amplitude 0" not in gradient
        return
    found = np.zeros(grid.size)
    for place in range(grid.size):
        change = np.zeros(grid.size)
        change[place] = 1.0
        ahead, behind = (
            call.values(scene.moved("amplitude 0", s * change.reshape(grid.shape)), PIXELS)[0]
            for s in (1.0, -1.0)
        )
        found[place] = WEIGHT @ (ahead - behind) / 2.0
    expected = gradient["amplitude 0"].reshape(-1)
    assert np.abs(expected).max() > 0.0
    assert np.abs(found - expected).max() < 1e-11 * np.abs(expected).max()
    assert not call.gradients(scene, PIXELS, WEIGHT, wants_amplitude=False)["amplitude 0"].any()


@pytest.mark.parametrize("name", SCENES)
def test_gradients_are_the_transpose(call: Calls, name: str) -> None:
    """With every build, and values are those of nbh_scene_values."""
    for kernel in call.kernels():
        scene = dataclasses.replace(SCENES[name](), kernel=kernel)
        values, columns = call.jacobian(scene, PIXELS, every_direction(scene))
        gradient = call.gradients(scene, PIXELS, WEIGHT)
        plain = call.values(scene, PIXELS)[0]
        # Plain values have the model's rounding of pi h N, those beside derivatives exact phases.
        assert np.linalg.norm(values - plain) < 5e-13 * np.linalg.norm(plain)
        parts = by_name(scene, columns)
        transposed = {name: part @ WEIGHT for name, part in parts.items()}
        terms = {name: np.abs(part) @ WEIGHT for name, part in parts.items()}
        assert_alike(gradient, transposed, terms)


@for_each("shape", [TOPHAT, TOPHAT_HKL])
def test_top_hats_are_level(call: Calls, shape: int) -> None:
    """Only numbers that no lattice factor depends on, and N, have derivatives."""
    scene = scene_of([crystal_of(shape, background=4.0)], **EVERY_PIXEL)
    gradient = call.gradients(scene, PIXELS, WEIGHT)
    assert not gradient["cells 0"].any()
    assert not gradient["crystal 0"][3:13].any()
    values = call.values(scene, PIXELS)[0]
    assert gradient["crystal 0"][14] == pytest.approx(WEIGHT @ values / 0.3, rel=1e-13)
    level = dataclasses.replace(scene.crystals[0], numbers=scene.crystals[0].numbers.copy())
    level.numbers[BACKGROUND] = 0.0
    light = WEIGHT @ call.values(dataclasses.replace(scene, crystals=(level,)), PIXELS)[0]
    assert light > 0.0
    assert gradient["crystal 0"][:3] == pytest.approx(2.0 * light / np.array([5, 4, 3]), rel=1e-12)
    assert gradient["crystal 0"][13] == pytest.approx(2.0 * light / 7.0, rel=1e-12)


def rotations_of(cells: Array, reference: Array) -> Array:
    """Those that make the cells of the reference, row by row."""
    inverse = np.linalg.inv(reference.reshape(3, 3).T)
    found = [cell.T @ inverse for cell in cells.reshape(-1, 3, 3)]
    return np.array(found).reshape(-1, 9)


@pytest.mark.parametrize("name", ["plain", "factors of rays"])
def test_a_reference_cell(call: Calls, name: str) -> None:
    """Its columns are those of the cells, turned back; others may change in the same directions."""
    scene = SCENES[name]()
    cells = scene.crystals[0].cells
    rotations = rotations_of(cells, cells[0])
    columns = by_name(scene, call.jacobian(scene, PIXELS, every_direction(scene))[1])
    along = Directions(9, rotations=rotations, reference_m=np.eye(9))
    found = call.jacobian(scene, PIXELS, along)[1]
    of_cells = columns["cells 0"].reshape(3, 3, 3, -1)
    expected = np.einsum("oiyp,oyx->ixp", of_cells, rotations.reshape(3, 3, 3)).reshape(9, -1)
    assert np.linalg.norm(found - expected) < 1e-12 * np.linalg.norm(expected)

    numbers, crystal = (np.random.default_rng(n).normal(size=s) for n, s in ((2, 27), (3, 17)))
    numbers, crystal = numbers * 1e-9, crystal * 1e-3
    own = cells[None] * 1e-3
    mixed = Directions(
        2,
        numbers=np.array([numbers, 0.0 * numbers]),
        crystal=np.array([0.0 * crystal, crystal]),
        rotations=rotations,
        reference_m=np.array([np.zeros(9), cells[0] * 1e-3]),
        turning=np.array([1, 0, 1], np.int32),
        turning_m=np.concatenate([own, 2.0 * own, 3.0 * own]),
    )
    first, second = call.jacobian(scene, PIXELS, mixed)[1]
    swell = np.einsum("np,n->p", columns["cells 0"], cells.reshape(-1) * 1e-3)
    one = numbers @ columns["numbers"] + 2.0 * swell
    other = crystal @ columns["crystal 0"] + 5.0 * swell
    assert np.linalg.norm(first - one) < 1e-12 * np.linalg.norm(one)
    assert np.linalg.norm(second - other) < 1e-12 * np.linalg.norm(other)


@pytest.mark.parametrize("name", ["factors of pixels", "factors of rays"])
def test_a_change_of_the_table(call: Calls, name: str) -> None:
    """It is that of direction 0, beside what else changes."""
    scene = SCENES[name]()
    grid = scene.crystals[0].grid
    assert grid is not None
    change = np.random.default_rng(4).normal(size=grid.shape)
    found = call.jacobian(scene, PIXELS, Directions(2, amplitude=change))[1]
    gradient = call.gradients(scene, PIXELS, WEIGHT)["amplitude 0"]
    ahead, behind = (
        call.values(scene.moved("amplitude 0", s * change), PIXELS)[0] for s in (1.0, -1.0)
    )
    assert np.linalg.norm(found[0] - (ahead - behind) / 2) < 1e-11 * np.linalg.norm(found[0])
    assert found[0] @ WEIGHT == pytest.approx(float((gradient * change).sum()), rel=1e-11)
    assert not found[1].any()
    crystal = np.zeros((2, 17))
    crystal[0, 14] = 0.1
    both = call.jacobian(scene, PIXELS, Directions(2, crystal=crystal, amplitude=change))[1]
    strength = call.values(scene, PIXELS)[0] / 3.0
    assert both[0] - found[0] == pytest.approx(strength, rel=1e-9)


@for_each("places", [EVERY_PIXEL, EVERY_RAY])
def test_crystals_are_those_that_stand_alone(call: Calls, places: dict[str, Any]) -> None:
    crystals = [
        crystal_of(shape, mode=mode, seed=shape)
        for shape, mode in enumerate(["one F", "table", "interpolated"])
    ]
    crystals[1] = dataclasses.replace(crystals[1], cells=crystals[1].cells[:1])
    rest: dict[str, Any] = {"sources": 2, "oversample": 2, "layers": 2, **places}
    weights = np.random.default_rng(6).uniform(0.5, 1.5, (3, 60))
    together = call.gradients(scene_of(crystals, **rest), PIXELS, weights)
    shared = {"numbers": np.zeros(27), "sources": np.zeros((2, 5))}
    size = {name: np.zeros_like(total) for name, total in shared.items()}
    for n, crystal in enumerate(crystals):
        alone = call.gradients(scene_of([crystal], **rest), PIXELS, weights[n])
        for name in ("crystal", "cells", "amplitude"):
            if f"{name} 0" in alone:
                assert together[f"{name} {n}"] == pytest.approx(alone[f"{name} 0"], rel=1e-12)
        for name in shared:
            shared[name] += alone[name]
            size[name] += np.abs(alone[name])
    assert_alike(together, shared, size)


@for_each("count", [1, 255, 256, 257, 513])
def test_numbers_of_pixels_and_parts(call: Calls, count: int) -> None:
    """Weights of 0 leave nothing; parts add up."""
    scene, pixels = SCENES["factors of rays"](), pixels_of(count)
    weight = np.random.default_rng(count).uniform(0.5, 1.5, count)
    whole = call.gradients(scene, pixels, weight)
    parts = call.gradients(scene, pixels, weight, parts=(1, count // 2 + 1, count))
    columns = call.jacobian(scene, pixels, every_direction(scene))[1]
    own = by_name(scene, columns)
    terms = {name: np.abs(part) @ weight for name, part in own.items()}
    assert_alike(whole, parts, terms)
    assert_alike(whole, {name: part @ weight for name, part in own.items()}, terms)
    for array in call.gradients(scene, pixels, 0.0 * weight).values():
        assert not array.any()


def test_nothing_changes_along_nothing(call: Calls) -> None:
    """Not even where a polarization axis is NaN, and with it every value."""
    scene = scene_of(polarization=PIXEL)
    scene.numbers[17] = np.nan
    along = Directions(1, numbers=np.zeros((1, 27)), sources=np.zeros((1, 1, 5)))
    values, found = call.jacobian(scene, PIXELS, along)
    assert np.isnan(values).all()
    assert not found.any()
