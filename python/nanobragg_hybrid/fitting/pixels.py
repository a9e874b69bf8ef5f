"""Which pixels of an image are fitted, their counts, and the background below them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, assert_never, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nanobragg_hybrid.base.arrays import refuse_masked
from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.fitting.cut_off import NO_LIMITS, CutOff, Limits, cut_off
from nanobragg_hybrid.fitting.likelihoods import COUNTED, Array, Growth
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.mask import Mask

Background = Literal["constant", "plane"]
BACKGROUNDS: Final[tuple[Background, ...]] = get_args(Background)
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class FitPixels:
    """The pixels of a fit, box by box.

    slow, fast: their places, shape (n,).  boxes: slow_start, slow_stop, fast_start, fast_stop of
    each box, shape (boxes, 4).  starts: the number of each box's first pixel, shape (boxes,).
    box: the box of each pixel, shape (n,).  photons: data, shape (n,).  variance: of the read-out,
    photons^2, shape (n,).  growth: how it grows with the expectation.  cut: those whose counts are
    cut off, None: none.  overloads: how many were left out because they show the largest number of
    their type.
    """

    slow: Indices
    fast: Indices
    boxes: Indices
    starts: Indices
    box: Indices
    photons: Array
    variance: Array
    growth: Growth = COUNTED
    cut: CutOff | None = None
    overloads: int = 0

    @property
    def count(self) -> int:
        """How many."""
        return self.slow.size

    def taken(self, place: Indices, boxes: NDArray[np.bool_]) -> FitPixels:
        """Those at some places, shape (m,), which are all that some of the boxes have."""
        number = np.cumsum(boxes) - 1
        box = number[self.box[place]]
        return FitPixels(
            slow=self.slow[place],
            fast=self.fast[place],
            boxes=self.boxes[boxes],
            starts=np.searchsorted(box, np.arange(int(boxes.sum()))),
            box=box,
            photons=self.photons[place],
            variance=self.variance[place],
            growth=self.growth,
            cut=None if self.cut is None else self.cut.taken(place),
        )

    def moved(self, slow: int) -> FitPixels:
        """The same so many rows further."""
        boxes = self.boxes + np.array([slow, slow, 0, 0], dtype=np.intp)
        return replace(self, slow=self.slow + slow, boxes=boxes)

    @property
    def cut_count(self) -> int:
        """How many are cut off."""
        return 0 if self.cut is None else self.cut.place.size

    def residuals(self, expected: Array) -> Array:
        """Data less model, photons; 0 where both are beyond what a pixel shows."""
        residuals = self.photons - expected
        if self.cut is not None:
            place, end = self.cut.place, self.cut.end
            residuals[place] = end * np.maximum(end * residuals[place], 0.0)
        return residuals

    def box_sums(self, values: Array) -> Array:
        """Sums over the pixels of each box; the first axis of `values` is that of the pixels."""
        sums: Array = np.add.reduceat(values, self.starts, axis=0)
        return sums

    def shapes_of(self, background: Background | None) -> Array:
        """What a box's coefficients are multiplied with, shape (n, coefficients).

        The second and third of a plane go from -1 to 1 over the box, along slow and fast.
        """
        ones = np.ones((self.count, 1))
        match background:
            case None:
                return ones[:, :0]
            case "constant":
                return ones
            case "plane":
                bounds = self.boxes[self.box]
                along = [
                    _from_minus_one_to_one(where, bounds[:, 2 * n], bounds[:, 2 * n + 1])
                    for n, where in enumerate((self.slow, self.fast))
                ]
                return np.concatenate([ones, np.stack(along, axis=1)], axis=1)
            case _:
                assert_never(background)


def _from_minus_one_to_one(where: Indices, start: Indices, stop: Indices) -> Array:
    half = np.maximum(0.5 * (stop - start - 1), 0.5)
    place: Array = (where - 0.5 * (start + stop - 1)) / half
    return place


def counts_of(data: ArrayLike, shape: tuple[int, int]) -> NDArray[Any]:
    """The data as an array of real numbers, shape (slow, fast); `ConfigError` for anything else."""
    refuse_masked("data", data)
    try:
        array = np.asarray(data)
    except (TypeError, ValueError):
        raise ConfigError("data", data, f"real numbers, shape {shape} (slow, fast)") from None
    if array.dtype.kind not in "iuf" or array.shape != shape:
        kind = Description(f"{array.dtype} of shape {array.shape}")
        raise ConfigError("data", kind, f"real numbers, shape {shape} (slow, fast), the detector's")
    return array


def fit_pixels(
    experiment: Experiment,
    roi: tuple[int, int, int, int],
    counts: NDArray[Any],
    variance: Array,
    boxes: ArrayLike | None,
    mask: ArrayLike | Mask | None,
    *,
    gain: float | Array = 1.0,
    adc_offset: float = 0.0,
    growth: Growth = COUNTED,
    bad: NDArray[np.bool_] | None = None,
    limits: Limits = NO_LIMITS,
) -> FitPixels:
    """The pixels in boxes that are active and not masked; each counts in the first box it is in.

    roi: region of interest, inclusive: fast_min, fast_max, slow_min, slow_max.  counts: the data;
    variance: of the read-out, photons^2; shape (slow, fast).  gain: counts per photon, one or that
    of each pixel.  bad: pixels that tell nothing, as if masked.  limits: between which counts can
    be.  Nothing else of the size of an image is looked at where boxes are small.

    Raises `ConfigError` for wrong boxes and masks, a box without pixels and data that are no
    numbers.
    """
    shape = experiment.detector.shape
    bounds = _boxes(boxes, shape)
    places = [
        (np.arange(top, bottom)[:, None] * shape[1] + np.arange(left, right)).ravel()
        for top, bottom, left, right in bounds.tolist()
    ]
    place = np.concatenate(places)
    box = np.repeat(np.arange(len(bounds)), [own.size for own in places])
    if len(bounds) > 1:
        kept = np.sort(np.unique(place, return_index=True)[1])
        place, box = place[kept], box[kept]
    slow, fast = place // shape[1], place % shape[1]
    usable = _usable(experiment, roi, mask, slow, fast)
    if bad is not None:
        usable &= ~bad[slow, fast]
    overloaded = usable & (counts[slow, fast] >= limits.overload) & np.isfinite(limits.overload)
    usable &= ~overloaded
    slow, fast, box = slow[usable], fast[usable], box[usable]
    starts = np.searchsorted(box, np.arange(len(bounds)))
    sizes = np.diff(np.append(starts, box.size))
    if not sizes.all():
        n = int(np.argmin(sizes))
        what = Description(f"box {n}, {bounds[n].tolist()}, without a pixel of its own")
        rule = "pixels that are in no box before, in the region of interest and not masked"
        raise ConfigError("boxes", what, rule)
    own_gain = gain if isinstance(gain, float) else gain[slow, fast]
    read = counts[slow, fast].astype(np.float64)
    chosen = (read - adc_offset) / own_gain
    if not np.isfinite(chosen).all():
        first = int(np.argmin(np.isfinite(chosen)))
        where = f"slow {slow[first]}, fast {fast[first]}"
        what = Description(f"{chosen[first]} at {where}")
        raise ConfigError("data", what, "finite numbers in all pixels that are not masked")
    return FitPixels(
        slow,
        fast,
        bounds,
        starts,
        box,
        chosen,
        variance[slow, fast],
        growth,
        cut_off(read, limits, adc_offset, own_gain),
        int(overloaded.sum()),
    )


def _boxes(boxes: ArrayLike | None, shape: tuple[int, int]) -> Indices:
    if boxes is None:
        return np.array([[0, shape[0], 0, shape[1]]], dtype=np.intp)
    rule = "integers of shape (boxes, 4): slow_start, slow_stop, fast_start, fast_stop"
    refuse_masked("boxes", boxes)
    try:
        array = np.asarray(boxes)
    except (TypeError, ValueError):
        raise ConfigError("boxes", boxes, rule) from None
    if array.dtype.kind not in "iu" or array.ndim != 2 or array.shape[1:] != (4,) or not len(array):
        raise ConfigError("boxes", Description(f"{array.dtype} of shape {array.shape}"), rule)
    bounds = array.astype(np.intp)
    for axis, size in enumerate(shape):
        start, stop = bounds[:, 2 * axis], bounds[:, 2 * axis + 1]
        is_inside = (start >= 0) & (start < stop) & (stop <= size)
        if not is_inside.all():
            n = int(np.argmin(is_inside))
            what = Description(f"box {n}, {bounds[n].tolist()}")
            raise ConfigError("boxes", what, f"start < stop, inside {shape[0]} x {shape[1]} pixels")
    return bounds


def _usable(
    experiment: Experiment,
    roi: tuple[int, int, int, int],
    mask: ArrayLike | Mask | None,
    slow: Indices,
    fast: Indices,
) -> NDArray[np.bool_]:
    """Which of these pixels are in the region of interest and not masked."""
    fast_min, fast_max, slow_min, slow_max = roi
    shape = experiment.detector.shape
    usable: NDArray[np.bool_] = (slow >= slow_min) & (slow <= slow_max)
    usable &= (fast >= fast_min) & (fast <= fast_max)
    is_any_left = True
    given: Any = mask if mask is None or isinstance(mask, Mask) else Mask(mask)
    both: NDArray[np.bool_] | None = None
    for each in (experiment.detector.mask, given):
        if each is None:
            continue
        if each.shape != shape:
            what = Description(f"shape {each.shape}")
            raise ConfigError("mask", what, f"shape {shape} (slow, fast)")
        both = each.values if both is None else both & each.values
    if both is not None:
        usable &= both[slow, fast]
        is_any_left = bool(both[slow_min : slow_max + 1, fast_min : fast_max + 1].any())
    if not is_any_left:
        raise ConfigError("mask", Description("no pixel left"), "at least one pixel to fit")
    return usable
