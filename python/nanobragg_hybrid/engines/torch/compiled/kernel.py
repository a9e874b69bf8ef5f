"""The compiled kernels as a way to render the pieces of an image (see `steps`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor

from nanobragg_hybrid.base.native_scene import LARGEST_INDEX, LARGEST_PHASE_TURNS
from nanobragg_hybrid.engines.torch.compiled.bridge import (
    LARGEST_F,
    CompiledScene,
    KernelChoices,
    kernel_choices,
    refusal,
)
from nanobragg_hybrid.engines.torch.programs.steps import Piece
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS, Packed, Template
from nanobragg_hybrid.engines.torch.scenes.packing import tensors as tensors_of
from nanobragg_hybrid.engines.torch.scenes.pixels import Pixels
from nanobragg_hybrid.engines.torch.scenes.scene import Choices
from nanobragg_hybrid.engines.torch.scenes.tiles import Segment, ranges
from nanobragg_hybrid.engines.torch.values.recorded_setup import SceneTangents

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


@dataclass(slots=True, eq=False)
class _Last:
    """The last tensors that were looked at, as they were, why they are refused, and the scene that
    was made of them for some choices."""

    tensors: tuple[Tensor | None, ...] = ()
    key: tuple[int, ...] | None = None
    reason: str | None = None
    choices: KernelChoices | None = None
    scene: CompiledScene | None = None


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
    _last: _Last = field(default_factory=_Last)

    def refuses(self, packed: Packed) -> str | None:
        """Why values like these are left to the eager kernel; None: they are not."""
        if not self._is_last(packed):
            reason = self._refuses(packed)  # may be an error: then nothing is kept
            last = self._last
            last.tensors, last.key = tuple(tensors_of(packed)), _key_of(packed)
            last.reason, last.scene = reason, None
        return self._last.reason

    def _is_last(self, packed: Packed) -> bool:
        key = _key_of(packed)
        return key is not None and key == self._last.key

    def _refuses(self, packed: Packed) -> str | None:
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
        scene = self._scene(packed, piece.choices)
        return scene.values(piece.slow.numpy(), piece.fast.numpy())

    def gradients(
        self, piece: CompiledPiece, packed: Packed, weight: Tensor, *, want_grid: bool
    ) -> Packed:
        """Derivatives of the sum of weight times values; the grid's are None if not wanted."""
        scene = self._scene(packed, piece.choices)
        by_numbers, by_sources, by_cells, by_grid = scene.gradients(
            piece.slow.numpy(), piece.fast.numpy(), weight, want_grid=want_grid
        )
        start = packed.run_start
        by_start = None if start is None else torch.zeros_like(start)
        return Packed(by_numbers, by_sources, by_cells, by_start, by_grid)

    def tangents(self, piece: CompiledPiece, packed: Packed, change: Packed) -> Tensor:
        """How values change where everything in a scene does; no grid: it does not."""
        scene = self._scene(packed, piece.choices)
        return scene.tangents(piece.slow.numpy(), piece.fast.numpy(), *_arguments(change))

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
        """Made once for values and derivatives of the same tensors."""
        last, is_last = self._last, self._is_last(packed)
        if is_last and last.scene is not None and last.choices == choices:
            return last.scene
        scene = CompiledScene(
            *_arguments(packed), choices, self.choices.dmin_m, self.tolerance_photons
        )
        if is_last:
            last.choices, last.scene = choices, scene
        return scene

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


def _key_of(packed: Packed) -> tuple[int, ...] | None:
    """What tells tensors apart, and changes with them; None: nothing does (inference mode)."""
    tensors = [x for x in tensors_of(packed) if x is not None]
    if any(x.is_inference() for x in tensors):
        return None
    return tuple(number for x in tensors for number in (x.data_ptr(), x._version, *x.stride()))


def _arguments(packed: Packed) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    numbers, sources, cells, _, grid = tensors_of(packed)
    assert numbers is not None
    assert sources is not None
    assert cells is not None
    return numbers, sources, cells, grid
