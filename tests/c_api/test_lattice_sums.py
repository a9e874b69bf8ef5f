"""Sums over orientations for scattering vectors, and their derivatives (model 6.5)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from lattice_scenes import (
    GAUSS,
    GAUSS_HKL,
    MODES,
    ROUND,
    ROWS,
    SHAPES,
    SQUARE,
    TOPHAT,
    Array,
    Calls,
    Scene,
    direction_in,
    kernels,
    scene_of,
)


@pytest.fixture
def call(ffi: Any, lib: Any) -> Any:
    """The functions of the library on a scene."""
    return Calls(ffi, lib)


def expected_sums(scene: Scene, shape: int, mode: str) -> Array:
    """The sums from the formulas of the model, written once more."""
    total = np.zeros(ROWS)
    na, nb, nc = scene.n_cells
    for cell in scene.cells.reshape(-1, 3, 3):
        hkl = cell @ scene.q
        whole = np.ceil(hkl - 0.5)
        d = hkl - whole
        if shape == SQUARE:
            with np.errstate(invalid="ignore"):
                ratio = np.sin(np.pi * hkl * scene.n_cells[:, None]) / np.sin(np.pi * hkl)
            latt = np.where(d == 0.0, scene.n_cells[:, None], ratio).prod(0)
        else:
            if shape in (GAUSS, TOPHAT):
                v = scene.star.reshape(3, 3).T @ d
                square = (v * v).sum(0) * (na * nb * nc) ** 2
            else:
                square = ((d * scene.n_cells[:, None]) ** 2).sum(0)
            square = square * scene.fudge
            latt = na * nb * nc * profile(shape, square)
        total += (amplitudes(scene, mode, hkl, whole) * latt) ** 2
    return total


def profile(shape: int, square: Array) -> Array:
    if shape == ROUND:
        x = np.pi * np.sqrt(square)
        with np.errstate(invalid="ignore", divide="ignore"):
            transform = 3.0 * (np.sin(x) / x - np.cos(x)) / (x * x)
        return 0.723601254558268 * np.where(x == 0.0, 1.0, transform)
    if shape in (GAUSS, GAUSS_HKL):
        return np.exp(-square / 0.63)
    return (square < 0.3969).astype(float)


def amplitudes(scene: Scene, mode: str, hkl: Array, whole: Array) -> Array:
    if scene.grid is None:
        return np.full(ROWS, scene.default_f)
    place = (whole - np.array(Calls.HKL_MIN)[:, None]).astype(int)
    inside = ((place >= 0) & (place < np.array(scene.grid.shape)[:, None])).all(0)
    nearest = np.where(inside, scene.grid[tuple(np.where(inside, place, 0))], scene.default_f)
    if mode == "table":
        return nearest
    out = nearest.copy()
    for row in range(ROWS):
        x = hkl[:, row] - np.array(Calls.HKL_MIN)
        node = np.floor(x)
        if (x - 2 < 0).any() or (x + 3 > scene.grid.shape).any():
            continue
        weights = [lagrange(u) for u in x - node]
        h, k, l = node.astype(int)
        cube = scene.grid[h - 1 : h + 3, k - 1 : k + 3, l - 1 : l + 3]
        out[row] = np.einsum("i,j,k,ijk->", *weights, cube)
    return out


def lagrange(u: float) -> Array:
    nodes = (-1.0, 0.0, 1.0, 2.0)
    return np.array([np.prod([(u - b) / (a - b) for b in nodes if b != a]) for a in nodes])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_are_the_models(call: Calls, lib: Any, shape: int, mode: str) -> None:
    scene = scene_of(shape, mode)
    expected = expected_sums(scene, shape, mode)
    for kernel in kernels(lib):
        sums = call.sums(scene, shape, mode, kernel)
        assert np.linalg.norm(sums - expected) < 1e-12 * np.linalg.norm(expected), kernel


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_tangents_are_differences(call: Calls, lib: Any, shape: int, mode: str) -> None:
    scene = scene_of(shape, mode)
    along = direction_in(scene, 1)
    ahead, behind = (call.sums(scene.moved(along, step), shape, mode) for step in (0.5, -0.5))
    for kernel in kernels(lib):
        sums, tangents = call.tangents(scene, shape, mode, along, kernel)
        assert sums == pytest.approx(call.sums(scene, shape, mode, kernel), rel=1e-11)
        error = np.linalg.norm(ahead - behind - tangents)
        assert error < 1e-7 * np.linalg.norm(tangents), kernel


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_the_transpose_of_tangents(
    call: Calls, lib: Any, shape: int, mode: str
) -> None:
    """With numbers of cells: along all of them the two must agree to rounding."""
    scene, weight = scene_of(shape, mode), np.random.default_rng(2).uniform(0.5, 1.5, ROWS)
    along = direction_in(scene, 3)._replace(n_cells=np.array([1e-6, -2e-6, 3e-6]))
    for kernel in kernels(lib):
        sums, tangents = call.tangents(scene, shape, mode, along, kernel)
        again, by = call.gradients(scene, shape, mode, weight, kernel)
        assert np.array_equal(sums, again)
        pairs = [(a, b) for a, b in zip(by, along, strict=True) if a is not None]
        parts = [np.sum(np.asarray(a) * np.asarray(b)) for a, b in pairs]
        scale = sum(abs(part) for part in parts)
        assert abs(sum(parts) - weight @ tangents) < 1e-12 * scale, kernel


def test_numbers_of_cells(call: Calls) -> None:
    """The derivative by N, away from whole indices, where a change of N makes no pole."""
    scene = scene_of(SQUARE, "one F")
    scene = scene._replace(q=scene.q + 0.0)
    for shape, axis in itertools.product(SHAPES, range(3)):
        step = np.eye(3)[axis] * 1e-5
        still = Scene(
            np.zeros_like(scene.q),
            np.zeros_like(scene.cells),
            step,
            0.0,
            np.zeros(9),
            None,
            0.0,
        )
        here = scene._replace(fudge=0.05 if shape in (GAUSS, TOPHAT) else 1.0)
        ahead, behind = (call.sums(here.moved(still, by), shape, "one F") for by in (0.5, -0.5))
        tangents = call.tangents(here, shape, "one F", still)[1]
        assert np.median(np.abs(ahead - behind - tangents)) < 1e-8 * np.abs(tangents).max()


def test_whole_indices_and_next_to_them(call: Calls, lib: Any) -> None:
    """On a reflection the sum is (F Na Nb Nc)^2 and level; next to it the slope is the series'."""
    cell = np.diag([50e-10, 40e-10, 30e-10]).reshape(1, 9)
    offsets = np.array([0.0, 1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 5e-5, 6e-5, 7e-5, 1e-4, 1e-3])
    hkl = np.zeros((3, ROWS))
    hkl[:] = np.array([3.0, -2.0, 5.0])[:, None]
    hkl[0, : len(offsets)] += offsets
    scene = scene_of(SQUARE, "one F")._replace(
        q=np.ascontiguousarray(hkl / np.array([50e-10, 40e-10, 30e-10])[:, None]), cells=cell
    )
    peak = (7.0 * 60) ** 2
    for kernel in kernels(lib):
        sums, by = call.gradients(scene, SQUARE, "one F", np.ones(ROWS), kernel)
        assert sums[-1] == pytest.approx(peak, rel=1e-13)
        slope = by.q[0] / 50e-10
        exact = [float(_interference_slope(5, h)) * (7.0 * 12) ** 2 for h in offsets]
        steepest = 7.0**2 * 144 * 125
        assert np.abs(slope[: len(offsets)] - exact).max() < 3e-11 * steepest, kernel


