"""What a model has before it renders, where it renders."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.scenes.packing import Packed, Template
from nanobragg_hybrid.engines.torch.scenes.pixels import ActivePixels, active_pixels
from nanobragg_hybrid.engines.torch.scenes.scene import Choices
from nanobragg_hybrid.engines.torch.scenes.transfers import moved
from nanobragg_hybrid.engines.torch.set_up.setup import Setup
from nanobragg_hybrid.engines.torch.set_up.tables import Tables, tables_of
from nanobragg_hybrid.engines.torch.values.packed_scene import packed_scene


@dataclass(frozen=True, slots=True)
class PlacedSetUp:
    """On a device: the arrays of a set-up, its pixels, its scene, `kernel_constants`."""

    tables: Tables
    active: ActivePixels
    scene: tuple[Packed, Template]
    constants: Tensor


def placed_set_up(setup: Setup, device: torch.device) -> PlacedSetUp:
    """Everything is made on the CPU, and goes to another device in one transfer."""
    tables = tables_of(setup)
    packed, template = packed_scene(setup, tables, {}, ())
    active = active_pixels(setup.experiment, setup.roi, torch.device("cpu"))
    given = tables, active, packed, kernel_constants(setup.choices)
    there, active, packed, constants = moved(given, device)
    if there is not tables:
        there = dataclasses.replace(there, host=tables)
    return PlacedSetUp(there, active, (packed, template), constants)


def kernel_constants(choices: Choices) -> Tensor:
    """What kernels read of a scene besides its tensors, float64: the resolution limit in m, and the
    weights of the domains if they differ."""
    return torch.tensor([choices.dmin_m, *(choices.domain_weights or ())], dtype=torch.float64)
