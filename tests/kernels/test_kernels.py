"""Every kernel gives the exact kernel's bits, and its intervals hold the exact values."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import numpy as np
import pytest
from for_each import for_each
from random_experiments import random_experiment, random_quirks, random_table
from recorded import INPUTS, table
from recorded import image as recorded_image
from structure_factor_files import structure_factors_of

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.engines.c.libnbh import available_kernels
from nanobragg_hybrid.engines.c.numbers import KERNEL_NUMBERS, KERNEL_REASONS, SHAPE_NUMBERS
from nanobragg_hybrid.engines.c.plan import Plan

FAST = [kernel for kernel in KERNEL_NUMBERS if kernel not in ("auto", "exact")]
QUIRKS = nb.Quirks()
CONSTANT = nb.StructureFactors.constant(100.0)


@pytest.fixture(params=FAST)
def kernel(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name not in available_kernels():
        pytest.skip(f"this build or this processor has no {name} kernel")
    return name


def image(experiment: nb.Experiment, factors: nb.StructureFactors, kernel: str) -> np.ndarray:
    return nb.simulate(
        experiment, factors, quirks=QUIRKS, threads=1, backend=nb.CEngine(kernel=kernel)
    ).image


def used(experiment: nb.Experiment, kernel: str) -> str:
    result = nb.simulate(
        experiment, CONSTANT, quirks=QUIRKS, threads=1, backend=nb.CEngine(kernel=kernel)
    )
    name: str = result.provenance["kernel"]
    return name


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or not Path("/proc/cpuinfo").exists(),
    reason="compares with what Linux says of an x86 processor",
)
def test_the_kernels_are_those_the_processor_runs() -> None:
    flags = set(re.findall(r"(?m)^flags\s*: (.*)$", Path("/proc/cpuinfo").read_text())[0].split())
    avx2 = {"fma", "avx", "avx2"} <= flags
    avx512 = avx2 and {"avx512f", "avx512dq", "avx512vl"} <= flags
    expected = ["baseline", *["avx2"] * avx2, *["avx512"] * avx512]
    assert [name for name in available_kernels() if name != "exact"] == expected


FEW_EVALUATIONS = 3_000_000
"""Larger recorded images are left to the command, which takes the best kernel
(tests/golden/test_cases.py)."""
RECORDED = [name for name, case in table("cases").items() if case["exit"] == 0]


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("case", RECORDED)
def test_recorded_images(case: str) -> None:
    args = table("cases")[case]["args"]
    experiment = parse_command(args, INPUTS).experiment
    factors = structure_factors_of(args, INPUTS)
    info = Plan(experiment, factors, QUIRKS).info()
    evaluations = info["n_fast"] * info["n_slow"] * info["steps"] * info["sensor_layers"]
    for kernel in available_kernels() if evaluations < FEW_EVALUATIONS else ():
        found = image(experiment, factors, kernel)
        assert np.array_equal(found, recorded_image("images", case), equal_nan=True), kernel


SHAPES = tuple(SHAPE_NUMBERS)
EXACT_SHAPES = ("tophat", "tophat_hkl")
"""Shapes whose pixels the fast kernel computes without any error."""


def random_case(seed: int) -> tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]:
    """A small experiment in which everything can happen, with several blocks of pixels a row."""
    random = np.random.default_rng(seed)
    experiment, factors = random_experiment(random), random_table(random)
    often = lambda: bool(random.uniform() < 0.25)  # noqa: E731
    quirks = random_quirks(random)
    experiment = experiment.replace(
        {
            "crystal.shape": SHAPES[seed % len(SHAPES)],
            "crystal.shape_fudge": random.choice([1.0, 0.02, random.uniform(0.0, 2.0)]),
            "sampling.oversample_thick": often(),
            "sampling.oversample_polar": often(),
            "sampling.oversample_omega": often(),
            "sampling.roi": None,
            "detector.n_fast": int(random.integers(1, 40)),
            "detector.mask": None,
        }
    )
    return experiment, factors, quirks if random.uniform() < 0.7 else QUIRKS


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("seed", range(300))
def test_random_experiments(seed: int) -> None:
    experiment, factors, quirks = random_case(seed)
    images = {
        kernel: nb.simulate(
            experiment, factors, quirks=quirks, threads=1, backend=nb.CEngine(kernel=kernel)
        ).image.tobytes()
        for kernel in available_kernels()
    }
    assert {kernel for kernel, it in images.items() if it != images["exact"]} == set()


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("seed", range(1000, 1060))
def test_intervals_hold_the_exact_values(seed: int, kernel: str) -> None:
    """The bound of docs/accuracy.md, against the exact kernel's doubles: the largest error that is
    seen, over the bound, stays far below 1."""
    experiment, factors, quirks = random_case(seed)
    plan = Plan(experiment, factors, quirks, kernel)
    assert plan.info()["kernel"] == KERNEL_NUMBERS[kernel]
    low, high = plan.intervals()
    exact, _ = Plan(experiment, factors, quirks, "exact").intervals()
    known = ~np.isnan(low)
    assert np.all((low <= exact)[known])
    assert np.all((exact <= high)[known])
    assert np.all((low <= high)[known])  # a factor below 0 does not exchange them
    if experiment.crystal.shape in EXACT_SHAPES:
        assert np.array_equal(low[known], high[known])
        return
    # at 0 the interval is cut off, before water is added; a running product may have grown beyond
    # all bounds
    whole = known & (low > 0.0) & np.isfinite(high) & (high < 2.0 * low)
    assert experiment.sampling.oversample_omega or np.array_equal(whole, known & (low > 0.0))
    half = (high[whole] - low[whole]) / 2
    error = np.abs((low[whole] + high[whole]) / 2 - exact[whole])
    # water alone may round by more than a faint reflection's whole interval
    rounding = 2 * np.spacing(exact[whole])
    assert np.all(error <= 0.5 * half + rounding)


ROUND = nb.Experiment(
    beam=nb.Beam(polarization_correction=False),
    crystal=nb.Crystal(
        cell_angstrom=(70, 80, 90), n_cells=(20, 20, 20), shape="round", misset_deg=(10, 20, 30)
    ),
    detector=nb.Detector(
        n_fast=400, n_slow=300, pixel_size_mm=0.25, distance_mm=60, point_pixel=True
    ),
    sampling=nb.Sampling(oversample=1, interpolate=False),
)
"""One step a pixel, so that the error of a lattice factor near one of its zeros is the pixel's."""