def _interference_slope(n: int, h: float) -> float:
    """d/dh of (sin(pi h N)/sin(pi h))^2 from its Fourier series, which has no 0/0."""
    m = np.arange(1, n)
    return float(-4.0 * np.pi * ((n - m) * m * np.sin(2.0 * np.pi * m * h)).sum())


def test_parts_may_be_computed_in_any_order(call: Calls) -> None:
    scene = scene_of(SQUARE, "table")
    whole = call.sums(scene, SQUARE, "table")
    assert np.array_equal(call.sums(scene, SQUARE, "table", parts=(1, 2, 40, 296, ROWS)), whole)


def test_no_orientation_and_no_row(call: Calls) -> None:
    scene = scene_of(GAUSS, "one F")
    empty = scene._replace(cells=np.zeros((0, 9)))
    assert not call.sums(empty, GAUSS, "one F").any()
    assert np.isnan(call.sums(scene, GAUSS, "one F", parts=(0,))).all()


@for_each(
    "changes, field, message",
    [
        ({"struct_size": 8}, b"struct_size", "call nbh_lattice_init first"),
        ({"kernel": 1}, b"kernel", "got 1, need a build of the fast kernels"),
        ({"kernel": 77}, b"kernel", "got 77, need a build of the fast kernels"),
        ({"shape": 6}, b"shape", "got 6, need an nbh_shape"),
        ({"shape": -1}, b"shape", "got -1, need an nbh_shape"),
        ({"n_cells": [1.0, 0.5, 1.0]}, b"n_cells", "got 0.5, need a finite value >= 1"),
        ({"n_cells": [1.0, float("nan"), 1.0]}, b"n_cells", "got nan, need a finite value >= 1"),
        ({"n_cells": [1e5, 1.0, 1.0]}, b"q", "an index or its phase is too large"),
        ({"shape_fudge": -1.0}, b"shape_fudge", "got -1, need a finite value >= 0"),
        ({"shape_fudge": float("nan")}, b"shape_fudge", "got nan, need a finite value >= 0"),
        ({"shape": ROUND, "shape_fudge": 1e12}, b"shape_fudge", "the crystal is too large"),
        ({"orientation_count": -1}, b"orientation_count", "got -1, need at least 0"),
        ({"cells_m": None}, b"cells_m", "got NULL, need an array"),
    ],
)
def test_what_is_refused(
    call: Calls, changes: Mapping[str, Any], field: bytes, message: str
) -> None:
    scene = scene_of(SQUARE, "one F")
    lattice, out = call.lattice(scene, SQUARE, "one F"), np.zeros(ROWS)
    error = call.ffi.new("nbh_error *")
    arguments = (call.pointer(scene.q), ROWS, 0, ROWS, call.pointer(out), error)
    assert call.lib.nbh_lattice_sums(lattice, *arguments) == call.lib.NBH_OK
    for name, value in changes.items():
        setattr(lattice, name, call.ffi.NULL if value is None else value)
    status = call.lib.nbh_lattice_sums(lattice, *arguments)
    assert status in (call.lib.NBH_INVALID, call.lib.NBH_TOO_LARGE, call.lib.NBH_STRUCT_SIZE)
    assert call.ffi.string(error.field) == field
    assert call.ffi.string(error.message).decode().startswith(message)


@for_each("first, end", [(-1, 3), (3, 2), (0, ROWS + 1)])
def test_rows_that_are_not_there(call: Calls, first: int, end: int) -> None:
    scene = scene_of(SQUARE, "one F")
    lattice, out = call.lattice(scene, SQUARE, "one F"), np.zeros(ROWS)
    status = call.lib.nbh_lattice_sums(
        lattice, call.pointer(scene.q), ROWS, first, end, call.pointer(out), call.ffi.NULL
    )
    assert status == call.lib.NBH_INVALID
    assert not out.any()


@for_each("value", [np.nan, np.inf, 1e300])
def test_rows_that_no_kernel_takes(call: Calls, value: float) -> None:
    scene = scene_of(SQUARE, "one F")
    q = scene.q.copy()
    q[1, 7] = value
    lattice, out = call.lattice(scene, SQUARE, "one F"), np.zeros(ROWS)
    status = call.lib.nbh_lattice_sums(
        lattice, call.pointer(q), ROWS, 0, ROWS, call.pointer(out), call.ffi.NULL
    )
    assert status == call.lib.NBH_TOO_LARGE
