"""Derivatives where one kernel quirk is on and the others are off, against difference quotients.

`sphere` and `weighted` of test_difference_quotients have all of them off.
"""

from __future__ import annotations

import dataclasses

import pytest
from derivatives import sweep
from torch_scenes import CORRECTED, SCENES, projection
from with_torch import torch

from nanobragg_hybrid.engines.torch import ForwardModel

TOLERANCE = 1e-6  # as in test_difference_quotients
NAMES = (
    "beam.polarization_kahn",
    "beam.sources.weight",
    "beam.sources.wavelength_m",
    "crystal.cell_angstrom",
    "detector.pixel_size_mm",
    "detector.sensor_thickness_um",
    "detector.sensor_attenuation_depth_um",
)
# The same detector, 7 times further away: with solid angles of about 1 not only the last steps
# count.
RUNNING = {
    "sampling.oversample_polar": True,
    "sampling.oversample_omega": True,
    "detector.point_pixel": True,
    "detector.distance_mm": 1120.0,
    "detector.pixel_size_mm": 0.35,
    "detector.beam_x_mm": -119.0,
    "detector.beam_y_mm": 140.0,
}
MIXTURES = {
    "background": ({"crystal.water_um": 0.006}, "water_background"),
    "first polarization": ({}, "polar_first_source"),
    "last layer": ({}, "thick_last_layer"),
    "shared weights": ({}, "source_weights_ignored"),
    "thick layers": ({}, "layer_overshoot"),
    "interpolation": ({}, "interpolation_latch"),
    "first sub-pixel": ({}, "first_subpixel_factors"),
    "left edge": ({"goniometer.phi_deg": 3.5}, "phi_left_edge"),
    "running product": (
        RUNNING,
        "oversample_running_product",
    ),
}


CASES = [
    (mixture, name)
    for mixture in MIXTURES
    for name in NAMES
    if (mixture, name) != ("shared weights", "beam.sources.weight")  # which is no parameter then
]


@pytest.mark.parametrize(("mixture", "name"), CASES)
def test_difference_quotients(mixture: str, name: str) -> None:
    """All elements of a value are changed together, each in proportion to itself."""
    changes, quirk = MIXTURES[mixture]
    experiment, factors, _ = SCENES["weighted"]()
    quirks = dataclasses.replace(CORRECTED, **{quirk: True})
    model = ForwardModel(experiment.replace(changes), factors, quirks)
    start = model.initial(name)
    direction = start * projection(tuple(start.shape), seed=1)
    norm = float(model().sum())

    def projected(value: torch.Tensor) -> torch.Tensor:
        image = model({name: value})
        return (image * projection(tuple(image.shape))).sum() / norm

    leaf = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(projected(leaf), leaf)
    derivative = float((gradient * direction).sum())
    assert derivative != 0.0

    def along(step: float) -> float:
        with torch.no_grad():
            return float(projected(start + step * direction))

    found = sweep(along, derivative, first=0.02 / max(abs(derivative), 1.0))
    assert found.limit_error() < TOLERANCE
