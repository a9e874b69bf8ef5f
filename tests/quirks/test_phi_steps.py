"""C-PARITY-001 phi_carryover and C-PARITY-025 phi_left_edge."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import CONSTANT, STILL, assert_differs, assert_same, off, picture

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.plan import Plan


def stills(experiment: nb.Experiment, angles_deg: list[float]) -> np.ndarray:
    """The mean of stills at these spindle angles."""
    none = {"goniometer.osc_deg": None, "goniometer.phi_steps": None}
    pictures = [
        picture(experiment.replace({**none, "goniometer.phi_deg": angle})) for angle in angles_deg
    ]
    return np.mean(pictures, axis=0)


@pytest.mark.parametrize(
    ("start", "angles_deg"),
    [
        (0.0, [0.0, 0.5, 1.0, 1.5]),
        (-0.5, [-0.5, 0.0, 0.5, 1.0]),
        (-1.0, [-1.0, -0.5, 0.0, 0.5]),
    ],
)
def test_without_carryover_a_scan_is_the_mean_of_stills(
    start: float, angles_deg: list[float]
) -> None:
    scan = STILL.replace(
        {"goniometer.phi_deg": start, "goniometer.osc_deg": 2, "goniometer.phi_steps": 4}
    )
    need = stills(scan, angles_deg)
    assert_same(picture(scan, off("phi_carryover")), need)
    assert_differs(picture(scan), need, 0.02)


def test_carryover_repeats_the_step_before() -> None:
    """On: after the first pixel, the step at 0 is the last one of the loop before."""
    scan = STILL.replace({"goniometer.osc_deg": 2, "goniometer.phi_steps": 4})
    got, need = picture(scan), stills(scan, [1.5, 0.5, 1.0, 1.5])
    first = stills(scan, [0.0, 0.5, 1.0, 1.5])
    need[0, 0] = first[0, 0]
    assert_same(got, need)


def test_carryover_does_nothing_without_a_step_at_zero() -> None:
    scan = STILL.replace(
        {"goniometer.phi_deg": 0.1, "goniometer.osc_deg": 2, "goniometer.phi_steps": 4}
    )
    assert picture(scan).tobytes() == picture(scan, off("phi_carryover")).tobytes()


@pytest.mark.parametrize("start", [0.0, 10.0, -1.0])
def test_steps_in_the_middle_of_their_intervals(start: float) -> None:
    """Off: the same as a left-edge scan that starts half a step later."""
    osc, steps = 2.0, 4
    scan = STILL.replace(
        {"goniometer.phi_deg": start, "goniometer.osc_deg": osc, "goniometer.phi_steps": steps}
    )
    later = scan.replace({"goniometer.phi_deg": start + osc / (2 * steps)})
    got = picture(scan, off("phi_left_edge", "phi_carryover"))
    assert_same(got, picture(later, off("phi_carryover")))
    assert_differs(got, picture(scan, off("phi_carryover")), 0.02)


def test_middles_are_symmetric_about_the_middle_of_the_range() -> None:
    scan = STILL.replace(
        {"goniometer.phi_deg": -1.0, "goniometer.osc_deg": 2.0, "goniometer.phi_steps": 5}
    )
    phi = Plan(scan, CONSTANT, off("phi_left_edge")).phi()
    assert np.allclose(phi, -phi[::-1], atol=1e-17)
    left = Plan(scan, CONSTANT, nb.Quirks()).phi()
    assert np.allclose(np.degrees(left), [-1.0, -0.6, -0.2, 0.2, 0.6])


def test_a_still_stays_where_it_is() -> None:
    still = STILL.replace({"goniometer.phi_deg": 33.0})
    assert picture(still).tobytes() == picture(still, off("phi_left_edge")).tobytes()
