"""XDS.INP and XPARM.XDS: pixels, segments, crystals, rotation, and faults with their lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from for_each import for_each
from geometry_files import XDS_INP, XPARM
from positions import TO_SIMULATOR, about, five_pixels, laboratory_mm, plan_of, reciprocal_at

import nanobragg_hybrid as nb

REAL = np.array([[40.0, 1.0, 2.0], [-1.5, 50.0, 0.5], [3.0, -2.0, 60.0]])


def read(folder: Path, text: bytes, name: str = "XDS.INP", image: int | None = 5) -> nb.Experiment:
    (folder / name).write_bytes(text)
    return nb.read_experiment(folder / name, image=image)


def test_pixels_of_a_tilted_detector(tmp_path: Path) -> None:
    plan = plan_of(read(tmp_path, XDS_INP))
    x = np.array([0.9986295347545738, 0.0, -0.05233595624294383])
    y = np.array([0.0, 1.0, 0.0])
    for fast, slow in five_pixels(30, 20):
        # The middle of the first pixel is 1, 1.
        expected = (fast + 0.5 - 15.25) * 0.5 * x + (slow + 0.5 - 10.75) * 0.5 * y
        expected += 150.5 * np.cross(x, y)
        assert np.abs(laboratory_mm(plan, (fast, slow), "xds") - expected).max() < 1e-9


def test_what_else_it_says(tmp_path: Path) -> None:
    experiment = read(tmp_path, XDS_INP, image=6)
    assert experiment.beam.wavelength_angstrom == 1.25
    assert experiment.beam.direction == (1.0, 0.0, 0.0)
    assert experiment.beam.polarization_kahn == pytest.approx(0.9)
    assert experiment.beam.polarization_axis == (0.0, 0.0, 1.0)
    assert experiment.goniometer.spindle_axis == (0.0, -1.0, 0.0)
    # frame 3 begins at 10, and this is frame 6
    assert experiment.goniometer.phi_deg == 10.75
    assert experiment.goniometer.osc_deg == 0.25
    (only,) = experiment.detector.panels or ()
    assert only.sensor_thickness_um == 320.0
    assert only.sensor_attenuation_depth_um == 1000.0 / 3.5
    assert only.trusted_range == (0.0, 1000.0)
    assert only.mask is not None
    expected = np.ones((20, 30), dtype=bool)
    expected[0:5, 4:7] = False  # pixels 5 to 7 and 1 to 5, counted from 1
    assert np.array_equal(only.mask.values, expected)


@for_each("name, text", [("XDS.INP", XDS_INP), ("XPARM.XDS", XPARM)])
def test_crystal_at_each_angle(name: str, text: bytes, tmp_path: Path) -> None:
    experiment = read(tmp_path, text, name, None if name == "XPARM.XDS" else 5)
    plan = plan_of(experiment)
    for phi in (0.0, 10.0, -33.3):
        expected = about((0, 1, 0), phi) @ np.linalg.inv(REAL)
        assert np.abs(reciprocal_at(plan, phi, "xds") - expected).max() < 1e-14


def test_xparm(tmp_path: Path) -> None:
    experiment = read(tmp_path, XPARM, "GXPARM.XDS", 3)
    assert experiment.goniometer.phi_deg == 10.0
    plan = plan_of(experiment)
    for fast, slow in five_pixels(30, 20):
        expected = [(fast + 0.5 - 15.25) * 0.5, (slow + 0.5 - 10.75) * 0.5, 150.5]
        assert np.abs(laboratory_mm(plan, (fast, slow), "xds") - expected).max() < 1e-9


def old_layout(text: bytes) -> bytes:
    """XPARM.XDS as it was written before 2012."""
    lines = text.decode().splitlines()
    _, size = lines[7].split(None, 1)
    org_x, org_y, distance = lines[8].split()
    order = [lines[1], lines[2], size, f"{distance} {org_x} {org_y}", *lines[9:12], *lines[3:7]]
    return "\n".join([*order, ""]).encode()


def test_an_old_xparm(tmp_path: Path) -> None:
    old = read(tmp_path, old_layout(XPARM), "OLD", 3)
    assert old == read(tmp_path, XPARM, "NEW", 3)
    with pytest.raises(nb.FileFormatError, match=r"OLD:3: need pixels NX, NY >= 1"):
        read(tmp_path, old_layout(XPARM.replace(b"0.500000    0.500000", b"0.5 0")), "OLD", 3)
    with pytest.raises(nb.FileFormatError, match=r"OLD:11: got ' *x', need 3 numbers"):
        read(
            tmp_path,
            old_layout(XPARM.replace(b"3.000000      -2.000000      60.000000", b"x")),
            "OLD",
        )


SEGMENTS = b"""
SEGMENT= 1 10 1 20
DIRECTION_OF_SEGMENT_X-AXIS= 0.8 0 0.6
DIRECTION_OF_SEGMENT_Y-AXIS= 0 1 0
SEGMENT_ORGX= 3.5 SEGMENT_ORGY= -2 SEGMENT_DISTANCE= 7
SEGMENT= 11 30 1 20
DIRECTION_OF_SEGMENT_X-AXIS= 1 0 0
DIRECTION_OF_SEGMENT_Y-AXIS= 0 0 1
SEGMENT_ORGX= 0 SEGMENT_ORGY= 0 SEGMENT_DISTANCE= -3
"""


def test_segments(tmp_path: Path) -> None:
    experiment = read(tmp_path, XDS_INP + SEGMENTS)
    assert experiment.detector.panel_names == ("segment1", "segment2")
    x, y = np.array([0.9986295347545738, 0.0, -0.05233595624294383]), np.array([0.0, 1.0, 0.0])
    z = np.cross(x, y)
    described = [
        (1, 10, np.array([0.8, 0, 0.6]), np.array([0, 1.0, 0]), 3.5, -2.0, 7.0),
        (11, 20, np.array([1.0, 0, 0]), np.array([0, 0, 1.0]), 0.0, 0.0, -3.0),
    ]
    for number, (x1, n_fast, xs, ys, org_x, org_y, distance) in enumerate(described):
        plan = plan_of(experiment, number)
        assert (plan.n_fast, plan.n_slow) == (n_fast, 20)
        for fast, slow in five_pixels(n_fast, 20):
            on_x, on_y = x1 - 0.5 + fast, 0.5 + slow
            on = (on_x - org_x) * 0.5 * xs + (on_y - org_y) * 0.5 * ys
            on = on + distance * np.cross(xs, ys)
            expected = (on[0] - 15.25 * 0.5) * x + (on[1] - 10.75 * 0.5) * y + (on[2] + 150.5) * z
            assert np.abs(laboratory_mm(plan, (fast, slow), "xds") - expected).max() < 1e-9
    masks = [panel.mask for panel in experiment.detector.panels or ()]
    assert masks[0] is not None
    assert masks[1] is None
    assert (~masks[0].values).sum() == 15


def test_segments_of_xparm(tmp_path: Path) -> None:
    lines = XPARM.decode().splitlines()
    lines[7] = "2 30 20 0.5 0.5"
    lines[12:] = ["1 1 10 1 20", "3.5 -2 7  0.8 0 0.6  0 1 0", "2 11 30 1 20", "0 0 -3 1 0 0 0 0 1"]
    by_xparm = read(tmp_path, "\n".join(lines).encode(), "XPARM.XDS", None)
    plain = XDS_INP.replace(b"0.9986295347545738 0 -0.05233595624294383", b"1 0 0")
    by_input = read(tmp_path, plain + SEGMENTS)
    for one, other in zip(
        by_xparm.detector.panels or (), by_input.detector.panels or (), strict=True
    ):
        assert one.origin_mm == other.origin_mm
        assert one.fast_axis == other.fast_axis


@for_each("beam", [(0.0, 0.0, 1.0), (0.1, -0.2, 1.0), (-1.0, 0.0, 0.0)])
def test_beams(beam: tuple[float, float, float], tmp_path: Path) -> None:
    words = " ".join(map(str, beam)).encode()
    experiment = read(
        tmp_path,
        XDS_INP.replace(b"BEAM_DIRECTION= 0 0 1", b"BEAM_DIRECTION= " + words),
    )
    expected = TO_SIMULATOR["xds"] @ np.array(beam) / np.linalg.norm(beam)
    assert np.allclose(experiment.beam.direction, expected, atol=1e-15)


def test_a_still_and_no_crystal(tmp_path: Path) -> None:
    text = XDS_INP.replace(b"OSCILLATION_RANGE=0.25\n", b"").replace(b"UNIT_CELL", b"UNIT_SELL")
    experiment = read(tmp_path, text, image=None)
    assert experiment.goniometer == nb.Goniometer()
    assert experiment.crystal == nb.Crystal()


@for_each("keyword", ["X-GEO_CORR", "UNTRUSTED_ELLIPSE"])
def test_what_is_not_used_is_said(keyword: str, tmp_path: Path) -> None:
    with pytest.warns(nb.NanobraggWarning, match=f"{keyword} is not used"):
        read(tmp_path, XDS_INP + f"{keyword}= 1 2 3 4\n".encode())


def changed(old: bytes, new: bytes, text: bytes = XDS_INP) -> bytes:
    assert old in text
    return text.replace(old, new)


FAULTS: dict[str, tuple[bytes, str]] = {
    "no wavelength": (changed(b"X-RAY_WAVELENGTH=1.25\n", b""), ": has no X-RAY_WAVELENGTH"),
    "no distance": (changed(b"DETECTOR_DISTANCE=150.5\n", b""), ": has no DETECTOR_DISTANCE"),
    "word": (changed(b"ORGX=15.25", b"ORGX=x"), ":8: ORGX: got 'x', need 1 number"),
    "nothing": (changed(b"ORGY=10.75", b"ORGY="), ":8: ORGY: got '', need 1 number"),
    "infinite": (changed(b"ORGY=10.75", b"ORGY=inf"), ":8: ORGY: got 'inf', need 1 number"),
    "half a pixel": (
        changed(b"NX=30", b"NX=30.5"),
        ":10: NX: got '30.5', need a whole number >= 1",
    ),
    "pixel of 0": (changed(b"QX=0.5", b"QX=0"), ":10: QX: got '0', need a number > 0"),
    "two numbers": (
        changed(b"ROTATION_AXIS= 0 1 0", b"ROTATION_AXIS= 0 1"),
        ":12: ROTATION_AXIS: got '0 1', need 3 numbers",
    ),
    "no direction": (
        changed(b"ROTATION_AXIS= 0 1 0", b"ROTATION_AXIS= 0 0 0"),
        ":12: ROTATION_AXIS: got '0 0 0', need a direction, not 0 0 0",
    ),
    "images": (changed(b"RANGE=5 8", b"RANGE=8 5"), ":19: DATA_RANGE: got '8 5', need two numbers"),
    "backwards": (
        changed(b"OSCILLATION_RANGE=0.25", b"OSCILLATION_RANGE=-1"),
        ":18: OSCILLATION_RANGE: got '-1', need a number >= 0",
    ),
    "flat cell": (
        changed(b"C-AXIS= 3 -2 60", b"C-AXIS= 38.5 51 2.5"),
        ":22: UNIT_CELL_C-AXIS: got '38.5 51 2.5', need three axes",
    ),
    "two axes": (changed(b"UNIT_CELL_C", b"UNIT_SELL_C"), ": has no UNIT_CELL_C-AXIS"),
    "segment before": (
        b"SEGMENT_ORGX= 3\n" + XDS_INP,
        ":1: SEGMENT_ORGX: no SEGMENT before it",
    ),
    "empty segment": (
        XDS_INP + b"SEGMENT= 5 4 1 2\n",
        ":23: SEGMENT: got '5 4 1 2', need x1 <= x2",
    ),
    "skewed": (
        changed(b"Y-AXIS= 0 1 0", b"Y-AXIS= 0.3 1 0"),
        ": detector.panels[panel0].slow_axis: got",
    ),
    "XPARM cut": (XPARM[:600], ":13: got"),
    "XPARM without axis": (
        changed(b"0.000000  1.000000  0.000000", b"0 0 0", XPARM),
        ":2: got 0 0 0, need a direction",
    ),
    "XPARM of no wavelength": (
        changed(b"1.250000       0.0", b"0.0       0.0", XPARM),
        ":3: got a wavelength of 0.0, need a number > 0",
    ),
    "XPARM flat": (
        changed(b"3.000000      -2.000000      60.0", b"38.5 51 2.5", XPARM),
        ":5: got three cell axes in a plane, need a cell",
    ),
}


@for_each("case", FAULTS)
def test_faults_name_line_and_keyword(case: str, tmp_path: Path) -> None:
    text, message = FAULTS[case]
    path = tmp_path / "file"
    path.write_bytes(text)
    with pytest.raises(nb.FileFormatError) as caught:
        nb.read_experiment(path, image=3 if case.startswith("XPARM") else 5)
    assert str(caught.value).startswith(f"{path}{message}"), str(caught.value)
