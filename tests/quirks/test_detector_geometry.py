"""C-PARITY-013 to 016: conventions, pivots, pix0 and centres."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from corrected import rotation_xyz
from for_each import for_each
from pictures import STILL, assert_differs, assert_same, info, off, picture

import nanobragg_hybrid as nb

CENTRED = STILL.replace({"beam.polarization_kahn": 0.5})
XDS = CENTRED.replace({"detector.convention": "xds"})
ROTATION_DEG = (5.0, 3.0, -12.0)
TURNED = {"detector.rotation_deg": ROTATION_DEG}
TURN = rotation_xyz(np.radians(ROTATION_DEG))
DISTANCE_M, PIXEL_M = 0.06, 0.001
N_SLOW, N_FAST = STILL.detector.shape


def vector(experiment: nb.Experiment, name: str, quirks: nb.Quirks | None = None) -> np.ndarray:
    """A vector of the plan's info."""
    return np.array(info(experiment, quirks)[name])


def by_vectors(fast: Any, slow: Any, beam: Any, pix0: Any, spindle: Any) -> nb.Experiment:
    """The same crystal on a detector said with nothing but vectors."""
    fast, slow = np.array(fast, float), np.array(slow, float)
    return CENTRED.replace(
        {
            "detector.convention": "custom",
            "detector.fast_axis": fast,
            "detector.slow_axis": slow,
            "detector.normal_axis": np.cross(fast, slow),
            "detector.pix0_m": pix0,
            "beam.direction": beam,
            "beam.polarization_axis": (1, 0, 0) if beam[2] else (0, 0, 1),
            "goniometer.spindle_axis": spindle,
        }
    )


# --- 013 custom_convention_switch


@for_each("convention", ["xds", "dials", "adxv", "mosflm", "denzo"])
def test_a_vector_replaces_only_itself(convention: str) -> None:
    experiment = CENTRED.replace({"detector.convention": convention})
    scan = {"goniometer.phi_deg": 20.0}
    spindle = {"goniometer.spindle_axis": (0.0, 3.0, 4.0)}
    quirks = off("custom_convention_switch")
    plain, got = info(experiment, quirks), info(experiment.replace(spindle), quirks)
    assert got["spindle_axis"] == pytest.approx((0.0, 0.6, 0.8))
    changed = {name for name in got if got[name] != plain[name]}
    assert changed == {"spindle_axis"}
    # turning about a spindle is turning the crystal
    turned = experiment.replace({**scan, **spindle})
    switched = picture(turned)
    if convention in ("mosflm", "adxv"):  # whose default centres are not the middle
        assert_differs(picture(turned, quirks), switched, 0.05)
    if convention in ("xds", "dials", "adxv"):  # CUSTOM's beam is along x
        assert_differs(picture(turned, quirks), switched, 0.5)
    assert info(turned)["convention"] == 0


def test_xds_with_a_spindle_is_xds() -> None:
    """The same experiment with every vector of XDS spelled out."""
    quirks = off("custom_convention_switch")
    scan = XDS.replace({"goniometer.spindle_axis": (0, 1, 0), "goniometer.phi_deg": 25.0})
    spelled = CENTRED.replace(
        {
            "detector.convention": "custom",
            "detector.fast_axis": (1, 0, 0),
            "detector.slow_axis": (0, 1, 0),
            "detector.normal_axis": (0, 0, 1),
            "beam.direction": (0, 0, 1),
            "beam.polarization_axis": (1, 0, 0),
            "goniometer.spindle_axis": (0, 1, 0),
            "goniometer.phi_deg": 25.0,
        }
    )
    assert_same(picture(scan, quirks), picture(spelled))


def test_the_half_pixel_shift_stays() -> None:
    spindle = CENTRED.replace({"goniometer.spindle_axis": (0, 0, 1)})  # MOSFLM's own
    quirks = off("custom_convention_switch")
    assert picture(spindle, quirks).tobytes() == picture(CENTRED).tobytes()
    shift = vector(spindle, "pix0_m", quirks) - vector(spindle, "pix0_m")
    assert np.abs(shift) == pytest.approx((0, PIXEL_M, PIXEL_M))


# --- 014 pivot_flag_ignored


def upright_for(experiment: nb.Experiment, normal: Any) -> nb.Experiment:
    """The detector before it is turned about the sample, at the distance that it has afterwards:
    -distance is along the beam, so the turned plane is nearer by the cosine of its tilt."""
    cosine = float(np.array(normal) @ TURN @ np.array(normal))
    distance_mm = cosine * experiment.detector.distance_mm
    return experiment.replace(
        {"detector.rotation_deg": (0, 0, 0), "detector.distance_mm": distance_mm}
    )


