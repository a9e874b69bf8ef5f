"""Every kernel gives the exact kernel's bits, and its intervals hold the exact values."""

from __future__ import annotations

import numpy as np
import pytest
from recorded import INPUTS, table
from recorded import image as recorded_image
from structure_factor_files import structure_factors_of

import nanobragg_hybrid as nb
from nanobragg_hybrid.c_engine import engine
from nanobragg_hybrid.c_engine.library import available_kernels
from nanobragg_hybrid.conventions import KERNEL_NUMBERS
from nanobragg_hybrid.nanobragg_args import parse_command

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
    return engine.render(experiment, factors, quirks=QUIRKS, threads=1, kernel=kernel).image


def used(experiment: nb.Experiment, kernel: str) -> str:
    result = engine.render(experiment, CONSTANT, quirks=QUIRKS, threads=1, kernel=kernel)
    name: str = result.provenance["kernel"]
    return name


RECORDED = (
    "cubic triclinic hkl_mat cubic_N0 cubic_N100 aniso_N mat_and_cell curved point_pixel thick "
    "thick_rot nopolar polar polar_xds os_omega hkl_sparse_default interp_latch interp_inside "
    "phi0_carryover phi_cross_zero spindle mosaic_phi_hkl disp div_polar sourcefile_comment water "
    "dmin_polar mask_roi roi_negative roi_reversed dark kitchen round"
).split()


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@pytest.mark.parametrize("case", RECORDED)
def test_recorded_images(case: str, kernel: str) -> None:
    args = table("cases")[case]["args"]
    experiment = parse_command(args, INPUTS).experiment
    found = image(experiment, structure_factors_of(args, INPUTS), kernel)
    assert np.array_equal(found, recorded_image("images", case), equal_nan=True)


def random_experiment(random: np.random.Generator) -> nb.Experiment:
    """A small experiment that the fast kernel covers, with everything it covers at random."""
    pick = random.uniform
    maybe = lambda value: value if pick(0, 1) < 0.5 else None  # noqa: E731
    return nb.Experiment(
        beam=nb.Beam(
            wavelength_angstrom=pick(0.5, 3.0),
            polarization_kahn=random.choice([0.0, pick(-1.0, 1.0)]),
            polarization_correction=bool(pick(0, 1) < 0.8),
            divergence_h_mrad=maybe(pick(0.0, 5.0)),
            divergence_h_steps=maybe(int(random.integers(1, 4))),
            dispersion_percent=random.choice([0.0, pick(0.0, 2.0)]),
        ),
        crystal=nb.Crystal(
            cell_angstrom=tuple(pick(20.0, 150.0, 3)),
            cell_deg=tuple(pick(75.0, 105.0, 3)),
            misset_deg=tuple(pick(-180.0, 180.0, 3)),
            n_cells=tuple(random.choice([1.0, 2.0, pick(1.0, 60.0)], 3)),
            mosaic_spread_deg=maybe(pick(0.0, 2.0)),
            mosaic_domains=maybe(int(random.integers(1, 4))),
            water_um=random.choice([0.0, pick(0.0, 50.0)]),
        ),
        goniometer=nb.Goniometer(
            phi_deg=random.choice([0.0, pick(-90.0, 90.0)]),
            osc_deg=maybe(pick(0.0, 2.0)),
            phi_steps=maybe(int(random.integers(1, 5))),
        ),
        detector=nb.Detector(
            convention=random.choice(["mosflm", "xds", "adxv", "denzo", "dials"]),
            distance_mm=pick(30.0, 300.0),
            pixel_size_mm=pick(0.1, 2.0),
            n_fast=int(random.integers(1, 40)),
            n_slow=int(random.integers(1, 8)),
            rotation_deg=tuple(pick(-20.0, 20.0, 3)),
            twotheta_deg=random.choice([0.0, pick(-30.0, 30.0)]),
            curved=bool(pick(0, 1) < 0.2),
            point_pixel=bool(pick(0, 1) < 0.2),
            sensor_thickness_um=random.choice([0.0, pick(10.0, 500.0)]),
            sensor_layers=maybe(int(random.integers(1, 4))),
        ),
        sampling=nb.Sampling(
            oversample=int(random.integers(1, 4)),
            interpolate=False,
            dmin_angstrom=random.choice([0.0, pick(1.0, 6.0)]),
        ),
    )


@pytest.mark.parametrize("seed", range(40))
def test_random_experiments(seed: int, kernel: str) -> None:
    random = np.random.default_rng(seed)
    experiment = random_experiment(random)
    grid = random.uniform(0.0, 300.0, (9, 11, 13)) * (random.uniform(size=(9, 11, 13)) < 0.7)
    factors = nb.StructureFactors.from_grid(grid, (-4, -5, -6), default_f=float(seed % 3))
    exact = image(experiment, factors, "exact")
    fast = image(experiment, factors, kernel)
    assert exact.tobytes() == fast.tobytes()


@pytest.mark.parametrize("seed", range(8))
def test_intervals_hold_the_exact_values(seed: int, kernel: str) -> None:
    """The bound of docs/accuracy.md, against the exact kernel's doubles: the largest error that is
    seen, over the bound, stays far below 1."""
    experiment = random_experiment(np.random.default_rng(1000 + seed))
    plan = engine.Plan(experiment, CONSTANT, QUIRKS, kernel)
    low, high = plan.intervals()
    exact, _ = engine.Plan(experiment, CONSTANT, QUIRKS, "exact").intervals()
    known = ~np.isnan(low)
    assert known.mean() > 0.99
    assert np.all((low <= exact)[known])
    assert np.all((exact <= high)[known])
    half = (high - low)[known] / 2
    error = np.abs((low + high)[known] / 2 - exact[known])
    assert np.all(error <= 0.2 * half)


def test_zero_index_is_not_left_to_the_exact_kernel(kernel: str) -> None:
    """A cubic crystal on the axis: a whole row of pixels has an index of exactly 0."""
    detector = nb.Detector(
        n_fast=33, n_slow=33, pixel_size_mm=0.2, convention="xds", org_x_px=17.0, org_y_px=17.0
    )
    crystal = nb.Crystal(orientation_matrix=(0.01, 0, 0, 0, 0.01, 0, 0, 0, 0.01), n_cells=(5, 5, 5))
    experiment = nb.Experiment(
        crystal=crystal, detector=detector, sampling=nb.Sampling(oversample=1)
    )
    plan = engine.Plan(experiment, CONSTANT, QUIRKS, kernel)
    trace = plan.trace(3, 16)
    assert 0.0 in trace["first"]["hkl"]
    low, high = plan.intervals()
    assert low[16, 3] <= trace["pixel_value"] <= high[16, 3]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"crystal.shape": "round"}, "exact"),
        ({"sampling.oversample_omega": True}, "exact"),
        ({"crystal.n_cells": (1e7, 1.0, 1.0)}, "exact"),  # the sines' arguments would be too large
    ],
)
def test_what_is_covered(changes: dict[str, object], expected: str | None, kernel: str) -> None:
    base = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(5, 5, 5)),
        detector=nb.Detector(n_fast=4, n_slow=4),
        sampling=nb.Sampling(oversample=1),
    )
    assert used(base.replace(changes), kernel) == (expected or kernel)


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
