"""Experiment -> arguments -> the same experiment, or an error that names the field."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from random_experiments import random_experiment
from recorded import INPUTS, table
from rule_cases import accepted

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments import emit, fields
from nanobragg_hybrid.arguments.emit import emit_args
from nanobragg_hybrid.arguments.flags import FLAGS, Flag
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.base.errors import CommandLineError, ConfigError
from nanobragg_hybrid.engines.c.plan import Plan
from nanobragg_hybrid.model.validate import FINITE, meta

CELL = {"crystal.cell_angstrom": (70.0, 80.0, 90.0), "crystal.cell_deg": (75.0, 85.0, 95.0)}
F1 = nb.StructureFactors.constant(1.0)
MASK = nb.Mask(np.arange(12).reshape(3, 4) % 5 > 0)
SAYABLE = "a value that nanoBragg's arguments can say"
MANY_CELLS = "crystal.n_cells: got (1.0, 3000000000.0, 1.0),"
LARGE_NUMBER = "-Nb: got '3000000000', need a whole number of at most 32 bits"
MATRIX = tuple(math.sin(n * n) for n in range(1, 10))

# Changes to the default experiment that come back as they are.
SAME: list[dict[str, Any]] = [
    {},
    CELL,
    CELL | {"crystal.n_cells": (5.0, 1.0, 300.0), "crystal.misset_deg": (1e-7, -2.0, 1 / 3)},
    {"crystal.misset_seed": 12, "goniometer.phi_deg": 3.0},
    {"crystal.misset_seed": -(2**31) + 1, "crystal.misset_random": True, "beam.exposure_s": 2.0},
    {"crystal.misset_random": True},
    {"crystal.size_mm": (0.1, None, 3e-5), "crystal.shape": "round", "crystal.shape_fudge": 1e-4},
    {"crystal.shape": "gauss"},
    {"crystal.shape": "tophat"},
    {"crystal.shape": "gauss_hkl"},
    {"crystal.shape": "tophat_hkl"},
    {"crystal.mosaic_spread_deg": 0.0, "crystal.mosaic_domains": 5, "crystal.mosaic_seed": -3},
    {"crystal.mosaic_spread_deg": 0.3, "crystal.water_um": 12.5},
    {"crystal.orientation_matrix": MATRIX},
    {"crystal.mosaic_rotations": nb.Rotations.from_vectors([(1, 2, 1e-9), (0, 0, 0)], (0.3, 0.0))},
    {"beam.wavelength_angstrom": 0.1 + 0.2, "beam.polarization_kahn": -0.7},
    {"beam.polarization_kahn": 0.5, "beam.polarization_correction": False},
    {
        "beam.divergence_h_mrad": 0.0,
        "beam.divergence_v_mrad": 2.0,
        "beam.divergence_h_steps": 3,
        "beam.divergence_v_steps": 4,
        "beam.divergence_h_step_mrad": 0.1,
        "beam.divergence_v_step_mrad": 0.2,
        "beam.divergence_shape": "square",
    },
    {"beam.dispersion_percent": None, "beam.dispersion_steps": 2},
    {"beam.dispersion_percent": 1.5},
    {
        "beam.fluence_photons_per_m2": 0.0,
        "beam.flux_photons_per_s": -1e12,
        "beam.beam_size_mm": -1.0,
    },
    {"beam.sources": (nb.Source((-10.0, 0.1, 0.2), 0.3, 1e-10), nb.Source((-1.0, 0.0, 0.0)))},
    {"beam.sources": (nb.Source((-10.0, 0.1, None)), nb.Source((-10.0, 0.0, 0.0), 2.0, 0.0))},
    {"beam.spectrum": nb.Spectrum(energies_ev=(1e4 / 3, 12001.0), weights=(0.1 + 0.2, 0.0))},
    {
        "beam.spectrum": nb.Spectrum(wavelengths_angstrom=(1.0, 0.7), weights=(1.0, 1e-300)),
        "beam.sources": (nb.Source((-10.0, 0.1, 0.2), 0.3), nb.Source((-1.0, 0.0, 0.0))),
    },
    {
        "goniometer.phi_deg": -1e-300,
        "goniometer.osc_deg": 0.0,
        "goniometer.phi_steps": 7,
        "goniometer.phi_step_deg": 0.0,
    },
    {"goniometer.spindle_axis": (0.0, 0.0, 0.63)},
    {"detector.normal_axis": (1.0, 0.0, 0.0), "detector.curved": True},
    {"detector.pivot": "sample"},
    {"detector.distance_mm": 231.27466, "detector.pivot": "sample", "detector.twotheta_deg": 7.0},
    {
        "detector.convention": "xds",
        "detector.pivot": "beam",
        "detector.close_distance_mm": -5.0,
        "detector.beam_x_mm": 0.0,
        "detector.beam_y_mm": -11.5,
        "detector.close_x_mm": 1.5,
        "detector.close_y_mm": 2.5,
        "detector.org_x_px": 3.5,
        "detector.org_y_px": 4.5,
    },
    {"detector.convention": "adxv", "detector.pivot": "beam"},
    {"detector.convention": "denzo", "detector.pivot": "sample"},
    {"detector.convention": "dials", "detector.pivot": "sample"},
    {
        "detector.pivot": "beam",
        "detector.fast_axis": (0.9998, -0.01, 0.017),
        "detector.slow_axis": (-0.01, -0.9999, 0.002),
        "detector.normal_axis": (0.0, 0.0, 0.0),
        "detector.twotheta_axis": (0.25, 0.0, -1.0),
        "detector.pix0_m": (0.1, 1 / 3, -0.3),
        "beam.direction": (0.0, 0.0, -1.0),
        "beam.polarization_axis": (0.0, 1.0, 0.0),
        "goniometer.spindle_axis": (-1.0, 0.0, 0.0),
    },
    {
        "detector.convention": "denzo",
        "detector.pivot": "beam",
        "detector.twotheta_axis": (0.25, 0.0, -1.0),
        "detector.twotheta_deg": 3.0,
    },
    {"detector.pixel_size_mm": 0.172, "detector.n_fast": 11, "detector.size_slow_mm": 10.0},
    {"detector.size_fast_mm": 30.0, "detector.n_slow": 8},
    {"detector.rotation_deg": (0.0, 3.0, -4.0), "detector.point_pixel": True},
    {"detector.curved": True},
    {"detector.curved": True, "output.noise_seed": 3},
    {"detector.sensor_thickness_um": 320.0, "detector.sensor_attenuation_depth_um": math.inf},
    {"detector.sensor_attenuation_depth_um": math.inf},
    {"detector.sensor_thickness_um": None, "detector.sensor_layers": 3},
    {"detector.sensor_thickness_um": 1e-3, "detector.sensor_attenuation_depth_um": 234.5},
    {"detector.mask": MASK, "detector.n_fast": 4, "detector.n_slow": 3},
    {"sampling.oversample": 3, "sampling.oversample_thick": True, "sampling.interpolate": True},
    {"sampling.oversample_polar": True, "sampling.interpolate": False},
    {"sampling.oversample_omega": True, "sampling.dmin_angstrom": 1.5},
    {"sampling.roi": (0, None, 5, 2)},
    {"sampling.roi": (3, 4, 5, None)},
    {"output.adc_offset": 0.0, "output.intensity_scale": 2.5, "output.pgm_scale": 1e-9},
    {"output.noise_seed": -(2**31)},
]

# Experiments that come back in another spelling of the same thing.
RESPELLED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"detector.distance_mm": 50.0}, {"detector.pivot": "beam"}),
    ({"detector.convention": "xds"}, {"detector.pivot": "sample"}),
    ({"detector.twotheta_deg": 5.0}, {"detector.pivot": "beam"}),
    (
        {"detector.convention": "custom"},
        {"detector.convention": "mosflm", "detector.fast_axis": (0.0, 0.0, 1.0)},
    ),
    (
        {"detector.convention": "custom", "beam.direction": (0.0, 0.0, -1.0)},
        {"detector.convention": "mosflm"},
    ),
    (
        {"detector.twotheta_axis": (0.0, 1.0, 0.0)},  # -twotheta_axis implies a pivot
        {"detector.pivot": "beam"},
    ),
    (
        {"detector.convention": "xds", "goniometer.spindle_axis": (1.0, 0.0, 0.0)},
        {"detector.pivot": "beam"},
    ),
    ({"sampling.roi": (None, -1, -4, 7)}, {"sampling.roi": (0, None, 0, 7)}),
    (
        {"crystal.misset_random": True, "crystal.misset_deg": (1.0, 2.0, 3.0)},
        {"crystal.misset_deg": (0.0, 0.0, 0.0)},
    ),
    ({"crystal.n_cells": (2.0, 1.0, 1.0)}, {}),
    (
        {"crystal.cell_deg": (80.0, 90.0, 90.0), "crystal.orientation_matrix": MATRIX},
        {"crystal.cell_deg": (90.0, 90.0, 90.0)},  # without lengths it has no effect
    ),
    (
        {
            "detector.mask": MASK,
            "detector.pixel_size_mm": 0.125,
            "detector.size_fast_mm": 0.5,
            "detector.size_slow_mm": 0.375,
        },
        {"detector.n_fast": 4, "detector.n_slow": 3},  # which the mask states
    ),
]


# What is said of numbers that can hardly be meant, but come back as they are.
ODD = (".* as if not given", ".*the fluence", ".* no effect without", ".* counts as ")


def again(experiment: nb.Experiment, folder: Path) -> nb.Experiment:
    """The experiment after a way through arguments; other warnings are errors."""
    with warnings.catch_warnings():
        for odd in ODD:
            warnings.filterwarnings("ignore", message=odd)
        return parse_command(emit_args(experiment, folder)).experiment


@pytest.mark.filterwarnings("ignore:.*quirk impossible_sources")
@pytest.mark.parametrize("changes", SAME, ids=lambda changes: ",".join(changes) or "default")
def test_comes_back(changes: dict[str, Any], tmp_path: Path) -> None:
    experiment = nb.Experiment().replace(changes)
    assert again(experiment, tmp_path) == experiment


@pytest.mark.parametrize(("changes", "difference"), RESPELLED)
def test_comes_back_respelled(
    changes: dict[str, Any], difference: dict[str, Any], tmp_path: Path
) -> None:
    experiment = nb.Experiment().replace(changes)
    once = again(experiment, tmp_path)
    assert once == experiment.replace(difference)
    assert again(once, tmp_path) == once
    if not experiment.crystal.misset_random:
        rendered: dict[str, Any] = {"sampling.oversample": 1}
        if experiment.crystal.orientation_matrix is None:
            rendered["crystal.cell_angstrom"] = (50, 60, 70)
        plans = [Plan(e.replace(rendered), F1, nb.Quirks()).info() for e in (experiment, once)]
        assert plans[0] == plans[1]


def test_default_needs_no_arguments() -> None:
    assert emit_args(nb.Experiment()) == []


@pytest.mark.filterwarnings("ignore:.* counts as 0", "ignore:.*quirk impossible_sources")
@pytest.mark.parametrize("case", table("cases"))
def test_recorded_command_lines(case: str, tmp_path: Path) -> None:
    args = table("cases")[case]["args"]
    experiment = parse_command(args, INPUTS).experiment
    once = again(experiment, tmp_path)
    # Without a flag that implies a pivot (numbers from -img), the pivot is written out.
    expected = experiment
    if experiment.detector.pivot is None:
        expected = experiment.replace({"detector.pivot": once.detector.pivot})
    assert once == expected
    assert again(once, tmp_path) == once


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"crystal.orientation_matrix": (1.0, 0, 0, 0, 1, 0, 0, 0, 1)},
            "crystal.orientation_matrix: got 'no folder', need a folder to write it to as a file",
        ),
        (
            {"beam.sources": (nb.Source((1.0, 0.0, 0.0)),)},
            "beam.sources: got 'no folder', need a folder to write it to as a file",
        ),
        (
            {"detector.mask": MASK, "detector.n_fast": 4, "detector.n_slow": 3},
            "detector.mask: got 'no folder', need a folder to write it to as a file",
        ),
        (
            {"crystal.n_cells": (5.5, 1.0, 1.0)},
            "crystal.n_cells: got 5.5, need whole numbers, to be written as -N",
        ),
        (
            {"crystal.n_cells": (1.0, 3e9, 1.0)},
            f"{MANY_CELLS} need {SAYABLE} ({LARGE_NUMBER})",
        ),
    ],
)
def test_what_arguments_alone_cannot_say(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        emit_args(nb.Experiment().replace(changes))
    assert str(error.value) == message
    assert error.value.field == next(iter(changes))


def test_sources_without_a_column_cannot_be_said(tmp_path: Path) -> None:
    experiment = nb.Experiment().replace({"beam.sources": (nb.Source(),)})
    with pytest.raises(
        ConfigError, match=r"^sources\[0\]: got .*, need x, or no column from x on$"
    ):
        emit_args(experiment, tmp_path)


@pytest.mark.parametrize("axis", ["fast", "slow"])
def test_a_mask_on_a_part_of_a_pixel_cannot_be_said(axis: str, tmp_path: Path) -> None:
    """The mask states whole pixels, and the beam centre depends on the size."""
    size = {"detector.size_fast_mm": 0.4, "detector.size_slow_mm": 0.3}
    size[f"detector.size_{axis}_mm"] += 0.01
    experiment = nb.Experiment().replace({"detector.mask": MASK} | size)
    with pytest.raises(ConfigError) as error:
        emit_args(experiment, tmp_path)
    pixels = {"fast": 4, "slow": 3}[axis]
    assert str(error.value) == (f"detector.n_{axis}: got None, need {SAYABLE} (they give {pixels})")


FLOATS = ("0", "1", "-1", "2", "0.63", "-12.5", "1e-3", "300")
WHOLE = ("0", "1", "-1", "2", "7")
ROWS = [
    flag
    for flag in FLAGS
    if flag.kind in ("float", "int", "seed", "switch") or flag.action == "pivot"
]


def random_words(random: Random) -> list[str]:
    """One to six options of nanoBragg, with values that are often at the edge of what they mean."""
    words = []
    for flag in random.sample(ROWS, random.randint(1, 6)):
        values = {"float": FLOATS, "text": ("beam", "sample")}.get(flag.kind, WHOLE)
        words += [random.choice(flag.spellings), *(random.choice(values) for _ in flag.words)]
        if flag.action == "misset" and random.random() < 0.5:
            words[-3:] = ["random"]
    return words


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
def test_random_words_come_back() -> None:
    """Whatever nanoBragg's words mean can be said in them: every field is the same."""
    experiments = []
    for seed in range(1200):
        with contextlib.suppress(ConfigError, CommandLineError):
            words = random_words(Random(seed))
            experiments.append((words, parse_command(words).experiment))
    assert len(experiments) > 900
    changed_fields = {
        f"{part.name}.{item.name}"
        for _, experiment in experiments
        for part in dataclasses.fields(experiment)
        if part.default is not None
        for item in dataclasses.fields(part.default)
        if getattr(getattr(experiment, part.name), item.name) != getattr(part.default, item.name)
    }
    files = {"beam.sources", "crystal.orientation_matrix", "detector.mask"}
    files |= {"beam.spectrum", "crystal.mosaic_rotations"}
    assert set(PATHS) - changed_fields == files
    different = [
        " ".join(words)
        for words, experiment in experiments
        if parse_command(emit_args(experiment)).experiment != experiment
    ]
    assert different == []


