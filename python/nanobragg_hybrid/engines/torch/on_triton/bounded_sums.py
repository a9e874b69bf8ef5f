"""Sums over steps with bounds, by Triton's kernel of `kernels.bounds`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.scalars import as_float
from nanobragg_hybrid.engines.torch.arithmetic.vectors import Vector, as_tensor
from nanobragg_hybrid.engines.torch.scenes.scene import Choices, Scene
from nanobragg_hybrid.model.conventions import Shape


class Rays(NamedTuple):
    """Samples and sources, the ends not included."""

    first_sample: int
    sample_end: int
    first_source: int
    source_end: int


@dataclass(frozen=True, slots=True, eq=False)
class SumNumbers:
    """What belongs to all rays, float64, on one device.

    sources: incident directions and wavelengths, (4, sources).  cells: (orientations, 9), m.
    numbers: N_a, N_b, N_c, fudge factor, a*, b*, c*, default_F, the water's size, the resolution
    limit in m, (16,).  grid, hkl_min: the table, or None.  factor, weight: of rays, broadcast to
    (pixels, samples, sources), or None; with a weight the sum is multiplied by it after every step.
    domain_weights: (domains,), or None.
    """

    shape: Shape
    domains: int
    sources: Tensor
    cells: Tensor
    numbers: Tensor
    grid: Tensor | None
    hkl_min: tuple[int, int, int]
    factor: Tensor | None
    weight: Tensor | None
    domain_weights: Tensor | None
    has_limit: bool

    @classmethod
    def of(
        cls, scene: Scene, choices: Choices, factor: Tensor | None, weight: Tensor | None
    ) -> SumNumbers:
        """Those of a scene; factor, weight: with the dimensions of `of_rays`."""
        wavelength = scene.sources.wavelength
        incident = [as_tensor(x) for x in scene.sources.incident]
        cells = scene.cells
        lattice = [
            *(max(as_float(n), 1.0) for n in scene.n_cells),
            as_float(scene.fudge),
            *(as_float(x) for star in (scene.a_star, scene.b_star, scene.c_star) for x in star),
        ]
        others = [as_float(scene.default_f), as_float(scene.water_m), choices.dmin_m]
        weights, table = choices.domain_weights, scene.table

        def on_device(values: list[float] | tuple[float, ...]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64, device=wavelength.device)

        return cls(
            shape=choices.shape,
            domains=choices.domains,
            sources=torch.stack([*incident, wavelength]),
            cells=torch.stack(
                [as_tensor(x) for vector in (cells.a, cells.b, cells.c) for x in vector], dim=-1
            ),
            numbers=on_device([*lattice, *others]),
            grid=None if table is None else table.grid.contiguous(),
            hkl_min=(0, 0, 0) if table is None else table.hkl_min,
            factor=factor,
            weight=weight,
            domain_weights=None if weights is None else on_device(weights),
            has_limit=choices.dmin_m > 0.0,
        )


def add_bounded_sums(
    given: SumNumbers, rays: Rays, direction: Vector, total: Tensor, slack: Tensor
) -> None:
    """Goes on with total and slack, float64, shape (pixels,), in place.

    direction: from the crystal to the samples, components (pixels, samples).
    """
    from nanobragg_hybrid.engines.torch.on_triton.kernels.bounds import bounded_sums
    from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import Given, Sizes, disguised
    from nanobragg_hybrid.engines.torch.on_triton.sum_launches import pixels_of_a_program

    directions = torch.stack([as_tensor(x) for x in direction]).contiguous()
    _, pixels, samples = directions.shape
    shape = (pixels, samples, given.sources.shape[1])
    if pixels == 0:
        return
    block = pixels_of_a_program(total.device)
    arrays = Given(
        directions,
        given.sources,
        given.cells,
        _or(given.grid, total),
        given.numbers,
        _or(given.factor, total),
        _or(given.weight, total),
        total,
        _or(given.domain_weights, total),
    )
    sizes = Sizes(
        disguised(shape),
        disguised((given.cells.shape[0], given.domains)),
        disguised((*given.hkl_min, *((1, 1, 1) if given.grid is None else given.grid.shape))),
        disguised(_strides(given.factor, shape)),
        disguised(_strides(given.weight, shape)),
    )
    bounded_sums[(-(-pixels // block),)](
        total,
        slack,
        arrays,
        sizes,
        disguised(rays),
        block=block,
        profile=given.shape,
        has_table=given.grid is not None,
        has_limit=given.has_limit,
        has_factor=given.factor is not None,
        is_running=given.weight is not None,
        is_weighted=given.domain_weights is not None,
        # Roundings are those that the model's formulas have.
        enable_fp_fusion=False,
    )


def of_rays(values: Tensor | None) -> Tensor | None:
    """With the three dimensions of rays: pixels, samples, sources."""
    if values is None:
        return None
    return values.reshape((1,) * (3 - values.dim()) + values.shape)


def _or(values: Tensor | None, anything: Tensor) -> Tensor:
    """Something to point at where there is nothing."""
    return anything if values is None else values


def _strides(values: Tensor | None, shape: tuple[int, int, int]) -> tuple[int, ...]:
    return (0, 0, 0) if values is None else values.expand(shape).stride()
