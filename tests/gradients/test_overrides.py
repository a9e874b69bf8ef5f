"""Values of which one leaves the other without effect are an error, not a derivative of 0."""

from __future__ import annotations

from functools import cache

import pytest
from for_each import for_each
from torch_scenes import SCENES, together, values_of
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.set_up.overrides import _OVERRIDES

PAIRS = [(each.decides, name) for each in _OVERRIDES for name in each.overridden]


@cache
def _model(scene: str) -> ForwardModel:
    experiment, *others = SCENES[scene]()
    return ForwardModel(experiment.replace({"sampling.roi": (2, 3, 2, 3)}), *others)


def _scene_with(*names: str) -> str:
    """The first in which both are parameters, and there is nothing else to say against the two."""
    for scene in SCENES:
        values = values_of(_model(scene))
        if all(name in values for name in names):
            return scene
    raise AssertionError(f"no scene has {names}")


@for_each("decides, name", PAIRS)
def test_both_are_an_error(decides: str, name: str) -> None:
    model = _model(_scene_with(decides, name))
    values = values_of(model)
    with pytest.raises(nb.ConfigError) as error:
        model({name: values[name], decides: values[decides]})
    assert str(error.value) == (
        f"values[{name}]: got a value beside one of {decides}, need only one of the two: {decides} "
        f"decides, and {name} would have no effect"
    )
    for alone in (name, decides):
        leaf = values[alone].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model({alone: leaf}).sum(), leaf)
        assert gradient.abs().max() > 0.0


@for_each("scene", SCENES)
def test_there_are_no_other_pairs(scene: str) -> None:
    """What has an effect alone has it beside all that may be given together."""
    model = _model(scene)
    values = {name: value.requires_grad_() for name, value in together(model).items()}
    gradients = torch.autograd.grad(model(values).sum(), list(values.values()))
    for (name, value), gradient in zip(values.items(), gradients, strict=True):
        if gradient.abs().max() == 0.0:
            (alone,) = torch.autograd.grad(model({name: value}).sum(), value)
            assert alone.abs().max() == 0.0, name


def test_a_matrix_is_in_proportion_to_the_wavelength() -> None:
    """Beside wavelengths of the sources, too."""
    experiment, *others = SCENES["bent"]()
    matrix_alone = experiment.replace(
        {"crystal.cell_angstrom": None, "crystal.cell_deg": (90,) * 3}
    )
    model = ForwardModel(matrix_alone, *others)
    names = ("beam.wavelength_angstrom", "beam.sources.wavelength_m")
    values = {name: model.initial(name).requires_grad_() for name in names}
    for gradient in torch.autograd.grad(model(values).sum(), list(values.values())):
        assert gradient.abs().max() > 0.0
