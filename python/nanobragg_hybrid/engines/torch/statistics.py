"""Statistics of a rendered image: model 6.9."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar
from nanobragg_hybrid.engines.torch.set_up.setup import Setup
from nanobragg_hybrid.model.statistics import Statistics


def image_statistics(setup: Setup, image: NDArray[np.float32], omega_sum: float) -> Statistics:
    """Statistics over the region of interest.

    image: shape (slow, fast).  omega_sum: solid angle summed over every sub-pixel sample.
    """
    fast_min, fast_max, slow_min, slow_max = setup.roi
    window = np.s_[slow_min : slow_max + 1, fast_min : fast_max + 1]
    if fast_max < fast_min or slow_max < slow_min:
        window = np.s_[0:0, 0:0]
    region = image[window]
    mask = setup.experiment.detector.mask
    active = region.ravel() if mask is None else region[mask.values[window]]

    brightest, fast, slow, fast_m, slow_m = 0.0, 0, 0, 0.0, 0.0
    if (region > 0.0).any():
        row, column = np.unravel_index(np.nanargmax(region), region.shape)
        brightest = float(region[row, column])
        fast, slow = int(column) + fast_min, int(row) + slow_min
        fast_m = _last_subpixel(setup, setup.geometry.pixel, fast)
        slow_m = _last_subpixel(setup, setup.geometry.pixel_slow, slow)
    choices = setup.choices
    samples = choices.steps if setup.quirks.solid_angle_over_steps else choices.samples
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(active.sum(dtype=np.float64))
        mean = _ratio(total, active.size) if active.size > 0 else 0.0
        squares = float((active * active).sum(dtype=np.float64))
        counted = region if setup.quirks.rmsd_counts_masked else active
        deviation = counted.astype(np.float64) - mean
        deviations = float((deviation * deviation).sum())
    return Statistics(
        max=brightest,
        max_fast_m=fast_m,
        max_slow_m=slow_m,
        max_fast=fast,
        max_slow=slow,
        sum=total,
        mean=mean,
        rms=_root(_ratio(squares, active.size - 1)),
        rmsd=_root(_ratio(deviations, counted.size - 1)),
        solid_angle_sr=omega_sum / samples,
        pixels=active.size,
        pixels_in_roi=region.size,
    )


def _last_subpixel(setup: Setup, pixel: Scalar, number: int) -> float:
    """Place of the last sub-pixel of a pixel along an axis with this edge, metres."""
    per_edge = setup.choices.oversample
    assert isinstance(pixel, float)
    subpixel = pixel / per_edge
    return subpixel * (number * per_edge + per_edge - 1) + subpixel / 2.0


def _ratio(value: float, count: int) -> float:
    if count == 0:
        return math.nan if value == 0.0 else math.copysign(math.inf, value)
    return value / count


def _root(value: float) -> float:
    return abs(math.sqrt(value)) if value >= 0.0 else math.nan  # an empty region has 0, not -0
