"""Where a formula divides 0 by 0, or takes a root or an angle of 0, the derivatives are finite."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from torch_scenes import together
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.arithmetic.interference import sincg_squared
from nanobragg_hybrid.engines.torch.arithmetic.shapes import sinc3
from nanobragg_hybrid.engines.torch.eager import intensities as kernel
from nanobragg_hybrid.model.conventions import SHAPES

PIXEL_MM = 1000.0 / 8192  # a power of two in metres, so that pixel centres are exact


def _still(**changes: object) -> nb.Experiment:
    """A 9 x 9 image; the centre of its middle pixel is exactly on the beam, at q = 0."""
    beam_mm = 4.5 * PIXEL_MM
    experiment = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0, polarization_kahn=0.7),
        crystal=nb.Crystal(cell_angstrom=(30, 32, 35), cell_deg=(90, 90, 90), n_cells=(4, 5, 6)),
        detector=nb.Detector(
            convention="denzo",
            distance_mm=100,
            pixel_size_mm=PIXEL_MM,
            n_fast=9,
            n_slow=9,
            beam_x_mm=beam_mm,
            beam_y_mm=beam_mm,
        ),
        sampling=nb.Sampling(oversample=1),
    )
    return experiment.replace({name.replace("__", "."): x for name, x in changes.items()})


def _indices(model: ForwardModel, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """h, k, l of all steps of the model's image, shape (3, steps)."""
    seen = []
    inner = kernel.fractional_indices

    def recording(*arguments: object) -> tuple[torch.Tensor, ...]:
        indices = inner(*arguments)
        seen.append(torch.stack(torch.broadcast_tensors(*indices)).reshape(3, -1).detach())
        return indices

    with monkeypatch.context() as patch:
        patch.setattr(kernel, "fractional_indices", recording)
        model({})
    return torch.cat(seen, dim=1)


