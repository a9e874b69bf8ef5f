"""Lattice sums in single precision against those in double precision (docs/accuracy.md)."""

from __future__ import annotations

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
    TOPHAT_HKL,
    Array,
    Calls,
    Scene,
    direction_in,
    kernels,
    scene_of,
)

OF_VALUES = 1e-6
OF_DERIVATIVES = 1e-5
"""Largest relative L2 errors of sums, and of the tensors of a gradient."""


class SingleCalls(Calls):
    def lattice(self, *arguments: Any) -> Any:
        out = super().lattice(*arguments)
        out.single_precision = 1
        return out


@pytest.fixture
def double(ffi: Any, lib: Any) -> Calls:
    """The functions of the library on a scene, in double precision."""
    return Calls(ffi, lib)


@pytest.fixture
def single(ffi: Any, lib: Any) -> SingleCalls:
    """The same in single precision."""
    return SingleCalls(ffi, lib)


def error_of(found: Any, expected: Any) -> float:
    difference = np.asarray(found) - np.asarray(expected)
    norm = np.linalg.norm(expected)
    if norm == 0.0:
        return float(np.abs(difference).max(initial=0.0))
    return float(np.linalg.norm(difference) / norm)


def compare(double: Calls, single: Calls, scene: Scene, shape: int, mode: str, kernel: int) -> None:
    """Sums, gradients and tangents of one scene."""
    weight, along = np.random.default_rng(2).uniform(0.5, 1.5, ROWS), direction_in(scene, 1)
    expected, by_expected = double.gradients(scene, shape, mode, weight, kernel)
    sums, by = single.gradients(scene, shape, mode, weight, kernel)
    assert error_of(sums, expected) < OF_VALUES
    assert error_of(single.sums(scene, shape, mode, kernel), expected) < OF_VALUES
    for name, a, b in zip(Scene._fields, by, by_expected, strict=True):
        if b is not None:
            assert error_of(a, b) < OF_DERIVATIVES, (name, kernel)
    tangents = double.tangents(scene, shape, mode, along, kernel)[1]
    assert error_of(single.tangents(scene, shape, mode, along, kernel)[1], tangents) < 3e-5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_single_precision_is_close(
    double: Calls, single: SingleCalls, lib: Any, shape: int, mode: str
) -> None:
    scene = scene_of(shape, mode)
    for kernel in kernels(lib):
        compare(double, single, scene, shape, mode, kernel)
    same = np.array_equal(single.sums(scene, shape, mode), double.sums(scene, shape, mode))
    assert same == (shape in (TOPHAT, TOPHAT_HKL)), "only a top hat has nothing to approximate"


@for_each("n_cells", [(1000, 1000, 1000), (1000, 1, 7), (1, 1, 300)])
def test_large_crystals(
    double: Calls, single: SingleCalls, lib: Any, n_cells: tuple[int, int, int]
) -> None:
    for shape in (SQUARE, ROUND, GAUSS_HKL):
        scene = scene_of(shape, "one F")._replace(n_cells=np.array(n_cells, float))
        if shape == GAUSS_HKL:
            scene = scene._replace(fudge=1e-4)
        for kernel in kernels(lib):
            compare(double, single, scene, shape, "one F", kernel)


NEAR: Array = np.array([0.0, 1e-12, 1e-8, 1e-6, 1e-4, 1e-3, 0.01, 0.02, 0.029, 0.031, 0.05, 0.1])
"""Distances from a whole index over 1/N: on both sides of the series."""


@for_each("n", [2.0, 5.0, 100.0, 1000.0])
def test_next_to_reflections(double: Calls, single: SingleCalls, lib: Any, n: float) -> None:
    """Where all rows are close to a maximum, slopes have their digits, too."""
    cell, weight = np.diag([50e-10, 40e-10, 30e-10]), np.ones(ROWS)
    for distance in NEAR:
        hkl = np.array([3.0, -2.0, 5.0])[:, None] + distance / n * np.linspace(0.5, 1, ROWS)
        scene = scene_of(SQUARE, "one F")._replace(
            q=np.linalg.solve(cell, hkl), cells=cell.reshape(1, 9), n_cells=np.full(3, n)
        )
        for kernel in kernels(lib):
            expected, by_expected = double.gradients(scene, SQUARE, "one F", weight, kernel)
            sums, by = single.gradients(scene, SQUARE, "one F", weight, kernel)
            assert error_of(sums, expected) < OF_VALUES
            assert error_of(by.q, by_expected.q) < 3e-5, (distance, kernel)
            assert error_of(by.cells, by_expected.cells) < 3e-5, (distance, kernel)
            assert error_of(by.n_cells, by_expected.n_cells) < OF_DERIVATIVES


