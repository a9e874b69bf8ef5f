"""The set-up as one step of autograd against the set-up with tensors, for every scene."""

from __future__ import annotations

import pytest
from for_each import for_each
from packed_scenes import (
    ALL,
    Values,
    gradient_of,
    parts,
    prepared,
    shaken,
    sizes_of,
    weighted,
    with_tensors,
)
from with_torch import torch

from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS
from nanobragg_hybrid.engines.torch.set_up.quantities import DEFAULT_F, GRID
from nanobragg_hybrid.engines.torch.set_up.setup import set_up
from nanobragg_hybrid.engines.torch.values.packed_values import packed_of


def _assert_same(scene: str, values: Values) -> None:
    once, template, gradient = gradient_of(packed_of, scene, values)
    long, long_template, long_gradient = gradient_of(with_tensors, scene, values)
    assert template == long_template
    for (name, part), (_, need) in zip(parts(once), parts(long), strict=True):
        assert part.dtype == torch.float64
        assert part.requires_grad == need.requires_grad, name
        difference = ((part - need).abs() / sizes_of(name, need.detach())).max().item()
        assert difference <= 8e-15, f"{name}: {difference}"
    for name, need in long_gradient.items():
        difference = (gradient[name] - need).abs().max().item()
        assert difference <= 1e-12 * need.abs().max().item(), f"{name}: {difference}"


@for_each("scene", ALL)
def test_all_parameters_together(scene: str) -> None:
    """Values, which of them have derivatives, and the gradient by each."""
    _assert_same(scene, shaken(prepared(scene)[2]))


@for_each("scene", ALL)
def test_each_parameter_alone(scene: str) -> None:
    """Beside configured numbers, at the configured value."""
    _, _, values = prepared(scene)
    for name, value in values.items():
        _assert_same(scene, {name: value.clone().requires_grad_()})


@pytest.mark.parametrize("scene", ["still", "rotation", "corrected", "divergent"])
def test_values_are_those_of_floats(scene: str) -> None:
    """To the bit: the numbers are those of the scene without values."""
    setup, tables, values = prepared(scene)
    need, _ = with_tensors(setup, tables, {})
    for name in (
        "crystal.cell_angstrom",
        "crystal.cell_deg",
        "goniometer.phi_deg",
        "detector.distance_mm",
        "detector.rotation_deg",
        "beam.wavelength_angstrom",
    ):
        if name in values:
            found, _ = packed_of(setup, tables, {name: values[name]})
            assert torch.equal(found.numbers, need.numbers), name
            torch.testing.assert_close(found.cells, need.cells, rtol=4e-15, atol=1e-25)


def test_structure_factors_pass_through() -> None:
    """Without a copy, with their own derivative; and where they are no values, the table's."""
    setup, tables, values = prepared("rotation")
    grid = values[GRID].clone().requires_grad_()
    packed, _ = packed_of(setup, tables, {GRID: grid, DEFAULT_F: values[DEFAULT_F]})
    assert packed.grid is grid
    assert not packed.numbers.requires_grad
    packed, _ = packed_of(setup, tables, {DEFAULT_F: values[DEFAULT_F]})
    assert packed.grid is tables.grid


def test_only_what_depends_on_a_value_has_derivatives() -> None:
    setup, tables, values = prepared("rotation")
    values = {name: value.clone() for name, value in values.items()}
    fluence = values["beam.fluence_photons_per_m2"].requires_grad_()
    packed, _ = packed_of(setup, tables, values)
    assert packed.numbers.requires_grad
    assert not packed.cells.requires_grad
    assert not packed.sources.requires_grad
    (slope,) = torch.autograd.grad(packed.numbers[NUMBERS.index("strength")], fluence)
    need = packed.numbers[NUMBERS.index("strength")] / fluence
    torch.testing.assert_close(slope, need, rtol=1e-15, atol=0.0)
    with torch.no_grad():
        assert not packed_of(setup, tables, values)[0].numbers.requires_grad


def test_values_may_not_change_before_the_derivative() -> None:
    setup, tables, values = prepared("still")
    cell = values["crystal.cell_angstrom"].clone().requires_grad_()
    packed, _ = packed_of(setup, tables, {"crystal.cell_angstrom": cell})
    with torch.no_grad():
        cell += 1.0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        packed.cells.sum().backward()


