"""C-PARITY-008 curved_detector_axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pictures import CONSTANT, STILL, assert_same, off, picture

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.plan import Plan

CORRECT = off("curved_detector_axes")
CENTRED = off("curved_detector_axes", "near_point_ignored", "pivot_flag_ignored")
SHAPE = (11, 15)
CURVED = STILL.replace(
    {
        "detector.curved": True,
        "detector.n_fast": SHAPE[1],
        "detector.n_slow": SHAPE[0],
        "detector.pixel_size_mm": 4.0,
        "detector.distance_mm": 60.0,
    }
)
CONVENTIONS = ["mosflm", "xds", "adxv", "denzo", "dials", "custom"]


def positions(experiment: nb.Experiment, quirks: nb.Quirks) -> tuple[np.ndarray, dict[str, Any]]:
    """Where the pixels are, metres, in the frame (fast, slow, beam); and the plan's info."""
    plan = Plan(experiment, CONSTANT, quirks)
    info = plan.info()
    frame = np.array([info["fast_axis"], info["slow_axis"], info["beam_direction"]])
    place = np.array(
        [
            [plan.trace(fast, slow)["first"]["pixel_pos_m"] for fast in range(SHAPE[1])]
            for slow in range(SHAPE[0])
        ]
    )
    return place @ frame.T, info


def centred(convention: str) -> nb.Experiment:
    """The beam hits the centre of the middle pixel, whatever the convention."""
    middle = {"mosflm": (20, 28), "denzo": (22, 30), "adxv": (30, 22)}.get(convention, (30, 22))
    return CURVED.replace(
        {
            "detector.convention": convention,
            "detector.pivot": "beam",
            "detector.beam_x_mm": float(middle[0]),
            "detector.beam_y_mm": float(middle[1]),
        }
    )


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_every_pixel_is_at_the_distance(convention: str) -> None:
    place, _ = positions(CURVED.replace({"detector.convention": convention}), CORRECT)
    assert np.allclose(np.linalg.norm(place, axis=-1), 0.06, rtol=1e-15)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_arc_lengths_from_the_beam(convention: str) -> None:
    """The angle from the beam is the flat distance over the radius; the azimuth is the flat one."""
    place, info = positions(centred(convention), CENTRED)
    assert (info["beam_fast_m"], info["beam_slow_m"]) == pytest.approx((0.030, 0.022), rel=1e-12)
    fast = 0.004 * (np.arange(SHAPE[1]) + 0.5) - 0.030
    slow = (0.004 * (np.arange(SHAPE[0]) + 0.5) - 0.022)[:, None]
    rho = np.hypot(fast, slow) / 0.06
    across = np.sin(rho) / np.where(rho == 0, 1, rho)
    assert np.allclose(place[..., 2], 0.06 * np.cos(rho), atol=1e-16)
    assert np.allclose(place[..., 0], across * fast, atol=1e-16)
    assert np.allclose(place[..., 1], across * slow, atol=1e-16)
    assert np.array_equal(place[5, 7], [0.0, 0.0, 0.06])  # the beam hits the pixel it should hit


def test_small_detectors_are_flat() -> None:
    near = {"detector.pixel_size_mm": 0.004}
    curved, _ = positions(CURVED.replace(near), CORRECT)
    flat, _ = positions(CURVED.replace({**near, "detector.curved": False}), CORRECT)
    assert np.abs(curved - flat)[..., :2].max() < 1e-11  # of 3e-5
    assert np.abs(curved - flat)[..., 2].max() < 2e-8  # what the arc falls back by


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_uniform_scatterer_looks_alike_from_all_sides(convention: str) -> None:
    """No crystal to speak of, no polarization: the picture depends on the angle alone."""
    uniform = centred(convention).replace({"crystal.n_cells": (1, 1, 1)})
    got = picture(uniform, CENTRED)
    assert_same(got[::-1], got, 1e-14)
    assert_same(got[:, ::-1], got, 1e-14)
    assert_same(got[:, 2:13], got[:, 2:13].T, 1e-14)
    assert_same(got, np.full(SHAPE, got[0, 0]) * (1 + cos_sqr()) / (1 + cos_sqr()[0, 0]), 1e-14)


def cos_sqr() -> np.ndarray:
    """cos^2 of the scattering angle."""
    fast, slow = np.arange(15) - 7, np.arange(11)[:, None] - 5
    return np.asarray(np.cos(4.0 / 60.0 * np.hypot(fast, slow)) ** 2)


def test_mosflm_and_xds_show_the_same_crystal_alike() -> None:
    """XDS's frame is MOSFLM's, turned: z, x', y' = beam, ... for beam, fast and slow axis."""
    mosflm = centred("mosflm").replace({"crystal.misset_deg": (0.0, 0.0, 0.0)})
    to_xds = np.array([[0, 0, 1], [0, -1, 0], [1, 0, 0]], float)  # fast, slow, beam as rows
    cell = np.array([Plan(mosflm, CONSTANT, CORRECT).info()[f"{v}0_m"] for v in "abc"])
    stars = np.linalg.inv(cell * 1e10)  # columns: a*, b*, c* in 1/angstrom
    as_matrix = mosflm.replace(
        {"crystal.orientation_matrix": tuple(stars.ravel()), "crystal.cell_angstrom": None}
    )
    xds = centred("xds").replace(
        {
            "crystal.misset_deg": (0.0, 0.0, 0.0),
            "crystal.orientation_matrix": tuple((to_xds @ stars).ravel()),
            "crystal.cell_angstrom": None,
        }
    )
    assert_same(picture(xds, CENTRED), picture(as_matrix, CENTRED))


def test_on_the_directions_are_swapped() -> None:
    """For beams along x: what the flat detector has along fast, the curved one has along slow."""
    curved, _ = positions(centred("mosflm"), nb.Quirks())
    correct, _ = positions(centred("mosflm"), CORRECT)
    assert np.allclose(np.linalg.norm(curved, axis=-1), 0.06, rtol=1e-14)
    assert np.abs(curved - correct).max() > 0.01
    fast = 0.004 * (np.arange(SHAPE[1]) + 0.5) - 0.030
    assert np.allclose(np.abs(curved[5, :, 1]), np.abs(0.06 * np.sin(fast / 0.06)), atol=1e-15)
    assert np.allclose(curved[5, :, 0], 0.0, atol=1e-15)
