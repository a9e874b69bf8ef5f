"""The binding's pixels with derivatives: any number of threads, wrong arrays, and what it is told
twice, in nbh.h and in Python."""

from __future__ import annotations

import gc
import os
import re
import signal
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ctrl_c import ctrl_c_raises
from for_each import for_each
from header import HEADER, enumerators

from nanobragg_hybrid import _core
from nanobragg_hybrid.base import native_scene
from nanobragg_hybrid.base.errors import UnsupportedError
from nanobragg_hybrid.base.native_scene import (
    Factor,
    Lattice,
    Own,
    Scene,
    SceneDirections,
    Surface,
)

RNG = np.random.default_rng(0)
PIXELS = 5000
SLOW, FAST = RNG.integers(0, 400, (2, PIXELS), dtype=np.int32)
CELLS = np.ascontiguousarray(
    (np.eye(3) * 40e-10 + RNG.normal(size=(7, 3, 3)) * 1e-10).reshape(7, 9)
)
GRID = RNG.uniform(10, 100, (9, 8, 7))
NUMBERS = [
    *(1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0, -0.02, -0.02, 0.1, 1e-4, 5e-5, 4e3, 0.1, 0.7, 0, 1.0, 0),
    *(8e-5, 0, 0, 1.0, 0.1, 0.02, 0.02),
]
SOURCES = np.array([[0.0, 0.0, 1.0, 1e-10, 0.8], [0.01, 0.0, 0.99995, 1.02e-10, 1.2]])


def lattice(**changes: Any) -> Lattice:
    """A parallelepiped with a small table."""
    members: dict[str, Any] = {
        "shape": "square",
        "interpolate": False,
        "n_cells": [5, 4, 3],
        "shape_fudge": 1.0,
        "star_per_angstrom": [0] * 9,
        "cells_m": CELLS,
        "amplitude": GRID,
        "hkl_min": (-4, -4, -3),
        "default_f": 7.0,
    }
    return Lattice(**{**members, **changes})


def scene(**changes: Any) -> Scene:
    """Two sources, two sub-pixels along an edge, every factor on rays."""
    members: dict[str, Any] = {
        "oversample": 2,
        "layers": 2,
        "capture": Factor.RAY,
        "polarization": Factor.RAY,
        "solid_angle": Factor.RAY,
        "has_pixel_area": True,
        "is_oblique": True,
        "surface": Surface.PLANE,
        "faces_sample": False,
        "counts_zeros": False,
        "background_factors": Own.NONE,
        "water_factors": Own.SOLID_ANGLE,
        "steps": 8.0,
        "dmin_m": 0.0,
        "numbers": NUMBERS,
        "sources": SOURCES,
        "crystals": [lattice()],
        "strength": [0.3],
        "background": [0.0],
        "water": [0.1],
    }
    return Scene(**{**members, **changes})


def directions(count: int = 3, **changes: Any) -> SceneDirections:
    """Of every kind."""
    rng = np.random.default_rng(1)
    members: dict[str, Any] = {
        "directions": count,
        "numbers": rng.normal(size=(count, 27)) * 1e-6,
        "sources": rng.normal(size=(count, 2, 5)) * 1e-12,
        "crystal": rng.normal(size=(count, 17)) * 1e-3,
        "rotations": rng.normal(size=(7, 9)),
        "reference_m": rng.normal(size=(count, 9)) * 1e-12,
        "turning": [1],
        "turning_m": rng.normal(size=(1, 7, 9)) * 1e-12,
        "amplitude": rng.normal(size=GRID.shape),
    }
    return SceneDirections(**{**members, **changes})


def flat(*found: Any) -> list[bytes]:
    """The bytes of all arrays, in lists too."""
    out = []
    for item in found:
        if item is None or isinstance(item, (list, tuple)):
            out += flat(*(item or ()))
        else:
            out.append(bytes(item))
    return out


@for_each("threads", [2, 3, 7, 64])
def test_any_number_of_threads(threads: int) -> None:
    """The same bits: of two crystals, and of the Jacobian of one."""
    both = scene(
        crystals=[lattice(), lattice(amplitude=None, shape="gauss")],
        strength=[0.3, 0.4],
        background=[0.0, 0.0],
        water=[0.1, 0.2],
    )
    weight = np.random.default_rng(2).uniform(0.5, 1.5, (2, PIXELS))
    assert bytes(both.values(SLOW, FAST, threads)) == bytes(both.values(SLOW, FAST, 1))
    one, many = (both.gradients(SLOW, FAST, weight, True, n) for n in (1, threads))
    assert len(flat(*one)) == 6
    assert flat(*one) == flat(*many)
    alone = scene()
    first, more = (alone.jacobian(SLOW, FAST, directions(), n) for n in (1, threads))
    assert flat(*first) == flat(*more)


