"""What depends on the order in which a serial program visits the pixels: model 6.4 and 6.5."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.blocks import Block, Tile
from nanobragg_hybrid.engines.torch.kernel import steps_outside_table, uncut_rows
from nanobragg_hybrid.engines.torch.pixels import LitPixels
from nanobragg_hybrid.engines.torch.scene import Choices, Scene


@dataclass(frozen=True, slots=True)
class Serial:
    """Places in serial order; pixels are numbered among the lit ones.

    start: pixel, visit and source of the first phi loop of the run, where its first phi step has
    other vectors than in later loops; None: it has not.  latch: pixel and step from which on
    nothing is interpolated; None: that never happens.
    """

    start: tuple[int, int, int] | None
    latch: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Tiling:
    """How the work is cut: at most so many steps at a time."""

    tile_steps: int

    def pixels(self, choices: Choices, *, interpolating: bool) -> int:
        """Pixels of a tile."""
        return max(1, self._limit(interpolating) // choices.steps_per_pixel)

    def blocks(self, choices: Choices, *, interpolating: bool) -> Iterator[Block]:
        """The steps of a pixel in serial order, cut so that each block is within the limit."""
        limit = self._limit(interpolating)
        visits, sources = choices.visits, choices.source_count
        orientations = choices.orientations
        by_orientation = min(limit, orientations)
        by_source = min(max(limit // orientations, 1), sources)
        by_visit = min(max(limit // (orientations * sources), 1), visits)
        for visit in _ranges(0, visits, by_visit):
            for source in _ranges(0, sources, by_source):
                for orientation in _ranges(0, orientations, by_orientation):
                    yield Block(visit, source, orientation)

    def total(
        self,
        choices: Choices,
        tile: Tile,
        evaluate: Callable[[Block], tuple[Tensor, Tensor]],
    ) -> Tensor:
        """What all blocks of a tile make together; see `block_value`."""
        total: Tensor | None = None
        for block in self.blocks(choices, interpolating=tile.interpolated_steps > 0):
            value, product = evaluate(block)
            total = value if total is None else total * product + value
        assert total is not None
        return total

    def _limit(self, interpolating: bool) -> int:
        # Tricubic interpolation holds 64 amplitudes for every step.
        return max(1, self.tile_steps // 32 if interpolating else self.tile_steps)


def serial_places(
    scene: Scene, choices: Choices, lit: LitPixels, tiling: Tiling, device: torch.device
) -> Serial:
    """Finds the places, without derivatives."""
    with torch.no_grad():
        return Serial(
            _start(scene, choices, lit, tiling, device),
            _latch(scene, choices, lit, tiling, device),
        )


def tiles(
    choices: Choices, lit: LitPixels, tiling: Tiling, serial: Serial, device: torch.device
) -> Iterator[tuple[range, Tile]]:
    """All lit pixels in order, cut where something changes."""
    for stretch in _stretches(lit, serial):
        length = _tile_length(choices, tiling, serial, stretch)
        for pixels in _ranges(stretch.start, stretch.stop, length):
            yield pixels, _tile(choices, lit, serial, stretch, pixels, device)


def tile_with(
    number: int,
    choices: Choices,
    lit: LitPixels,
    tiling: Tiling,
    serial: Serial,
    device: torch.device,
) -> tuple[range, Tile]:
    """Which of these tiles has the lit pixel of this number, and that tile."""
    stretch = next(stretch for stretch in _stretches(lit, serial) if number in stretch)
    length = _tile_length(choices, tiling, serial, stretch)
    start = number - (number - stretch.start) % length
    pixels = range(start, min(start + length, stretch.stop))
    return pixels, _tile(choices, lit, serial, stretch, pixels, device)


def single_tile(tile: Tile, n: int) -> Tile:
    """One pixel of a tile."""
    return dataclasses.replace(tile, slow=tile.slow[n : n + 1], fast=tile.fast[n : n + 1])


def _stretches(lit: LitPixels, serial: Serial) -> list[range]:
    """Lit pixels between the places where something changes."""
    cuts = {0, lit.count}
    if serial.start is not None:
        cuts |= {serial.start[0], serial.start[0] + 1}
    if serial.latch is not None:
        cuts |= {serial.latch[0], serial.latch[0] + 1}
    return [range(begin, end) for begin, end in pairwise(sorted(cuts))]


def _tile_length(choices: Choices, tiling: Tiling, serial: Serial, stretch: range) -> int:
    steps = _interpolated_steps(choices, serial, stretch.start)
    return tiling.pixels(choices, interpolating=steps > 0)


def _tile(
    choices: Choices,
    lit: LitPixels,
    serial: Serial,
    stretch: range,
    pixels: range,
    device: torch.device,
) -> Tile:
    start = None
    if serial.start is not None and serial.start[0] == stretch.start:
        start = serial.start[1:]
    slow, fast = lit.places(pixels.start, pixels.stop, device)
    return Tile(slow, fast, _interpolated_steps(choices, serial, stretch.start), start)


def _interpolated_steps(choices: Choices, serial: Serial, pixel: int) -> int:
    if not choices.interpolate:
        return 0
    if serial.latch is None or pixel < serial.latch[0]:
        return choices.steps_per_pixel
    return serial.latch[1] if pixel == serial.latch[0] else 0


def _start(
    scene: Scene, choices: Choices, lit: LitPixels, tiling: Tiling, device: torch.device
) -> tuple[int, int, int] | None:
    if scene.start is None or lit.count == 0:
        return None
    if choices.dmin_m <= 0.0:
        return 0, 0, 0
    rows = choices.visits * choices.source_count
    for pixels in _ranges(0, lit.count, max(1, tiling.tile_steps // rows)):
        slow, fast = lit.places(pixels.start, pixels.stop, device)
        uncut = uncut_rows(scene, choices, Tile(slow, fast, 0)).flatten()
        if bool(uncut.any()):
            place = int(uncut.to(torch.int8).argmax())
            pixel, row = divmod(place, rows)
            return pixels.start + pixel, *divmod(row, choices.source_count)
    return None


def _latch(
    scene: Scene, choices: Choices, lit: LitPixels, tiling: Tiling, device: torch.device
) -> tuple[int, int] | None:
    if not (choices.interpolate and choices.latches):
        return None
    # Nothing is interpolated while looking, so that the tiles may be large.
    looking = dataclasses.replace(choices, interpolate=False)
    serial = Serial(_start(scene, choices, lit, tiling, device), None)
    for pixels, tile in tiles(looking, lit, tiling, serial, device):
        for block in tiling.blocks(looking, interpolating=False):
            is_out = steps_outside_table(scene, looking, tile, block)
            if bool(is_out.any()):
                return _place(choices, pixels, block, is_out)
    return None


def _place(choices: Choices, pixels: range, block: Block, is_out: torch.Tensor) -> tuple[int, int]:
    """Pixel and step of the first element that is set."""
    place = int(is_out.flatten().to(torch.int8).argmax())
    place, orientation = divmod(place, len(block.orientations))
    place, source = divmod(place, len(block.sources))
    pixel, visit = divmod(place, len(block.visits))
    row = (block.visits.start + visit) * choices.source_count + block.sources.start + source
    return pixels.start + pixel, row * choices.orientations + block.orientations.start + orientation


def _ranges(begin: int, end: int, length: int) -> Iterator[range]:
    for start in range(begin, end, length):
        yield range(start, min(start + length, end))
