"""With every quirk off, an image is physics: it does not care how it was computed, nor by which
engine."""

from __future__ import annotations

import dataclasses
from functools import partial
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import pytest
from corrected import rotation, rotation_xyz, unit
from for_each import for_each
from pictures import CONSTANT, STILL, assert_differs, assert_same, picture, relative_l2
from random_experiments import CORRECTED, random_experiment, random_table

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.plan import Plan

NONE = CORRECTED  # but for those that refuse some of the experiments
FACTORS = nb.StructureFactors.from_grid(
    np.random.default_rng(8).uniform(0.0, 200.0, (31, 33, 35)), (-15, -16, -17)
)
RICH = nb.Experiment(
    beam=nb.Beam(
        direction=(1.0, 0.02, -0.01),
        polarization_axis=(0.0, 0.1, 1.0),
        polarization_kahn=0.8,
        divergence_h_mrad=4.0,
        divergence_h_steps=2,
        dispersion_percent=1.0,
        dispersion_steps=2,
    ),
    crystal=nb.Crystal(
        cell_angstrom=(40, 50, 60),
        cell_deg=(78, 85, 97),
        misset_deg=(10, 20, 30),
        n_cells=(4, 5, 6),
        water_um=0.02,
    ),
    goniometer=nb.Goniometer(spindle_axis=(0.1, 0.0, 1.0), osc_deg=2.0, phi_steps=3),
    detector=nb.Detector(
        fast_axis=(0.0, 0.0, 1.0),
        slow_axis=(0.0, -1.0, 0.0),
        normal_axis=(1.0, 0.0, 0.0),
        twotheta_axis=(0.0, 0.0, -1.0),
        twotheta_deg=12.0,
        distance_mm=60.0,
        pixel_size_mm=1.5,
        n_fast=16,
        n_slow=14,
        beam_x_mm=11.0,
        beam_y_mm=12.0,
        sensor_thickness_um=400.0,
        sensor_attenuation_depth_um=300.0,
        sensor_layers=2,
    ),
    sampling=nb.Sampling(oversample=2, interpolate=True),
)


SOURCES = (
    nb.Source((-10.0, 0.5, 0.1), 0.5, 1.0e-10),
    nb.Source((-10.0, -0.2, 0.3), 3.0, 1.02e-10),
)


class Renders(Protocol):
    """`pictures.picture` with an engine chosen."""

    def __call__(
        self,
        experiment: nb.Experiment,
        quirks: nb.Quirks | None = None,
        factors: nb.StructureFactors = CONSTANT,
    ) -> np.ndarray: ...


@pytest.fixture(params=["c", "torch"])
def rendered(request: pytest.FixtureRequest) -> Renders:
    """Pixel values of one engine."""
    if request.param == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    return partial(picture, backend=request.param)


def euler_deg(matrix: np.ndarray) -> tuple[float, ...]:
    """Turns about x, then y, then z."""
    x = np.arctan2(matrix[2, 1], matrix[2, 2])
    y = np.arcsin(-matrix[2, 0])
    z = np.arctan2(matrix[1, 0], matrix[0, 0])
    return tuple(np.degrees([x, y, z]))


def turned(experiment: nb.Experiment, turn: np.ndarray) -> nb.Experiment:
    """Beam, polarization, spindle, detector and crystal, all turned together."""
    vectors = [
        "beam.direction",
        "beam.polarization_axis",
        "goniometer.spindle_axis",
        "detector.fast_axis",
        "detector.slow_axis",
        "detector.normal_axis",
        "detector.twotheta_axis",
        "detector.pix0_m",
    ]
    changes: dict[str, Any] = {}
    for path in vectors:
        part, name = path.split(".")
        vector = getattr(getattr(experiment, part), name)
        if vector is not None:
            changes[path] = tuple(turn @ np.array(vector))
    if experiment.beam.sources is not None:
        changes["beam.sources"] = tuple(
            dataclasses.replace(source, position=tuple(turn @ np.array(source.position)))
            for source in experiment.beam.sources
        )
    angles = np.radians(experiment.crystal.misset_deg)
    changes["crystal.misset_deg"] = euler_deg(turn @ rotation_xyz(angles))
    changes["detector.normal_axis"] = (0, 0, 0)  # fast x slow
    return experiment.replace(changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"detector.pivot": "sample"},
        {"detector.curved": True},
        {"detector.pix0_m": (0.06, 0.012, -0.011)},
        {
            "detector.beam_x_mm": None,
            "detector.beam_y_mm": None,
            "detector.org_x_px": 7.0,
            "detector.org_y_px": 8.5,
        },
        {"crystal.shape": "gauss", "crystal.shape_fudge": 1e-4},
        {"beam.sources": SOURCES},
        {
            "sampling.oversample_thick": True,
            "sampling.oversample_polar": True,
            "sampling.oversample_omega": True,
        },
    ],
    ids=["plain", "sample", "curved", "pix0", "origin", "gauss", "sources", "oversampled"],
)
@for_each("seed", range(3))
def test_turning_everything_together(rendered: Renders, seed: int, changes: dict[str, Any]) -> None:
    random = np.random.default_rng(seed)
    turn = rotation(unit(random.normal(size=3)), random.uniform(0.2, 3.0))
    experiment = RICH.replace(changes)
    need = rendered(experiment, NONE, FACTORS)
    assert_same(rendered(turned(experiment, turn), NONE, FACTORS), need)


