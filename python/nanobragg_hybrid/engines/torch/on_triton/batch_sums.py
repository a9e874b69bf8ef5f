"""Sums of several crystals whose rays are the same, by one launch, as a step of autograd."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.scalars import applied
from nanobragg_hybrid.engines.torch.fused.sum_arguments import (
    LATTICE_NUMBERS,
    SumChoices,
    SumTensors,
)
from nanobragg_hybrid.engines.torch.on_triton.kernels import batch as triton_batch
from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import Given
from nanobragg_hybrid.engines.torch.on_triton.sum_launches import (
    _HELD_STEPS,
    _PARTS,
    Launch,
    joined,
    listed_or_all,
    packed_numbers,
)
from nanobragg_hybrid.engines.torch.scenes.tiles import ranges

_HELD_RAYS: Final = 2**23
"""At most so many rays, of all members together, leave derivatives behind at a time; or so many
steps, as those of one alone.  A member that would be cut then is rendered alone."""


def batch_sums(choices: SumChoices, members: list[SumTensors]) -> Tensor:
    """The sums of each member, (members, pixels), differentiable once in what `lattice_sums` is.

    members: alike but for cells, numbers and start.
    """
    first = members[0]
    starts = [each.start for each in members if each.start is not None]
    total: Tensor = applied(
        _BatchSums,
        choices,
        first.domain_weights,
        first.others,
        first.direction,
        first.sources,
        torch.stack([each.cells for each in members]),
        torch.stack([each.numbers for each in members]),
        first.grid,
        first.factor,
        first.weight,
        torch.stack(starts) if starts else None,
    )
    return total


class _BatchSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        choices: SumChoices,
        domain_weights: Tensor | None,
        others: Tensor,
        *moving: Tensor | None,
    ) -> Tensor:
        ctx.choices = choices
        ctx.save_for_backward(domain_weights, others, *moving)
        return BatchLaunch.of_members(choices, domain_weights, others, moving).totals()[0]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wanted = tuple(ctx.needs_input_grad[3:])
        domain_weights, others, *moving = ctx.saved_tensors
        launch = BatchLaunch.of_members(ctx.choices, domain_weights, others, tuple(moving))
        return None, None, None, *launch.slopes(grads[0], wanted)


@dataclass(frozen=True, eq=False)
class BatchLaunch(Launch):
    """The arguments of the kernels of a batch; tensors: those of the first member.

    numbers: (members, 37).  cells: (members, orientations, 9).  starts: (members, pixels), or None.
    """

    cells: Tensor
    starts: Tensor | None

    @classmethod
    def of_members(
        cls,
        choices: SumChoices,
        domain_weights: Tensor | None,
        others: Tensor,
        moving: tuple[Tensor | None, ...],
    ) -> BatchLaunch:
        direction, sources, cells, numbers, grid, factor, weight, starts = moving
        assert cells is not None
        assert numbers is not None
        start = None if starts is None else starts[0]
        first = (direction, sources, cells[0], numbers[0], grid, factor, weight, start)
        one = Launch.of(choices, domain_weights, others, first)
        packed = torch.stack([packed_numbers(each, others) for each in numbers.unbind()])
        own = None if starts is None else starts.contiguous()
        return cls(choices, one.tensors, packed, None, cells.contiguous(), own)

    @property
    def _members(self) -> int:
        return len(self.cells)

    @property
    def _given(self) -> Given:
        own = super()._given
        return own._replace(cells=self.cells, start=self._or_nothing(self.starts))

    def _group(self, members: slice) -> BatchLaunch:
        """Some of the members."""
        starts = None if self.starts is None else self.starts[members]
        return replace(
            self, numbers=self.numbers[members], cells=self.cells[members], starts=starts
        )

    def _alone(self, n: int) -> Launch:
        """One of the members by itself."""
        own = replace(
            self.tensors,
            cells=self.cells[n],
            numbers=self.numbers[n, : len(LATTICE_NUMBERS)],
            start=None if self.starts is None else self.starts[n],
        )
        return Launch(self.choices, own, self.numbers[n], None)

    def totals(self, *, wants_states: bool = False) -> tuple[Tensor, Tensor]:
        """Sums, (members, pixels), and what they were before each ray, (members, rays, pixels), if
        wanted."""
        new = self.numbers.new_empty
        pixels, samples, sources = self._shape
        total = new((self._members, pixels))
        states = new((self._members, samples * sources, pixels) if wants_states else 0)
        if pixels > 0:
            triton_batch.batch_sums[(self._blocks, self._members)](
                total,
                states,
                self._given,
                self._sizes,
                listed_or_all(None, self.numbers),
                wants_states=wants_states,
                **self._options,
            )
        return total, states

    def slopes(self, grad: Tensor, wanted: tuple[bool, ...]) -> list[Tensor | None]:
        """As for one; derivatives by what is each member's have the members in front, the others
        are sums over them.  Those by the table take a launch for each."""
        pixels, samples, sources = self._shape
        held, limit = max(1, pixels * samples * sources), _HELD_RAYS
        if wanted[2] and self.choices.is_running:
            held, limit = held * self._counts[0], _HELD_STEPS
        most = 1 if wanted[4] else max(1, limit // held)
        found: list[list[Tensor | None]] = []
        for own in ranges(0, self._members, most):
            members = slice(own.start, own.stop)
            if len(own) == 1:
                alone = self._alone(own.start).slopes(grad[own.start], wanted)
                found.append(_with_members(alone))
            else:
                found.append(self._group(members)._slopes(grad[members], wanted))
        return [
            joined(0 if place in _OF_MEMBERS else None, column)
            for place, column in enumerate(zip(*found, strict=True))
        ]

    def _slopes(self, grad: Tensor, wanted: tuple[bool, ...]) -> list[Tensor | None]:
        new, given, members = self.numbers.new_zeros, self.tensors, self._members
        pixels, samples, sources = self._shape
        rays, is_running = samples * sources, self.choices.is_running
        grad = grad.contiguous()
        by_direction = new((members, *given.direction.shape))
        by_sources = new((members, self._blocks, rays, 4))
        by_numbers = new((members, self._blocks if wanted[3] else 0, len(LATTICE_NUMBERS)))
        by_factor = new((members, rays, pixels))
        by_weight = new((members, rays, pixels) if is_running else 0)
        by_start = new((members, pixels) if is_running else 0)
        holds = wanted[2] and is_running
        coefficients = new((members, rays * self._counts[0], pixels) if holds else 0)
        if pixels > 0:
            states = self.totals(wants_states=True)[1] if is_running else self.numbers
            triton_batch.batch_slopes[(self._blocks, members)](
                by_direction,
                by_sources,
                by_numbers,
                by_factor,
                by_weight,
                by_start,
                coefficients,
                grad,
                states,
                self._given,
                self._sizes,
                listed_or_all(None, self.numbers),
                wants_numbers=wanted[3],
                wants_coefficients=holds,
                **self._options,
            )
        # Each member's own are added up as those of one alone are, to the same bits.
        return [
            by_direction.sum(0) if wanted[0] else None,
            by_sources.sum((0, 1)).reshape(samples, sources, 4).sum(0).T if wanted[1] else None,
            self._by_cells(grad, coefficients) if wanted[2] else None,
            torch.stack([each.sum(0) for each in by_numbers]) if wanted[3] else None,
            None,
            self._by_rays(given.factor, by_factor) if wanted[5] else None,
            self._by_rays(given.weight, by_weight) if wanted[6] else None,
            by_start if wanted[7] else None,
        ]

    def _by_rays(self, values: Tensor | None, rows: Tensor) -> Tensor | None:
        if values is None:
            return None
        pixels, samples, sources = self._shape
        every = rows.sum(0).reshape(samples, sources, pixels).permute(2, 0, 1)
        return every.sum_to_size(values.shape)

    def _by_cells(self, grad: Tensor, coefficients: Tensor) -> Tensor:
        orientations, members = self._counts[0], self._members
        parts = max(1, min(_PARTS, self._blocks))
        by_cells = self.numbers.new_zeros((members, parts, orientations, 9))
        if self._count > 0:
            triton_batch.batch_cell_slopes[(orientations, parts, members)](
                by_cells,
                coefficients,
                grad,
                self._given,
                self._sizes,
                listed_or_all(None, self.numbers),
                has_coefficients=self.choices.is_running,
                **self._options,
            )
        return torch.stack([each.sum(0) for each in by_cells])


_OF_MEMBERS: Final = (2, 3, 7)
"""Places of what each member has of its own."""


def _with_members(found: list[Tensor | None]) -> list[Tensor | None]:
    """Derivatives of one, as those of a batch of one."""
    return [
        x.unsqueeze(0) if x is not None and place in _OF_MEMBERS else x
        for place, x in enumerate(found)
    ]
