"""The Jacobian of the compiled kernels against differences of their image, and second derivatives
against differences of their gradient."""

from __future__ import annotations

from functools import cache, partial

import pytest
from derivatives import sweep
from for_each import for_each
from torch_scenes import SCENES, projection
from with_torch import torch

from nanobragg_hybrid.engines.torch import ForwardModel

TOLERANCE = 1e-6  # as in test_difference_quotients
WITHOUT_EFFECT = {("rotation", "structure_factors.default_f")}
STEP = 1e-3
"""Degrees, Angstrom, cells: the error of differences of fourth order is below the tolerance."""

Tensor = torch.Tensor


@cache
def _model(scene: str) -> ForwardModel:
    return ForwardModel(*SCENES[scene](), kernel="compiled")


def _projected(scene: str, name: str, value: Tensor) -> float:
    pixels = _model(scene).pixels({name: value})
    return float((pixels * _weights(scene)).sum())


@cache
def _weights(scene: str) -> Tensor:
    pixels = _model(scene).pixels()
    return projection(tuple(pixels.shape)) / float(pixels.sum())


NAMES = [
    (scene, each.name)
    for scene in ("still", "rotation")
    for each in _model(scene).parameters()
    if each.name != "structure_factors.grid"
]


@for_each("scene, name", NAMES)
def test_columns_of_the_jacobian(scene: str, name: str) -> None:
    """Each column for itself, of weighted pixels."""
    model = _model(scene)
    start = model.initial(name)
    _, jacobian = model.jacobian({name: start}, [name])
    columns = _weights(scene) @ jacobian
    if (scene, name) in WITHOUT_EFFECT:
        assert not columns.any()
        return
    largest = float(columns.abs().max())
    assert largest > 0.0
    for number, column in enumerate(columns.tolist()):
        if abs(column) < 1e-3 * largest:  # below what differences have of the rest
            continue
        unit = torch.zeros(start.numel(), dtype=torch.float64)
        unit[number] = 1.0

        def along(step: float, unit: Tensor = unit) -> float:
            return _projected(scene, name, start + step * unit.reshape(start.shape))

        first = 0.2 / abs(column)
        if name == "crystal.shape_fudge":  # which has to stay positive
            first = min(first, float(start) / 2.0)
        found = sweep(along, column, first)
        assert found.limit_error() < TOLERANCE, number


@for_each("scene, name", [("still", "crystal.misset_deg"), ("rotation", "detector.rotation_deg"),
                          ("still", "crystal.cell_angstrom"), ("rotation", "crystal.n_cells"),
                          ("rotation", "goniometer.phi_deg")])  # fmt: skip
def test_hessians(scene: str, name: str) -> None:
    """Whole ones, by kernel="auto", whose second derivatives are the eager kernel's."""
    model = ForwardModel(*SCENES[scene]())
    assert model.eager_reason is None
    start = model.initial(name)
    flat = start.reshape(-1)

    def total(of: ForwardModel, x: Tensor) -> Tensor:
        return (of.pixels({name: x.reshape(start.shape)}) * _weights(scene)).sum()

    hessian = torch.autograd.functional.hessian(partial(total, model), flat)
    scale = float(hessian.abs().max())
    assert scale > 0.0
    for number in range(flat.numel()):
        gradients = []
        for side in (-1.0, 1.0, -2.0, 2.0):
            leaf = flat.clone()
            leaf[number] += side * STEP
            leaf.requires_grad_()
            gradients.append(torch.autograd.grad(total(_model(scene), leaf), leaf)[0])
        near, far = gradients[1] - gradients[0], gradients[3] - gradients[2]
        row = (8.0 * near - far) / (12.0 * STEP)
        assert float((row - hessian[number]).abs().max()) == pytest.approx(0.0, abs=1e-6 * scale)
