"""The operators of the compiled kernels are good citizens of torch."""

from __future__ import annotations

import numpy as np
import pytest
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.compiled.bridge import kernel_choices
from nanobragg_hybrid.engines.torch.compiled.operators import (
    pixel_gradients,
    pixel_tangents,
    pixel_values,
)
from nanobragg_hybrid.engines.torch.scenes.packing import pack

_PIXELS = (torch.tensor([0, 3, 5], dtype=torch.int32), torch.tensor([2, 1, 7], dtype=torch.int32))


def _scene(*, has_table: bool) -> tuple[tuple[torch.Tensor | None, ...], list[int], float]:
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 6, 7), mosaic_domains=3),
        detector=nb.Detector(n_fast=8, n_slow=8),
    )
    factors = nb.StructureFactors.constant(100.0)
    if has_table:
        grid = np.random.default_rng(0).uniform(10.0, 100.0, (5, 5, 5))
        factors = nb.StructureFactors(grid=grid, hkl_min=(-2, -2, -2), default_f=3.0)
    model = ForwardModel(experiment, factors)
    packed, template = pack(model.scene({}))
    choices = kernel_choices(model.setup.choices, template, interpolate=False)
    tensors = (packed.numbers, packed.sources, packed.cells, packed.grid)
    return tensors, list(choices), model.setup.choices.dmin_m


@pytest.mark.parametrize("has_table", [False, True])
def test_torch_finds_no_fault(has_table: bool) -> None:
    """torch.library.opcheck: schema, fake tensors of the right shapes, no derivative of its own."""
    tensors, choices, dmin_m = _scene(has_table=has_table)
    changes = tuple(None if x is None else torch.ones_like(x) for x in tensors)
    weight = torch.ones(3, dtype=torch.float64)
    torch.library.opcheck(pixel_values, (*tensors, *_PIXELS, choices, dmin_m))
    torch.library.opcheck(pixel_tangents, (*tensors, *changes, *_PIXELS, choices, dmin_m))
    for wanted in (False, True):
        arguments = (weight, *tensors, *_PIXELS, choices, dmin_m, wanted)
        torch.library.opcheck(pixel_gradients, arguments)


def test_they_agree_with_each_other() -> None:
    """Weights times tangents is the gradient times the changes; values are not 0."""
    tensors, choices, dmin_m = _scene(has_table=True)
    generator = torch.Generator().manual_seed(1)

    def noise(like: torch.Tensor | None) -> torch.Tensor:
        assert like is not None
        return like * torch.randn(like.shape, dtype=torch.float64, generator=generator)

    changes = tuple(noise(x) for x in tensors)
    weight = torch.randn(3, dtype=torch.float64, generator=generator)
    values = pixel_values(*tensors, *_PIXELS, choices, dmin_m)
    tangents = pixel_tangents(*tensors, *changes, *_PIXELS, choices, dmin_m)
    gradients = pixel_gradients(weight, *tensors, *_PIXELS, choices, dmin_m, True)
    along = sum(float((g * c).sum()) for g, c in zip(gradients, changes, strict=True))
    assert bool((values > 0.0).all())
    assert along == pytest.approx(float((weight * tangents).sum()), rel=1e-11)
