"""Derivatives without keeping what they need: a tile is computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.autograd import applied
from nanobragg_hybrid.engines.torch.scene import Scene, tensors_of, with_tensors

Evaluate = Callable[[Scene], tuple[Tensor, ...]]


def recomputed(evaluate: Evaluate, scene: Scene) -> tuple[Tensor, ...]:
    """`evaluate(scene)`, differentiable in the scene's tensors, remembering nothing else.

    Second derivatives are not available.
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
