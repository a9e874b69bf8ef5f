"""The set-up as one step of autograd against the set-up with tensors, for every scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from torch_scenes import SCENES, values_of
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.inputs import Inputs
from nanobragg_hybrid.engines.torch.packed_values import packed_of, scene_tangents
from nanobragg_hybrid.engines.torch.packing import NUMBERS, Packed, Template, pack
from nanobragg_hybrid.engines.torch.quantities import DEFAULT_F, GRID, scene_of
from nanobragg_hybrid.engines.torch.setup import Setup, set_up
from nanobragg_hybrid.engines.torch.tables import Tables, tables_of

Values = dict[str, torch.Tensor]


def _divergent() -> tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]:
    """A grid of divergence and dispersion, a given size, phi from 0: the first loop differs."""
    experiment = nb.Experiment(
        beam=nb.Beam(
            direction=(1.0, 0.02, -0.01),
            polarization_axis=(0.0, 0.1, 1.0),
            polarization_kahn=0.4,
            divergence_h_mrad=1.0,
            divergence_h_steps=3,
            divergence_v_mrad=2.0,
            divergence_v_steps=2,
            divergence_shape="square",
            dispersion_percent=0.5,
            dispersion_steps=2,
        ),
        crystal=nb.Crystal(
            cell_angstrom=(20, 24, 28),
            cell_deg=(80, 95, 100),
            misset_random=True,
            misset_seed=11,
            size_mm=(8e-6, None, None),
            n_cells=(1.0, 3.5, 4.0),
            shape="gauss",
            water_um=0.2,
            mosaic_spread_deg=0.4,
            mosaic_domains=3,
        ),
        goniometer=nb.Goniometer(phi_deg=0.0, osc_deg=2.0, phi_steps=3),
        detector=nb.Detector(distance_mm=100, pixel_size_mm=0.5, n_fast=4, n_slow=4),
        sampling=nb.Sampling(oversample=1),
    )
    return experiment, nb.StructureFactors.constant(100.0), nb.Quirks()


def _divergent_and_corrected() -> tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]:
    experiment, factors, _ = _divergent()
    return experiment, factors, nb.Quirks.none()


def _one_domain() -> tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]:
    experiment, factors, quirks = _divergent()
    return experiment.replace({"crystal.mosaic_domains": 1}), factors, quirks


ALL: dict[str, Callable[[], Any]] = {
    **SCENES,
    "divergent": _divergent,
    "divergent and corrected": _divergent_and_corrected,
    "one domain": _one_domain,
}


@cache
def _prepared(scene: str) -> tuple[Setup, Tables, Values]:
    model = ForwardModel(*ALL[scene]())
    setup = model.setup
    return setup, tables_of(setup, torch.device("cpu")), values_of(model)


def _with_tensors(setup: Setup, tables: Tables, values: Mapping[str, torch.Tensor]) -> Any:
    inputs = Inputs(setup.experiment, setup.structure_factors, setup.quirks, values)
    return pack(scene_of(setup, tables, inputs))


def _shaken(values: Values) -> Values:
    """Away from what is configured, and from symmetric numbers; they ask for derivatives."""
    generator = torch.Generator().manual_seed(5)
    shaken = {}
    for name, value in values.items():
        noise = torch.rand(value.shape, dtype=torch.float64, generator=generator) - 0.5
        shaken[name] = (value * (1.0 + 1e-3 * noise) + 1e-6 * noise).requires_grad_()
    return shaken


def _parts(packed: Packed) -> Iterator[tuple[str, torch.Tensor]]:
    for name in ("numbers", "sources", "cells", "run_start"):
        part = getattr(packed, name)
        if part is not None:
            yield name, part


def _sizes(numbers: torch.Tensor) -> torch.Tensor:
    """Of each number; of a vector's components its largest; 1 for 0."""
    sizes = numbers.abs()
    vectors = NUMBERS.index("fast.0")
    largest = sizes[vectors:].reshape(-1, 3).amax(dim=1).repeat_interleave(3)
    sizes = torch.cat([sizes[:vectors], largest])
    return torch.where(sizes > 0.0, sizes, 1.0)


def _weighted(packed: Packed, sizes: Packed) -> torch.Tensor:
    """A sum of everything in units of its own size, with random weights."""
    generator = np.random.default_rng(7)
    total = torch.zeros((), dtype=torch.float64)
    for (name, part), (_, like) in zip(_parts(packed), _parts(sizes), strict=True):
        size = _sizes(like.detach()) if name == "numbers" else like.detach().abs().max()
        weight = torch.from_numpy(generator.random(part.shape) + 0.5)
        total = total + (weight * part / size).sum()
    return total


