"""Launches of Triton's kernels of steps: sums of pixels, their derivatives and tangents.

Nothing here looks at a value: on a GPU there is no synchronisation and no transfer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.interference import slope_coefficients
from nanobragg_hybrid.engines.torch.fused.sum_arguments import (
    LATTICE_NUMBERS,
    SumChoices,
    SumTensors,
)
from nanobragg_hybrid.engines.torch.on_triton.kernels import cells as triton_cells
from nanobragg_hybrid.engines.torch.on_triton.kernels import elements as triton_elements
from nanobragg_hybrid.engines.torch.on_triton.kernels import slopes as triton_slopes
from nanobragg_hybrid.engines.torch.on_triton.kernels import sums as triton_sums
from nanobragg_hybrid.engines.torch.on_triton.kernels import tangents as triton_tangents
from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import Given, Sizes, StepKind, disguised
from nanobragg_hybrid.engines.torch.on_triton.step_lists import TILE, LitSteps, listed_steps
from nanobragg_hybrid.engines.torch.scenes.tiles import ranges

_ON_CPU: Final = 1024
_ON_GPU: Final = 128
"""Pixels of a program.  The interpreter's time is that of its calls, whatever their length."""

_PARTS: Final = 64
"""At most so many programs share the pixels of an orientation."""
_HELD_STEPS: Final = 2**21
"""At most so many steps leave something behind at a time, for derivatives that need it."""
_NODES: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Launch:
    """The arguments of kernels, contiguous; lit: the steps that are visited, None: all."""

    choices: SumChoices
    tensors: SumTensors
    numbers: Tensor
    lit: LitSteps | None

    @classmethod
    def of(
        cls,
        choices: SumChoices,
        domain_weights: Tensor | None,
        others: Tensor,
        moving: tuple[Tensor | None, ...],
        lit: LitSteps | None = None,
    ) -> Launch:
        direction, sources, cells, numbers, grid, factor, weight, start = moving
        assert direction is not None
        assert sources is not None
        assert cells is not None
        assert numbers is not None
        tensors = SumTensors(
            direction.contiguous(),
            sources.contiguous(),
            cells.contiguous(),
            numbers,
            None if grid is None else grid.contiguous(),
            factor,
            weight,
            None if start is None else start.contiguous(),
            domain_weights,
            others,
        )
        return cls(choices, tensors, packed_numbers(numbers, others), lit)

    @property
    def _count(self) -> int:
        return self.tensors.direction.shape[1]

    @property
    def _shape(self) -> tuple[int, int, int]:
        _, pixels, samples = self.tensors.direction.shape
        return pixels, samples, self.tensors.sources.shape[1]

    @property
    def _counts(self) -> tuple[int, int]:
        return self.tensors.cells.shape[0], self.choices.domains

    @property
    def _block(self) -> int:
        return pixels_of_a_program(self.numbers.device) if self.lit is None else TILE

    @property
    def _blocks(self) -> int:
        return -(-self._count // self._block)

    def _strides(self, values: Tensor | None) -> tuple[int, ...]:
        return (0, 0, 0) if values is None else values.expand(self._shape).stride()

    def _or_nothing(self, values: Tensor | None) -> Tensor:
        """Something to point at where there is nothing."""
        return self.numbers if values is None else values

    @property
    def _given(self) -> Given:
        """Everything that kernels point at."""
        given, nothing = self.tensors, self._or_nothing
        return Given(
            given.direction,
            given.sources,
            given.cells,
            nothing(given.grid),
            self.numbers,
            nothing(given.factor),
            nothing(given.weight),
            nothing(given.start),
            nothing(given.domain_weights),
        )

    @property
    def _sizes(self) -> Sizes:
        return Sizes(
            disguised(self._shape),
            disguised(self._counts),
            disguised(extent_of(self.choices, self.tensors.grid)),
            disguised(self._strides(self.tensors.factor)),
            disguised(self._strides(self.tensors.weight)),
        )

    @property
    def _options(self) -> dict[str, Any]:
        """Constants of all kernels of steps."""
        choices, tensors, is_listed = self.choices, self.tensors, self.lit is not None
        return {
            "block": self._block,
            "kind": StepKind(
                choices.shape,
                choices.single,
                tensors.grid is not None,
                choices.interpolation,
                choices.has_limit,
                tensors.factor is not None,
                choices.is_running,
                tensors.domain_weights is not None,
                is_listed,
            ),
            "num_warps": 1 if is_listed else 4,
            # Roundings are those that the model's formulas have.
            "enable_fp_fusion": False,
        }

    def totals(self, *, wants_states: bool = False) -> tuple[Tensor, Tensor]:
        """Sums of pixels, and what they were before each ray, (rays, pixels), if wanted."""
        new = self.numbers.new_empty
        total = new(self._count)
        pixels, samples, sources = self._shape
        states = new((samples * sources if wants_states else 0, pixels))
        if pixels > 0:
            triton_sums.pixel_sums[(self._blocks,)](
                total,
                states,
                self._given,
                self._sizes,
                listed_or_all(self.lit, self.numbers),
                wants_states=wants_states,
                **self._options,
            )
        return total, states

    def listed(self, pixels: tuple[Tensor, Tensor, Tensor], limits: Tensor) -> LitSteps:
        """The steps that may have light, see `step_lists.listed_steps`."""
        return listed_steps(
            self._given,
            self._sizes,
            self._shape,
            pixels,
            limits,
            orientations=self._counts[0],
            profile=self.choices.shape,
            has_factor=self.tensors.factor is not None,
        )

    def slopes(self, grad: Tensor, wanted: tuple[bool, ...]) -> list[Tensor | None]:
        """Derivatives of the sum of grad times sums by what is wanted of the moving tensors."""
        _, _, wants_cells, _, wants_grid, _, _, _ = wanted
        orientations = self._counts[0]
        holds = wants_grid or (wants_cells and self.choices.is_running)
        pixels, samples, sources = self._shape
        steps = samples * sources * orientations
        if wants_grid and self.choices.interpolation != "nearest":
            steps *= _NODES
        most = max(1, _HELD_STEPS // steps // self._block) * self._block
        if not holds:
            most = max(pixels, 1)
        parts = [
            self._part(slice(own.start, own.stop))._slopes(grad[own.start : own.stop], wanted)
            for own in ranges(0, pixels, most)
        ] or [self._slopes(grad, wanted)]
        if len(parts) == 1:
            return parts[0]
        columns = list(zip(*parts, strict=True))
        return [joined(self._dim_of(place), column) for place, column in enumerate(columns)]

    def _dim_of(self, place: int) -> int | None:
        """Along which dimension of a moving tensor the pixels lie."""
        tensors = self.tensors
        of_rays = {5: tensors.factor, 6: tensors.weight}
        if place in of_rays:
            values = of_rays[place]
            return 0 if values is not None and values.shape[0] == self._count > 1 else None
        return {0: 1, 7: 0}.get(place)

    def _part(self, pixels: slice) -> Launch:
        """The same for some of the pixels."""
        given = self.tensors

        def own(values: Tensor | None) -> Tensor | None:
            if values is None or values.shape[0] == 1:
                return values
            return values[pixels]

        lit = None if self.lit is None else self.lit.part(pixels)
        part = replace(
            given,
            direction=given.direction[:, pixels].contiguous(),
            factor=own(given.factor),
            weight=own(given.weight),
            start=own(given.start),
        )
        return Launch(self.choices, part, self.numbers, lit)

    def _slopes(self, grad: Tensor, wanted: tuple[bool, ...]) -> list[Tensor | None]:
        _, wants_sources, wants_cells, wants_numbers, wants_grid, *wants_rays, wants_start = wanted
        given, new = self.tensors, self.numbers.new_zeros
        pixels, samples, sources = self._shape
        rays, orientations = samples * sources, self._counts[0]
        is_running = self.choices.is_running
        grad = grad.contiguous()
        by_direction = torch.empty_like(given.direction)
        by_sources = new((self._blocks, rays, 4))
        by_numbers = new((self._blocks if wants_numbers else 0, len(LATTICE_NUMBERS)))
        by_factor = new((rays, pixels))
        by_weight = new((rays if is_running else 0, pixels))
        by_start = new(pixels if is_running else 0)
        wants_grid = wants_grid and given.grid is not None
        nodes = 1 if self.choices.interpolation == "nearest" else _NODES
        held = rays * orientations * nodes * pixels if wants_grid else 0
        # What is not visited gives nothing.
        elements = torch.full((held,), -1, dtype=torch.int64, device=grad.device)
        amounts = new(held)
        wants_coefficients = wants_cells and is_running
        coefficients = new((rays * orientations if wants_coefficients else 0, pixels))
        if pixels > 0:
            states = self.totals(wants_states=True)[1] if is_running else self.numbers
            triton_slopes.pixel_slopes[(self._blocks,)](
                by_direction,
                by_sources,
                by_numbers,
                by_factor,
                by_weight,
                by_start,
                elements,
                amounts,
                coefficients,
                grad,
                states,
                self._given,
                self._sizes,
                listed_or_all(self.lit, self.numbers),
                wants_numbers=wants_numbers,
                wants_table=wants_grid,
                wants_coefficients=wants_coefficients,
                **self._options,
            )
        found: list[Tensor | None] = [None] * len(wanted)
        if wanted[0]:
            found[0] = by_direction
        if wants_sources:
            of_rays = by_sources.sum(0).reshape(samples, sources, 4).sum(0)
            found[1] = of_rays.T.contiguous()
        if wants_cells:
            found[2] = self._by_cells(grad, coefficients)
        if wants_numbers:
            found[3] = by_numbers.sum(0)
        if wants_grid:
            assert given.grid is not None
            found[4] = _by_elements(elements, amounts, given.grid, self._block)
        for place, (values, wants, rows) in enumerate(
            ((given.factor, wants_rays[0], by_factor), (given.weight, wants_rays[1], by_weight)), 5
        ):
            if wants and values is not None:
                every = rows.reshape(samples, sources, pixels).permute(2, 0, 1)
                found[place] = every.sum_to_size(values.shape)
        if wants_start:
            found[7] = by_start
        return found

    def _by_cells(self, grad: Tensor, coefficients: Tensor) -> Tensor:
        given, is_running = self.tensors, self.choices.is_running
        parts = max(1, min(_PARTS, self._blocks))
        by_cells = self.numbers.new_zeros((parts, *given.cells.shape))
        if self._count > 0:
            triton_cells.cell_slopes[(self._counts[0], parts)](
                by_cells,
                coefficients,
                grad,
                self._given,
                self._sizes,
                listed_or_all(self.lit, self.numbers),
                has_coefficients=is_running,
                **self._options,
            )
        return by_cells.sum(0)

    def tangents(self, changes: list[Tensor | None]) -> Tensor:
        """How sums change, (pixels,), where the moving tensors do; None: one that does not."""
        given = self.tensors
        own = Launch(
            self.choices,
            replace(given, factor=self._every(given.factor), weight=self._every(given.weight)),
            self.numbers,
            self.lit,
        )
        # A table changes only where it is said to.
        likes = replace(own.tensors, grid=None).moving
        direction, sources, cells, numbers, grid, factor, weight, start = (
            _along(like, change) for like, change in zip(likes, changes, strict=True)
        )
        nothing = self._or_nothing
        moved = Given(
            direction,
            sources,
            cells,
            nothing(grid),
            numbers,
            nothing(factor),
            nothing(weight),
            nothing(start),
            self.numbers,
        )
        change = self.numbers.new_empty(self._count)
        if self._count > 0:
            triton_tangents.pixel_tangents[(self._blocks,)](
                change,
                own._given,
                moved,
                own._sizes,
                listed_or_all(self.lit, self.numbers),
                moves_table=grid is not None,
                **self._options,
            )
        return change

    def _every(self, values: Tensor | None) -> Tensor | None:
        """The same for each ray."""
        return None if values is None else values.expand(self._shape).contiguous()


def _along(like: Tensor | None, change: Tensor | None) -> Tensor | None:
    """A change of a tensor, contiguous; 0 where there is none."""
    if change is None:
        return None if like is None else torch.zeros_like(like)
    return (change if like is None else change.expand(like.shape)).contiguous()


def extent_of(choices: SumChoices, grid: Tensor | None) -> tuple[int, ...]:
    """Of the table, see `kernels.amplitudes`."""
    return (*choices.hkl_min, *((1, 1, 1) if grid is None else grid.shape))


def listed_or_all(lit: LitSteps | None, nothing: Tensor) -> LitSteps:
    """What a kernel takes; nothing: something to point at where all steps are visited."""
    return LitSteps(nothing, nothing, nothing) if lit is None else lit


def pixels_of_a_program(device: torch.device) -> int:
    """Without lists of steps."""
    return _ON_GPU if device.type == "cuda" else _ON_CPU


def packed_numbers(numbers: Tensor, others: Tensor) -> Tensor:
    """What the kernels read: the numbers of a lattice, the others, the series of its axes."""
    series = slope_coefficients(numbers[:3])
    return torch.cat([numbers, others, series.reshape(-1)])


def joined(dim: int | None, column: tuple[Tensor | None, ...]) -> Tensor | None:
    """What several parts of a work give together; dim: the one that they divide, None: a sum."""
    given = [x for x in column if x is not None]
    if not given:
        return None
    if dim is not None:
        return torch.cat(given, dim)
    total = given[0]
    for other in given[1:]:
        total = total + other
    return total


def _by_elements(elements: Tensor, amounts: Tensor, grid: Tensor, block: int) -> Tensor:
    """What each element of a table was given; elements below 0: none.

    Stably sorted and added up in that order: the same bits whenever it is done again.
    """
    sorted_elements, order = torch.sort(elements, stable=True)
    places = torch.arange(grid.numel() + 1, device=grid.device)
    starts = torch.searchsorted(sorted_elements, places)
    total = amounts.new_empty(grid.numel())
    triton_elements.element_sums[(-(-grid.numel() // block),)](
        total, amounts[order], starts, grid.numel(), block=block, enable_fp_fusion=False
    )
    return total.reshape(grid.shape)
