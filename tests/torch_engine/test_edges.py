"""Decisions are taken on the number that the model names, not on a square or product of it: at the
edges of what numbers can hold the torch engine does what the C engine's exact kernel does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from with_torch import torch

import nanobragg_hybrid as nb
from agreement import compare
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.arithmetic.derivatives import SquaredProduct
from nanobragg_hybrid.engines.torch.arithmetic.scalars import applied
from nanobragg_hybrid.engines.torch.arithmetic.shapes import sinc3
from nanobragg_hybrid.engines.torch.scenes.tiles import grown

# Spots of a Gaussian crystal whose lattice factor falls below 1e-162 between them, so that its
# square is 0, and below 1e-323, so that it is 0 itself.
FAINT = nb.Experiment(
    crystal=nb.Crystal(
        cell_angstrom=(100, 100, 100),
        misset_deg=(10, 20, 30),
        n_cells=(30, 30, 30),
        shape="gauss",
        mosaic_spread_deg=1.0,
        mosaic_domains=6,
    ),
    goniometer=nb.Goniometer(osc_deg=5.0, phi_steps=5),
    detector=nb.Detector(distance_mm=100, pixel_size_mm=0.4, n_fast=20, n_slow=20),
    sampling=nb.Sampling(oversample=1),
)
STILL = {
    "crystal.mosaic_domains": None,
    "crystal.mosaic_spread_deg": None,
    "goniometer.osc_deg": None,
    "goniometer.phi_steps": None,
}
PIXEL_MM = 1000.0 / 8192  # a power of two in metres, so that pixel centres are exact
# The centre of the middle pixel is exactly on the beam; with SIDE exactly on another reflection.
CENTRED = {
    "detector.convention": "denzo",
    "detector.pixel_size_mm": PIXEL_MM,
    "detector.n_fast": 9,
    "detector.n_slow": 9,
    "detector.beam_x_mm": 4.5 * PIXEL_MM,
    "detector.beam_y_mm": 4.5 * PIXEL_MM,
    "crystal.misset_deg": (0, 0, 0),
}
SIDE = {
    **CENTRED,
    **STILL,
    "beam.wavelength_angstrom": 2.0**-33 * 1e10,
    "beam.sources": (nb.Source((0.0, -10.0, 0.0), 1.0, 2.0**-33),),
    "crystal.cell_angstrom": None,
    "crystal.orientation_matrix": (0.25, 0, 0, 0, 0.25, 0, 0, 0, 0.25),
}
WEIGHTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "polar": {"sampling.oversample_polar": True},
    "omega": {"sampling.oversample_omega": True},
    "thick": {
        "sampling.oversample_thick": True,
        "detector.sensor_thickness_um": 300.0,
        "detector.sensor_attenuation_depth_um": 200.0,
        "crystal.mosaic_domains": 3,
    },
}
# Changes of FAINT, and F.
SCENES: dict[str, tuple[dict[str, Any], float]] = {
    **{name: (changes, 100.0) for name, changes in WEIGHTS.items()},
    **{
        f"{name}, water": (changes | {"crystal.water_um": 1e-3}, 100.0)
        for name, changes in WEIGHTS.items()
    },
    **{
        f"{shape}, {name}": (WEIGHTS[name] | {"crystal.shape": shape}, 100.0)
        for shape in ("square", "round", "tophat", "gauss_hkl", "tophat_hkl")
        for name in ("polar", "thick")
    },
    "N 1000": ({"crystal.n_cells": (1000, 1000, 1000), **WEIGHTS["polar"]}, 100.0),
    "N 1000, square": (
        {"crystal.n_cells": (1000, 1000, 1000), "crystal.shape": "square"}, 100.0,
    ),
    "F 1e-300": ({}, 1e-300),
    **{
        f"{shape}, F^2 below the numbers of float32": (
            STILL
            | {"crystal.shape": shape, "crystal.n_cells": (5, 5, 5), "detector.point_pixel": True},
            1e-22,
        )
        for shape in ("square", "round", "gauss")
    },
    "F 1e-150": (WEIGHTS["polar"] | {"beam.fluence_photons_per_m2": 1e308}, 1e-140),
    "F 1e30": (WEIGHTS["polar"], 1e30),
    "F 1e150": (WEIGHTS["polar"], 1e150),
    "F 1e150, not weighted": ({}, 1e150),
    "F 1e200": (WEIGHTS["polar"], 1e200),
    "F 1e200, not weighted": ({}, 1e200),
    "F 1e200, water": ({"crystal.water_um": 1e-3}, 1e200),
    "F 1e200, square": ({"crystal.shape": "square"}, 1e200),
    "lambda 0.01": ({"beam.wavelength_angstrom": 0.01, **WEIGHTS["polar"]}, 100.0),
    "lambda 100": ({"beam.wavelength_angstrom": 100.0, **WEIGHTS["polar"]}, 100.0),
    "on the beam": (CENTRED | STILL, 100.0),
    "on the beam, round": (CENTRED | STILL | {"crystal.shape": "round"}, 100.0),
    "on the beam, polar": (CENTRED | WEIGHTS["polar"], 100.0),
    "on the beam, square, N 1000": (
        {**CENTRED, **STILL, "crystal.shape": "square", "crystal.n_cells": (1000, 1000, 1000)},
        100.0,
    ),
    "on a reflection": (SIDE | {"crystal.shape": "square", "crystal.n_cells": (4, 5, 31)}, 100.0),
    "on a reflection, N 1000": (
        {**SIDE, "crystal.shape": "square", "crystal.n_cells": (1000, 1000, 1000)}, 100.0,
    ),
    "on a reflection, N 2.5": (
        {**SIDE, "crystal.shape": "square", "crystal.n_cells": (2.5, 3.5, 4.5)}, 100.0,
    ),
    "grown to infinity": (
        {"detector.point_pixel": True, "sampling.oversample_omega": True,
         "detector.distance_mm": 1e-9, "detector.pixel_size_mm": 1e-12}, 100.0,
    ),
    "a beam without length": ({"beam.direction": (1e-200, 0, 0)}, 100.0),
    "an axis without length": ({"beam.polarization_axis": (0, 0, 1e-200)}, 100.0),
    "layers that absorb all": (
        {"detector.sensor_thickness_um": 1e6, "detector.sensor_attenuation_depth_um": 1e3,
         "detector.sensor_layers": 40, "sampling.oversample": 2, **STILL,
         "detector.n_fast": 6, "detector.n_slow": 6, "detector.pixel_size_mm": 20.0}, 1e150,
    ),
    "phi 0": ({"goniometer.osc_deg": 1e-320}, 100.0),
}  # fmt: skip


def _scene(name: str) -> tuple[nb.Experiment, nb.StructureFactors]:
    changes, f = SCENES[name]
    return FAINT.replace(changes), nb.StructureFactors.constant(f)


def _pair(name: str, dtype: torch.dtype, tile_steps: int | None = None) -> tuple[np.ndarray, ...]:
    """The image of the torch engine, and that of the C engine's exact kernel, both float32."""
    experiment, factors = _scene(name)
    need = nb.simulate(experiment, factors, backend=nb.CEngine(kernel="exact")).image
    got = ForwardModel(experiment, factors, dtype=dtype, tile_steps=tile_steps)()
    return got.to(torch.float32).numpy(), need


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("name", SCENES)
def test_float64(name: str) -> None:
    figures = compare(*_pair(name, torch.float64))
    assert figures.same_non_finite
    assert figures.max_ulp <= 1


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("name", [name for name in SCENES if "on a reflection" not in name])
def test_float32(name: str) -> None:
    """Where the C engine's own numbers have digits: not at whole h, k, l off the origin."""
    figures = compare(*_pair(name, torch.float32))
    assert figures.same_non_finite
    assert figures.relative_l2 <= 5e-5  # at 0.01 A; less than 1e-5 in the others


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@for_each("name", ["polar", "thick", "grown to infinity"])
def test_blocks(name: str) -> None:
    """A pixel whose steps are cut into blocks."""
    got, need = _pair(name, torch.float64, tile_steps=11)
    figures = compare(got, need)
    assert figures.same_non_finite
    assert figures.max_ulp <= 1


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
def test_scenes_have_what_they_are_for() -> None:
    """A picture that is infinite, and a reflection at which the formula has lost its digits."""
    exact = nb.CEngine(kernel="exact")
    assert nb.simulate(*_scene("F 1e200"), backend=exact).image.max() == np.inf
    one = nb.simulate(*_scene("on a reflection, N 1000"), backend=exact).image[4, 4]
    assert not math.isclose(one, 1e6, rel_tol=0.5)