@for_each("what", ["values", "gradients", "jacobian"])
def test_ctrl_c_stops(what: str) -> None:
    """A tile takes centuries."""
    endless = scene(oversample=2**20)
    work = {
        "values": lambda: endless.values(SLOW, FAST, 2),
        "gradients": lambda: endless.gradients(SLOW, FAST, WEIGHT, True, 2),
        "jacobian": lambda: endless.jacobian(SLOW, FAST, directions(), 2),
    }
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    with ctrl_c_raises():
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            work[what]()
        timer.join()


def test_threads_of_large_gradients() -> None:
    """A table so large that there are fewer groups of pixels."""
    large = scene(crystals=[lattice(amplitude=RNG.uniform(1, 2, (81, 81, 81)))])
    weight = np.ones((1, PIXELS))
    one, many = (large.gradients(SLOW, FAST, weight, True, n) for n in (1, 2))
    assert flat(*one) == flat(*many)
    small = large.gradients(SLOW, FAST, weight, False, 2)
    assert small.amplitude == [None]
    numbers = np.asarray(one.numbers)
    assert np.asarray(small.numbers) == pytest.approx(numbers, rel=1e-11)


def test_shapes() -> None:
    """Of everything that comes back, without a pixel too."""
    for count in (PIXELS, 1, 0):
        slow, fast = SLOW[:count].copy(), FAST[:count].copy()
        assert np.asarray(scene().values(slow, fast, 2)).shape == (1, count)
        by = scene().gradients(slow, fast, np.ones((1, count)), True, 2)
        assert np.asarray(by.numbers).shape == (27,)
        assert np.asarray(by.sources).shape == (2, 5)
        assert np.asarray(by.crystals).shape == (1, 17)
        assert [np.asarray(x).shape for x in by.cells_m] == [(7, 9)]
        assert [np.asarray(x).shape for x in by.amplitude] == [GRID.shape]
        assert np.asarray(by.numbers).any() == (count > 0)
        values, found = scene().jacobian(slow, fast, directions(), 2)
        assert np.asarray(values).shape == (count,)
        assert np.asarray(found).shape == (3, count)


def test_what_a_scene_is_made_of_lives_as_long_as_it() -> None:
    """Its arrays and crystals may go away outside."""
    expected = bytes(scene().values(SLOW, FAST, 1))
    cells, grid, sources = CELLS.copy(), GRID.copy(), SOURCES.copy()
    kept = scene(crystals=[lattice(cells_m=cells, amplitude=grid)], sources=sources)
    del cells, grid, sources
    gc.collect()
    rubbish = [np.full(shape, np.nan) for shape in (CELLS.shape, GRID.shape, SOURCES.shape)] * 50
    assert bytes(kept.values(SLOW, FAST, 1)) == expected
    assert len(rubbish) == 150


HALF = SLOW[:-1].copy()
WEIGHT = np.ones((1, PIXELS))


@for_each(
    "use, field, message",
    [
        (lambda: scene(sources=np.zeros((2, 4))), "sources", "need an array of shape (sources, 5)"),
        (lambda: scene(sources=np.zeros(5)), "sources", "need an array of shape (sources, 5)"),
        (lambda: scene(strength=[]), "strength", "got 0 numbers, need 1"),
        (lambda: scene(background=[0.0, 0.0]), "background", "got 2 numbers, need 1"),
        (lambda: scene(water=[0.0, 0.0]), "water", "got 2 numbers, need 1"),
        (lambda: scene().values(HALF, FAST, 1), "fast", "got 5000 numbers, need 4999"),
        (lambda: scene().values(SLOW, FAST, 0), "threads", "got 0, need 1 to 1024"),
        (lambda: scene().values(SLOW, FAST, 1025), "threads", "got 1025, need 1 to 1024"),
        (
            lambda: scene().gradients(SLOW, FAST, WEIGHT[:, 1:].copy(), True, 1),
            "weight",
            "got 4999 numbers, need 5000",
        ),
        (
            lambda: scene().gradients(HALF, FAST, WEIGHT, True, 1),
            "fast",
            "got 5000 numbers, need 4999",
        ),
        (
            lambda: scene().jacobian(HALF, FAST, directions(), 1),
            "fast",
            "got 5000 numbers, need 4999",
        ),
        *(
            (
                lambda name=name, shape=shape: scene().jacobian(
                    SLOW, FAST, directions(**{name: np.zeros(shape)}), 1
                ),
                name,
                f"got {np.prod(shape)} numbers, need {size}",
            )
            for name, shape, size in (
                ("numbers", (3, 25), 81),
                ("sources", (3, 1, 5), 30),
                ("crystal", (3, 16), 51),
                ("rotations", (6, 9), 63),
                ("reference_m", (3, 8), 27),
                ("turning_m", (2, 7, 9), 63),
                ("amplitude", (9, 8, 6), 504),
            )
        ),
        (
            lambda: scene().jacobian(SLOW, FAST, directions(turning=[3]), 1),
            "turning",
            "got 3, need a direction, 0 to 2",
        ),
        (
            lambda: scene().jacobian(SLOW, FAST, directions(turning_m=None), 1),
            "turning_m",
            "got NULL, need an array",
        ),
        (
            lambda: scene().jacobian(SLOW, FAST, directions(rotations=None), 1),
            "rotations",
            "need one for each orientation where the reference cell changes",
        ),
        (
            lambda: scene(crystals=[lattice(amplitude=None)]).jacobian(SLOW, FAST, directions(), 1),
            "amplitude",
            "need a crystal that has a table",
        ),
        *(
            (
                lambda count=count: scene().jacobian(
                    SLOW[:0].copy(), FAST[:0].copy(), directions(3)._replace(directions=count), 1
                ),
                "directions",
                f"got {count}, need at least 1",
            )
            for count in (0, -1)
        ),
        (
            lambda: scene(crystals=[], strength=[], background=[], water=None).values(
                SLOW, FAST, 1
            ),
            "crystal_count",
            "got 0, need at least 1",
        ),
        *(
            (
                lambda count=count: scene(
                    crystals=[lattice()] * count,
                    strength=[1.0] * count,
                    background=[0.0] * count,
                    water=None,
                ).jacobian(SLOW, FAST, directions(), 1),
                "crystals",
                f"got {count}, need 1 for a Jacobian",
            )
            for count in (0, 2)
        ),
        (lambda: scene(steps=0.0).values(SLOW, FAST, 1), "steps", "got 0, need a finite number"),
        (
            lambda: scene(oversample=0).values(SLOW[:0].copy(), FAST[:0].copy(), 1),
            "oversample",
            "got 0, need at least 1",
        ),
        (
            lambda: scene(sources=np.zeros((0, 5))).values(SLOW, FAST, 1),
            "source",
            "got 0, need at least 1",
        ),
    ],
)
def test_wrong_arrays(use: Callable[[], object], field: str, message: str) -> None:
    with pytest.raises(_core.Error) as refused:
        use()
    assert refused.value.field.startswith(field)
    assert refused.value.message.startswith(message)


