"""The compiled kernels as a way to render the pieces of an image (see `steps`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from nanobragg_hybrid.base.native_scene import LARGEST_INDEX, LARGEST_PHASE_TURNS
from nanobragg_hybrid.engines.torch.compiled import (
    LARGEST_F,
    CompiledScene,
    KernelChoices,
    kernel_choices,
    refusal,
)
from nanobragg_hybrid.engines.torch.operators import (
    pixel_gradients,
    pixel_tangents,
    pixel_values,
)
from nanobragg_hybrid.engines.torch.packing import NUMBERS, Packed, Template
from nanobragg_hybrid.engines.torch.packing import tensors as tensors_of
from nanobragg_hybrid.engines.torch.pixels import Pixels
from nanobragg_hybrid.engines.torch.recorded_setup import SceneTangents
from nanobragg_hybrid.engines.torch.scene import Choices
from nanobragg_hybrid.engines.torch.steps import Piece
from nanobragg_hybrid.engines.torch.tiles import Segment, ranges

_PIXELS: Final = 2**18
"""Of a piece: their numbers and values take 4 MB, and progress is reported after each."""

_N_CELLS: Final = [NUMBERS.index(f"n_cells.{axis}") for axis in range(3)]


@dataclass(frozen=True, slots=True)
class CompiledPiece(Piece):
    """Pixels that are treated alike; slow, fast: int32, shape (pixels,)."""

    slow: Tensor
    fast: Tensor
    choices: KernelChoices


@dataclass(slots=True, eq=False)
class SeenTable:
    """A table that was looked at, as it was, and whether its squares are doubles."""

    grid: Tensor | None = None
    version: int = -1
    is_ordinary: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class CompiledKernel:
    """Pixels by the compiled kernels, float64, on the CPU.

    dtype: of what is neither phase nor sum.  tolerance_photons: what steps that are left out may
    add to a pixel, 0 if none are.  seen: the last table that was looked at.  Values agree
    with the eager kernel's to rounding; there are first derivatives.
    """

    choices: Choices
    template: Template
    dtype: torch.dtype
    seen: SeenTable
    tolerance_photons: float = 0.0

    def refuses(self, packed: Packed) -> str | None:
        """Why values like these are left to the eager kernel; None: they are not."""
        numbers = packed.numbers.detach()
        reason = refusal(numbers.numpy(), packed.sources.detach().numpy())
        if reason is not None:
            return reason
        if not self._is_ordinary(packed.grid):
            return "a structure factor, or its square, is too large for a double"
        if not _phases_are_small(packed, numbers[_N_CELLS].clamp(min=1.0)):
            return "Miller indices, or their products with numbers of cells, are too large"
        return None

    def covers(self, segment: Segment) -> bool:
        """Whether all steps of these pixels are alike."""
        steps = segment.interpolated_steps
        return segment.run_start is None and steps in (0, self.choices.steps_per_pixel)

    def pieces(self, pixels: Pixels, segment: Segment) -> Iterator[CompiledPiece]:
        """How the pixels of a segment are cut."""
        choices = kernel_choices(
            self.choices,
            self.template,
            interpolate=segment.interpolated_steps > 0,
            dtype=self.dtype,
        )
        for own in ranges(segment.pixels.start, segment.pixels.stop, _PIXELS):
            slow, fast = pixels.whole_numbers(own.start, own.stop)
            yield CompiledPiece(slice(own.start, own.stop), slow, fast, choices)

    def values(self, piece: CompiledPiece, packed: Packed) -> Tensor:
        """The values of a piece's pixels before rounding, float64, shape (pixels,)."""
        values: Tensor = pixel_values(
            *_arguments(packed), *self._where(piece), self.tolerance_photons
        )
        return values

    def gradients(
        self, piece: CompiledPiece, packed: Packed, weight: Tensor, *, want_grid: bool
    ) -> Packed:
        """Derivatives of the sum of weight times values; the grid's are None if not wanted."""
        by_numbers, by_sources, by_cells, by_grid = pixel_gradients(
            weight.contiguous(),
            *_arguments(packed),
            *self._where(piece),
            want_grid,
            self.tolerance_photons,
        )
        start = packed.run_start
        return Packed(
            by_numbers,
            by_sources,
            by_cells,
            None if start is None else torch.zeros_like(start),
            by_grid if want_grid and packed.grid is not None else None,
        )

    def tangents(self, piece: CompiledPiece, packed: Packed, change: Packed) -> Tensor:
        """How values change where everything in a scene does; no grid: it does not."""
        arguments = (*_arguments(packed), *_arguments(change))
        tangents: Tensor = pixel_tangents(*arguments, *self._where(piece), self.tolerance_photons)
        return tangents

    def jacobian(
        self, piece: CompiledPiece, packed: Packed, tangents: SceneTangents
    ) -> tuple[Tensor, Tensor]:
        """Values, (pixels,), and their derivatives by P numbers, (pixels, P)."""
        scene = self._scene(packed, piece.choices)
        values, rows = scene.jacobian(
            piece.slow.numpy(),
            piece.fast.numpy(),
            numbers=tangents.numbers,
            sources=tangents.sources,
            rotations=tangents.rotations.reshape(-1, 9),
            reference_cell=tangents.reference_cell_tangents,
            turning=[(each.number, each.cells) for each in tangents.turning],
        )
        return values, rows.T

    def culling(self, packed: Packed) -> int:
        """Why every step of such a scene is visited (`nbh_culling_reason`); 0: it is not."""
        interpolate = self.choices.interpolate
        choices = kernel_choices(
            self.choices, self.template, interpolate=interpolate, dtype=self.dtype
        )
        return self._scene(packed, choices).culling

    def _scene(self, packed: Packed, choices: KernelChoices) -> CompiledScene:
        return CompiledScene(
            *_arguments(packed), choices, self.choices.dmin_m, self.tolerance_photons
        )

    def _where(self, piece: CompiledPiece) -> tuple[Tensor, Tensor, Sequence[int], float]:
        return piece.slow, piece.fast, list(piece.choices), self.choices.dmin_m

    def _is_ordinary(self, grid: Tensor | None) -> bool:
        """Looked at once for the same table: it may be larger than a small image."""
        if grid is None:
            return True
        grid = grid.detach()
        if grid.is_inference():  # nothing counts its versions
            return _all_ordinary(grid)
        seen = self.seen
        if (
            seen.grid is None
            or seen.grid.data_ptr() != grid.data_ptr()
            or seen.grid.stride() != grid.stride()
            or seen.version != grid._version
        ):
            seen.is_ordinary = _all_ordinary(grid)
            # With the table, so that its address does not come again.
            seen.grid, seen.version = grid, grid._version
        return seen.is_ordinary


def _all_ordinary(grid: Tensor) -> bool:
    low, high = grid.aminmax()  # without a copy
    return -LARGEST_F <= float(low) <= float(high) <= LARGEST_F


def _phases_are_small(packed: Packed, n_cells: Tensor) -> bool:
    """|h| <= |a| |q|, and |q| <= (1 + |incident|) / wavelength."""
    sources = packed.sources.detach().numpy()
    lengths = np.sqrt((sources[:3] * sources[:3]).sum(axis=0))
    cells = packed.cells.detach().numpy().reshape(-1, 3, 3)
    with np.errstate(all="ignore"):
        longest_q = ((1.0 + 1e-9 + lengths) / np.abs(sources[3])).max()
        longest = np.sqrt((cells * cells).sum(axis=2).max(axis=0)) * longest_q
        turns = longest * n_cells.numpy()
    return bool((longest < LARGEST_INDEX).all() and (turns < LARGEST_PHASE_TURNS).all())


def _arguments(packed: Packed) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    numbers, sources, cells, _, grid = tensors_of(packed)
    assert numbers is not None
    assert sources is not None
    assert cells is not None
    return numbers, sources, cells, grid