def _gradient(
    of: Callable[[Setup, Tables, Values], tuple[Packed, Template]], scene: str, values: Values
) -> tuple[Packed, Template, Values]:
    setup, tables, _ = _prepared(scene)
    packed, template = of(setup, tables, values)
    sizes, _ = _with_tensors(setup, tables, values)
    wanted = {name: value for name, value in values.items() if name != GRID}
    total = _weighted(packed, sizes)
    found = (
        torch.autograd.grad(total, list(wanted.values()), allow_unused=True, materialize_grads=True)
        if total.requires_grad
        else [torch.zeros_like(value) for value in wanted.values()]
    )
    return packed, template, dict(zip(wanted, found, strict=True))


def _assert_same(scene: str, values: Values) -> None:
    once, template, gradient = _gradient(packed_of, scene, values)
    long, long_template, long_gradient = _gradient(_with_tensors, scene, values)
    assert template == long_template
    for (name, part), (_, need) in zip(_parts(once), _parts(long), strict=True):
        assert part.dtype == torch.float64
        assert part.requires_grad == need.requires_grad, name
        size = 1.0 if name == "numbers" else need.abs().max().item()
        torch.testing.assert_close(part, need, rtol=4e-14, atol=1e-15 * size)
    for name, need in long_gradient.items():
        largest = need.abs().max().item()
        torch.testing.assert_close(gradient[name], need, rtol=0.0, atol=1e-12 * largest)


@for_each("scene", ALL)
def test_all_parameters_together(scene: str) -> None:
    """Values, which of them have derivatives, and the gradient by each."""
    _assert_same(scene, _shaken(_prepared(scene)[2]))


@for_each("scene", ALL)
def test_each_parameter_alone(scene: str) -> None:
    """Beside configured numbers, at the configured value."""
    _, _, values = _prepared(scene)
    for name, value in values.items():
        _assert_same(scene, {name: value.clone().requires_grad_()})


@pytest.mark.parametrize("scene", ["still", "rotation", "corrected", "divergent"])
def test_values_are_those_of_floats(scene: str) -> None:
    """To the bit: the numbers are those of the scene without values."""
    setup, tables, values = _prepared(scene)
    need, _ = _with_tensors(setup, tables, {})
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


@for_each("scene", ALL)
def test_tangents_are_the_gradient(scene: str) -> None:
    """The Jacobian, contracted with weights, and its factors: cells are rotations of one cell."""
    setup, tables, values = _prepared(scene)
    values = _shaken(values)
    names = [name for name in values if name != GRID]
    packed, _, gradient = _gradient(packed_of, scene, values)
    sizes, _ = _with_tensors(setup, tables, values)
    found = scene_tangents(setup, tables, values, names)
    count = sum(values[name].numel() for name in names)
    assert found.numbers.shape == (count, len(NUMBERS))
    assert found.sources.shape == (count, *packed.sources.shape)
    cell = found.reference_cell.reshape(3, 3)
    torch.testing.assert_close(
        torch.from_numpy(np.einsum("oij,vj->ovi", found.rotations, cell).reshape(-1, 9)),
        packed.cells.detach(),
        rtol=0.0,
        atol=1e-23,
    )
    moved = _cells(found.rotations, found.reference_cell_tangents)
    start = None
    if packed.run_start is not None:
        assert found.run_start_rotations is not None
        start = _cells(found.run_start_rotations, found.reference_cell_tangents)
    for one in found.turning:
        moved[one.number] += one.cells
        if start is not None:
            start[one.number] += one.run_start
    turning = {
        "goniometer.spindle_axis",
        "goniometer.phi_deg",
        "goniometer.osc_deg",
        "crystal.mosaic_spread_deg",
    }
    whose = [name for name in names for _ in range(values[name].numel())]
    assert {whose[one.number] for one in found.turning} <= turning
    columns = [found.numbers, found.sources, moved, *([] if start is None else [start])]
    flat = [
        _weighted(
            Packed(
                *(torch.from_numpy(column[p]) for column in columns[:3]),
                None if start is None else torch.from_numpy(start[p]),
                None,
            ),
            sizes,
        )
        for p in range(count)
    ]
    at = 0
    for name in names:
        need = gradient[name].reshape(-1)
        own = torch.stack(flat[at : at + len(need)])
        at += len(need)
        scale = need.abs().max().item()
        torch.testing.assert_close(own, need, rtol=0.0, atol=1e-11 * scale)


