"""What a kernel is that renders whole pixels with first derivatives on the device where the tensors
are, and whether there is one: Triton's, which is loaded where it is used."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.packing import Packed, Template
from nanobragg_hybrid.engines.torch.pixels import Pixels
from nanobragg_hybrid.engines.torch.scene import Choices
from nanobragg_hybrid.engines.torch.steps import Piece
from nanobragg_hybrid.engines.torch.tiles import Segment

NOT_INSTALLED: Final = 'Triton is not installed (pip install "nanobragg-hybrid[gpu]")'
NOT_ON_CPU: Final = (
    "Triton compiles for GPUs, and runs on the CPU in its interpreter only: set TRITON_INTERPRET=1 "
    "before Python starts"
)
INTERPRETED: Final = "Triton's interpreter, which runs on the CPU, is on (TRITON_INTERPRET)"


@dataclass(frozen=True, slots=True)
class FusedPiece(Piece):
    """Pixels that are treated alike; slow, fast: float64, shape (pixels, 1), on the device."""

    slow: Tensor
    fast: Tensor
    interpolates: bool


class FusedKernel(ABC):
    """Pixels with all their steps at once; values are differentiable once by autograd."""

    @abstractmethod
    def refuses(self, packed: Packed) -> str | None:
        """Why values like these are left to the eager kernel; None: they are not."""

    @abstractmethod
    def covers(self, segment: Segment) -> bool:
        """Whether all steps of these pixels are alike."""

    @abstractmethod
    def pieces(self, pixels: Pixels, segment: Segment) -> Iterator[FusedPiece]:
        """How the pixels of a segment are cut."""

    @abstractmethod
    def values(self, piece: FusedPiece, packed: Packed, template: Template) -> Tensor:
        """The values of a piece's pixels before rounding, float64, shape (pixels,)."""


def why_no_triton(device: torch.device) -> str | None:
    """Why Triton's kernels do not render on a device; None if they do."""
    if importlib.util.find_spec("triton") is None:
        return NOT_INSTALLED
    from nanobragg_hybrid.engines.torch.triton_kernel import IS_INTERPRETED

    if device.type == "cuda":
        return INTERPRETED if IS_INTERPRETED else None
    return None if IS_INTERPRETED else NOT_ON_CPU


def triton_kernel(choices: Choices, dtype: torch.dtype, device: torch.device) -> FusedKernel:
    """Triton's kernels, where `why_no_triton` has nothing to say."""
    from nanobragg_hybrid.engines.torch.triton_kernel import TritonKernel

    return TritonKernel.of(choices, dtype, device)
