"""Derivatives of pixels of scenes (nbh_scene_gradients, nbh_scene_jacobian): differences of values,
and each other's transpose."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from c_scenes import (
    BACKGROUND,
    GAUSS,
    GAUSS_HKL,
    NONE,
    PIXEL,
    RAY,
    ROUND,
    TOPHAT,
    TOPHAT_HKL,
    Array,
    Calls,
    Crystal,
    CScene,
    Directions,
    Integers,
    RefusedError,
    crystal_of,
    pixels_of,
    scene_of,
)
from for_each import for_each

PIXELS = pixels_of(60, seed=5)
WEIGHT = np.random.default_rng(1).uniform(0.5, 1.5, 60)
TYPICAL = {
    "numbers": np.array([1.0] * 9 + [0.1] * 3 + [1e-4, 5e-5, 4e3, 0.1, 1.0] + [0.1] * 3),
    "sources": np.array([1.0, 1.0, 1.0, 1e-10, 1.0]),
    "crystal 0": np.array([5.0] * 3 + [0.5] + [0.03] * 9 + [7.0, 0.3, 4.0]),
    "cells 0": np.array([30e-10]),
    "amplitude 0": np.array([50.0]),
}
"""How large these numbers are, even where they are 0."""


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
SCENES = {
    "plain": lambda: scene_of([crystal_of(background=4.0)]),
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
}


def every_direction(scene: CScene) -> Directions:
    """Each number of the scene, its sources, its crystal and its cells."""
    arrays = scene.arrays()
    names = ("numbers", "sources", "crystal 0", "cells 0")
    count = sum(arrays[name].size for name in names)
    parts, first = [], 0
    for name in names:
        part = np.zeros((count, arrays[name].size))
        part[first : first + arrays[name].size] = np.eye(arrays[name].size)
        parts.append(part)
        first += arrays[name].size
    own = np.arange(count - arrays["cells 0"].size, count, dtype=np.int32)
    numbers, sources, crystal, cells = parts
    return Directions(
        count, numbers, sources, crystal, turning=own, turning_m=cells[own[0] :].copy()
    )


def by_name(scene: CScene, columns: Array) -> dict[str, Array]:
    """A Jacobian along `every_direction`, (numbers, pixels) for each array."""
    found, first = {}, 0
    for name, array in scene.arrays().items():
        if name != "amplitude 0":
            found[name] = columns[first : first + array.size]
            first += array.size
    return found


def difference(call: Calls, scene: CScene, name: str, change: Array) -> Array:
    """Of values along a change, to the fourth order."""

    def at(step: float) -> Array:
        values: Array = call.values(scene.moved(name, step * change), PIXELS)[0]
        return values

    out: Array = (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / 12.0
    return out


def is_free(scene: CScene, name: str, place: int) -> bool:
    """Whether this number may change: not the background where rays have factors of their own."""
    has_rays = RAY in (scene.capture, scene.polarization, scene.solid_angle)
    return not (has_rays and name == "crystal 0" and place == BACKGROUND)


def assert_alike(one: dict[str, Array], other: dict[str, Array], terms: dict[str, Array]) -> None:
    """Sums of terms of that size; what is far smaller than the largest one's effect is rounding."""
    for name, size in terms.items():
        key = name.split()[0]
        typical = TYPICAL.get(key, TYPICAL.get(f"{key} 0"))
        assert typical is not None
        effect = size.reshape(one[name].shape) * typical
        error = np.abs(one[name] - other[name].reshape(one[name].shape)) * typical
        assert (error <= 1e-11 * effect + 1e-15 * effect.max()).all(), name


def column_error(call: Calls, scene: CScene, name: str, place: int, column: Array) -> float:
    """How far a column of a Jacobian is from the difference, relative to the larger of it and a
    hundred millionth of the values.

    Three pixels are left out, those that are the furthest off: a difference may cross an index at
    which the nearest reflection changes.
    """
    array = scene.arrays()[name]
    values = np.linalg.norm(call.values(scene, PIXELS))
    typical = float(np.broadcast_to(TYPICAL[name], array.shape).reshape(-1)[place])
    slope = float(np.linalg.norm(column))
    step = 1e-3 * typical if slope == 0.0 else min(1e-3 * typical, 3e-5 * values / slope)
    change = np.zeros(array.size)
    change[place] = step
    found = difference(call, scene, name, change.reshape(array.shape))
    error = np.sort(np.abs(found - step * column))[:-3]
    return float(np.linalg.norm(error)) / max(slope * step, 1e-8 * float(values))


