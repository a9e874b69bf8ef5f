"""What a kernel is that renders whole pixels, with first derivatives, on the device where the
tensors are: Triton's are such kernels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from nanobragg_hybrid.engines.torch.fused.directions import Directions
from nanobragg_hybrid.engines.torch.programs.steps import Piece
from nanobragg_hybrid.engines.torch.scenes.packing import Packed, Template
from nanobragg_hybrid.engines.torch.scenes.pixels import Pixels
from nanobragg_hybrid.engines.torch.scenes.tiles import Segment


@dataclass(frozen=True, slots=True)
class FusedPiece(Piece):
    """Pixels that are treated alike; slow, fast: float64, shape (pixels, 1), on the device."""

    slow: Tensor
    fast: Tensor
    interpolates: bool


class FusedKernel(ABC):
    """Pixels with all their steps at once; values are differentiable once by autograd."""

    @abstractmethod
    def every_step_because(self, packed: Packed) -> str:
        """Why every step of a scene is visited in spite of a tolerance; empty: some may be left
        out.  It looks at values, which are fetched from the device."""

    @property
    @abstractmethod
    def rays_by_operators_because(self) -> str:
        """Why pixels and rays are computed by torch's operators whatever is differentiated; empty:
        they are the kernel's own where they have no derivatives."""

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
    def jacobian(
        self, piece: FusedPiece, packed: Packed, template: Template, along: Directions
    ) -> tuple[Tensor, Tensor]:
        """Values, and their derivatives along some directions, (directions, pixels)."""

    @abstractmethod
    def together(self, piece: FusedPiece, members: Sequence[Packed], template: Template) -> Tensor:
        """Values of several crystals, (members, pixels), each the same bits as alone, with first
        derivatives; rays are those of the first."""

    @abstractmethod
    def values(self, piece: FusedPiece, packed: Packed, template: Template) -> Tensor:
        """The values of a piece's pixels before rounding, float64, shape (pixels,)."""
