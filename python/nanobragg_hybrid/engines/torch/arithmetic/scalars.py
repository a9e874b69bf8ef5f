"""Numbers that are plain floats until somebody wants their derivative.

The set-up of an image (model 2 to 5) is written once, for `Scalar`: a float, for values that come
from the configuration, or a tensor, for values that were given to be differentiated.  With floats
it is the model's arithmetic to the last bit.  Inside the render the same functions work on tensors
of many pixels; they broadcast, and evaluate strictly in the order in which the model writes.

Two more kinds pass through the same functions and are no `Scalar` to a type checker: a `Symbol`
where the set-up is being recorded (see `tape`), and a numpy array of many floats.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from nanobragg_hybrid.engines.torch.arithmetic import tape

Scalar = float | Tensor
"""A float, or a float64 tensor (of shape () in the set-up)."""

F = TypeVar("F", bound=Callable[..., Any])

Condition = bool | Tensor
"""What holds for a scalar."""

SMALLEST_NORMAL: Final = sys.float_info.min


def applied(function: type[torch.autograd.Function], *arguments: object) -> Any:
    """The value of a formula of our own; autograd will use its `backward`.

    These formulas are differentiable twice, in reverse mode: where the render asks for them, values
    are plain tensors.  So they have no `jvp` and no `vmap`, which would be errors, not numbers.
    """
    apply: Any = function.apply
    return apply(*arguments)


def with_signature(function: F) -> F:
    """The same function, which has its signature at hand: torch asks for that at each call."""
    own: Any = function
    own.__signature__ = inspect.signature(function)
    return function


def remember(ctx: Any, *arguments: object) -> None:
    """Keeps a formula's arguments, tensors or not, for its `backward` to ask `remembered` for.

    Arguments or results are all that a formula may keep: a derivative of its `backward` does not
    see what else there was (https://docs.pytorch.org/tutorials/intermediate/
    custom_function_double_backward_tutorial.html).
    """
    ctx.others = [None if isinstance(each, Tensor) else each for each in arguments]
    ctx.save_for_backward(*(each if isinstance(each, Tensor) else None for each in arguments))


def remembered(ctx: Any) -> list[Any]:
    """What `remember` kept, in its order."""
    pairs = zip(ctx.saved_tensors, ctx.others, strict=True)
    return [other if tensor is None else tensor for tensor, other in pairs]


def sin(x: Scalar) -> Scalar:
    """Sine of an angle in radians."""
    return torch.sin(x) if isinstance(x, Tensor) else _of_others(tape.SIN, x)


def cos(x: Scalar) -> Scalar:
    """Cosine of an angle in radians."""
    return torch.cos(x) if isinstance(x, Tensor) else _of_others(tape.COS, x)


def exp(x: Scalar) -> Scalar:
    """Exponential."""
    return torch.exp(x) if isinstance(x, Tensor) else _of_others(tape.EXP, x)


def is_transformed(x: Tensor) -> bool:
    """Whether torch.func, vmap or forward mode (dual numbers) are at work on a tensor."""
    functorch = torch._C._functorch
    unpack: Any = forward_ad.unpack_dual
    return bool(
        torch._C._are_functorch_transforms_active()
        or functorch.is_batchedtensor(x)
        or functorch.is_legacy_batchedtensor(x)
        or unpack(x).tangent is not None
    )


def _of_others(operation: tape.Operation, x: Any) -> Any:
    """An operation on one number that is no tensor."""
    if isinstance(x, tape.Symbol):
        return x.through(operation)
    return operation.ieee(x) if isinstance(x, np.ndarray) else operation.plain(x)


def sqrt(x: Scalar) -> Scalar:
    """Square root, correctly rounded; all its derivatives at 0 are 0 instead of infinite."""
    if isinstance(x, Tensor):
        if is_transformed(x):  # where a formula of our own is an error
            at_zero = x == 0.0
            return torch.where(at_zero, 0.0, torch.sqrt(torch.where(at_zero, 1.0, x)))
        root: Tensor = applied(_SquareRoot, x)
        return root
    if isinstance(x, tape.Symbol | np.ndarray):
        other: Scalar = _of_others(tape.SQRT, x)
        return other
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
        return grads[0] / (2.0 * torch.where(root == 0.0, math.inf, root))


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
    side: Scalar = _of_others(tape.SIDE, x)
    return side


def magnitude_of(x: Scalar) -> Scalar:
    """Absolute value."""
    return torch.abs(x) if isinstance(x, Tensor) else _of_others(tape.ABSOLUTE, x)


def clipped(x: Scalar, low: float, high: float) -> Scalar:
    """The nearest number in [low, high]."""
    if isinstance(x, Tensor):
        return torch.clamp(x, low, high)
    if isinstance(x, tape.Symbol):
        inside: Scalar = x.through(tape.CLIP, low, high)
        return inside
    return min(max(x, low), high)


def is_zero(x: Scalar) -> Condition:
    """Whether x is 0."""
    if isinstance(x, tape.Symbol):
        condition: Condition = x.through(tape.IS_EQUAL, 0.0)
        return condition
    return x == 0.0


def is_less(x: Scalar, y: Scalar) -> Condition:
    """Whether x < y."""
    if isinstance(x, tape.Symbol):
        condition: Condition = x.through(tape.IS_LESS, y)
        return condition
    if isinstance(y, tape.Symbol):
        other: Condition = y.through_from(tape.IS_LESS, x)
        return other
    return x < y


def chosen(condition: Condition, x: Scalar, y: Scalar) -> Scalar:
    """x where a condition holds, else y, with the derivative of that one."""
    if isinstance(condition, Tensor):
        return torch.where(condition, x, y)
    if isinstance(condition, tape.Symbol):
        choice: Scalar = condition.choose(x, y)
        return choice
    if isinstance(condition, np.ndarray):
        one: Scalar = np.where(condition, x, y)
        return one
    return x if condition else y


def quotient(x: Scalar, y: Scalar) -> Scalar:
    """x/y as IEEE has it: a zero denominator gives an infinity or NaN instead of an exception."""
    if _is_recorded_or_tensor(x) or _is_recorded_or_tensor(y) or y != 0.0:
        return x / y
    if x == 0.0 or math.isnan(x):
        return math.nan
    return math.copysign(math.inf, x) * math.copysign(1.0, y)


def _is_recorded_or_tensor(x: object) -> bool:
    return isinstance(x, Tensor | tape.Symbol)


def as_float(x: Scalar) -> float:
    """The number itself, without its derivative."""
    return x.item() if isinstance(x, Tensor) else x