def _check_finite(model: ForwardModel) -> dict[str, torch.Tensor]:
    """All values at once and each for itself; returns the gradients of each for itself."""
    values = {name: value.requires_grad_() for name, value in together(model).items()}
    image = model(values)
    assert torch.isfinite(image).all()
    for gradient in torch.autograd.grad(image.sum(), list(values.values())):
        assert torch.isfinite(gradient).all()
    gradients = {}
    for name, value in values.items():
        (gradients[name],) = torch.autograd.grad(model({name: value}).sum(), value)
        assert torch.isfinite(gradients[name]).all(), name
    return gradients


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_pixel_on_the_beam(shape: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """q = 0, so h = k = l = 0, and no direction in which the beam is scattered."""
    scene = (_still(crystal__shape=shape), nb.StructureFactors.constant(10.0))
    eager = ForwardModel(*scene, dtype=dtype, kernel="eager")
    assert (_indices(eager, monkeypatch) == 0.0).all(dim=0).any()
    for model in (eager, ForwardModel(*scene, dtype=dtype, kernel="compiled")):
        gradients = _check_finite(model)
        assert gradients["structure_factors.default_f"] > 0.0


def test_beam_centre_of_a_sphere() -> None:
    """The arcs to the pixel on the beam have length 0 and no direction; still the pixel moves with
    the beam centre, as in difference quotients."""
    experiment = _still(detector__curved=True, crystal__misset_deg=(20, 30, 40))
    source = nb.Source((-10.0, 0.1, 0.2), 1.0, 1e-10)  # from aside, so that the pixel has a slope
    model = ForwardModel(
        experiment.replace({"beam.sources": (source,)}),
        nb.StructureFactors.constant(10.0),
        nb.Quirks.parse("nanobragg,-curved_detector_axes"),
    )
    gradients = _check_finite(model)
    assert gradients["detector.beam_x_mm"] != 0.0
    start = model.initial("detector.beam_x_mm").requires_grad_()
    (derivative,) = torch.autograd.grad(model({"detector.beam_x_mm": start})[4, 4], start)
    step = 1e-5
    with torch.no_grad():
        after, before = (
            model({"detector.beam_x_mm": start + sign * step})[4, 4] for sign in (1, -1)
        )
    assert float((after - before) / (2 * step)) == pytest.approx(float(derivative), rel=1e-6)


@pytest.mark.parametrize("kahn", [0.0, 1.0, -1.0])
def test_polarization_on_the_beam(kahn: float) -> None:
    """Where the azimuth is undefined; also K = 0, of which the derivative is not 0."""
    off_beam = {"detector.beam_x_mm": 5.0, "detector.beam_y_mm": 9.0}
    for changes in ({}, off_beam):
        experiment = _still(beam__polarization_kahn=kahn).replace(changes)
        gradients = _check_finite(ForwardModel(experiment, nb.StructureFactors.constant(10.0)))
    assert gradients["beam.polarization_kahn"] != 0.0


@pytest.mark.parametrize("shape", SHAPES)
def test_whole_indices_off_the_beam(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """h, k, l whole and not 0: an incident beam from the side, whose q is (1, -1, 0)/lambda."""
    source = nb.Source((0.0, -10.0, 0.0), 1.0, 2.0**-33)
    experiment = _still(
        beam__sources=(source,),
        crystal__shape=shape,
        crystal__cell_angstrom=None,
        crystal__orientation_matrix=(0.25, 0, 0, 0, 0.25, 0, 0, 0, 0.25),
        beam__wavelength_angstrom=2.0**-33 * 1e10,
    )
    scene = (experiment, nb.StructureFactors.constant(10.0))
    eager = ForwardModel(*scene, kernel="eager")
    indices = _indices(eager, monkeypatch)
    assert ((indices - torch.tensor([[4.0], [-4.0], [0.0]])).abs() < 1e-13).all(dim=0).any()
    is_tophat = shape.startswith("tophat")  # whose derivative is 0 wherever it has one
    for model in (eager, ForwardModel(*scene, kernel="compiled")):
        gradients = _check_finite(model)
        assert (gradients["crystal.misset_deg"].abs().max() > 0.0) != is_tophat


@pytest.mark.parametrize(
    "changes",
    [
        {"crystal.n_cells": (1, 1, 1)},
        {"crystal.n_cells": (1, 4, 1), "crystal.shape": "round"},
        {"goniometer.phi_deg": 0.0, "goniometer.osc_deg": 0.0, "goniometer.phi_steps": 3},
        {"goniometer.phi_deg": 0.0, "goniometer.osc_deg": 1.0, "goniometer.phi_steps": 2},
        {"crystal.mosaic_spread_deg": 0.0, "crystal.mosaic_domains": 3},
        {"detector.rotation_deg": (0, 0, 0), "detector.twotheta_deg": 0.0},
        {"sampling.dmin_angstrom": 3.0},
        {"crystal.water_um": 0.0},
        {"detector.curved": True},
        {"detector.point_pixel": True},
        {"detector.sensor_thickness_um": 300.0, "detector.sensor_attenuation_depth_um": math.inf},
        {"sampling.oversample_polar": True, "sampling.oversample_omega": True},
        {"beam.fluence_photons_per_m2": 0.0},
    ],
)
def test_zero_and_one(changes: dict[str, object]) -> None:
    """phi = 0, no mosaicity, N = 1, no rotation, nothing: finite derivatives, each and together."""
    experiment = _still().replace(changes)
    _check_finite(ForwardModel(experiment, nb.StructureFactors.constant(10.0)))


def test_interpolation_at_nodes() -> None:
    """h = k = l = 0 exactly is a node of the tricubic polynomial."""
    grid = np.random.default_rng(5).uniform(1.0, 2.0, (11, 11, 11))
    factors = nb.StructureFactors.from_grid(grid, (-5, -5, -5), default_f=1.0)
    gradients = _check_finite(ForwardModel(_still(sampling__interpolate=True), factors))
    assert gradients["structure_factors.grid"].count_nonzero() > 1


def test_empty_image() -> None:
    """Without a pixel the image is 0 and so is every derivative."""
    model = ForwardModel(_still(sampling__roi=(5, 4, 0, 8)), nb.StructureFactors.constant(10.0))
    for gradient in _check_finite(model).values():
        assert gradient.count_nonzero() == 0


def _squared_sum_of_cells(h: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(sin(pi h n)/sin(pi h))^2 and its slope from the sum that it is: no quotient, so no 0/0."""
    phase = np.pi * (2.0 * np.arange(n) - n + 1.0)
    angle = phase * h[:, None]
    amplitude, slope = np.cos(angle).sum(axis=1), -(phase * np.sin(angle)).sum(axis=1)
    return amplitude**2, 2.0 * amplitude * slope


@pytest.mark.parametrize("n", [1, 2, 5, 12, 47])
@pytest.mark.parametrize(
    ("dtype", "of_value", "of_slope"), [(torch.float64, 1e-6, 1e-11), (torch.float32, 3e-4, 1e-5)]
)
def test_slope_near_whole_indices(
    n: int, dtype: torch.dtype, of_value: float, of_slope: float
) -> None:
    """From 1e-12 to 0.5 away, on both sides, and exactly there; relative to the steepest slope."""
    away = np.concatenate([[0.0], np.logspace(-12, -0.31, 200)])
    h = np.concatenate([k + s * away for k in (-3.0, 0.0, 2.0, 7.0) for s in (1.0, -1.0)])
    value, slope = _squared_sum_of_cells(h, n)
    x = torch.from_numpy(h).requires_grad_()
    got = sincg_squared(x, torch.round(x.detach()), float(n), dtype)
    (gradient,) = torch.autograd.grad(got.sum(), x)
    assert got.dtype == dtype
    assert torch.isfinite(gradient).all()
    # In float64 the value is the model's own formula, which loses digits close to whole h.
    clear = (np.abs(h - np.round(h)) > 1e-5) | (dtype is torch.float32)
    assert np.abs(got.detach().numpy() - value)[clear].max() < of_value * n * n
    assert np.abs(gradient.numpy() - slope).max() <= of_slope * max(np.abs(slope).max(), 1.0)
    assert np.abs(gradient.numpy()[h == np.round(h)]).max() <= 1e-12 * n**4


@pytest.mark.parametrize("n", [3.0, 3.4])
def test_slope_with_the_number_of_cells(n: float) -> None:
    """Away from whole h, and at h = 0, where the value is N^2."""
    h = torch.tensor([0.0, 0.13, -0.4, 2.3, 7.45], dtype=torch.float64)
    count = torch.tensor(n, dtype=torch.float64, requires_grad=True)
    for index in h:
        got = sincg_squared(index[None], torch.round(index[None]), count, torch.float64)
        (gradient,) = torch.autograd.grad(got.sum(), count)
        x = math.pi * float(index)
        need = 2.0 * n
        if x != 0.0:
            need = 2.0 * x * math.sin(n * x) * math.cos(n * x) / math.sin(x) ** 2
        assert float(gradient) == pytest.approx(need, rel=1e-10)


def _sphere_series(square: float) -> tuple[float, float]:
    """3 (sin x/x - cos x)/x^2 and its derivative with respect to square = (x/pi)^2, as series."""
    x2, value, slope, term = math.pi**2 * square, 0.0, 0.0, 3.0
    for n in range(40):
        # 3 (-1)^n x^2n (2n + 2)/(2n + 3)!
        coefficient = term * (2 * n + 2) / math.factorial(2 * n + 3)
        value += coefficient * x2**n
        slope += coefficient * n * x2 ** (n - 1) if n else 0.0
        term = -term
    return value, slope * math.pi**2


@pytest.mark.parametrize("square", [0.0, 1e-300, 1e-12, 1e-4, 0.009, 0.0095, 0.05, 0.3, 1.0, 2.5])
def test_slope_of_a_sphere(square: float) -> None:
    """At 0, and on both sides of the place where the series takes over."""
    value, slope = _sphere_series(square)
    x = torch.tensor([square], dtype=torch.float64, requires_grad=True)
    got = sinc3(x)
    (gradient,) = torch.autograd.grad(got.sum(), x)
    assert float(gradient) == pytest.approx(slope, rel=1e-9)
    # Near 0 the model's own formula for the value loses digits, which the images share.
    if square > 1e-3 or square == 0.0:
        assert float(got.detach()) == pytest.approx(value, rel=1e-9)


def _cells(x: torch.Tensor) -> torch.Tensor:
    squared: torch.Tensor = sincg_squared(x, torch.round(x.detach()), 4.0, torch.float64)
    return squared


@pytest.mark.parametrize("function", [_cells, sinc3])
def test_formulas_pass_gradcheck(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    x = torch.linspace(0.11, 0.83, 9, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(function, (x,))
