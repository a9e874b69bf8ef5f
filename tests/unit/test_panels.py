"""Detectors of panels: what they take, how they are saved, and what each of them means alone."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from rule_cases import accepted, rejected

import nanobragg_hybrid as nb
from nanobragg_hybrid.model.conventions import CONVENTIONS, DIRECTIONS
from nanobragg_hybrid.model.panel import Panel, unit_vector
from nanobragg_hybrid.run.prepare import memory_needed

TABLE = nb.StructureFactors.constant(100.0)
CRYSTAL = nb.Crystal(cell_angstrom=(25, 30, 35), n_cells=(3, 4, 5), misset_deg=(10, 25, 30))
A = Panel("a", (100, 10, -12), (0, 0, 1), (0, -1, 0), 12, 10, 2.0)
B = Panel("b", (90, 30, 15), (-0.3, 0, 1), (0, -1, 0), 7, 9, 1.5, sensor_thickness_um=300)


def experiment(*panels: Panel, **detector: Any) -> nb.Experiment:
    return nb.Experiment(
        crystal=CRYSTAL,
        detector=nb.Detector(panels=panels or (A, B), **detector),
        sampling=nb.Sampling(oversample=1, interpolate=False),
        output=nb.Output(noise_seed=3),
    )


TWO = experiment()
PLAIN = nb.Experiment(
    crystal=CRYSTAL,
    detector=nb.Detector(n_fast=6, n_slow=5, pixel_size_mm=2.0),
    sampling=nb.Sampling(oversample=1, interpolate=False),
)


def message(call: Any) -> str:
    with pytest.raises(nb.NanobraggError) as caught:
        call()
    return str(caught.value)


# ---- a panel ------------------------------------------------------------------------------------


@for_each("field", dataclasses.fields(Panel), ids=lambda field: field.name)
def test_every_field_of_a_panel_has_its_rule(field: dataclasses.Field[Any]) -> None:
    rule = field.metadata["rule"]
    wide = {"mask": {"n_fast": 1024, "n_slow": 1024}}
    own = {"fast_axis": (1, 0, 0), "slow_axis": (1, 0, 0), "trusted_range": (0, 1)}
    value, stored = accepted(rule)[0]
    if field.name in own:
        value = stored = tuple(map(float, own[field.name]))
    changes = {**wide.get(field.name, {}), field.name: value}
    assert getattr(dataclasses.replace(A, **changes), field.name) == stored
    for value in rejected(rule):
        with pytest.raises(nb.ConfigError) as caught:
            dataclasses.replace(A, **{field.name: value})
        name = value if field.name == "name" else "a"
        assert caught.value.field == f"detector.panels[{name}].{field.name}"
        assert caught.value.rule == rule.text
        assert caught.value.unit == field.metadata["unit"]
    assert field.name in (Panel.__doc__ or "")


def test_axes_are_stored_as_unit_vectors_to_the_last_bit() -> None:
    """Model 3 replaces a normal whose length is not 1 to the last bit."""
    random = np.random.default_rng(1)
    for vector in random.normal(size=(500, 3)) * 10.0 ** random.uniform(-150, 150, (500, 1)):
        x, y, z = unit = unit_vector(tuple(vector.tolist()))
        assert math.sqrt(x * x + y * y + z * z) == 1.0
        assert unit_vector(unit) == unit
        direction = vector / np.abs(vector).max()
        assert np.allclose(unit, direction / np.linalg.norm(direction), rtol=0, atol=1e-15)
    assert dataclasses.replace(A, fast_axis=(0, 0, 5)).fast_axis == (0.0, 0.0, 1.0)


def test_axes_are_perpendicular() -> None:
    assert dataclasses.replace(A, slow_axis=(0, -1, 0.99e-4)).slow_axis[2] == pytest.approx(0.99e-4)
    assert message(lambda: dataclasses.replace(A, slow_axis=(0, -1, 1.01e-4))).startswith(
        "detector.panels[a].slow_axis: got ("
    )
    assert "at 45 degrees to it, need a direction perpendicular to fast_axis" in message(
        lambda: dataclasses.replace(A, slow_axis=(0, -1, 1))
    )


def test_mask_and_trusted_range_fit() -> None:
    assert message(lambda: dataclasses.replace(A, mask=nb.Mask(np.ones((12, 10), bool)))) == (
        "detector.panels[a].mask: got 10 x 12 pixels, need the panel's 12 x 10 pixels (fast x slow)"
    )
    for wrong in ((1.0, 1.0), (2.0, 1.0)):
        assert "need two values of which the second is greater" in message(
            lambda wrong=wrong: dataclasses.replace(A, trusted_range=wrong)
        )


def test_trusted_pixels_are_finite_unmasked_and_in_range() -> None:
    mask = np.ones((10, 12), bool)
    mask[0, 5] = False
    panel = dataclasses.replace(A, mask=nb.Mask(mask), trusted_range=(0.0, 100.0))
    image = np.full((10, 12), 7.0)
    image[0, :5] = (-0.5, 0.0, 100.0, 100.5, math.nan)
    trusted = panel.trusted(image)
    assert trusted[0, :7].tolist() == [False, True, True, False, False, False, True]
    assert trusted[1:].all()
    assert A.trusted(image).sum() == 119  # all but NaN
    with pytest.raises(nb.ConfigError, match=r"^image: got float64 of shape \(12, 10\), need"):
        panel.trusted(image.T)


def test_moved_panel_turns_about_its_middle() -> None:
    def corners(panel: Panel) -> np.ndarray[Any, Any]:
        fast, slow = np.array(panel.fast_axis), np.array(panel.slow_axis)
        sizes = [(i * panel.n_fast, j * panel.n_slow) for i in (0, 1) for j in (0, 1)]
        return np.array(panel.origin_mm) + panel.pixel_size_mm * np.array(
            [f * fast + s * slow for f, s in sizes]
        )

    turned = B.moved(rotation_deg=30)
    assert np.allclose(corners(turned).mean(0), corners(B).mean(0), atol=1e-12)
    assert np.dot(turned.fast_axis, B.fast_axis) == pytest.approx(math.cos(math.radians(30)))
    assert np.dot(turned.fast_axis, B.slow_axis) == pytest.approx(0.5)
    shifted = B.moved((2.0, -1.0), away_mm=3.0)
    normal = np.cross(B.fast_axis, B.slow_axis)
    expected = 2.0 * np.array(B.fast_axis) - np.array(B.slow_axis) + 3.0 * normal
    assert np.allclose(corners(shifted) - corners(B), expected, atol=1e-12)


# ---- a detector ---------------------------------------------------------------------------------


def test_beside_panels_other_fields_have_their_defaults() -> None:
    together = {"convention", "twotheta_axis", "rotation_deg", "twotheta_deg", "point_pixel"}
    values = {
        "convention": "xds",
        "pivot": "beam",
        "rotation_deg": (1, 2, 3),
        "curved": True,
        "point_pixel": True,
        "mask": nb.Mask(np.ones((1024, 1024), bool)),
        "n_fast": 1024,
        "n_slow": 1024,
        "sensor_thickness_um": None,
        "sensor_layers": 2,
    }
    for field in dataclasses.fields(nb.Detector):
        if field.name == "panels":
            continue
        value = values.get(field.name, (1, 0, 0) if field.name.endswith("axis") else 5.0)
        if field.name == "pix0_m":
            value = (1, 0, 0)
        changed = {field.name: value}
        if field.name in together:
            assert experiment(**changed).detector != TWO.detector
            continue
        with pytest.raises(nb.ConfigError, match=r"its default, .* beside panels, which") as caught:
            experiment(**changed)
        assert caught.value.field == f"detector.{field.name}"
    with pytest.raises(nb.ConfigError, match=r"^sampling.roi: got \(0, 1, 0, 1\), need None"):
        TWO.replace({"sampling.roi": (0, 1, 0, 1)})


def test_panels_are_found_by_number_and_name() -> None:
    detector = TWO.detector
    assert detector.shapes == ((10, 12), (9, 7))
    assert detector.panel_names == ("a", "b")
    assert [detector.panel_number(which) for which in (0, 1, "a", "b")] == [0, 1, 0, 1]
    assert message(lambda: detector.panel_number(2)) == (
        "panel: got 2, need 0 to 1, or a panel's name"
    )
    named = nb.Detector(panels=(dataclasses.replace(A, name="ARRAY0"),))
    assert message(lambda: named.panel_number("ARRAY1")) == (
        "panel: got 'ARRAY1', need 0, or a panel's name (did you mean ARRAY0?)"
    )
    assert message(lambda: detector.shape) == (
        "detector.shape: got 2 panels, need one panel: detector.shapes has that of each"
    )
    assert (named.shape, nb.Detector().shapes) == ((10, 12), ((1024, 1024),))
    assert (nb.Detector().panel_names, nb.Detector().panel_number(0)) == ((), 0)
    assert message(lambda: nb.Detector().panel_number(1)) == "panel: got 1, need 0"


def test_detector_is_shifted_as_a_whole() -> None:
    moved = TWO.detector.shifted((1, -2, 3))
    assert moved.panels is not None
    assert moved.panels[1] == dataclasses.replace(B, origin_mm=(91, 28, 18))
    assert message(lambda: nb.Detector().shifted((0, 0, 0))) == (
        "detector.panels: got None, need panels, to shift them"
    )


# ---- one panel alone ----------------------------------------------------------------------------


def test_conventions_of_the_laboratory_are_those_of_the_plan() -> None:
    assert set(DIRECTIONS) == set(CONVENTIONS)
    for name, directions in DIRECTIONS.items():
        plan = nb.prepare(PLAIN.replace({"detector.convention": name}), TABLE).plan
        assert plan.beam_direction == directions.beam
        assert plan.polarization_axis == directions.polarization
        assert plan.spindle_axis == directions.spindle
        assert plan.twotheta_axis == directions.twotheta


@for_each("convention", CONVENTIONS)
def test_panel_is_where_it_was_said_to_be(convention: Any) -> None:
    """In every laboratory, with and without the quirks that place a detector."""
    random = np.random.default_rng(5)
    for quirks in ("nanobragg", "none", "none,+pix0_ignored", "nanobragg,-normal_towards_source"):
        chosen = nb.Quirks.parse(quirks)
        for n in range(6):
            fast, other = random.normal(size=(2, 3))
            slow = np.cross(fast, other)  # of either hand, upstream or downstream
            origin = tuple(random.uniform(-90, 90, 3).tolist())
            panel = Panel(str(n), origin, tuple(fast), tuple(slow), 3, 2, 0.2)
            plan = nb.prepare(experiment(panel, convention=convention), TABLE, quirks=chosen).plan
            assert np.allclose(np.array(plan.pix0_m) * 1e3, origin, rtol=0, atol=3e-13)
            assert plan.fast_axis == panel.fast_axis
            assert plan.slow_axis == panel.slow_axis
            assert plan.close_distance_m > 0.0
            assert plan.beam_direction == DIRECTIONS[convention].beam
            assert plan.polarization_axis == DIRECTIONS[convention].polarization
            assert "normal_recomputed" not in plan.warnings
            assert "distance_ignored" not in plan.warnings


def test_given_directions_count_and_the_others_are_the_conventions() -> None:
    asked = experiment(convention="xds").replace({"beam.direction": (0.1, 0, 1)})
    alone = asked.of_panel("b")
    assert alone.beam.direction == (0.1, 0.0, 1.0)
    assert alone.beam.polarization_axis == alone.goniometer.spindle_axis == (1.0, 0.0, 0.0)
    assert alone.detector.panels is None
    assert alone.detector.sensor_thickness_um == 300.0


def test_rotations_turn_all_panels_about_the_sample() -> None:
    """First about x, y and z, then about the two-theta axis (model 3)."""
    turned = experiment(rotation_deg=(0, 0, 90), twotheta_axis=(0, 0, 1), twotheta_deg=90)
    for panel, plan in zip((A, B), nb.prepare(turned, TABLE).plans, strict=True):
        x, y, z = panel.origin_mm
        assert np.allclose(np.array(plan.pix0_m) * 1e3, (-x, -y, z), rtol=0, atol=1e-12)
        fx, fy, fz = panel.fast_axis
        assert np.allclose(plan.fast_axis, (-fx, -fy, fz), rtol=0, atol=1e-15)


def test_of_panel_of_a_plain_detector() -> None:
    assert PLAIN.of_panel(0) is PLAIN
    assert PLAIN.of_only_panel() is PLAIN
    with pytest.raises(nb.ConfigError, match=r"^panel: got 1, need 0"):
        PLAIN.of_panel(1)
    with pytest.raises(nb.ConfigError, match=r"got 2 panels, need one panel: Experiment.of_panel"):
        TWO.of_only_panel()
    assert experiment(B).of_only_panel() == experiment(B).of_panel("b")


# ---- saved, resolved, said in words -------------------------------------------------------------


def test_panels_are_saved_and_read() -> None:
    mask = nb.Mask(np.arange(120).reshape(10, 12) % 7 > 0)
    full = dataclasses.replace(
        A,
        mask=mask,
        roi=(1, None, None, 5),
        trusted_range=(-1, 1e6),
        sensor_attenuation_depth_um=math.inf,
        sensor_layers=3,
    )
    saved = experiment(full, B, twotheta_deg=3.0)
    data = saved.to_dict()
    assert data["schema_version"] == 2
    assert nb.Experiment.from_json(saved.to_json()) == saved
    assert repr(nb.Experiment.from_json(saved.to_json())) == repr(saved)
    plain = PLAIN.to_dict()
    assert (plain["schema_version"], "panels" in plain["detector"]) == (1, False)

    def changed(**panel: Any) -> str:
        first = {**data["detector"]["panels"][0], **panel}
        detector = {**data["detector"], "panels": [first]}
        return message(lambda: nb.Experiment.from_dict({**data, "detector": detector}))

    assert changed(origin=1).startswith("detector.panels[0]: got 'origin', need only the keys name")
    assert changed(n_fast=0).startswith("detector.panels[a].n_fast: got 0 px, need an integer >= 1")
    del data["detector"]["panels"][0]["n_slow"]
    assert message(lambda: nb.Experiment.from_dict(data)) == (
        "detector.panels[0]: got 'no n_slow', need one"
    )
    for wrong in (1, "a", {"a": 1}):
        broken = {**data, "detector": {"panels": wrong}}
        assert "detector.panels" in message(lambda broken=broken: nb.Experiment.from_dict(broken))
    old = {**saved.to_dict(), "schema_version": 1}
    assert message(lambda: nb.Experiment.from_dict(old)) == (
        "schema_version: got 1, need 2 for a detector with panels"
    )


def test_resolved_experiment_has_the_same_images() -> None:
    asked = experiment(A, B, twotheta_deg=3.0).replace(
        {"sampling.oversample": None, "crystal.mosaic_spread_deg": 0.5}
    )
    resolved = asked.resolved()
    assert resolved.crystal.mosaic_domains == 10
    assert resolved.detector.panels is not None
    assert resolved.detector.panels[1].sensor_attenuation_depth_um == 300.0
    assert resolved.detector.panels[1].roi == (0, 6, 0, 8)
    images = [nb.prepare(e, TABLE).render_quietly().images for e in (asked, resolved)]
    assert all(a.tobytes() == b.tobytes() for a, b in zip(*images, strict=True))


@pytest.mark.filterwarnings("ignore:'-twotheta_axis' also has")
def test_words_say_one_panel() -> None:
    assert message(TWO.to_nanobragg_args) == (
        "nanoBragg's arguments say one panel, and the detector has 2: "
        "Experiment.of_panel(n).to_nanobragg_args() are those of one"
    )
    with pytest.raises(nb.UnsupportedError):
        TWO.to_nanobragg_args()
    for name in ("a", "b"):
        back = nb.Experiment.from_nanobragg_args(TWO.of_panel(name).to_nanobragg_args())
        got, need = (nb.simulate(e, TABLE).image for e in (back, TWO.of_panel(name)))
        assert got.tobytes() == need.tobytes()
    assert experiment(B).to_nanobragg_args() == TWO.of_panel("b").to_nanobragg_args()


# ---- results ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def result() -> nb.SimulationResult:
    mask = nb.Mask(np.arange(120).reshape(10, 12) % 7 > 0)
    return nb.simulate(experiment(dataclasses.replace(A, mask=mask, roi=(1, 10, 0, 8)), B), TABLE)


def test_result_has_an_image_for_each_panel(result: nb.SimulationResult) -> None:
    assert [image.shape for image in result.images] == [(10, 12), (9, 7)]
    assert [panel.image is image for panel, image in zip(result.panels, result.images, strict=True)]
    assert result.experiment.detector.panel_names == ("a", "b")
    assert repr(result).startswith("SimulationResult(2 panels, Statistics(max=")
    assert result.provenance["kernel"] == result.panels[0].provenance["kernel"]
    assert result.panels[1].geometry.n_fast == 7


@pytest.mark.parametrize(
    "name", ["image", "unrounded", "plan", "info", "random_state", "geometry", "image_buffer"]
)
def test_what_is_of_one_panel_says_so(result: nb.SimulationResult, name: str) -> None:
    text = message(lambda: getattr(result, name))
    of = {"geometry": "plan", "image_buffer": "image"}.get(name, name)
    assert text.startswith(f"result.{of}: got 2 panels, need one panel: result.")
    assert "result.images has the image of each" in text or of not in ("image", "unrounded")
    getattr(result.panels[0], name)


def test_a_plain_result_has_one_panel() -> None:
    plain = nb.simulate(PLAIN, TABLE)
    assert plain.panels == (plain,)
    assert plain.images[0] is plain.image
    one = nb.simulate(experiment(A), TABLE)
    assert one.image.shape == (10, 12)
    assert one.experiment == experiment(A).replace(
        {"crystal.misset_seed": one.experiment.crystal.misset_seed}
    )


def test_results_are_copied_and_pickled(result: nb.SimulationResult) -> None:
    for again in (pickle.loads(pickle.dumps(result)), copy.copy(result), result.replaced()):
        assert all(np.array_equal(x, y) for x, y in zip(again.images, result.images, strict=True))
        assert again.statistics == result.statistics
    one = result.panels[0]
    assert np.array_equal(
        pickle.loads(pickle.dumps(one.replaced(random_state=None))).image, one.image
    )


def test_pickles_from_before_there_were_panels(result: nb.SimulationResult) -> None:
    """Their state was a list of the fields' values."""
    one = result.panels[1]
    fields = [field.name for field in dataclasses.fields(one)]
    assert fields[-1] == "panel_results"
    again = object.__new__(nb.SimulationResult)
    again.__setstate__([getattr(one, name) for name in fields[:-1]])
    assert again.image is one.image
    assert again.plan == one.plan
    assert again.panels == (again,)


