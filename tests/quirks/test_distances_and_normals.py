"""C-PARITY-027, 028, 030 and 032: distances, the detector's normal, the two-theta axis."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corrected import rotation, unit
from for_each import for_each
from pictures import CONSTANT, STILL, assert_differs, assert_same, info, off, picture
from recorded import run_in_process

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.engines.c.plan import Plan

XDS = STILL.replace({"detector.convention": "xds"})
DISTANCE_M = 0.06
R_E_SQR_M2 = 7.94079248018965e-30
UNIFORM = STILL.replace(
    {
        "crystal.n_cells": (1, 1, 1),
        "beam.polarization_correction": False,
        "beam.fluence_photons_per_m2": 1e29,
    }
)
"""A scatterer that is the same in all directions: pixels are solid angles."""
PER_STERADIAN = R_E_SQR_M2 * 1e29 * 100.0**2


def plane_solid_angles(experiment: nb.Experiment, pix0: Any, fast: Any, slow: Any) -> np.ndarray:
    """pixel^2 cos(angle to the plane's normal)/R^2 from a corner and two directions."""
    n_slow, n_fast = experiment.detector.shape
    pixel = experiment.detector.pixel_size_mm / 1000
    f = pixel * (np.arange(n_fast) + 0.5)[None, :, None] * np.array(fast)
    s = pixel * (np.arange(n_slow) + 0.5)[:, None, None] * np.array(slow)
    place = f + s + np.array(pix0)
    r = np.linalg.norm(place, axis=-1)
    facing = np.abs(unit(place) @ np.cross(fast, slow))
    return np.asarray(pixel**2 * facing / r**2)


# --- 027 ratio_before_twotheta

TWOTHETA = np.radians(30.0)


def reported(experiment: nb.Experiment, *names: str) -> tuple[float, float, float]:
    """Distance and beam centre of the plan, fast and slow, metres."""
    got: dict[str, Any] = info(experiment, off(*names))
    return got["distance_m"], got["beam_fast_m"], got["beam_slow_m"]


def test_the_distance_of_a_turned_detector() -> None:
    """XDS turns about x: the beam meets the plane at d/cos, d tan above its near point."""
    turned = XDS.replace({"detector.twotheta_deg": 30.0})
    half_fast, half_slow = 0.012, 0.010
    need = (DISTANCE_M / np.cos(TWOTHETA), half_fast, half_slow + DISTANCE_M * np.tan(TWOTHETA))
    assert reported(turned, "ratio_before_twotheta") == pytest.approx(need, rel=1e-12)
    assert reported(turned) != pytest.approx(need, rel=1e-3)
    got: dict[str, Any] = info(turned, off("ratio_before_twotheta"))
    assert got["close_distance_m"] == pytest.approx(DISTANCE_M, rel=1e-12)


def test_the_distance_of_a_detector_turned_about_the_beam_is_the_one_asked_for() -> None:
    turned = STILL.replace({"detector.twotheta_deg": 30.0})  # MOSFLM
    upright = reported(STILL)
    assert reported(turned, "ratio_before_twotheta") == pytest.approx(upright, rel=1e-12)
    assert reported(turned)[0] == pytest.approx(DISTANCE_M * np.cos(TWOTHETA), rel=1e-12)


@for_each("convention", ["xds", "dials", "mosflm", "adxv", "denzo", "custom"])
def test_the_image_stays_where_it_is(convention: str) -> None:
    turned = STILL.replace({"detector.convention": convention, "detector.twotheta_deg": 30.0})
    on, corrected = picture(turned), picture(turned, off("ratio_before_twotheta"))
    assert on.tobytes() == corrected.tobytes()


def test_without_two_theta_nothing_is_different() -> None:
    tilted = XDS.replace({"detector.rotation_deg": (5, 3, -12)})
    assert reported(tilted, "ratio_before_twotheta") == reported(tilted)


# --- 028 normal_towards_source

BACKWARDS = (
    "-cell 70 80 90 90 90 90 -default_F 100 -N 5 -lambda 1 -distance 100 -detpixels 32 -pixel 1 "
    "-oversample 1 -seed 1234"
)
AXES = "-fdet_vector 0 0 1 -sdet_vector 0 -1 0"
RECORDED = {
    "-twotheta 120": "a83774d554e40d0dfdaa08de9aa4ebe634400a76a592f6ef54ee06e5a37c7c04",
    f"{AXES} -odet_vector -1 0 0": (
        "015ffebc33ef4afd96ce88759d941024f1499027a795099f186114ce9eceb8eb"
    ),
}
"""What nanoBragg writes: SHA-256 of its float image."""


@for_each("words", RECORDED)
def test_on_the_recorded_bytes(words: str, tmp_path: Path) -> None:
    done = run_in_process(tmp_path, [*BACKWARDS.split(), *words.split()])
    assert done.exit == 0
    assert done.sha256("floatimage.bin") == RECORDED[words]


def corner(normal: tuple[float, float, float]) -> nb.Experiment:
    """A detector said with a corner, 100 mm ahead, and a normal either way."""
    return nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5)),
        detector=nb.Detector(
            fast_axis=(0, 0, 1),
            slow_axis=(0, -1, 0),
            normal_axis=normal,
            pix0_m=(0.1, 0.016, -0.016),
            n_fast=32,
            n_slow=32,
            pixel_size_mm=1.0,
        ),
    )


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("normal", [(-1.0, 0.0, 0.0), (1.0, 0.0, 0.0)])
def test_one_solid_angle_whichever_way_the_normal_is_written(normal: Any) -> None:
    experiment = corner(normal)
    total = picture(experiment, nb.Quirks.parse("none,+first_subpixel_factors")).sum()
    assert total == pytest.approx(121378.40, abs=0.005)
    on = nb.Quirks.parse("none,+first_subpixel_factors,+normal_towards_source")
    assert picture(experiment, on).sum() == pytest.approx(normal[0] * 121378.40, abs=0.005)


