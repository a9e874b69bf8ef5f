"""Spectra: nodes and weights, the makers, and what a beam allows beside one."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid import Beam, ConfigError, Experiment, Source, Spectrum

TABLE = Spectrum(energies_ev=(12000.0, 12010.0, 12030.0), weights=(1.0, 2.5, 0.0))


def test_energies_become_wavelengths_as_in_the_model() -> None:
    assert TABLE.wavelengths_m == tuple(
        (12398.42 / e) / 1.0e10 for e in (12000.0, 12010.0, 12030.0)
    )
    in_angstrom = Spectrum(wavelengths_angstrom=[1.03, 0.98])
    assert in_angstrom.wavelengths_m == (1.03 / 1.0e10, 0.98 / 1.0e10)


def test_weights_are_one_where_none_are_given() -> None:
    spectrum = Spectrum(energies_ev=(12000.0, 12010.0))
    assert spectrum.weights == spectrum.node_weights == (1.0, 1.0)
    assert spectrum == Spectrum(energies_ev=(12000.0, 12010.0), weights=(1.0, 1.0))


def test_a_table_is_a_spectrum() -> None:
    energies, weights = np.array([12000.0, 12010.0, 12030.0]), np.array([1.0, 2.5, 0.0])
    made = Spectrum.from_table(energies_ev=energies, weights=weights)
    assert made == TABLE
    assert hash(made) == hash(TABLE)
    assert pickle.loads(pickle.dumps(made)) == TABLE
    assert Spectrum.from_table(wavelengths_angstrom=[1.0]) == Spectrum(wavelengths_angstrom=(1.0,))


@for_each(
    "given, message",
    [
        ({}, "spectrum: got neither, need exactly one of wavelengths_angstrom and energies_ev"),
        ({"energies_ev": [1e4], "wavelengths_angstrom": [1.0]}, "spectrum: got both, need exactly"),
        ({"energies_ev": [0.0]}, "spectrum.energies_ev: got [0.0], need at least one value"),
        ({"wavelengths_angstrom": [math.inf]}, "spectrum.wavelengths_angstrom: got [inf], need"),
        ({"energies_ev": []}, "spectrum.energies_ev: got [], need at least one value, each"),
        (
            {"energies_ev": [1e4], "weights": [1.0, 2.0]},
            "spectrum.weights: got 2 of them, need one",
        ),
        ({"energies_ev": [1e4], "weights": [-1e-300]}, "spectrum.weights: got [-1e-300], need at"),
        ({"energies_ev": [1e4], "weights": [0.0]}, "spectrum.weights: got weights whose sum is 0"),
        ({"energies_ev": [1e4] * 2, "weights": [1e308] * 2}, "spectrum.weights: got weights whose"),
    ],
)
def test_other_nodes_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Spectrum(**given)
    assert str(caught.value).startswith(message)


# Makers


@for_each("nodes", [1, 2, 5, 30])
def test_gaussian(nodes: int) -> None:
    made = Spectrum.gaussian(centre_ev=9500.0, fwhm_ev=20.0, nodes=nodes, span_fwhm=2.0)
    energies = np.array(made.energies_ev)
    need = np.linspace(9480.0, 9520.0, nodes) if nodes > 1 else np.array([9500.0])
    np.testing.assert_allclose(energies, need, rtol=1e-15)
    sigma = 20.0 / 2.354820045030949
    weights = np.exp(-0.5 * ((energies - 9500.0) / sigma) ** 2)
    np.testing.assert_allclose(made.node_weights, weights, rtol=1e-12)


def test_a_gaussian_of_wavelengths_has_half_its_maximum_half_a_width_off() -> None:
    made = Spectrum.gaussian(centre_angstrom=1.3, fwhm_angstrom=0.02, nodes=5, span_fwhm=2.0)
    assert made.energies_ev is None
    assert made.wavelengths_angstrom == pytest.approx((1.28, 1.29, 1.3, 1.31, 1.32), rel=1e-15)
    assert made.node_weights == pytest.approx((0.0625, 0.5, 1.0, 0.5, 0.0625), rel=1e-12)


@for_each(
    "given, field",
    [
        ({}, "gaussian"),
        ({"centre_ev": 9e3, "fwhm_ev": 5.0, "centre_angstrom": 1.0}, "gaussian"),
        ({"centre_ev": 9e3}, "fwhm_ev"),
        ({"fwhm_angstrom": 0.1}, "centre_angstrom"),
        ({"centre_ev": 9e3, "fwhm_ev": 0.0}, "fwhm_ev"),
        ({"centre_ev": 9e3, "fwhm_ev": 5.0, "nodes": 0}, "nodes"),
        ({"centre_ev": 9e3, "fwhm_ev": 5.0, "span_fwhm": -1.0}, "span_fwhm"),
        ({"centre_ev": 10.0, "fwhm_ev": 10.0, "span_fwhm": 2.0}, "centre_ev"),
    ],
)
def test_gaussians_that_cannot_be(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Spectrum.gaussian(**given)
    assert caught.value.field == field


SASE: dict[str, Any] = {"centre_ev": 9500.0, "fwhm_ev": 20.0, "pulse_fwhm_fs": 2.0}


def test_a_shot_follows_from_its_seed() -> None:
    shot = Spectrum.sase(seed=3, **SASE)
    assert shot == Spectrum.sase(seed=3, **SASE)
    assert shot != Spectrum.sase(seed=4, **SASE)
    assert shot.nodes == 101
    assert shot.energies_ev is not None
    assert (shot.energies_ev[0], shot.energies_ev[-1]) == (9470.0, 9530.0)


def test_many_shots_have_the_gain_curve_on_average_and_fluctuate_like_light() -> None:
    """Of one polarization: the standard deviation of an intensity is its mean, in a narrow bin."""
    shots = np.array([Spectrum.sase(seed=n, **SASE).node_weights for n in range(400)])
    offset = np.linspace(-30.0, 30.0, 101)
    gain = np.exp(-4.0 * math.log(2.0) * (offset / 20.0) ** 2)
    ratio = shots / gain
    middle = slice(20, 81)
    assert np.abs(ratio[:, middle].mean(axis=0) - 1.0).max() < 0.25  # five standard errors
    assert abs(ratio[:, middle].mean() - 1.0) < 0.03
    assert 0.8 < ratio[:, middle].std() < 1.05


def test_spikes_are_as_wide_as_the_pulse_is_short() -> None:
    """The correlation of intensities falls to a half at half of 0.62 h / duration."""
    spike = 0.62 * 4.135667696 / SASE["pulse_fwhm_fs"]
    shots = [Spectrum.sase(seed=n, **SASE, nodes=601, span_fwhm=0.5) for n in range(150)]
    assert shots[0].energies_ev is not None
    energies = np.array(shots[0].energies_ev)
    intensity = np.array([shot.node_weights for shot in shots])
    intensity = intensity / intensity.mean(axis=0) - 1.0
    step = energies[1] - energies[0]
    half = round(spike / 2.0 / step)
    middle = intensity[:, 300]
    correlation = (intensity * middle[:, None]).mean(axis=0) / (middle**2).mean()
    near = (correlation[300 - half] + correlation[300 + half]) / 2.0
    assert abs(near - 0.5) < 0.15


def test_few_nodes_have_the_light_of_many() -> None:
    """A node has the mean around it: 9 nodes are 90 of a tenth of the width."""
    few = Spectrum.sase(seed=5, **SASE, nodes=9, span_fwhm=1.6)
    step = 20.0 * 1.6 / 8
    many = Spectrum.sase(seed=5, **SASE, nodes=90, span_fwhm=9 * step * 89 / 90 / 20.0)
    means = np.array(many.node_weights).reshape(9, 10).mean(axis=1)
    np.testing.assert_allclose(few.node_weights, means, rtol=0.01)


@for_each(
    "given, field",
    [
        ({"seed": 1.5}, "seed"),
        ({"fwhm_ev": -1.0}, "fwhm_ev"),
        ({"pulse_fwhm_fs": 0.0}, "pulse_fwhm_fs"),
        ({"pulse_fwhm_fs": 1e9}, "pulse_fwhm_fs"),
        ({"nodes": 2.5}, "nodes"),
        ({"centre_ev": 20.0}, "centre_ev"),
    ],
)
def test_shots_that_cannot_be(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Spectrum.sase(**{"seed": 1, **SASE, **given})
    assert caught.value.field == field


# Beside other fields


def test_a_beam_has_its_wavelengths_from_one_place() -> None:
    alone = Beam(spectrum=TABLE)
    assert Beam(spectrum=TABLE, dispersion_percent=None).dispersion_percent is None
    directions = (Source((-10.0, 0.1, 0.0), 2.0),)
    assert Beam(spectrum=TABLE, sources=directions).sources == directions
    assert alone.source_candidates == 3
    assert Beam(spectrum=TABLE, sources=directions * 2).source_candidates == 6
    for given, message in (
        ({"dispersion_percent": 0.5}, "beam.dispersion_percent: got 0.5 %, need 0 or None beside"),
        ({"dispersion_steps": 1}, "beam.dispersion_steps: got 1, need None beside beam.spectrum"),
        (
            {"sources": (*directions, Source(wavelength_m=1e-10))},
            "beam.sources[1].wavelength_m: got 1e-10 m, need None beside beam.spectrum",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            Beam(spectrum=TABLE, **given)  # type: ignore[arg-type]
        assert str(caught.value).startswith(message)


def test_a_spectrum_is_saved_to_the_last_bit() -> None:
    experiment = Experiment(beam=Beam(spectrum=Spectrum(energies_ev=(1e4 / 3,), weights=(0.1,))))
    data = experiment.to_dict()["beam"]["spectrum"]
    assert data == {
        "wavelengths_angstrom": None,
        "energies_ev": [1e4 / 3],
        "weights": [0.1],
    }
    assert Experiment.from_json(experiment.to_json()) == experiment
    broken = experiment.to_dict()
    broken["beam"]["spectrum"]["weight"] = [1.0]
    with pytest.raises(ConfigError, match=r"beam\.spectrum: got 'weight', need only the keys"):
        Experiment.from_dict(broken)