def test_round_crystals_near_their_zeros(kernel: str) -> None:
    """Where `sin x / x - cos x` cancels, the relative error is beyond what every term is allowed;
    only the absolute one of docs/accuracy.md (5) covers it.  Without it 8 of these pixels are
    outside of their intervals."""
    low, high = Plan(ROUND, CONSTANT, QUIRKS, kernel).intervals()
    exact, _ = Plan(ROUND, CONSTANT, QUIRKS, "exact").intervals()
    known = ~np.isnan(low)
    assert np.mean(known) > 0.99
    assert np.all((low <= exact)[known])
    assert np.all((exact <= high)[known])


@for_each(
    "cell, misset, fast, slow",
    [
        ((74.975, 90.877, 86.846), (63.82, 39.04, 89.75), 897, 51),
        ((79.705, 72.135, 70.743), (88.66, 19.79, 2.88), 757, 594),
        ((81.527, 73.731, 74.763), (33.7, 88.87, 56.95), 596, 40),  # without multiply-add only
    ],
)
def test_round_pixels_that_would_be_wrong(
    cell: tuple[float, ...], misset: tuple[float, ...], fast: int, slow: int
) -> None:
    """Found among 300 million: without the absolute error both ends of the interval round to the
    wrong float."""
    experiment = ROUND.replace(
        {
            "crystal.cell_angstrom": cell,
            "crystal.misset_deg": misset,
            "detector.n_fast": 2000,
            "detector.n_slow": 1000,
            "detector.pixel_size_mm": 0.05,
            "sampling.roi": (fast, fast, slow, slow),
        }
    )
    images = {kernel: image(experiment, CONSTANT, kernel) for kernel in available_kernels()}
    assert images["exact"][slow, fast] > 0.0
    assert {k for k, it in images.items() if it.tobytes() != images["exact"].tobytes()} == set()


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("shape", SHAPES)
def test_few_pixels_are_left_to_the_exact_kernel(shape: str, kernel: str) -> None:
    """Without the options that make sums of tiny factors, nearly every interval rounds to one
    float."""
    left, pixels = 0, 0
    for seed in range(2000, 2010):
        experiment, factors, quirks = random_case(seed)
        off = {f"sampling.oversample_{what}": False for what in ("thick", "polar", "omega")}
        experiment = experiment.replace({**off, "crystal.shape": shape})
        low, high = Plan(experiment, factors, quirks, kernel).intervals()
        left += int(np.sum(low.astype(np.float32) != high.astype(np.float32)))
        pixels += low.size
    assert left <= 0.01 * pixels