SENSOR = {"detector.sensor_thickness_um": 300.0, "detector.sensor_layers": 3}


def test_one_path_through_the_sensor() -> None:
    """Whose layers lie behind its surface as the light sees it."""
    either = [corner(n).replace(SENSOR) for n in ((-1.0, 0.0, 0.0), (1.0, 0.0, 0.0))]
    images = [picture(experiment, nb.Quirks.none()) for experiment in either]
    assert images[0].tobytes() == images[1].tobytes()
    assert images[0].min() > 0.0
    assert images[0].sum() < picture(corner((1.0, 0.0, 0.0)), nb.Quirks.none()).sum()


@for_each("pivot", ["beam", "sample"])
def test_the_default_detector_with_its_normal_the_other_way(pivot: str) -> None:
    given = {"detector.convention": "custom", "detector.pivot": pivot}
    ahead = UNIFORM.replace({**given, "detector.normal_axis": (1, 0, 0)})
    back = UNIFORM.replace({**given, "detector.normal_axis": (-1, 0, 0)})
    quirks = off("normal_towards_source")
    assert picture(back, quirks).tobytes() == picture(ahead).tobytes()
    got: dict[str, Any] = info(back, quirks)
    assert (got["distance_m"], got["close_distance_m"]) == (DISTANCE_M, DISTANCE_M)
    assert got["normal_axis"] == (1.0, 0.0, 0.0)
    on: dict[str, Any] = info(back)
    assert on["pix0_m"][0] == -DISTANCE_M


