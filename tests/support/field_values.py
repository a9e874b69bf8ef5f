"""What every field of the configuration does to an image: values, and where they matter.

`FIELDS` has for every field the cases that tests/agreement/test_every_field.py walks through, and
`QUIRKS` the same for the quirks.  A new field, choice or quirk fails there by its name until it has
a row here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

import nanobragg_hybrid as nb
from nanobragg_hybrid.model.conventions import SHAPES

BASE = nb.Experiment(
    beam=nb.Beam(polarization_kahn=0.7, fluence_photons_per_m2=4e29),
    crystal=nb.Crystal(cell_angstrom=(25, 30, 35), n_cells=(3, 4, 5), misset_deg=(10, 25, 30)),
    detector=nb.Detector(n_fast=12, n_slow=10, pixel_size_mm=2.0),
    sampling=nb.Sampling(oversample=1, interpolate=False),
    output=nb.Output(noise_seed=5),
)
"""Small and quick; h, k and l stay between -5 and 5."""

FACTORS = nb.StructureFactors.from_grid(
    np.random.default_rng(0).uniform(10, 100, (17, 17, 17)), (-8, -8, -8), 20.0
)

CLOCK_S = 1.7e9
"""The time that seeds are taken from where they are None."""


class Case(NamedTuple):
    """Values of one field, each of which gives another image.

    given: what else differs from `BASE`, by dotted path.  same: why, on the contrary, all values
    give the same image (with the section of docs/model.md, or the quirk that is the reason); empty:
    they do not.  quirks: as `Quirks.parse` reads them.  pictures: what changes instead of the
    image: "integer", "pgm", "noise".
    """

    values: tuple[Any, ...]
    given: Mapping[str, Any] = {}
    same: str = ""
    quirks: str = "nanobragg"
    pictures: tuple[str, ...] = ()


PANEL = nb.Panel("a", (100, 10, -12), (0, 0, 1), (0, -1, 0), 12, 10, 2.0)
CUSTOM = {"detector.convention": "custom"}
XDS = {"detector.convention": "xds"}
TURNED = {"detector.rotation_deg": (5.0, 3.0, -12.0), "detector.twotheta_deg": 7.0}
SENSOR = {
    "detector.sensor_thickness_um": 450.0,
    "detector.sensor_attenuation_depth_um": 200.0,
    "detector.sensor_layers": 3,
}
SCAN = {"goniometer.phi_deg": 5.0, "goniometer.osc_deg": 3.0, "goniometer.phi_steps": 3}
MOSAIC = {"crystal.mosaic_spread_deg": 2.0, "crystal.mosaic_domains": 3}
FLUX = {"beam.flux_photons_per_s": 3e21, "beam.exposure_s": 0.5}
RANDOM = {"crystal.misset_random": True, "crystal.misset_seed": 3}
SOURCES = (
    nb.Source((-10.0, 0.5, 0.1), 0.5, 1.0e-10),
    nb.Source((-10.0, -1.5, 0.7), 3.0, 1.05e-10),
)
LISTED = {"beam.sources": SOURCES}
DIRECTIONS = {
    "beam.sources": tuple(nb.Source(each.position, each.weight) for each in SOURCES),
}
LENGTHS = (0.98, 1.0, 1.03)
SPECTRA = (
    nb.Spectrum(wavelengths_angstrom=LENGTHS),
    nb.Spectrum(wavelengths_angstrom=LENGTHS, weights=(1.0, 5.0, 0.0)),
    nb.Spectrum(wavelengths_angstrom=LENGTHS, weights=(0.5, 1.0, 2.0)),
    nb.Spectrum(energies_ev=(12398.42, 12500.0), weights=(0.5, 1.0)),
)
TURNS = ((1.0, 2.0, 0.0), (0.0, 0.0, 0.0), (-1.0, 0.5, 2.0))
"""Degrees."""
ROTATIONS = (
    nb.Rotations.from_vectors(TURNS),
    nb.Rotations.from_vectors(TURNS, (1.0, 0.2, 3.0)),
    nb.Rotations.from_vectors(TURNS, (0.0, 1.0, 1.0)),
    nb.Rotations.from_vectors(TURNS).scaled(1.5),
    nb.Rotations.from_vectors(TURNS[:1]),
)
BLURRED = {"crystal.n_cells": (3.0, 3.0, 3.0), "sampling.oversample": 3}
"""Reflections so wide, and looked at so often, that every shape is seen."""
MATRIX = (0.033, -0.006, 0.007, 0.004, 0.031, -0.005, -0.009, 0.005, 0.027)
NEARLY_THE_CELL_OF_THE_MATRIX = {
    "crystal.cell_angstrom": (29.0, 31.6, 35.5),
    "crystal.cell_deg": (86.0, 88.0, 84.0),
}
"""Within 1 %, and a degree."""

NO_SWITCH = "nanobragg,-custom_convention_switch"
ALL_CENTRES = "nanobragg,-near_point_ignored"

_AT_LEAST_TWO = "a range has at least two points, and two where their number is not given (5.1)"
_PIVOT = "quirk pivot_flag_ignored"
_NEAR_POINT = "quirk near_point_ignored"
_PIX0 = "quirk pix0_ignored"
_NO_CELL = "there is no cell, but a matrix (4.2)"
_NO_RANGE = "there is nothing to take steps in (5.1)"


def moved(vector: tuple[float, ...], by: float) -> tuple[tuple[float, ...], ...]:
    """A vector, and it with each of its components changed."""
    return (
        vector,
        *(
            tuple(x + by * (n == changed) for n, x in enumerate(vector))
            for changed in range(len(vector))
        ),
    )


def _divergence(axis: str) -> dict[str, tuple[Case, ...]]:
    span, steps, step = (
        f"beam.divergence_{axis}_{name}" for name in ("mrad", "steps", "step_mrad")
    )
    return {
        span: (
            Case((None, 0.0, 40.0, 60.0), {steps: 3}),
            Case((None, 50.0), {}),
            Case((None, 0.0), {}, "one direction either way (5.1)"),
            Case((None, 40.0, 60.0), LISTED, "the sources are listed (5.2)"),
        ),
        steps: (
            Case((2, 3, 4), {span: 60.0}),
            Case((None, 1, 2), {span: 60.0}, _AT_LEAST_TWO),
            Case((1, 5), {span: 0.0}, _NO_RANGE),
        ),
        step: (
            Case((None, 20.0, 25.0), {span: 60.0, steps: 3}),
            Case((None, 25.0), {}),
            Case((None, 25.0), {span: 0.0}, _NO_RANGE),
        ),
    }


def _detector_centre(axis: str) -> dict[str, tuple[Case, ...]]:
    """Along x or y."""
    beam, close = f"detector.beam_{axis}_mm", f"detector.close_{axis}_mm"
    origin = f"detector.org_{axis}_px"
    return {
        beam: (
            Case((None, 5.0, 7.0)),
            Case((None, 5.0, 7.0), CUSTOM),
            Case((None, 5.0, 7.0), XDS, _NEAR_POINT),
            Case((None, 5.0, 7.0), XDS, quirks=ALL_CENTRES),
        ),
        close: (
            Case((None, 5.0, 7.0), {**CUSTOM, "detector.pivot": "sample"}),
            Case((None, 5.0, 7.0), {}, _NEAR_POINT),
            Case((None, 5.0, 7.0), XDS, _NEAR_POINT),
            Case((None, 5.0, 7.0), quirks=ALL_CENTRES),
            Case((None, 5.0, 7.0), XDS, quirks=ALL_CENTRES),
        ),
        origin: (
            Case((None, 3.0, 4.5), XDS),
            Case((None, 3.0, 4.5), {**CUSTOM, "detector.pivot": "sample"}),
            Case((None, 3.0, 4.5), {}, _NEAR_POINT),
            Case((None, 3.0, 4.5), quirks=ALL_CENTRES),
        ),
    }


def _detector_size(axis: str) -> dict[str, tuple[Case, ...]]:
    """fast or slow; with 24.6 mm the centre is another one, and not the number of pixels."""
    count, size = f"detector.n_{axis}", f"detector.size_{axis}_mm"
    return {
        count: (Case((None, 10, 11), {size: 24.0}),),
        size: (
            Case((24.0, 24.6, 26.0), {count: None}),
            Case((24.0, 30.0), {}, "the number of pixels is given (2)"),
        ),
    }


FIELDS: Mapping[str, tuple[Case, ...]] = {
    # ---- of every source in beam.sources: the first of SOURCES
    "source.position": (
        Case((*moved((-10.0, 0.5, 0.1), 0.6), (None, None, None))),
        Case(((-10.0, 0.5, 0.1), (-20.0, 1.0, 0.2)), {}, "only the direction counts (5.2)"),
        Case(((-10.0, 0.0, 0.1), (None, None, 0.1)), {}, "upstream at ten metres (5.2)"),
    ),
    "source.weight": (
        Case((0.5, 1.0), {}, "quirk source_weights_ignored"),
        Case((0.5, 1.0, 0.0), quirks="nanobragg,-source_weights_ignored"),
    ),
    "source.wavelength_m": (Case((None, 0.98e-10, 1.03e-10)),),
    # ---- beam
    "beam.wavelength_angstrom": (Case((1.0, 1.02)),),
    "beam.direction": (
        Case((None, (1.0, 0.05, 0.0), (1.0, 0.0, 0.05), (2.0, 0.0, 0.05)), CUSTOM),
        Case((None, (1.0, 0.05, 0.0), (1.0, 0.0, 0.05)), quirks=NO_SWITCH),
    ),
    "beam.polarization_axis": (
        Case((None, (0.0, 1.0, 1.0), (0.0, -1.0, 1.0)), CUSTOM),
        Case((None, (0.0, 1.0, 1.0), (0.0, -1.0, 1.0)), quirks=NO_SWITCH),
        Case(
            (None, (0.0, 1.0, 1.0)),
            {**CUSTOM, "beam.polarization_kahn": 0.0},
            "the beam is not polarized (6.6)",
        ),
    ),
    "beam.polarization_kahn": (
        Case((0.0, 0.7, -0.7)),
        Case((0.0, 0.7), {"beam.polarization_correction": False}, "there is no correction"),
    ),
    "beam.polarization_correction": (Case((True, False)),),
    **_divergence("h"),
    **_divergence("v"),
    "beam.divergence_shape": (
        Case(
            ("round", "square"),
            {
                "beam.divergence_h_mrad": 60.0,
                "beam.divergence_v_mrad": 40.0,
                "beam.divergence_h_steps": 3,
                "beam.divergence_v_steps": 3,
            },
        ),
        Case(
            ("round", "square"),
            {"beam.divergence_h_mrad": 60.0, "beam.divergence_h_steps": 3},
            "a line of directions has no corners (5.2)",
        ),
    ),
    "beam.dispersion_percent": (
        Case((None, 0.0, 2.0, 4.0), {"beam.dispersion_steps": 3}),
        Case((0.0, 4.0)),
    ),
    "beam.dispersion_steps": (
        Case((2, 3, 5), {"beam.dispersion_percent": 4.0}),
        Case((None, 1, 2), {"beam.dispersion_percent": 4.0}, _AT_LEAST_TWO),
        Case((None, 3), {}, _NO_RANGE),
    ),
    "beam.sources": (Case((None, SOURCES[:1], SOURCES, SOURCES[::-1])),),
    "beam.spectrum": (
        Case((None, *SPECTRA)),
        Case((None, *SPECTRA), DIRECTIONS),
        Case((None, *SPECTRA), DIRECTIONS, quirks="none"),
        Case((None, *SPECTRA), {"beam.divergence_h_mrad": 60.0, "beam.divergence_h_steps": 3}),
        Case(
            (SPECTRA[2], nb.Spectrum(wavelengths_angstrom=LENGTHS, weights=(1.0, 2.0, 4.0))),
            {},
            "weights are relative (5.2)",
        ),
    ),
    "beam.fluence_photons_per_m2": (
        Case((4e29, 5e29, 0.0)),
        Case((4e29, 5e29), FLUX, "it follows from flux, exposure and beam size (2)"),
    ),
    "beam.flux_photons_per_s": (
        Case((0.0, 3e21, 5e21)),
        Case((0.0, 3e21), {"beam.exposure_s": 0.0}, "there is no exposure (2)"),
    ),
    "beam.exposure_s": (
        Case((1.0, 0.5, 0.0), {"beam.flux_photons_per_s": 3e21}),
        Case((1.0, 0.5), {}, "there is no flux (2)"),
    ),
    "beam.beam_size_mm": (
        Case((0.1, 0.2, -1.0), FLUX),
        Case((0.1, 2.2e-5), {"crystal.size_mm": (None, 3.5e-5, None)}),
        Case((0.1, 2.2e-5), {"crystal.size_mm": (None, None, 3.5e-5)}),
        Case((0.1, 1e-5), {"crystal.size_mm": (3.5e-5, None, None)}, "x is never clipped (2)"),
        Case((0.1, 0.2), {}, "there is neither a flux nor a size of the crystal (2)"),
    ),
    # ---- crystal
    "crystal.cell_angstrom": (
        Case(moved((25.0, 30.0, 35.0), 1.5)),
        Case((None, *moved((25.0, 30.0, 35.0), 1.5)), {"crystal.orientation_matrix": MATRIX}),
    ),
    "crystal.cell_deg": (
        Case(moved((90.0, 90.0, 90.0), 4.0)),
        Case(moved((80.0, 95.0, 100.0), 4.0)),
        Case(moved((80.0, 95.0, 100.0), 4.0), quirks="nanobragg,-triclinic_cell"),
        Case(
            ((90.0, 90.0, 90.0), (80.0, 95.0, 100.0)),
            {"crystal.cell_angstrom": None, "crystal.orientation_matrix": MATRIX},
            _NO_CELL,
        ),
    ),
    "crystal.orientation_matrix": (
        Case(moved(MATRIX, 0.002), {"crystal.cell_angstrom": None}),
        Case((None, *moved(MATRIX, 0.002))),
    ),
    "crystal.misset_deg": (
        Case(moved((0.0, 0.0, 0.0), 4.0)),
        Case(moved((10.0, 25.0, 30.0), 4.0)),
        Case(((0.0, 0.0, 0.0), (10.0, 25.0, 30.0)), RANDOM, "random missetting replaces it (4.3)"),
    ),
    "crystal.misset_random": (Case((False, True), {"crystal.misset_seed": 3}),),
    "crystal.misset_seed": (
        Case((None, 3, 4), {"crystal.misset_random": True}),
        Case((None, 3, 4), {}, "the missetting is given (4.3)"),
    ),
    "crystal.n_cells": (
        Case((*moved((3.0, 4.0, 5.0), 1.0), (3.5, 4.0, 5.0))),
        Case(((1.0, 4.0, 5.0), (0.25, 4.0, 5.0)), {}, "at least one cell (4.5)"),
        Case(
            ((3.0, 4.0, 5.0), (30.0, 4.0, 5.0)),
            {"crystal.size_mm": (1e-5, None, None)},
            "it follows from the size (4.5)",
        ),
    ),
    "crystal.size_mm": (
        Case(
            (
                (None, None, None),
                (1.7e-5, None, None),
                (None, 1.7e-5, None),
                (None, None, 2.3e-5),
                (2.3e-5, 2.3e-5, 2.3e-5),
            )
        ),
    ),
    "crystal.shape": (
        Case(SHAPES, BLURRED),
        Case(SHAPES, {**MOSAIC, **SCAN}),
    ),
    "crystal.shape_fudge": (
        *(
            Case((1.0, 1.7, 0.6), {**BLURRED, "crystal.shape": shape})
            for shape in SHAPES
            if shape != "square"
        ),
        Case((1.0, 1.7, 0.6), {}, "the square shape has none (6.5)"),
    ),
    "crystal.mosaic_spread_deg": (
        Case((None, 1.0, 2.0), {"crystal.mosaic_domains": 3}),
        Case((None, 2.0)),
        Case((None, 0.0), {"crystal.mosaic_domains": 3}, "there is no mosaicity (5.1)"),
    ),
    "crystal.mosaic_domains": (
        Case((1, 2, 3, 10), {"crystal.mosaic_spread_deg": 2.0}),
        Case((None, 10), {"crystal.mosaic_spread_deg": 2.0}, "ten where it is not given (5.1)"),
        Case((None, 1, 4), {}, "there is no mosaicity (5.1)"),
    ),
    "crystal.mosaic_seed": (
        Case((1, 2, 12345678), MOSAIC),
        Case((1, 2), {}, "there is no mosaicity (5.1)"),
    ),
    "crystal.water_um": (Case((0.0, 0.005, 0.007)),),
    "crystal.mosaic_rotations": (
        Case((None, *ROTATIONS)),
        Case((None, *ROTATIONS), {**SCAN, "crystal.shape": "gauss"}),
        Case((None, *ROTATIONS), {**BLURRED, "crystal.shape": "tophat"}),
        Case((None, *ROTATIONS), {**BLURRED, "crystal.shape": "round"}),
        Case((None, *ROTATIONS), {"beam.spectrum": SPECTRA[1]}, quirks="none"),
        Case((None, *ROTATIONS), {"sampling.interpolate": True, "sampling.oversample_omega": True}),
        Case(
            (ROTATIONS[0], nb.Rotations.from_vectors(TURNS, (2.0, 2.0, 2.0))),
            {},
            "weights are relative (5.3)",
        ),
    ),
    # ---- goniometer
    "goniometer.spindle_axis": (
        Case((None, (0.0, 1.0, 1.0), (0.5, 0.0, 1.0)), {**CUSTOM, "goniometer.phi_deg": 20.0}),
        Case((None, (0.0, 1.0, 1.0), (0.5, 0.0, 1.0)), SCAN, quirks=NO_SWITCH),
        Case((None, (0.0, 1.0, 1.0)), CUSTOM, "nothing is turned (5.3)"),
    ),
    "goniometer.phi_deg": (Case((0.0, 10.0, -10.0)), Case((0.0, 10.0), SCAN)),
    "goniometer.osc_deg": (
        Case((None, 0.0, 3.0, 5.0), {"goniometer.phi_steps": 3, "goniometer.phi_deg": 5.0}),
        Case((None, 3.0, 5.0), {"goniometer.phi_deg": 5.0}),
    ),
    "goniometer.phi_steps": (
        Case((1, 2, 3), {"goniometer.osc_deg": 5.0, "goniometer.phi_deg": 5.0}),
        Case(
            (None, 2),
            {"goniometer.osc_deg": 5.0, "goniometer.phi_deg": 5.0},
            "two where it is not given (5.1)",
        ),
    ),
    "goniometer.phi_step_deg": (
        Case((None, 0.0, 2.0, 3.0), SCAN),
        Case((None, 2.0), {"goniometer.phi_deg": 5.0}),
    ),
    # ---- detector
    "detector.convention": (
        Case(("mosflm", "xds", "adxv", "denzo", "dials", "custom")),
        Case(("mosflm", "xds", "adxv", "denzo", "dials", "custom"), {**TURNED, **SCAN}),
        Case(("mosflm", "xds", "adxv", "denzo", "dials", "custom"), TURNED, quirks="none"),
    ),
    "detector.pivot": (
        Case(("beam", "sample"), {**CUSTOM, **TURNED}),
        Case((None, "beam", "sample"), TURNED, _PIVOT),
        Case((None, "beam", "sample"), {**XDS, **TURNED}, _PIVOT),
        Case(("beam", "sample"), TURNED, quirks="nanobragg,-pivot_flag_ignored"),
        Case(("beam", "sample"), {**XDS, **TURNED}, quirks="nanobragg,-pivot_flag_ignored"),
        Case((None, "beam"), TURNED, "the convention's", "nanobragg,-pivot_flag_ignored"),
        Case(
            (None, "sample"), {**XDS, **TURNED}, "the convention's", "nanobragg,-pivot_flag_ignored"
        ),
    ),
    "detector.fast_axis": (
        Case((None, (0.0, 0.1, 1.0), (0.1, 0.0, 1.0)), CUSTOM),
        Case((None, (0.0, 0.1, 1.0), (0.1, 0.0, 1.0)), quirks=NO_SWITCH),
    ),
    "detector.slow_axis": (
        Case((None, (0.0, -1.0, 0.1), (0.1, -1.0, 0.0)), CUSTOM),
        Case((None, (0.0, -1.0, 0.1), (0.1, -1.0, 0.0)), quirks=NO_SWITCH),
    ),
    "detector.normal_axis": (
        Case((None, (0.96, 0.28, 0.0), (0.96, 0.0, 0.28)), CUSTOM),
        Case((None, (0.96, 0.28, 0.0), (0.96, 0.0, 0.28)), quirks=NO_SWITCH),
        Case(
            (None, (0.0, 0.0, 0.0), (2.0, 1.0, 0.0)),
            CUSTOM,
            "f x s replaces one that is not of length 1 (3)",
        ),
    ),
    "detector.twotheta_axis": (
        Case(
            (None, (0.0, 0.0, 1.0), (0.0, 0.6, 0.8), (0.0, 0.0, 2.0)),
            {**CUSTOM, "detector.twotheta_deg": 7.0},
        ),
        Case((None, (0.0, 1.0, 0.0)), {"detector.twotheta_deg": 7.0}, quirks=NO_SWITCH),
        Case((None, (0.0, 0.0, 1.0)), CUSTOM, "nothing is turned (3)"),
    ),
    "detector.pix0_m": (
        Case((None, (0.1, 0.012, -0.009), (0.09, 0.012, -0.009)), CUSTOM, _PIX0),
        Case(((0.1, 0.012, -0.009), (0.09, 0.012, -0.009)), TURNED, _PIX0),
        Case((None, (0.1, 0.012, -0.009)), XDS),  # it selects the custom convention
        Case((None, *moved((0.1, 0.012, -0.009), 0.005)), CUSTOM, quirks="nanobragg,-pix0_ignored"),
        Case((None, *moved((0.1, 0.012, -0.009), 0.005)), TURNED, quirks="none"),
    ),
    "detector.distance_mm": (
        Case((100.0, 90.0, 110.0)),
        Case((100.0, 90.0), {"detector.close_distance_mm": 95.0}, "the close one replaces it (3)"),
    ),
    "detector.close_distance_mm": (Case((None, 90.0, 80.0)), Case((None, 90.0, 80.0), TURNED)),
    "detector.pixel_size_mm": (Case((2.0, 1.9, 2.1, (2.0, 1.9), (1.9, 2.0))),),
    **_detector_size("fast"),
    **_detector_size("slow"),
    **_detector_centre("x"),
    **_detector_centre("y"),
    "detector.rotation_deg": (
        Case(moved((0.0, 0.0, 0.0), 5.0)),
        Case(moved((5.0, 3.0, -12.0), 5.0), XDS),
    ),
    "detector.twotheta_deg": (Case((0.0, 7.0, -7.0)), Case((0.0, 7.0, -7.0), XDS)),
    "detector.curved": (Case((False, True)), Case((False, True), XDS)),
    "detector.point_pixel": (Case((False, True), TURNED),),
    "detector.sensor_thickness_um": (Case((None, 0.0, 300.0, 450.0), SENSOR),),
    "detector.sensor_attenuation_depth_um": (
        Case((None, 200.0, 300.0), SENSOR),
        Case((None, 200.0), {}, "there is no sensor (6.2)"),
    ),
    "detector.sensor_layers": (
        Case((None, 2, 3, 4), SENSOR),
        Case((1, 2), SENSOR, "at least two layers (5.1)"),
        Case((1, 2, 3), SENSOR, quirks="nanobragg,-thick_last_layer,-layer_overshoot"),
        Case((None, 1, 4), {}, "there is no sensor (5.1)"),
    ),
    "detector.mask": (
        Case(
            (
                None,
                nb.Mask(np.arange(120).reshape(10, 12) % 5 > 0),
                nb.Mask(np.arange(120).reshape(10, 12) % 7 > 0),
            )
        ),
        Case((None, nb.Mask(np.ones((10, 12), bool))), {}, "no pixel is left out (6)"),
    ),
    "detector.panels": (
        Case(
            (
                (PANEL,),
                (PANEL.moved((0.7, 0.0)),),
                (PANEL.moved((0.0, 0.7)),),
                (PANEL.moved(away_mm=5.0),),
                (PANEL.moved(rotation_deg=9.0),),
                (dataclasses.replace(PANEL, pixel_size_mm=1.9),),
                (dataclasses.replace(PANEL, pixel_size_mm=(2.0, 1.9)),),
                (dataclasses.replace(PANEL, sensor_thickness_um=450.0),),
                (dataclasses.replace(PANEL, roi=(0, 8, None, None)),),
                (dataclasses.replace(PANEL, mask=nb.Mask(np.eye(10, 12) == 0)),),
            ),
            {"detector": nb.Detector()},
        ),
        Case(
            ((PANEL,), (dataclasses.replace(PANEL, trusted_range=(0, 9), name="b"),)),
            {"detector": nb.Detector()},
            "they are not about the image (3.1)",
        ),
    ),
    # ---- sampling
    "sampling.oversample": (Case((None, 1, 2, 3), {"detector.pixel_size_mm": 0.7}),),
    "sampling.oversample_thick": (Case((False, True), {**SENSOR, "sampling.oversample": 2}),),
    "sampling.oversample_polar": (
        Case((False, True), {"sampling.oversample": 2}),
        Case((False, True), LISTED, quirks="nanobragg-fixed"),
    ),
    "sampling.oversample_omega": (
        Case((False, True), {"sampling.oversample": 2}),
        Case(
            (False, True),
            {"sampling.oversample": 2, "detector.distance_mm": 20.0},
            quirks="nanobragg-fixed",
        ),
    ),
    "sampling.interpolate": (
        Case((False, True)),
        Case((None, False), {}, "off with more than two cells (5.1)"),
        Case((None, True), {"crystal.n_cells": (3.0, 2.0, 5.0)}, "on with two cells or less (5.1)"),
    ),
    "sampling.roi": (
        Case((None, (2, None, None, None), (None, 9, None, None))),
        Case((None, (None, None, 3, None), (None, None, None, 7), (2, 9, 3, 7), (9, 2, 3, 7))),
        Case((None, (None,) * 4, (-1, -1, -1, -1), (0, 11, 0, 9)), {}, "all of the detector (3)"),
    ),
    "sampling.dmin_angstrom": (Case((0.0, 8.0, 12.0)),),
    # ---- output: the rendered image stays the same
    "output.adc_offset": (Case((40.0, 0.0, 10.0), {}, pictures=("integer", "noise")),),
    "output.intensity_scale": (Case((None, 1.0, 2.0), {}, pictures=("integer",)),),
    "output.pgm_scale": (Case((None, 1.0, 2.0), {}, pictures=("pgm",)),),
    "output.noise_seed": (Case((None, 5, 6), {}, pictures=("noise",)),),
}


class QuirkCase(NamedTuple):
    """An experiment of which a quirk changes the image.

    given: what differs from `BASE`.  same: why, on the contrary, it changes none; empty: it does.
    refused: the field that an error names with the quirk off; empty: there is an image.
    """

    given: Mapping[str, Any] = {}
    same: str = ""
    refused: str = ""


_BEFORE = "it acts where words or files are read"

QUIRKS: Mapping[str, QuirkCase] = {
    "phi_carryover": QuirkCase({**SCAN, "goniometer.phi_deg": 0.0}),
    "oversample_running_product": QuirkCase(
        {"sampling.oversample_polar": True, "sampling.oversample": 2}
    ),
    "thick_last_layer": QuirkCase(SENSOR),
    "polar_first_source": QuirkCase(LISTED),
    "interpolation_latch": QuirkCase(
        {"sampling.interpolate": True, "crystal.cell_angstrom": (50.0, 60.0, 70.0)}
    ),
    "water_background": QuirkCase({"crystal.water_um": 0.005}),
    "layer_overshoot": QuirkCase(SENSOR),
    "curved_detector_axes": QuirkCase({"detector.curved": True, **XDS}),
    "source_weights_ignored": QuirkCase(LISTED),
    "triclinic_cell": QuirkCase({"crystal.cell_deg": (75.0, 85.0, 95.0)}),
    "misset_random_radians": QuirkCase(RANDOM),
    "misset_seed_default": QuirkCase({"crystal.misset_random": True}),
    "custom_convention_switch": QuirkCase({**XDS, "detector.twotheta_axis": (0.0, 1.0, 0.0)}),
    "pivot_flag_ignored": QuirkCase({**TURNED, "detector.pivot": "sample"}),
    "pix0_ignored": QuirkCase({"detector.pix0_m": (0.09, 0.012, -0.009)}),
    "near_point_ignored": QuirkCase({**XDS, "detector.beam_x_mm": 7.0}),
    "cli_substring": QuirkCase(same=_BEFORE),
    "smv_header_search": QuirkCase(same=_BEFORE),
    "hkl_stream": QuirkCase(same=_BEFORE),
    "source_file_comments": QuirkCase(same=_BEFORE),
    "fdump_whitespace": QuirkCase(same=_BEFORE),
    "solid_angle_over_steps": QuirkCase(SCAN, "it acts on a reported figure"),
    "rmsd_counts_masked": QuirkCase(SCAN, "it acts on a reported figure"),
    "curved_needs_argument": QuirkCase({"detector.curved": True}, _BEFORE),
    "phi_left_edge": QuirkCase(SCAN),
    "header_overflow": QuirkCase(same="it acts where a header is written"),
    "ratio_before_twotheta": QuirkCase({"detector.curved": True, **TURNED, **XDS}),
    "normal_towards_source": QuirkCase({"detector.normal_axis": (-1.0, 0.0, 0.0)}),
    "curved_flat_factors": QuirkCase({"detector.curved": True, **SENSOR, **TURNED}),
    "twotheta_axis_length": QuirkCase(
        {"detector.twotheta_axis": (0.0, 0.0, -2.0), "detector.twotheta_deg": 7.0}
    ),
    "point_pixel_area": QuirkCase({"detector.point_pixel": True}),
    "distance_beside_close": QuirkCase(
        {"detector.distance_mm": 110.0, "detector.close_distance_mm": 110.0},
        "it acts where words are read; two that differ are an error of an experiment",
    ),
    "header_geometry": QuirkCase(same="it acts where a header is written or read"),
    "first_deviate": QuirkCase(RANDOM),
    "no_sensor_is_black": QuirkCase({"sampling.oversample_thick": True}),
    "first_subpixel_factors": QuirkCase({"sampling.oversample": 2}),
    "polarization_unchecked": QuirkCase(
        {"beam.polarization_kahn": 1.5}, refused="beam.polarization_kahn"
    ),
    "nopolar_undone": QuirkCase(
        {"beam.polarization_correction": False, "sampling.oversample_polar": True}
    ),
    "beam_clips_y_and_z": QuirkCase(
        {**XDS, "crystal.size_mm": (1e-5, 1e-5, 3.5e-5), "beam.beam_size_mm": 1.5e-5}
    ),
    "impossible_cell": QuirkCase({"crystal.cell_deg": (60, 60, 150)}, refused="crystal.cell_deg"),
    "impossible_sources": QuirkCase(
        {"beam.sources": (*SOURCES, nb.Source((1.0, 0.2, 0.1)))}, refused="beam.sources"
    ),
    "cell_beside_matrix": QuirkCase(
        {"crystal.orientation_matrix": MATRIX, **NEARLY_THE_CELL_OF_THE_MATRIX}
    ),
    "step_and_count": QuirkCase(
        {"goniometer.phi_deg": 5.0, "goniometer.phi_step_deg": 1.0, "goniometer.phi_steps": 4}
    ),
    "count_alone": QuirkCase(
        {"goniometer.phi_deg": 5.0, "goniometer.phi_steps": 3}, refused="goniometer.phi_steps"
    ),
    "missing_last_source": QuirkCase(
        {"beam.divergence_h_mrad": 60.0, "beam.divergence_h_step_mrad": 20.0}
    ),
    "osc_overshoot": QuirkCase(
        {"goniometer.phi_deg": 5.0, "goniometer.osc_deg": 3.0, "goniometer.phi_step_deg": 2.0}
    ),
}
