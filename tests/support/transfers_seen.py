"""What crosses from the CPU to another device, here torch's "meta".

That has no values: whatever looks at one there is an error.
"""

from __future__ import annotations

from with_torch import torch

META, CPU = torch.device("meta"), torch.device("cpu")


class Transfers(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts operators that have tensors of both devices, and notes the largest tensor of the CPU
    among those of operators that have any of the other device's."""

    def __init__(self) -> None:
        super().__init__()
        self.crossing: list[str] = []
        self.largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        seen = [
            x
            for x in torch.utils._pytree.tree_leaves((args, kwargs, result))
            if isinstance(x, torch.Tensor)
        ]
        here = [x.numel() for x in seen if x.device == CPU]
        if here and len(here) < len(seen):
            self.crossing.append(function.name())
            self.largest = max(self.largest, *here)
        return result