def test_zero_index_is_not_left_to_the_exact_kernel(kernel: str) -> None:
    """A cubic crystal on the axis: a whole row of pixels has an index of exactly 0."""
    detector = nb.Detector(
        n_fast=33, n_slow=33, pixel_size_mm=0.2, convention="xds", org_x_px=17.0, org_y_px=17.0
    )
    crystal = nb.Crystal(orientation_matrix=(0.01, 0, 0, 0, 0.01, 0, 0, 0, 0.01), n_cells=(5, 5, 5))
    experiment = nb.Experiment(
        crystal=crystal, detector=detector, sampling=nb.Sampling(oversample=1)
    )
    plan = Plan(experiment, CONSTANT, QUIRKS, kernel)
    trace = plan.trace(3, 16)
    assert 0.0 in trace["first"]["hkl"]
    low, high = plan.intervals()
    assert low[16, 3] <= trace["pixel_value"] <= high[16, 3]


BASE = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(5, 5, 5)),
    detector=nb.Detector(n_fast=4, n_slow=4),
    sampling=nb.Sampling(oversample=1),
)
NEGATIVE_WEIGHT = {
    "beam.sources": (
        nb.Source(position=(-10, 0, 0), weight=-1),
        nb.Source(position=(-10, 1, 0), weight=3),
    )
}


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@for_each(
    "changes, reason",
    [
        ({}, 0),
        ({"crystal.shape": "round"}, 0),
        ({"crystal.shape": "round", "crystal.shape_fudge": -1.0}, 5),
        ({"crystal.shape": "tophat", "crystal.shape_fudge": -1.0}, 0),
        ({"crystal.shape": "gauss", "crystal.shape_fudge": -1e-9}, 5),
        ({"sampling.oversample_omega": True}, 0),
        (NEGATIVE_WEIGHT, 5),
        ({**NEGATIVE_WEIGHT, "crystal.shape": "tophat"}, 0),
        ({"crystal.n_cells": (1e7, 1.0, 1.0)}, 2),  # the sines' arguments would be too large
        ({"crystal.n_cells": (1e7, 1.0, 1.0), "crystal.shape": "round"}, 2),
        ({"crystal.n_cells": (1e5, 1.0, 1.0), "crystal.shape": "round"}, 0),
        ({"crystal.n_cells": (1e7, 1.0, 1.0), "crystal.shape": "gauss"}, 0),
        ({"beam.wavelength_angstrom": 1e-8, "crystal.shape": "gauss"}, 2),
    ],
)
def test_what_is_covered(changes: dict[str, object], reason: int, kernel: str) -> None:
    result = nb.simulate(
        BASE.replace(changes),
        CONSTANT,
        quirks=nb.Quirks.parse("none,+impossible_sources"),
        threads=1,
        backend=nb.CEngine(kernel=kernel),
    )
    assert result.info["kernel_reason"] == reason
    assert result.provenance["kernel"] == ("exact" if reason else kernel)
    assert result.provenance["kernel_reason"] == KERNEL_REASONS[reason]


