"""Spectra and domains of the user's own: the mean of what they mix (model 5.2, 5.3)."""

from __future__ import annotations

import dataclasses

import numpy as np
from for_each import for_each
from pictures import CONSTANT, STILL, assert_differs, assert_same, off, picture

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.plan import Plan

ENERGIES = (12398.42, 12500.0, 12150.0)
WEIGHTS = (0.5, 3.0, 1.25)
SPECTRUM = nb.Spectrum(energies_ev=ENERGIES, weights=WEIGHTS)
DIRECTIONS = (nb.Source((-10.0, 0.5, 0.1), 2.0), nb.Source((-10.0, -1.5, 0.7), 0.5))
TURNS = nb.Rotations.from_vectors([(1, 2, 0), (0, 0, 0), (-1, 0.5, 2)], (1.0, 0.2, 3.0))
NONE = nb.Quirks.none()


def of_one_wavelength(changes: dict[str, object], quirks: nb.Quirks) -> list[np.ndarray]:
    """A picture for each wavelength alone."""
    alone = (nb.Spectrum(energies_ev=(energy,)) for energy in ENERGIES)
    return [picture(STILL.replace({**changes, "beam.spectrum": one}), quirks) for one in alone]


@for_each("quirks", [nb.Quirks(), NONE])
def test_a_spectrum_is_the_weighted_mean_of_its_wavelengths(quirks: nb.Quirks) -> None:
    """Also with the quirk that ignores the weights of listed sources; without polarization, which
    the first source decides on with another one."""
    bare = {"beam.polarization_correction": False}
    need = np.average(of_one_wavelength(bare, quirks), axis=0, weights=WEIGHTS)
    got = picture(STILL.replace({**bare, "beam.spectrum": SPECTRUM}), quirks)
    assert_same(got, need)
    flat = dataclasses.replace(SPECTRUM, weights=None)
    assert_differs(picture(STILL.replace({**bare, "beam.spectrum": flat}), quirks), need, 0.05)


def test_one_wavelength_is_the_beams_own() -> None:
    one = nb.Spectrum(wavelengths_angstrom=(1.05,))
    beam = {"beam.wavelength_angstrom": 1.05}
    assert_same(
        picture(STILL.replace({**beam, "beam.spectrum": one})), picture(STILL.replace(beam)), 1e-16
    )


def listed(quirks: nb.Quirks) -> tuple[nb.Source, ...]:
    """Directions times wavelengths, which are innermost."""
    return tuple(
        nb.Source(
            source.position,
            weight * (1.0 if quirks.source_weights_ignored else source.weight),
            wavelength_m,
        )
        for source in DIRECTIONS
        for wavelength_m, weight in zip(SPECTRUM.wavelengths_m, WEIGHTS, strict=True)
    )


@for_each("quirks", [nb.Quirks(), off("source_weights_ignored"), NONE])
def test_a_list_of_directions_has_every_wavelength(quirks: nb.Quirks) -> None:
    """To the bit the image of the list that one would write; the order is that of its lines."""
    both = STILL.replace({"beam.sources": DIRECTIONS, "beam.spectrum": SPECTRUM})
    product = STILL.replace({"beam.sources": listed(quirks)})
    counting = dataclasses.replace(quirks, source_weights_ignored=False)
    assert np.array_equal(picture(both, quirks), picture(product, counting))
    sources = Plan(both, CONSTANT, quirks).sources()
    assert np.array_equal(sources, Plan(product, CONSTANT, counting).sources())
    assert sources[:, 4].tolist() == [*SPECTRUM.wavelengths_m] * 2


def test_a_divergence_has_every_wavelength() -> None:
    spread = {"beam.divergence_h_mrad": 40.0, "beam.divergence_h_steps": 2}
    bare = {"beam.polarization_correction": False}
    need = np.average(of_one_wavelength({**spread, **bare}, NONE), axis=0, weights=WEIGHTS)
    both = STILL.replace({**spread, **bare, "beam.spectrum": SPECTRUM})
    assert_same(picture(both, NONE), need)
    sources = Plan(both, CONSTANT, NONE).sources()
    assert sources[:, 4].tolist() == [*SPECTRUM.wavelengths_m] * 2
    assert (sources[:3, :3] == sources[0, :3]).all()
    assert (sources[3:, :3] != sources[0, :3]).any()


# Domains


@for_each("shape", ["square", "round", "gauss", "tophat"])
def test_domains_are_the_weighted_mean_of_single_ones(shape: str) -> None:
    scan = {"goniometer.osc_deg": 2.0, "goniometer.phi_steps": 2, "goniometer.phi_deg": 1.0}
    crystal = STILL.replace({**scan, "crystal.shape": shape})
    alone = [
        picture(crystal.replace({"crystal.mosaic_rotations": nb.Rotations(matrix[None])}))
        for matrix in TURNS.matrices
    ]
    got = picture(crystal.replace({"crystal.mosaic_rotations": TURNS}))
    assert_same(got, np.average(alone, axis=0, weights=TURNS.weights))


def test_domains_turn_the_crystal_as_a_missetting_does() -> None:
    """About one axis of the laboratory, after all else: the same as another phi about it."""
    axis = {"detector.convention": "custom", "goniometer.spindle_axis": (0.0, 0.0, 1.0)}
    turned = picture(STILL.replace({**axis, "goniometer.phi_deg": 7.0}))
    rotation = nb.Rotations.from_vectors([(0.0, 0.0, 7.0)])
    assert_same(picture(STILL.replace({**axis, "crystal.mosaic_rotations": rotation})), turned)


def test_the_drawn_domains_given_back_are_the_same_to_the_bit() -> None:
    drawn = STILL.replace({"crystal.mosaic_spread_deg": 1.5, "crystal.mosaic_domains": 6})
    matrices = Plan(drawn, CONSTANT, nb.Quirks()).mosaic_matrices().reshape(-1, 3, 3)
    given = STILL.replace({"crystal.mosaic_rotations": nb.Rotations(matrices)})
    assert np.array_equal(picture(given), picture(drawn))


def test_resolved_keeps_both() -> None:
    both = STILL.replace({"beam.spectrum": SPECTRUM, "crystal.mosaic_rotations": TURNS})
    chosen = both.resolved()
    assert chosen.beam.spectrum == SPECTRUM
    assert chosen.crystal.mosaic_rotations == TURNS
    assert chosen.crystal.mosaic_domains is None
    assert np.array_equal(picture(chosen), picture(both))
