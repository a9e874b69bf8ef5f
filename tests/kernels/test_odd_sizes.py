"""Images of any shape: how pixels are put together, and by how many threads, changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from for_each import for_each
from random_experiments import random_experiment, random_table

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.libnbh import available_kernels
from nanobragg_hybrid.engines.c.plan import Plan

WIDTHS = (1, 2, 15, 17, 31, 32, 33, 65)
HEIGHTS = (1, 3, 21)
THREADS = (1, 2, 3, 7)
QUIRKS = nb.Quirks()


def rendered(
    experiment: nb.Experiment,
    factors: nb.StructureFactors,
    kernel: str = "auto",
    threads: int = 1,
    quirks: nb.Quirks = QUIRKS,
) -> tuple[bytes, float]:
    """The image's bytes and its solid angle."""
    plan = Plan(experiment, factors, quirks, kernel)
    image, _, omega_sum = plan.render(threads, None, False)
    return image.tobytes(), omega_sum


def check_all(
    experiment: nb.Experiment, factors: nb.StructureFactors, quirks: nb.Quirks = QUIRKS
) -> bytes:
    """Every kernel with every number of threads gives the exact kernel's image, and the same solid
    angle to the last bit."""
    image, omega_sum = rendered(experiment, factors, "exact", quirks=quirks)
    for kernel in available_kernels():
        for threads in THREADS:
            found = rendered(experiment, factors, kernel, threads, quirks)
            assert found == (image, omega_sum), (kernel, threads)
    return image


def case(seed: int, n_fast: int, n_slow: int) -> tuple[nb.Experiment, nb.StructureFactors]:
    random = np.random.default_rng(seed)
    experiment, factors = random_experiment(random), random_table(random)
    changes = {
        "detector.n_fast": n_fast,
        "detector.n_slow": n_slow,
        "detector.mask": None,
        "sampling.roi": None,
    }
    return experiment.replace(changes), factors


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("n_fast", WIDTHS)
def test_widths(n_fast: int) -> None:
    for n_slow in HEIGHTS:
        for seed in range(4):
            check_all(*case(100 * n_fast + 10 * n_slow + seed, n_fast, n_slow))


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("n_fast", WIDTHS)
def test_regions_and_masks(n_fast: int) -> None:
    n_slow = 23
    random = np.random.default_rng(n_fast)
    for fraction in (0.0, 0.03, 0.5, 0.98):
        experiment, factors = case(int(1000 * fraction) + n_fast, n_fast, n_slow)
        values = random.uniform(size=(n_slow, n_fast)) < fraction
        fast = sorted(random.integers(0, n_fast, 2))
        slow = sorted(random.integers(0, n_slow, 2))
        region = (*map(int, fast), *map(int, slow))
        in_roi = np.zeros_like(values)
        in_roi[slow[0] : slow[1] + 1, fast[0] : fast[1] + 1] = True
        for mask, roi in ((values, None), (None, region), (values, region)):
            changes: dict[str, Any] = {
                "detector.mask": None if mask is None else nb.Mask(mask),
                "sampling.roi": roi,
            }
            image = np.frombuffer(check_all(experiment.replace(changes), factors), np.float32)
            skipped = np.zeros_like(in_roi)
            skipped |= False if mask is None else ~mask
            skipped |= False if roi is None else ~in_roi
            assert not image.reshape(skipped.shape)[skipped].any()


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
def test_a_mask_with_other_values_than_one_and_long_gaps() -> None:
    """Groups of 8, 16 and 32 pixels, all active or all skipped, and the edges between them."""
    n_fast, n_slow = 203, 5
    random = np.random.default_rng(5)
    values = np.repeat(random.integers(0, 2, (n_slow, 29)), 7, axis=1)[:, :n_fast] != 0
    values[1] = True
    values[2] = False
    values[3] = False
    values[3, 150] = True
    experiment, factors = case(77, n_fast, n_slow)
    whole = np.frombuffer(check_all(experiment, factors), np.float32).reshape(n_slow, n_fast)
    masked = experiment.replace({"detector.mask": nb.Mask(values)})
    # neighbours matter only through the serial state, which this experiment does not have
    image = np.frombuffer(check_all(masked, factors), np.float32).reshape(n_slow, n_fast)
    assert np.array_equal(image, np.where(values, whole, np.float32(0)))