@pytest.mark.parametrize("quirks", ["nanobragg", "nanobragg,-rmsd_counts_masked"])
def test_statistics_are_those_of_one_image_of_all_pixels(quirks: str) -> None:
    masked = np.arange(120).reshape(10, 12) % 7 > 0
    first = dataclasses.replace(A, mask=nb.Mask(masked), roi=(1, 10, 0, 8))
    whole = nb.simulate(experiment(first, B), TABLE, quirks=nb.Quirks.parse(quirks))
    region = np.zeros((10, 12), bool)
    region[:9, 1:11] = True
    a, b = (image.astype(np.float64) for image in whole.images)
    every = np.concatenate([a[region], b.ravel()])
    active = np.concatenate([a[region & masked], b.ravel()])
    got = whole.statistics
    assert (got.pixels, got.pixels_in_roi) == (active.size, every.size)
    assert got.sum == pytest.approx(active.sum(), rel=1e-14)
    assert got.mean == pytest.approx(active.mean(), rel=1e-14)
    assert got.rms == pytest.approx(math.sqrt((active**2).sum() / (active.size - 1)), rel=1e-6)
    counted = every if "-rmsd" not in quirks else active
    deviations = ((counted - active.mean()) ** 2).sum()
    assert got.rmsd == pytest.approx(math.sqrt(deviations / (counted.size - 1)), rel=1e-12)
    assert got.max == max(a.max(), b.max())
    brightest = whole.panels[whole.brightest_panel].statistics
    assert (got.max, got.max_fast, got.max_slow) == (
        brightest.max,
        brightest.max_fast,
        brightest.max_slow,
    )
    assert got.solid_angle_sr == sum(panel.statistics.solid_angle_sr for panel in whole.panels)


