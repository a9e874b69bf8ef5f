"""What the harnesses found once, each with its smallest input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from agreement import relative_l2
from covering_array import write_inputs
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.engines.c.libnbh import available_kernels

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")

CELL: dict[str, Any] = {"cell_angstrom": (70, 80, 90), "cell_deg": (90, 90, 108)}
FACTORS = {value: nb.StructureFactors.constant(value) for value in (0.0, 100.0, 1e150, 1e160)}


def images(factors: float, detector: dict[str, Any] | None = None, **crystal: Any) -> Any:
    """The exact kernel's image, and those of the others by kernel."""
    experiment = nb.Experiment(
        crystal=nb.Crystal(**{**CELL, "n_cells": (5, 5, 5), **crystal}),
        detector=nb.Detector(pixel_size_mm=2, n_fast=12, n_slow=6, **(detector or {})),
        sampling=nb.Sampling(oversample=1),
    )
    found = {
        kernel: nb.simulate(
            experiment, FACTORS[factors], threads=1, backend=nb.CEngine(kernel=kernel)
        ).image
        for kernel in available_kernels()
    }
    pixel = nb.trace(experiment, FACTORS[factors], pixel=(3, 2)).pixel_float
    assert np.array_equal(np.float32(pixel), found["exact"][2, 3], equal_nan=True)
    return found["exact"], {kernel: image.tobytes() for kernel, image in found.items()}


SHAPES = ["square", "round", "gauss", "tophat", "gauss_hkl", "tophat_hkl"]


@for_each("shape", SHAPES)
def test_more_cells_than_doubles_hold(shape: str) -> None:
    """NaN by the model (0 times infinity) in every kernel and in the trace, with any F."""
    for factors in (0.0, 100.0):
        exact, others = images(factors, shape=shape, size_mm=(1e300, 1e300, 1e300))
        if shape != "square":  # which is a quotient of two sines, whatever the number of cells
            assert not np.isfinite(exact).all()
        assert set(others.values()) == {exact.tobytes()}


@for_each("shape", SHAPES)
def test_squares_that_overflow_beside_water(shape: str) -> None:
    """F^2 is infinite at 1e160, and 0 times it NaN; at 1e150 it is a number."""
    for factors in (1e150, 1e160):
        exact, others = images(factors, shape=shape, water_um=1.0)
        assert set(others.values()) == {exact.tobytes()}
        if factors == 1e160:
            assert not np.isfinite(exact).any()


@for_each("fudge", [-1e-190, -1.0, 1e300])
@for_each("shape", ["round", "gauss", "gauss_hkl"])
def test_lattice_factors_that_are_no_numbers_beside_f_of_0(shape: str, fudge: float) -> None:
    exact, others = images(0.0, shape=shape, shape_fudge=fudge)
    assert set(others.values()) == {exact.tobytes()}
    if shape == "round" and fudge != 1e300:
        assert np.isnan(exact).all()  # the root of a number below 0


@for_each("shape", SHAPES)
def test_a_mosaic_spread_that_no_float_holds_beside_f_of_0(shape: str) -> None:
    """The generator's rotations are NaN then, and with them all but the first domain."""
    for factors in (0.0, 100.0):
        exact, others = images(factors, shape=shape, mosaic_spread_deg=1e160, mosaic_domains=3)
        assert set(others.values()) == {exact.tobytes()}
        if not shape.startswith("tophat"):  # which are 0 where they are not inside
            assert np.isnan(exact).all()
    exact, others = images(0.0, shape=shape, mosaic_spread_deg=1.0, mosaic_domains=3)
    assert not exact.any()


@for_each("first", [0, 1, 65536])
def test_a_pixel_on_the_beam_beside_a_table_without_the_origin(first: int) -> None:
    """q is exactly 0 there, and F that of (0, 0, 0): from the table, or else default_f."""
    pixel_mm = 1000.0 / 8192  # a power of two in metres, so that pixel centres are exact
    experiment = nb.Experiment(
        crystal=nb.Crystal(**CELL, n_cells=(5, 5, 5), mosaic_spread_deg=1.0, mosaic_domains=5),
        detector=nb.Detector(
            convention="denzo",
            pixel_size_mm=pixel_mm,
            n_fast=9,
            n_slow=9,
            beam_x_mm=4.5 * pixel_mm,
            beam_y_mm=4.5 * pixel_mm,
        ),
        sampling=nb.Sampling(oversample=1, interpolate=False, roi=(4, 4, 4, 4)),
    )
    table = nb.StructureFactors.from_grid(np.full((2, 2, 2), 50.0), (first,) * 3, 7.0)
    found = {
        kernel: nb.simulate(
            experiment, table, threads=1, backend=nb.CEngine(kernel=kernel), unrounded=False
        ).image
        for kernel in available_kernels()
    }
    assert {image.tobytes() for image in found.values()} == {found["exact"].tobytes()}
    f = nb.trace(experiment, table, pixel=(4, 4)).steps[0].f_cell
    assert f == (50.0 if first == 0 else 7.0)


def test_ordinary_numbers_beside_f_of_0() -> None:
    exact, others = images(0.0, shape="round")
    assert not exact.any()
    assert set(others.values()) == {exact.tobytes()}


_CURVED = (
    "-pixel 2 -detpixels_x 12 -detpixels_y 10 -mat tilted.mat -square_xtal -N 30 -misset 10 20 30 "
    "-hkl table.hkl -default_F 7 -oversample 2 -oversample_thick -oversample_polar "
    "-oversample_omega -thicksteps 1 -detector_thick 300 -detector_abs 400 -hdivstep 5 "
    "-hdivsteps 3 -phi -1 -osc 2 -phisteps 2 -denzo -pivot beam -Xbeam 3 -Ybeam 30 "
    "-close_distance 90 -detector_rotx 40 -detector_roty 130 -twotheta 120 -lambda 1 -curved_det "
    "-point_pixel -polar 0.9 -flux 1e20 -exposure 0.5 -beamsize 0.05"
)


@for_each("words", [_CURVED, f"{_CURVED} -dmin 8"])
def test_factors_of_rays_without_a_step(words: str, tmp_path: Path) -> None:
    """Nobody asks for them: in torch they were infinite or NaN, times a sum of 0."""
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    write_inputs(tmp_path)
    quirks = nb.Quirks.parse(
        "none,+thick_last_layer,+polar_first_source,+ratio_before_twotheta,"
        "+normal_towards_source,+curved_flat_factors,+no_sensor_is_black,"
        "+twotheta_axis_length,+point_pixel_area,+count_alone,+phi_left_edge,+impossible_sources"
    )
    experiment = parse_command(words.split(), tmp_path, quirks=quirks).experiment
    need, found = (
        nb.simulate(
            experiment, FACTORS[100.0], quirks=quirks, threads=1, backend=backend, unrounded=True
        ).unrounded
        for backend in ("c", "torch")
    )
    assert need is not None
    assert found is not None
    assert np.array_equal(np.isfinite(found), np.isfinite(need))
    finite = np.isfinite(need)
    assert relative_l2(found[finite], need[finite]) <= 1e-12
    if "-dmin" in words:
        assert finite.all()
        assert (need == 0.0).any()
