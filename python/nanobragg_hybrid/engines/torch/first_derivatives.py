"""First derivatives only: other ways of asking for derivatives are errors, not wrong numbers.

The backward pass computes each tile again, and what it computes has no derivative of its own.
Without a guard PyTorch would take that for 0, and give second derivatives of what happens around
the tiles alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd import forward_ad

from nanobragg_hybrid.base.errors import UnsupportedError
from nanobragg_hybrid.engines.torch.scalars import applied

_INSTEAD: Final = (
    "use backward(), torch.autograd.grad, torch.autograd.functional.jacobian or vjp, without "
    "create_graph"
)
SECOND_DERIVATIVES: Final = (
    "the torch engine has first derivatives only, and create_graph=True (which hessian, hvp, vhp "
    f"and jvp of torch.autograd.functional set) asks for second ones: {_INSTEAD}"
)
FORWARD_MODE: Final = f"the torch engine has no forward-mode derivatives (dual numbers): {_INSTEAD}"
TRANSFORMS: Final = (
    "the torch engine does not work inside torch.func or vmap: for many values give them a batch "
    f"dimension, for derivatives {_INSTEAD}"
)
VECTORIZED: Final = (
    "the torch engine has no vectorized backward pass (vectorize=True, is_grads_batched=True): ask "
    "for one row of the Jacobian after the other"
)


def require_reverse_mode(tensors: Iterable[Tensor]) -> None:
    """Raises `UnsupportedError` inside torch.func and vmap, and for dual numbers."""
    if torch._C._are_functorch_transforms_active():
        raise UnsupportedError(TRANSFORMS)
    for tensor in tensors:
        if _is_batched(tensor):
            raise UnsupportedError(TRANSFORMS)
        unpack: Any = forward_ad.unpack_dual
        if unpack(tensor).tangent is not None:
            raise UnsupportedError(FORWARD_MODE)


def once_only(tensor: Tensor) -> Tensor:
    """The tensor itself; a backward pass that shall have derivatives (create_graph) is an error."""
    if not tensor.requires_grad:
        return tensor
    same: Tensor = applied(_OnceOnly, tensor)
    return same


def require_no_graph(grads: Iterable[Tensor | None]) -> None:
    """For a backward pass: raises `UnsupportedError` if it is to have derivatives, or is one of
    many at the same time."""
    if any(_is_batched(grad) for grad in grads if grad is not None):
        raise UnsupportedError(VECTORIZED)
    if torch.is_grad_enabled():  # which create_graph does, and nothing else
        raise UnsupportedError(SECOND_DERIVATIVES)


def _is_batched(tensor: Tensor) -> bool:
    functorch = torch._C._functorch
    return bool(functorch.is_batchedtensor(tensor) or functorch.is_legacy_batchedtensor(tensor))


class _OnceOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        del ctx
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        del ctx
        require_no_graph(grads)
        return grads[0]