def test_statistics_of_panels_of_hardly_any_pixel() -> None:
    single = dataclasses.replace(B, roi=(2, 2, 2, 2), sensor_thickness_um=0)
    empty = dataclasses.replace(A, name="empty", roi=(3, 2, 0, 0))
    whole = nb.simulate(experiment(A, single, empty), TABLE).statistics
    pixels = np.append(
        nb.simulate(experiment(A), TABLE).image.ravel(),
        nb.simulate(experiment(single), TABLE).image[2, 2],
    ).astype(np.float64)
    assert (whole.pixels, whole.pixels_in_roi) == (121, 121)
    assert whole.rms == pytest.approx(math.sqrt((pixels**2).sum() / 120), rel=1e-6)
    assert whole.rmsd == pytest.approx(pixels.std(ddof=1), rel=1e-9)


# ---- warnings, errors, memory -------------------------------------------------------------------


def test_warnings_name_their_panels() -> None:
    dull = dataclasses.replace(A, sensor_thickness_um=100, sensor_attenuation_depth_um=math.inf)
    quiet = nb.prepare(experiment(dull, B), TABLE).render_quietly()
    (low, black, dark) = quiet.warnings
    assert low == (
        "oversample 1 is too low for the spots, which need 11 [panels a, b; the numbers are those "
        "of the first]"
    )
    assert black.startswith("the image is black because the sensor captures nothing")
    assert black.endswith(" [panels a]")
    assert dark == (
        "1 of 2 panels are dark, for reasons that the warnings of result.panels name [panels a]"
    )
    with pytest.warns(nb.NanobraggWarning) as caught:
        nb.simulate(experiment(dull, B), TABLE)
    setup, image = nb.SetupWarning, nb.ImageWarning
    assert [each.category for each in caught] == [setup, setup, image]
    same = nb.prepare(experiment(A, B).replace({"beam.polarization_kahn": 2.0}), TABLE)
    assert same.plans[0].sentences()[1] in same.render_quietly().warnings


