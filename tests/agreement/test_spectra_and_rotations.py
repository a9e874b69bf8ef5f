"""Spectra and domains of the user's own: what both engines say and do alike."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from for_each import for_each
from pictures import CONSTANT, STILL, off
from with_torch import torch

import nanobragg_hybrid as nb

WEIGHTS = (0.5, 3.0, 1.25)
SPECTRUM = nb.Spectrum(energies_ev=(12398.42, 12500.0, 12150.0), weights=WEIGHTS)
TURNS = nb.Rotations.from_vectors([(1, 2, 0), (0, 0, 0), (-1, 0.5, 2)], (1.0, 0.2, 3.0))


@for_each("backend", ["c", "torch"])
def test_a_wavelength_outside_of_the_spectrum_is_told(backend: str) -> None:
    for length, warned in ((1.0, False), (1.0 - 2e-3, True), (1.1, False), (1.1 + 2e-3, True)):
        spectrum = nb.Spectrum(wavelengths_angstrom=(1.1, 1.0, 1.05))
        changes = {"beam.wavelength_angstrom": length, "beam.spectrum": spectrum}
        plan = nb.prepare(STILL.replace(changes), CONSTANT, backend=backend).plan
        assert ("wavelength_outside_spectrum" in plan.warnings) == warned
    assert "is not one of its spectrum" in plan.sentences()[-1]


@for_each("backend", ["c", "torch"])
def test_wavelengths_of_no_x_rays_are_the_spectrums(backend: str) -> None:
    odd = nb.Spectrum(wavelengths_angstrom=(1.0, 1e5))
    experiment = STILL.replace({"beam.spectrum": odd})
    assert nb.prepare(experiment, CONSTANT, backend=backend).plan.impossible_sources == 1
    with pytest.raises(nb.ConfigError, match=r"beam\.spectrum: got .*\(source 1 has 1e-05 m\)"):
        nb.prepare(experiment, CONSTANT, backend=backend, quirks=off("impossible_sources"))


def test_traces_have_the_weights_in_their_terms() -> None:
    both = STILL.replace(
        {
            "beam.spectrum": SPECTRUM,
            "crystal.mosaic_rotations": TURNS,
            "beam.polarization_correction": False,
        }
    )
    flat = both.replace(
        {
            "beam.spectrum": dataclasses.replace(SPECTRUM, weights=None),
            "crystal.mosaic_rotations": nb.Rotations(TURNS.matrices),
        }
    )
    for backend in ("c", "torch"):
        weighted, plain = (
            nb.prepare(each, CONSTANT, backend=backend).trace((7, 9), limit=None).steps
            for each in (both, flat)
        )
        assert len(weighted) == 9
        for step, bare in zip(weighted, plain, strict=True):
            source = WEIGHTS[step.source] / np.mean(WEIGHTS)
            domain = TURNS.weights[step.domain] / TURNS.weights.mean()
            assert step.term == pytest.approx(bare.term * source * domain, rel=1e-9)


def test_weights_of_domains_are_the_eager_kernels() -> None:
    """Equal ones are none, and every other part of a spectrum is the compiled kernels', too."""
    alike = nb.Rotations(TURNS.matrices, (2.0, 2.0, 2.0))
    for rotations, kernel in ((alike, "compiled"), (TURNS, "eager")):
        changes = {"beam.spectrum": SPECTRUM, "crystal.mosaic_rotations": rotations}
        result = nb.simulate(STILL.replace(changes), CONSTANT, backend="torch")
        assert result.provenance["kernel"] == kernel
    assert "the mosaic domains have weights of their own" in result.provenance["kernel_reason"]
    need = nb.simulate(STILL.replace(changes), CONSTANT).image
    np.testing.assert_allclose(result.image, need, rtol=2e-7)


def test_a_scale_of_the_domains_is_that_of_their_rotations() -> None:
    changes = {"crystal.mosaic_rotations": TURNS, "beam.spectrum": SPECTRUM}
    model = nb.ForwardModel(STILL.replace(changes), CONSTANT)
    scale = torch.tensor(1.5, dtype=torch.float64)
    got = model({"crystal.mosaic_rotations.scale": scale}).numpy()
    scaled = STILL.replace({**changes, "crystal.mosaic_rotations": TURNS.scaled(1.5)})
    need = nb.simulate(scaled, CONSTANT, unrounded=True).unrounded
    np.testing.assert_allclose(got, need, rtol=1e-9, atol=1e-12 * need.max())
    none = model({"crystal.mosaic_rotations.scale": 0.0 * scale}).numpy()
    still = STILL.replace({"beam.spectrum": SPECTRUM})
    need = nb.simulate(still, CONSTANT, unrounded=True).unrounded
    np.testing.assert_allclose(none, need, rtol=1e-9, atol=1e-12 * need.max())


def test_weights_of_a_spectrum_stand_in_for_the_configured_ones() -> None:
    model = nb.ForwardModel(STILL.replace({"beam.spectrum": SPECTRUM}), CONSTANT)
    live = torch.tensor([2.0, 0.0, 1.0], dtype=torch.float64)
    got = model({"beam.spectrum.weights": live}).numpy()
    other = dataclasses.replace(SPECTRUM, weights=(2.0, 0.0, 1.0))
    need = nb.simulate(STILL.replace({"beam.spectrum": other}), CONSTANT, unrounded=True).unrounded
    np.testing.assert_allclose(got, need, rtol=1e-9, atol=1e-12 * need.max())


def test_parameters_without_effect_say_why() -> None:
    """Those of wavelengths beside a spectrum, and the other way round."""
    directions = (nb.Source((-10.0, 0.1, 0.0)), nb.Source((-10.0, 0.0, 0.1)))
    with_both = STILL.replace({"beam.spectrum": SPECTRUM, "beam.sources": directions})
    for experiment, name, reason in (
        (with_both, "beam.sources.wavelength_m", "the spectrum has the wavelengths"),
        (with_both, "beam.wavelength_angstrom", "the spectrum has the wavelengths"),
        (STILL, "beam.spectrum.weights", "there is no spectrum"),
        (STILL, "crystal.mosaic_rotations.scale", "the configuration has no mosaic_rotations"),
    ):
        model = nb.ForwardModel(experiment, CONSTANT)
        assert name not in [each.name for each in model.parameters()]
        with pytest.raises(nb.ConfigError, match=reason):
            model({name: torch.ones((), dtype=torch.float64)})
    single = STILL.replace({"beam.spectrum": nb.Spectrum(wavelengths_angstrom=(1.0,))})
    with pytest.raises(nb.ConfigError, match="the spectrum has only one wavelength"):
        nb.ForwardModel(single, CONSTANT)({"beam.spectrum.weights": torch.ones(1)})
