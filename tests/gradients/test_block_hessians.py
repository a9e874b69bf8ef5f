"""Second derivatives of what the steps of a pixel add up to, for every parameter, against
differences of the first ones.  Between parameter and image stands nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

from for_each import for_each
from torch_scenes import SCENES, projection, together, values_of
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.eager.intensities import block_value
from nanobragg_hybrid.engines.torch.eager.serial import serial_order
from nanobragg_hybrid.engines.torch.scenes.tiles import tiles
from nanobragg_hybrid.engines.torch.set_up.inputs import Inputs
from nanobragg_hybrid.engines.torch.set_up.parameters import known_names
from nanobragg_hybrid.engines.torch.set_up.quantities import scene_of
from nanobragg_hybrid.engines.torch.set_up.tables import tables_of

Values = dict[str, torch.Tensor]

ONE_PIXEL = (2, 2, 3, 3)
# The derivative by N changes fast next to reflections (`crystal.n_cells` of parameters.py).
STEPS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def _pixel(
    experiment: nb.Experiment, *others: object
) -> tuple[ForwardModel, Callable[[Values], torch.Tensor]]:
    """The model of one pixel, and its value as a function of values, without the model's guards."""
    model = ForwardModel(experiment.replace({"sampling.roi": ONE_PIXEL}), *others)
    setup, choices = model.setup, model.setup.choices
    tables = tables_of(setup)

    def value(values: Values) -> torch.Tensor:
        inputs = Inputs(setup.experiment, setup.structure_factors, setup.quirks, values)
        scene = scene_of(setup, tables, inputs)
        order = serial_order(scene, choices, model.active_pixels, model.tiling, model.device)
        cut = tiles(choices, model.active_pixels, model.tiling, order, model.device)
        ((_, tile),) = cut
        own = partial(block_value, scene, choices, tile, dtype=model.dtype)
        return model.tiling.total(choices, tile, own).sum()

    return model, value


def _gradient_and_leaves(
    value: Callable[[Values], torch.Tensor], values: Values, *, create_graph: bool
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    live = {name: each.detach().clone().requires_grad_() for name, each in values.items()}
    return _grads(value(live), list(live.values()), create_graph), list(live.values())


def _grads(of: torch.Tensor, at: Sequence[torch.Tensor], create_graph: bool) -> list[torch.Tensor]:
    if not of.requires_grad:
        return [torch.zeros_like(each) for each in at]
    found = torch.autograd.grad(
        of, at, create_graph=create_graph, retain_graph=True, allow_unused=True
    )
    return [
        torch.zeros_like(each) if grad is None else grad
        for each, grad in zip(at, found, strict=True)
    ]


@cache
def _first_scenes() -> dict[str, str]:
    """For every parameter the first scene that has it; some scenes are first for none."""
    first: dict[str, str] = {}
    for scene, make in SCENES.items():
        for parameter in ForwardModel(*make()).parameters():
            first.setdefault(parameter.name, scene)
    return first


def test_every_parameter_is_looked_at() -> None:
    assert set(_first_scenes()) == set(known_names())


@for_each("scene", SCENES)
def test_hessian(scene: str) -> None:
    model, value = _pixel(*SCENES[scene]())
    for name in (each for each, first in _first_scenes().items() if first == scene):
        beside = together(model)
        values = {
            each: start
            for each, start in values_of(model).items()
            if each == name or each in beside
        }
        column = list(values).index(name)
        gradient, live = _gradient_and_leaves(value, values, create_graph=True)
        direction = 0.2 + projection(tuple(values[name].shape), seed=3)
        hessian = _grads((gradient[column] * direction).sum(), live, create_graph=False)
        size = float(values[name].abs().max()) or 1.0
        least = [float("inf")] * len(values)
        for step in STEPS:
            ahead, behind = (
                _gradient_and_leaves(
                    value,
                    {**values, name: values[name] + sign * step * size * direction},
                    create_graph=False,
                )[0]
                for sign in (1.0, -1.0)
            )
            for n, own in enumerate(gradient):
                quotient = (ahead[n] - behind[n]) / (2.0 * step * size)
                # What rounding makes of a gradient that does not change.
                noise = 1e-6 * float(own.detach().norm()) / size
                error = float((quotient - hessian[n]).norm())
                least[n] = min(least[n], error / (float(quotient.norm()) + noise + 1e-300))
        wrong = {each: x for each, x in zip(values, least, strict=True) if x > 1e-5}
        assert not wrong, name
