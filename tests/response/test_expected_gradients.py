"""Derivatives of expected counts: background, point spread, gain and geometry."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")

EXPERIMENT = nb.Experiment(
    beam=nb.Beam(fluence_photons_per_m2=3e17, polarization_kahn=0.6),
    crystal=nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(3, 3, 3)),
    detector=nb.Detector(
        n_fast=6,
        n_slow=5,
        pixel_size_mm=8.0,
        sensor_thickness_um=300.0,
        sensor_attenuation_depth_um=250.0,
        rotation_deg=(4.0, -3.0, 9.0),
    ),
    sampling=nb.Sampling(oversample=1),
    background=nb.Background(
        scatterers=(
            nb.Scatterer((0.0, 0.05, 0.1, 0.3), (2.5, 5.0, 8.0, 3.0), 1e-3),
            nb.Scatterer((0.0, 0.3), (30.0, 4.0), 1e-3, "intensity"),
        ),
        air_attenuation_per_mm=0.002,
        radial=nb.RadialBackground((0.0, 8.0, 30.0), (5.0, 3.0, 1.0)),
        flat_photons_per_pixel=2.0,
        offsets=(nb.BackgroundOffset(1.5, 1, 3, 0, 2),),
    ),
    response=nb.Response(
        point_spread=nb.PointSpread(9000.0, 2000.0, 20000.0), gain=1.7, gain_error=0.05, seed=2
    ),
)
MODEL = ForwardModel(EXPERIMENT, nb.StructureFactors.constant(50.0))
INITIAL = MODEL.expected_initial()


def test_names() -> None:
    assert list(INITIAL) == [
        "background.scatterers[0].scale",
        "background.scatterers[0].values",
        "background.scatterers[1].scale",
        "background.scatterers[1].values",
        "background.air_attenuation_per_mm",
        "background.radial.photons_per_pixel",
        "background.flat_photons_per_pixel",
        "background.offsets[0].photons_per_pixel",
        "response.gain",
        "response.point_spread.gaussian_fwhm_um",
        "response.point_spread.fibre_radius_um",
    ]


@for_each("name", INITIAL)
def test_gradcheck(name: str) -> None:
    start = INITIAL[name].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: MODEL.expected({name: x}), start, rtol=1e-4)
    (slope,) = torch.autograd.grad(MODEL.expected({name: start}).sum(), start)
    assert slope.abs().min() > 0.0


@for_each(
    "name", ["detector.close_distance_mm", "detector.rotation_deg", "beam.wavelength_angstrom"]
)
def test_geometry_moves_the_background(name: str) -> None:
    """Of the background alone, whose image is dark."""
    changes: dict[str, Any] = {"detector.close_distance_mm": 100.0}
    model = ForwardModel(EXPERIMENT.replace(changes), nb.StructureFactors.constant(0.0))
    start = model.initial(name).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model.expected({name: x}), start, rtol=1e-4)
    (slope,) = torch.autograd.grad(model.expected({name: start}).square().sum(), start)
    assert slope.abs().max() > 0.0


def test_fluence_scales_crystal_and_scatterers() -> None:
    name = "beam.fluence_photons_per_m2"
    start = MODEL.initial(name).requires_grad_()
    (slope,) = torch.autograd.grad(MODEL.expected({name: start}).sum(), start)
    plain = {**INITIAL}
    for other in (
        "background.radial.photons_per_pixel",
        "background.flat_photons_per_pixel",
        "background.offsets[0].photons_per_pixel",
    ):
        plain[other] = torch.zeros_like(plain[other])
    assert slope.item() * start.item() == pytest.approx(MODEL.expected(plain).sum().item())


def test_values_are_those_of_an_experiment_with_them() -> None:
    values = {
        "background.scatterers[0].values": torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64),
        "response.gain": torch.tensor(2.5, dtype=torch.float64),
    }
    assert EXPERIMENT.background is not None
    first, second = EXPERIMENT.background.scatterers
    changed = nb.Scatterer(first.stol_per_angstrom, (1.0, 2.0, 3.0, 4.0), first.volume_mm3)
    other = EXPERIMENT.replace({"background.scatterers": (changed, second), "response.gain": 2.5})
    model = ForwardModel(other, nb.StructureFactors.constant(50.0))
    torch.testing.assert_close(MODEL.expected(values), model.expected(), rtol=1e-13, atol=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = nb.simulate(other, nb.StructureFactors.constant(50.0), backend="torch")
    assert np.array_equal(result.expected, model.expected().numpy())


def test_without_background_and_response_it_is_the_image() -> None:
    plain = EXPERIMENT.replace({"background": None, "response": None})
    model = ForwardModel(plain, nb.StructureFactors.constant(50.0))
    assert torch.equal(model.expected(), model())
    assert model.expected_initial() == {}


def test_wrong_values() -> None:
    gain = "response.gain"
    cases: list[tuple[Any, str]] = [
        ({"response.gian": INITIAL[gain]}, r"expected_initial\(\) \(did you mean response.gain\?"),
        ({gain: 2.0}, r"values\[response.gain\]: .*need a tensor of real numbers"),
        ({gain: torch.ones(2)}, r"values\[response.gain\]: got shape \(2,\), need shape \(\)"),
        (3, "values: got 3, need a mapping"),
    ]
    for values, message in cases:
        with pytest.raises(nb.ConfigError, match=message):
            MODEL.expected(values)
    many = torch.stack([MODEL.initial("crystal.misset_deg")] * 2)
    with pytest.raises(nb.UnsupportedError, match="expected counts of a batch"):
        MODEL.expected({"crystal.misset_deg": many})