def test_axes_that_are_left_handed() -> None:
    """The normal that stands in for one of no length points at the source."""
    given = {
        "detector.fast_axis": (0, 0, 1),
        "detector.slow_axis": (0, 1, 0),
        "detector.normal_axis": (0, 0, 0),
    }
    got: dict[str, Any] = info(UNIFORM.replace(given), off("normal_towards_source"))
    assert got["normal_axis"] == (1.0, 0.0, 0.0)
    assert got["distance_m"] == DISTANCE_M
    on: dict[str, Any] = info(UNIFORM.replace(given))
    assert on["distance_m"] == -DISTANCE_M


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@for_each("angle_deg", [-170.0, -120.0, 60.0, 100.0, 120.0, 180.0])
def test_solid_angles_of_a_detector_turned_past_the_beam(angle_deg: float) -> None:
    """About the beam's spot, which stays where it is; MOSFLM's axis is -z."""
    turned = UNIFORM.replace({"detector.twotheta_deg": angle_deg})
    matrix = rotation(np.array([0.0, 0.0, -1.0]), np.radians(angle_deg))
    fast, slow = matrix @ (0, 0, 1), matrix @ (0, -1, 0)
    spot_fast, spot_slow = 0.0130, 0.0110  # half of size + pixel, and half a pixel
    pix0 = DISTANCE_M * np.array([1, 0, 0]) - spot_fast * fast - spot_slow * slow
    need = PER_STERADIAN * plane_solid_angles(turned, pix0, fast, slow)
    assert need.min() > 0.0
    for also_off in ((), ("ratio_before_twotheta",)):
        assert_same(picture(turned, off("normal_towards_source", *also_off)), need, 1e-8)
    sign = 1.0 if abs(angle_deg) < 90.0 else -1.0
    assert_same(picture(turned), sign * need, 1e-8)


def test_rotations_past_the_beam_keep_its_spot_ahead() -> None:
    """-detector_roty turns about the spot, too; with the quirk on it is the detector that goes."""
    turned = STILL.replace({"detector.rotation_deg": (0, 120, 0)})
    got: dict[str, Any] = info(turned, off("normal_towards_source"))
    assert (got["distance_m"], got["beam_fast_m"]) == pytest.approx((DISTANCE_M, 0.013), rel=1e-12)
    assert got["close_distance_m"] == pytest.approx(DISTANCE_M / 2, rel=1e-12)
    on: dict[str, Any] = info(turned)
    assert on["distance_m"] == pytest.approx(-DISTANCE_M, rel=1e-12)


def test_a_detector_turned_about_the_sample_goes_behind_it() -> None:
    """Which is what was asked for, and no question of its normal."""
    behind = XDS.replace({"detector.twotheta_deg": 150.0})
    on, corrected = picture(behind), picture(behind, off("normal_towards_source"))
    assert on.tobytes() == corrected.tobytes()
    got: dict[str, Any] = info(behind, off("normal_towards_source", "ratio_before_twotheta"))
    assert got["pix0_m"][2] < 0.0
    assert got["close_distance_m"] == pytest.approx(DISTANCE_M, rel=1e-12)
    assert got["distance_m"] == pytest.approx(DISTANCE_M / np.cos(np.radians(150)), rel=1e-12)


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
def test_a_close_distance_below_zero_is_told() -> None:
    behind = STILL.replace({"detector.twotheta_deg": 120.0})
    result = nb.simulate(behind, CONSTANT)
    assert "close_distance_negative" in result.plan.warnings
    assert result.image.max() < 0.0
    (text,) = (text for text in result.plan.sentences() if "close distance" in text)
    assert text.startswith("the close distance is -0.03 m, because the detector's normal points at")
    for experiment, quirks in ((behind, off("normal_towards_source")), (STILL, nb.Quirks())):
        result = nb.simulate(experiment, CONSTANT, quirks=quirks)
        assert "close_distance_negative" not in result.plan.warnings
        assert result.image.min() > 0.0


def test_strictly_no_file_has_negative_photons(tmp_path: Path, capsys: Any) -> None:
    words = [*BACKWARDS.split(), "-twotheta", "120", "--strict"]
    assert run_in_process(tmp_path, words).exit == 9
    assert "error: the close distance is -0.05 m" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    quirks = ["--quirks", "nanobragg,-normal_towards_source"]
    assert run_in_process(tmp_path, [*words, *quirks]).exit == 0
    assert np.fromfile(tmp_path / "floatimage.bin", "<f4").min() >= 0.0


