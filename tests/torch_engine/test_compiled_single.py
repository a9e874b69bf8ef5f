"""Compiled scenes in single precision against those in double precision (docs/accuracy.md)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from for_each import for_each
from torch import Tensor

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.compiled.bridge import CompiledScene, kernel_choices, why_not
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS, Packed, Template, pack
from nanobragg_hybrid.engines.torch.scenes.scene import Choices
from nanobragg_hybrid.model.conventions import Shape

CPU = torch.device("cpu")
SLOW, FAST = (x.ravel().astype(np.int32) for x in np.mgrid[0:20, 0:20])


class Case(NamedTuple):
    packed: Packed
    template: Template
    choices: Choices

    def scene(self, dtype: torch.dtype) -> CompiledScene:
        packed = self.packed
        assert why_not(dtype, CPU) is None
        choices = kernel_choices(
            self.choices, self.template, interpolate=self.choices.interpolate, dtype=dtype
        )
        tensors = (packed.numbers, packed.sources, packed.cells, packed.grid)
        return CompiledScene(*tensors, choices, self.choices.dmin_m)


def case_of(shape: Shape, *, has_table: bool) -> Case:
    experiment = nb.Experiment(
        crystal=nb.Crystal(
            cell_angstrom=(70, 80, 90),
            cell_deg=(75, 85, 95),
            misset_deg=(10, 20, 30),
            n_cells=(5, 6, 7),
            mosaic_domains=3,
            mosaic_spread_deg=0.5,
            shape=shape,
        ),
        detector=nb.Detector(n_fast=20, n_slow=20),
    )
    factors = nb.StructureFactors.constant(100.0)
    if has_table:
        grid = np.random.default_rng(0).uniform(10.0, 100.0, (31, 31, 31))
        factors = nb.StructureFactors(grid=grid, hkl_min=(-15, -15, -15), default_f=3.0)
    model = ForwardModel(experiment, factors)
    packed, template = pack(model.scene({}))
    return Case(packed, template, model.setup.choices)


def error_of(found: Tensor, expected: Tensor) -> float:
    assert bool(expected.any())
    return float((found - expected).norm() / expected.norm())


@for_each(
    "shape, has_table",
    [
        ("square", False),
        ("square", True),
        ("round", False),
        ("gauss", True),
        ("gauss_hkl", False),
    ],
)
def test_values_and_derivatives(shape: Shape, has_table: bool) -> None:
    case = case_of(shape, has_table=has_table)
    single, double = case.scene(torch.float32), case.scene(torch.float64)
    values = single.values(SLOW, FAST)
    assert 0.0 < error_of(values, double.values(SLOW, FAST)) < 1e-6
    weight = torch.linspace(0.5, 1.5, len(SLOW), dtype=torch.float64)
    pairs = zip(
        single.gradients(SLOW, FAST, weight, want_grid=True),
        double.gradients(SLOW, FAST, weight, want_grid=True),
        strict=True,
    )
    for found, expected in pairs:
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert error_of(found, expected) < 1e-4
    orientations = len(case.packed.cells)
    numbers = np.zeros((4, len(NUMBERS)))
    for row, name in enumerate(("n_cells.0", "fudge", "strength")):
        numbers[row, NUMBERS.index(name)] = 1.0
    changes = {
        "numbers": numbers,
        "sources": np.zeros((4, *case.packed.sources.shape)),
        "rotations": np.tile(np.eye(3), (orientations, 1, 1)),
        "reference_cell": np.eye(4, 9)[::-1].copy() * 1e-10,
        "turning": [(2, np.full((orientations, 9), 1e-11))],
    }
    (again, found), (_, expected) = (
        scene.jacobian(SLOW, FAST, **changes)  # type: ignore[arg-type]
        for scene in (single, double)
    )
    assert error_of(again, values) < 1e-6
    for row in range(4):
        assert error_of(found[row], expected[row]) < 1e-4, row


@pytest.mark.parametrize("dtype", [torch.float16, torch.complex128])
def test_other_types_are_refused(dtype: torch.dtype) -> None:
    found = why_not(dtype, CPU)
    assert found == f"the compiled kernels compute in float64 or float32, not in {dtype}"