def test_an_unexplained_dark_panel_beside_others_is_no_warning() -> None:
    small = experiment(A, dataclasses.replace(B, n_fast=1, n_slow=1, sensor_thickness_um=0))
    sharp = small.replace({"crystal.shape": "tophat", "crystal.n_cells": (6, 6, 6)})
    quiet = nb.prepare(sharp, TABLE).render_quietly()
    assert [panel.statistics.max > 0 for panel in quiet.panels] == [True, False]
    assert quiet.panels[1].warnings[-1].startswith("the image is dark: no setting was found")
    assert not any("dark" in text for text in quiet.warnings)


class Refusing:
    """An engine that takes no sensor."""

    name = "refusing"
    options = ()
    structure_factors_at = None

    def memory_needed(self, *_: object) -> dict[str, int]:
        return {}

    def prepare(self, asked: nb.Experiment, *_: object) -> Any:
        thickness = asked.detector.sensor_thickness_um
        if asked.crystal.n_cells == (1, 1, 1):
            raise nb.ConfigError("crystal.n_cells", 1, "more")
        if thickness:
            raise nb.ConfigError("detector.sensor_thickness_um", thickness, "0", "um")
        return nb.CEngine().prepare(asked, TABLE, nb.Quirks())


def test_an_error_of_a_panel_names_it() -> None:
    engine: Any = Refusing()
    assert message(lambda: nb.prepare(TWO, TABLE, backend=engine)) == (
        "detector.panels[b].sensor_thickness_um: got 300.0 um, need 0"
    )
    assert message(lambda: nb.prepare(TWO.of_panel("b"), TABLE, backend=engine)) == (
        "detector.sensor_thickness_um: got 300.0 um, need 0"
    )
    one_cell = TWO.replace({"crystal.n_cells": (1, 1, 1)})
    assert message(lambda: nb.prepare(one_cell, TABLE, backend=engine)) == (
        "crystal.n_cells: got 1, need more"
    )


