"""Pixels proven to round as the exact C kernel's do: docs/accuracy.md, "Bytes from a GPU".

The scene has the definition's own numbers wherever they reach a phase, the device sums the steps
and says how far each pixel may be off, and what could round to two floats is left to the
definition.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.base.arrays import as_ndarray
from nanobragg_hybrid.engines.torch.arithmetic.derivatives import LengthAndDirection
from nanobragg_hybrid.engines.torch.arithmetic.scalars import applied, as_float
from nanobragg_hybrid.engines.torch.arithmetic.shapes import is_all_or_nothing
from nanobragg_hybrid.engines.torch.arithmetic.vectors import (
    Vector,
    as_tensor,
    cross,
    dot,
    mag,
    unit,
)
from nanobragg_hybrid.engines.torch.eager.factors import (
    background,
    captured,
    layer_capture,
    pixel_factors,
    ray_factor,
    ray_polarization,
    solid_angle,
    step_weight,
    water,
)
from nanobragg_hybrid.engines.torch.eager.rays import Beams, beams_to, rays_of
from nanobragg_hybrid.engines.torch.model import ForwardModel
from nanobragg_hybrid.engines.torch.on_triton.bounded_sums import (
    Rays,
    SumNumbers,
    add_bounded_sums,
    of_rays,
)
from nanobragg_hybrid.engines.torch.report import plan_of
from nanobragg_hybrid.engines.torch.scenes.scene import Cells, Choices, Scene, Sources
from nanobragg_hybrid.engines.torch.scenes.tiles import Block, Tile, ranges
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan

if TYPE_CHECKING:
    from nanobragg_hybrid.engines.protocol import Definition, ProgressCallback

RELATIVE_ERROR: Final = 1e-11
"""Of a term and of every factor of a pixel, together."""
ROUNDING: Final = 5e-16
"""Of the addition of one step, in both kernels."""
UNDERFLOW: Final = 1e-180
"""What a step loses where its products are too small for a double, before strength and factors."""
SMALLEST: Final = 1e-60
"""Photons: what a pixel loses in the same way."""

_RAYS: Final = 2**22
_LARGEST_CRYSTAL: Final = 1e30
_LARGEST_FACTOR: Final = 1e10
_LARGEST_PIXEL: Final = 1e38
_LARGEST_SUM: Final = 1e250
_MOST_RUNNING_STEPS: Final = 10**8
_LEAST_CAPTURE: Final = 2.0**-10
_LEAST_SINE: Final = 0.25
_LIMIT_MARGIN: Final = 1e-12
_COUNTS: Final = (
    *("n_fast", "n_slow", "roi", "source_count", "mosaic_domains", "phi_steps", "oversample"),
    *("sensor_layers", "steps", "interpolate"),
)


class ProvenImage(NamedTuple):
    """The image, float32, shape (slow, fast); how many of its pixels the exact C kernel computed;
    and why that was all of them, empty if it was not."""

    image: NDArray[np.float32]
    redone: int
    reason: str


def proven_image(
    model: ForwardModel,
    definition: Definition,
    threads: int,
    progress: ProgressCallback | None,
    done: Callable[[int], None] | None,
) -> ProvenImage:
    """The bytes of the definition.  progress: of the definition, where it renders everything; done:
    called with the number of pixels that the device has."""
    active = model.active_pixels
    reason = why_not(model, definition.plan)
    if reason:
        made = definition.render(threads=threads, progress=progress, unrounded=False)
        return ProvenImage(as_ndarray(made.image), active.count, reason)
    scene = defined_scene(model, definition)
    values, left = [], []
    n_fast = active.shape[1]
    rays = model.setup.choices.samples * model.setup.choices.source_count
    for own in ranges(0, active.count, max(1, _RAYS // rays)):
        slow, fast = active.numbers(own.start, own.stop, model.device)
        low, high = intervals(scene, model.setup.choices, Tile(slow, fast, 0))
        pixels, is_known = rounded(low, high)
        if own.start == 0 and scene.run_start is not None:
            is_known[0] = False  # the first phi loop of the run
        numbers = (slow[:, 0] * n_fast + fast[:, 0]).to(torch.int64)
        values.append(pixels)
        left.append(numbers[~is_known].cpu().numpy())
        if done is not None:
            done(own.stop)
    every = torch.cat(values) if values else torch.zeros(0, device=model.device)
    image = active.image(every).to(torch.float32).cpu().numpy().copy()
    places = np.concatenate(left) if left else np.zeros(0, dtype=np.int64)
    image.reshape(-1)[places] = definition.exact_pixels(places, threads)
    return ProvenImage(image, len(places), "")


def rounded(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """float32 pixels, and of which both ends of the interval are the same."""
    lowest, highest = low.to(torch.float32), high.to(torch.float32)
    is_known = (lowest == highest) & (low >= 0.0) & (high < _LARGEST_PIXEL)
    return torch.where(is_known, highest, 0.0), is_known


def why_not(model: ForwardModel, plan: ResolvedPlan) -> str:
    """Why the definition computes every pixel of a scene; empty: the device has a bound for it."""
    choices, own = model.setup.choices, plan_of(model.setup)
    if plan.kernel_reason:
        return plan.kernel_reason
    for name in _COUNTS:
        if getattr(own, name) != getattr(plan, name):
            return f"the set-ups of both engines differ in {name}"
    found = (_no_bound_for_the_sum(choices, plan), _no_bound_for_factors(model, choices))
    return next((reason for reason in found if reason), "")


def _no_bound_for_the_sum(choices: Choices, plan: ResolvedPlan) -> str:
    na, nb, nc = plan.n_cells
    if choices.interpolate:
        return "interpolated structure factors have no bound on a device"
    if choices.is_curved or choices.is_sphere:
        return "directions to a curved detector have sines, which differ from device to device"
    if not (min(plan.n_cells) >= 1.0 and na * nb * nc < _LARGEST_CRYSTAL):
        return f"a crystal of less than one cell, or of more than {_LARGEST_CRYSTAL:g}"
    if choices.running_product:
        if not (choices.shape == "square" or is_all_or_nothing(choices.shape)):
            return "which steps multiply the whole sum depends on a lattice factor of exactly 0"
        if choices.steps_per_pixel > _MOST_RUNNING_STEPS:
            return f"the whole sum is multiplied more than {_MOST_RUNNING_STEPS} times"
    return ""


def _no_bound_for_factors(model: ForwardModel, choices: Choices) -> str:
    scene = model.scene()
    if choices.dmin_m > 0.0 and (_normalises(choices) or scene.run_start is not None):
        return "a resolution limit decides which source or phi loop is the first"
    if choices.oversample_polar and choices.source_count > 1:
        return "the direction is made a unit vector again for every source"
    if _absorbs(choices) and as_float(scene.attenuation) < 0.0:
        return "a sensor of negative attenuation"
    if choices.uses_polarization and as_float(scene.kahn) != 0.0:
        axis = unit(scene.polarization)
        sine = as_tensor(mag(cross(axis, scene.sources.incident)))
        if not bool((sine >= _LEAST_SINE).all()):
            return "the polarization axis is close to the beam"
    return ""


def defined_scene(model: ForwardModel, definition: Definition) -> Scene:
    """The model's scene with the definition's bits in everything that phases are made of, and in
    what may have lost digits in both set-ups."""
    plan, scene, device = definition.plan, model.scene(), model.device
    sources = torch.from_numpy(definition.sources().copy()).to(device).unbind(1)
    cells = torch.from_numpy(definition.cells_m().copy()).to(device)
    ax, ay, az, bx, by, bz, cx, cy, cz = cells.unbind(1)
    return dataclasses.replace(
        scene,
        pixel=plan.pixel_size_m,
        pixel_slow=plan.pixel_size_slow_m,
        fast=plan.fast_axis,
        slow=plan.slow_axis,
        normal=plan.normal_axis,
        pix0=plan.pix0_m,
        layer_step=plan.sensor_layer_step_m,
        close=plan.close_distance_m,
        attenuation=plan.sensor_attenuation_per_m,
        polarization=plan.polarization_axis,
        n_cells=plan.n_cells,
        a_star=plan.a_star_per_angstrom,
        b_star=plan.b_star_per_angstrom,
        c_star=plan.c_star_per_angstrom,
        sources=Sources(
            (-sources[0], -sources[1], -sources[2]), sources[4], scene.sources.relative_weight
        ),
        cells=Cells((ax, ay, az), (bx, by, bz), (cx, cy, cz)),
    )


def intervals(scene: Scene, choices: Choices, tile: Tile) -> tuple[Tensor, Tensor]:
    """Both ends of where the exact kernel's values are, float64, shape (pixels,); NaN: anywhere."""
    every = Block(range(choices.samples), range(choices.source_count), range(choices.orientations))
    beams = beams_to(scene, choices, tile, every.samples)
    first = beams.first()
    factor = of_rays(ray_factor(scene, choices, tile, every, beams, first))
    weight = of_rays(step_weight(scene, choices, beams, every.sources))
    is_bounded = _factors_are_bounded(scene, choices, beams, first)
    if choices.dmin_m > 0.0:
        is_bounded &= _limit_is_clear(scene, choices, beams)
    for own in (factor, weight):
        if own is not None:
            is_bounded &= _all(own <= _LARGEST_FACTOR)
    is_running = choices.running_product and weight is not None
    if is_running:
        assert weight is not None
        is_bounded &= _all(weight <= 1.0)  # so that the slack does not grow
    elif weight is not None:
        factor, weight = weight if factor is None else factor * weight, None

    start = torch.zeros_like(first.length[:, 0]) + background(scene, choices, tile, first)
    total, slack = start.clone(), torch.zeros_like(start)
    numbers = SumNumbers.of(scene, choices, factor, weight)
    for rays, direction in _rays_in_order(choices, beams):
        add_bounded_sums(numbers, rays, direction, total, slack)
    is_bounded &= total < _LARGEST_SUM

    steps = choices.steps_per_pixel
    scale = torch.full_like(start, as_float(scene.strength)) / choices.steps
    for own in pixel_factors(scene, choices, tile, first):
        scale = scale * own
    value = total * scale + water(scene, choices, tile, first)
    relative = RELATIVE_ERROR * (1 + (steps if is_running else 0)) + ROUNDING * steps
    absolute = (slack * (1.0 + 1e-9) + UNDERFLOW * steps) * scale + SMALLEST
    is_bounded &= (value >= 0.0) & (scale >= 0.0)
    low = torch.clamp(value * (1.0 - relative) - absolute, min=0.0)
    high = value * (1.0 + relative) + absolute
    return torch.where(is_bounded, low, torch.nan), torch.where(is_bounded, high, torch.nan)