def test_recorded_sum() -> None:
    """-cell 100 100 100 90 90 90 -default_F 100 -lambda 1 -distance 100 -detpixels 48 -pixel 0.4
    -misset 10 20 30 -oversample 1 -N 30 -gauss_xtal -osc 5 -phisteps 20 -oversample_polar -mosaic 1
    -mosaic_dom 20: 8.858 where a square of 0 was taken for a factor of 0."""
    changes: dict[str, Any] = {
        "goniometer.phi_steps": 20,
        "crystal.mosaic_domains": 20,
        "detector.n_fast": 48,
        "detector.n_slow": 48,
        "sampling.oversample_polar": True,
    }
    model = ForwardModel(FAINT.replace(changes), nb.StructureFactors.constant(100.0))
    image = model().to(torch.float32).to(torch.float64)
    assert float(image.sum()) == pytest.approx(8.51095264649434, rel=1e-6)


def test_trace_takes_the_same_steps() -> None:
    """The skipped ones leave the running sum; the others multiply it, however faint they are."""
    experiment, factors = _scene("polar")
    traces = [
        nb.trace_phi(experiment, factors, pixel=(15, 3), backend=engine)
        for engine in (nb.CEngine(kernel="exact"), "torch")
    ]
    sums = [[step.running_sum for step in trace.steps] for trace in traces]
    assert sums[1] == pytest.approx(sums[0], rel=1e-9, abs=0.0)
    assert [step.f_latt == 0.0 for step in traces[0].steps] == [
        step.f_latt == 0.0 for step in traces[1].steps
    ]


