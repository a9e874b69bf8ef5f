"""The eager kernel: pixels by torch's operators, tile by tile and block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.eager.intensities import block_value
from nanobragg_hybrid.engines.torch.programs.steps import Piece
from nanobragg_hybrid.engines.torch.scenes.packing import Packed, Template, unpack
from nanobragg_hybrid.engines.torch.scenes.pixels import Pixels
from nanobragg_hybrid.engines.torch.scenes.scene import Choices
from nanobragg_hybrid.engines.torch.scenes.tiles import (
    Block,
    Segment,
    Tile,
    Tiling,
    recomputed,
    tiles_of,
)


@dataclass(frozen=True, slots=True)
class EagerPiece(Piece):
    """A block of a tile's steps, which is added to the others; None: all blocks, since each
    multiplies what those before it have made (running product, model 6.5)."""

    tile: Tile
    block: Block | None


@dataclass(frozen=True, slots=True)
class EagerKernel:
    """The definition of a pixel's value, with derivatives of every order by autograd.

    dtype: of what is no phase.
    """

    choices: Choices
    tiling: Tiling
    dtype: torch.dtype
    device: torch.device

    def pieces(self, pixels: Pixels, segment: Segment) -> Iterator[EagerPiece]:
        """How the pixels of a segment are cut."""
        for own, tile in tiles_of(segment, self.choices, pixels, self.tiling, self.device):
            place = slice(own.start, own.stop)
            interpolating = tile.interpolated_steps > 0
            blocks = list(self.tiling.blocks(self.choices, interpolating=interpolating))
            if self.choices.running_product and len(blocks) > 1:
                yield EagerPiece(place, tile, None)
            else:
                for block in blocks:
                    yield EagerPiece(place, tile, block)

    def values(
        self, piece: EagerPiece, packed: Packed, template: Template, derivatives: int
    ) -> Tensor:
        """What a piece adds to its pixels before rounding, float64, shape (pixels,).

        derivatives: how often it will be differentiated.
        """
        scene, tile = unpack(packed, template), piece.tile
        if piece.block is not None:
            return block_value(scene, self.choices, tile, piece.block, self.dtype)[0]

        def evaluate(block: Block) -> tuple[Tensor, Tensor]:
            own = partial(
                block_value, choices=self.choices, tile=tile, block=block, dtype=self.dtype
            )
            # Once differentiable, it needs the memory of a block; more often, that of all.
            value, product = recomputed(own, scene) if derivatives == 1 else own(scene)
            return value, product

        return self.tiling.total(self.choices, tile, evaluate)