# --- 030 twotheta_axis_length

AXIS = {"detector.convention": "custom", "detector.twotheta_deg": 15.0}


@for_each("length", [0.1, 1.0, 3.0])
def test_an_axis_of_any_length_turns_alike(length: float) -> None:
    axis = np.array([0.2, 0.3, -0.9])
    turned = STILL.replace({**AXIS, "detector.twotheta_axis": tuple(length * unit(axis))})
    got: dict[str, Any] = info(turned, off("twotheta_axis_length"))
    matrix = rotation(unit(axis), np.radians(15.0))
    assert got["fast_axis"] == pytest.approx(matrix @ (0, 0, 1), abs=1e-15)
    assert got["slow_axis"] == pytest.approx(matrix @ (0, -1, 0), abs=1e-15)
    assert got["normal_axis"] == pytest.approx(matrix @ (1, 0, 0), abs=1e-15)
    assert got["twotheta_axis"] == pytest.approx(unit(axis), abs=1e-15)
    on: dict[str, Any] = info(turned)
    is_rigid = np.linalg.norm(on["fast_axis"]) == pytest.approx(1.0, abs=1e-12)
    assert is_rigid == (length == 1.0)
    assert on["twotheta_axis"] == pytest.approx(length * unit(axis), abs=1e-15)


def test_an_axis_without_direction() -> None:
    """Which only the C interface lets through: fields of an experiment have a rule."""
    with pytest.raises(nb.ConfigError, match=r"detector\.twotheta_axis"):
        nb.Detector(twotheta_axis=(0, 0, 0))


# --- 032 distance_beside_close


def both(distance_mm: float, close_mm: float, **changes: Any) -> nb.Experiment:
    given = {"detector.distance_mm": distance_mm, "detector.close_distance_mm": close_mm}
    return STILL.replace({**given, **{f"detector.{name}": v for name, v in changes.items()}})


COSINE = float(np.cos(np.radians(20.0)))


@for_each(
    "distance_mm, close_mm, changes, is_consistent",
    [
        (70.0, 70.0, {}, True),
        (70.0, 60.0, {}, False),
        (70.0, 70.0 * (1 + 0.9e-5), {}, True),
        (70.0, 70.0 * (1 + 1.1e-5), {}, False),
        (70.0, 70.0 * COSINE, {"rotation_deg": (0, 20, 0)}, True),
        (70.0, 70.0, {"rotation_deg": (0, 20, 0)}, False),
        (70.0, 70.0, {"convention": "xds", "twotheta_deg": 20}, True),
        (100.0, 60.0, {}, True),  # the default counts as not given
    ],
)
def test_two_distances_of_an_experiment(
    distance_mm: float, close_mm: float, changes: dict[str, Any], is_consistent: bool
) -> None:
    experiment = both(distance_mm, close_mm, **changes)
    alone = experiment.replace({"detector.distance_mm": 100.0})
    plan = Plan(experiment, CONSTANT, nb.Quirks()).resolved()
    assert ("distance_ignored" in plan.warnings) != is_consistent
    assert picture(experiment).tobytes() == picture(alone).tobytes()
    quirks = off("distance_beside_close")
    if is_consistent:
        assert picture(experiment, quirks).tobytes() == picture(alone).tobytes()
        return
    with pytest.raises(nb.ConfigError, match=r"detector\.distance_mm|detector\.distance_m") as told:
        picture(experiment, quirks)
    assert "distance_beside_close is off" in str(told.value)


def test_the_error_names_both_values_and_what_would_fit() -> None:
    with pytest.raises(nb.ConfigError) as told:
        picture(both(70.0, 60.0, rotation_deg=(0, 20, 0)), off("distance_beside_close"))
    for value in ("0.07 ", "0.06 ", f"{0.07 * COSINE:.9g}"):
        assert value in str(told.value)


