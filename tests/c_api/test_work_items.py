"""Ranges of pixels, and how nbh_plan_work_item_end divides an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

BLOCK = 32
"""Pixels that the fast kernel computes together."""

Create = Callable[..., tuple[int, Any, Any]]


def bounds(lib: Any, plan: Any, pixels: int) -> list[int]:
    """The ends of all work items after 0."""
    found = [0]
    while found[-1] < pixels:
        end = lib.nbh_plan_work_item_end(plan, found[-1])
        assert found[-1] < end <= pixels
        found.append(end)
    return found


@pytest.mark.parametrize(
    ("n_fast", "n_slow", "domains", "ends"),
    [
        (64, 64, 1000, range(0, 4097, BLOCK)),  # full blocks
        (64, 64, 1, range(0, 4097, 512)),  # little work: fewer of them
        (1, 4096, 1000, range(0, 4097, BLOCK)),
        (4096, 1, 1000, range(0, 4097, BLOCK)),
        (17, 17, 1000, [*range(0, 289, BLOCK), 289]),
        (1, 1, 1000, [0, 1]),
        (512, 512, 1, range(0, 512 * 512 + 1, 512)),  # many rows: whole ones
        (256, 256, 1000, range(0, 256 * 256 + 1, 256)),
        (255, 258, 1000, range(0, 255 * 258 + 1, 2 * 255)),
        (257, 255, 1000, [*range(0, 257 * 255, BLOCK), 257 * 255]),  # too few rows
        (3, 100000, 1, [*range(0, 300000, 3 * 96), 300000]),
        (100000, 3, 1, [*range(0, 300000, 512), 300000]),
        (1, 10_000_000, 1, [*range(0, 10_000_000, 4096), 10_000_000]),
    ],
)
def test_work_items(
    lib: Any,
    cubic: Any,
    create_plan: Create,
    n_fast: int,
    n_slow: int,
    domains: int,
    ends: Sequence[int],
) -> None:
    cubic.detector.n_fast, cubic.detector.n_slow = n_fast, n_slow
    cubic.detector.pixel_size_m = 1e-5
    cubic.sampling.oversample = 1
    cubic.crystal.mosaic_spread_rad = 0.01
    cubic.crystal.mosaic_domains = domains
    status, plan, _ = create_plan(cubic)
    assert status == lib.NBH_OK
    assert bounds(lib, plan, n_fast * n_slow) == list(ends)


@pytest.mark.parametrize("pixel", [-1, 48, 49, 2**62])
def test_outside_the_image_there_is_no_other_end(
    lib: Any, cubic: Any, create_plan: Create, pixel: int
) -> None:
    _, plan, _ = create_plan(cubic)
    assert lib.nbh_plan_work_item_end(plan, pixel) == 48


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.2, 1.0])
@pytest.mark.parametrize("roi", [None, (7, 80, 11, 49), (5, 5, 0, 59), (0, 90, 30, 30)])
def test_work_items_have_full_blocks_of_active_pixels(
    ffi: Any,
    lib: Any,
    cubic: Any,
    create_plan: Create,
    fraction: float,
    roi: tuple[int, int, int, int] | None,
) -> None:
    n_slow, n_fast = 60, 91
    cubic.detector.n_fast, cubic.detector.n_slow = n_fast, n_slow
    cubic.crystal.mosaic_spread_rad = 0.01
    cubic.crystal.mosaic_domains = 1000
    active = np.random.default_rng(7).uniform(size=(n_slow, n_fast)) < fraction
    values = (active * np.random.default_rng(8).integers(1, 256, active.shape)).astype(np.uint8)
    mask = ffi.new("uint8_t[]", values.tobytes())
    cubic.detector.mask, cubic.detector.mask_count = mask, values.size
    if roi is not None:
        names = ("fast_min", "fast_max", "slow_min", "slow_max")
        for name, value in zip(names, roi, strict=True):
            setattr(cubic.sampling, f"roi_{name}", value)
        in_roi = np.zeros_like(active)
        in_roi[roi[2] : roi[3] + 1, roi[0] : roi[1] + 1] = True
        active &= in_roi
    _, plan, _ = create_plan(cubic)
    ends = bounds(lib, plan, active.size)
    counts = [int(active.ravel()[a:b].sum()) for a, b in pairwise(ends)]
    total = int(active.sum())
    assert counts[: total // BLOCK] == [BLOCK] * (total // BLOCK)
    assert sum(counts) == total
    assert len(counts) <= total // BLOCK + 1


def test_a_work_item_of_whole_rows_has_enough_active_pixels(
    ffi: Any, lib: Any, cubic: Any, create_plan: Create
) -> None:
    n_slow, n_fast = 600, 400
    cubic.detector.n_fast, cubic.detector.n_slow = n_fast, n_slow
    cubic.detector.pixel_size_m = 1e-5
    active = np.random.default_rng(7).uniform(size=(n_slow, n_fast)) < 0.6
    active[100:300] = False
    mask = ffi.new("uint8_t[]", active.astype(np.uint8).tobytes())
    cubic.detector.mask, cubic.detector.mask_count = mask, active.size
    _, plan, _ = create_plan(cubic)
    rows = np.array(bounds(lib, plan, active.size)) / n_fast
    assert np.array_equal(rows, np.floor(rows))
    of_row = active.sum(axis=1)
    for first, end in zip(rows[:-2].astype(int), rows[1:-1].astype(int), strict=True):
        assert of_row[first:end].sum() >= 256
        assert of_row[first : end - 1].sum() < 256


@pytest.mark.parametrize("pixels", [(0, 48), (0, 1), (5, 6), (7, 9), (3, 43), (8, 16), (47, 48)])
def test_ranges_are_parts_of_the_image(
    ffi: Any, lib: Any, cubic: Any, create_plan: Create, pixels: tuple[int, int]
) -> None:
    """Values, values before rounding, sums of rows and the first row's solid angles."""
    _, plan, error = create_plan(cubic)
    whole, alone = ffi.new("float[48]"), ffi.new("double[48]")
    everything = ffi.new("nbh_pixels *", {"image": whole, "unrounded": alone})
    assert lib.nbh_plan_render_pixels(plan, 0, 48, everything, error) == lib.NBH_OK
    omega = []
    for pixel in range(48):
        one = ffi.new("double *", -1.0)
        out = ffi.new("float *")
        of_pixel = ffi.new("nbh_pixels *", {"image": out, "omega_first_row_sr": one})
        assert lib.nbh_plan_render_pixels(plan, pixel, pixel + 1, of_pixel, error) == lib.NBH_OK
        omega.append(one[0])
    first, end = pixels
    image, unrounded = ffi.new("float[48]"), ffi.new("double[48]")
    row_sums, first_row = ffi.new("double[6]", [-1.0] * 6), ffi.new("double[8]", [-1.0] * 8)
    part = ffi.new(
        "nbh_pixels *",
        {
            "image": image,
            "unrounded": unrounded,
            "omega_row_sums_sr": row_sums,
            "omega_first_row_sr": first_row,
        },
    )
    assert lib.nbh_plan_render_pixels(plan, first, end, part, error) == lib.NBH_OK
    assert list(image) == [*list(whole)[first:end], *[0.0] * (48 - end + first)]
    assert list(unrounded) == [*list(alone)[first:end], *[0.0] * (48 - end + first)]
    want_sums, row0 = [-1.0] * 6, first // 8
    for pixel in range(first, end):
        want_sums[pixel // 8 - row0] = max(want_sums[pixel // 8 - row0], 0.0) + omega[pixel]
    assert list(row_sums) == want_sums
    in_first = list(range(first, min(end, 8 * (row0 + 1))))
    assert list(first_row) == [*(omega[p] for p in in_first), *[-1.0] * (8 - len(in_first))]


@pytest.mark.parametrize(
    "roi", [(2, 4, 1, 4), (0, 7, 2, 3), (6, 6, 0, 5), (5, 9, 5, 9), (9, 9, 9, 9)]
)
def test_ranges_begin_and_end_anywhere_about_the_region(
    ffi: Any, lib: Any, cubic: Any, create_plan: Create, roi: tuple[int, int, int, int]
) -> None:
    sampling = cubic.sampling
    _, plan, error = create_plan(cubic)
    full = ffi.new("float[48]")
    pixels = ffi.new("nbh_pixels *", {"image": full})
    assert lib.nbh_plan_render_pixels(plan, 0, 48, pixels, error) == lib.NBH_OK
    sampling.roi_fast_min, sampling.roi_fast_max = roi[:2]
    sampling.roi_slow_min, sampling.roi_slow_max = roi[2:]
    _, plan, error = create_plan(cubic)
    in_roi = np.zeros((6, 8), bool)
    in_roi[roi[2] : roi[3] + 1, roi[0] : roi[1] + 1] = True
    want = np.where(in_roi.ravel(), list(full), 0.0)
    for first in range(48):
        for end in range(first, 49, 5):
            image = ffi.new("float[48]", [7.0] * 48)
            pixels.image = image
            assert lib.nbh_plan_render_pixels(plan, first, end, pixels, error) == lib.NBH_OK
            found = np.array(list(image))
            assert np.array_equal(found[: end - first], want[first:end])
            assert np.all(found[end - first :] == 7.0)


def test_rows_are_ranges_of_pixels(ffi: Any, lib: Any, cubic: Any, create_plan: Create) -> None:
    _, plan, error = create_plan(cubic)
    images = [ffi.new("float[16]"), ffi.new("float[16]")]
    sums = [ffi.new("double[2]"), ffi.new("double[2]")]
    rows = ffi.new("nbh_rows *", {"image": images[0], "omega_row_sums_sr": sums[0]})
    pixels = ffi.new("nbh_pixels *", {"image": images[1], "omega_row_sums_sr": sums[1]})
    assert lib.nbh_plan_render_rows(plan, 3, 5, rows, error) == lib.NBH_OK
    assert lib.nbh_plan_render_pixels(plan, 24, 40, pixels, error) == lib.NBH_OK
    assert list(images[0]) == list(images[1])
    assert sum(images[0]) > 0.0
    assert list(sums[0]) == list(sums[1])


def test_values_of_the_fast_kernel(ffi: Any, lib: Any, cubic: Any, create_plan: Create) -> None:
    """Each at most its half width from the exact one; the image is the same; half widths alone are
    refused."""
    _, plan, error = create_plan(cubic)
    image, exact, same = ffi.new("float[48]"), ffi.new("double[48]"), ffi.new("float[48]")
    values, half_widths = ffi.new("double[48]"), ffi.new("double[48]", [-1.0] * 48)
    need = ffi.new("nbh_pixels *", {"image": image, "unrounded": exact})
    assert lib.nbh_plan_render_pixels(plan, 0, 48, need, error) == lib.NBH_OK
    got = ffi.new("nbh_pixels *", {"image": same, "unrounded": values, "half_width": half_widths})
    assert lib.nbh_plan_render_pixels(plan, 0, 48, got, error) == lib.NBH_OK
    assert list(same) == list(image)
    for value, wanted, half_width in zip(values, exact, half_widths, strict=True):
        assert abs(value - wanted) <= half_width <= 1e-7 * wanted
    got.unrounded = ffi.NULL
    assert lib.nbh_plan_render_pixels(plan, 0, 48, got, error) == lib.NBH_INVALID
    assert ffi.string(error.field) == b"unrounded"
