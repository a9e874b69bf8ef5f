"""Scenes of scattering vectors and orientations, and the C library's lattice sums of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SQUARE, ROUND, GAUSS, TOPHAT, GAUSS_HKL, TOPHAT_HKL = range(6)
SHAPES = range(6)
MODES = ("one F", "table", "interpolated")
ROWS = 300
"""More than a tile, and no multiple of one."""


class Scene(NamedTuple):
    """What the sums are made of, in numbers that all may change."""

    q: Array
    cells: Array
    n_cells: Array
    fudge: float
    star: Array
    grid: Array | None
    default_f: float

    def moved(self, by: Scene, step: float) -> Scene:
        """`step` times `by` further on."""
        numbers = []
        for own, other in zip(self, by, strict=True):
            numbers.append(None if own is None else own + step * other)  # type: ignore[operator]
        return Scene(*numbers)  # type: ignore[arg-type]


def scene_of(shape: int, mode: str) -> Scene:
    """Small rotations of one cell; indices stay between -9 and 9, some of them exactly whole."""
    rng = np.random.default_rng(shape)
    cells = np.eye(3) * 80e-10 + rng.normal(size=(3, 3, 3)) * 1e-10
    q = rng.uniform(-1e9, 1e9, (3, ROWS))
    star = np.array([1 / 80, 1e-3, 4e-4, 3e-4, 1 / 79, 1e-4, 2e-4, 3e-4, 1 / 81])
    grid = None if mode == "one F" else rng.uniform(10, 100, (23, 22, 21))
    fudge = 0.05 if shape in (GAUSS, TOPHAT) else 1.0
    return Scene(q, cells.reshape(3, 9), np.array([5.0, 4.0, 3.0]), fudge, star, grid, 7.0)


def direction_in(scene: Scene, seed: int) -> Scene:
    """A small change of everything but the numbers of cells, between which sin(N x)/sin(x) has
    poles."""
    rng = np.random.default_rng(seed)
    return Scene(
        rng.normal(size=scene.q.shape) * 1e3,
        rng.normal(size=scene.cells.shape) * 8e-15,
        np.zeros(3),
        1e-6 * scene.fudge,
        rng.normal(size=9) * 1e-8,
        None if scene.grid is None else rng.normal(size=scene.grid.shape) * 1e-4,
        1e-5,
    )


class Calls:
    """nbh_lattice_* with arrays; the status is checked by the caller where it is wanted."""

    HKL_MIN = (-11, -11, -10)

    def __init__(self, ffi: Any, lib: Any) -> None:
        self.ffi, self.lib = ffi, lib

    def lattice(self, scene: Scene, shape: int, mode: str, kernel: int = 0) -> Any:
        out = self.ffi.new("nbh_lattice *")
        self.lib.nbh_lattice_init(out)
        out.kernel, out.shape, out.interpolate = kernel, shape, mode == "interpolated"
        out.n_cells, out.shape_fudge = list(scene.n_cells), scene.fudge
        out.star_per_angstrom = list(scene.star)
        out.cells_m = self.pointer(scene.cells)
        out.orientation_count = len(scene.cells)
        table = out.structure_factors
        table.default_f = scene.default_f
        if scene.grid is not None:
            table.amplitude = self.pointer(scene.grid)
            for name, first, size in zip("hkl", self.HKL_MIN, scene.grid.shape, strict=True):
                setattr(table, f"{name}_min", first)
                setattr(table, f"{name}_max", first + size - 1)
        return out

    def pointer(self, array: Array | None) -> Any:
        if array is None:
            return self.ffi.NULL
        assert array.flags.c_contiguous
        return self.ffi.cast("double *", self.ffi.from_buffer(array))

    def sums(
        self, scene: Scene, shape: int, mode: str, kernel: int = 0, parts: tuple[int, ...] = (ROWS,)
    ) -> Array:
        lattice, out = self.lattice(scene, shape, mode, kernel), np.full(ROWS, np.nan)
        for first, end in zip((0, *parts), parts, strict=False):
            status = self.lib.nbh_lattice_sums(
                lattice, self.pointer(scene.q), ROWS, first, end, self.pointer(out), self.ffi.NULL
            )
            assert status == self.lib.NBH_OK
        return out

    def gradients(
        self, scene: Scene, shape: int, mode: str, weight: Array, kernel: int = 0
    ) -> tuple[Array, Scene]:
        lattice = self.lattice(scene, shape, mode, kernel)
        by_q, by_cells = np.full((3, ROWS), np.nan), np.zeros_like(scene.cells)
        by_grid = None if scene.grid is None else np.zeros_like(scene.grid)
        out = self.ffi.new("nbh_lattice_gradient *")
        out.q, out.cells_m = self.pointer(by_q), self.pointer(by_cells)
        out.amplitude = self.pointer(by_grid)
        sums = np.full(ROWS, np.nan)
        status = self.lib.nbh_lattice_gradients(
            lattice,
            self.pointer(scene.q),
            self.pointer(weight),
            ROWS,
            0,
            ROWS,
            self.pointer(sums),
            out,
            self.ffi.NULL,
        )
        assert status == self.lib.NBH_OK
        n_cells, star = np.array(list(out.n_cells)), np.array(list(out.star_per_angstrom))
        by = Scene(by_q, by_cells, n_cells, out.shape_fudge, star, by_grid, out.default_f)
        return sums, by

    def tangents(
        self, scene: Scene, shape: int, mode: str, along: Scene, kernel: int = 0
    ) -> tuple[Array, Array]:
        lattice = self.lattice(scene, shape, mode, kernel)
        to = self.ffi.new("nbh_lattice_tangent *")
        to.q, to.cells_m = self.pointer(along.q), self.pointer(along.cells)
        to.amplitude, to.default_f = self.pointer(along.grid), along.default_f
        to.n_cells, to.shape_fudge = list(along.n_cells), along.fudge
        to.star_per_angstrom = list(along.star)
        sums, tangents = np.full(ROWS, np.nan), np.full(ROWS, np.nan)
        status = self.lib.nbh_lattice_tangents(
            lattice,
            self.pointer(scene.q),
            to,
            ROWS,
            0,
            ROWS,
            self.pointer(sums),
            self.pointer(tangents),
            self.ffi.NULL,
        )
        assert status == self.lib.NBH_OK
        return sums, tangents


def kernels(lib: Any) -> list[int]:
    """The builds that this processor runs."""
    builds = (lib.NBH_KERNEL_BASELINE, lib.NBH_KERNEL_AVX2, lib.NBH_KERNEL_AVX512)
    return [kernel for kernel in builds if lib.nbh_kernel_is_available(kernel)]