@for_each(
    "use",
    [
        lambda: scene(sources=SOURCES.astype(np.float32)),
        lambda: scene(numbers=NUMBERS[:-1]),
        lambda: scene().values(SLOW.astype(np.int64), FAST, 1),
        lambda: scene().values(SLOW[::2], FAST[::2], 1),
        lambda: scene().gradients(SLOW, FAST, WEIGHT.astype(np.float32), True, 1),
        lambda: scene().jacobian(SLOW, FAST, directions(numbers=np.zeros((3, 27), np.float32)), 1),
    ],
)
def test_arrays_of_the_wrong_kind(use: Callable[[], object]) -> None:
    """They are not converted in silence."""
    with pytest.raises(TypeError):
        use()


@for_each("other", [None, 1, "lattice", CELLS])
def test_crystals_are_lattices(other: object) -> None:
    arguments = (
        *(1, 1, (0, 0, 1), True, True, 0, False, False, 0, 0, 1.0, 0.0),
        *(NUMBERS, SOURCES),
    )
    crystal: Any = other
    _core.Scene(*arguments, [lattice().core], [1.0], [0.0], None)
    with pytest.raises(_core.Error, match="need Lattice objects"):
        _core.Scene(*arguments, [crystal], [1.0], [0.0], None)


def test_what_kernels_do_not_compute_is_unsupported() -> None:
    """With the field that is too large; the neighbouring scene is computed."""
    huge = scene(crystals=[lattice(n_cells=[1e5, 1, 1])])
    for use in (
        lambda: huge.values(SLOW, FAST, 1),
        lambda: huge.gradients(SLOW, FAST, WEIGHT, False, 1),
        lambda: huge.jacobian(SLOW, FAST, directions(), 1),
    ):
        with pytest.raises(UnsupportedError, match=r"^q: an index or its phase is too large"):
            use()
    assert np.isfinite(np.asarray(scene().values(SLOW, FAST, 1))).all()


def test_python_has_the_numbers_of_the_header() -> None:
    text = HEADER.read_text(encoding="utf-8")
    assert enumerators("NBH_SHAPE_") == native_scene._SHAPE_NUMBERS
    assert {x.name.lower(): x.value for x in Factor} == enumerators("NBH_FACTOR_")
    assert {x.name.lower(): x.value for x in Surface} == enumerators("NBH_SURFACE_")
    assert {x.name.lower(): x.value for x in Own if x.name} == enumerators("NBH_OWN_")
    assert enumerators("NBH_KERNEL_")["auto"] == native_scene._AUTO_KERNEL
    too_large = re.search(r"\bNBH_TOO_LARGE = (\d+)", text)
    assert too_large is not None
    assert int(too_large[1]) == native_scene._TOO_LARGE
    counts = {name: enumerators(f"NBH_{name}_")["numbers"] for name in COUNTS}
    assert counts == COUNTS


COUNTS = {
    "SCENE": native_scene.SCENE_NUMBERS,
    "SOURCE": native_scene.SOURCE_NUMBERS,
    "CRYSTAL": native_scene.CRYSTAL_NUMBERS,
}
