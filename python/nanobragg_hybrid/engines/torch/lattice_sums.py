"""The innermost sums of pixels by Triton's kernels, as one step of autograd (model 6.3 to 6.8).

From directions, sources, cells, structure factors and what each ray is multiplied with to a sum
for each pixel.  `kernel.py` is the definition.  First derivatives, and those of first derivatives
by their weights, which forward mode needs; second ones are left to the eager kernel.

Nothing here looks at a value: on a GPU there is no synchronisation and no transfer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import UnsupportedError
from nanobragg_hybrid.engines.torch import triton_slopes, triton_sums
from nanobragg_hybrid.engines.torch.interference import slope_coefficients
from nanobragg_hybrid.engines.torch.packing import NUMBERS
from nanobragg_hybrid.engines.torch.scalars import applied
from nanobragg_hybrid.engines.torch.tiles import ranges
from nanobragg_hybrid.model.conventions import Shape

SECOND_DERIVATIVES: Final = (
    "Triton's kernels have first derivatives; the eager kernel has second ones"
)

LATTICE_NUMBERS: Final = tuple(
    NUMBERS.index(name)
    for name in (
        *(f"n_cells.{axis}" for axis in range(3)),
        "fudge",
        *(f"{star}.{axis}" for star in ("a_star", "b_star", "c_star") for axis in range(3)),
        "default_f",
    )
)
"""Of `packing.NUMBERS`: what the kernels take of a lattice, in their order."""

_ON_CPU: Final = 1024
_ON_GPU: Final = 128
"""Pixels of a program.  The interpreter's time is that of its calls, whatever their length."""

_PARTS: Final = 64
"""At most so many programs share the pixels of an orientation."""
_HELD_STEPS: Final = 2**21
"""At most so many steps leave something behind at a time, for derivatives that need it."""
_NODES: Final = 64


@dataclass(frozen=True, slots=True)
class SumChoices:
    """Everything discrete about sums.

    shape: of the crystal.  single: float32 for what is no phase.  interpolation: "nearest",
    "tricubic" or "inside", see `triton_steps`.  hkl_min: the first reflection of the table.
    domains: of the crystal.  has_limit: whether rays may be cut.  is_running: whether sums are
    multiplied by weights of rays.
    """

    shape: Shape
    single: bool
    interpolation: str
    hkl_min: tuple[int, int, int]
    domains: int
    has_limit: bool
    is_running: bool


@dataclass(frozen=True, slots=True)
class SumTensors:
    """float64, on one device.

    direction: from the crystal to the samples of pixels, unit vectors, (3, pixels, samples).
    sources: incident directions and wavelengths in m, (4, sources).  cells: (orientations, 9), m.
    numbers: those of `LATTICE_NUMBERS`, (14,).  grid: the table, or None.  factor: of each ray,
    None or broadcast to (pixels, samples, sources); weight: the same, and start, (pixels,), of a
    running product.  domain_weights: None, or (domains,).  others: numbers without derivatives,
    (2,): the size of the water, the resolution limit in m.
    """

    direction: Tensor
    sources: Tensor
    cells: Tensor
    numbers: Tensor
    grid: Tensor | None
    factor: Tensor | None
    weight: Tensor | None
    start: Tensor | None
    domain_weights: Tensor | None
    others: Tensor


def lattice_sums(choices: SumChoices, tensors: SumTensors) -> Tensor:
    """The sums, (pixels,), differentiable in all but the last two of the tensors."""
    given = tensors
    total: Tensor = applied(
        _Sums,
        choices,
        given.domain_weights,
        given.others,
        given.direction,
        given.sources,
        given.cells,
        given.numbers,
        given.grid,
        given.factor,
        given.weight,
        given.start,
    )
    return total