SIMPLE = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(50.0, 60.0, 70.0), n_cells=(5.0, 5.0, 5.0)),
    detector=nb.Detector(n_fast=7, n_slow=9, pixel_size_mm=3.0),
    sampling=nb.Sampling(oversample=1),
)
CONSTANT = nb.StructureFactors.constant(100.0)


@pytest.mark.parametrize(("n_fast", "n_slow"), [(1, 40), (7, 9), (40, 1), (700, 2), (2, 700)])
def test_solid_angle_is_added_pixel_by_pixel_and_row_by_row(n_fast: int, n_slow: int) -> None:
    experiment = SIMPLE.replace(
        {
            "detector.n_fast": n_fast,
            "detector.n_slow": n_slow,
            "detector.pixel_size_mm": 60.0 / max(n_fast, n_slow),
        }
    )
    plan = Plan(experiment, CONSTANT, QUIRKS)
    total = 0.0
    for slow in range(n_slow):
        row = 0.0
        for fast in range(n_fast):
            row += plan.trace(fast, slow, 1)["omega_sr"]
        total += row
    for threads in THREADS:
        assert plan.render(threads, None, False)[2] == total


# Interpolation ends where k leaves the table: the beam hits the image's first pixel.
SWITCHING_OFF = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(5.0, 20.0, 5.0), n_cells=(2.0, 2.0, 2.0)),
    detector=nb.Detector(n_fast=5, n_slow=61, pixel_size_mm=0.6, beam_x_mm=0.0, beam_y_mm=0.0),
    sampling=nb.Sampling(oversample=1),
)
TABLE = nb.StructureFactors.from_grid(
    10.0 + np.arange(343.0).reshape(7, 7, 7) % 13.0, (-3, -3, -3), default_f=1.0
)


def latch_pixel(experiment: nb.Experiment) -> int:
    """The last pixel that differs from the image without interpolation."""
    nearest = experiment.replace({"sampling.interpolate": False})
    images = [rendered(each, TABLE, "exact")[0] for each in (experiment, nearest)]
    on, off = (np.frombuffer(image, np.float32) for image in images)
    return int(np.flatnonzero(on != off)[-1])


@pytest.mark.parametrize(
    ("n_fast", "n_slow", "pixel"),
    [(1, 300, 41), (3, 101, 44), (5, 61, 44), (17, 18, 10), (300, 1, 170), (150, 2, 85)],
)
def test_the_latch_falls_within_a_block(n_fast: int, n_slow: int, pixel: int) -> None:
    experiment = SWITCHING_OFF.replace(
        {
            "detector.n_fast": n_fast,
            "detector.n_slow": n_slow,
            "detector.pixel_size_mm": 36.0 / max(n_fast, n_slow),
        }
    )
    assert latch_pixel(experiment) == pixel
    for shape in ("square", "round", "gauss", "tophat"):
        check_all(experiment.replace({"crystal.shape": shape}), TABLE)


def test_many_pixels_in_work_items_of_whole_rows() -> None:
    """Enough for work items of rows, of which some are skipped."""
    n_fast, n_slow = 300, 400
    values = np.ones((n_slow, n_fast), bool)
    values[100:130] = False
    values[:, 200:230] = False
    experiment = SIMPLE.replace(
        {
            "detector.n_fast": n_fast,
            "detector.n_slow": n_slow,
            "detector.pixel_size_mm": 0.2,
            "detector.mask": nb.Mask(values),
            "sampling.roi": (3, 290, 20, 390),
        }
    )
    check_all(experiment, CONSTANT)