def test_a_corner_that_decides_makes_both_distances_idle() -> None:
    experiment = both(70.0, 60.0, pix0_m=(0.06, 0.012, -0.009))
    quirks = off("distance_beside_close", "pix0_ignored")
    assert (
        picture(experiment, quirks).tobytes()
        == picture(STILL.replace({"detector.pix0_m": (0.06, 0.012, -0.009)}), quirks).tobytes()
    )
    with pytest.raises(nb.ConfigError):
        picture(experiment, off("distance_beside_close"))


@for_each(
    "words, distance_mm, close_mm",
    [
        ("-distance 70 -close_distance 60", 100.0, 60.0),
        ("-close_distance 60 -distance 70", 70.0, None),
        ("-close_distance 60 -distance 100", 100.0, None),
        ("-distance 70", 70.0, None),
        ("-close_distance 60", 100.0, 60.0),
    ],
)
def test_the_last_of_two_flags_counts(
    words: str, distance_mm: float, close_mm: float | None
) -> None:
    command = parse_command(f"-cell 70 80 90 90 90 90 {words}", quirks=nb.Quirks.none())
    detector = command.experiment.detector
    assert (detector.distance_mm, detector.close_distance_mm) == (distance_mm, close_mm)
    is_told = [text for text in command.warnings if "was given after it" in text]
    assert len(is_told) == (words.count("distance") - 1)


def test_on_the_close_distance_counts_and_that_is_told(tmp_path: Path, capsys: Any) -> None:
    words = "-cell 70 80 90 90 90 90 -default_F 100 -N 5 -detpixels 16 -pixel 0.4 -oversample 1"
    images = []
    for distances, said in (
        ("-close_distance 60", ""),
        ("-close_distance 60 -distance 70", "warning: the distance is ignored, because"),
        ("-close_distance 60 -distance 100", "warning: the distance of 100 mm is ignored beside"),
        ("-close_distance 60 -distance 60", ""),
    ):
        args = [*words.split(), *distances.split()]
        assert run_in_process(tmp_path, args).exit == 0
        told = capsys.readouterr().err
        assert said in told
        assert ("ignored" in told) == bool(said)
        images.append(hashlib.sha256((tmp_path / "floatimage.bin").read_bytes()).hexdigest())
        assert run_in_process(tmp_path, [*args, "--strict"]).exit == 0  # scripts do that
        capsys.readouterr()
    # the flag that comes last says where the pivot is, which an upright detector does not mind
    assert len(set(images)) == 1


def test_a_header_has_no_last_word(tmp_path: Path) -> None:
    """Its close distance counts, as always; a flag beside it is the last word."""
    header = (
        "{\nHEADER_BYTES=512;\nSIZE1=8;\nSIZE2=6;\nPIXEL_SIZE=0.5;\nCLOSE_DISTANCE=110;\n"
        "DISTANCE=120;\nWAVELENGTH=1;\nORGX=4;\nORGY=3;\n}\f"
    )
    path = tmp_path / "a.img"
    path.write_bytes(header.encode().ljust(512) + bytes(96))
    for quirks in (off("distance_beside_close"), off("distance_beside_close", "smv_header_search")):
        command = parse_command(f"-img {path}", quirks=quirks)
        detector = command.experiment.detector
        assert (detector.distance_mm, detector.close_distance_mm) == (100.0, 110.0)
        assert command.warnings == ()
        detector = parse_command(f"-img {path} -distance 90", quirks=quirks).experiment.detector
        assert (detector.distance_mm, detector.close_distance_mm) == (90.0, None)


def test_pictures_differ_by_the_distance_that_counts() -> None:
    near, far = (picture(STILL.replace({"detector.distance_mm": d})) for d in (60.0, 70.0))
    assert_differs(near, far, 0.05)
    assert_same(picture(both(70.0, 60.0)), near)
