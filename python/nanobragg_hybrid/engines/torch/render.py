"""A render as one step of autograd: from a packed scene to the values of pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.derived import Primal
from nanobragg_hybrid.engines.torch.eager import EagerKernel, EagerPiece
from nanobragg_hybrid.engines.torch.packing import Packed, Template, assembled, unpack
from nanobragg_hybrid.engines.torch.packing import tensors as tensors_of
from nanobragg_hybrid.engines.torch.pixels import ActivePixels, Pixels
from nanobragg_hybrid.engines.torch.serial import serial_order
from nanobragg_hybrid.engines.torch.steps import Extent, Piece, Tensors, whole
from nanobragg_hybrid.engines.torch.tiles import SerialOrder, segments

Progress = Callable[[int], None]
"""Called with the number of active pixels that are done."""


@dataclass(frozen=True, slots=True, eq=False)
class Render(Primal):
    """The values of pixels before rounding, float64, shape (pixels,), as a function of the tensors
    of a `Packed` that there are.

    active: all pixels of the image, whose serial order counts; pixels: those that are wanted.
    """

    kernel: EagerKernel
    template: Template
    has: tuple[bool, ...]
    active: ActivePixels
    pixels: Pixels
    progress: Progress | None = None
    _orders: dict[tuple[int, ...], tuple[Tensors, SerialOrder]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        packed: Packed,
        template: Template,
        kernel: EagerKernel,
        active: ActivePixels,
        pixels: Pixels,
        progress: Progress | None = None,
    ) -> tuple[Render, list[Tensor]]:
        """A render and its arguments."""
        every = tensors_of(packed)
        has = tuple(x is not None for x in every)
        render = cls(kernel, template, has, active, pixels, progress)
        return render, [x for x in every if x is not None]

    @property
    def inputs(self) -> tuple[Extent, ...]:
        return whole(sum(self.has))

    @property
    def outputs(self) -> tuple[Extent, ...]:
        return ("pixels",)

    def empty(self, tensors: Tensors) -> list[Tensor]:
        del tensors
        return [torch.zeros(self.pixels.count, dtype=torch.float64, device=self.kernel.device)]

    def pieces(self, tensors: Tensors, derivatives: int) -> Iterator[EagerPiece]:
        report = self.progress if derivatives == 0 else None
        done = 0
        for segment in segments(self.kernel.choices, self.pixels, self._order(tensors)):
            for piece in self.kernel.pieces(self.pixels, segment):
                if report is not None and 0 < done < piece.pixels.stop:
                    report(done)
                done = piece.pixels.stop
                yield piece
        if report is not None and done > 0:
            report(done)

    def evaluate(self, piece: Piece, tensors: Tensors, derivatives: int) -> Tensors:
        assert isinstance(piece, EagerPiece)
        return [self.kernel.values(piece, self._packed(tensors), self.template, derivatives)]

    def _packed(self, tensors: Tensors) -> Packed:
        given = iter(tensors)
        return assembled(next(given) if has else None for has in self.has)

    def _order(self, tensors: Tensors) -> SerialOrder:
        """Found once for the same tensors: a scan may cost as much as the image."""
        key = tuple(x for tensor in tensors for x in (tensor.data_ptr(), tensor._version))
        if key not in self._orders:
            kernel = self.kernel
            with torch.no_grad():
                scene = unpack(self._packed(tensors), self.template)
            order = serial_order(scene, kernel.choices, self.active, kernel.tiling, kernel.device)
            # With the tensors, so that no address comes again.
            self._orders[key] = [tensor.detach() for tensor in tensors], order
        return self._orders[key][1]
