"""Calling our own formulas with derivatives."""

from __future__ import annotations

from typing import Any

import torch


def applied(function: type[torch.autograd.Function], *arguments: object) -> Any:
    """The value of a formula; autograd will use its `backward`."""
    apply: Any = function.apply
    return apply(*arguments)