def test_an_engine_that_renders_one_at_a_time_counts_all_rows() -> None:
    engine: Any = Refusing()
    rows: list[tuple[int, int]] = []
    thin = experiment(A, dataclasses.replace(B, sensor_thickness_um=0))
    one_by_one = nb.simulate(thin, TABLE, backend=engine, progress=lambda *row: rows.append(row))
    assert rows[-1] == (19, 19)
    assert {of for _, of in rows} == {19}
    assert sorted(rows) == rows
    together = nb.simulate(thin, TABLE)
    assert [i.tobytes() for i in one_by_one.images] == [i.tobytes() for i in together.images]


def test_memory_counts_all_panels() -> None:
    parts = memory_needed(nb.CEngine(), TWO, TABLE, unrounded=True)
    assert parts == {"images of 2 panels, 183 pixels": 732, "unrounded image": 1464}
    many = experiment(
        *(
            dataclasses.replace(A, name=str(n), n_fast=2**20, n_slow=2**20, pixel_size_mm=1e-3)
            for n in range(3)
        )
    )
    assert f"images of 3 panels, {3 * 2**40} pixels {12 * 2**40} bytes" in message(
        lambda: nb.prepare(many, TABLE)
    )
    domains = TWO.replace({"crystal.mosaic_spread_deg": 1, "crystal.mosaic_domains": 5})
    parts = memory_needed(nb.CEngine(), domains, TABLE)
    assert (
        parts["5 mosaic domains"]
        == 2 * memory_needed(nb.CEngine(), domains.of_panel(0), TABLE)["5 mosaic domains"]
    )