@pytest.mark.parametrize("name", SCENES)
def test_every_column_is_a_difference(call: Calls, name: str) -> None:
    scene = SCENES[name]()
    columns = by_name(scene, call.jacobian(scene, PIXELS, every_direction(scene))[1])
    errors = {
        (array, place): column_error(call, scene, array, place, column)
        for array, part in columns.items()
        for place, column in enumerate(part)
        if is_free(scene, array, place)
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
        assert np.linalg.norm(values - plain) < 1e-13 * np.linalg.norm(plain)
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

    numbers, crystal = (np.random.default_rng(n).normal(size=s) for n, s in ((2, 20), (3, 16)))
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
    crystal = np.zeros((2, 16))
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
    shared = {"numbers": np.zeros(20), "sources": np.zeros((2, 5))}
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


def straight(polarization: int) -> CScene:
    """The pixel (10, 10) is in the middle of the beam, in front of the crystal or behind it."""
    scene = scene_of(polarization=polarization)
    numbers = scene.numbers.copy()
    numbers[:9] = np.eye(3).reshape(-1)
    numbers[9:12] = [-10.5e-4, -10.5e-4, 0.1]
    return dataclasses.replace(scene, numbers=numbers)


def single(slow: int, fast: int) -> tuple[Integers, Integers]:
    return np.array([slow], np.int32), np.array([fast], np.int32)


@for_each("polarization, distance", [(p, d) for p in (NONE, PIXEL, RAY) for d in (0.1, -0.1)])
def test_exactly_forward_and_backward(call: Calls, polarization: int, distance: float) -> None:
    """Nothing is singular there: finite, and what differences give."""
    scene, here, weight = straight(polarization), single(10, 10), np.ones(1)
    scene.numbers[11] = distance
    gradient = call.gradients(scene, here, weight)
    columns = call.jacobian(scene, here, every_direction(scene))[1]
    value = call.values(scene, here)[0, 0]
    assert value > 0.0
    for name, part in by_name(scene, columns).items():
        assert part[:, 0] == pytest.approx(gradient[name].reshape(-1), rel=1e-10, abs=0.0), name
        typical = np.broadcast_to(TYPICAL[name], gradient[name].shape).reshape(-1)
        for place, step in enumerate(1e-6 * typical):
            if not is_free(scene, name, place):
                continue
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
def test_polarization_axis_along_the_beam(call: Calls, place: int) -> None:
    """There is no frame, and none of its derivatives; the others are differences."""
    scene = straight(place)
    scene.numbers[17:20] = [0.0, 0.0, 2.0]
    gradient = call.gradients(scene, PIXELS, WEIGHT)
    assert all(np.isfinite(array).all() for array in gradient.values())
    assert not gradient["numbers"][17:20].any()
    columns = by_name(scene, call.jacobian(scene, PIXELS, every_direction(scene))[1])
    assert not columns["numbers"][17:20].any()
    for at in (*range(9, 13), 15, 16):
        assert column_error(call, scene, "numbers", at, columns["numbers"][at]) < 1e-6, at


def test_a_pixel_on_the_crystal_does_not_spoil_the_others(call: Calls) -> None:
    """R is 0 there and derivatives are not finite; those of other pixels are what they were."""
    scene = straight(PIXEL)
    scene.numbers[9:12] = [-0.5 * 1e-4, -0.5 * 1e-4, 0.0]
    pixels = np.array([0, 3], np.int32), np.array([0, 5], np.int32)
    columns = call.jacobian(scene, pixels, every_direction(scene))[1]
    alone = call.jacobian(scene, single(3, 5), every_direction(scene))[1]
    assert np.isfinite(alone).all()
    assert np.array_equal(columns[:, 1:], alone)
    assert not np.isfinite(columns[9:12, 0]).all()


def test_a_cancelled_call(call: Calls) -> None:
    """Non-zero from the start: the call ends after its first tile."""
    scene, (slow, fast) = scene_of(), pixels_of(300)
    for flag, status in ((0, call.lib.NBH_OK), (1, call.lib.NBH_CANCELLED)):
        cancel = call.ffi.new("int32_t *", flag)
        pixels = call.pixel_list(slow, fast)
        pixels.cancel = cancel
        values, found = np.full(300, np.nan), np.full((1, 300), np.nan)
        to = call.ffi.new("nbh_scene_directions *", {"count": 1})
        arguments = (pixels, to, 0, 300, call.pointer(values), call.pointer(found), call.ffi.NULL)
        assert call.lib.nbh_scene_jacobian(call.scene(scene), *arguments) == status
        assert np.isfinite(found).sum() == (256 if flag else 300)
        by = call.ffi.new("nbh_scene_gradient *")
        sources, crystals, cells = np.zeros((1, 5)), np.zeros((1, 16)), np.zeros((3, 9))
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
    values, found, error = np.zeros(60), np.zeros((3, 60)), call.ffi.new("nbh_error *")
    arguments = (0, 60, call.pointer(values), call.pointer(found), error)
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
