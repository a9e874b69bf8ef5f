"""Geometry files as few programs write them: what they say counts, or is refused by its name."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from geometry_files import GEOM, IMGCIF, MINICBF, SMV, STREAM, XDS_INP, XPARM, expt, panel
from positions import five_pixels, laboratory_mm, plan_of, reciprocal_at

import nanobragg_hybrid as nb

MINI = MINICBF.replace(b"# Silicon sensor, thickness 0.000320 m\n", b"")


def changed(data: bytes, *pairs: tuple[bytes, bytes]) -> bytes:
    for old, new in pairs:
        assert old in data, old
        data = data.replace(old, new, 1)
    return data


def read(folder: Path, name: str, data: bytes | dict[str, Any], **options: Any) -> nb.Experiment:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*groups of panels that move together")
        return nb.read_experiment(path, **options)


WITHOUT_GEOMETRY = (
    STREAM[: STREAM.index(b"----- Begin geom")] + STREAM[STREAM.index(b"----- Begin unit") :]
)
FLAT = (b"+0.2500000 +0.0100000 +0.0000000", b"-0.0100000 +0.2000000 +0.0200000")
ALONG_Y = (b"INCIDENT_BEAM_DIRECTION= 0 0 1", b"INCIDENT_BEAM_DIRECTION= 0 1 0")
FAULTS: list[tuple[str, bytes | dict[str, Any], str]] = [
    ("a.expt", expt(__id__="List"), ": is JSON, but neither a DIALS experiment list nor "),
    ("a.expt", b"[" * 100_000, ": is JSON, need a DIALS experiment list, "),
    ("a.expt", b'{"__id__": ' + b"[" * 100_000, ": no JSON of an experiment: "),
    ("a.expt", b'{"__id__": ' + b"9" * 5000 + b"}", ": no JSON of an experiment: "),
    (
        "a.expt",
        expt(scan=[{"image_range": [1, 4], "oscillation": [10.0, -0.25]}]),
        ": scan[0].oscillation: got [10.0, -0.25], need a width > 0",
    ),
    ("XDS.INP", changed(XDS_INP, (b"ROTATION_AXIS= 0 1 0", b"ROTATION_AXIS= 0 0 0")),
     ":12: ROTATION_AXIS: got '0 0 0', need a direction, not 0 0 0"),
    ("XDS.INP", XDS_INP + b"SEGMENT= 1 30 1 20\nDIRECTION_OF_SEGMENT_X-AXIS= 0 0 0\n",
     ":24: DIRECTION_OF_SEGMENT_X-AXIS: got '0 0 0', need a direction, not 0 0 0"),
    ("XDS.INP", changed(XDS_INP, (b"PLANE_NORMAL= 0 1 0", b"PLANE_NORMAL= 0 0 2")),
     ":16: POLARIZATION_PLANE_NORMAL: got '0 0 2', need a direction that is not the beam's"),
    ("XDS.INP", changed(XDS_INP, (b"POLARIZATION_PLANE_NORMAL= 0 1 0", b""), ALONG_Y),
     ": POLARIZATION_PLANE_NORMAL: got nothing, 0 1 0, need a direction that is not the beam's"),
    ("XPARM.XDS", changed(XPARM, (b"10.0000    0.2500", b"10.0000   -0.2500")),
     ":2: got an oscillation of -0.25, need a number >= 0"),
    ("XPARM.XDS", changed(XPARM, (b"1        30         1        20", b"9 8 1 20")),
     ":13: need a segment of pixels x1 <= x2, y1 <= y2, from 1"),
    ("two.geom", changed(GEOM, (b"+0.8x", b"+0.8.1x")),
     ":12: p0/fs: got '+0.8.1x +0.6y', need a vector like +0.01x -1.0y"),
    ("two.geom", changed(GEOM, (b"p0/max_fs = 29", b"p0/max_fs = 28.5")),
     ":9: p0/max_fs: got '28.5', need a whole number >= 0"),
    ("two.geom", GEOM.replace(b"two", b"t\0o"), ":1: is no text: it has a byte of value 0"),
    ("a.stream", WITHOUT_GEOMETRY,
     ": has no geometry file in it: it was written without its header"),
    ("a.stream", changed(STREAM, FLAT),
     ":65: astar, bstar, cstar: need three vectors that do not lie in a plane"),
    ("a.stream", changed(STREAM, (b"photon_energy_eV = 99", b"photon_energy_eV = -99")),
     ":39: photon_energy_eV: got -9918.735875, need a number > 0"),
    ("a.cbf", changed(IMGCIF, (b"DISTANCE 0  0 1", b"DISTANCE 0 0 0")),
     ": _axis ARM.vector: got '0 0 0', need a direction"),
    ("a.cbf", changed(IMGCIF, (b"TWOTHETA 0  0 -1 0 0 0", b"TWOTHETA 0 0 0 0 0 0")),
     ": _axis DISTANCE.vector: got '0 0 0', need a direction"),
    ("a.cbf", changed(IMGCIF, (b".        0  0 1  . . .", b". 0 1 0 . . .")),
     ": _diffrn_radiation.polarizn_source_norm: got '0', need a beam that is not along Y, "),
    ("a.cbf", changed(IMGCIF, (b"data_image_1\n", b"data_image_1\n'stray'\n")),
     ":4: got 'stray', need the name of an item"),
    ("a.cbf", changed(IMGCIF, (b"data_image_1\n", b"data_image_1\nloop_\n1 2\n")),
     ":4: a loop_ without names of items"),
    ("a.cbf", changed(MINI, (b"172e-6 m x 172e-6", b"0 m x 172e-6")),
     ": Pixel_size: got "),
    ("a.cbf", changed(MINI, (b"Fastest-Dimension: 30", b"Fastest-Dimension: 0")),
     ": has no X-Binary-Size-Fastest-Dimension in its binary section"),
    ("a.img", changed(SMV, (b"DISTANCE=150;", b"XDS_ORGX=3;XDS_ORGY=4;")), ": "),
]  # fmt: skip


@for_each("name, data, message", FAULTS, ids=lambda row: row[2])
def test_faults_name_their_place(
    name: str, data: bytes | dict[str, Any], message: str, tmp_path: Path
) -> None:
    image = 1 if name in ("a.expt", "XPARM.XDS", "a.stream") else None
    with pytest.raises(nb.FileFormatError) as caught:
        read(tmp_path, name, data, image=image)
    assert str(caught.value).startswith(f"{tmp_path / name}{message}"), str(caught.value)


def test_a_still_that_turns_back(tmp_path: Path) -> None:
    """One exposure of DIALS and of a miniCBF has no direction: from its end to its start."""
    scan = {"image_range": [1, 1], "oscillation": [10.0, -0.25]}
    experiment = read(tmp_path, "a.expt", expt(scan=[scan]))
    assert (experiment.goniometer.phi_deg, experiment.goniometer.osc_deg) == (9.75, 0.25)
    ahead = read(tmp_path, "b.cbf", MINI)
    back = read(
        tmp_path, "a.cbf", changed(MINI, (b"Angle_increment 0.25", b"Angle_increment -0.25"))
    )
    assert (back.goniometer.phi_deg, back.goniometer.osc_deg) == (9.75, 0.25)
    assert back.goniometer.spindle_axis == ahead.goniometer.spindle_axis
    none = read(tmp_path, "a.cbf", changed(MINI, (b"# Angle_increment 0.2500 deg.\n", b"")))
    assert none.goniometer == nb.Goniometer()


def test_imgcif_turns_back_about_the_other_axis(tmp_path: Path) -> None:
    ahead = read(tmp_path, "a.cbf", IMGCIF).goniometer
    back = read(tmp_path, "b.cbf", changed(IMGCIF, (b"PHI 10.0 1.0 0.25", b"PHI 10.0 -1.0 -0.25")))
    assert (ahead.phi_deg, ahead.osc_deg) == (10.5, 0.25)
    assert (back.goniometer.phi_deg, back.goniometer.osc_deg) == (-10.5, 0.25)
    assert np.allclose(np.negative(back.goniometer.spindle_axis), ahead.spindle_axis, atol=1e-15)
    still = changed(IMGCIF, (b"PHI 10.0 1.0 0.25", b"PHI 10.0 0 0"))
    assert read(tmp_path, "c.cbf", still).goniometer == nb.Goniometer()


def test_settings_of_imgcif_are_those_of_the_first_frame(tmp_path: Path) -> None:
    later = b" FRAME1 ARM 30.0 0.0\n FRAME2 ARM 77.0 0.0\n FRAME2 DISTANCE 0.0 500.0\n"
    data = changed(IMGCIF, (b" FRAME1 ARM 30.0 0.0\n", later))
    assert read(tmp_path, "a.cbf", data) == read(tmp_path, "b.cbf", IMGCIF)


@for_each(
    "pair, text",
    [
        (
            (b"_diffrn_radiation_wavelength.wavelength 1.25\n",
             b"loop_\n_diffrn_radiation_wavelength.wavelength\n 1.25\n 1.5\n\n"),
            "the beam has 2 wavelengths: the first is used",
        ),
        (
            (b"_diffrn_radiation_wavelength.wavelength 1.25\n", b""),
            "the header has no wavelength: beam.wavelength_angstrom has its default",
        ),
    ],
)  # fmt: skip
def test_wavelengths_of_imgcif(pair: tuple[bytes, bytes], text: str, tmp_path: Path) -> None:
    (tmp_path / "a.cbf").write_bytes(changed(IMGCIF, pair))
    with pytest.warns(nb.NanobraggWarning) as caught:
        experiment = nb.read_experiment(tmp_path / "a.cbf")
    assert [text in str(each.message) for each in caught] == [True]
    expected = read(tmp_path, "b.cbf", IMGCIF)
    if "default" in text:
        expected = expected.replace({"beam.wavelength_angstrom": nb.Beam().wavelength_angstrom})
    assert experiment == expected


def test_panels_that_are_not_indexed_are_simulated(tmp_path: Path) -> None:
    path = tmp_path / "two.geom"
    path.write_bytes(
        changed(
            GEOM, (b"rigid_group_all = p0,p1\n", b""), (b"p1/min_fs", b"p1/no_index = 1\np1/min_fs")
        )
    )
    with pytest.warns(nb.NanobraggWarning, match="no_index of 1 panels is not used"):
        experiment = nb.read_experiment(path)
    assert experiment == read(tmp_path, "b.geom", GEOM)


def test_a_goniometer_without_fixed_rotation(tmp_path: Path) -> None:
    axis = {"rotation_axis": [1.0, 0.0, 0.0]}
    plain = {**axis, "fixed_rotation": [1, 0, 0, 0, 1, 0, 0, 0, 1]}
    plain["setting_rotation"] = plain["fixed_rotation"]
    a, b = (read(tmp_path, "a.expt", expt(goniometer=[each]), image=1) for each in (axis, plain))
    assert a == b


def test_an_experiment_of_no_detector(tmp_path: Path) -> None:
    """Its detector is that of what it completes."""
    data = expt()
    del data["experiment"][0]["detector"]
    like = nb.Experiment(detector=nb.Detector(distance_mm=77.0))
    experiment = read(tmp_path, "a.expt", data, image=1, like=like)
    assert experiment.detector == like.detector
    assert experiment.beam.wavelength_angstrom == 1.25


def test_a_gain_goes_to_crystfel_and_back(tmp_path: Path) -> None:
    """Names that CrystFEL gives a meaning of their own get another one."""
    panels = [panel(name, gain=2.0) for name in ("bad one", "group")]
    first = read(tmp_path, "a.expt", expt(detector=[{"panels": panels}]), image=1)
    with pytest.warns(nb.NanobraggWarning, match="has no place for"):
        nb.write_experiment(tmp_path / "a.geom", first)
    text = (tmp_path / "a.geom").read_text()
    assert "p0_bad_one/fs = " in text
    assert "p20_group/fs = " in text
    again = read(tmp_path, "a.geom", text.encode(), like=first)
    for number in range(2):
        one, other = plan_of(first, number), plan_of(again, number)
        for pixel in five_pixels(30, 20):
            moved = laboratory_mm(one, pixel, "dials") - laboratory_mm(other, pixel, "dials")
            assert np.abs(moved).max() < 1e-12


def test_a_still_of_xparm(tmp_path: Path) -> None:
    still = changed(XPARM, (b"10.0000    0.2500", b"10.0000    0.0000"))
    experiment = read(tmp_path, "XPARM.XDS", still)
    assert experiment.goniometer == nb.Goniometer()
    real = np.array([[40, 1, 2], [-1.5, 50, 0.5], [3, -2, 60]])
    found = reciprocal_at(plan_of(experiment), 0.0, "xds")
    assert np.abs(found - np.linalg.inv(real)).max() < 1e-14