def test_sample_pivot_turns_the_detector_about_the_sample() -> None:
    experiment = CENTRED.replace({**TURNED, "detector.pivot": "sample"})
    quirks = off("pivot_flag_ignored")
    upright = vector(upright_for(experiment, (1, 0, 0)), "pix0_m", quirks)
    assert vector(experiment, "pix0_m", quirks) == pytest.approx(TURN @ upright, abs=1e-16)
    assert info(experiment, quirks)["distance_m"] == pytest.approx(DISTANCE_M, rel=1e-12)
    assert info(experiment)["pivot"] == 1  # on: MOSFLM's, the beam
    assert_differs(picture(experiment, quirks), picture(experiment), 0.05)


@pytest.mark.parametrize("convention", ["xds", "dials"])
def test_beam_pivot_keeps_the_beam_centre(convention: str) -> None:
    experiment = CENTRED.replace(
        {**TURNED, "detector.convention": convention, "detector.pivot": "beam"}
    )
    quirks = off("pivot_flag_ignored")
    got = info(experiment, quirks)
    assert got["distance_m"] == pytest.approx(DISTANCE_M, rel=1e-12)
    assert (got["beam_fast_m"], got["beam_slow_m"]) == pytest.approx(
        (N_FAST / 2 * PIXEL_M, N_SLOW / 2 * PIXEL_M), rel=1e-12
    )
    assert info(experiment)["beam_fast_m"] != pytest.approx(N_FAST / 2 * PIXEL_M, rel=1e-3)


def test_without_a_pivot_the_conventions_own() -> None:
    for convention in ("mosflm", "adxv", "denzo", "xds", "dials", "custom"):
        experiment = CENTRED.replace({"detector.convention": convention, **TURNED})
        on, corrected = picture(experiment), picture(experiment, off("pivot_flag_ignored"))
        assert on.tobytes() == corrected.tobytes()


# --- 015 pix0_ignored

PIX0 = (0.055, 0.012, -0.009)


def given_pix0(convention: str = "mosflm", **changes: Any) -> nb.Experiment:
    pix0 = PIX0 if convention in ("mosflm", "denzo", "custom") else (-0.012, -0.009, 0.055)
    return CENTRED.replace(
        {"detector.convention": convention, "detector.pix0_m": pix0, **TURNED, **changes}
    )


@for_each("pivot", ["beam", "sample"])
@for_each("convention", ["mosflm", "xds", "adxv", "denzo", "dials", "custom"])
def test_pix0_is_where_the_first_pixel_is(convention: str, pivot: str) -> None:
    """Beam centre, near point and distances follow: line and plane meet where they meet."""
    experiment = given_pix0(convention, **{"detector.pivot": pivot})
    quirks = off("pix0_ignored", "custom_convention_switch", "pivot_flag_ignored")
    got = info(experiment, quirks)
    pix0 = np.array(experiment.detector.pix0_m)
    f, s, o, b = (
        np.array(got[name]) for name in ("fast_axis", "slow_axis", "normal_axis", "beam_direction")
    )
    assert np.array_equal(got["pix0_m"], pix0)
    assert got["close_distance_m"] == pytest.approx(pix0 @ o, rel=1e-12)
    assert (got["close_fast_m"], got["close_slow_m"]) == pytest.approx((-pix0 @ f, -pix0 @ s))
    distance, beam_fast, beam_slow = np.linalg.solve(np.array([b, -f, -s]).T, pix0)
    assert got["distance_m"] == pytest.approx(distance, rel=1e-12)
    assert (got["beam_fast_m"], got["beam_slow_m"]) == pytest.approx((beam_fast, beam_slow))


def test_picture_of_a_pix0_equals_that_of_its_beam_centre() -> None:
    """CUSTOM, pivot BEAM: saying where the corner is or where the beam hits is the same."""
    got = info(given_pix0(), off("pix0_ignored"))
    same = given_pix0(
        **{
            "detector.pix0_m": None,
            "detector.convention": "custom",
            "detector.beam_x_mm": 1000 * got["beam_fast_m"],
            "detector.beam_y_mm": 1000 * got["beam_slow_m"],
            "detector.distance_mm": 1000 * got["distance_m"],
        }
    )
    assert_same(picture(given_pix0(), off("pix0_ignored")), picture(same))
    assert_differs(picture(given_pix0()), picture(same), 0.5)


def test_on_the_value_of_pix0_does_not_count() -> None:
    other = given_pix0(**{"detector.pix0_m": (7.0, -3.0, 2.0)})
    assert picture(other).tobytes() == picture(given_pix0()).tobytes()


# --- 016 near_point_ignored


def centres(**mm: float) -> dict[str, float]:
    return {f"detector.{name}": value for name, value in mm.items()}


@pytest.mark.parametrize("turned", [{}, TURNED], ids=["upright", "turned"])
def test_xds_with_a_beam_centre(turned: dict[str, Any]) -> None:
    """`-xds -Xbeam 7 -Ybeam 12`: the same detector said by vectors."""
    experiment = XDS.replace({**centres(beam_x_mm=7.0, beam_y_mm=12.0), **turned})
    quirks = off("near_point_ignored")
    turn = TURN if turned else np.eye(3)
    corner = turn @ np.array([-0.007, -0.012, DISTANCE_M * turn[2, 2]])
    same = by_vectors(turn[:, 0], turn[:, 1], (0, 0, 1), corner, (1, 0, 0))
    assert_same(picture(experiment, quirks), picture(same, off("pix0_ignored")))
    assert_differs(picture(experiment), picture(same, off("pix0_ignored")), 0.5)


