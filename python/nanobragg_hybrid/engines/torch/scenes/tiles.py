"""How the work is cut: tiles of pixels, blocks of their steps, and tiles computed again for
derivatives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.scalars import applied
from nanobragg_hybrid.engines.torch.scenes.pixels import ActivePixels, Pixels
from nanobragg_hybrid.engines.torch.scenes.scene import Choices, Scene, tensors_of, with_tensors


@dataclass(frozen=True, slots=True)
class Block:
    """Some of a pixel's steps: ranges of sub-pixel samples, sources and orientations, in serial
    order."""

    samples: range
    sources: range
    orientations: range


@dataclass(frozen=True, slots=True)
class Tile:
    """Some pixels that are treated alike.

    slow, fast: pixel numbers, float64, shape (pixels, 1).  interpolated_steps: so many of each
    pixel's first steps may be interpolated, the others take the nearest structure factor.
    run_start: sample and source whose phi loop is the first of the run (model 6.4); None: not in
    this tile.
    """

    slow: Tensor
    fast: Tensor
    interpolated_steps: int
    run_start: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class SerialOrder:
    """Where something changes in serial order; pixels are numbered among the active ones.

    run_start: pixel, sample and source of the first phi loop of the run, where its first phi step
    has other vectors than in later loops; None: it has not.  interpolation_off: pixel and step from
    which on nothing is interpolated; None: that never happens.
    """

    run_start: tuple[int, int, int] | None
    interpolation_off: tuple[int, int] | None

    def interpolated_steps(self, choices: Choices, pixel: int) -> int:
        """How many of a pixel's first steps may be interpolated."""
        if not choices.interpolate:
            return 0
        if self.interpolation_off is None or pixel < self.interpolation_off[0]:
            return choices.steps_per_pixel
        return self.interpolation_off[1] if pixel == self.interpolation_off[0] else 0