def _cells(rotations: np.ndarray, tangents: np.ndarray) -> np.ndarray:
    moved = np.einsum("oij,pvj->povi", rotations, tangents.reshape(-1, 3, 3))
    cells: np.ndarray = moved.reshape(len(tangents), -1, 9)
    return cells


def test_some_names_in_another_order() -> None:
    setup, tables, values = _prepared("rotation")
    all_of_them = scene_tangents(setup, tables, values, ["beam.direction", "goniometer.phi_deg"])
    turned = scene_tangents(setup, tables, values, ["goniometer.phi_deg", "beam.direction"])
    np.testing.assert_array_equal(all_of_them.numbers[[3, 0, 1, 2]], turned.numbers)
    assert [one.number for one in all_of_them.turning] == [3]
    assert [one.number for one in turned.turning] == [0]


@for_each(
    "names, rule",
    [
        ((GRID,), "a Jacobian by all structure factors is not formed"),
        (("beam.flux",), "names of values that are given"),
        ((DEFAULT_F, DEFAULT_F), "each name once"),
    ],
)
def test_names_that_are_refused(names: tuple[str, ...], rule: str) -> None:
    setup, tables, values = _prepared("rotation")
    with pytest.raises(ConfigError, match=rule):
        scene_tangents(setup, tables, values, names)
    assert scene_tangents(setup, tables, values, (DEFAULT_F,)).numbers.shape == (1, len(NUMBERS))


def test_structure_factors_pass_through() -> None:
    """Without a copy, with their own derivative; and where they are no values, the table's."""
    setup, tables, values = _prepared("rotation")
    grid = values[GRID].clone().requires_grad_()
    packed, _ = packed_of(setup, tables, {GRID: grid, DEFAULT_F: values[DEFAULT_F]})
    assert packed.grid is grid
    assert not packed.numbers.requires_grad
    packed, _ = packed_of(setup, tables, {DEFAULT_F: values[DEFAULT_F]})
    assert packed.grid is tables.grid


def test_only_what_depends_on_a_value_has_derivatives() -> None:
    setup, tables, values = _prepared("rotation")
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
    setup, tables, values = _prepared("still")
    cell = values["crystal.cell_angstrom"].clone().requires_grad_()
    packed, _ = packed_of(setup, tables, {"crystal.cell_angstrom": cell})
    with torch.no_grad():
        cell += 1.0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        packed.cells.sum().backward()


def test_a_sum_of_weights_that_is_not_positive() -> None:
    """NaN, as with tensors."""
    setup, tables, values = _prepared("weighted")
    name = "beam.sources.weight"
    for weights, is_right in (((1.0, 1.0, 1.0), True), ((1.0, -1.0, -1.0), False)):
        live = torch.tensor(weights, dtype=torch.float64, requires_grad=True)
        packed, _ = packed_of(setup, tables, {name: live})
        assert bool(packed.sources[4].isnan().any()) is not is_right
    assert name in values


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
    setup, tables, _ = _prepared(scene)
    packed, _ = packed_of(setup, tables, values)
    sizes, _ = _with_tensors(setup, tables, {k: v.detach() for k, v in values.items()})
    return _weighted(packed, sizes).sin()


def _smooth_values(scene: str) -> Values:
    values = _shaken(_prepared(scene)[2])
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
        setup, tables, _ = _prepared(scene)
        packed, _ = packed_of(setup, tables, moved)
        return torch.autograd.grad(
            _weighted(packed, sizes).sin(), leaves, create_graph=create_graph
        )

    sizes, _ = packed_of(*_prepared(scene)[:2], {k: v.detach() for k, v in values.items()})
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
    setup, tables, values = _prepared(scene)
    value = values[name]
    sizes, _ = _with_tensors(setup, tables, {name: value})

    def total(live: torch.Tensor) -> torch.Tensor:
        packed, _ = packed_of(setup, tables, {name: live})
        return _weighted(packed, sizes)

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
    setup, tables, _ = _prepared("rotation")
    packed, template = packed_of(setup, tables, {})
    need, need_template = _with_tensors(setup, tables, {})
    assert template == need_template
    assert torch.equal(packed.numbers, need.numbers)
    assert template.live == []
    assert set_up(*ALL["rotation"]()).roi == setup.roi
