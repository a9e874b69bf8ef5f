"""Where a Jacobian leads, on the device that renders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.fused.sum_arguments import LATTICE_NUMBERS
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS
from nanobragg_hybrid.engines.torch.scenes.transfers import copied
from nanobragg_hybrid.engines.torch.values.recorded_setup import SceneTangents

_ELSEWHERE: Final = np.setdiff1d(np.arange(len(NUMBERS)), LATTICE_NUMBERS)


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """A `SceneTangents` as tensors, float64; P directions.

    numbers: (P, 45).  rotations: (orientations, 9); reference: (P, 9).  turning: numbers of those
    that turn orientations, (t,), and cells what that adds, (t, orientations, 9).  moving: numbers
    of those that change anything but the crystal's lattice, whose rays or factors may change, and
    the same as a tensor; sources: for these, (m, 5, sources).
    """

    numbers: Tensor
    rotations: Tensor
    reference: Tensor
    turning: Tensor
    cells: Tensor
    moving: tuple[int, ...]
    moving_numbers: Tensor
    sources: Tensor

    @classmethod
    def of(cls, tangents: SceneTangents, device: torch.device) -> Directions:
        """All of it in one transfer."""
        count, orientations = len(tangents.numbers), len(tangents.rotations)
        # What is no number is not 0, and counts as a change.
        moves = tangents.numbers[:, _ELSEWHERE].any(axis=1)
        moves |= tangents.sources.reshape(count, -1).any(axis=1)
        moving = np.flatnonzero(moves)
        turning = tangents.turning
        cells = [each.cells for each in turning]
        numbers, rotations, reference, turns, added, movers, sources = copied(
            [
                tangents.numbers,
                tangents.rotations.reshape(-1, 9),
                tangents.reference_cell_tangents,
                np.array([each.number for each in turning], dtype=np.int64),
                np.array(cells, dtype=np.float64).reshape(len(turning), orientations, 9),
                moving.astype(np.int64),
                tangents.sources[moving],
            ],
            device,
        )
        places = tuple(moving.tolist())
        return cls(numbers, rotations, reference, turns, added, places, movers, sources)
