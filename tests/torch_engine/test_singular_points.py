"""Where formulas divide 0 by 0: values as the C engine has them, and finite derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

# The direct beam hits the middle of the middle pixel: q = 0 and h = k = l = 0 there.
CENTRED = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(40, 50, 60), n_cells=(3, 4, 5), shape_fudge=0.01),
    detector=nb.Detector(convention="xds", n_fast=7, n_slow=7, pixel_size_mm=3.0, distance_mm=80.0),
    sampling=nb.Sampling(oversample=1),
)
FACTORS = nb.StructureFactors.from_grid(
    np.random.default_rng(1).uniform(50, 150, (41, 41, 41)), (-20, -20, -20), 30.0
)
CASES: dict[str, dict[str, object]] = {
    "square": {},
    "round": {"crystal.shape": "round"},
    "gauss": {"crystal.shape": "gauss"},
    "tophat": {"crystal.shape": "tophat"},
    "N not whole": {"crystal.n_cells": (2.5, 3.5, 4.5)},
    "N = 1": {"crystal.n_cells": (1.0, 1.0, 1.0)},
    "phi = 0": {"goniometer.osc_deg": 1.0, "goniometer.phi_steps": 3},
    "mosaic": {"crystal.mosaic_spread_deg": 0.5, "crystal.mosaic_domains": 3},
    "K = 1": {"beam.polarization_kahn": 1.0},
    "interpolated": {"sampling.interpolate": True},
    "curved": {"detector.curved": True},
    "running products": {
        "sampling.oversample_polar": True,
        "sampling.oversample_omega": True,
        "sampling.oversample_thick": True,
    },
    "cut": {"sampling.dmin_angstrom": 5.0, "beam.divergence_h_mrad": 20.0},
}
# Replaced by others that are given beside them, or not at hand.
LEFT_OUT = {"detector.origin_m", "detector.close_distance_mm", "crystal.rotation_matrix"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("case", CASES)
def test_every_derivative_is_finite(case: str, dtype: torch.dtype) -> None:
    model = ForwardModel(CENTRED.replace(CASES[case]), FACTORS, dtype=dtype)
    values = {
        each.name: model.initial(each.name).requires_grad_()
        for each in model.parameters()
        if each.name not in LEFT_OUT
    }
    image = model(values)
    assert torch.isfinite(image).all()
    gradients = torch.autograd.grad(image.sum(), list(values.values()))
    for name, gradient in zip(values, gradients, strict=True):
        assert torch.isfinite(gradient).all(), name


def test_mosaic_spread_of_zero() -> None:
    """The domains lie on each other, and their derivative is the first of the spread."""
    model = ForwardModel(CENTRED.replace(CASES["mosaic"]), FACTORS)
    spread = torch.zeros((), dtype=torch.float64, requires_grad=True)
    image = model({"crystal.mosaic_spread_deg": spread})
    still = ForwardModel(CENTRED, FACTORS)()
    assert torch.allclose(image, still, rtol=1e-12)
    weights = torch.linspace(0.0, 1.0, 49, dtype=torch.float64).reshape(7, 7)
    (gradient,) = torch.autograd.grad((image * weights).sum(), spread)
    with torch.no_grad():
        ahead, behind = (
            (model({"crystal.mosaic_spread_deg": spread + step}) * weights).sum()
            for step in (1e-4, -1e-4)
        )
    assert float(gradient) == pytest.approx(float(ahead - behind) / 2e-4, rel=1e-5)


@pytest.mark.parametrize("angle", [0.0, 1e-6, 1e-3])
def test_small_rotation_vectors(angle: float) -> None:
    """About z they are a missetting about z, to second order and with the same derivative."""
    model = ForwardModel(CENTRED, FACTORS)
    gradients = []
    for name in ("crystal.rotation_vector_deg", "crystal.misset_deg"):
        value = torch.tensor([0.0, 0.0, angle], dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(model({name: value})[:3].sum(), value)
        gradients.append(gradient[2])
    assert gradients[0] != 0.0
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-9)
