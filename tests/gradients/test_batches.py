"""A batch dimension in front of any values gives the stack of single calls, derivatives too."""

from __future__ import annotations

import pytest
from torch_scenes import SCENES, projection, values_of
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

LENGTH = 3
SUBSETS = {
    "still": [
        ["crystal.misset_deg"],
        ["beam.wavelength_angstrom"],
        ["crystal.cell_angstrom", "detector.distance_mm"],
        ["crystal.rotation_matrix", "structure_factors.default_f"],
    ],
    "rotation": [["structure_factors.grid"], ["crystal.mosaic_spread_deg", "crystal.n_cells"]],
    "sources": [["beam.sources.position", "beam.sources.wavelength_m"], ["goniometer.osc_deg"]],
}
CASES = [(scene, names) for scene, subsets in SUBSETS.items() for names in subsets]


def _batched(
    model: ForwardModel, names: list[str]
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Values with and without a batch dimension: those named have it, one more has not."""
    start = values_of(model)
    factors = torch.tensor([1.0, 1.001, 0.998], dtype=torch.float64)
    many = {
        name: start[name] * factors.reshape(LENGTH, *(1,) * start[name].dim()) for name in names
    }
    return many, {"beam.polarization_kahn": start["beam.polarization_kahn"]}


@pytest.mark.parametrize(("scene", "names"), CASES)
def test_a_batch_is_a_stack_of_single_calls(scene: str, names: list[str]) -> None:
    model = ForwardModel(*SCENES[scene]())
    many, one = _batched(model, names)
    for value in (*many.values(), *one.values()):
        value.requires_grad_()
    stack = model({**many, **one})
    weights = projection(tuple(stack.shape))
    wanted = torch.autograd.grad((stack * weights).sum(), [*many.values(), *one.values()])

    images = []
    for n in range(LENGTH):
        images.append(model({**{name: value[n] for name, value in many.items()}, **one}))
    assert stack.shape == (LENGTH, *images[0].shape)
    assert torch.equal(stack, torch.stack(images))
    assert not torch.equal(images[0], images[1])
    singly = torch.autograd.grad(
        (torch.stack(images) * weights).sum(), [*many.values(), *one.values()]
    )
    for got, need in zip(wanted, singly, strict=True):
        assert torch.allclose(got, need, rtol=1e-12, atol=0.0)
        assert got.count_nonzero() > 0


def test_a_batch_of_one_keeps_its_dimension() -> None:
    model = ForwardModel(*SCENES["still"]())
    misset = model.initial("crystal.misset_deg")
    assert torch.equal(model({"crystal.misset_deg": misset[None]})[0], model({}))
    assert model({"crystal.misset_deg": misset[None]}).shape == (1, 7, 6)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"crystal.misset_deg": (2, 3), "crystal.cell_deg": (3, 3)}, r"batches of \[2, 3\]"),
        ({"crystal.misset_deg": (0, 3)}, r"batches of \[0\]"),
        ({"crystal.misset_deg": (2, 2, 3)}, r"crystal\.misset_deg.*shape \(2, 2, 3\)"),
        ({"crystal.misset_deg": (4,)}, r"crystal\.misset_deg.*shape \(4,\)"),
        ({"crystal.misset": (3,)}, r"did you mean crystal\.misset_deg"),
        ({"detector.sensor_thickness_um": ()}, r"sensor_thickness_um.*has an effect"),
    ],
)
def test_what_does_not_fit_is_an_error(values: dict[str, tuple[int, ...]], words: str) -> None:
    model = ForwardModel(*SCENES["still"]())
    tensors = {name: torch.ones(shape, dtype=torch.float64) for name, shape in values.items()}
    with pytest.raises(nb.ConfigError, match=words):
        model(tensors)