def _rays_in_order(choices: Choices, beams: Beams) -> Iterator[tuple[Rays, Vector]]:
    """The rays in serial order, and the direction that their scattering vectors are made of.

    The first polarization factor of a pixel makes the direction a unit vector once more, which the
    other sources of that sub-pixel see (model 6.3).
    """
    samples, sources = choices.samples, choices.source_count
    if not _normalises(choices):
        yield Rays(0, samples, 0, sources), beams.direction
        return
    _, *again = applied(LengthAndDirection, *beams.direction)
    yield Rays(0, 1, 0, 1), beams.direction
    yield Rays(0, 1, 1, sources), (again[0], again[1], again[2])
    if samples > 1:
        yield Rays(1, samples, 0, sources), beams.direction


def _factors_are_bounded(scene: Scene, choices: Choices, beams: Beams, first: Beams) -> Tensor:
    """In which pixels no factor is so close to 0 that its relative error is large, and none below
    it, shape (pixels,)."""
    omega = solid_angle(scene, choices, beams)
    is_bounded = _all((omega > 0.0) & (omega <= _LARGEST_FACTOR))
    if _absorbs(choices):
        # The layers' own, which all others are sums or some of.
        is_bounded &= _all(layer_capture(scene, choices, beams) >= _LEAST_CAPTURE)
        is_bounded &= _all(captured(scene, choices, beams, 0.0, choices.layers) <= 1.0)
        if not choices.faces_sample:
            is_bounded &= _all(as_tensor(dot(beams.direction, scene.normal)) > 0.0)
    kahn = as_float(scene.kahn)
    if choices.uses_polarization and kahn != 0.0:
        has_water = as_float(scene.water) != 0.0
        is_first = choices.has_pixel_polarization and not has_water
        seen, sources = (first, range(1)) if is_first else (beams, range(choices.source_count))
        factors = ray_polarization(scene, seen, sources)
        is_bounded &= _all(factors >= (1.0 + abs(kahn)) / 64.0)
    return is_bounded


def _limit_is_clear(scene: Scene, choices: Choices, beams: Beams) -> Tensor:
    """In which pixels no ray is so close to the resolution limit that a rounding could cut it."""
    q = rays_of(scene, choices, beams, range(choices.source_count)).q
    ratio = choices.dmin_m * as_tensor(mag(q))
    return _all(torch.abs(ratio - 1.0) > _LIMIT_MARGIN)


def _normalises(choices: Choices) -> bool:
    """Whether sources of a sub-pixel see a direction that was made a unit vector once more."""
    return choices.has_pixel_polarization and choices.source_count > 1


def _absorbs(choices: Choices) -> bool:
    """Whether there are capture fractions."""
    return choices.has_sensor or choices.oversample_thick


def _all(is_so: Tensor) -> Tensor:
    """Of all that belongs to a pixel."""
    return is_so.flatten(1).all(1)
