"""Which pixels are computed, in serial order: model 3 (region of interest) and 6 (mask)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.model.experiment import Experiment

Roi = tuple[int, int, int, int]
"""Inclusive bounds fast_min, fast_max, slow_min, slow_max; a reversed range is empty."""


def region_of_interest(experiment: Experiment) -> Roi:
    """The region, clipped to the detector."""
    n_slow, n_fast = experiment.detector.shape
    bounds = experiment.sampling.roi or (None, None, None, None)
    fast_min, fast_max, slow_min, slow_max = bounds
    return (
        _lower(fast_min),
        _upper(fast_max, n_fast),
        _lower(slow_min),
        _upper(slow_max, n_slow),
    )


def pixel_counts(experiment: Experiment) -> tuple[int, int]:
    """The numbers of pixels, and of those that are active: at most so many with a mask."""
    n_slow, n_fast = experiment.detector.shape
    fast_min, fast_max, slow_min, slow_max = region_of_interest(experiment)
    active = max(fast_max - fast_min + 1, 0) * max(slow_max - slow_min + 1, 0)
    mask = experiment.detector.mask
    if mask is not None:
        active = min(active, int(np.count_nonzero(mask.values)))
    return n_slow * n_fast, active


def _lower(bound: int | None) -> int:
    return 0 if bound is None else max(bound, 0)


def _upper(bound: int | None, count: int) -> int:
    return count - 1 if bound is None or bound < 0 or bound >= count else bound


class Pixels(Protocol):
    """Pixels to be computed, in serial order; those chosen more than once follow each other."""

    @property
    def count(self) -> int:
        """How many."""

    def numbers(self, start: int, stop: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """(slow, fast) of the pixels [start, stop), float64, shape (stop - start, 1)."""

    def whole_numbers(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """The same as int32 on the CPU, shape (stop - start,)."""

    def place_of(self, number: int) -> int:
        """How many stand before the active pixel of this number."""

    def number_at(self, place: int) -> int:
        """Number among the active pixels."""


@dataclass(frozen=True, slots=True)
class ActivePixels:
    """The pixels inside the region of interest and not masked, numbered in raster order.

    shape: of the image, (slow, fast).  raster: their index slow * n_fast + fast in the image,
    int64, or None if they are a whole rectangle.
    """

    shape: tuple[int, int]
    roi: Roi
    raster: Tensor | None
    count: int

    def numbers(self, start: int, stop: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """(slow, fast) of the pixels [start, stop), float64, shape (stop - start, 1)."""
        if self.raster is None:
            fast_min, fast_max, slow_min, _ = self.roi
            number = torch.arange(start, stop, device=device)
            width = fast_max - fast_min + 1
            slow, fast = number // width + slow_min, number % width + fast_min
        else:
            number = self.raster[start:stop]
            slow, fast = number // self.shape[1], number % self.shape[1]
        return slow.to(torch.float64).unsqueeze(-1), fast.to(torch.float64).unsqueeze(-1)

    def whole_numbers(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """See `Pixels`."""
        if self.raster is not None:
            slow, fast = np.divmod(self.raster[start:stop].cpu().numpy(), self.shape[1])
            return _int32(slow), _int32(fast)
        fast_min, fast_max, slow_min, _ = self.roi
        # Whole rows are copied: that is faster than to divide.
        width = max(fast_max - fast_min + 1, 1)
        first, end = start // width, -(-stop // width)
        own = slice(start - first * width, stop - first * width)
        rows = np.arange(slow_min + first, slow_min + end, dtype=np.int32)
        columns = np.arange(fast_min, fast_max + 1, dtype=np.int32)
        return _int32(np.repeat(rows, width)[own]), _int32(np.tile(columns, end - first)[own])

    def number_of(self, slow: int, fast: int) -> int | None:
        """The number of a pixel, None if it is not active."""
        fast_min, fast_max, slow_min, slow_max = self.roi
        if not (fast_min <= fast <= fast_max and slow_min <= slow <= slow_max):
            return None
        if self.raster is None:
            return (slow - slow_min) * (fast_max - fast_min + 1) + fast - fast_min
        index = torch.tensor(slow * self.shape[1] + fast, device=self.raster.device)
        number = int(torch.searchsorted(self.raster, index))
        is_active = number < self.count and bool(self.raster[number] == index)
        return number if is_active else None

    def place_of(self, number: int) -> int:
        """See `Pixels`."""
        return number

    def number_at(self, place: int) -> int:
        """See `Pixels`."""
        return place

    def numbers_of(
        self, slow: NDArray[np.int64], fast: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The numbers of pixels, and which of them are active: the numbers of others mean
        nothing."""
        fast_min, fast_max, slow_min, slow_max = self.roi
        is_active = (fast >= fast_min) & (fast <= fast_max) & (slow >= slow_min)
        is_active &= slow <= slow_max
        if self.raster is None:
            return (slow - slow_min) * (fast_max - fast_min + 1) + fast - fast_min, is_active
        index = slow * self.shape[1] + fast
        raster = self.raster.cpu().numpy()
        number = np.searchsorted(raster, index)
        is_there = np.zeros(len(index), dtype=bool)
        inside = np.flatnonzero(number < self.count)
        is_there[inside] = raster[number[inside]] == index[inside]
        return number, is_active & is_there

    def row_of(self, number: int) -> int:
        """The image row of an active pixel."""
        if self.raster is not None:
            return int(self.raster[number]) // self.shape[1]
        return number // (self.roi[1] - self.roi[0] + 1) + self.roi[2]

    def image(self, values: Tensor) -> Tensor:
        """The image (slow, fast) of one value for each active pixel; 0 elsewhere."""
        n_slow, n_fast = self.shape
        if self.raster is not None or self.count == 0:
            flat = torch.zeros(n_slow * n_fast, dtype=values.dtype, device=values.device)
            if self.raster is None:
                return (flat + values.sum()).reshape(self.shape)
            return flat.index_put((self.raster,), values).reshape(self.shape)
        fast_min, fast_max, slow_min, slow_max = self.roi
        rectangle = values.reshape(slow_max - slow_min + 1, fast_max - fast_min + 1)
        if rectangle.shape == self.shape:
            return rectangle
        margins = (fast_min, n_fast - 1 - fast_max, slow_min, n_slow - 1 - slow_max)
        return torch.nn.functional.pad(rectangle, margins)


