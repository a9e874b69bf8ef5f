"""The compiled kernels as operators of torch: pixels of a scene, their gradient and their tangent.

They are for graphs of torch's operators. They have no derivatives of their own: a `ForwardModel` is
a step of autograd that has them, and keeps the scene between values and derivatives.
Arguments: numbers, sources, cells, grid as in `Packed`; slow, fast: int32, (pixels,); choices: a
`KernelChoices`; tolerance_photons: see `CompiledScene`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.compiled.bridge import CompiledScene, KernelChoices

NAMESPACE: Final = "nanobragg_hybrid"
_NO_GRID: Final = (0, 0, 0)
_SLOW_OF_TANGENTS: Final = 7
"""Its place among the arguments of `pixel_tangents` behind the first."""


@torch.library.custom_op(f"{NAMESPACE}::pixel_values", mutates_args=(), device_types="cpu")
def pixel_values(
    numbers: Tensor,
    sources: Tensor,
    cells: Tensor,
    grid: Tensor | None,
    slow: Tensor,
    fast: Tensor,
    choices: Sequence[int],
    dmin_m: float,
    tolerance_photons: float = 0.0,
) -> Tensor:
    """Photons, float64, shape (pixels,), or with several crystals (crystals, pixels)."""
    scene = CompiledScene(
        numbers, sources, cells, grid, KernelChoices(*choices), dmin_m, tolerance_photons
    )
    return scene.values(slow.numpy(), fast.numpy())


@torch.library.custom_op(f"{NAMESPACE}::pixel_gradients", mutates_args=(), device_types="cpu")
def pixel_gradients(
    weight: Tensor,
    numbers: Tensor,
    sources: Tensor,
    cells: Tensor,
    grid: Tensor | None,
    slow: Tensor,
    fast: Tensor,
    choices: Sequence[int],
    dmin_m: float,
    want_grid: bool,
    tolerance_photons: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Derivatives of the sum of weight times values by numbers, sources, cells and grid; the last
    are empty if they are not wanted."""
    scene = CompiledScene(
        numbers, sources, cells, grid, KernelChoices(*choices), dmin_m, tolerance_photons
    )
    *found, by_grid = scene.gradients(slow.numpy(), fast.numpy(), weight, want_grid=want_grid)
    by_numbers, by_sources, by_cells = found
    return (
        by_numbers,
        by_sources,
        by_cells,
        numbers.new_empty(_NO_GRID) if by_grid is None else by_grid,
    )


@torch.library.custom_op(f"{NAMESPACE}::pixel_tangents", mutates_args=(), device_types="cpu")
def pixel_tangents(
    numbers: Tensor,
    sources: Tensor,
    cells: Tensor,
    grid: Tensor | None,
    numbers_change: Tensor,
    sources_change: Tensor,
    cells_change: Tensor,
    grid_change: Tensor | None,
    slow: Tensor,
    fast: Tensor,
    choices: Sequence[int],
    dmin_m: float,
    tolerance_photons: float = 0.0,
) -> Tensor:
    """How values change, shape (pixels,), where all of these do."""
    scene = CompiledScene(
        numbers, sources, cells, grid, KernelChoices(*choices), dmin_m, tolerance_photons
    )
    change = (numbers_change, sources_change, cells_change, grid_change)
    return scene.tangents(slow.numpy(), fast.numpy(), *change)


@pixel_values.register_fake
def _(
    numbers: Tensor, sources: Tensor, cells: Tensor, grid: Tensor | None, slow: Tensor, *_: object
) -> Tensor:
    del sources, cells, grid
    return numbers.new_empty((*numbers.shape[:-1], *slow.shape))


@pixel_gradients.register_fake
def _(
    weight: Tensor,
    numbers: Tensor,
    sources: Tensor,
    cells: Tensor,
    grid: Tensor | None,
    slow: Tensor,
    fast: Tensor,
    choices: Sequence[int],
    dmin_m: float,
    want_grid: bool,
    *_: object,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    del weight, slow, fast, choices, dmin_m
    by_grid = numbers.new_empty(_NO_GRID if grid is None or not want_grid else grid.shape)
    by_others = [x.new_empty(x.shape) for x in (numbers, sources, cells)]
    return by_others[0], by_others[1], by_others[2], by_grid


@pixel_tangents.register_fake
def _(numbers: Tensor, *rest: Any) -> Tensor:
    slow = rest[_SLOW_OF_TANGENTS]
    return numbers.new_empty(slow.shape)
