"""How far pixels of a scene and their derivatives are from the formulas in longer numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from c_scenes import Array, Calls, CScene, pixels_of, scene_of
from for_each import for_each

PIXELS = pixels_of(600, seed=9)
WEIGHT = np.random.default_rng(1).uniform(0.5, 1.5, 600)
LONG = np.longdouble
PI = LONG("3.14159265358979323846264338327950288")

pytestmark = pytest.mark.skipif(
    np.finfo(LONG).eps > 1e-18, reason="this machine's long doubles are no longer than doubles"
)


@pytest.fixture
def call(ffi: Any, lib: Any) -> Calls:
    """The functions of the library with arrays."""
    return Calls(ffi, lib)


def in_long_numbers(scene: CScene) -> dict[str, Array]:
    """Values of a parallelepiped in one beam, and derivatives of their weighted sum."""
    numbers, crystal = scene.numbers.astype(LONG), scene.crystals[0].numbers.astype(LONG)
    slow, fast = (x.astype(LONG) + LONG(0.5) for x in PIXELS)
    f, s, _, origin = numbers[:12].reshape(4, 3, 1)
    position = numbers[12] * f * fast + numbers[20] * s * slow + origin
    length = np.sqrt((position * position).sum(0))
    d = position / length
    source = scene.sources[0].astype(LONG)
    q = (d - source[:3, None]) / source[3]
    omega = numbers[12] * numbers[20] / length**3 * numbers[15]
    scale = crystal[14] * omega * crystal[13] ** 2
    n = crystal[:3, None]
    total, by_q = np.zeros_like(length), np.zeros_like(q)
    by_cells, by_n = np.zeros((3, 9), LONG), np.zeros(3, LONG)
    weight = WEIGHT.astype(LONG) * scale
    for o, cell in enumerate(scene.crystals[0].cells.astype(LONG)):
        h = cell.reshape(3, 3) @ q
        sine, cosine = np.sin(PI * h), np.cos(PI * h)
        ratio, turned = np.sin(PI * h * n) / sine, np.cos(PI * h * n)
        product = ratio.prod(0)
        total += product**2
        others = np.array([ratio[1] * ratio[2], ratio[0] * ratio[2], ratio[0] * ratio[1]])
        outer = 2 * PI * product * others / sine
        by_h = outer * (n * turned - ratio * cosine)
        by_cells[o] = np.einsum("ip,xp->ix", weight * by_h, q).reshape(9)
        by_n += (weight * outer * turned * h).sum(1)
        by_q += cell.reshape(3, 3).T @ by_h
    return {
        "values": scale * total,
        "cells 0": by_cells,
        "n_cells": by_n,
        "wavelength": -(weight * (by_q * q).sum(0)).sum() / source[3],
        "strength": (weight * total).sum() / crystal[14],
    }


@for_each(
    "n_cells, limit",
    [
        ((5.0, 4.0, 3.0), 1e-12),
        ((8.0, 1.0, 6.0), 1e-12),
        ((30.0, 41.0, 22.0), 1e-12),
        ((250.0, 300.0, 180.0), 1e-11),
        ((5.3, 4.6, 3.2), 1e-8),
    ],
)
def test_parallelepiped(call: Calls, n_cells: tuple[float, ...], limit: float) -> None:
    """Of many cells each rounding of an index counts; of part of a cell there are poles."""
    scene = scene_of()
    scene.crystals[0].numbers[:3] = n_cells
    expected = in_long_numbers(scene)
    for kernel in call.kernels():
        one = dataclasses.replace(scene, kernel=kernel)
        by = call.gradients(one, PIXELS, WEIGHT)
        found = {
            "values": call.values(one, PIXELS)[0],
            "cells 0": by["cells 0"],
            "n_cells": by["crystal 0"][:3],
            "wavelength": by["sources"][0, 3],
            "strength": by["crystal 0"][14],
        }
        for name, value in expected.items():
            size = np.linalg.norm(np.atleast_1d(value).astype(float))
            error = np.linalg.norm(np.atleast_1d(found[name] - value).astype(float)) / size
            assert error < limit, (kernel, name)