def test_turning_only_a_part_is_seen(rendered: Renders) -> None:
    turn = rotation(unit(np.array([1.0, 2.0, -1.0])), 0.7)
    need, together = rendered(RICH, NONE, FACTORS), turned(RICH, turn)
    for path in ("crystal.misset_deg", "beam.polarization_axis", "goniometer.spindle_axis"):
        part, name = path.split(".")
        left_behind = together.replace({path: getattr(getattr(RICH, part), name)})
        assert_differs(rendered(left_behind, NONE, FACTORS), need, 1e-3)


def test_sources_add_up(rendered: Renders) -> None:
    rows = Plan(RICH, FACTORS, NONE).sources()
    assert len(rows) == 4
    alone = [(nb.Source(tuple(row[:3]), 1.0, row[4]),) for row in rows]
    pictures = [rendered(RICH.replace({"beam.sources": one}), NONE, FACTORS) for one in alone]
    assert_same(rendered(RICH, NONE, FACTORS), np.mean(pictures, axis=0))


def test_phi_steps_add_up(rendered: Renders) -> None:
    angles = np.degrees(Plan(RICH, FACTORS, NONE).phi())
    assert angles == pytest.approx([1 / 3, 1.0, 5 / 3])
    still = {"goniometer.osc_deg": None, "goniometer.phi_steps": None}
    pictures = [
        rendered(RICH.replace({**still, "goniometer.phi_deg": float(a)}), NONE, FACTORS)
        for a in angles
    ]
    assert_same(rendered(RICH, NONE, FACTORS), np.mean(pictures, axis=0))


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("seed", [0, 1, 2, 4, 6, 7, 8, 9, 14, 15])  # the others are dark
def test_sources_and_phi_steps_of_random_experiments_add_up(rendered: Renders, seed: int) -> None:
    """Each source at each φ by itself, weighted: whatever else the experiment has."""
    random = np.random.default_rng(300 + seed)
    experiment, factors = random_experiment(random), random_table(random)
    plan = Plan(experiment, factors, NONE)
    oversample = plan.info()["oversample"]  # some of them would choose another one alone
    rows, angles = plan.sources(), np.degrees(plan.phi())
    shares = rows[:, 3] / rows[:, 3].sum() / len(angles)
    need = 0.0
    for row, share in zip(rows, shares, strict=True):
        for angle in angles:
            alone = experiment.replace(
                {
                    "beam.sources": (nb.Source(tuple(row[:3]), 1.0, row[4]),),
                    "goniometer.phi_deg": float(angle),
                    "goniometer.osc_deg": None,
                    "goniometer.phi_steps": None,
                    "goniometer.phi_step_deg": None,
                    "sampling.oversample": oversample,
                }
            )
            need = need + share * rendered(alone, NONE, factors)
    assert_same(rendered(experiment, NONE, factors), need)


def test_two_scans_add_up_to_one(rendered: Renders) -> None:
    """Steps in the middle of their intervals: half the range twice is the whole range."""
    whole = RICH.replace({"goniometer.osc_deg": 2.0, "goniometer.phi_steps": 4})
    half = {"goniometer.osc_deg": 1.0, "goniometer.phi_steps": 2}
    first = rendered(whole.replace(half), NONE, FACTORS)
    second = rendered(whole.replace({**half, "goniometer.phi_deg": 1.0}), NONE, FACTORS)
    assert_same(rendered(whole, NONE, FACTORS), (first + second) / 2)


def test_layers_add_up(rendered: Renders) -> None:
    """A sensor is its layers, each rendered as a sensor of its own in the shadow of those above."""
    step_mm, depth_mm, distance_mm, layers = 0.5, 0.8, 60.0, 4
    sensor = STILL.replace(
        {
            "beam.polarization_kahn": 0.5,
            "detector.convention": "xds",
            "detector.distance_mm": distance_mm,
            "detector.sensor_thickness_um": 1000 * step_mm * layers,
            "detector.sensor_attenuation_depth_um": 1000 * depth_mm,
            "detector.sensor_layers": layers,
            "sampling.oversample_thick": True,
            "sampling.oversample_polar": True,
            "sampling.oversample_omega": True,
        }
    )
    one = {"detector.sensor_thickness_um": 1000 * step_mm, "detector.sensor_layers": 1}
    n_slow, n_fast = sensor.detector.shape
    fast, slow = np.arange(n_fast) + 0.5 - n_fast / 2, np.arange(n_slow) + 0.5 - n_slow / 2
    total = np.zeros((n_slow, n_fast))
    for layer in range(layers):
        z_mm = distance_mm + layer * step_mm
        path = np.sqrt(fast**2 + slow[:, None] ** 2 + z_mm**2) / z_mm
        shadow = np.exp(-layer * step_mm * path / depth_mm)
        alone = rendered(sensor.replace({**one, "detector.distance_mm": z_mm}), NONE)
        # the obliquity of a layer is taken with the surface's distance (model 6.2)
        total += alone * shadow * distance_mm / z_mm
    assert_same(rendered(sensor, NONE), total)