# ---- preparing and tracing ----------------------------------------------------------------------


def test_prepared_panels() -> None:
    prepared = nb.prepare(TWO, TABLE)
    assert [plan.n_fast for plan in prepared.plans] == [12, 7]
    assert message(lambda: prepared.plan) == (
        "prepared.plan: got 2 panels, need one panel: panels has the plan of each"
    )
    assert message(lambda: prepared.run).endswith("panels has the run of each")
    again = pickle.loads(pickle.dumps(prepared))
    assert again.plans == prepared.plans
    assert nb.prepare(experiment(B), TABLE).plan == prepared.plans[1]


def test_traces_are_of_a_panel() -> None:
    result = nb.simulate(TWO, TABLE)
    for which, number in (("b", 1), (1, 1), (0, 0)):
        trace = nb.trace(TWO, TABLE, pixel=(3, 4), panel=which)
        assert np.float32(trace.pixel_float) == result.images[number][4, 3]
        assert trace.pix0_m == result.panels[number].plan.pix0_m
    assert message(lambda: nb.trace(TWO, TABLE, pixel=(3, 4))) == (
        "panel: got None, need a number, 0 to 1, or a panel's name"
    )
    assert "fast from 0 to 6" in message(lambda: nb.trace(TWO, TABLE, pixel=(7, 4), panel="b"))
    assert nb.trace(PLAIN, TABLE, pixel=(1, 1), panel=0) == nb.trace(PLAIN, TABLE, pixel=(1, 1))
    with pytest.raises(nb.ConfigError, match=r"^panel: got 'a', need 0"):
        nb.trace(PLAIN, TABLE, pixel=(1, 1), panel="a")
    steps = nb.trace_phi(
        TWO.replace({"goniometer.osc_deg": 1, "goniometer.phi_steps": 3}),
        TABLE,
        pixel=(1, 2),
        panel="b",
    )
    assert len(steps.steps) == 3


