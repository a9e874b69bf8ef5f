"""Numbers that are plain floats until somebody wants their derivative.

The set-up of an image (model 2 to 5) is written once, for `Scalar`: a float, for values that come
from the configuration, or a tensor, for values that were given to be differentiated.  With floats
it is the model's arithmetic to the last bit.  Inside the render the same functions work on tensors
of many pixels; they broadcast, and evaluate strictly in the order in which the model writes.
"""

from __future__ import annotations

import math
import sys
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

Scalar = float | Tensor
"""A float, or a float64 tensor (of shape () in the set-up)."""

SMALLEST_NORMAL: Final = sys.float_info.min


def applied(function: type[torch.autograd.Function], *arguments: object) -> Any:
    """The value of a formula of our own; autograd will use its `backward`."""
    apply: Any = function.apply
    return apply(*arguments)


def sin(x: Scalar) -> Scalar:
    """Sine of an angle in radians."""
    return torch.sin(x) if isinstance(x, Tensor) else math.sin(x)


def cos(x: Scalar) -> Scalar:
    """Cosine of an angle in radians."""
    return torch.cos(x) if isinstance(x, Tensor) else math.cos(x)


def exp(x: Scalar) -> Scalar:
    """Exponential."""
    return torch.exp(x) if isinstance(x, Tensor) else math.exp(x)


def sqrt(x: Scalar) -> Scalar:
    """Square root, correctly rounded; the derivative at 0 is 0 instead of infinite."""
    if isinstance(x, Tensor):
        root: Tensor = applied(_SquareRoot, x)
        return root
    return math.sqrt(x) if x >= 0.0 else math.nan


class _SquareRoot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        root = root_of(x)
        ctx.save_for_backward(root)
        return root

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (root,) = ctx.saved_tensors
        return torch.where(root == 0.0, 0.0, grads[0] / (2.0 * root))


def root_of(x: Tensor) -> Tensor:
    """Correctly rounded square roots, without derivative.

    torch.sqrt on the CPU is off by a unit in the last place for one number in 150; numpy's is not,
    and in directions that unit shows after the subtraction of model 6.3.
    """
    if x.device.type != "cpu":
        return torch.sqrt(x)
    with np.errstate(invalid="ignore"):
        return torch.from_numpy(np.sqrt(np.atleast_1d(x.detach().numpy()))).reshape(x.shape)


def side_of(x: Scalar) -> Scalar:
    """-1 where x is below 0, else 1; without derivative."""
    if isinstance(x, Tensor):
        return torch.where(x.detach() < 0.0, -1.0, 1.0).to(x.dtype)
    return -1.0 if x < 0.0 else 1.0


def magnitude_of(x: Scalar) -> Scalar:
    """Absolute value."""
    return torch.abs(x) if isinstance(x, Tensor) else abs(x)


def clipped(x: Scalar, low: float, high: float) -> Scalar:
    """The nearest number in [low, high]."""
    if isinstance(x, Tensor):
        return torch.clamp(x, low, high)
    return min(max(x, low), high)


def quotient(x: Scalar, y: Scalar) -> Scalar:
    """x/y as IEEE has it: a zero denominator gives an infinity or NaN instead of an exception."""
    if isinstance(x, Tensor) or isinstance(y, Tensor) or y != 0.0:
        return x / y
    if x == 0.0 or math.isnan(x):
        return math.nan
    return math.copysign(math.inf, x) * math.copysign(1.0, y)


def as_float(x: Scalar) -> float:
    """The number itself, without its derivative."""
    return x.item() if isinstance(x, Tensor) else x
