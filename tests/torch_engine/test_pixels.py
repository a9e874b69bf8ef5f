"""The numbers of pixels as int32 are those as float64, for rectangles, masks and selections."""

from __future__ import annotations

import numpy as np
import pytest
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch.scenes.pixels import (
    ActivePixels,
    Pixels,
    active_pixels,
    region_of_interest,
)
from nanobragg_hybrid.engines.torch.scenes.selection import Selection, chosen

CPU = torch.device("cpu")


def _active(**changes: object) -> ActivePixels:
    experiment = nb.Experiment(detector=nb.Detector(n_fast=7, n_slow=5)).replace(changes)
    return active_pixels(experiment, region_of_interest(experiment), CPU)


def _masked() -> ActivePixels:
    mask = np.ones((5, 7), dtype=bool)
    mask[1, 2:5] = mask[3, 6] = False
    return _active(**{"detector.mask": nb.Mask(mask)})


def _selected() -> Pixels:
    return chosen(
        Selection.pixels(np.array([[4, 6], [0, 3], [0, 3], [2, 1]])), _active(), CPU
    ).pixels


@pytest.mark.parametrize(
    "pixels",
    [_active(), _active(**{"sampling.roi": (2, 4, 1, 3)}), _masked(), _selected()],
    ids=["all", "region", "mask", "selection"],
)
def test_both_kinds_of_numbers_agree(pixels: Pixels) -> None:
    for start in range(pixels.count):
        for stop in range(start, pixels.count + 1):
            slow, fast = pixels.numbers(start, stop, CPU)
            whole = pixels.whole_numbers(start, stop)
            for one, other in zip(whole, (slow, fast), strict=True):
                assert one.dtype == torch.int32
                assert one.tolist() == other[:, 0].tolist()


def test_a_selection_is_looked_up_once_and_stays_as_it_was() -> None:
    """Models find the pixels of the same selection once, so nobody may write to it."""
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(40, 45, 50), n_cells=(3, 3, 3)),
        detector=nb.Detector(distance_mm=60, pixel_size_mm=1.0, n_fast=6, n_slow=5),
    )
    model = nb.ForwardModel(experiment, nb.StructureFactors.constant(100.0))
    given = np.array([[4, 1], [0, 2], [3, 5]])
    one, other = Selection.pixels(given), Selection.boxes([(0, 2, 1, 3)])
    image = model().numpy()
    for _ in range(2):
        assert model.pixels({}, one).tolist() == image[tuple(given.T)].tolist()
        assert model.pixels({}, other).tolist() == image[0:2, 1:3].ravel().tolist()
        assert model.pixels({}).tolist() == image.ravel().tolist()
    with pytest.raises(ValueError, match="read-only"):
        one.slow[0] = 1
    given[0] = 0
    assert one.slow.tolist() == [4, 0, 3]
