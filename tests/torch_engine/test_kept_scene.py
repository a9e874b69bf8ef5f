"""The scene of the compiled kernels is made once for values and derivatives of the same tensors."""

from __future__ import annotations

from typing import Any

import pytest
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.compiled import kernel as compiled_kernel
from nanobragg_hybrid.engines.torch.compiled.bridge import COUNTED, CompiledScene, Visits
from nanobragg_hybrid.engines.torch.scenes.packing import pack

CELL = "crystal.cell_angstrom"


def model_of(**options: Any) -> ForwardModel:
    """A Gaussian crystal of 20 orientations, most of whose steps are dark."""
    experiment = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.2, fluence_photons_per_m2=1e24),
        crystal=nb.Crystal(
            cell_angstrom=(40, 50, 60),
            misset_deg=(10, 20, 30),
            n_cells=(30, 25, 20),
            shape="gauss_hkl",
            mosaic_spread_deg=0.2,
            mosaic_domains=20,
        ),
        detector=nb.Detector(distance_mm=80, pixel_size_mm=0.2, n_fast=40, n_slow=32),
        sampling=nb.Sampling(oversample=1),
    )
    return ForwardModel(experiment, nb.StructureFactors.constant(100.0), **options)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[CompiledScene]:
    """The scenes that were made."""
    scenes: list[CompiledScene] = []

    def counted(*arguments: Any) -> CompiledScene:
        scenes.append(CompiledScene(*arguments))
        return scenes[-1]

    monkeypatch.setattr(compiled_kernel, "CompiledScene", counted)
    return scenes


def test_values_and_gradient_share_it(made: list[CompiledScene]) -> None:
    model = model_of()
    gradients = []
    for factor in (1.0, 1.001):
        cell = (factor * model.initial(CELL)).requires_grad_()
        model({CELL: cell}).sum().backward()
        gradients.append(cell.grad)
    assert len(made) == 2
    assert not torch.equal(gradients[0], gradients[1])
    fresh = model.initial(CELL).requires_grad_()
    model_of(kernel="eager")({CELL: fresh}).sum().backward()
    torch.testing.assert_close(gradients[0], fresh.grad, rtol=1e-11, atol=0.0)


@pytest.mark.parametrize("name", ["numbers", "sources", "cells"])
def test_a_tensor_that_was_changed_makes_another(made: list[CompiledScene], name: str) -> None:
    """By an operation in place: the address is the same."""
    model = model_of()
    packed, template = pack(model.scene())
    kernel = model._compiled_kernel(template)
    choices = compiled_kernel.kernel_choices(model.setup.choices, template, interpolate=False)
    slow, fast = model.active_pixels.whole_numbers(0, model.active_pixels.count)
    piece = compiled_kernel.CompiledPiece(slice(0, len(slow)), slow, fast, choices)
    assert kernel.refuses(packed) is None
    before = kernel.values(piece, packed)
    assert torch.equal(kernel.values(piece, packed), before)
    assert len(made) == 1
    getattr(packed, name).mul_(1.0 + 1e-6)
    assert kernel.refuses(packed) is None
    after = kernel.values(piece, packed)
    assert len(made) == 2
    assert not torch.equal(after, before)
    packed.numbers[template.constants.index(template.constants[0])] = float("inf")
    assert kernel.refuses(packed) == kernel._refuses(packed) is not None


def test_visits_of_several_pieces_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one scene for all pieces, too."""
    model = model_of(tolerance_photons=1e-4)
    found = []
    for pixels in (2**18, 256):
        monkeypatch.setattr(compiled_kernel, "_PIXELS", pixels)
        visits = Visits()
        token = COUNTED.set(visits)
        try:
            model()
        finally:
            COUNTED.reset(token)
        found.append(visits)
    assert found[0].every == found[1].every == model.active_pixels.count * 20
    assert 0.0 < found[0].visited < 0.5 * found[0].every
    assert 0.0 < found[1].visited < 0.5 * found[1].every
