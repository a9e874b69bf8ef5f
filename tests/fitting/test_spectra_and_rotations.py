"""Fits of what spectra and given domains have, and the experiments that come out."""

from __future__ import annotations

import numpy as np
from with_torch import torch  # noqa: F401 (skips where it is not)

import nanobragg_hybrid as nb

TURNS = nb.Rotations.from_vectors(np.random.default_rng(0).normal(scale=0.4, size=(6, 3)))
SPECTRUM = nb.Spectrum(wavelengths_angstrom=(0.99, 1.0, 1.01), weights=(1.0, 2.0, 1.0))
START = nb.Experiment(
    beam=nb.Beam(fluence_photons_per_m2=1e30, spectrum=SPECTRUM),
    crystal=nb.Crystal(
        cell_angstrom=(40, 50, 60), misset_deg=(10, 20, 30), n_cells=(8, 8, 8),
        mosaic_rotations=TURNS,
    ),
    detector=nb.Detector(n_fast=32, n_slow=32, pixel_size_mm=0.9, distance_mm=60),
    sampling=nb.Sampling(oversample=1),
)  # fmt: skip
FACTORS = nb.StructureFactors.constant(100.0)


def measured(changes: dict[str, object]) -> np.ndarray:
    image = nb.simulate(START.replace(changes), FACTORS, unrounded=True).unrounded
    assert image is not None
    return np.random.default_rng(1).poisson(image).astype(np.float64)


def test_a_scale_of_the_domains() -> None:
    data = measured({"crystal.mosaic_rotations": TURNS.scaled(1.3)})
    name = "crystal.mosaic_rotations.scale"
    result = nb.fit(START, FACTORS, data, [name])
    (number,) = result.parameters
    assert abs(number.value - 1.3) < 5.0 * number.esd
    assert number.esd < 0.01
    found = result.experiment.crystal.mosaic_rotations
    assert found is not None
    np.testing.assert_allclose(found.vectors_deg, TURNS.vectors_deg * number.value, rtol=1e-12)


def test_weights_of_a_spectrum() -> None:
    """Only their ratios are in the image: the first is held by a prior."""
    truth = nb.Spectrum(wavelengths_angstrom=(0.99, 1.0, 1.01), weights=(1.0, 3.0, 0.5))
    data = measured({"beam.spectrum": truth})
    name = "beam.spectrum.weights"
    result = nb.fit(
        START, FACTORS, data, [name], priors={name: ([1.0, 2.0, 1.0], [1e-3, 1e3, 1e3])}
    )
    found = result.experiment.beam.spectrum
    assert found is not None
    np.testing.assert_allclose(found.node_weights, truth.node_weights, rtol=0.05)
    assert found.wavelengths_angstrom == truth.wavelengths_angstrom
