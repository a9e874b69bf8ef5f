"""Lattice sums far from reflections, where the factors of Gaussians and top hats count as 0."""

from __future__ import annotations

import ctypes
import ctypes.util
import itertools
import math
import platform
from typing import Any

import numpy as np
import pytest
from lattice_scenes import (
    GAUSS,
    GAUSS_HKL,
    MODES,
    ROUND,
    ROWS,
    TOPHAT,
    TOPHAT_HKL,
    Array,
    Calls,
    Scene,
    direction_in,
    kernels,
    scene_of,
)

LANES = 32
"""Rows that a kernel computes together."""
SPOTS = (ROUND, GAUSS, TOPHAT, GAUSS_HKL, TOPHAT_HKL)
FE_UNDERFLOW = 0x10
"""Of x86."""


@pytest.fixture
def call(ffi: Any, lib: Any) -> Any:
    """The functions of the library on a scene."""
    return Calls(ffi, lib)


def large_crystal(shape: int, mode: str, spread: float = 1e5) -> Scene:
    """Rows in groups of neighbours, some beside a reflection and most of them far from all."""
    scene = scene_of(shape, mode)
    rng = np.random.default_rng(50 + shape)
    near = np.linalg.solve(scene.cells[0].reshape(3, 3), rng.integers(-6, 7, (3, 4)))
    far = rng.uniform(-7e8, 7e8, (3, ROWS // LANES + 1))
    far[:, 1:5] = near * (1.0 + 1e-3)
    q = np.repeat(far, LANES, axis=1)[:, :ROWS] + rng.normal(size=(3, ROWS)) * spread
    cells = [15.0, 14.0, 13.0] if shape in (GAUSS, TOPHAT) else [40.0, 30.0, 35.0]
    return scene._replace(q=np.ascontiguousarray(q), n_cells=np.array(cells), fudge=1.0)


def distances(scene: Scene, shape: int) -> Array:
    """Squared and times the fudge factor, for each orientation and row."""
    hkl = scene.cells.reshape(-1, 3, 3) @ scene.q
    d = hkl - np.ceil(hkl - 0.5)
    if shape in (GAUSS_HKL, TOPHAT_HKL):
        return np.asarray(((d * scene.n_cells[:, None]) ** 2).sum(1) * scene.fudge)
    v = scene.star.reshape(3, 3).T @ d
    return np.asarray((v * v).sum(1) * scene.n_cells.prod() ** 2 * scene.fudge)


def lit_steps(scene: Scene, shape: int) -> Array:
    """Which steps have light: a Gaussian above 1e-125, a top hat's inside."""
    reach = 0.63 * 288.0 if shape in (GAUSS, GAUSS_HKL) else 0.3969
    return np.asarray(distances(scene, shape) < reach)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SPOTS)
def test_groups_of_dark_rows(call: Calls, lib: Any, shape: int, mode: str) -> None:
    """Some steps are skipped for whole groups of rows; sums and derivatives are those of rows that
    come one by one, in groups of which each has light."""
    scene = large_crystal(shape, mode)
    along = direction_in(scene, 1)._replace(n_cells=np.array([1e-6, -2e-6, 3e-6]))
    weight = np.random.default_rng(2).uniform(0.5, 1.5, ROWS)
    if shape != ROUND:
        groups = np.split(lit_steps(scene, shape), range(LANES, ROWS, LANES), axis=1)
        lit = np.stack([part.any(axis=1) for part in groups])
        assert lit.any()
        assert not lit.all()
    order = np.random.default_rng(3).permutation(ROWS)
    mixed = scene._replace(q=np.ascontiguousarray(scene.q[:, order]))
    mixed_along = along._replace(q=np.ascontiguousarray(along.q[:, order]))
    for kernel in kernels(lib):
        sums, by = call.gradients(scene, shape, mode, weight, kernel)
        others, by_others = call.gradients(mixed, shape, mode, weight[order].copy(), kernel)
        assert np.array_equal(sums[order], others)
        assert np.array_equal(by.q[:, order], by_others.q)
        assert sums.max() > 0.0
        for own, other in zip(by[1:], by_others[1:], strict=True):
            if own is not None:
                scale = np.abs(own).max()
                assert np.abs(np.asarray(own) - other).max() <= 1e-13 * scale
        again, tangents = call.tangents(scene, shape, mode, along, kernel)
        _, mixed_tangents = call.tangents(mixed, shape, mode, mixed_along, kernel)
        assert np.array_equal(again, sums)
        assert np.array_equal(tangents[order], mixed_tangents)
        assert np.array_equal(call.sums(scene, shape, mode, kernel) > 0.0, sums > 0.0)


@pytest.mark.parametrize("shape", [GAUSS, GAUSS_HKL])
def test_gaussians_end_where_their_square_is_1e_250(call: Calls, lib: Any, shape: int) -> None:
    """Sums are the formula's up to there, and 0 beyond."""
    scene = large_crystal(shape, "one F", spread=2e7)
    scene = scene._replace(cells=np.ascontiguousarray(scene.cells[:1]))
    exponent = distances(scene, shape)[0] / 0.63
    expected = (7.0 * scene.n_cells.prod() * np.exp(-exponent)) ** 2
    has_light, is_dark = exponent < 287.999, exponent > 288.001
    assert (has_light & (exponent > 200.0)).any()
    assert (is_dark & (exponent < 354.0)).any()
    for kernel in kernels(lib):
        sums = call.sums(scene, shape, "one F", kernel)
        assert sums[has_light] == pytest.approx(expected[has_light], rel=1e-11)
        assert (sums[is_dark] == 0.0).all()


@pytest.mark.parametrize("shape", SPOTS)
def test_a_weight_that_is_no_number_is_not_skipped(call: Calls, lib: Any, shape: int) -> None:
    """Nothing times infinity is no number, also where a row is dark."""
    scene = large_crystal(shape, "one F")

    for kernel, row_weight in itertools.product(
        kernels(lib), (math.inf, -math.inf, math.nan, 1e200, 0.0)
    ):
        weight = np.ones(ROWS)
        weight[5 * LANES : 6 * LANES] = row_weight
        _, by = call.gradients(scene, shape, "one F", weight, kernel)
        assert np.isfinite(by.cells).all() == math.isfinite(row_weight)
        assert np.isfinite(by.q[:, 5 * LANES]).all() == math.isfinite(row_weight)


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or ctypes.util.find_library("m") is None,
    reason="asks the flags of x86 through the C library",
)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SPOTS)
def test_no_number_is_below_the_smallest_normal_one(
    call: Calls, lib: Any, shape: int, mode: str
) -> None:
    """The processor says of no operation that its result was one: they are slow."""
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    scene = large_crystal(shape, mode, spread=2e7)
    weight = np.random.default_rng(2).uniform(1e-14, 1e-10, ROWS)
    for kernel in kernels(lib):
        libm.feclearexcept(FE_UNDERFLOW)
        call.gradients(scene, shape, mode, weight, kernel)
        assert libm.fetestexcept(FE_UNDERFLOW) == 0