def test_a_sum_of_weights_that_is_not_positive() -> None:
    """NaN, as with tensors."""
    setup, tables, _ = prepared("weighted")
    name = "beam.sources.weight"
    for weights, is_right in (((1.0, 1.0, 1.0), True), ((1.0, -1.0, -1.0), False)):
        live = torch.tensor(weights, dtype=torch.float64, requires_grad=True)
        packed, _ = packed_of(setup, tables, {name: live})
        assert bool(packed.sources[4].isnan().any()) is not is_right


SMOOTH = (
    "crystal.cell_angstrom",
    "crystal.cell_deg",
    "crystal.rotation_vector_deg",
    "crystal.mosaic_spread_deg",
    "goniometer.spindle_axis",
    "detector.rotation_deg",
    "beam.wavelength_angstrom",
    "beam.direction",
    "crystal.water_um",
)


def _total(scene: str, values: Values) -> torch.Tensor:
    setup, tables, _ = prepared(scene)
    packed, _ = packed_of(setup, tables, values)
    sizes, _ = with_tensors(setup, tables, {k: v.detach() for k, v in values.items()})
    return weighted(packed, sizes).sin()


def _smooth_values(scene: str) -> Values:
    values = shaken(prepared(scene)[2])
    return {name: values[name] for name in SMOOTH if name in values}


@for_each("scene", ["rotation", "bent", "divergent", "corrected"])
def test_second_derivatives(scene: str) -> None:
    """Along a direction, against differences of the gradient."""
    values = _smooth_values(scene)
    leaves = list(values.values())
    along = [0.1 * value.detach().abs() + 0.01 for value in leaves]

    def gradient(step: float, *, create_graph: bool = False) -> tuple[torch.Tensor, ...]:
        moved = {
            name: value + step * way
            for (name, value), way in zip(values.items(), along, strict=True)
        }
        setup, tables, _ = prepared(scene)
        packed, _ = packed_of(setup, tables, moved)
        return torch.autograd.grad(weighted(packed, sizes).sin(), leaves, create_graph=create_graph)

    sizes, _ = packed_of(*prepared(scene)[:2], {k: v.detach() for k, v in values.items()})
    first = gradient(0.0, create_graph=True)
    slope = sum((g * way).sum() for g, way in zip(first, along, strict=True))
    second = torch.autograd.grad(slope, leaves)
    h = 1e-4
    for found, above, below in zip(second, gradient(h), gradient(-h), strict=True):
        need = (above - below) / (2.0 * h)
        torch.testing.assert_close(
            found,
            need,
            rtol=0.0,
            atol=1e-5 * need.abs().max().item(),
        )


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_other_ways_to_ask() -> None:
    """torch.func, dual numbers and batched gradients have the gradient of backward."""
    scene, name = "divergent", "crystal.cell_angstrom"
    setup, tables, values = prepared(scene)
    value = values[name]
    sizes, _ = with_tensors(setup, tables, {name: value})

    def total(live: torch.Tensor) -> torch.Tensor:
        packed, _ = packed_of(setup, tables, {name: live})
        return weighted(packed, sizes)

    leaf = value.clone().requires_grad_()
    (need,) = torch.autograd.grad(total(leaf), leaf)

    def check(found: torch.Tensor) -> None:
        torch.testing.assert_close(found, need, rtol=1e-11, atol=0.0)

    check(torch.func.grad(total)(value))
    check(torch.func.jacrev(total)(value))
    check(torch.func.jacfwd(total)(value))
    check(torch.func.vmap(torch.func.grad(total))(torch.stack([value, value]))[1])
    with torch.autograd.forward_ad.dual_level():
        for axis in range(3):
            dual = torch.autograd.forward_ad.make_dual(value, torch.eye(3, dtype=value.dtype)[axis])
            tangent = torch.autograd.forward_ad.unpack_dual(total(dual)).tangent
            torch.testing.assert_close(tangent, need[axis], rtol=1e-11, atol=0.0)
    rows = torch.autograd.grad(
        total(leaf), leaf, torch.tensor([1.0, 2.0], dtype=torch.float64), is_grads_batched=True
    )[0]
    check(rows[0])
    check(rows[1] / 2.0)


def test_no_values() -> None:
    """What is configured, without a single derivative."""
    setup, tables, _ = prepared("rotation")
    packed, template = packed_of(setup, tables, {})
    need, need_template = with_tensors(setup, tables, {})
    assert template == need_template
    assert torch.equal(packed.numbers, need.numbers)
    assert template.live == []
    assert set_up(*ALL["rotation"]()).roi == setup.roi
