"""Which quirks could have changed an image: a smallest experiment for each, and one without."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from field_values import QUIRKS
from for_each import for_each

from nanobragg_hybrid import (
    Crystal,
    Detector,
    Experiment,
    Quirks,
    Sampling,
    Source,
    StructureFactors,
)
from nanobragg_hybrid.engines.c.plan import Plan
from nanobragg_hybrid.run.quirk_effects import _image_effects, quirks_that_mattered

PLAIN = Experiment(
    crystal=Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5), misset_seed=1),
    detector=Detector(n_fast=8, n_slow=8),
    sampling=Sampling(oversample=1),
)
TABLE = StructureFactors.from_grid(np.ones((9, 9, 9)), (-4, -4, -4))


def _mattered(changes: dict[str, Any], quirks: Quirks | None = None) -> tuple[str, ...]:
    experiment = PLAIN.replace(changes)
    quirks = Quirks() if quirks is None else quirks
    plan = Plan(experiment, TABLE, quirks).resolved()
    return quirks_that_mattered(experiment, quirks, plan)


def test_every_quirk_that_can_change_an_image_has_an_entry() -> None:
    """Those that have two images in test_every_field.py, and only those."""
    effects = _image_effects(PLAIN, Quirks(), Plan(PLAIN, TABLE, Quirks()).resolved())
    assert set(effects) == {name for name, case in QUIRKS.items() if not case.same}


def test_nothing_matters_in_a_plain_still() -> None:
    assert _mattered({}) == ()


@for_each(
    "changes, names",
    [
        ({"goniometer.osc_deg": 1}, ("phi_carryover", "phi_left_edge")),
        ({"goniometer.osc_deg": 1, "goniometer.phi_deg": 5}, ("phi_left_edge",)),
        ({"goniometer.phi_deg": 5}, ()),
        (
            {"goniometer.osc_deg": 1, "goniometer.phi_deg": -0.5},
            ("phi_carryover", "phi_left_edge"),
        ),
        (
            {"sampling.oversample_thick": True},
            ("oversample_running_product", "no_sensor_is_black"),
        ),
        (
            {
                "detector.sensor_thickness_um": 300,
                "detector.sensor_attenuation_depth_um": float("inf"),
            },
            ("thick_last_layer", "no_sensor_is_black", "first_subpixel_factors"),
        ),
        ({"sampling.oversample_polar": True}, ("oversample_running_product",)),
        ({"sampling.oversample_omega": True}, ("oversample_running_product",)),
        (
            {"detector.sensor_thickness_um": 300},
            ("thick_last_layer", "first_subpixel_factors"),
        ),
        (
            {"detector.sensor_thickness_um": 300, "detector.sensor_layers": 3},
            ("thick_last_layer", "layer_overshoot", "first_subpixel_factors"),
        ),
        (
            {"sampling.oversample_polar": True, "beam.polarization_correction": False},
            ("oversample_running_product", "nopolar_undone"),
        ),
        ({"crystal.size_mm": (1, 1, 1), "beam.beam_size_mm": 1e-5}, ()),
        (
            {
                "crystal.size_mm": (4e-5, None, None),
                "beam.beam_size_mm": 1e-5,
                "detector.convention": "xds",
            },
            ("beam_clips_y_and_z",),
        ),
        (
            {
                "crystal.size_mm": (4e-5, None, None),
                "beam.beam_size_mm": 5e-5,
                "detector.convention": "xds",
            },
            (),
        ),
        ({"beam.polarization_kahn": -1.5}, ("polarization_unchecked",)),
        ({"beam.polarization_kahn": 1.5, "beam.polarization_correction": False}, ()),
        ({"sampling.oversample": 2}, ("first_subpixel_factors",)),
        (
            {"sampling.oversample": 2, "sampling.oversample_omega": True},
            ("oversample_running_product", "first_subpixel_factors"),
        ),
        (
            {
                "sampling.oversample": 2,
                "sampling.oversample_omega": True,
                "beam.polarization_correction": False,
            },
            ("oversample_running_product",),
        ),
        (
            {
                "sampling.oversample": 2,
                "sampling.oversample_omega": True,
                "sampling.oversample_polar": True,
                "crystal.water_um": 10,
            },
            ("oversample_running_product", "water_background", "first_subpixel_factors"),
        ),
        ({"beam.divergence_h_mrad": 2}, ("polar_first_source",)),
        ({"beam.divergence_h_mrad": 2, "beam.polarization_correction": False}, ()),
        ({"sampling.interpolate": True}, ("interpolation_latch",)),
        ({"crystal.water_um": 10}, ("water_background",)),
        ({"detector.curved": True}, ("curved_detector_axes", "curved_flat_factors")),
        (
            {"detector.curved": True, "detector.point_pixel": True},
            ("curved_detector_axes", "point_pixel_area"),
        ),
        ({"detector.point_pixel": True}, ("point_pixel_area",)),
        (
            {"detector.twotheta_deg": 5, "sampling.oversample": None},
            ("ratio_before_twotheta", "first_subpixel_factors"),
        ),
        ({"detector.twotheta_deg": 5, "sampling.oversample": 1}, ()),
        (
            {"detector.twotheta_deg": 120, "sampling.oversample": 1},
            ("normal_towards_source",),
        ),
        (
            {
                "detector.convention": "xds",
                "detector.twotheta_deg": 120,
                "sampling.oversample": 1,
            },
            (),
        ),
        ({"detector.rotation_deg": (0, 120, 0)}, ("normal_towards_source",)),
        (
            {"detector.convention": "custom", "detector.normal_axis": (-1, 0, 0)},
            ("normal_towards_source",),
        ),
        ({"detector.convention": "custom", "detector.normal_axis": (1, 0, 0)}, ()),
        (
            {
                "detector.convention": "custom",
                "detector.twotheta_axis": (0, 0, 2),
                "detector.twotheta_deg": 5,
                "sampling.oversample": 1,
            },
            ("twotheta_axis_length",),
        ),
        (
            {
                "detector.convention": "custom",
                "detector.twotheta_axis": (0, 0, 1),
                "detector.twotheta_deg": 5,
                "sampling.oversample": 1,
            },
            (),
        ),
        ({"beam.sources": (Source(weight=2),)}, ()),
        (
            {"beam.sources": (Source(weight=2), Source())},
            ("polar_first_source", "source_weights_ignored"),
        ),
        ({"crystal.cell_deg": (90, 85, 95)}, ("triclinic_cell",)),
        ({"crystal.cell_deg": (90, 112, 90)}, ()),
        (
            {
                "crystal.cell_deg": (75, 85, 95),
                "crystal.orientation_matrix": (0.01, 0, 0, 0, 0.01, 0, 0, 0, 0.01),
            },
            ("cell_beside_matrix",),
        ),
        (
            {
                "crystal.cell_angstrom": (100, 100, 100),
                "crystal.orientation_matrix": (0.01, 0, 0, 0, 0.01, 0, 0, 0, 0.01),
            },
            (),
        ),
        ({"crystal.misset_random": True}, ("misset_random_radians", "first_deviate")),
        ({"crystal.mosaic_spread_deg": 1.0, "crystal.mosaic_domains": 1}, ()),
        ({"crystal.mosaic_spread_deg": 1.0, "crystal.mosaic_domains": 2}, ("first_deviate",)),
        ({"crystal.cell_deg": (90, 90, 180 - 1e-13)}, ("impossible_cell",)),
        (
            {"beam.sources": (Source((1, 0, 0)), Source())},
            ("polar_first_source", "impossible_sources"),
        ),
        (
            {"goniometer.phi_deg": 5, "goniometer.phi_steps": 3, "goniometer.phi_step_deg": 1},
            ("phi_left_edge", "step_and_count"),
        ),
        ({"goniometer.phi_deg": 5, "goniometer.phi_steps": 3}, ("phi_left_edge", "count_alone")),
        (
            {"beam.divergence_h_mrad": 4, "beam.divergence_h_step_mrad": 1},
            ("polar_first_source", "missing_last_source"),
        ),
        (
            {"goniometer.phi_deg": 5, "goniometer.osc_deg": 3, "goniometer.phi_step_deg": 2},
            ("phi_left_edge", "osc_overshoot"),
        ),
        (
            {
                "crystal.misset_random": True,
                "crystal.misset_seed": None,
                "output.noise_seed": 3,
            },
            ("misset_random_radians", "misset_seed_default", "first_deviate"),
        ),
        (
            {"crystal.misset_random": True, "crystal.misset_seed": None},
            ("misset_random_radians", "first_deviate"),
        ),
        ({"sampling.dmin_angstrom": 3.0, "sampling.oversample": 1}, ()),
        (
            {"sampling.dmin_angstrom": 3.0, "sampling.oversample": 2},
            ("polar_first_source", "first_subpixel_factors"),
        ),
        ({"goniometer.spindle_axis": (0, 0, 1)}, ("custom_convention_switch",)),
        ({"goniometer.spindle_axis": (0, 0, 1), "detector.convention": "custom"}, ()),
        ({"detector.pivot": "sample"}, ("pivot_flag_ignored",)),
        ({"detector.pivot": "beam"}, ()),
        (
            {"detector.pix0_m": (0.1, 0, 0), "detector.convention": "custom"},
            ("pix0_ignored",),
        ),
        ({"detector.close_x_mm": 1}, ("near_point_ignored",)),
        ({"detector.org_y_px": 1}, ("near_point_ignored",)),
        ({"detector.beam_x_mm": 1}, ()),
        ({"detector.convention": "xds", "detector.beam_x_mm": 1}, ("near_point_ignored",)),
        ({"detector.convention": "xds", "detector.org_x_px": 1}, ()),
        ({"detector.convention": "custom", "detector.org_x_px": 1}, ()),
        (
            {
                "detector.convention": "custom",
                "detector.org_x_px": 1,
                "detector.rotation_deg": (0, 5, 0),
            },
            ("near_point_ignored",),
        ),
        (
            {
                "detector.convention": "custom",
                "detector.pivot": "sample",
                "detector.beam_x_mm": 1,
                "detector.twotheta_deg": 5,
                "sampling.oversample": 1,
            },
            ("near_point_ignored",),
        ),
        (
            {
                "detector.convention": "custom",
                "detector.pivot": "sample",
                "detector.org_x_px": 1,
                "detector.twotheta_deg": 5,
                "sampling.oversample": 1,
            },
            (),
        ),
        (
            {
                "detector.convention": "custom",
                "detector.org_x_px": 1,
                "detector.beam_x_mm": 1,
            },
            ("near_point_ignored",),
        ),
    ],
)
def test_quirk_matters_where_it_acts(changes: dict[str, Any], names: tuple[str, ...]) -> None:
    assert _mattered(changes) == names


def test_steps_in_the_middle_of_their_intervals_pass_zero_elsewhere() -> None:
    """Which step is at exactly 0 depends on where in their intervals the steps sit."""
    middle = Quirks(phi_left_edge=False)
    two_steps = {"goniometer.osc_deg": 2, "goniometer.phi_steps": 2}
    assert _mattered({**two_steps, "goniometer.phi_deg": -0.5}, middle) == ("phi_carryover",)
    assert _mattered(two_steps, middle) == ()
    three_steps = {"goniometer.osc_deg": 3, "goniometer.phi_steps": 3, "goniometer.phi_deg": -2}
    assert _mattered(three_steps) == ("phi_carryover", "phi_left_edge")
    assert _mattered(three_steps, middle) == ()


def test_nothing_matters_with_every_quirk_off() -> None:
    assert _mattered({"goniometer.osc_deg": 1, "crystal.water_um": 5}, Quirks.none()) == ()


def test_quirks_that_are_off_are_not_named() -> None:
    quirks = dataclasses.replace(Quirks(), phi_carryover=False)
    assert _mattered({"goniometer.osc_deg": 1}, quirks) == ("phi_left_edge",)
