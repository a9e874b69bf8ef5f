"""A scene packed into tensors is the same scene when it is unpacked."""

from __future__ import annotations

import dataclasses

import pytest
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS, pack, unpack
from nanobragg_hybrid.engines.torch.scenes.scene import Scene, tensors_of

_EXPERIMENT = nb.Experiment(
    beam=nb.Beam(polarization_kahn=0.5),
    crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 6, 7), mosaic_domains=3),
    detector=nb.Detector(n_fast=4, n_slow=4),
    goniometer=nb.Goniometer(osc_deg=1.0, phi_steps=2),
)
_LIVE = ("crystal.cell_angstrom", "detector.origin_m", "beam.polarization_kahn")


def _scene(*, is_live: bool) -> Scene:
    model = ForwardModel(_EXPERIMENT, nb.StructureFactors.constant(100.0))
    names = _LIVE if is_live else ()
    return model.scene({name: model.initial(name).requires_grad_() for name in names})


@pytest.mark.parametrize("is_live", [False, True])
def test_the_same_scene_comes_back(is_live: bool) -> None:
    """Every number, as a float where it was one; every tensor with the same values."""
    scene = _scene(is_live=is_live)
    packed, template = pack(scene)
    assert packed.numbers.shape == (len(NUMBERS),)
    again = unpack(packed, template)
    for field in dataclasses.fields(Scene):
        before, after = getattr(scene, field.name), getattr(again, field.name)
        if isinstance(before, float):
            assert isinstance(after, float)
            assert before == after
    before, after = tensors_of(scene), tensors_of(again)
    assert len(before) == len(after) > 0
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(old, new, rtol=0.0, atol=0.0)
    assert bool(template.live) is is_live


def test_derivatives_go_through() -> None:
    """Of what is computed from the unpacked scene they are those of the scene itself."""
    model = ForwardModel(_EXPERIMENT, nb.StructureFactors.constant(100.0))
    values = {name: model.initial(name).requires_grad_() for name in _LIVE}

    def of(scene: Scene) -> tuple[torch.Tensor, ...]:
        terms = [
            (
                tensor
                * torch.linspace(1.0, 2.0, tensor.numel(), dtype=tensor.dtype).reshape(tensor.shape)
            ).sum()
            * (n + 1.0)
            for n, tensor in enumerate(tensors_of(scene))
        ]
        return torch.autograd.grad(torch.stack(terms).sum(), list(values.values()))

    direct = of(model.scene(values))
    again = of(unpack(*pack(model.scene(values))))
    for one, other in zip(direct, again, strict=True):
        assert bool((one != 0.0).all())
        torch.testing.assert_close(one, other, rtol=1e-13, atol=0.0)
