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
    # The result's are those of its image, which is rounded to 32 bits.
    np.testing.assert_allclose(result.expected, model.expected().numpy(), rtol=1e-6)


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
        (
            {gain: torch.ones(2, 1)},
            r"values\[response.gain\]: got shape \(2, 1\), need shape \(\), or",
        ),
        (3, "values: got 3, need a mapping"),
    ]
    for values, message in cases:
        with pytest.raises(nb.ConfigError, match=message):
            MODEL.expected(values)
    cases = [
        ({gain: torch.ones(0)}, r"values: got batches of \[0\], need one length >= 1 for all"),
        (
            {gain: torch.ones(2), "crystal.misset_deg": torch.zeros(3, 3)},
            r"values: got batches of \[2, 3\], need one length >= 1 for all",
        ),
    ]
    for values, message in cases:
        with pytest.raises(nb.ConfigError, match=message):
            MODEL.expected(values)


def test_batches() -> None:
    """Of the image's numbers, of background and response, and of both."""
    misset = torch.tensor([[0.0, 0.0, 0.0], [3.0, 1.0, 2.0]], dtype=torch.float64)
    name = "background.scatterers[0].values"
    many = torch.stack([INITIAL[name], 2.0 * INITIAL[name]])
    gain = torch.tensor([1.0, 3.0], dtype=torch.float64)
    model = ForwardModel(EXPERIMENT, nb.StructureFactors.constant(5e8))  # spots as bright as that
    cases: list[dict[str, Any]] = [
        {"crystal.misset_deg": misset},
        {name: many, "response.gain": gain},
        {"crystal.misset_deg": misset, name: many, "response.gain": gain[1]},
    ]
    for given in cases:
        found = model.expected(given)
        assert found.shape == (2, 5, 6)
        for n in range(2):
            single = {key: x if x.dim() == 0 else x[n] for key, x in given.items()}
            torch.testing.assert_close(found[n], model.expected(single), rtol=1e-13, atol=0.0)
        assert not torch.equal(found[0], found[1])


def test_region_has_the_light_from_around_it() -> None:
    whole = EXPERIMENT.replace(
        {
            "detector.n_fast": 30,
            "detector.n_slow": 24,
            "response.point_spread": nb.PointSpread(9000.0, 300.0, 16000.0),
        }
    )
    table = nb.StructureFactors.constant(5e8)  # spots as bright as the background
    image = ForwardModel(whole, table).expected()
    part = ForwardModel(whole.replace({"sampling.roi": (10, 17, 3, 9)}), table)
    name = "response.point_spread.gaussian_fwhm_um"
    fwhm = part.expected_initial()[name].requires_grad_()
    found = part.expected({name: fwhm})
    wanted = torch.zeros_like(image)
    wanted[3:10, 10:18] = image[3:10, 10:18]
    torch.testing.assert_close(found.detach(), wanted, rtol=1e-12, atol=0.0)
    (slope,) = torch.autograd.grad(found.sum(), fwhm)
    assert slope.abs() > 0.0