def test_on_xds_ignores_the_beam_centre() -> None:
    assert picture(XDS.replace(centres(beam_x_mm=7.0, beam_y_mm=12.0))).tobytes() == (
        picture(XDS).tobytes()
    )


@for_each("pivot", ["beam", "sample"])
@for_each("convention", ["mosflm", "xds", "adxv", "denzo", "dials", "custom"])
@pytest.mark.parametrize(
    "given",
    [
        {"close_x_mm": 9.0, "close_y_mm": 6.5},
        {"org_x_px": 9.5, "org_y_px": 7.0},
    ],
    ids=["close", "org"],
)
def test_near_point(given: dict[str, float], convention: str, pivot: str) -> None:
    """The foot of the normal is where it was said to be, in every convention and pivot."""
    experiment = CENTRED.replace(
        {**centres(**given), **TURNED, "detector.convention": convention, "detector.pivot": pivot}
    )
    got = info(experiment, off("near_point_ignored", "pivot_flag_ignored"))
    assert (got["close_fast_m"], got["close_slow_m"]) == pytest.approx((0.009, 0.0065), rel=1e-12)
    assert (got["org_x_px"], got["org_y_px"]) == pytest.approx((9.5, 7.0), rel=1e-12)
    foot = np.array(got["pix0_m"]) + 0.009 * np.array(got["fast_axis"])
    foot += 0.0065 * np.array(got["slow_axis"])
    assert np.cross(foot, got["normal_axis"]) == pytest.approx((0, 0, 0), abs=1e-16)


@for_each("pivot", ["beam", "sample"])
@for_each("convention", ["mosflm", "xds", "adxv", "denzo", "dials", "custom"])
def test_beam_centre(convention: str, pivot: str) -> None:
    """Of an upright detector, in the convention's own meaning; then turned about the pivot."""
    x, y = 7.0, 12.0
    fast_m, slow_m = {
        "mosflm": (0.0125, 0.0075),
        "denzo": (0.012, 0.007),
        "adxv": (0.007, 0.020 - 0.012),
    }.get(convention, (0.007, 0.012))
    experiment = CENTRED.replace(
        {
            **centres(beam_x_mm=x, beam_y_mm=y),
            "detector.convention": convention,
            "detector.pivot": pivot,
        }
    )
    quirks = off("near_point_ignored", "pivot_flag_ignored")
    got = info(experiment, quirks)
    assert (got["beam_fast_m"], got["beam_slow_m"]) == pytest.approx((fast_m, slow_m), rel=1e-12)
    turned = info(experiment.replace(TURNED), quirks)
    if pivot == "beam":
        assert turned["distance_m"] == pytest.approx(DISTANCE_M)
        assert (turned["beam_fast_m"], turned["beam_slow_m"]) == pytest.approx((fast_m, slow_m))
    else:
        upright = info(upright_for(experiment.replace(TURNED), got["normal_axis"]), quirks)
        need = TURN @ np.array(upright["pix0_m"])
        assert turned["pix0_m"] == pytest.approx(need, abs=1e-16)
        assert turned["distance_m"] == pytest.approx(DISTANCE_M)


def test_close_distance_is_kept_with_a_beam_centre() -> None:
    experiment = XDS.replace(
        {**centres(beam_x_mm=7.0, beam_y_mm=12.0), **TURNED, "detector.close_distance_mm": 70.0}
    )
    assert info(experiment, off("near_point_ignored"))["close_distance_m"] == pytest.approx(0.07)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"beam_x_mm": 7.0, "close_y_mm": 3.0}, "detector.beam_x_mm"),
        ({"beam_x_mm": 7.0, "org_x_px": 3.0}, "detector.beam_x_mm"),
        ({"close_x_mm": 7.0, "org_x_px": 3.0}, "detector.close_x_mm"),
        ({"beam_y_mm": 7.0, "close_x_mm": 7.0, "org_x_px": 3.0}, "detector.beam_x_mm"),
    ],
)
def test_two_centres_are_an_error(given: dict[str, float], name: str) -> None:
    """An experiment does not say which one came last; a command line does."""
    with pytest.raises(nb.ConfigError, match=rf"{name}: .* need only one of beam centre"):
        picture(CENTRED.replace(centres(**given)), off("near_point_ignored"))
    assert np.any(picture(CENTRED.replace(centres(**given))))


def test_no_centre_no_difference() -> None:
    for convention in ("mosflm", "xds", "adxv", "denzo", "dials", "custom"):
        experiment = CENTRED.replace({"detector.convention": convention, **TURNED})
        on, corrected = picture(experiment), picture(experiment, off("near_point_ignored"))
        assert on.tobytes() == corrected.tobytes()
