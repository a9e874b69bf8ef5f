"""A mosaic spread as a value beside the same spread in the configuration.

Configured angles are products of float32 numbers, rounded (model 7.2); those of a value are in
proportion to the configured ones, which has a derivative.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

SPREAD = "crystal.mosaic_spread_deg"
CONFIGURED_DEG = 0.5


def _model(spread_deg: float) -> ForwardModel:
    experiment = nb.Experiment(
        crystal=nb.Crystal(
            cell_angstrom=(70, 80, 90),
            cell_deg=(75, 85, 95),
            misset_deg=(10, 20, 30),
            n_cells=(5, 5, 5),
            mosaic_spread_deg=spread_deg,
            mosaic_domains=10,
        ),
        detector=nb.Detector(distance_mm=100, pixel_size_mm=3.2, n_fast=16, n_slow=16),
        sampling=nb.Sampling(oversample=1),
    )
    return ForwardModel(experiment, nb.StructureFactors.constant(100.0))


def _image(model: ForwardModel, spread_deg: float) -> torch.Tensor:
    return model({SPREAD: torch.tensor(spread_deg, dtype=torch.float64)})


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("spread_deg", [0.1, 0.3, 0.5, 0.7, 2.0])
def test_the_configured_spread_as_a_value(spread_deg: float) -> None:
    """It is the configured image, to the bit."""
    model = _model(spread_deg)
    assert torch.equal(_image(model, spread_deg), model())


@pytest.mark.parametrize("spread_deg", [0.25, 1.0, 2.0])
def test_a_spread_with_the_same_rounding(spread_deg: float) -> None:
    """Twice, or half, the configured spread rounds in the same way: the same image, to the bit."""
    assert torch.equal(_image(_model(CONFIGURED_DEG), spread_deg), _model(spread_deg)())


@pytest.mark.parametrize("spread_deg", [0.1, 0.3, 0.7])
def test_another_spread_differs_by_the_rounding_of_angles(spread_deg: float) -> None:
    """Angles by up to 2^-22: two roundings to float32 here, and two there; the image by 1e-8."""
    base, other = _model(CONFIGURED_DEG), _model(spread_deg)
    rotations = base.setup.rotations
    np.testing.assert_array_equal(rotations.axes, other.setup.rotations.axes)
    ratio = other.setup.sampling.mosaic_spread_rad / base.setup.sampling.mosaic_spread_rad
    as_value = ratio * rotations.angles(base.setup.sampling.mosaic_spread_rad)
    configured = rotations.angles(other.setup.sampling.mosaic_spread_rad)
    difference = float(np.abs(as_value / configured - 1.0).max())
    assert 0.0 < difference <= 2.0**-22
    assert 1e-10 < _distance(_image(base, spread_deg), other()) < 5e-8


def test_a_derivative_where_there_are_no_steps() -> None:
    """Steps much smaller than those of float32 (6e-8) still show the slope."""
    model = _model(CONFIGURED_DEG)
    live = torch.tensor(CONFIGURED_DEG, dtype=torch.float64, requires_grad=True)
    weights = torch.linspace(0.5, 1.5, 256, dtype=torch.float64).reshape(16, 16)
    (slope,) = torch.autograd.grad((model({SPREAD: live}) * weights).sum(), live)
    h = 1e-8
    above, below = (
        float((_image(model, CONFIGURED_DEG + step) * weights).sum()) for step in (h, -h)
    )
    assert math.isclose((above - below) / (2.0 * h), slope.item(), rel_tol=0.02)
