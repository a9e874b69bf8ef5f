"""Experiments that go out and come back: the same pixels, the same bytes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from positions import TO_SIMULATOR, about, five_pixels, laboratory_mm, plan_of, reciprocal_at

import nanobragg_hybrid as nb
from nanobragg_hybrid.run.experiment_files import GEOMETRY_FORMATS

FACTORS = nb.StructureFactors.constant(100.0)
BASE = nb.Experiment(
    beam=nb.Beam(wavelength_angstrom=1.1, polarization_kahn=0.9),
    crystal=nb.Crystal(
        cell_angstrom=(40, 50, 60),
        cell_deg=(90, 100, 90),
        misset_deg=(10, 20, 30),
        n_cells=(7, 6, 5),
    ),
    goniometer=nb.Goniometer(phi_deg=12.3, osc_deg=0.7, phi_steps=3),
    detector=nb.Detector(distance_mm=90, n_fast=40, n_slow=30, pixel_size_mm=1.1),
    sampling=nb.Sampling(oversample=1),
)
MASK = np.ones((20, 30), dtype=bool)
MASK[3:5, 7:9] = MASK[19, 0] = MASK[0, 29] = False
PANELS = (
    nb.Panel("a", (100, 20, -30), (0.01, 0.02, 1), (0, -1, 0.02), 30, 20, 1.25),
    nb.Panel(
        "b", (90, 20, 3), (0.01, 0.02, 1), (0, -1, 0.02), 30, 20, 1.25,
        sensor_thickness_um=320.0, sensor_attenuation_depth_um=250.0, mask=nb.Mask(MASK),
        trusted_range=(-1.0, 5000.0),
    ),
)  # fmt: skip
EXPERIMENTS = {
    "plain": BASE,
    "denzo": BASE.replace({"detector.convention": "denzo", "detector.beam_x_mm": 15.0}),
    "xds": BASE.replace({"detector.convention": "xds"}),
    "tilted": BASE.replace({"detector.rotation_deg": (1, 2, 3), "detector.twotheta_deg": 10.0}),
    "panels": BASE.replace({"detector": nb.Detector(panels=PANELS)}),
    "turned panels": BASE.replace({"detector": nb.Detector(panels=PANELS, rotation_deg=(1, 0, 2))}),
    "oblong pixels": BASE.replace({"detector.pixel_size_mm": (1.1, 0.8)}),
    "still": BASE.replace({"goniometer.osc_deg": 0.0, "goniometer.phi_steps": None}),
}
NAMES = {"dials": "some.expt", "xds": "XDS.INP", "crystfel": "some.geom"}


def for_format(experiment: nb.Experiment, kind: str) -> nb.Experiment:
    """Without the sensor of one panel, for which only DIALS has a place."""
    detector = experiment.detector
    if kind == "dials" or detector.panels is None:
        return experiment
    panels = [
        dataclasses.replace(panel, sensor_thickness_um=0.0, trusted_range=(-1.0, 5000.0))
        for panel in detector.panels
    ]
    return experiment.replace({"detector": dataclasses.replace(detector, panels=panels)})


def turned(name: str) -> np.ndarray:
    """How the experiment of a convention is turned as a whole."""
    return TO_SIMULATOR["xds"] if name == "xds" else np.eye(3)


def back(folder: Path, experiment: nb.Experiment, kind: str) -> nb.Experiment:
    """Written and read, completed by what such a file does not hold."""
    path = folder / NAMES[kind]
    nb.write_experiment(path, experiment)
    is_turned_still = experiment.goniometer.osc_deg == 0.0 and kind != "crystfel"
    like = experiment.replace({"goniometer": nb.Goniometer()}) if is_turned_still else experiment
    return nb.read_experiment(path, like=like)


def steps_apart(one: nb.Experiment, other: nb.Experiment) -> tuple[int, int]:
    """How many pixels of their images differ, and by how many units in the last place."""
    count = most = 0
    results = nb.simulate(one, FACTORS), nb.simulate(other, FACTORS)
    for a, b in zip(results[0].images, results[1].images, strict=True):
        assert a.max() > 100.0
        distance = np.abs(a.view(np.int32).astype(np.int64) - b.view(np.int32))
        count += int((distance > 0).sum())
        most = max(most, int(distance.max()))
    return count, most


@pytest.mark.filterwarnings("ignore:.*has no place for the")
@for_each("kind", GEOMETRY_FORMATS)
def test_pixels_and_crystals_come_back(kind: str, tmp_path: Path) -> None:
    for name, full in EXPERIMENTS.items():
        experiment, turn = for_format(full, kind), turned(name)
        read = back(tmp_path, experiment, kind)
        for number in range(len(experiment.detector.shapes)):
            before, after = plan_of(experiment, number), plan_of(read, number)
            for pixel in five_pixels(before.n_fast, before.n_slow):
                was = turn @ laboratory_mm(before, pixel, "mosflm")
                moved = was - laboratory_mm(after, pixel, "mosflm")
                assert np.abs(moved).max() < 1e-12, name
            assert np.allclose(turn @ before.beam_direction, after.beam_direction, atol=1e-15)
            if kind != "crystfel":
                for phi in (0.0, 12.3):
                    still = name == "still"
                    was = turn @ reciprocal_at(before, 12.3 if still else phi, "mosflm")
                    found = reciprocal_at(after, 0.0 if still else phi, "mosflm")
                    assert np.allclose(was, found, rtol=0, atol=1e-16), name
        masks = [panel.mask for panel in read.detector.panels or ()]
        assert masks[-1] == (PANELS[1].mask if "panels" in name else None)


@pytest.mark.filterwarnings("ignore:.*has no place for the")
@for_each("kind", GEOMETRY_FORMATS)
def test_images_are_the_same_to_one_unit_in_the_last_place(kind: str, tmp_path: Path) -> None:
    """A spot or two of thousands of pixels is a unit off; nearly all files give the same bytes."""
    for name, full in EXPERIMENTS.items():
        if kind == "crystfel" and name == "xds":
            continue  # the crystal, of which it has none, is not turned
        experiment = for_format(full, kind)
        count, most = steps_apart(experiment, back(tmp_path, experiment, kind))
        assert count <= 2, name
        assert most <= 1, name


@for_each("name", ["panels", "plain"])
def test_what_was_read_once_is_written_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    first = back(tmp_path, EXPERIMENTS[name], "dials")
    again = back(tmp_path, first, "dials")
    assert again.detector == first.detector
    assert steps_apart(first, again) == (0, 0)


def test_what_a_file_of_dials_has(tmp_path: Path) -> None:
    nb.write_experiment(tmp_path / "some.expt", EXPERIMENTS["panels"])
    data = json.loads((tmp_path / "some.expt").read_text())
    assert data["__id__"] == "ExperimentList"
    assert data["experiment"] == [
        {
            "__id__": "Experiment",
            "identifier": "",
            "beam": 0,
            "detector": 0,
            "goniometer": 0,
            "scan": 0,
            "crystal": 0,
        }
    ]
    assert data["beam"][0]["direction"] == [0.0, 0.0, 1.0]
    assert data["beam"][0]["wavelength"] == 1.1
    assert data["beam"][0]["polarization_fraction"] == 0.95
    assert data["beam"][0]["polarization_normal"] == [0.0, 1.0, 0.0]
    assert data["scan"][0]["oscillation"] == [12.3, 0.7]
    assert data["scan"][0]["image_range"] == [1, 1]
    assert data["goniometer"][0]["rotation_axis"] == [1.0, 0.0, 0.0]
    first, second = data["detector"][0]["panels"]
    assert first["origin"] == [-30.0, 20.0, -100.0]
    assert first["image_size"] == [30, 20]
    assert second["thickness"] == 0.32
    assert second["mu"] == 4.0
    assert second["pedestal"] == 40.0
    assert second["mask"] == [[29, 0, 30, 1], [7, 3, 9, 5], [0, 19, 1, 20]]
    assert second["trusted_range"] == [39.0, 5040.0]
    children = data["detector"][0]["hierarchy"]["children"]
    assert children == [{"panel": 0}, {"panel": 1}]
    cell = [np.linalg.norm(data["crystal"][0][f"real_space_{axis}"]) for axis in "abc"]
    assert np.allclose(cell, [40, 50, 60], rtol=1e-12)


def test_a_still_is_written_as_the_crystal_stands(tmp_path: Path) -> None:
    nb.write_experiment(tmp_path / "some.expt", EXPERIMENTS["still"])
    data = json.loads((tmp_path / "some.expt").read_text())
    assert "scan" not in data["experiment"][0]
    real = np.array([data["crystal"][0][f"real_space_{axis}"] for axis in "abc"])
    plan = plan_of(EXPERIMENTS["still"])
    turned = 1e10 * np.array([plan.a0_m, plan.b0_m, plan.c0_m]) @ about((0, 0, 1), 12.3).T
    assert np.allclose(real, turned @ TO_SIMULATOR["dials"], rtol=1e-12)


def test_without_a_crystal(tmp_path: Path) -> None:
    nb.write_experiment(tmp_path / "some.expt", BASE.replace({"crystal": nb.Crystal()}))
    assert json.loads((tmp_path / "some.expt").read_text())["crystal"] == []


def test_quirks_decide_what_is_rendered_and_so_what_is_written(tmp_path: Path) -> None:
    triclinic = BASE.replace({"crystal.cell_deg": (75, 85, 95)})
    angles = []
    for quirks in (nb.Quirks(), nb.Quirks.parse("nanobragg,-triclinic_cell")):
        nb.write_experiment(tmp_path / "some.expt", triclinic, quirks=quirks)
        data = json.loads((tmp_path / "some.expt").read_text())["crystal"][0]
        b, c = (np.array(data[f"real_space_{axis}"]) for axis in "bc")
        angles.append(np.degrees(np.arccos(b @ c / np.linalg.norm(b) / np.linalg.norm(c))))
    assert abs(angles[1] - 75.0) < 1e-9
    assert 0.01 < abs(angles[0] - 75.0) < 1.0


@for_each(
    "changes, text",
    [
        (
            {"beam.dispersion_percent": 1.0, "beam.dispersion_steps": 3},
            "one direction and one wave",
        ),
        ({"beam.polarization_correction": False}, "no polarization factor cannot be written"),
    ],
)
def test_what_cannot_be_written_is_said(
    changes: dict[str, object], text: str, tmp_path: Path
) -> None:
    with pytest.warns(nb.NanobraggWarning, match=text) as caught:
        nb.write_experiment(tmp_path / "some.expt", BASE.replace(changes))
    assert [warning.filename for warning in caught] == [__file__]


def test_what_crystfel_has_no_place_for(tmp_path: Path) -> None:
    with pytest.warns(nb.NanobraggWarning) as caught:
        nb.write_experiment(tmp_path / "some.geom", BASE)
    said = [str(warning.message).rpartition(": ")[2] for warning in caught]
    assert said == [
        f"has no place for the {what}, which is not written"
        for what in ("crystal", "scan", "polarization")
    ]
    tilted = BASE.replace({"beam.direction": (1, 0.1, 0)})
    with pytest.raises(nb.UnsupportedError, match="has its beam along its z axis"):
        nb.write_experiment(tmp_path / "other.geom", tilted)
    assert not (tmp_path / "other.geom").exists()


def test_formats_by_name_and_by_word(tmp_path: Path) -> None:
    nb.write_experiment(tmp_path / "some.txt", BASE, format="xds")
    assert "DETECTOR_DISTANCE=" in (tmp_path / "some.txt").read_text()
    with pytest.raises(nb.ConfigError, match="format: got 'mosflm', need one of dials, xds, cryst"):
        nb.write_experiment(tmp_path / "x", BASE, format="mosflm")  # type: ignore[arg-type]
    with pytest.raises(
        nb.ConfigError, match=r"path: got .*, need a name that ends in .expt, xds.inp"
    ):
        nb.write_experiment(tmp_path / "x", BASE)
    curved = BASE.replace({"detector.curved": True})
    with pytest.raises(nb.UnsupportedError, match=r"detector.curved: no geometry file can say"):
        nb.write_experiment(tmp_path / "some.expt", curved)
    assert [path.name for path in tmp_path.iterdir()] == ["some.txt"]


def test_what_xds_has_one_place_for(tmp_path: Path) -> None:
    with pytest.warns(nb.NanobraggWarning) as caught:
        nb.write_experiment(tmp_path / "XDS.INP", EXPERIMENTS["panels"])
    said = [str(warning.message).rpartition(": ")[0].rpartition(": ")[2] for warning in caught]
    assert said == ["has one sensor for all panels", "has one range of counts for all panels"]
    sizes = (PANELS[0], dataclasses.replace(PANELS[1], pixel_size_mm=0.5))
    with pytest.raises(nb.UnsupportedError, match="XDS has one size of pixels for all panels"):
        nb.write_experiment(
            tmp_path / "XDS.INP", BASE.replace({"detector": nb.Detector(panels=sizes)})
        )


@for_each("kind", ["dials", "xds"])
def test_a_scan_of_several_images(kind: str, tmp_path: Path) -> None:
    path = tmp_path / NAMES[kind]
    nb.write_experiment(path, BASE, images=20, template="frame_###.img")
    last = nb.read_experiment(path, image=20)
    assert last.goniometer.phi_deg == pytest.approx(12.3 + 19 * 0.7, abs=1e-12)
    assert last.goniometer.osc_deg == 0.7
    with pytest.raises(nb.ConfigError, match="image: got 21, need 1 to 20"):
        nb.read_experiment(path, image=21)
    if kind == "dials":
        data = json.loads(path.read_text())
        assert data["imageset"] == [{"__id__": "ImageSequence", "template": "frame_###.img"}]
        assert data["experiment"][0]["imageset"] == 0
        assert len(data["scan"][0]["epochs"]) == 20
    else:
        assert "\nNAME_TEMPLATE_OF_DATA_FRAMES= frame_???.img\n" in path.read_text()


@for_each(
    "arguments, message",
    [
        ({"images": 0}, "images: got 0, need an integer 1 to 1000000"),
        ({"images": 2.0}, "images: got 2.0, need an integer 1 to 1000000"),
        ({"template": "frame.img"}, "template: got 'frame.img', need a name with a # for each"),
        ({"format": "crystfel", "images": 2}, "images: got 2, need 1 without an oscillation"),
        ({"format": "crystfel", "template": "a#"}, "template: got 'a#', need None: a CrystFEL"),
    ],
)
def test_scans_that_cannot_be(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(nb.ConfigError) as caught:
        nb.write_experiment(tmp_path / "some.expt", BASE, **arguments)
    assert message in str(caught.value)
    with pytest.raises(nb.ConfigError, match="images: got 2, need 1 without an oscillation"):
        nb.write_experiment(tmp_path / "some.expt", EXPERIMENTS["still"], images=2)
    assert list(tmp_path.iterdir()) == []


def test_the_order_of_earlier_versions(tmp_path: Path) -> None:
    nb.write_experiment(tmp_path / "new.expt", BASE)
    nb.write_experiment(experiment=BASE, path=tmp_path / "named.expt")
    with pytest.warns(DeprecationWarning, match="the path comes first now") as found:
        nb.write_experiment(BASE, str(tmp_path / "old.expt"), images=1)
    assert [each.filename for each in found] == [__file__]
    written = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(list(tmp_path.iterdir())) == 3
    assert len(written) == 1
    for arguments, name in (
        ((BASE, BASE), "path"),
        ((3, BASE), "path"),
        ((BASE, 3), "experiment"),
        (("x.expt", "BASE"), "experiment"),
    ):
        with pytest.raises(nb.ConfigError) as error:
            nb.write_experiment(*arguments)  # type: ignore[arg-type]
        assert error.value.field == name
