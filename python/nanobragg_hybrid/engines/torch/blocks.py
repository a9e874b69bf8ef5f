"""Pieces of work: tiles of pixels, and blocks of their steps."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Block:
    """Some of a pixel's steps: ranges of visits, sources and orientations, in serial order."""

    visits: range
    sources: range
    orientations: range


@dataclass(frozen=True, slots=True)
class Tile:
    """Some pixels that are treated alike.

    slow, fast: pixel numbers, float64, shape (pixels, 1).  interpolated_steps: so many of each
    pixel's first steps may be interpolated, the others take the nearest structure factor.  start:
    visit and source whose phi loop is the first of the run (model 6.4); None: not in this tile.
    """

    slow: Tensor
    fast: Tensor
    interpolated_steps: int
    start: tuple[int, int] | None = None