def test_a_table_too_far_out_is_left_to_the_exact_kernel(kernel: str) -> None:
    """The index of an entry, counted from h = k = l = 0, has to be below 2^50."""
    grid = np.ones((1, 600, 1000))
    for first, reason in ((1_800_000_000, 0), (1_900_000_000, 3)):
        factors = nb.StructureFactors.from_grid(grid, (first, 0, 0), 7.0)
        assert Plan(BASE, factors, QUIRKS, kernel).info()["kernel_reason"] == reason
        assert image(BASE, factors, kernel).tobytes() == image(BASE, factors, "exact").tobytes()


@for_each("phi_steps", [1, 3])
@pytest.mark.parametrize("table", [None, (-40, 81), (-3, 7)], ids=["one F", "inside", "edge"])
def test_indices_that_are_zero_or_nearly(
    table: tuple[int, int] | None, phi_steps: int, kernel: str
) -> None:
    """Rows and columns where sin(pi h N) / sin(pi h) is 0/0 or close to it; few pixels of them may
    be left to the exact kernel."""
    experiment = nb.Experiment(
        crystal=nb.Crystal(
            cell_angstrom=(50, 60, 70), n_cells=(5, 6, 7), mosaic_spread_deg=0.0, mosaic_domains=4
        ),
        detector=nb.Detector(
            n_fast=33,
            n_slow=33,
            pixel_size_mm=0.2,
            close_distance_mm=80.0,
            convention="xds",
            org_x_px=17.0,
            org_y_px=17.0,
        ),
        goniometer=nb.Goniometer(osc_deg=0.0, phi_steps=phi_steps),
        sampling=nb.Sampling(oversample=1),
    )
    if table is None:
        factors = nb.StructureFactors.constant(10.0)
    else:
        rng = np.random.default_rng(1)
        grid = rng.uniform(1.0, 100.0, (table[1],) * 3)
        factors = nb.StructureFactors.from_grid(grid, (table[0],) * 3, 3.0)
    plan = Plan(experiment, factors, QUIRKS, kernel)
    centre = plan.trace(16, 16)
    assert centre["last"]["hkl"][1] == centre["last"]["hkl"][2] == 0.0
    low, high = plan.intervals()
    left = low.astype(np.float32) != high.astype(np.float32)
    assert left.sum() <= 2
    assert image(experiment, factors, kernel).tobytes() == (
        image(experiment, factors, "exact").tobytes()
    )


def test_why_the_exact_kernel_was_used(kernel: str) -> None:
    for unrounded, asked, reason in ((True, kernel, 6), (False, "exact", 1), (True, "exact", 1)):
        result = nb.simulate(
            BASE,
            CONSTANT,
            quirks=QUIRKS,
            threads=1,
            backend=nb.CEngine(kernel=asked),
            unrounded=unrounded,
        )
        assert result.provenance["kernel"] == "exact"
        assert result.provenance["kernel_reason"] == KERNEL_REASONS[reason]


def test_auto_takes_the_last_available_kernel() -> None:
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(50, 60, 70)),
        detector=nb.Detector(n_fast=4, n_slow=4),
        sampling=nb.Sampling(oversample=1),
    )
    assert used(experiment, "auto") == available_kernels()[-1]
    assert used(experiment, "exact") == "exact"


def test_unknown_kernel_is_named() -> None:
    experiment = nb.Experiment(crystal=nb.Crystal(cell_angstrom=(50, 60, 70)))
    with pytest.raises(nb.ConfigError, match="kernel: got 'sse9', need one of auto, exact"):
        image(experiment, CONSTANT, "sse9")
