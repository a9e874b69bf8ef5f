"""Experiments: replacing by path, plain data, JSON, files, doors."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid import (
    Beam,
    ConfigError,
    Crystal,
    Detector,
    Experiment,
    FileAccessError,
    FileFormatError,
    Goniometer,
    Mask,
    NanobraggWarning,
    Output,
    Quirks,
    Sampling,
    Source,
    load_run,
)

FULL = Experiment(
    beam=Beam(
        wavelength_angstrom=0.1 + 0.2,
        direction=(1, 0.01, -0.02),
        polarization_correction=False,
        divergence_shape="square",
        dispersion_percent=None,
        sources=(Source((1.0, None, -0.0), 2.0, 1e-10), Source()),
    ),
    crystal=Crystal(
        cell_angstrom=(70, 80, 90),
        orientation_matrix=(1e-3, 0, 0, 0, 2e-3, 0, 0, 0, 1 / 3),
        size_mm=(0.1, None, 1 / 7),
        misset_random=True,
        misset_seed=-(2**31),
        shape="tophat_hkl",
    ),
    goniometer=Goniometer(osc_deg=0.1, phi_steps=10),
    detector=Detector(
        convention="xds",
        pivot="beam",
        n_fast=3,
        n_slow=2,
        sensor_attenuation_depth_um=math.inf,
        sensor_thickness_um=None,
        mask=Mask(np.array([[1, 0, 1], [1, 1, 0]])),
    ),
    sampling=Sampling(interpolate=False, roi=(None, 1, -1, 7)),
    output=Output(noise_seed=5),
)


def test_replace_changes_by_path_and_leaves_the_original() -> None:
    changed = FULL.replace(
        {"crystal.n_cells": (5, 6, 7), "detector.distance_mm": 77, "beam": Beam()}
    )
    assert changed.crystal == dataclasses.replace(FULL.crystal, n_cells=(5, 6, 7))
    assert changed.detector.distance_mm == 77.0
    assert changed.beam == Beam()
    assert FULL.crystal.n_cells == (1.0, 1.0, 1.0)


def test_replace_changes_a_part_at_once() -> None:
    """A mask and its detector's size only fit together."""
    changed = FULL.replace(
        {"detector.n_fast": 1, "detector.n_slow": 1, "detector.mask": Mask([[True]])}
    )
    assert changed.detector.shape == (1, 1)


def test_replace_changes_a_field_of_a_part_that_is_replaced() -> None:
    changed = FULL.replace({"beam.exposure_s": 2.0, "beam": Beam(wavelength_angstrom=3)})
    assert changed.beam == Beam(wavelength_angstrom=3, exposure_s=2.0)


@pytest.mark.parametrize("path", ["", "crystal.", ".n_cells", "n_cells", "crystal.n", "a.b.c"])
def test_replace_refuses_unknown_paths(path: str) -> None:
    with pytest.raises(ConfigError, match="a path like"):
        FULL.replace({path: 1})


def test_replace_refuses_bad_values() -> None:
    with pytest.raises(ConfigError, match=r"detector\.distance_mm: got 0 mm"):
        FULL.replace({"detector.distance_mm": 0})


@pytest.mark.parametrize("experiment", [Experiment(), FULL], ids=["default", "full"])
def test_json_round_trip_is_exact(experiment: Experiment) -> None:
    again = Experiment.from_json(experiment.to_json())
    assert again == experiment
    assert repr(again) == repr(experiment)  # the sign of zero too
    assert Experiment.from_dict(experiment.to_dict()) == experiment


def test_json_says_format_and_version() -> None:
    data = json.loads(Experiment().to_json())
    assert data["format"] == "nanobragg-hybrid experiment"
    assert data["schema_version"] == 1


def test_left_out_sections_and_fields_get_their_defaults() -> None:
    data = {
        "format": "nanobragg-hybrid experiment",
        "schema_version": 1,
        "beam": {"exposure_s": 2.0},
    }
    assert Experiment.from_dict(data) == Experiment(beam=Beam(exposure_s=2.0))


def _changed(path: str, value: Any) -> dict[str, Any]:
    """The plain data of FULL with one value set, or removed if it is `...`."""
    data: dict[str, Any] = json.loads(FULL.to_json())
    *parents, last = path.split("/")
    inner: Any = data
    for parent in parents:
        inner = inner[int(parent) if parent.isdigit() else parent]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return data


@for_each(
    "path, value, field",
    [
        ("format", "something else", "format"),
        ("format", ..., "format"),
        ("schema_version", ..., "schema_version"),
        ("schema_version", 3, "schema_version"),
        ("schema_version", 0, "schema_version"),
        ("schema_version", True, "schema_version"),
        ("schema_version", 1.0, "schema_version"),
        ("schema_version", "1", "schema_version"),
        ("quirks", {}, "quirks"),
        ("quirks", None, "quirks"),
        ("quirks", "cubist", "quirks"),
        ("quirks", "none,+cubist", "quirks"),
        ("quirk", "none", "experiment"),
        ("beam", [], "beam"),
        ("beam", None, "beam"),
        ("beam/wavelength", 1.0, "beam"),
        ("beam/wavelength_angstrom", "1.0", "beam.wavelength_angstrom"),
        ("beam/wavelength_angstrom", "inf", "beam.wavelength_angstrom"),
        ("beam/sources", 5, "beam.sources"),
        ("beam/sources", [], "beam.sources"),
        ("beam/sources", [5], "beam.sources[0]"),
        ("beam/sources/1/colour", 5, "beam.sources[1]"),
        ("beam/sources/1/weight", None, "source.weight"),
        ("detector/mask/bits", "", "detector.mask.bits"),
        ("detector/n_fast", 4, "detector.mask"),
        ("crystal/cell_deg", [90, 90], "crystal.cell_deg"),
    ],
)
def test_wrong_plain_data_is_refused_by_name(path: str, value: Any, field: str) -> None:
    data = _changed(path, value)
    with pytest.raises(ConfigError) as caught:
        Experiment.from_dict(data)
    assert caught.value.field == field


