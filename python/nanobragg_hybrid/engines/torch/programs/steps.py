"""Functions that are computed in pieces, as one step of autograd.

Autograd sees nothing of what happens inside a step.  Its derivatives are steps, too.  Inside
`Program.run` tensors are plain, also under torch.func, vmap and dual numbers: numpy and the values
themselves may be used there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import UnsupportedError
from nanobragg_hybrid.engines.torch.arithmetic.scalars import applied, with_signature

TRACED: Final = (
    "the torch engine cannot be traced into torch's operators (torch.func.linearize, make_fx, "
    "torch.export): use jvp, or torch.compile, which goes around it"
)

Tensors = Sequence[Tensor]
Extent = Literal["pixels", "whole"]
"""Whether a tensor has one element for each pixel along its last dimension, of which a piece has
its own, or belongs to all pieces: as a result it is then the sum over them."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the work; pixels: which of them it is for."""

    pixels: slice


class Program(ABC):
    """A function of float64 tensors that is computed in pieces."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[Extent, ...]:
        """What each argument is."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[Extent, ...]:
        """What each result is."""

    @abstractmethod
    def empty(self, tensors: Tensors) -> list[Tensor]:
        """Zeros of the shape of the results."""

    @abstractmethod
    def cut(self, tensors: Tensors) -> Iterator[Piece]:
        """The pieces for these arguments."""

    @abstractmethod
    def result(self, piece: Piece, tensors: Tensors) -> Tensors:
        """What a piece gives, of arguments whose pixels are the piece's; without a graph."""

    @abstractmethod
    def gradients(self, grads: Tensors, tensors: Tensors, wanted: Sequence[bool]) -> Tensors:
        """Derivatives of the results by each wanted argument, times weights of the results."""

    @abstractmethod
    def change(self, tensors: Tensors, changes: Sequence[Tensor | None]) -> Tensors:
        """Derivatives of the results, times changes of the arguments; None: no change."""

    def run(self, tensors: Tensors) -> Tensors:
        """All pieces together, without a graph."""
        totals = self.empty(tensors)
        for piece in self.cut(tensors):
            self._add(piece, tensors, totals)
        return totals

    def _add(self, piece: Piece, tensors: Tensors, totals: Tensors) -> None:
        """Adds what a piece gives, and keeps none of it for the next."""
        local = [
            x[..., piece.pixels] if extent == "pixels" else x
            for x, extent in zip(tensors, self.inputs, strict=True)
        ]
        results = self.result(piece, local)
        for total, result, extent in zip(totals, results, self.outputs, strict=True):
            part = total[..., piece.pixels] if extent == "pixels" else total
            part.add_(result)


def whole(count: int) -> tuple[Extent, ...]:
    """So many arguments or results that belong to all pieces."""
    extent: Extent = "whole"
    return (extent,) * count


def step(program: Program, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The results of a program, for autograd and torch.func.

    Raises `UnsupportedError` while somebody writes down torch's operators (torch.func.linearize,
    make_fx, torch.export): what a program runs is not made of them alone.
    """
    if torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None:
        raise UnsupportedError(TRACED)
    if any(_is_batched_by_autograd(tensor) for tensor in tensors):
        return _row_by_row(program, tensors)
    results: tuple[Tensor, ...] = applied(_Step, program, *tensors)
    return results


class _Step(torch.autograd.Function):
    """vmap is a loop over the batch: what a program runs is no composition of torch's operators
    (tiles are cut by values, square roots are numpy's), so that vmap cannot go through it."""

    @staticmethod
    @with_signature
    def forward(program: Program, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(program.run(tensors))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        del output
        ctx.program, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wanted = _wanted(ctx)
        found = iter(ctx.program.gradients(grads, ctx.saved_tensors, wanted))
        return None, *(next(found) if w else None for w in wanted)

    @staticmethod
    def jvp(ctx: Any, _: None, *changes: Tensor | None) -> tuple[Tensor, ...]:
        return tuple(ctx.program.change(ctx.saved_tensors, changes))

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], program: Program, *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        columns = _stacked_rows(program, tensors, in_dims[1:], info.batch_size)
        return columns, (0,) * len(columns)


def _wanted(ctx: Any) -> list[bool]:
    """Which arguments' derivatives this backward pass is for.

    needs_input_grad has all that have one; those of the highest order may be errors.
    """
    needs = ctx.needs_input_grad[1:]
    nodes = getattr(ctx, "next_functions", None)
    if nodes is None or len(nodes) != len(needs):
        return list(needs)
    return [need and _is_needed(node) for need, (node, _) in zip(needs, nodes, strict=True)]


def _is_needed(node: Any) -> bool:
    try:
        return bool(torch._C._will_engine_execute_node(node))
    except RuntimeError:  # a leaf that autograd.grad was asked for
        return True


def _is_batched_by_autograd(tensor: Tensor) -> bool:
    """vectorize=True and is_grads_batched=True make batches that are not those of torch.vmap."""
    return bool(torch._C._functorch.is_legacy_batchedtensor(tensor))


def _row_by_row(program: Program, tensors: Tensors) -> tuple[Tensor, ...]:
    """The same for batches that autograd made, which do not ask the rule for vmap."""
    level = torch._C._vmapmode_increment_nesting() - 1
    torch._C._vmapmode_decrement_nesting()
    own: Any = torch
    parts, dims = [], []
    for tensor in tensors:
        is_batched = _is_batched_by_autograd(tensor)
        parts.append(own._remove_batch_dim(tensor, level, 1, 0) if is_batched else tensor)
        dims.append(0 if is_batched else None)
    count = next(part.shape[0] for part, dim in zip(parts, dims, strict=True) if dim == 0)
    columns = _stacked_rows(program, parts, dims, count)
    return tuple(own._add_batch_dim(column, 0, level) for column in columns)


def _stacked_rows(
    program: Program, tensors: Tensors, dims: Sequence[int | None], count: int
) -> tuple[Tensor, ...]:
    rows = [
        step(
            program,
            *(x if dim is None else x.select(dim, n) for x, dim in zip(tensors, dims, strict=True)),
        )
        for n in range(count)
    ]
    return tuple(torch.stack(column) for column in zip(*rows, strict=True))