class _Sums(torch.autograd.Function):
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
        return _Launch.of(choices, domain_weights, others, moving).totals()[0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wanted = tuple(ctx.needs_input_grad[3:])
        found = applied(_Slopes, ctx.choices, wanted, grads[0], *ctx.saved_tensors)
        given = iter(found)
        return None, None, None, *(next(given) if w else None for w in wanted)


class _Slopes(torch.autograd.Function):
    """Derivatives of weighted sums.  They are linear in the weights, and have derivatives by
    these alone."""

    @staticmethod
    def forward(
        ctx: Any,
        choices: SumChoices,
        wanted: tuple[bool, ...],
        grad: Tensor,
        domain_weights: Tensor | None,
        others: Tensor,
        *moving: Tensor | None,
    ) -> tuple[Tensor, ...]:
        ctx.choices, ctx.wanted = choices, wanted
        ctx.save_for_backward(domain_weights, others, *moving)
        found = _Launch.of(choices, domain_weights, others, moving).slopes(grad, wanted)
        return tuple(x for x in found if x is not None)

    @staticmethod
    def backward(ctx: Any, *changes: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_second_derivatives(ctx)
        domain_weights, others, *moving = ctx.saved_tensors
        given = iter(changes)
        every = [next(given) if w else None for w in ctx.wanted]
        launch = _Launch.of(ctx.choices, domain_weights, others, tuple(moving))
        by_grad = launch.tangents(every)
        return None, None, by_grad, *(None for _ in ctx.saved_tensors)


def _refuse_second_derivatives(ctx: Any) -> None:
    """An error, no zero, where autograd wants anything but derivatives by the weights."""
    nodes = ctx.next_functions[1:]  # behind the weights
    for node, _ in nodes:
        if node is not None and _is_needed(node):
            raise UnsupportedError(SECOND_DERIVATIVES)


def _is_needed(node: Any) -> bool:
    try:
        return bool(torch._C._will_engine_execute_node(node))
    except RuntimeError:  # a leaf that autograd.grad was asked for
        return True


@dataclass(frozen=True, slots=True, eq=False)
class _Launch:
    """The arguments of kernels, contiguous."""

    choices: SumChoices
    tensors: SumTensors
    numbers: Tensor

    @classmethod
    def of(
        cls,
        choices: SumChoices,
        domain_weights: Tensor | None,
        others: Tensor,
        moving: tuple[Tensor | None, ...],
    ) -> _Launch:
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
        return cls(choices, tensors, packed_numbers(numbers, others))

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
    def _extent(self) -> tuple[int, ...]:
        grid = self.tensors.grid
        return (*self.choices.hkl_min, *((1, 1, 1) if grid is None else grid.shape))

    @property
    def _block(self) -> int:
        return _ON_GPU if self.numbers.device.type == "cuda" else _ON_CPU

    @property
    def _blocks(self) -> int:
        return -(-self._count // self._block)

    def _strides(self, values: Tensor | None) -> tuple[int, ...]:
        return (0, 0, 0) if values is None else values.expand(self._shape).stride()

    def _or_nothing(self, values: Tensor | None) -> Tensor:
        """Something to point at where there is nothing."""
        return self.numbers if values is None else values

    @property
    def _options(self) -> dict[str, Any]:
        """Constants of all kernels of steps."""
        choices, tensors = self.choices, self.tensors
        return {
            "block": self._block,
            "profile": choices.shape,
            "single": choices.single,
            "has_table": tensors.grid is not None,
            "interpolation": choices.interpolation,
            "has_limit": choices.has_limit,
            "has_factor": tensors.factor is not None,
            "is_weighted": tensors.domain_weights is not None,
            # Roundings are those that the model's formulas have.
            "enable_fp_fusion": False,
        }

    def totals(self, *, wants_states: bool = False) -> tuple[Tensor, Tensor]:
        """Sums of pixels, and what they were before each ray, (rays, pixels), if wanted."""
        given, new = self.tensors, self.numbers.new_empty
        total = new(self._count)
        pixels, samples, sources = self._shape
        states = new((samples * sources if wants_states else 0, pixels))
        if pixels > 0:
            triton_sums.pixel_sums[(self._blocks,)](
                total,
                states,
                given.direction,
                given.sources,
                given.cells,
                self._or_nothing(given.grid),
                self.numbers,
                self._or_nothing(given.factor),
                self._or_nothing(given.weight),
                self._or_nothing(given.start),
                self._or_nothing(given.domain_weights),
                self._shape,
                self._counts,
                self._extent,
                self._strides(given.factor),
                self._strides(given.weight),
                is_running=self.choices.is_running,
                wants_states=wants_states,
                **self._options,
            )
        return total, states

    def slopes(self, grad: Tensor, wanted: tuple[bool, ...]) -> list[Tensor | None]:
        """Derivatives of the sum of grad times sums by what is wanted of the moving tensors."""
        _, _, wants_cells, _, wants_grid, _, _, _ = wanted
        orientations = self._counts[0]
        holds = wants_grid or (wants_cells and self.choices.is_running)
        pixels, samples, sources = self._shape
        steps = samples * sources * orientations
        if wants_grid and self.choices.interpolation != "nearest":
            steps *= _NODES
        most = max(self._block, _HELD_STEPS // steps) if holds else max(pixels, 1)
        parts = [
            self._part(slice(own.start, own.stop))._slopes(grad[own.start : own.stop], wanted)
            for own in ranges(0, pixels, most)
        ] or [self._slopes(grad, wanted)]
        if len(parts) == 1:
            return parts[0]
        columns = list(zip(*parts, strict=True))
        return [_joined(self._dim_of(place), column) for place, column in enumerate(columns)]

    def _dim_of(self, place: int) -> int | None:
        """Along which dimension of a moving tensor the pixels lie."""
        tensors = self.tensors
        of_rays = {5: tensors.factor, 6: tensors.weight}
        if place in of_rays:
            values = of_rays[place]
            return 0 if values is not None and values.shape[0] == self._count > 1 else None
        return {0: 1, 7: 0}.get(place)

    def _part(self, pixels: slice) -> _Launch:
        """The same for some of the pixels."""
        given = self.tensors

        def own(values: Tensor | None) -> Tensor | None:
            if values is None or values.shape[0] == 1:
                return values
            return values[pixels]

        part = SumTensors(
            given.direction[:, pixels].contiguous(),
            given.sources,
            given.cells,
            given.numbers,
            given.grid,
            own(given.factor),
            own(given.weight),
            own(given.start),
            given.domain_weights,
            given.others,
        )
        return _Launch(self.choices, part, self.numbers)

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
        elements = torch.empty(held, dtype=torch.int64, device=grad.device)
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
                given.direction,
                given.sources,
                given.cells,
                self._or_nothing(given.grid),
                self.numbers,
                self._or_nothing(given.factor),
                self._or_nothing(given.weight),
                self._or_nothing(given.domain_weights),
                self._shape,
                self._counts,
                self._extent,
                self._strides(given.factor),
                self._strides(given.weight),
                is_running=is_running,
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
            triton_slopes.cell_slopes[(self._counts[0], parts)](
                by_cells,
                coefficients,
                grad,
                given.direction,
                given.sources,
                given.cells,
                self._or_nothing(given.grid),
                self.numbers,
                self._or_nothing(given.factor),
                self._or_nothing(given.domain_weights),
                self._shape,
                self._counts,
                self._extent,
                self._strides(given.factor),
                has_coefficients=is_running,
                **self._options,
            )
        return by_cells.sum(0)

    def tangents(self, changes: list[Tensor | None]) -> Tensor:
        """How sums change, (pixels,), where the moving tensors do; None: one that does not."""
        given = self.tensors
        every = (
            given.direction,
            given.sources,
            given.cells,
            given.numbers,
            None,
            None if given.factor is None else given.factor.expand(self._shape),
            None if given.weight is None else given.weight.expand(self._shape),
            given.start,
        )
        along: list[Tensor | None] = []
        for like, change in zip(every, changes, strict=True):
            if change is None:
                along.append(None if like is None else torch.zeros_like(like))
            else:
                along.append(change if like is None else change.expand(like.shape))
        direction, sources, cells, numbers, grid, factor, weight, start = (
            None if x is None else x.contiguous() for x in along
        )
        change = self.numbers.new_empty(self._count)
        if self._count > 0:
            triton_slopes.pixel_tangents[(self._blocks,)](
                change,
                given.direction,
                given.sources,
                given.cells,
                self._or_nothing(given.grid),
                self.numbers,
                self._or_nothing(every[5]).contiguous(),
                self._or_nothing(every[6]).contiguous(),
                self._or_nothing(given.start),
                direction,
                sources,
                cells,
                self._or_nothing(grid),
                numbers,
                self._or_nothing(factor),
                self._or_nothing(weight),
                self._or_nothing(start),
                self._or_nothing(given.domain_weights),
                self._shape,
                self._counts,
                self._extent,
                self._row_strides(factor),
                self._row_strides(weight),
                is_running=self.choices.is_running,
                moves_table=grid is not None,
                **self._options,
            )
        return change

    def _row_strides(self, values: Tensor | None) -> tuple[int, ...]:
        """Of values that were made contiguous."""
        return (0, 0, 0) if values is None else values.stride()


def packed_numbers(numbers: Tensor, others: Tensor) -> Tensor:
    """What the kernels read: the numbers of a lattice, the others, the series of its axes."""
    series = slope_coefficients(numbers[:3])
    return torch.cat([numbers, others, series.reshape(-1)])


def _joined(dim: int | None, column: tuple[Tensor | None, ...]) -> Tensor | None:
    """What several parts of the pixels give together; dim: that of the pixels, None: a sum."""
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
    triton_slopes.element_sums[(-(-grid.numel() // block),)](
        total, amounts[order], starts, grid.numel(), block=block, enable_fp_fusion=False
    )
    return total.reshape(grid.shape)
