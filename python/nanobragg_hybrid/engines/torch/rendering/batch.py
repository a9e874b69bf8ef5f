"""Images of a batch that see the same detector by the same beam: the rays are made once for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.compiled.bridge import NUMBERS_OF_RAYS
from nanobragg_hybrid.engines.torch.compiled.kernel import CompiledKernel, CompiledPiece
from nanobragg_hybrid.engines.torch.eager.kernel import EagerPiece
from nanobragg_hybrid.engines.torch.fused.kernel import FusedKernel, FusedPiece
from nanobragg_hybrid.engines.torch.programs.derived import Flags, Primal
from nanobragg_hybrid.engines.torch.programs.steps import Extent, Piece, Tensors, whole
from nanobragg_hybrid.engines.torch.rendering.render import Render
from nanobragg_hybrid.engines.torch.scenes.packing import Packed
from nanobragg_hybrid.engines.torch.scenes.transfers import constants_on

_ELSEWHERE: Final = frozenset(
    {
        "beam.exposure_s",
        "beam.fluence_photons_per_m2",
        "beam.flux_photons_per_s",
        "goniometer.osc_deg",
        "goniometer.phi_deg",
        "structure_factors.default_f",
    }
)

_CELLS: Final = 2
"""The place of the cells among the arguments."""


def leaves_rays(name: str, *, runs: bool = False) -> bool:
    """Whether a parameter is one of the crystal or of the strength of the beam: rays from the
    sources to the pixels do not depend on it.

    runs: the sum is multiplied at every step (oversample_running_product); then it is water that
    decides which steps those are.
    """
    if runs and name == "crystal.water_um":
        return False
    return name.startswith("crystal.") or name in _ELSEWHERE


@dataclass(frozen=True, slots=True, eq=False)
class BatchRender(Primal):
    """Values of pixels, float64, shape (members, pixels).

    render: that of the first member.  Arguments: numbers (members, 45), of which those of the rays
    are the first member's; sources; cells (members, orientations, 9); the grid if there is one.
    """

    render: Render
    members: int

    @classmethod
    def of(cls, render: Render, packed: Sequence[Packed]) -> tuple[BatchRender, list[Tensor]]:
        """A render and its arguments, for members without a first phi loop of their own."""
        first = packed[0]
        numbers = torch.stack([each.numbers for each in packed])
        cells = torch.stack([each.cells for each in packed])
        grid = [] if first.grid is None else [first.grid]
        return cls(render, len(packed)), [numbers, first.sources, cells, *grid]

    @property
    def inputs(self) -> tuple[Extent, ...]:
        return whole(sum(self.render.has))

    @property
    def outputs(self) -> tuple[Extent, ...]:
        return ("pixels",)

    def empty(self, tensors: Tensors) -> list[Tensor]:
        return [tensors[0].new_zeros((self.members, self.render.pixels.count))]

    def pieces(self, tensors: Tensors, derivatives: int) -> Iterator[Piece]:
        return self._able(tensors).pieces(self._member(tensors, 0), derivatives)

    def evaluate(self, piece: Piece, tensors: Tensors, derivatives: int) -> Tensors:
        if isinstance(piece, CompiledPiece):
            assert isinstance(self.render.compiled, CompiledKernel)
            return [self.render.compiled.values(piece, self.render.packed(tensors))]
        assert isinstance(piece, EagerPiece | FusedPiece)
        members = [self._member(tensors, n) for n in range(self.members)]
        if isinstance(piece, FusedPiece) and derivatives <= 1:
            assert isinstance(self.render.compiled, FusedKernel)
            packed = [self.render.packed(member) for member in members]
            return [self.render.compiled.together(piece, packed, self.render.template)]
        rows = [self.render.evaluate(piece, member, derivatives)[0] for member in members]
        return [torch.stack(rows)]

    def weighted(self, piece: Piece, grads: Tensors, tensors: Tensors, wanted: Flags) -> Tensors:
        if isinstance(piece, CompiledPiece):
            return self.render.weighted(piece, grads, tensors, wanted)
        return Primal.weighted(self, piece, grads, tensors, wanted)

    def changed(
        self, piece: Piece, tensors: Tensors, moved: Flags, changes: Sequence[Tensors]
    ) -> list[Tensors]:
        if not isinstance(piece, CompiledPiece):
            return Primal.changed(self, piece, tensors, moved, changes)
        columns: list[Tensors] = []
        for change in changes:
            rows = []
            for n in range(self.members):
                own = self._member_change(moved, change, n)
                (found,) = self.render.changed(piece, self._member(tensors, n), moved, [own])
                rows.append(found[0])
            columns.append([torch.stack(rows)])
        return columns

    def _able(self, tensors: Tensors) -> Render:
        """The render, without compiled kernels if they refuse one of the members."""
        compiled = self.render.compiled
        if compiled is None:
            return self.render
        for n in range(self.members):
            if compiled.refuses(self.render.packed(self._member(tensors, n))) is not None:
                return replace(self.render, compiled=None)
        return self.render

    def _member(self, tensors: Tensors, n: int) -> list[Tensor]:
        """The arguments of one member."""
        numbers, sources, cells, *grid = tensors
        # Rays are those of the first member, and so are their derivatives.
        own = torch.where(_of_rays(numbers.device), numbers[0], numbers[n])
        return [own, sources, cells[n], *grid]

    def _member_change(self, moved: Flags, change: Tensors, n: int) -> list[Tensor]:
        """A change of the moved arguments as one of a member's."""
        given = iter(change)
        found = []
        for place, is_moved in enumerate(moved):
            if is_moved:
                own = next(given)
                if place == 0:
                    own = torch.where(_of_rays(own.device), own[0], own[n])
                found.append(own[n] if place == _CELLS else own)
        return found


def _of_rays(device: torch.device) -> Tensor:
    """Which numbers are those of rays; copied to a device once."""
    return constants_on(device, NUMBERS_OF_RAYS.tolist()) != 0.0
