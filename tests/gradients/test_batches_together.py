"""Batches whose rays are the same are rendered in one step, and are what members are alone."""

from __future__ import annotations

import numpy as np
import pytest
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel, Selection
from nanobragg_hybrid.engines.torch.rendering import batch as together

MEMBERS = 3


def _model(kernel: str, *, has_table: bool = True) -> ForwardModel:
    experiment = nb.Experiment(
        beam=nb.Beam(polarization_kahn=0.5),
        crystal=nb.Crystal(cell_angstrom=(30, 35, 40), n_cells=(5, 6, 7), mosaic_domains=2),
        detector=nb.Detector(n_fast=7, n_slow=5, pixel_size_mm=1.0),
        sampling=nb.Sampling(oversample=2),
    )
    factors = nb.StructureFactors.constant(100.0)
    if has_table:
        grid = np.random.default_rng(3).uniform(10.0, 100.0, (3, 3, 3))
        factors = nb.StructureFactors.from_grid(grid, (-1, -1, -1), default_f=3.0)
    return ForwardModel(experiment, factors, kernel=kernel)


def _values(model: ForwardModel) -> dict[str, torch.Tensor]:
    """Batches of numbers of the crystal, and single numbers of the detector and the beam."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn((MEMBERS, 3), dtype=torch.float64, generator=generator)
    values = {
        "crystal.misset_deg": noise,
        "crystal.n_cells": torch.tensor([[5.0, 6.0, 7.0], [0.5, 3.0, 2.0], [8.0, 1.0, 4.0]]),
        "detector.distance_mm": model.initial("detector.distance_mm"),
        "beam.polarization_kahn": model.initial("beam.polarization_kahn"),
        "structure_factors.default_f": torch.tensor([3.0, 4.0, 5.0], dtype=torch.float64),
        "structure_factors.grid": model.initial("structure_factors.grid"),
    }
    return {name: x.to(torch.float64).requires_grad_() for name, x in values.items()}


def _member(values: dict[str, torch.Tensor], n: int) -> dict[str, torch.Tensor]:
    batched = ("crystal.misset_deg", "crystal.n_cells", "structure_factors.default_f")
    return {name: x[n] if name in batched else x for name, x in values.items()}


@pytest.mark.parametrize("kernel", ["compiled", "eager"])
def test_members_are_those_that_stand_alone(kernel: str) -> None:
    """Images and derivatives: of shared values they are the sums over the members."""
    model = _model(kernel)
    values = _values(model)
    images = model(values)
    alone = torch.stack([model(_member(values, n)) for n in range(MEMBERS)])
    torch.testing.assert_close(images, alone, rtol=1e-13, atol=0.0)
    weight = torch.linspace(-1.0, 2.0, images.numel(), dtype=torch.float64).reshape(images.shape)
    found = torch.autograd.grad((images * weight).sum(), list(values.values()))
    need = torch.autograd.grad((alone * weight).sum(), list(values.values()))
    for name, one, other in zip(values, found, need, strict=True):
        assert one.norm() > 0.0, name
        assert (one - other).norm() <= 1e-12 * other.norm(), name


def test_other_derivatives() -> None:
    """Along a direction, and second ones, of the members' sum and of one value for all."""
    model = _model("compiled")
    values = {name: x.detach() for name, x in _values(model).items()}
    rest = {name: x for name, x in values.items() if name != "crystal.misset_deg"}

    def of_both(misset: torch.Tensor, distance: torch.Tensor) -> torch.Tensor:
        own = {**rest, "crystal.misset_deg": misset, "detector.distance_mm": distance}
        return model.pixels(own).square().sum()

    def by_member(misset: torch.Tensor, distance: torch.Tensor) -> torch.Tensor:
        own = {**rest, "crystal.misset_deg": misset, "detector.distance_mm": distance}
        rows = [model.pixels(_member(own, n)).square().sum() for n in range(MEMBERS)]
        return torch.stack(rows).sum()

    inputs = (values["crystal.misset_deg"], values["detector.distance_mm"])
    along = tuple(torch.ones_like(x) for x in inputs)
    for function in (torch.autograd.functional.hvp, torch.autograd.functional.jvp):
        one, other = (function(f, inputs, along)[1] for f in (of_both, by_member))
        for x, y in zip(
            *((z if isinstance(z, tuple) else (z,)) for z in (one, other)), strict=True
        ):
            assert (x - y).norm() <= 1e-10 * y.norm() > 0.0


def test_pixels_in_any_order() -> None:
    model = _model("compiled")
    values = {name: x.detach() for name, x in _values(model).items()}
    select = Selection.pixels(np.array([[4, 6], [0, 0], [2, 3], [0, 0]]))
    rows = model.pixels(values, select)
    images = model(values)
    assert rows.shape == (MEMBERS, 4)
    need = torch.stack([images[:, s, f] for s, f in zip(select.slow, select.fast, strict=True)], 1)
    torch.testing.assert_close(rows, need, rtol=1e-13, atol=0.0)


def test_who_shares_the_rays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of the crystal's numbers; those of the detector's have rays of their own."""
    made = []
    own = together.BatchRender.of

    def recording(*arguments: object) -> object:
        made.append(arguments)
        return own(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(together.BatchRender, "of", recording)
    model = _model("compiled")
    values = {name: x.detach() for name, x in _values(model).items()}
    shared = model(values)
    assert len(made) == 1
    distances = values["detector.distance_mm"] * torch.ones(MEMBERS, dtype=torch.float64)
    apart = model({**values, "detector.distance_mm": distances})
    assert len(made) == 1
    torch.testing.assert_close(apart, shared, rtol=1e-13, atol=0.0)


def test_water_decides_which_steps_of_a_running_product_count() -> None:
    """So members with water and without are each rendered by themselves."""
    experiment = nb.Experiment(
        crystal=nb.Crystal(
            cell_angstrom=(30, 35, 40), n_cells=(5, 6, 7), shape="tophat", shape_fudge=30.0
        ),
        detector=nb.Detector(n_fast=7, n_slow=5, pixel_size_mm=1.0),
        sampling=nb.Sampling(oversample=2, oversample_polar=True),
    )
    model = ForwardModel(experiment, nb.StructureFactors.constant(100.0), kernel="compiled")
    water = torch.tensor([0.0, 5.0], dtype=torch.float64)
    images = model({"crystal.water_um": water})
    for image, value in zip(images, water, strict=True):
        assert torch.equal(image, model({"crystal.water_um": value}))
    assert not together.leaves_rays("crystal.water_um", runs=True)
    assert together.leaves_rays("crystal.water_um")
    assert together.leaves_rays("crystal.misset_deg", runs=True)