def test_plain_data_must_be_a_mapping() -> None:
    with pytest.raises(ConfigError, match="experiment: got"):
        Experiment.from_dict([])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "experiment:1: no JSON"),
        ('{\n"format": ]', "experiment:2: no JSON"),
        ('{"format": 1, "format": 2}', "'format' is there twice"),
        ('{"format": NaN}', "NaN is no JSON number"),
        ('{"format": -Infinity}', "-Infinity is no JSON number"),
    ],
)
def test_text_that_is_no_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        Experiment.from_json(text)


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "full.json"
    FULL.save(path)
    assert path.read_text(encoding="utf-8") == FULL.to_json()
    assert Experiment.load(path) == FULL
    assert [entry.name for entry in tmp_path.iterdir()] == ["full.json"]


def test_load_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{\n\n!", encoding="utf-8")
    with pytest.raises(FileFormatError) as caught:
        Experiment.load(path)
    assert (caught.value.path, caught.value.line) == (str(path), 3)
    with pytest.raises(FileAccessError, match=r"missing\.json"):
        Experiment.load(tmp_path / "missing.json")
    with pytest.raises(FileAccessError):
        FULL.save(tmp_path / "no folder" / "full.json")


QUIRKS = [Quirks(), Quirks.none(), Quirks.nanobragg_fixed(), Quirks(phi_carryover=False)]


@pytest.mark.parametrize("quirks", QUIRKS, ids=str)
def test_a_file_keeps_the_quirks(quirks: Quirks, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    FULL.save(path, quirks)
    assert load_run(path) == (FULL, quirks)
    assert load_run(path).quirks == quirks
    assert json.loads(path.read_text())["quirks"] == str(quirks)
    assert path.read_text(encoding="utf-8") == FULL.to_json(quirks)
    assert json.loads(FULL.to_json(quirks)) == json.loads(json.dumps(FULL.to_dict(quirks)))


def test_a_file_without_quirks_means_all_on(tmp_path: Path) -> None:
    """So does every file written before files could say it."""
    path = tmp_path / "run.json"
    FULL.save(path)
    assert "quirks" not in json.loads(path.read_text())
    experiment, quirks = load_run(path)
    assert (experiment, quirks) == (FULL, Quirks())


def test_quirks_that_an_experiment_cannot_hold_are_told(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    FULL.save(path, Quirks.none())
    for load in (
        lambda: Experiment.load(path),
        lambda: Experiment.from_json(path.read_text()),
        lambda: Experiment.from_dict(FULL.to_dict(Quirks.none())),
    ):
        with pytest.warns(NanobraggWarning, match="the quirks 'none' are no part") as told:
            assert load() == FULL
        line = load.__code__.co_firstlineno  # of the call, not of whoever called the lambda
        assert [(warning.filename, warning.lineno) for warning in told] == [(__file__, line)]
    FULL.save(path, Quirks())  # what it would be rendered with anyway
    assert Experiment.load(path) == FULL


@pytest.mark.parametrize("text", ["cubist", "none,+cubist", "phi_carryover", 5, None])
def test_unknown_quirks_name_file_and_field(text: object, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**FULL.to_dict(), "quirks": text}))
    for load in (load_run, Experiment.load):
        with pytest.raises(FileFormatError, match=r"run\.json: quirks: got .*, need"):
            load(path)


def test_only_quirks_are_saved_as_quirks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="quirks: got 'none', need an object of class Quirks"):
        FULL.save(tmp_path / "run.json", "none")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_experiments_are_hashable() -> None:
    assert hash(FULL) == hash(Experiment.from_json(FULL.to_json()))
    assert len({FULL, Experiment(), Experiment()}) == 2


def test_command_line_round_trip() -> None:
    words = "-cell 70 80 90 75 85 95 -N 5 -distance 120 -mosaic 0.3 -mosaic_dom 4"
    experiment = Experiment.from_nanobragg_args(words)
    assert experiment.crystal.cell_angstrom == (70.0, 80.0, 90.0)
    assert experiment.crystal.n_cells == (5.0, 5.0, 5.0)
    again = Experiment.from_nanobragg_args(experiment.to_nanobragg_args())
    assert again.replace({"output.noise_seed": None}) == experiment.replace(
        {"output.noise_seed": None}
    )


def test_a_matrix_needs_three_axes_that_are_not_in_a_plane() -> None:
    """As the C library, whose rule it is: also where rounding leaves a tiny volume."""
    singular = [
        [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09],
        [0.01, 0.0, 0.01, 0.0, 0.01, 0.01, 0.0, 0.0, 0.0],
        [1e200, 2e200, 0.0, 1e200, 2e200, 0.0, 0.0, 0.0, 1e200],
        [0.1, 0.2, 0.1 + 0.2, 0.3, 0.7, 0.3 + 0.7, 0.6, 0.1, 0.6 + 0.1],
    ]
    for matrix in singular:
        with pytest.raises(ConfigError, match=r"crystal\.orientation_matrix: .* lie in a plane"):
            Crystal(orientation_matrix=matrix)
    flat = (0.01, 0.0, 0.0, 0.0, 0.01, 0.0, 0.0, 1e-2, 1e-12)
    assert Crystal(orientation_matrix=flat).orientation_matrix == flat
    tiny = tuple(1e-200 * x for x in (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    assert Crystal(orientation_matrix=tiny).orientation_matrix == tiny
