"""Spherical Bessel functions over powers of their argument, smooth functions of its square.

With f_n(t) = j_n(x)/x^n and t = x^2, the derivative of f_n by t is -f_(n+1)/2 (Abramowitz and
Stegun, Handbook of Mathematical Functions, 10.1.24), so that all derivatives are of the same kind.
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.scalars import applied, root_of

_SERIES_BELOW: Final = 1.0
"""Of t: below it `_TERMS` terms of the power series are exact, above it few digits cancel."""
_TERMS: Final = 10


def bessel_ratio(n: int, t: Tensor) -> Tensor:
    """j_n(x)/x^n as a function of t = x^2 >= 0, n >= 0, with derivatives of any order.

    Without loss of digits at 0, where it is 1/(2n + 1)!!; NaN for a negative t.
    """
    ratio: Tensor = applied(_BesselRatio, n, t)
    return ratio


def cosine_of_root(t: Tensor) -> Tensor:
    """cos(sqrt(t)), the same with n = -1, with derivatives of any order also at 0."""
    cosine: Tensor = applied(_CosineOfRoot, t)
    return cosine


class _CosineOfRoot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, t: Tensor) -> Tensor:
        ctx.save_for_backward(t)
        return torch.cos(root_of(t))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (t,) = ctx.saved_tensors
        return grads[0] * -0.5 * bessel_ratio(0, t)


class _BesselRatio(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, n: int, t: Tensor) -> Tensor:
        ctx.n = n
        ctx.save_for_backward(t)
        is_small = t < _SERIES_BELOW
        ratio = _recurrence(n, t.masked_fill(is_small, 1.0))
        ratio[is_small] = _series(n, t[is_small])
        return ratio.masked_fill_(t < 0.0, math.nan)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        (t,) = ctx.saved_tensors
        return None, grads[0] * -0.5 * bessel_ratio(ctx.n + 1, t)


def _recurrence(n: int, t: Tensor) -> Tensor:
    """From f_0 = sin(x)/x and f_(-1) = cos(x), each by the two before it."""
    x = torch.sqrt(t)
    before, ratio = torch.cos(x), torch.sin(x).div_(x)
    for k in range(n):
        before, ratio = ratio, ((2 * k + 1) * ratio).sub_(before).div_(t)
    return ratio


def _series(n: int, t: Tensor) -> Tensor:
    total = torch.zeros_like(t)
    for k in range(_TERMS - 1, -1, -1):
        odd = math.prod(range(1, 2 * (n + k) + 2, 2))
        total.mul_(t).add_((-0.5) ** k / (math.factorial(k) * odd))
    return total
