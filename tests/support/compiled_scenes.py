"""Scenes of the torch engine, rendered eagerly and by the compiled kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.compiled.bridge import CompiledScene, kernel_choices
from nanobragg_hybrid.engines.torch.eager.intensities import block_value
from nanobragg_hybrid.engines.torch.eager.serial import serial_order
from nanobragg_hybrid.engines.torch.scenes.packing import Packed, Template, pack, tensors, unpack
from nanobragg_hybrid.engines.torch.scenes.tiles import Tile, tiles

Tensor = torch.Tensor
NAMES = ("numbers", "sources", "cells", "run_start", "grid")


@dataclass(frozen=True)
class Part:
    """Pixels that are treated alike, of one model."""

    model: ForwardModel
    packed: Packed
    template: Template
    tile: Tile

    @property
    def compiled(self) -> CompiledScene:
        choices = self.model.setup.choices
        packed = self.packed
        return CompiledScene(
            packed.numbers,
            packed.sources,
            packed.cells,
            packed.grid,
            kernel_choices(choices, self.template, interpolate=self.tile.interpolated_steps > 0),
            choices.dmin_m,
        )

    def gradients(self, *, want_grid: bool = True) -> Packed:
        """Those of the compiled kernels, of the weighted sum."""
        found = self.compiled.gradients(*self.pixels, self.weight, want_grid=want_grid)
        numbers, sources, cells, grid = found
        start = self.packed.run_start
        return Packed(
            numbers, sources, cells, None if start is None else torch.zeros_like(start), grid
        )

    def tangents(self, along: Packed) -> Tensor:
        """Those of the compiled kernels."""
        return self.compiled.tangents(
            *self.pixels, along.numbers, along.sources, along.cells, along.grid
        )

    @property
    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """Slow and fast numbers as the kernels take them."""
        slow, fast = (x[:, 0].numpy().astype(np.int32) for x in (self.tile.slow, self.tile.fast))
        return slow, fast

    @property
    def weight(self) -> Tensor:
        """Of each pixel, without a pattern."""
        generator = torch.Generator().manual_seed(1)
        count = len(self.tile.slow)
        return 0.5 + torch.rand(count, dtype=torch.float64, generator=generator)

    def eager(self) -> tuple[Tensor, Packed]:
        """Values, and derivatives of the weighted sum by everything that is packed."""
        leaves = [
            None if x is None else x.detach().clone().requires_grad_() for x in tensors(self.packed)
        ]
        every_number = Template(
            tuple(None for _ in self.template.constants),
            self.template.has_weights,
            self.template.hkl_min,
        )
        scene = unpack(Packed(*leaves), every_number)
        choices, tile = self.model.setup.choices, self.tile
        values = self.model.tiling.total(
            choices,
            tile,
            lambda block: block_value(scene, choices, tile, block, torch.float64),
        )
        given = [x for x in leaves if x is not None]
        found = iter(torch.autograd.grad((values * self.weight).sum(), given, allow_unused=True))
        by = [
            None if x is None else (torch.zeros_like(x) if g is None else g)
            for x, g in ((x, None if x is None else next(found)) for x in leaves)
        ]
        return values.detach(), Packed(*by)


def parts_of(
    experiment: nb.Experiment, factors: nb.StructureFactors, quirks: nb.Quirks
) -> Iterator[Part]:
    """The tiles of a model that the compiled kernels render."""
    model = ForwardModel(experiment, factors, quirks)
    choices, cpu = model.setup.choices, torch.device("cpu")
    with torch.no_grad():
        scene = model.scene({})
    packed, template = pack(scene)
    order = serial_order(scene, choices, model.active_pixels, model.tiling, cpu)
    for _, tile in tiles(choices, model.active_pixels, model.tiling, order, cpu):
        if tile.run_start is None and tile.interpolated_steps in (0, choices.steps_per_pixel):
            yield Part(model, packed, template, tile)


def relative_error(one: Tensor, other: Tensor) -> float:
    """Of the first from the second, in the norm of all."""
    size = float(other.norm())
    difference = float((one - other).norm())
    return difference / size if size > 0.0 else difference
