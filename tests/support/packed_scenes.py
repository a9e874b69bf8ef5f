"""Packed scenes of many set-ups, with the set-up in tensors that they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
from torch_scenes import SCENES, values_of
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS, Packed, Template, pack
from nanobragg_hybrid.engines.torch.set_up.inputs import Inputs
from nanobragg_hybrid.engines.torch.set_up.quantities import GRID, scene_of
from nanobragg_hybrid.engines.torch.set_up.setup import Setup
from nanobragg_hybrid.engines.torch.set_up.tables import Tables, tables_of

Values = dict[str, torch.Tensor]


def _divergent() -> tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]:
    """A grid of divergence and dispersion, a given size, phi from 0: the first loop differs."""
    experiment = nb.Experiment(
        beam=nb.Beam(
            direction=(1.0, 0.02, -0.01),
            polarization_axis=(0.0, 0.1, 1.0),
            polarization_kahn=0.4,
            divergence_h_mrad=1.0,
            divergence_h_steps=3,
            divergence_v_mrad=2.0,
            divergence_v_steps=2,
            divergence_shape="square",
            dispersion_percent=0.5,
            dispersion_steps=2,
        ),
        crystal=nb.Crystal(
            cell_angstrom=(20, 24, 28),
            cell_deg=(80, 95, 100),
            misset_random=True,
            misset_seed=11,
            size_mm=(8e-6, None, None),
            n_cells=(1.0, 3.5, 4.0),
            shape="gauss",
            water_um=0.2,
            mosaic_spread_deg=0.4,
            mosaic_domains=3,
        ),
        goniometer=nb.Goniometer(phi_deg=0.0, osc_deg=2.0, phi_steps=3),
        detector=nb.Detector(distance_mm=100, pixel_size_mm=0.5, n_fast=4, n_slow=4),
        sampling=nb.Sampling(oversample=1),
    )
    return experiment, nb.StructureFactors.constant(100.0), nb.Quirks()


def _divergent_and_corrected() -> tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]:
    experiment, factors, _ = _divergent()
    return experiment, factors, nb.Quirks.none()


def _one_domain() -> tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]:
    experiment, factors, quirks = _divergent()
    return experiment.replace({"crystal.mosaic_domains": 1}), factors, quirks


ALL: dict[str, Callable[[], Any]] = {
    **SCENES,
    "divergent": _divergent,
    "divergent and corrected": _divergent_and_corrected,
    "one domain": _one_domain,
}


@cache
def prepared(scene: str) -> tuple[Setup, Tables, Values]:
    model = ForwardModel(*ALL[scene]())
    setup = model.setup
    return setup, tables_of(setup), values_of(model)


def with_tensors(setup: Setup, tables: Tables, values: Mapping[str, torch.Tensor]) -> Any:
    inputs = Inputs(setup.experiment, setup.structure_factors, setup.quirks, values)
    return pack(scene_of(setup, tables, inputs))


def shaken(values: Values) -> Values:
    """Away from what is configured, and from symmetric numbers; they ask for derivatives."""
    generator = torch.Generator().manual_seed(5)
    shaken = {}
    for name, value in values.items():
        noise = torch.rand(value.shape, dtype=torch.float64, generator=generator) - 0.5
        shaken[name] = (value * (1.0 + 1e-3 * noise) + 1e-6 * noise).requires_grad_()
    return shaken


def parts(packed: Packed) -> Iterator[tuple[str, torch.Tensor]]:
    for name in ("numbers", "sources", "cells", "run_start"):
        part = getattr(packed, name)
        if part is not None:
            yield name, part


def sizes_of(name: str, part: torch.Tensor) -> torch.Tensor:
    """What numbers of a part are compared with: its largest.  Where they are of different kinds,
    each has its own size, a vector's components that of its largest; 1 for 0."""
    sizes = part.abs()
    if name != "numbers":
        return sizes.max()
    vectors = NUMBERS.index("fast.0")
    largest = sizes[vectors:].reshape(-1, 3).amax(dim=1).repeat_interleave(3)
    sizes = torch.cat([sizes[:vectors], largest])
    return torch.where(sizes > 0.0, sizes, 1.0)


def weighted(packed: Packed, sizes: Packed) -> torch.Tensor:
    """A sum of everything in units of its own size, with random weights."""
    generator = np.random.default_rng(7)
    total = torch.zeros((), dtype=torch.float64)
    for (name, part), (_, like) in zip(parts(packed), parts(sizes), strict=True):
        size = sizes_of(name, like.detach())
        weight = torch.from_numpy(generator.random(part.shape) + 0.5)
        total = total + (weight * part / size).sum()
    return total


def gradient_of(
    of: Callable[[Setup, Tables, Values], tuple[Packed, Template]], scene: str, values: Values
) -> tuple[Packed, Template, Values]:
    setup, tables, _ = prepared(scene)
    packed, template = of(setup, tables, values)
    sizes, _ = with_tensors(setup, tables, values)
    wanted = {name: value for name, value in values.items() if name != GRID}
    total = weighted(packed, sizes)
    found = (
        torch.autograd.grad(total, list(wanted.values()), allow_unused=True, materialize_grads=True)
        if total.requires_grad
        else [torch.zeros_like(value) for value in wanted.values()]
    )
    return packed, template, dict(zip(wanted, found, strict=True))
