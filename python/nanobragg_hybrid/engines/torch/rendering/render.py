"""A render as one step of autograd: from a packed scene to the values of pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.compiled.kernel import CompiledKernel, CompiledPiece
from nanobragg_hybrid.engines.torch.eager.kernel import EagerKernel, EagerPiece
from nanobragg_hybrid.engines.torch.eager.serial import serial_order
from nanobragg_hybrid.engines.torch.fused.kernel import FusedKernel, FusedPiece
from nanobragg_hybrid.engines.torch.programs.derived import Flags, Primal
from nanobragg_hybrid.engines.torch.programs.steps import Extent, Piece, Tensors, whole
from nanobragg_hybrid.engines.torch.scenes.packing import Packed, Template, assembled, unpack
from nanobragg_hybrid.engines.torch.scenes.packing import tensors as tensors_of
from nanobragg_hybrid.engines.torch.scenes.pixels import ActivePixels, Pixels
from nanobragg_hybrid.engines.torch.scenes.tiles import SerialOrder, segments

_RUN_START: Final = 3
"""Its place among the tensors of a `Packed`."""

Progress = Callable[[int], None]
"""Called with the number of active pixels that are done."""


@dataclass(frozen=True, slots=True, eq=False)
class Render(Primal):
    """The values of pixels before rounding, float64, shape (pixels,), as a function of the tensors
    of a `Packed` that there are.

    compiled: used where it covers a segment and only first derivatives are asked for: the C
    library's, or one that renders where the tensors are; None: not at all.  active: all pixels of
    the image, whose serial order counts; pixels: those that are wanted.
    """

    kernel: EagerKernel
    compiled: CompiledKernel | FusedKernel | None
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
        compiled: CompiledKernel | FusedKernel | None,
        active: ActivePixels,
        pixels: Pixels,
        progress: Progress | None = None,
    ) -> tuple[Render, list[Tensor]]:
        """A render and its arguments."""
        every = tensors_of(packed)
        has = tuple(x is not None for x in every)
        render = cls(kernel, compiled, template, has, active, pixels, progress)
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

    def pieces(self, tensors: Tensors, derivatives: int) -> Iterator[Piece]:
        report = self.progress if derivatives == 0 else None
        done = 0
        compiled = self.compiled if derivatives <= 1 else None
        if compiled is not None and compiled.refuses(self.packed(tensors)):
            compiled = None
        for segment in segments(self.kernel.choices, self.pixels, self._order(tensors)):
            kernel: EagerKernel | CompiledKernel | FusedKernel = self.kernel
            if compiled is not None and compiled.covers(segment):
                kernel = compiled
            for piece in kernel.pieces(self.pixels, segment):
                if report is not None and 0 < done < piece.pixels.stop:
                    report(done)
                done = piece.pixels.stop
                yield piece
        if report is not None and done > 0:
            report(done)

    def evaluate(self, piece: Piece, tensors: Tensors, derivatives: int) -> Tensors:
        packed = self.packed(tensors)
        if isinstance(piece, CompiledPiece):
            assert isinstance(self.compiled, CompiledKernel)
            return [self.compiled.values(piece, packed)]
        if isinstance(piece, FusedPiece):
            assert isinstance(self.compiled, FusedKernel)
            return [self.compiled.values(piece, packed, self.template)]
        assert isinstance(piece, EagerPiece)
        return [self.kernel.values(piece, packed, self.template, derivatives)]

    def weighted(self, piece: Piece, grads: Tensors, tensors: Tensors, wanted: Flags) -> Tensors:
        if not isinstance(piece, CompiledPiece):
            return Primal.weighted(self, piece, grads, tensors, wanted)
        assert isinstance(self.compiled, CompiledKernel)
        is_wanted = self._in_place(wanted)
        found = self.compiled.gradients(
            piece, self.packed(tensors), grads[0], want_grid=bool(is_wanted[-1])
        )
        return [x for x, w in zip(tensors_of(found), is_wanted, strict=True) if w and x is not None]

    def changed(
        self, piece: Piece, tensors: Tensors, moved: Flags, changes: Sequence[Tensors]
    ) -> list[Tensors]:
        if not isinstance(piece, CompiledPiece):
            return Primal.changed(self, piece, tensors, moved, changes)
        assert isinstance(self.compiled, CompiledKernel)
        packed, is_moved = self.packed(tensors), self._in_place(moved)
        return [
            [self.compiled.tangents(piece, packed, _change(packed, is_moved, change))]
            for change in changes
        ]

    def _in_place(self, flags: Sequence[bool]) -> list[bool]:
        """Flags of the arguments as flags of the five tensors of a `Packed`."""
        given = iter(flags)
        return [has and next(given) for has in self.has]

    def packed(self, tensors: Tensors) -> Packed:
        """The scene that these arguments are."""
        given = iter(tensors)
        return assembled(next(given) if has else None for has in self.has)

    def _order(self, tensors: Tensors) -> SerialOrder:
        """Found once for the same tensors: a scan may cost as much as the image."""
        if not self.has[_RUN_START] and not self.kernel.choices.interpolate:
            return SerialOrder(None, None)
        key = tuple(x for tensor in tensors for x in (tensor.data_ptr(), _version(tensor)))
        if key not in self._orders:
            kernel = self.kernel
            with torch.no_grad():
                scene = unpack(self.packed(tensors), self.template)
            order = serial_order(scene, kernel.choices, self.active, kernel.tiling, kernel.device)
            # With the tensors, so that no address comes again.
            self._orders[key] = [tensor.detach() for tensor in tensors], order
        return self._orders[key][1]


def _version(tensor: Tensor) -> int:
    """What an operation in place counts up; nothing does for a tensor of the inference mode."""
    return -1 if tensor.is_inference() else tensor._version


def _change(packed: Packed, moved: Sequence[bool], change: Tensors) -> Packed:
    """The changes of a scene's tensors; 0 for those that are not moved, none for such a grid."""
    given = iter(change)
    parts = [
        next(given) if is_moved else None if x is None else torch.zeros_like(x)
        for x, is_moved in zip(tensors_of(packed)[:-1], moved[:-1], strict=True)
    ]
    return assembled([*parts, next(given) if moved[-1] else None])