@for_each("water_um, live_um", [(0.0, 1e-3), (1e-3, 0.0), (0.0, 0.0)])
def test_the_value_of_the_water_decides(water_um: float, live_um: float) -> None:
    """Whether a factor of 0 is skipped depends on the water that is rendered."""
    experiment, factors = _scene("polar")
    live = torch.tensor(live_um, dtype=torch.float64)
    model = ForwardModel(experiment.replace({"crystal.water_um": water_um}), factors)
    need = ForwardModel(experiment.replace({"crystal.water_um": live_um}), factors)()
    assert torch.allclose(model({"crystal.water_um": live}), need, rtol=1e-13, atol=0.0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@for_each(
    "name",
    [name for name in SCENES if not any(word in name for word in ("1e200", "infinity", "length"))],
)
def test_derivatives_are_finite(name: str, dtype: torch.dtype) -> None:
    """Where the image is, and there is a beam."""
    experiment, factors = _scene(name)
    model = ForwardModel(experiment, factors, dtype=dtype)
    left_out = {"crystal.rotation_matrix", "detector.origin_m", "detector.close_distance_mm"}
    values = {
        each.name: model.initial(each.name).requires_grad_()
        for each in model.parameters()
        if each.name not in left_out
    }
    image = model(values)
    gradients = torch.autograd.grad(image.to(torch.float64).sum(), list(values.values()))
    for parameter, gradient in zip(values, gradients, strict=True):
        assert torch.isfinite(gradient).all(), parameter


def test_faint_product() -> None:
    """F^2 latt^2 where one of the squares is no double, its derivatives, and 0 where latt is."""
    latt = torch.tensor([1e-170, 1e-100, 0.0, 1e5], dtype=torch.float64, requires_grad=True)
    f = torch.tensor([1e150, 1e150, 1e200, 1e-170], dtype=torch.float64, requires_grad=True)
    terms = applied(SquaredProduct, f, latt)
    # An infinite F^2 times 0 is NaN, which the kernel replaces where it skips.
    assert terms[[0, 1]].tolist() == pytest.approx([1e-40, 1e100], rel=1e-12)
    to_f, to_latt = torch.autograd.grad(terms[[0, 1, 2]].sum(), (f, latt))
    assert to_f.tolist() == pytest.approx([2e-190, 2e-50, 0.0, 0.0], rel=1e-12)
    assert to_latt.tolist() == pytest.approx([2e130, 2e200, 0.0, 0.0], rel=1e-12)


def test_products_of_weights_are_kept_as_factors() -> None:
    x = torch.tensor([1e300, 1e300, 0.0, 1.0], dtype=torch.float64)
    factors = torch.tensor(
        [[1e-200, 1.0, math.inf, 2.0], [1e-150, 0.5, 1.0, 3.0]], dtype=torch.float64
    )
    assert grown(x, factors).tolist() == pytest.approx([1e-50, 5e299, 0.0, 6.0], rel=1e-12)


@for_each("square", [0.0, 1e-30, 1e-12, 1e-8, 1e-5, 1e-3, 0.04, 0.05, 0.06, 0.3, 2.0])
def test_sphere_in_float32_keeps_its_digits(square: float) -> None:
    """From the series sum 3 (-1)^n x^2n (2n+2)/(2n+3)!."""
    x2 = math.pi**2 * square
    terms = [3 * (-x2) ** n * (2 * n + 2) / math.factorial(2 * n + 3) for n in range(30)]
    got = float(sinc3(torch.tensor([square], dtype=torch.float32)))
    assert got == pytest.approx(sum(terms), rel=3e-6, abs=1e-6)