@dataclass(frozen=True, slots=True)
class Tiling:
    """At most so many steps are held in memory at a time."""

    tile_steps: int

    def pixels(self, choices: Choices, *, interpolating: bool) -> int:
        """Pixels of a tile."""
        return max(1, self._limit(interpolating) // choices.steps_per_pixel)

    def blocks(self, choices: Choices, *, interpolating: bool) -> Iterator[Block]:
        """The steps of a pixel in serial order, cut so that each block is within the limit."""
        limit = self._limit(interpolating)
        samples, sources = choices.samples, choices.source_count
        orientations = choices.orientations
        by_orientation = min(limit, orientations)
        by_source = min(max(limit // orientations, 1), sources)
        by_sample = min(max(limit // (orientations * sources), 1), samples)
        for sample in ranges(0, samples, by_sample):
            for source in ranges(0, sources, by_source):
                for orientation in ranges(0, orientations, by_orientation):
                    yield Block(sample, source, orientation)

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
            total = value if total is None else grown(total, product) + value
        assert total is not None
        return total

    def _limit(self, interpolating: bool) -> int:
        # Tricubic interpolation holds 64 amplitudes for every step.
        return max(1, self.tile_steps // 32 if interpolating else self.tile_steps)


def grown(x: Tensor, product: Tensor) -> Tensor:
    """x times a product of two factors, which are stacked in front; 0 stays 0 where one of them has
    become infinite.

    The product itself may be too small for a double, or too large, where x times it is neither: a
    running sum is multiplied step by step (model 6.5).
    """
    product = torch.where((x == 0.0) & product.isinf().any(0), 0.0, product)
    return x * product[0] * product[1]


@dataclass(frozen=True, slots=True)
class Segment:
    """Pixels between two of those where something changes; see `Tile` for what they share."""

    pixels: range
    interpolated_steps: int
    run_start: tuple[int, int] | None


def segments(choices: Choices, pixels: Pixels, order: SerialOrder) -> list[Segment]:
    """All pixels in order, cut where something changes."""
    cuts = {0, pixels.count}
    for event in (order.run_start, order.interpolation_off):
        if event is not None:
            cuts |= {pixels.place_of(event[0]), pixels.place_of(event[0] + 1)}
    found = []
    for begin, end in pairwise(sorted(cuts)):
        number = pixels.number_at(begin)
        run_start = None
        if order.run_start is not None and order.run_start[0] == number:
            run_start = order.run_start[1:]
        steps = order.interpolated_steps(choices, number)
        found.append(Segment(range(begin, end), steps, run_start))
    return found


def tiles_of(
    segment: Segment, choices: Choices, pixels: Pixels, tiling: Tiling, device: torch.device
) -> Iterator[tuple[range, Tile]]:
    """The pixels of a segment, as many at a time as the memory is for."""
    length = tiling.pixels(choices, interpolating=segment.interpolated_steps > 0)
    for own in ranges(segment.pixels.start, segment.pixels.stop, length):
        yield own, _tile(pixels, segment, own, device)


def tiles(
    choices: Choices,
    active: Pixels,
    tiling: Tiling,
    order: SerialOrder,
    device: torch.device,
) -> Iterator[tuple[range, Tile]]:
    """All active pixels in order, cut where something changes."""
    for segment in segments(choices, active, order):
        yield from tiles_of(segment, choices, active, tiling, device)


def tile_with(
    number: int,
    choices: Choices,
    active: ActivePixels,
    tiling: Tiling,
    order: SerialOrder,
    device: torch.device,
) -> tuple[range, Tile]:
    """Which of these tiles has the active pixel of this number, and that tile."""
    segment = next(each for each in segments(choices, active, order) if number in each.pixels)
    length = tiling.pixels(choices, interpolating=segment.interpolated_steps > 0)
    start = number - (number - segment.pixels.start) % length
    pixels = range(start, min(start + length, segment.pixels.stop))
    return pixels, _tile(active, segment, pixels, device)


def single_tile(tile: Tile, n: int) -> Tile:
    """One pixel of a tile."""
    return dataclasses.replace(tile, slow=tile.slow[n : n + 1], fast=tile.fast[n : n + 1])


def ranges(begin: int, end: int, length: int) -> Iterator[range]:
    """[begin, end) in pieces of a length, the last of which may be shorter."""
    for start in range(begin, end, length):
        yield range(start, min(start + length, end))


def _tile(pixels: Pixels, segment: Segment, own: range, device: torch.device) -> Tile:
    slow, fast = pixels.numbers(own.start, own.stop, device)
    return Tile(slow, fast, segment.interpolated_steps, segment.run_start)


Evaluate = Callable[[Scene], tuple[Tensor, ...]]


def recomputed(evaluate: Evaluate, scene: Scene) -> tuple[Tensor, ...]:
    """`evaluate(scene)`, differentiable in the scene's tensors, remembering nothing else.

    The backward pass evaluates it again, once: what it gives has no derivatives.
    """
    leaves = [tensor for tensor in tensors_of(scene) if tensor.requires_grad]
    if not leaves or not torch.is_grad_enabled():
        return evaluate(scene)

    def evaluate_leaves(replacements: list[Tensor]) -> tuple[Tensor, ...]:
        remaining = iter(replacements)
        return evaluate(with_tensors(scene, lambda t: next(remaining) if t.requires_grad else t))

    outputs: tuple[Tensor, ...] = applied(_Recomputed, evaluate_leaves, *leaves)
    return outputs


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, evaluate: Callable[[list[Tensor]], tuple[Tensor, ...]], *leaves: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.evaluate = evaluate
        ctx.save_for_backward(*leaves)
        return evaluate(list(leaves))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        leaves = [leaf.detach().requires_grad_() for leaf in ctx.saved_tensors]
        with torch.enable_grad():
            outputs = ctx.evaluate(leaves)
        wanted = [
            (output, grad)
            for output, grad in zip(outputs, grads, strict=True)
            if output.requires_grad
        ]
        if not wanted:
            return None, *(torch.zeros_like(leaf) for leaf in leaves)
        found = torch.autograd.grad(
            [output for output, _ in wanted],
            leaves,
            [grad for _, grad in wanted],
            allow_unused=True,
        )
        return None, *found
