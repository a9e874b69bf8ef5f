"""Experiment -> words -> the same experiment."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import INPUTS, table

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.emit import emit_args
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.engines.c.plan import Plan

CELL = {"crystal.cell_angstrom": (70.0, 80.0, 90.0), "crystal.cell_deg": (75.0, 85.0, 95.0)}
F1 = nb.StructureFactors.constant(1.0)
MASK = nb.Mask(np.arange(12).reshape(3, 4) % 5 > 0)

# Changes to the default experiment that come back as they are.
SAME: list[dict[str, Any]] = [
    {},
    CELL,
    CELL | {"crystal.n_cells": (5.0, 1.0, 300.0), "crystal.misset_deg": (1e-7, -2.0, 1 / 3)},
    {"crystal.misset_seed": 12, "goniometer.phi_deg": 3.0},
    {"crystal.misset_seed": -(2**31) + 1, "crystal.misset_random": True, "beam.exposure_s": 2.0},
    {"crystal.misset_random": True},
    {"crystal.size_mm": (0.1, None, 3e-5), "crystal.shape": "round", "crystal.shape_fudge": 1e-4},
    {"crystal.shape": "gauss"},
    {"crystal.shape": "tophat"},
    {"crystal.shape": "gauss_hkl"},
    {"crystal.shape": "tophat_hkl"},
    {"crystal.mosaic_spread_deg": 0.0, "crystal.mosaic_domains": 5, "crystal.mosaic_seed": -3},
    {"crystal.mosaic_spread_deg": 0.3, "crystal.water_um": 12.5},
    {"crystal.orientation_matrix": tuple(math.sin(n) for n in range(1, 10))},
    {"beam.wavelength_angstrom": 0.1 + 0.2, "beam.polarization_kahn": -0.7},
    {"beam.polarization_kahn": 0.5, "beam.polarization_correction": False},
    {
        "beam.divergence_h_mrad": 0.0,
        "beam.divergence_v_mrad": 2.0,
        "beam.divergence_h_steps": 3,
        "beam.divergence_v_steps": 4,
        "beam.divergence_h_step_mrad": 0.1,
        "beam.divergence_v_step_mrad": 0.2,
        "beam.divergence_shape": "square",
    },
    {"beam.dispersion_percent": None, "beam.dispersion_steps": 2},
    {"beam.dispersion_percent": 1.5},
    {
        "beam.fluence_photons_per_m2": 0.0,
        "beam.flux_photons_per_s": -1e12,
        "beam.beam_size_mm": -1.0,
    },
    {"beam.sources": (nb.Source((-10.0, 0.1, 0.2), 0.3, 1e-10), nb.Source((-1.0, 0.0, 0.0)))},
    {"beam.sources": (nb.Source((-10.0, 0.1, None)), nb.Source((-10.0, 0.0, 0.0), 2.0, 0.0))},
    {
        "goniometer.phi_deg": -1e-300,
        "goniometer.osc_deg": 0.0,
        "goniometer.phi_steps": 7,
        "goniometer.phi_step_deg": 0.0,
    },
    {"detector.pivot": "sample"},
    {"detector.distance_mm": 231.27466, "detector.pivot": "sample", "detector.twotheta_deg": 7.0},
    {
        "detector.convention": "xds",
        "detector.pivot": "beam",
        "detector.close_distance_mm": -5.0,
        "detector.beam_x_mm": 0.0,
        "detector.beam_y_mm": -11.5,
        "detector.close_x_mm": 1.5,
        "detector.close_y_mm": 2.5,
        "detector.org_x_px": 3.5,
        "detector.org_y_px": 4.5,
    },
    {"detector.convention": "adxv", "detector.pivot": "beam"},
    {"detector.convention": "denzo", "detector.pivot": "sample"},
    {"detector.convention": "dials", "detector.pivot": "sample"},
    {
        "detector.pivot": "beam",
        "detector.fast_axis": (0.9998, -0.01, 0.017),
        "detector.slow_axis": (-0.01, -0.9999, 0.002),
        "detector.normal_axis": (0.0, 0.0, 0.0),
        "detector.twotheta_axis": (0.25, 0.0, -1.0),
        "detector.pix0_m": (0.1, 1 / 3, -0.3),
        "beam.direction": (0.0, 0.0, -1.0),
        "beam.polarization_axis": (0.0, 1.0, 0.0),
        "goniometer.spindle_axis": (-1.0, 0.0, 0.0),
    },
    {
        "detector.convention": "denzo",
        "detector.pivot": "beam",
        "detector.twotheta_axis": (0.25, 0.0, -1.0),
        "detector.twotheta_deg": 3.0,
    },
    {"detector.pixel_size_mm": 0.172, "detector.n_fast": 11, "detector.size_slow_mm": 10.0},
    {"detector.size_fast_mm": 30.0, "detector.n_slow": 8},
    {"detector.rotation_deg": (0.0, 3.0, -4.0), "detector.point_pixel": True},
    {"detector.curved": True},
    {"detector.curved": True, "output.noise_seed": 3},
    {"detector.sensor_thickness_um": 320.0, "detector.sensor_attenuation_depth_um": math.inf},
    {"detector.sensor_attenuation_depth_um": math.inf},
    {"detector.sensor_thickness_um": None, "detector.sensor_layers": 3},
    {"detector.sensor_thickness_um": 1e-3, "detector.sensor_attenuation_depth_um": 234.5},
    {"detector.mask": MASK, "detector.n_fast": 4, "detector.n_slow": 3},
    {"sampling.oversample": 3, "sampling.oversample_thick": True, "sampling.interpolate": True},
    {"sampling.oversample_polar": True, "sampling.interpolate": False},
    {"sampling.oversample_omega": True, "sampling.dmin_angstrom": 1.5},
    {"sampling.roi": (0, None, 5, 2)},
    {"sampling.roi": (3, 4, 5, None)},
    {"output.adc_offset": 0.0, "output.intensity_scale": 2.5, "output.pgm_scale": 1e-9},
    {"output.noise_seed": -(2**31)},
]

# Experiments that come back in another spelling of the same thing.
RESPELLED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"detector.distance_mm": 50.0}, {"detector.pivot": "beam"}),
    ({"detector.convention": "xds"}, {"detector.pivot": "sample"}),
    ({"detector.twotheta_deg": 5.0}, {"detector.pivot": "beam"}),
    (
        {"detector.convention": "custom"},
        {
            "detector.convention": "mosflm",
            "detector.fast_axis": (0.0, 0.0, 1.0),
            "detector.pivot": "beam",
        },
    ),
    (
        {"detector.convention": "custom", "beam.direction": (0.0, 0.0, -1.0)},
        {"detector.convention": "mosflm", "detector.pivot": "beam"},
    ),
    (
        {"detector.convention": "xds", "goniometer.spindle_axis": (1.0, 0.0, 0.0)},
        {"detector.pivot": "beam"},
    ),
    ({"sampling.roi": (None, -1, -4, 7)}, {"sampling.roi": (0, None, 0, 7)}),
    (
        {"crystal.misset_random": True, "crystal.misset_deg": (1.0, 2.0, 3.0)},
        {"crystal.misset_deg": (0.0, 0.0, 0.0)},
    ),
    ({"crystal.n_cells": (2.0, 1.0, 1.0)}, {}),
]


def again(experiment: nb.Experiment, folder: Path) -> nb.Experiment:
    """The experiment after a way through words."""
    return parse_command(emit_args(experiment, folder), strict=True).experiment


@pytest.mark.parametrize("changes", SAME, ids=lambda changes: ",".join(changes) or "default")
def test_comes_back(changes: dict[str, Any], tmp_path: Path) -> None:
    experiment = nb.Experiment().replace(changes)
    assert again(experiment, tmp_path) == experiment


@pytest.mark.parametrize(("changes", "difference"), RESPELLED)
def test_comes_back_respelled(
    changes: dict[str, Any], difference: dict[str, Any], tmp_path: Path
) -> None:
    experiment = nb.Experiment().replace(changes)
    once = again(experiment, tmp_path)
    assert once == experiment.replace(difference)
    assert again(once, tmp_path) == once
    if not experiment.crystal.misset_random:
        rendered = {"crystal.cell_angstrom": (50, 60, 70), "sampling.oversample": 1}
        plans = [Plan(e.replace(rendered), F1, nb.Quirks()).info() for e in (experiment, once)]
        assert plans[0] == plans[1]


def test_default_needs_no_words() -> None:
    assert emit_args(nb.Experiment()) == []


@pytest.mark.filterwarnings("ignore:.* counts as 0")
@pytest.mark.parametrize("case", table("cases"))
def test_recorded_command_lines(case: str, tmp_path: Path) -> None:
    args = table("cases")[case]["args"]
    experiment = parse_command(args, INPUTS).experiment
    once = again(experiment, tmp_path)
    # Without a flag that implies a pivot (numbers from -img), the pivot is written out.
    expected = experiment
    if experiment.detector.pivot is None:
        expected = experiment.replace({"detector.pivot": once.detector.pivot})
    assert once == expected
    assert again(once, tmp_path) == once


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (
            {"crystal.orientation_matrix": (1.0, 0, 0, 0, 1, 0, 0, 0, 1)},
            "crystal.orientation_matrix",
        ),
        ({"beam.sources": (nb.Source((1.0, 0.0, 0.0)),)}, "beam.sources"),
        ({"detector.mask": MASK, "detector.n_fast": 4, "detector.n_slow": 3}, "detector.mask"),
        ({"crystal.n_cells": (5.5, 1.0, 1.0)}, "crystal.n_cells"),
    ],
)
def test_what_words_alone_cannot_say(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as error:
        emit_args(nb.Experiment().replace(changes))
    assert error.value.field == field


def test_doors_of_the_experiment(tmp_path: Path) -> None:
    experiment = nb.Experiment.from_nanobragg_args("-mat ortho.mat -N 5", INPUTS)
    words = experiment.to_nanobragg_args(tmp_path)
    assert nb.Experiment.from_nanobragg_args(words) == experiment
