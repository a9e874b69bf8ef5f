"""The torch engine has first derivatives, in reverse mode; whatever else is asked for is an error
that says so, and never a number."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import pytest
from for_each import for_each
from torch_scenes import SCENES, values_of
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

EXPERIMENT = nb.Experiment(
    beam=nb.Beam(wavelength_angstrom=1.0),
    crystal=nb.Crystal(cell_angstrom=(70, 80, 90), cell_deg=(75, 85, 95), n_cells=(5, 5, 5)),
    detector=nb.Detector(distance_mm=100, pixel_size_mm=0.4, n_fast=16, n_slow=16),
)
CELL, MISSET = "crystal.cell_angstrom", "crystal.misset_deg"
DISTANCE = "detector.distance_mm"
functional = torch.autograd.functional
Function = Callable[[torch.Tensor], torch.Tensor]


@cache
def _model() -> ForwardModel:
    return ForwardModel(EXPERIMENT, nb.StructureFactors.constant(100.0))


def _total(name: str, value: torch.Tensor) -> torch.Tensor:
    return _model()({name: value}).sum()


def _misfit(name: str, value: torch.Tensor) -> torch.Tensor:
    """Of second degree in the image."""
    image = _model()()
    return ((_model()({name: value}) - 1.01 * image) ** 2).sum()


def _second(value: torch.Tensor, loss: Function) -> object:
    (first,) = torch.autograd.grad(loss(value.requires_grad_()), value, create_graph=True)
    return torch.autograd.grad(first.sum(), value)


def _backward(value: torch.Tensor, loss: Function) -> object:
    return loss(value.requires_grad_()).backward(create_graph=True)


def _dual(value: torch.Tensor, loss: Function) -> object:
    with torch.autograd.forward_ad.dual_level():
        return loss(torch.autograd.forward_ad.make_dual(value, torch.ones_like(value)))


def _of_a_random_loss(value: torch.Tensor, loss: Function) -> object:
    """The image is not the last step, and what is around it has second derivatives of its own."""
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    leaf = value.requires_grad_()
    (first,) = torch.autograd.grad(torch.exp(scale * loss(leaf * leaf)), leaf, create_graph=True)
    return first


FIRST_ONLY = "has first derivatives only"
WAYS: dict[str, tuple[Callable[[torch.Tensor, Function], object], str]] = {
    "hessian": (lambda x, f: functional.hessian(f, x), FIRST_ONLY),
    "strict hessian": (lambda x, f: functional.hessian(f, x, strict=True), FIRST_ONLY),
    "jvp": (lambda x, f: functional.jvp(f, x, torch.ones_like(x)), FIRST_ONLY),
    "hvp": (lambda x, f: functional.hvp(f, x, torch.ones_like(x)), FIRST_ONLY),
    "vhp": (lambda x, f: functional.vhp(f, x, torch.ones_like(x)), FIRST_ONLY),
    "jacobian": (lambda x, f: functional.jacobian(f, x, create_graph=True), FIRST_ONLY),
    "grad twice": (_second, FIRST_ONLY),
    "backward": (_backward, FIRST_ONLY),
    "through others": (_of_a_random_loss, FIRST_ONLY),
    "dual numbers": (_dual, "no forward-mode derivatives"),
    "forward jacobian": (
        lambda x, f: functional.jacobian(f, x, vectorize=True, strategy="forward-mode"),
        "has|does not",
    ),
    "vectorized": (
        lambda x, f: functional.jacobian(
            lambda y: torch.stack([f(y), 2.0 * f(y)]), x, vectorize=True
        ),
        "no vectorized backward pass",
    ),
    "func.grad": (lambda x, f: torch.func.grad(f)(x), "inside torch.func or vmap"),
    "func.jacrev": (lambda x, f: torch.func.jacrev(f)(x), "inside torch.func or vmap"),
    "func.jacfwd": (lambda x, f: torch.func.jacfwd(f)(x), "inside torch.func or vmap"),
    "func.hessian": (lambda x, f: torch.func.hessian(f)(x), "inside torch.func or vmap"),
    "func.jvp": (
        lambda x, f: torch.func.jvp(f, (x,), (torch.ones_like(x),)), "inside torch.func or vmap",
    ),
    "vmap": (
        lambda x, f: torch.vmap(f)(torch.stack([x, 1.01 * x])), "inside torch.func or vmap",
    ),
}  # fmt: skip
# What came out instead of second derivatives (the diagonal): 1e-15 for 3.172, 20.51, 1.349;
# 3.82, 2.15, 1.98 for 30.84, 82.34, 157.66; 0 for 35838.9.
LOSSES = [(CELL, _total), (MISSET, _total), (DISTANCE, _misfit)]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph:UserWarning")
@for_each("way", WAYS)
def test_no_number(way: str) -> None:
    ask, words = WAYS[way]
    for name, loss in LOSSES:
        with pytest.raises(nb.UnsupportedError, match=words):
            ask(_model().initial(name), partial(loss, name))


@for_each("scene", SCENES)
def test_no_second_derivative_of_any_parameter(scene: str) -> None:
    model = ForwardModel(*SCENES[scene]())
    for name, value in values_of(model).items():
        leaf = value.requires_grad_()
        with pytest.raises(nb.UnsupportedError, match=FIRST_ONLY):
            torch.autograd.grad(model({name: leaf}).sum(), leaf, create_graph=True)


def test_an_empty_image_is_no_exception() -> None:
    """Its second derivatives would be 0, and right: one rule for all."""
    model = ForwardModel(
        EXPERIMENT.replace({"sampling.roi": (5, 4, 0, 8)}), nb.StructureFactors.constant(100.0)
    )
    leaf = model.initial(CELL).requires_grad_()
    with pytest.raises(nb.UnsupportedError, match=FIRST_ONLY):
        torch.autograd.grad(model({CELL: leaf}).sum(), leaf, create_graph=True)


@for_each("name, loss", LOSSES)
def test_first_derivatives_stay(name: str, loss: Callable[..., torch.Tensor]) -> None:
    """In the same scene: against difference quotients, and the same in every way of asking."""
    start = _model().initial(name)
    leaf = start.clone().requires_grad_()
    total = loss(name, leaf)
    total.backward(retain_graph=True)
    first = leaf.grad.clone()
    (2.0 * total).backward()  # a second loss with the same graph is added to the first
    assert torch.allclose(leaf.grad, 3.0 * first, rtol=1e-14)
    step = 1e-5
    for n in range(start.numel()):
        shift = torch.zeros_like(start).reshape(-1)
        shift[n] = step
        shift = shift.reshape(start.shape)
        quotient = (loss(name, start + shift) - loss(name, start - shift)) / (2 * step)
        assert float(first.reshape(-1)[n]) == pytest.approx(float(quotient), rel=1e-5, abs=1e-6)
    of = partial(loss, name)
    assert torch.allclose(functional.jacobian(of, start), first, rtol=1e-14)
    (_, product) = functional.vjp(of, start)
    assert torch.allclose(product, first, rtol=1e-14)


def test_functional_call_of_a_module() -> None:
    """torch.func.functional_call only exchanges parameters, and works."""

    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = torch.nn.Parameter(_model().initial(CELL))

        def forward(self) -> torch.Tensor:
            return _total(CELL, self.cell)

    other = (_model().initial(CELL) * 1.001).requires_grad_()
    total = torch.func.functional_call(Module(), {"cell": other}, ())
    (gradient,) = torch.autograd.grad(total, other)
    again = other.detach().requires_grad_()
    assert torch.equal(gradient, torch.autograd.grad(_total(CELL, again), again)[0])