# ---- pictures ------------------------------------------------------------------------------------


def test_pictures_of_panels_have_one_scale(result: nb.SimulationResult) -> None:
    integers = nb.integer_images(result)
    scale = 55000.0 / result.statistics.max
    assert [image.scale_used for image in integers] == [scale, scale]
    assert max(image.pixels.max() for image in integers) == 55040
    for image, panel in zip(integers, result.panels, strict=True):
        alone = nb.integer_image(panel, scale=scale)
        assert image.pixels.tobytes() == alone.pixels.tobytes()
    greys = nb.pgm_images(result)
    assert [image.scale_used for image in greys] == [250.0 / (5.0 * result.statistics.rmsd)] * 2
    assert nb.pgm_images(result, 0.5)[1].pixels.tolist() == (
        nb.pgm_image(result.panels[1], 0.5).pixels.tolist()
    )
    for name in ("integer_image", "pgm_image", "noise_image"):
        text = message(lambda name=name: getattr(nb, name)(result))
        assert text.startswith("result.image: got 2 panels, need one panel: result.images has")


def test_noise_goes_on_from_panel_to_panel() -> None:
    twins = experiment(A, dataclasses.replace(A, name="b"))
    result = nb.simulate(twins, TABLE)
    first, second = nb.noise_images(result, seed=4)
    assert result.images[0].tobytes() == result.images[1].tobytes()
    assert first.pixels.tobytes() == nb.noise_image(result.panels[0], 4).pixels.tobytes()
    assert np.mean(first.pixels != second.pixels) > 0.3
    again = nb.noise_images(result, seed=4)
    assert again[1].pixels.tobytes() == second.pixels.tobytes()
    assert (first.seed, second.seed) == (4, 4)


