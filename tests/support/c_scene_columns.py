"""Columns of Jacobians of scenes: along every number, by differences, and how alike two are."""

from __future__ import annotations

import numpy as np
from c_scenes import Array, Calls, CScene, Directions, Integers

Pixels = tuple[Integers, Integers]
TYPICAL = {
    "numbers": np.array(
        [1.0] * 9
        + [0.1] * 3
        + [1e-4, 5e-5, 4e3, 0.1, 1.0]
        + [0.1] * 3
        + [1e-4]
        + [1.0] * 3
        + [0.1] * 3
    ),
    "sources": np.array([1.0, 1.0, 1.0, 1e-10, 1.0]),
    "crystal 0": np.array([5.0] * 3 + [0.5] + [0.03] * 9 + [7.0, 0.3, 4.0, 0.02]),
    "cells 0": np.array([30e-10]),
    "amplitude 0": np.array([50.0]),
}
"""How large these numbers are, even where they are 0."""


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


def assert_alike(one: dict[str, Array], other: dict[str, Array], terms: dict[str, Array]) -> None:
    """Sums of terms of that size; what is far smaller than the largest one's effect is rounding."""
    for name, size in terms.items():
        key = name.split()[0]
        typical = TYPICAL.get(key, TYPICAL.get(f"{key} 0"))
        assert typical is not None
        effect = size.reshape(one[name].shape) * typical
        error = np.abs(one[name] - other[name].reshape(one[name].shape)) * typical
        assert (error <= 1e-11 * effect + 1e-15 * effect.max()).all(), name


def difference(call: Calls, scene: CScene, pixels: Pixels, name: str, change: Array) -> Array:
    """Of values along a change, to the fourth order."""

    def at(step: float) -> Array:
        values: Array = call.values(scene.moved(name, step * change), pixels)[0]
        return values

    out: Array = (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / 12.0
    return out


def column_error(
    call: Calls, scene: CScene, pixels: Pixels, name: str, place: int, column: Array
) -> float:
    """How far a column of a Jacobian is from the difference, relative to the larger of it and a
    hundred millionth of the values.

    Three pixels are left out, those that are the furthest off: a difference may cross an index at
    which the nearest reflection changes.
    """
    array = scene.arrays()[name]
    values = np.linalg.norm(call.values(scene, pixels))
    typical = float(np.broadcast_to(TYPICAL[name], array.shape).reshape(-1)[place])
    slope = float(np.linalg.norm(column))
    step = 1e-3 * typical if slope == 0.0 else min(1e-3 * typical, 3e-5 * values / slope)
    change = np.zeros(array.size)
    change[place] = step
    found = difference(call, scene, pixels, name, change.reshape(array.shape))
    error = np.sort(np.abs(found - step * column))[:-3]
    return float(np.linalg.norm(error)) / max(slope * step, 1e-8 * float(values))