@pytest.mark.parametrize("options", [False, True])
def test_oversampling_converges(rendered: Renders, options: bool) -> None:
    """The error of a midpoint sum falls with the square of the number of sub-pixels."""
    smooth = RICH.replace(
        {
            "crystal.n_cells": (2, 2, 2),
            "crystal.cell_angstrom": (20, 22, 24),
            "crystal.water_um": 0.0,  # whose factors are always the first sub-pixel's
            "detector.pixel_size_mm": 3.0,
            "detector.n_fast": 6,
            "detector.n_slow": 5,
            "sampling.interpolate": False,
            "sampling.oversample_thick": options,
            "sampling.oversample_polar": options,
            "sampling.oversample_omega": options,
        }
    )
    fine, *coarse = (
        rendered(smooth.replace({"sampling.oversample": n}), NONE) for n in (64, 4, 8, 16)
    )
    errors = [relative_l2(image, fine) for image in coarse]
    if options:
        assert errors[0] > 3 * errors[1] > 9 * errors[2]
        assert errors[2] < 1e-3
    else:  # the first sub-pixel's factors belong to a corner of the pixel
        assert errors[0] > 1.5 * errors[1] > 2.2 * errors[2]


def test_on_oversampling_does_not_converge() -> None:
    """The other side: the running product of the options goes to 0 with more sub-pixels."""
    still = STILL.replace({"sampling.oversample_omega": True})
    on, corrected = (
        [picture(still.replace({"sampling.oversample": n}), quirks).sum() for n in (4, 16, 32)]
        for quirks in (nb.Quirks(), NONE)
    )
    assert on[0] > 3 * on[1] > 9 * on[2]
    assert corrected[2] == pytest.approx(corrected[1], rel=0.01)
    assert on[2] < 0.01 * corrected[2]


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@for_each("seed", range(12))
def test_pixels_do_not_know_each_other(seed: int) -> None:
    """A pixel's bits are the same whichever pixels are rendered besides it."""
    random = np.random.default_rng(100 + seed)
    experiment = random_experiment(random).replace({"sampling.roi": None})
    factors = random_table(random)
    whole = picture(experiment, NONE, factors)
    n_slow, n_fast = whole.shape
    pixels = np.zeros_like(whole)
    for slow, fast in np.ndindex(n_slow, n_fast):
        one = experiment.replace({"sampling.roi": (fast, fast, slow, slow)})
        pixels[slow, fast] = picture(one, NONE, factors)[slow, fast]
    assert pixels.tobytes() == whole.tobytes()


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed (extra: torch)")
@for_each("seed", [0, 5, 10])
def test_pixels_of_torch_do_not_know_each_other(seed: int) -> None:
    """The same to rounding: a tile's place decides which instructions take a pixel's sines."""
    random = np.random.default_rng(100 + seed)
    experiment = random_experiment(random).replace({"sampling.roi": None})
    factors = random_table(random)
    whole = picture(experiment, NONE, factors, "torch")
    pixels = np.zeros_like(whole)
    for slow, fast in np.ndindex(*whole.shape):
        one = experiment.replace({"sampling.roi": (fast, fast, slow, slow)})
        pixels[slow, fast] = picture(one, NONE, factors, "torch")[slow, fast]
    assert np.count_nonzero(whole) > 0
    assert np.allclose(pixels, whole, rtol=1e-11, atol=0.0)


def test_on_pixels_know_each_other() -> None:
    """The other side: with every quirk on, the first pixel of a region is special."""
    scan = STILL.replace({"goniometer.osc_deg": 1.0, "goniometer.phi_steps": 3})
    region = scan.replace({"sampling.roi": (5, 9, 5, 9)})
    whole, part = picture(scan), picture(region)
    assert part[5, 5] != whole[5, 5]
    assert np.array_equal(part[6:10, 5:10], whole[6:10, 5:10])
    assert picture(scan, NONE)[5, 5] == picture(region, NONE)[5, 5]


@for_each("threads", [2, 3, 16])
def test_threads(threads: int) -> None:
    one, many = (
        nb.simulate(RICH, FACTORS, quirks=NONE, threads=n, unrounded=True) for n in (1, threads)
    )
    assert one.unrounded is not None
    assert many.unrounded is not None
    assert one.unrounded.tobytes() == many.unrounded.tobytes()


def test_constant_is_a_table_without_a_table(rendered: Renders) -> None:
    """A table of one value and a default of that value are the same crystal."""
    table = nb.StructureFactors.from_grid(np.full((5, 5, 5), 100.0), (-2, -2, -2), default_f=100.0)
    assert_same(rendered(STILL, NONE, table), rendered(STILL, NONE, CONSTANT), 1e-14)