@dataclass(frozen=True, slots=True, eq=False)
class ChosenPixels:
    """Some of the active pixels, in serial order.

    number: among the active ones, not falling, shape (n,).  slow, fast: float64, shape (n, 1).
    """

    number: NDArray[np.int64]
    slow: Tensor
    fast: Tensor
    _whole: tuple[Tensor, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        slow, fast = (x[:, 0].to("cpu", torch.int32) for x in (self.slow, self.fast))
        object.__setattr__(self, "_whole", (slow, fast))

    @property
    def count(self) -> int:
        """See `Pixels`."""
        return len(self.number)

    def numbers(self, start: int, stop: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """See `Pixels`."""
        return self.slow[start:stop].to(device), self.fast[start:stop].to(device)

    def whole_numbers(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """See `Pixels`."""
        slow, fast = self._whole
        return slow[start:stop], fast[start:stop]

    def place_of(self, number: int) -> int:
        """See `Pixels`."""
        return int(np.searchsorted(self.number, number))

    def number_at(self, place: int) -> int:
        """See `Pixels`."""
        return int(self.number[place])


def active_pixels(experiment: Experiment, roi: Roi, device: torch.device) -> ActivePixels:
    """The pixels of an experiment that are computed."""
    fast_min, fast_max, slow_min, slow_max = roi
    shape = experiment.detector.shape
    mask = experiment.detector.mask
    is_empty = fast_max < fast_min or slow_max < slow_min
    if mask is None or is_empty:
        count = 0 if is_empty else (fast_max - fast_min + 1) * (slow_max - slow_min + 1)
        return ActivePixels(shape, roi, None, count)
    is_computed = np.zeros(shape, dtype=bool)
    window = np.s_[slow_min : slow_max + 1, fast_min : fast_max + 1]
    is_computed[window] = mask.values[window]
    raster = np.flatnonzero(is_computed)
    return ActivePixels(shape, roi, torch.from_numpy(raster).to(device), len(raster))


def _int32(numbers: NDArray[np.integer]) -> Tensor:
    return torch.from_numpy(numbers.astype(np.int32, copy=False))