@for_each("n", [5.0, 1500.0])
def test_next_to_the_origin(double: Calls, single: SingleCalls, lib: Any, n: float) -> None:
    """Indices may be as small as they like there, and their inverses larger than any float."""
    cell, weight = np.diag([50e-10, 40e-10, 30e-10]), np.ones(ROWS)
    for exponent in range(3, 60, 4):
        hkl = np.zeros((3, ROWS))
        hkl[0] = np.linspace(0.5, 1, ROWS) * 10.0**-exponent
        hkl[1:] = hkl[0] if exponent % 8 == 3 else np.array([2.30017, 0.41013])[:, None]
        scene = scene_of(SQUARE, "one F")._replace(
            q=np.linalg.solve(cell, hkl), cells=cell.reshape(1, 9), n_cells=np.full(3, n)
        )
        for kernel in kernels(lib):
            expected, by_expected = double.gradients(scene, SQUARE, "one F", weight, kernel)
            sums, by = single.gradients(scene, SQUARE, "one F", weight, kernel)
            assert error_of(sums, expected) < OF_VALUES, exponent
            assert error_of(by.q, by_expected.q) < 3e-5, exponent
            assert error_of(by.n_cells, by_expected.n_cells) < OF_DERIVATIVES, exponent


@for_each("f", [1e-140, 1e-30, 1e7, 1e30, 1e100])
def test_any_structure_factor(double: Calls, single: SingleCalls, f: float) -> None:
    """They multiply in double precision: F^2 may be what no float holds."""
    for shape, mode in ((SQUARE, "one F"), (SQUARE, "table"), (GAUSS, "interpolated")):
        scene = scene_of(shape, mode)
        scene = scene._replace(
            default_f=f,
            grid=None if scene.grid is None else f * scene.grid,
            n_cells=scene.n_cells if shape == GAUSS else np.array([100.0, 50.0, 70.0]),
        )
        expected = double.sums(scene, shape, mode)
        assert np.isfinite(expected).all()
        assert expected.any()
        assert error_of(single.sums(scene, shape, mode) / f**2, expected / f**2) < OF_VALUES


def test_tails_of_gaussians(double: Calls, single: SingleCalls) -> None:
    """A factor that no float holds is as good as any other."""
    scene = scene_of(GAUSS_HKL, "one F")._replace(fudge=30.0)
    expected = double.sums(scene, GAUSS_HKL, "one F")
    tails = (expected > 0.0) & (expected < 1e-90)
    assert tails.any()
    sums = single.sums(scene, GAUSS_HKL, "one F")
    assert np.abs(sums[tails] / expected[tails] - 1.0).max() < 1e-6


def test_many_orientations(double: Calls, single: SingleCalls) -> None:
    rng = np.random.default_rng(4)
    cells = (np.eye(3) * 80e-10 + rng.normal(size=(10_000, 3, 3)) * 1e-11).reshape(-1, 9)
    scene = scene_of(SQUARE, "one F")._replace(cells=cells)
    expected = double.sums(scene, SQUARE, "one F")
    assert error_of(single.sums(scene, SQUARE, "one F"), expected) < OF_VALUES


@for_each("n_cells", [(5.5, 4, 3), (3000, 2000, 1000)])
def test_what_single_precision_does_not_do(
    double: Calls, single: SingleCalls, n_cells: tuple[float, float, float]
) -> None:
    """Parts of cells, and crystals of more than 4e9 cells, are summed in double precision."""
    scene = scene_of(SQUARE, "one F")
    for numbers, is_double in ((n_cells, True), ((1500.0, 1600.0, 1600.0), False)):
        other = scene._replace(n_cells=np.array(numbers, float))
        sums = single.sums(other, SQUARE, "one F")
        assert np.array_equal(sums, double.sums(other, SQUARE, "one F")) == is_double
