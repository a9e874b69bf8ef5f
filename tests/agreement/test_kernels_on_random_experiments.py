"""The compiled kernels against the eager one on random experiments with random quirks: values and
the derivatives by every parameter, in both number types.

All shapes, sizes of up to 1000 cells, fudge factors from 0.01 to 100, so that much of what is not
a parallelepiped underflows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from exact_interference import interference
from for_each import for_each
from random_experiments import random_experiment, random_quirks, random_table
from torch_scenes import projection, together
from with_torch import torch

import nanobragg_hybrid as nb
from agreement import relative_l2
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.model.conventions import SHAPES

WHOLE, BROKEN = 300, 60
"""How many experiments with whole numbers of cells, and without."""

DOUBLE, SINGLE = 1e-13, 1e-5
"""Relative L2 of values."""

FALLING_OFF = 2e-13
"""The same where a shape falls off as exp(-x) or is a sphere's, whose exponent or argument brings
the roundings of an index with it; measured 1.1e-13 for one of 300, 1.4e-14 for the next."""

CURVED, CURVED_POLES = 1e-12, 1e-10
"""The same on curved detectors, for whole numbers of cells and others: sines of angles are right to
a rounding, and what is one of an index is multiplied by pi N, and next to a pole by much more.
Measured 3.7e-13 and 1.8e-11."""

GRADIENT, SINGLE_GRADIENT = 1e-11, 1e-4
"""Of a parameter's gradient: the norm of the difference, over that of what is added up for it."""

PARALLELEPIPED = 1e-10
"""The same for a parallelepiped.  The model rounds pi h N, 1e-16 of up to 1e5 turns, and the eager
kernel's values have that rounding while all that comes with derivatives is made of exact phases in
the compiled ones; besides, both kernels round h.  Measured 3.3e-11 for one of 300 (a distance,
whose terms cancel), others below 1e-11."""

POLES = 1e-9
"""The same for N that are not whole: next to a pole both roundings count much more.  Measured
3.4e-10."""

SINGLE_TIMES = 5.0
"""How much more than the eager kernel's own float32 the compiled one may lose, where that is more
than SINGLE_GRADIENT: on a peak terms cancel that N multiplies."""

LEAST_LIGHT = 1e-30
"""Of the weighted sum of values: below it float32 has no digits, nor has float64 in the end."""

MOST_LIGHT = 1e36
"""Of a pixel in float32: running products may be larger than its largest number."""

ROUNDING, SINGLE_ROUNDING = 1e-14, 1e-6
"""Of the sum of the values, for a change of a parameter by its unit: derivatives below are what
is left of terms that cancel, all of them where nothing depends on a parameter."""

RENDERED_AT_LEAST = 0.9
"""Share of the random experiments that the compiled kernels render."""


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """Little work at a time: threads would wait for each other."""


class Case(NamedTuple):
    seed: int
    experiment: nb.Experiment
    factors: nb.StructureFactors
    quirks: nb.Quirks

    def model(self, kernel: str, dtype: str = "float64") -> ForwardModel:
        return ForwardModel(*self[1:], dtype, kernel=kernel)


def drawn(seed: int, *, is_whole: bool) -> Case:
    """All shapes and sizes."""
    random = np.random.default_rng(9000 + seed)
    experiment, factors = random_experiment(random), random_table(random)
    quirks = random_quirks(random)
    shape = str(random.choice(["square", *SHAPES]))
    n_cells = 10.0 ** random.uniform(0.0, random.uniform(0.3, 3.0), 3)
    changes: dict[str, Any] = {
        "crystal.n_cells": tuple((np.round(n_cells) if is_whole else n_cells).tolist()),
        "crystal.shape": shape,
        "crystal.shape_fudge": float(10.0 ** random.uniform(-2.0, 2.0)),
    }
    return Case(seed, experiment.replace(changes), factors, quirks)


@cache
def cases(*, is_whole: bool) -> tuple[tuple[Case, ...], int]:
    """Those that the compiled kernels render, and how many were drawn for them."""
    found: list[Case] = []
    for seed in itertools.count():
        if len(found) == (WHOLE if is_whole else BROKEN):
            return tuple(found), seed
        case = drawn(seed, is_whole=is_whole)
        model = case.model("auto")
        if model.eager_reason is None and model.active_pixels.count > 0:
            found.append(case)
    raise AssertionError


Values = dict[str, torch.Tensor]


def differentiable(values: Values) -> Values:
    return {name: value.clone().requires_grad_() for name, value in values.items()}


def rendered(model: ForwardModel, values: Values) -> tuple[torch.Tensor, Values]:
    """Pixels, and the derivatives of their weighted sum; float64."""
    leaves = differentiable(values)
    pixels = model.pixels(leaves).to(torch.float64)
    gradients = torch.autograd.grad((pixels * weights(model)).sum(), list(leaves.values()))
    return pixels.detach(), dict(zip(leaves, gradients, strict=True))


def weights(model: ForwardModel) -> torch.Tensor:
    return projection((model.active_pixels.count,))


def unit_of(name: str, value: torch.Tensor) -> float:
    """A radian, or its own size."""
    if name.endswith("_deg") and name != "crystal.cell_deg":
        return float(np.degrees(1.0))
    return float(value.abs().max()) or 1.0


def added_up(model: ForwardModel, values: Values, name: str) -> float:
    """The norm of a gradient whose pixels do not cancel each other."""
    if name == "structure_factors.grid":
        return 0.0
    _, columns = model.jacobian({name: values[name]}, [name])
    return float((weights(model)[:, None] * columns).abs().sum(0).norm())


