"""The innermost sums of pixels by Triton's kernels, as one step of autograd (model 6.3 to 6.8).

From directions, sources, cells, structure factors and what each ray is multiplied with to a sum
for each pixel.  `eager/intensities.py` is the definition.  First derivatives, and those of first
derivatives by their weights, which forward mode needs; second ones are left to the eager kernel.

Nothing here looks at a value: on a GPU there is no synchronisation and no transfer.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import UnsupportedError
from nanobragg_hybrid.engines.torch.arithmetic.scalars import applied
from nanobragg_hybrid.engines.torch.fused.sum_arguments import (
    LATTICE_NUMBERS,
    SumChoices,
    SumTensors,
)
from nanobragg_hybrid.engines.torch.on_triton.step_lists import LitSteps
from nanobragg_hybrid.engines.torch.on_triton.sum_launches import Launch

__all__ = ["LATTICE_NUMBERS", "SumChoices", "SumTensors", "lattice_sums"]

SECOND_DERIVATIVES: Final = (
    "Triton's kernels have first derivatives; the eager kernel has second ones"
)


def lattice_sums(choices: SumChoices, tensors: SumTensors, lit: LitSteps | None = None) -> Tensor:
    """The sums, (pixels,), differentiable in all but the last two of the tensors.

    lit: the steps that are visited; None: all.
    """
    total: Tensor = applied(
        _Sums,
        choices,
        lit,
        tensors.domain_weights,
        tensors.others,
        *tensors.moving,
    )
    return total


def lit_steps(
    choices: SumChoices,
    tensors: SumTensors,
    pixels: tuple[Tensor, Tensor, Tensor],
    limits: Tensor,
) -> LitSteps:
    """Which of the steps may have light, see `step_lists.listed_steps`."""
    with torch.no_grad():
        launch = Launch.of(choices, tensors.domain_weights, tensors.others, tensors.moving)
        return launch.listed(pixels, limits)


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        choices: SumChoices,
        lit: LitSteps | None,
        domain_weights: Tensor | None,
        others: Tensor,
        *moving: Tensor | None,
    ) -> Tensor:
        ctx.choices, ctx.lit = choices, lit
        ctx.save_for_backward(domain_weights, others, *moving)
        return Launch.of(choices, domain_weights, others, moving, lit).totals()[0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wanted = tuple(ctx.needs_input_grad[4:])
        found = applied(_Slopes, ctx.choices, ctx.lit, wanted, grads[0], *ctx.saved_tensors)
        given = iter(found)
        return None, None, None, None, *(next(given) if w else None for w in wanted)


class _Slopes(torch.autograd.Function):
    """Derivatives of weighted sums.  They are linear in the weights, and have derivatives by
    these alone."""

    @staticmethod
    def forward(
        ctx: Any,
        choices: SumChoices,
        lit: LitSteps | None,
        wanted: tuple[bool, ...],
        grad: Tensor,
        domain_weights: Tensor | None,
        others: Tensor,
        *moving: Tensor | None,
    ) -> tuple[Tensor, ...]:
        ctx.choices, ctx.lit, ctx.wanted = choices, lit, wanted
        ctx.save_for_backward(domain_weights, others, *moving)
        found = Launch.of(choices, domain_weights, others, moving, lit).slopes(grad, wanted)
        return tuple(x for x in found if x is not None)

    @staticmethod
    def backward(ctx: Any, *changes: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_second_derivatives(ctx)
        domain_weights, others, *moving = ctx.saved_tensors
        given = iter(changes)
        every = [next(given) if w else None for w in ctx.wanted]
        launch = Launch.of(ctx.choices, domain_weights, others, tuple(moving), ctx.lit)
        by_grad = launch.tangents(every)
        return None, None, None, by_grad, *(None for _ in ctx.saved_tensors)


def _refuse_second_derivatives(ctx: Any) -> None:
    """An error, no zero, where autograd wants anything but derivatives by the weights."""
    nodes = ctx.next_functions[1:]  # behind the weights
    for node, _ in nodes:
        if node is not None and _is_needed(node):
            raise UnsupportedError(SECOND_DERIVATIVES)


def _is_needed(node: Any) -> bool:
    try:
        return bool(torch._C._will_engine_execute_node(node))
    except RuntimeError:  # a leaf that autograd.grad was asked for
        return True
