"""What depends on the order in which a serial program visits the pixels: model 6.4 and 6.5."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.eager.intensities import steps_outside_table, uncut_rays
from nanobragg_hybrid.engines.torch.scenes.pixels import ActivePixels
from nanobragg_hybrid.engines.torch.scenes.scene import Choices, Scene
from nanobragg_hybrid.engines.torch.scenes.tiles import (
    Block,
    SerialOrder,
    Tile,
    Tiling,
    ranges,
    tiles,
)


def serial_order(
    scene: Scene, choices: Choices, active: ActivePixels, tiling: Tiling, device: torch.device
) -> SerialOrder:
    """Finds where something changes, without derivatives."""
    with torch.no_grad():
        run_start = _run_start(scene, choices, active, tiling, device)
        order = SerialOrder(run_start, None)
        off = _interpolation_off(scene, choices, active, tiling, order, device)
        return dataclasses.replace(order, interpolation_off=off)


def _run_start(
    scene: Scene, choices: Choices, active: ActivePixels, tiling: Tiling, device: torch.device
) -> tuple[int, int, int] | None:
    if scene.run_start is None or active.count == 0:
        return None
    if choices.dmin_m <= 0.0:
        return 0, 0, 0
    rays = choices.samples * choices.source_count
    for pixels in ranges(0, active.count, max(1, tiling.tile_steps // rays)):
        slow, fast = active.numbers(pixels.start, pixels.stop, device)
        uncut = uncut_rays(scene, choices, Tile(slow, fast, 0)).flatten()
        if bool(uncut.any()):
            first = int(uncut.to(torch.int8).argmax())
            pixel, ray = divmod(first, rays)
            return pixels.start + pixel, *divmod(ray, choices.source_count)
    return None


def _interpolation_off(
    scene: Scene,
    choices: Choices,
    active: ActivePixels,
    tiling: Tiling,
    order: SerialOrder,
    device: torch.device,
) -> tuple[int, int] | None:
    if not (choices.interpolate and choices.interpolation_switches_off):
        return None
    # Nothing is interpolated while looking, so that the tiles may be large.
    looking = dataclasses.replace(choices, interpolate=False)
    for pixels, tile in tiles(looking, active, tiling, order, device):
        for block in tiling.blocks(looking, interpolating=False):
            is_out = steps_outside_table(scene, looking, tile, block)
            if bool(is_out.any()):
                return _first_step(choices, pixels, block, is_out)
    return None


def _first_step(choices: Choices, pixels: range, block: Block, is_out: Tensor) -> tuple[int, int]:
    """Pixel and step of the first element that is set."""
    rest = int(is_out.flatten().to(torch.int8).argmax())
    rest, orientation = divmod(rest, len(block.orientations))
    rest, source = divmod(rest, len(block.sources))
    pixel, sample = divmod(rest, len(block.samples))
    ray = (block.samples.start + sample) * choices.source_count + block.sources.start + source
    return pixels.start + pixel, ray * choices.orientations + block.orientations.start + orientation