@for_each("seed", range(40))
def test_random_experiments_come_back(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The first way through words may spell a thing differently, no other one does."""
    experiment = random_experiment(np.random.default_rng(seed))
    cells = tuple(float(int(n)) for n in experiment.crystal.n_cells)
    folder = tmp_path_factory.mktemp("words")
    once = again(experiment.replace({"crystal.n_cells": cells}), folder)
    assert again(once, folder) == once


def test_methods_of_the_experiment(tmp_path: Path) -> None:
    experiment = nb.Experiment.from_nanobragg_args("-mat ortho.mat -N 5", INPUTS)
    args = experiment.to_nanobragg_args(tmp_path)
    assert nb.Experiment.from_nanobragg_args(args) == experiment


def test_numbers_are_emitted_without_numpy(tmp_path: Path) -> None:
    code = """
import sys
from nanobragg_hybrid import Experiment
args = "-mat ortho.mat -sourcefile sources.txt"
experiment = Experiment.from_nanobragg_args(args, sys.argv[1])
print(len(experiment.to_nanobragg_args(sys.argv[2])), "numpy" in sys.modules)
"""
    command = [sys.executable, "-c", code, str(INPUTS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "4 False\n"


# --- every field

PATHS = [
    f"{part.name}.{config_field.name}"
    for part in dataclasses.fields(nb.Experiment)
    if part.default is not None  # without background and response, which have no words
    for config_field in dataclasses.fields(part.default)
    if config_field.name != "panels"  # tests/unit/test_panels.py
]
# What a field needs beside it to be said as it is.
CONTEXT: dict[str, dict[str, Any]] = {
    "crystal.cell_deg": {"crystal.cell_angstrom": (70.0, 80.0, 90.0)},
    "detector.mask": {"detector.n_fast": 1024, "detector.n_slow": 1024},
}
# Values beside those of `accepted`, where these are the default or make no file.
MORE: dict[str, list[Any]] = {
    "beam.exposure_s": [0.25],
    "beam.sources": [(nb.Source((-10.0, 0.5, 0.25), 2.0, 1e-10),)],
    "crystal.shape_fudge": [0.25],
    "crystal.n_cells": [(2.0, 3.0, 4.0), (1.0, 2.0, 2.5), (1.0, 2.0**31, 1.0)],
}
# Fields that another field's function says as well.
SAID_WITH = {
    "crystal.cell_deg": "crystal.cell_angstrom",
    "crystal.misset_random": "crystal.misset_deg",
}


def changed(path: str) -> list[nb.Experiment]:
    """Experiments in which the field has each value that its rule accepts and that is not its
    default."""
    part, name = path.split(".")
    config = getattr(nb.Experiment(), part)
    [rule] = (f.metadata["rule"] for f in dataclasses.fields(config) if f.name == name)
    values = [stored for _, stored in accepted(rule)] + MORE.get(path, [])
    found = []
    for value in values:
        if value == getattr(config, name):
            continue
        try:
            found.append(nb.Experiment().replace(CONTEXT.get(path, {}) | {path: value}))
        except ConfigError:  # a pixel too small, pixels too many: the detector's own rule
            assert part == "detector"
    assert found
    return found


@pytest.mark.parametrize("path", PATHS)
def test_every_field_comes_back_or_is_refused_by_name(path: str, tmp_path: Path) -> None:
    came_back = 0
    for experiment in changed(path):
        try:
            once = again(experiment, tmp_path)
        except ConfigError as error:
            refused = error.field
        else:
            expected = {"detector.pivot": once.detector.pivot}
            if experiment.detector.convention == "custom":  # a vector selects it
                expected |= {
                    "detector.convention": "mosflm",
                    "detector.fast_axis": (0.0, 0.0, 1.0),
                }
            assert experiment.detector.pivot in (None, once.detector.pivot)
            assert once == experiment.replace(expected)
            came_back += 1
            continue
        assert refused in (path, "sources[0]")
    assert came_back > 0


@pytest.mark.parametrize("path", PATHS)
def test_a_field_without_row_and_function_is_named(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tuple(f for f in FLAGS if not any(f"{t}.".startswith(f"{path}.") for t in f.targets))
    monkeypatch.setattr(emit, "FLAGS", rows)
    by_hand = {key: value for key, value in emit._BY_HAND.items() if key != path}
    monkeypatch.setattr(emit, "_BY_HAND", by_hand)
    for experiment in changed(path):
        if isinstance(experiment.detector.pixel_size_mm, tuple):  # refused before
            continue
        with pytest.raises(ConfigError) as error:
            emit_args(experiment, tmp_path)
        assert error.value.field == path
        assert error.value.rule.endswith(", or a value that a flag of nanoBragg sets")


@pytest.mark.parametrize("path", PATHS)
def test_a_field_that_is_passed_over_is_named(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = dict(emit._BY_HAND) | {SAID_WITH.get(path, path): lambda _: []}
    if path == "crystal.cell_deg":
        silent["crystal.cell_angstrom"] = lambda _: ["-cell", "70", "80", "90"]
    monkeypatch.setattr(emit, "_BY_HAND", silent)
    for experiment in changed(path):
        if isinstance(experiment.detector.pixel_size_mm, tuple):  # refused before
            continue
        with pytest.raises(ConfigError) as error:
            emit_args(experiment, tmp_path)
        assert error.value.field == path
        assert f"need {SAYABLE} (they give " in str(error.value)


def rows_with(option: str, **values: Any) -> tuple[Flag, ...]:
    """The flag table with a change in one row."""
    assert option in {flag.option for flag in FLAGS}
    return tuple(f._replace(**values) if f.option == option else f for f in FLAGS)


@pytest.mark.parametrize(
    ("option", "change", "changes", "field_name"),
    [
        (
            "-Xbeam",
            {"emitted": "-Ybeam"},
            {"detector.beam_x_mm": 5.0, "detector.beam_y_mm": 6.0},
            "detector.beam_x_mm",
        ),
        ("-gauss_xtal", {"value": "tophat"}, {"crystal.shape": "tophat"}, "crystal.shape"),
        ("-lambda", {"kind": "int"}, {"beam.wavelength_angstrom": 1.5}, "beam.wavelength_angstrom"),
        (
            "-dispersion",
            {"rule": "as is"},
            {"beam.dispersion_percent": None},
            "beam.dispersion_percent",
        ),
    ],
)
def test_a_wrong_row_is_noticed(
    option: str,
    change: dict[str, Any],
    changes: dict[str, Any],
    field_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experiment = nb.Experiment().replace(changes)
    emit_args(experiment)
    monkeypatch.setattr(emit, "FLAGS", rows_with(option, **change))
    with pytest.raises(ConfigError) as error:
        emit_args(experiment)
    assert error.value.field == field_name


@pytest.mark.parametrize(
    ("first", "second", "changes", "lost"),
    [
        (
            "crystal.misset_deg",
            "crystal.misset_seed",
            {
                "crystal.misset_seed": 5,
                "crystal.misset_deg": (1.0, 2.0, 3.0),
                "goniometer.phi_deg": 4.0,
            },
            "crystal.misset_deg",
        ),
        (
            "detector.sensor_thickness_um",
            "detector.sensor_attenuation_depth_um",
            {
                "detector.sensor_thickness_um": 300.0,
                "detector.sensor_attenuation_depth_um": math.inf,
            },
            "detector.sensor_thickness_um",
        ),
        (
            "detector.fast_axis",
            "detector.convention",
            {"detector.convention": "xds", "detector.fast_axis": (0.0, 1.0, 0.0)},
            "detector.fast_axis",
        ),
        (
            "detector.twotheta_deg",
            "detector.twotheta_axis",
            {"detector.twotheta_axis": (0.5, 0.5, 0.0)},
            "detector.twotheta_deg",
        ),
        (
            "detector.pivot",
            "detector.twotheta_deg",
            {"detector.pivot": "beam", "detector.twotheta_deg": 5.0},
            "detector.pivot",
        ),
    ],
)
def test_a_wrong_order_is_noticed(
    first: str,
    second: str,
    changes: dict[str, Any],
    lost: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experiment = nb.Experiment().replace(changes)
    emit_args(experiment)
    sequence = [path for path in emit._SEQUENCE if path != first]
    sequence.insert(sequence.index(second), first)
    monkeypatch.setattr(emit, "_SEQUENCE", tuple(sequence))
    with pytest.raises(ConfigError) as error:
        emit_args(experiment)
    assert error.value.field == lost


# --- a new field


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DetectorWithGain(nb.Detector):
    """A detector with one field more."""

    gain: float = field(default=1.0, metadata=meta(FINITE, "counts"))


def test_a_new_field_is_named_until_a_flag_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    start = nb.Experiment(detector=DetectorWithGain())
    monkeypatch.setattr(fields, "Experiment", lambda: start)
    assert emit_args(start) == []
    experiment = nb.Experiment(detector=DetectorWithGain(gain=2.0))
    with pytest.raises(ConfigError) as error:
        emit_args(experiment)
    assert str(error.value) == (
        "detector.gain: got 2.0 counts, need 1.0, or a value that a flag of nanoBragg sets"
    )
    row = Flag(("-gain",), "sensor", "counts of one photon", targets=("detector.gain",))
    monkeypatch.setattr(emit, "FLAGS", (*FLAGS, row))
    with pytest.raises(ConfigError, match=r"^detector\.gain: got 2\.0 counts, need .*give 1\.0\)$"):
        emit_args(experiment)  # nobody reads it
    monkeypatch.setattr("nanobragg_hybrid.arguments.parse.FLAGS", (*FLAGS, row))
    assert emit_args(experiment) == ["-gain", "2.0"]
