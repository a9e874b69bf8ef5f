"""Functions that torch.compile goes around."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def uncompiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function as it is, also inside what torch.compile compiles: a break of its graph.

    torch.compiler.disable does that, too, but imports the compiler whether it is needed or not.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.compiler.is_compiling():
            disable: Any = torch.compiler.disable
            result: R = disable(function)(*args, **kwargs)
            return result
        return function(*args, **kwargs)

    return wrapped
