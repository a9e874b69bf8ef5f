"""Derivatives where the detector's normal is turned round, and of what else its quirks change."""

from __future__ import annotations

from typing import Any

import pytest
from for_each import for_each
from pictures import CONSTANT
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

BASE = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(20, 23, 26), n_cells=(1, 1, 1), misset_deg=(12, -31, 55)),
    beam=nb.Beam(fluence_photons_per_m2=1e29),
    detector=nb.Detector(distance_mm=90, pixel_size_mm=3.0, n_fast=5, n_slow=4),
    sampling=nb.Sampling(oversample=1),
)
SENSOR = {"detector.sensor_thickness_um": 320.0, "detector.sensor_attenuation_depth_um": 250.0}


@for_each(
    "name, given",
    [
        ("detector.distance_mm", {"detector.twotheta_deg": 120.0}),
        ("detector.twotheta_deg", {"detector.twotheta_deg": 120.0, **SENSOR}),
        ("detector.distance_mm", {"detector.rotation_deg": (0.0, 120.0, 0.0), **SENSOR}),
        (
            "detector.twotheta_deg",
            {
                "detector.convention": "xds",
                "detector.twotheta_deg": 20.0,
                "detector.curved": True,
            },
        ),
        ("detector.distance_mm", {"detector.curved": True, "detector.twotheta_deg": 5.0, **SENSOR}),
        ("detector.pixel_size_mm", {"detector.point_pixel": True}),
        ("detector.distance_mm", {"detector.point_pixel": True}),
        (
            "detector.twotheta_axis",
            {"detector.twotheta_axis": (0.2, 0.3, -1.5), "detector.twotheta_deg": 25.0},
        ),
    ],
)
def test_derivative_is_the_difference_quotient(name: str, given: dict[str, Any]) -> None:
    model = ForwardModel(BASE.replace(given), CONSTANT, quirks=nb.Quirks.none())
    start = model.initial(name)

    def total(value: Any) -> Any:
        return model({name: value}).sum()

    leaf = start.clone().requires_grad_(True)
    total(leaf).backward()
    for place in range(start.numel()):
        step = torch.zeros_like(start).flatten()
        step[place] = 1e-5
        step = step.reshape(start.shape)
        with torch.no_grad():
            quotient = (total(start + step) - total(start - step)) / 2e-5
        got = leaf.grad.flatten()[place]
        scale = float(total(start))
        assert abs(float(got) - float(quotient)) < 1e-6 * scale + 1e-6 * abs(float(quotient))
    assert float(leaf.grad.abs().max()) > 1e-6 * float(total(start))


def test_a_unit_axis_has_no_derivative_along_itself() -> None:
    """Its length does not matter, so the gradient is across it."""
    axis = (0.2, 0.3, -1.5)
    given = {"detector.twotheta_axis": axis, "detector.twotheta_deg": 25.0}
    model = ForwardModel(BASE.replace(given), CONSTANT, quirks=nb.Quirks.none())
    leaf = torch.tensor(axis, dtype=torch.float64, requires_grad=True)
    model({"detector.twotheta_axis": leaf}).sum().backward()
    along = float(leaf.grad @ leaf.detach())
    assert along == pytest.approx(0.0, abs=1e-9 * float(leaf.grad.norm()))
