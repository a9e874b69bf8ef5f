"""DIALS experiment lists: pixels, crystals at every angle, trees of panels, goniometers."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from geometry_files import expt, panel
from numpy.typing import NDArray
from positions import about, five_pixels, laboratory_mm, plan_of, reciprocal_at

import nanobragg_hybrid as nb

REAL = np.array([[40.0, 1.0, 2.0], [-1.5, 50.0, 0.5], [3.0, -2.0, 60.0]])


def written(folder: Path, data: dict[str, Any]) -> Path:
    path = folder / "some.expt"
    path.write_text(json.dumps(data))
    return path


def read(folder: Path, data: dict[str, Any], **arguments: Any) -> nb.Experiment:
    return nb.read_experiment(written(folder, data), **arguments)


def group(name: str, fast: Any, slow: Any, origin: Any, children: list[Any]) -> dict[str, Any]:
    axes = {"fast_axis": list(fast), "slow_axis": list(slow), "origin": list(origin)}
    return {"name": name, **axes, "children": children}


def test_a_plain_file(tmp_path: Path) -> None:
    experiment = read(tmp_path, expt())
    (only,) = experiment.detector.panels or ()
    assert only.name == "p"
    assert only.origin_mm == (100.0, 12.0, -10.0)
    assert only.fast_axis == (0.0, 0.0, 1.0)
    assert only.slow_axis == (0.0, -1.0, 0.0)
    assert (only.n_fast, only.n_slow, only.pixel_size_mm) == (30, 20, 0.5)
    assert only.trusted_range == (-1.0, 1000.0)
    assert experiment.beam.wavelength_angstrom == 1.25
    assert experiment.beam.direction == (1.0, 0.0, 0.0)
    assert experiment.beam.polarization_axis == (0.0, 0.0, 1.0)
    assert experiment.beam.polarization_kahn == pytest.approx(0.9, abs=1e-15)
    assert experiment.goniometer.phi_deg == 10.0
    assert experiment.goniometer.osc_deg == 0.25
    assert experiment.goniometer.spindle_axis == (0.0, 0.0, 1.0)
    assert experiment.output.adc_offset == 0.0
    assert experiment.output.intensity_scale == 1.0


def test_pixels_of_a_tree_of_panels(tmp_path: Path) -> None:
    """Two groups in each other, turned and shifted, and a panel outside of them."""
    outer, inner = about((1, 2, 3), 25.0), about((-1, 0.5, 0), 10.0)
    shift, step = np.array([5.0, -3.0, -90.0]), np.array([20.0, 1.0, 2.0])
    tree = group("", (1, 0, 0), (0, 1, 0), (0, 0, 0), [
        group("outer", outer[:, 0], outer[:, 1], shift, [
            {"panel": 2},
            group("inner", inner[:, 0], inner[:, 1], step, [{"panel": 0}]),
        ]),
        {"panel": 1},
    ])  # fmt: skip
    turned = about((0, 0, 1), 33.0)
    panels = [
        panel(name, origin=[float(n), 2.0, -1.0], fast_axis=turned[:, 0].tolist(),
              slow_axis=turned[:, 1].tolist())
        for n, name in enumerate("abc")
    ]  # fmt: skip
    panels[1]["origin"] = [1.0, 2.0, -80.0]
    experiment = read(tmp_path, expt(detector=[{"panels": panels, "hierarchy": tree}]))
    assert experiment.detector.panel_names == ("a", "b", "c")
    worst = 0.0
    for number, each in enumerate(panels):
        plan = plan_of(experiment, number)
        for fast, slow in five_pixels(30, 20):
            local = np.array(each["origin"]) + turned @ [0.5 * fast, 0.5 * slow, 0.0]
            expected = local
            if number == 0:
                expected = outer @ (inner @ local + step) + shift
            if number == 2:
                expected = outer @ local + shift
            found = laboratory_mm(plan, (fast, slow), "dials")
            worst = max(worst, float(np.abs(found - expected).max()))
    assert worst < 1e-9


@for_each("phi", [0.0, 10.0, 10.25, -77.5, 123.456])
def test_crystal_at_each_angle(phi: float, tmp_path: Path) -> None:
    """A(phi) = S R(axis, phi) F A, with a fixed and a setting rotation."""
    fixed, setting = about((1, 1, 0), 40.0), about((0.2, -1, 0.4), 15.0)
    goniometer = {
        "rotation_axis": [0.6, 0.8, 0.0],
        "fixed_rotation": fixed.ravel().tolist(),
        "setting_rotation": setting.ravel().tolist(),
    }
    experiment = read(tmp_path, expt(goniometer=[goniometer]))
    expected = setting @ about((0.6, 0.8, 0), phi) @ fixed @ np.linalg.inv(REAL)
    found = reciprocal_at(plan_of(experiment), phi, "dials")
    assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()
    assert experiment.crystal.cell_angstrom is None


@for_each("edges", [True, False])
def test_indices_in_the_engine_are_those_of_the_file(edges: bool, tmp_path: Path) -> None:
    """h = A(phi)^-1 s, with s from the file's own pixel, wavelength and beam, at each phi step;
    steps lie at the left edges of their intervals, or with the quirk phi_left_edge off in the
    middle."""
    fixed, setting = about((1, 1, 0), 40.0), about((0.2, -1, 0.4), 15.0)
    data = expt()
    data["goniometer"][0].update(
        rotation_axis=[0.6, 0.8, 0.0],
        fixed_rotation=fixed.ravel().tolist(),
        setting_rotation=setting.ravel().tolist(),
    )
    source = turned_beam(data)
    like = nb.Experiment(
        crystal=nb.Crystal(n_cells=(5, 5, 5)),
        goniometer=nb.Goniometer(phi_steps=5),
        sampling=nb.Sampling(oversample=1),
    )
    experiment = read(tmp_path, data, like=like)
    quirks = nb.Quirks() if edges else nb.Quirks.parse("nanobragg,-phi_left_edge")
    factors = nb.StructureFactors.constant(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.SetupWarning)  # of the spots of so small a crystal
        steps = nb.trace_phi(experiment, factors, pixel=(21, 3), quirks=quirks).steps
    assert len(steps) == 5
    point = np.array([-10.0 + 0.5 * 21.5, 12.0 - 0.5 * 3.5, -100.0])
    scattering = (point / np.linalg.norm(point) + source) / 1.25  # the beam travels along -source
    for number, step in enumerate(steps):
        phi = 10.0 + 0.25 / 5 * (number if edges else number + 0.5)
        matrix = setting @ about((0.6, 0.8, 0), phi) @ fixed @ np.linalg.inv(REAL)
        assert np.allclose(step.hkl, np.linalg.solve(matrix, scattering), rtol=0, atol=1e-9)


@for_each("at", [0, 1, 2])
def test_a_goniometer_of_three_axes(at: int, tmp_path: Path) -> None:
    axes = [[1.0, 0.0, 0.0], [0.91, 0.28, 0.3], [0.0, 1.0, 0.0]]
    angles = [5.0, 40.0, -20.0]
    goniometer = {
        "axes": axes,
        "angles": angles,
        "names": ["phi", "kappa", "omega"],
        "scan_axis": at,
    }
    experiment = read(tmp_path, expt(goniometer=[goniometer]))
    for phi in (0.0, 10.0, 60.0):
        turn = np.eye(3)
        for number, (axis, angle) in enumerate(zip(axes, angles, strict=True)):
            turn = about(axis, phi if number == at else angle) @ turn
        found = reciprocal_at(plan_of(experiment), phi, "dials")
        assert np.abs(found - turn @ np.linalg.inv(REAL)).max() < 1e-12


@for_each("lacking", ["goniometer", "scan", "width"])
def test_a_still_has_its_crystal_as_it_stands(lacking: str, tmp_path: Path) -> None:
    data = expt()
    data["goniometer"][0]["fixed_rotation"] = about((1, 1, 0), 40.0).ravel().tolist()
    if lacking == "width":
        data["scan"][0]["oscillation"] = [10.0, 0.0]
    else:
        del data["experiment"][0][lacking]
    experiment = read(tmp_path, data)
    assert experiment.goniometer == nb.Goniometer()
    found = reciprocal_at(plan_of(experiment), 0.0, "dials")
    assert np.abs(found - np.linalg.inv(REAL)).max() < 1e-14


def test_an_image_of_a_scan(tmp_path: Path) -> None:
    data = expt(scan=[{"image_range": [5, 8], "oscillation": [10.0, 0.25]}])
    path = written(tmp_path, data)
    with pytest.warns(nb.NanobraggWarning, match="4 images, 5 to 8: .* that of image 5; image="):
        first = nb.read_experiment(path)
    assert first.goniometer.phi_deg == 10.0
    assert nb.read_experiment(path, image=5) == first
    assert nb.read_experiment(path, image=8).goniometer.phi_deg == 10.75
    for number in (4, 9, True, 5.0):
        with pytest.raises(nb.ConfigError, match=r"image: got .*, need 5 to 8"):
            nb.read_experiment(path, image=number)  # type: ignore[arg-type]


@for_each(
    "properties, start, width",
    [
        ({"oscillation": [10.0, 10.5, 11.0], "oscillation_width": [0.5, 0.5, 0.5]}, 10.0, 0.5),
        ({"oscillation": [10.0, 10.5, 11.0]}, 10.0, 0.5),
        ({"oscillation": [0.0, 0.5]}, 0.0, 0.5),
    ],
)
def test_scans_as_properties(
    properties: dict[str, Any], start: float, width: float, tmp_path: Path
) -> None:
    data = expt(scan=[{"image_range": [1, 3], "properties": properties}])
    experiment = read(tmp_path, data, image=3)
    assert experiment.goniometer.phi_deg == start + 2 * width
    assert experiment.goniometer.osc_deg == width


def test_a_crystal_that_varies_during_the_scan(tmp_path: Path) -> None:
    data = expt(scan=[{"image_range": [1, 2], "oscillation": [10.0, 0.25]}])
    points = [about((0, 0, 1), 0.1 * n) @ np.linalg.inv(REAL) for n in range(3)]
    data["crystal"][0]["A_at_scan_points"] = [point.ravel().tolist() for point in points]
    with pytest.warns(nb.NanobraggWarning, match="the crystal varies during the scan"):
        experiment = read(tmp_path, data, image=2)
    found = reciprocal_at(plan_of(experiment), 0.0, "dials")
    assert np.abs(found - points[1]).max() < 1e-14
    data["crystal"][0]["A_at_scan_points"].pop()
    with pytest.raises(nb.FileFormatError, match="A_at_scan_points: got '2 matrices', need 3"):
        read(tmp_path, data, image=2)


def test_several_experiments(tmp_path: Path) -> None:
    data = expt()
    data["experiment"].append(copy.deepcopy(data["experiment"][0]))
    data["experiment"][1]["crystal"] = 1
    data["crystal"].append({**data["crystal"][0], "real_space_a": [41.0, 0.0, 0.0]})
    path = written(tmp_path, data)
    first, second = nb.read_experiments(path)
    assert first.detector == second.detector
    assert first.crystal != second.crystal
    with pytest.raises(nb.FileFormatError, match="has 2 experiments, need one: read_experiments"):
        nb.read_experiment(path)


def test_sensor_counts_and_bad_pixels(tmp_path: Path) -> None:
    each = panel(thickness=0.32, mu=4.0, gain=2.0, pedestal=10.0, trusted_range=[0.0, 110.0])
    each["mask"] = [[2, 3, 5, 4], [28, 18, 99, 99]]
    experiment = read(tmp_path, expt(detector=[{"panels": [each]}]))
    (only,) = experiment.detector.panels or ()
    assert only.sensor_thickness_um == pytest.approx(320.0, rel=1e-15)
    assert only.sensor_attenuation_depth_um == 250.0
    assert only.trusted_range == (-5.0, 50.0)
    assert experiment.output.adc_offset == 10.0
    assert experiment.output.intensity_scale == 2.0
    assert only.mask is not None
    expected = np.ones((20, 30), dtype=bool)
    expected[3, 2:5] = expected[18:, 28:] = False
    assert np.array_equal(only.mask.values, expected)


def test_a_sensor_that_absorbs_nothing_is_left_out(tmp_path: Path) -> None:
    data = expt(detector=[{"panels": [panel(thickness=0.32)]}])
    with pytest.warns(nb.NanobraggWarning, match="has a thickness but no attenuation"):
        experiment = read(tmp_path, data)
    (only,) = experiment.detector.panels or ()
    assert only.sensor_thickness_um == 0.0


def test_panels_that_differ_in_gain(tmp_path: Path) -> None:
    data = expt(detector=[{"panels": [panel("a", gain=2.0), panel("a")]}])
    with pytest.warns(nb.NanobraggWarning, match="2 different values of gain"):
        experiment = read(tmp_path, data)
    assert experiment.output.intensity_scale is None
    assert experiment.detector.panel_names == ("a", "a_1")


def turned_beam(data: dict[str, Any]) -> NDArray[np.float64]:
    beam = data["beam"][0]
    beam["direction"] = [0.1, 0.2, 1.0]
    beam["polarization_normal"] = [1.0, 0.3, 0.0]
    return np.array([0.1, 0.2, 1.0]) / np.linalg.norm([0.1, 0.2, 1.0])


def test_a_beam_off_the_axis(tmp_path: Path) -> None:
    data = expt()
    source = turned_beam(data)
    experiment = read(tmp_path, data)
    assert experiment.beam.direction is not None
    assert np.allclose(experiment.beam.direction, [source[2], -source[1], -source[0]], atol=1e-15)
    electric = np.cross([1.0, 0.3, 0.0], source)
    electric /= np.linalg.norm(electric)
    found = np.array(experiment.beam.polarization_axis)
    assert np.allclose(found, [-electric[2], electric[1], electric[0]], atol=1e-15)


def test_two_angles_of_one_image(tmp_path: Path) -> None:
    """A start and a width, or two starts?  Only from 0 they mean the same."""
    data = expt(scan=[{"image_range": [1, 1], "properties": {"oscillation": [0.0, 0.25]}}])
    assert read(tmp_path, data).goniometer.osc_deg == 0.25
    data["scan"][0]["properties"] = {"oscillation": [10.0, 0.25]}
    with pytest.raises(
        nb.FileFormatError, match=r"scan\[0\].properties.oscillation: got '2 angles'"
    ):
        read(tmp_path, data)
    data["scan"][0]["properties"]["oscillation_width"] = [0.5]
    assert read(tmp_path, data).goniometer.osc_deg == 0.5


def test_a_scan_that_says_nothing_of_angles(tmp_path: Path) -> None:
    data = expt(scan=[{"properties": {"wavelength": [1.0, 1.1]}}])
    assert read(tmp_path, data).goniometer == nb.Goniometer()


NOTES: dict[str, tuple[str, Any, str]] = {
    "mosaicity": ("crystal", {"mosaicity": 0.1}, "mosaicity is not used"),
    "flux": ("beam", {"flux": 1e12}, "flux is not used"),
    "beam": ("beam", {"s0_at_scan_points": [[0, 0, -1]]}, "the beam varies during the scan"),
    "electrons": ("beam", {"probe": "electron"}, "'electron' is simulated as X-rays"),
    "mask": ("imageset", {"mask": "mask.pickle"}, r"imageset\[0\].mask is not read"),
    "setting": (
        "goniometer",
        {"setting_rotation_at_scan_points": [[1]]},
        "the goniometer's setting varies",
    ),
}


@for_each("case", NOTES)
def test_what_cannot_be_held_is_said(case: str, tmp_path: Path) -> None:
    section, changes, text = NOTES[case]
    data = expt(imageset=[{"__id__": "ImageSequence", "template": "x_####.cbf", "mask": None}])
    data["experiment"][0]["imageset"] = 0
    data[section][0].update(changes)
    with pytest.warns(nb.NanobraggWarning, match=text) as caught:
        read(tmp_path, data)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def broken(section: str, **changes: Any) -> dict[str, Any]:
    data = expt()
    data[section][0].update(changes)
    return data


def broken_panel(**changes: Any) -> dict[str, Any]:
    return expt(detector=[{"panels": [panel(**changes)]}])


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "another list": (expt(__id__="DataBlock"), "is JSON, but neither a DIALS experiment list nor"),
    "no experiment": (expt(experiment=[]), "has no experiment"),
    "experiments are no list": (expt(experiment=3), "experiment: got 3, need a list"),
    "experiment is no mapping": (expt(experiment=[3]), "experiment[0]: got 3, need a mapping"),
    "no such beam": (
        broken("experiment", beam=1),
        "experiment[0].beam: got 1, need the number of one of 1, from 0",
    ),
    "number of a beam": (broken("experiment", beam=-1), "experiment[0].beam: got -1, need a whole"),
    "wavelength of 0": (
        broken("beam", wavelength=0),
        "beam[0].wavelength: got 0.0, need a wavelen",
    ),
    "wavelength is text": (
        broken("beam", wavelength="1 A"),
        "beam[0].wavelength: got '1 A', need a finite number",
    ),
    "wavelength is missing": (
        broken("beam", wavelength=None),
        "beam[0].wavelength: got nothing, need a finite number",
    ),
    "no direction": (broken("beam", direction=[0, 0, 0]), "beam[0].direction: got [0.0, 0.0, 0.0]"),
    "two components": (broken("beam", direction=[0, 1]), "beam[0].direction: got [0, 1], need 3"),
    "white beam": (broken("beam", __id__="polychromatic"), "beam[0].__id__: got 'polychromatic'"),
    "polarization along the beam": (
        broken("beam", polarization_normal=[0, 0, -2]),
        "beam[0].polarization_normal: got [0.0, 0.0, -2.0], need a direction that is not",
    ),
    "flat crystal": (
        broken("crystal", real_space_c=[38.5, 51, 2.5]),
        "crystal[0].real_space_a, b, c: got",
    ),
    "no rotation": (
        broken("goniometer", fixed_rotation=[1, 0, 0, 0, 1, 0, 0, 0, -1]),
        "goniometer[0].fixed_rotation: got [1.0, 0.0, 0.0",
    ),
    "no such axis": (
        expt(goniometer=[{"axes": [[1, 0, 0]], "angles": [0], "scan_axis": 1}]),
        "goniometer[0].scan_axis: got 1, need a whole number 0 to 0",
    ),
    "angles for the axes": (
        expt(goniometer=[{"axes": [[1, 0, 0]], "angles": [], "scan_axis": 0}]),
        "goniometer[0].angles: got [], need 1 finite numbers",
    ),
    "images backwards": (
        broken("scan", image_range=[3, 2]),
        "scan[0].image_range: got [3, 2], need two whole numbers",
    ),
    "oscillation": (broken("scan", oscillation=[0]), "scan[0].oscillation: got [0], need 2"),
    "no pixels": (
        broken_panel(image_size=[0, 20]),
        "detector[0].panels[0].image_size: got [0, 20]",
    ),
    "pixels of no size": (
        broken_panel(pixel_size=[0.0, 0.0]),
        "detector.panels[p].pixel_size_mm: got 0.0 mm, need a finite value > 0",
    ),
    "skewed axes": (
        broken_panel(slow_axis=[0.1, -1, 0]),
        "detector[0].panels[0].slow_axis: got [0.1, -1, 0], need a direction perpendicular",
    ),
    "slightly skewed axes": (
        broken_panel(slow_axis=[0.001, -1, 0]),
        "detector.panels[p].slow_axis: got (0.0, -0.99999",
    ),
    "negative mu": (
        broken_panel(mu=-1.0),
        "detector[0].panels[0].mu: got -1.0, need a number >= 0",
    ),
    "gain of 0": (broken_panel(gain=0.0), "detector[0].panels[0].gain: got 0.0, need a number > 0"),
    "mask of three": (
        broken_panel(mask=[[1, 2, 3]]),
        "detector[0].panels[0].mask[0]: got [1, 2, 3]",
    ),
    "tree names no panel": (
        expt(detector=[{"panels": [panel()], "hierarchy": {"children": [{"panel": 1}]}}]),
        "detector[0].hierarchy.children[0].panel: got 1, need a whole number 0 to 0",
    ),
}


@for_each("case", FAULTS)
def test_faults_name_their_place(case: str, tmp_path: Path) -> None:
    data, text = FAULTS[case]
    path = written(tmp_path, data)
    with pytest.raises(nb.FileFormatError) as caught:
        nb.read_experiment(path)
    assert str(caught.value).startswith(f"{path}: {text}"), str(caught.value)


def test_a_deep_tree(tmp_path: Path) -> None:
    tree: dict[str, Any] = {"children": [{"panel": 0}]}
    for _ in range(40):
        tree = {"children": [tree]}
    assert read(tmp_path, expt(detector=[{"panels": [panel()], "hierarchy": tree}]))
    for _ in range(20):
        tree = {"children": [tree]}
    with pytest.raises(nb.FileFormatError, match="need at most 50 groups in each other"):
        read(tmp_path, expt(detector=[{"panels": [panel()], "hierarchy": tree}]))


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    experiment = read(tmp_path, broken_panel(pixel_size=[0.5, 0.6]))
    assert experiment.detector.panels is not None
    assert experiment.detector.panels[0].pixel_size_mm == (0.5, 0.6)
    experiment = read(tmp_path, broken_panel(pixel_size=[0.5, 0.5 * (1.0 + 1e-10)]))
    assert experiment.detector.panels is not None
    assert experiment.detector.panels[0].pixel_size_mm == 0.5