def test_pictures_of_a_plain_detector_are_the_same() -> None:
    result = nb.simulate(PLAIN, TABLE)
    for one, many in (
        (nb.integer_image, nb.integer_images),
        (nb.pgm_image, nb.pgm_images),
        (nb.noise_image, nb.noise_images),
    ):
        (only,) = many(result)
        assert only.pixels.tobytes() == one(result).pixels.tobytes()
        assert only[1:] == one(result)[1:]


def test_assembled_picture_is_the_detector_that_was_cut() -> None:
    """Into three panels, one of which is looked at from behind, and a fourth that is upstream."""
    whole = nb.simulate(
        PLAIN.replace({"detector.n_fast": 12, "detector.n_slow": 10, "detector.beam_x_mm": 7}),
        TABLE,
    )
    x, y, z = (1e3 * component for component in whole.plan.pix0_m)
    left = Panel("left", (x, y, z), (0, 0, 1), (0, -1, 0), 5, 10, 2.0)
    top = Panel("top", (x, y, z + 10), (0, 0, 1), (0, -1, 0), 7, 4, 2.0)
    mirrored = Panel("mirrored", (x, y - 8, z + 24), (0, 0, -1), (0, -1, 0), 7, 6, 2.0)
    behind = Panel("behind", (-50, 0, 0), (0, 0, 1), (0, -1, 0), 3, 3, 2.0)
    edge = Panel("edge", (20, 3, 3), (1, 0, 0), (0, 1, 0), 3, 3, 2.0)
    cut = nb.simulate(experiment(left, top, mirrored, behind, edge), TABLE)
    picture = nb.assembled_image(cut)
    assert picture.pixel_size_mm == 2.0
    assert picture.corner_mm == pytest.approx((z, -y))
    assert np.allclose(picture.pixels, whole.image, rtol=1e-5, atol=1e-6 * whole.image.max())
    assert picture.panels.tolist() == [[0] * 5 + [1] * 7] * 4 + [[0] * 5 + [2] * 7] * 6
    large = nb.assembled_image(cut, 4.0)
    assert large.pixels.shape == (5, 6)
    assert nb.assembled_image(whole).pixels.tobytes() == whole.image.tobytes()
    gap = nb.simulate(experiment(left, dataclasses.replace(top, origin_mm=(x, y, z + 14))), TABLE)
    assert (nb.assembled_image(gap).panels[0] == [0] * 5 + [-1] * 2 + [1] * 7).all()
    with pytest.raises(nb.ConfigError, match="need a panel that is downstream, and not seen from"):
        nb.assembled_image(nb.simulate(experiment(behind, edge), TABLE))
    with pytest.raises(nb.ResourceError, match="picture of"):
        nb.assembled_image(cut, 1e-7)
    for wrong in (0.0, "a"):
        with pytest.raises(nb.ConfigError, match=r"^pixel_size_mm: "):
            nb.assembled_image(cut, wrong)  # type: ignore[arg-type]
