"""The Jacobian of a piece by Triton's kernels: a launch for the values, one for all directions.

What rays and pixels have of their own changes by torch's operators, only along directions that move
more than the crystal's lattice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.fused.directions import Directions
from nanobragg_hybrid.engines.torch.fused.sum_arguments import (
    LATTICE_NUMBERS,
    SumChoices,
    SumTensors,
)
from nanobragg_hybrid.engines.torch.on_triton.kernels import jacobian as triton_jacobian
from nanobragg_hybrid.engines.torch.on_triton.kernels.jacobian import Along, AlongSizes
from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import disguised
from nanobragg_hybrid.engines.torch.on_triton.sum_launches import Launch
from nanobragg_hybrid.engines.torch.programs.derived import changes_of
from nanobragg_hybrid.engines.torch.scenes.packing import Packed


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSums:
    """What the sums of a piece take, and what makes values of them, (pixels,).

    scale: what the sums are multiplied with, (pixels,), without derivatives; computed when asked.
    """

    choices: SumChoices
    tensors: SumTensors
    scale: Callable[[], Tensor]
    finish: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class SumDirections:
    """How the tensors of sums change along D directions.

    numbers: (D, 14).  rotations, reference, turning, cells, moving: as `Directions` has them.
    direction, sources, factor, weight, start: changes of those of `SumTensors`, one more dimension
    in front, for the m that are moving; None: there is none.
    """

    numbers: Tensor
    rotations: Tensor
    reference: Tensor
    turning: Tensor
    cells: Tensor
    moving: Tensor
    direction: Tensor | None
    sources: Tensor | None
    factor: Tensor | None
    weight: Tensor | None
    start: Tensor | None


class JacobianLaunch(Launch):
    """The arguments of `pixel_jacobian`."""

    __slots__ = ()

    def rows(self, along: SumDirections, states: Tensor) -> Tensor:
        """How sums change along each direction, (directions, pixels)."""
        rows = self.numbers.new_zeros((len(along.numbers), self._count))
        if rows.numel() == 0:
            return rows
        pixels, samples, sources = self._shape
        moving = len(along.moving)
        factor, factor_strides = self._of_rays(along.factor, moving)
        weight, weight_strides = self._of_rays(along.weight, moving)
        sizes = AlongSizes(
            disguised((len(along.numbers), len(along.turning), moving)),
            disguised(factor_strides),
            disguised(weight_strides),
        )
        own = Along(
            along.numbers.contiguous(),
            along.rotations.contiguous(),
            along.reference.contiguous(),
            along.turning,
            along.cells.contiguous(),
            along.moving,
            self._zeros_or(along.direction, (moving, 3, pixels, samples)),
            self._zeros_or(along.sources, (moving, 4, sources)),
            factor,
            weight,
            self._zeros_or(along.start, (moving, pixels)),
        )
        triton_jacobian.pixel_jacobian[(self._blocks,)](
            rows,
            states,
            self._given,
            own,
            self._sizes,
            sizes,
            has_turning=len(along.turning) > 0,
            has_moving=moving > 0,
            **self._options,
        )
        return rows

    def _zeros_or(self, values: Tensor | None, shape: tuple[int, ...]) -> Tensor:
        return self.numbers.new_zeros(shape) if values is None else values.contiguous()

    def _of_rays(self, values: Tensor | None, moving: int) -> tuple[Tensor, tuple[int, ...]]:
        """Changes of what rays are multiplied with, and their strides."""
        if values is None:
            return self.numbers.new_zeros(1), (0, 0, 0, 0)
        return values, values.expand((moving, *self._shape)).stride()


def sums_and_rows(
    choices: SumChoices, tensors: SumTensors, along: SumDirections
) -> tuple[Tensor, Tensor]:
    """Sums of pixels, (pixels,), and how they change along each direction, (directions, pixels)."""
    plain = tuple(None if x is None else x.detach() for x in tensors.moving)
    launch = JacobianLaunch.of(choices, tensors.domain_weights, tensors.others, plain)
    assert isinstance(launch, JacobianLaunch)
    totals, states = launch.totals(wants_states=choices.is_running)
    return totals, launch.rows(along, states)


def fused_jacobian(
    prepare: Callable[[Packed], PreparedSums], packed: Packed, along: Directions
) -> tuple[Tensor, Tensor]:
    """Values of a piece, (pixels,), and their derivatives, (directions, pixels)."""
    numbers, sources = (x.detach().requires_grad_() for x in (packed.numbers, packed.sources))
    leaves = [numbers, sources]
    with torch.enable_grad():
        prepared = prepare(replace(packed, numbers=numbers, sources=sources))
        tensors = prepared.tensors
        of_rays = [tensors.direction, tensors.factor, tensors.weight, tensors.start]
        there = [x for x in of_rays if x is not None]
        changes = [
            [along.numbers[direction], along.sources[m]] for m, direction in enumerate(along.moving)
        ]
        moved = changes_of(there, leaves, changes) if changes else []
        columns = iter(torch.stack(column) for column in zip(*moved, strict=True))
        direction, factor, weight, start = (
            next(columns) if x is not None and moved else None for x in of_rays
        )
        totals, rows = sums_and_rows(
            prepared.choices,
            tensors,
            SumDirections(
                _of_lattice(along.numbers, packed.numbers),
                along.rotations,
                along.reference,
                along.turning,
                along.cells,
                along.moving_numbers,
                direction,
                along.sources[:, :4] if moved else None,
                factor,
                weight,
                start,
            ),
        )
        total = totals.requires_grad_()
        values = prepared.finish(total)
        # Of each pixel by its own sum.
        ones = torch.ones_like(values)
        (slope,) = torch.autograd.grad(values, total, ones, retain_graph=True)
        others = changes_of([values], leaves, changes) if changes else []
    rows = slope * rows
    if others:
        beside = torch.stack([own[0] for own in others])
        rows = rows.index_add(0, along.moving_numbers, beside)
    return values.detach(), rows


def _of_lattice(changes: Tensor, numbers: Tensor) -> Tensor:
    """Changes of the numbers of the lattice; numbers of cells below 1 do not change."""
    own = torch.stack([changes[:, place] for place in LATTICE_NUMBERS], 1)
    n_cells = torch.stack([numbers.detach()[place] for place in LATTICE_NUMBERS[:3]])
    return torch.cat([torch.where(n_cells < 1.0, 0.0, own[:, :3]), own[:, 3:]], 1)
