"""What goes from the host to the device that renders: many arrays in one transfer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.engines.torch.scenes.scene import with_tensors

_APART: Final = 32
"""Arrays begin at multiples of so many numbers: at 256 bytes, as if each had its own memory."""
_MOST_PINNED: Final = 2**22
"""Numbers.  Memory that a GPU reads by itself is kept for the next transfer: not for large ones."""

T = TypeVar("T")


def copied(arrays: Sequence[NDArray[Any]], device: torch.device) -> list[Tensor]:
    """Arrays of float64 or int64 on a device: views of one buffer, copied at once.

    From pinned memory to a GPU, and nobody waits for it.
    """
    starts, length = [], 0
    for array in arrays:
        starts.append(length)
        length += -(-array.size // _APART) * _APART
    is_pinned = device.type == "cuda" and length <= _MOST_PINNED
    with torch.inference_mode(mode=False):  # others may keep it
        buffer = torch.empty(length, dtype=torch.int64, pin_memory=is_pinned)
        own = buffer.numpy()
        for start, array in zip(starts, arrays, strict=True):
            own[start : start + array.size] = np.ascontiguousarray(array).reshape(-1).view(np.int64)
        there = buffer.to(device, non_blocking=is_pinned)
        return [
            there[start : start + array.size]
            .view(torch.float64 if array.dtype.kind == "f" else torch.int64)
            .reshape(array.shape)
            for start, array in zip(starts, arrays, strict=True)
        ]


def moved(value: T, device: torch.device) -> T:
    """A dataclass or tuple whose tensors, of float64 or int64 on the CPU, are on a device instead,
    each of them once; `value` itself for the CPU."""
    if device.type == "cpu":
        return value
    found: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        found[id(tensor)] = tensor
        return tensor

    with_tensors(value, note)
    copies = copied([tensor.detach().numpy() for tensor in found.values()], device)
    there = dict(zip(found, copies, strict=True))
    return with_tensors(value, lambda tensor: there[id(tensor)])


def constants_on(device: torch.device, numbers: Sequence[float]) -> Tensor:
    """float64 numbers that are the same in every render; on a GPU they are copied for the first.

    device: that of a tensor.
    """
    own = np.array(numbers, dtype=np.float64)
    return torch.from_numpy(own) if device.type == "cpu" else _kept(own.tobytes(), device)


@lru_cache(maxsize=256)
def _kept(bits: bytes, device: torch.device) -> Tensor:
    (there,) = copied([np.frombuffer(bits, dtype=np.float64)], device)
    return there