def wrong_gradients(
    model: ForwardModel, values: Values, got: Values, need: Values, light: float, limit: float
) -> Iterator[tuple[str, float]]:
    """Those that are too far off, and how far: the light is the sum that was differentiated."""
    for name, value in values.items():
        error, size = float((got[name] - need[name]).norm()), float(need[name].norm())
        rounding = ROUNDING if model.dtype == torch.float64 else SINGLE_ROUNDING
        floor = rounding * light / unit_of(name, value)
        if error <= limit * size + floor:
            continue
        size = max(size, added_up(model, values, name))
        if not error <= limit * size + floor:
            yield name, error / size if size > 0.0 else error


def disagreements(case: Case, gradient_limit: float) -> list[str]:
    """What is wrong between the kernels."""
    compiled = case.model("compiled")
    values = together(compiled)
    need, slopes = rendered(case.model("eager"), values)
    got, own_slopes = rendered(compiled, values)
    light = float((weights(compiled) * need).sum())
    value_limit = DOUBLE if case.experiment.crystal.shape == "square" else FALLING_OFF
    if case.experiment.detector.curved:
        value_limit = CURVED_POLES if gradient_limit == POLES else CURVED
    found = []
    if not relative_l2(got.numpy(), need.numpy()) <= value_limit:
        found.append(f"values: {relative_l2(got.numpy(), need.numpy()):.1e}")
    if light < LEAST_LIGHT:
        return found
    wrong = wrong_gradients(compiled, values, own_slopes, slopes, light, gradient_limit)
    found += [f"{name}: {error:.1e}" for name, error in wrong]
    if float(need.max()) > MOST_LIGHT:
        return found
    return found + single_disagreements(case, values, need, slopes)


def single_disagreements(
    case: Case, values: Values, need: torch.Tensor, slopes: Values
) -> list[str]:
    """The same for float32, given what float64 has."""
    model = case.model("compiled", "float32")
    light = float((weights(model) * need).sum())
    got, own_slopes = rendered(model, values)
    found = []
    if not relative_l2(got.numpy(), need.numpy()) <= SINGLE:
        found.append(f"float32 values: {relative_l2(got.numpy(), need.numpy()):.1e}")
    wrong = list(wrong_gradients(model, values, own_slopes, slopes, light, SINGLE_GRADIENT))
    if wrong:
        _, eager_slopes = rendered(case.model("eager", "float32"), values)
        for name, error in wrong:
            own, eager = (
                float((x[name] - slopes[name]).norm()) for x in (own_slopes, eager_slopes)
            )
            if not own <= SINGLE_TIMES * eager:
                found.append(f"float32 {name}: {error:.1e}, {own / eager:.1f} times eager")
    return found


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("number", range(WHOLE))
def test_whole_numbers_of_cells(number: int) -> None:
    case = cases(is_whole=True)[0][number]
    limit = PARALLELEPIPED if case.experiment.crystal.shape == "square" else GRADIENT
    assert (case.seed, disagreements(case, limit)) == (case.seed, [])


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("number", range(BROKEN))
def test_other_numbers_of_cells(number: int) -> None:
    case = cases(is_whole=False)[0][number]
    limit = POLES if case.experiment.crystal.shape == "square" else GRADIENT
    assert (case.seed, disagreements(case, limit)) == (case.seed, [])


@cache
def lit() -> list[Case]:
    """Those whose derivatives are looked at."""
    return [
        case
        for case in cases(is_whole=True)[0]
        if float(case.model("compiled").pixels().sum()) > LEAST_LIGHT
    ]


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
def test_what_the_experiments_have() -> None:
    found, count = cases(is_whole=True)
    assert len(found) > RENDERED_AT_LEAST * count
    assert len(lit()) > 0.5 * len(found)
    shapes = [case.experiment.crystal.shape for case in found]
    assert all(shapes.count(shape) > WHOLE // 15 for shape in SHAPES)
    assert max(max(case.experiment.crystal.n_cells) for case in found) > 500
    choices = [case.model("compiled").setup.choices for case in found]
    assert sum(each.running_product for each in choices) > WHOLE // 10
    assert sum(each.is_curved for each in choices) > WHOLE // 20
    assert sum(each.is_sphere for each in choices) > WHOLE // 20
    for quirk in nb.LEDGER:
        positions = {getattr(case.quirks, quirk.name) for case in found}
        assert positions == {True, False} or quirk.name.startswith(("impossible", "c")), quirk.name


def test_the_sum_whose_rounding_counts() -> None:
    """Of a large N h: the model's rounding of pi h N is 7e-12 of S, which exact phases do not
    have."""
    n, h = 783.0, -4.000050595180204
    exact = interference(h, n)
    x = np.pi * h
    as_rounded = (np.sin(n * x) / np.sin(x)) ** 2
    d = h + 4.0
    as_phases = (np.sin(np.pi * (n * d)) / np.sin(np.pi * d)) ** 2
    assert 1e-12 < abs(as_rounded / exact.value - 1.0) < 1e-11
    assert abs(as_phases / exact.value - 1.0) < 1e-14


def test_a_wrong_gradient_is_seen() -> None:
    name = "beam.fluence_photons_per_m2"
    case = lit()[0]
    model = case.model("compiled")
    values = {name: model.initial(name)}
    pixels, slopes = rendered(model, values)
    light = float((weights(model) * pixels).sum())
    wrong = {name: slopes[name] * (1.0 + 1e-9)}
    assert list(wrong_gradients(model, values, slopes, slopes, light, GRADIENT)) == []
    (found,) = wrong_gradients(model, values, wrong, slopes, light, GRADIENT)
    assert found == (name, pytest.approx(1e-9, rel=1e-4))
