"""Wrong kinds of arguments are errors of ours that name the argument, the value and the rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.base import host
from nanobragg_hybrid.engines.torch import ForwardModel, TorchEngine

EXPERIMENT = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(3, 4, 5)),
    detector=nb.Detector(n_fast=3, n_slow=2, pixel_size_mm=2.0),
    sampling=nb.Sampling(oversample=1),
)
FACTORS = nb.StructureFactors.constant(100.0)
MODEL = ForwardModel(EXPERIMENT, FACTORS)
CELL = "crystal.cell_angstrom"
PARAMETER = next(each for each in MODEL.parameters() if each.name == CELL)
VALUE = MODEL.initial(CELL)
ENGINE = TorchEngine()
reflections = nb.StructureFactors.from_reflections
grid = nb.StructureFactors.from_grid
LEAF = torch.ones(2, 2, 2, requires_grad=True)
WITH_GRADIENT = "a Tensor that numpy makes no array of .* need an array of numbers"


def _value(value: Any) -> Callable[[], object]:
    return partial(MODEL, {CELL: value})


REFUSED: list[tuple[str, Callable[..., object], str]] = [
    ("list", partial(MODEL, [1]), r"values: got \[1\], need a mapping from names"),
    ("empty list", partial(MODEL, []), r"values: got \[\], need a mapping from names"),
    (
        "kernel",
        partial(ForwardModel, EXPERIMENT, FACTORS, kernel="fast"),
        "kernel: got 'fast', need one of auto, compiled, triton, eager",
    ),
    ("zero", partial(MODEL, 0), "values: got 0, need a mapping"),
    ("a tensor alone", partial(MODEL, VALUE), "values: got .*need a mapping"),
    ("number as name", partial(MODEL, {3: VALUE}), "parameter: got 3, need the name of a"),
    ("None as name", partial(MODEL, {None: VALUE}), "parameter: got None, need the name"),
    ("unknown", partial(MODEL, {"x": VALUE}), "values: got 'x', need a name that parameters"),
    ("twice", partial(MODEL, {CELL: VALUE, PARAMETER: VALUE}), "got two values, need one"),
    ("float", _value(70.0), r"values\[crystal.cell_angstrom\]: got 70.0, need a tensor of real"),
    ("array", _value(np.ones(3)), "need a tensor of real"),
    ("None", _value(None), "got None, need a tensor of real"),
    ("integers", _value(torch.ones(3, dtype=torch.int64)), "got torch.strided of torch.int64"),
    ("complex", _value(torch.ones(3, dtype=torch.complex128)), "of torch.complex128, need a dense"),
    ("booleans", _value(torch.ones(3, dtype=torch.bool)), "of torch.bool, need a dense"),
    ("sparse", _value(VALUE.to_sparse()), "got torch.sparse_coo of torch.float64, need a dense"),
    ("shape", _value(torch.ones(4)), r"got shape \(4,\), need shape \(3,\), or that with a batch"),
    ("shape ()", _value(torch.ones(())), r"got shape \(\), need shape \(3,\)"),
    ("two batches", _value(torch.ones(1, 1, 3)), r"got shape \(1, 1, 3\)"),
    ("no batch", _value(torch.ones(0, 3)), r"values: got batches of \[0\], need one length >= 1"),
    ("meta", _value(torch.ones(3, device="meta")), "a tensor on meta, need one on cpu"),
    ("progress", partial(MODEL, {}, progress=3), "progress: got 3, need a function"),
    ("initial of 3", partial(MODEL.initial, 3), "parameter: got 3, need the name"),
    ("initial of x", partial(MODEL.initial, "x"), "values: got 'x', need a name"),
    ("initial of a list", partial(MODEL.initial, [CELL]), r"parameter: got \['crystal"),
    ("config", partial(ForwardModel, 3, FACTORS), "config: got 3, need an object of class Exp"),
    ("factors", partial(ForwardModel, EXPERIMENT, 3), "structure_factors: got 3, need an object"),
    ("quirks", partial(ForwardModel, EXPERIMENT, FACTORS, "x"), "quirks: got 'x', need an object"),
    ("dtype", partial(ForwardModel, EXPERIMENT, FACTORS, dtype=3), "dtype: got '3', need float64"),
    ("dtype array", partial(ForwardModel, EXPERIMENT, FACTORS, dtype=np.ones(2)), "dtype: got"),
    ("device", partial(ForwardModel, EXPERIMENT, FACTORS, device="x"), "no device 'x'; available"),
    ("device list", partial(ForwardModel, EXPERIMENT, FACTORS, device=[1]), r"no device \[1\]"),
    ("tiles", partial(ForwardModel, EXPERIMENT, FACTORS, tile_steps=0), "tile_steps: got 0, need"),
    ("engine device", partial(TorchEngine(device=[1]).prepare, EXPERIMENT, FACTORS, nb.Quirks()),
     r"no device \[1\]"),
    ("memory of 3", partial(ENGINE.memory_needed, 3, FACTORS), "experiment: got 3, need an object"),
    ("memory with 3", partial(ENGINE.memory_needed, EXPERIMENT, 3), "structure_factors: got 3"),
    ("prepare 3", partial(ENGINE.prepare, 3, FACTORS, nb.Quirks()), "config: got 3, need"),
    ("at a list", partial(ENGINE.structure_factors_at, FACTORS, [[0, 0, 0]]), "hkl: got .*need a"),
    ("at a row", partial(ENGINE.structure_factors_at, FACTORS, np.zeros(3)), "hkl: got .*need a f"),
    ("at of 3", partial(ENGINE.structure_factors_at, 3, np.zeros((1, 3))), "factors: got 3"),
    ("grid with gradient", partial(grid, LEAF, (0, 0, 0)), f"grid: got {WITH_GRADIENT}"),
    ("grid, sparse", partial(grid, torch.ones(2, 2, 2).to_sparse(), (0, 0, 0)), "grid: got a"),
    ("class with gradient", partial(nb.StructureFactors, LEAF), f"grid: got {WITH_GRADIENT}"),
    ("ragged grid", partial(grid, [[[1.0], [1.0, 2.0]]], (0, 0, 0)), "grid: got a list that"),
    ("grid, complex", partial(grid, torch.ones(2, 2, 2, dtype=torch.complex64), (0, 0, 0)),
     "structure_factors.grid: got complex64"),
    ("hkl_min", partial(grid, np.ones((2, 2, 2)), 5), r"hkl_min: got \(5,\), need three integers"),
    ("amplitudes with gradient", partial(reflections, [[0, 0, 0], [0, 0, 1]], LEAF[0, 0]),
     f"factors.amplitudes: got {WITH_GRADIENT}"),
    ("indices with gradient", partial(reflections, torch.zeros(1, 3, requires_grad=True), [1.0]),
     f"factors.indices: got {WITH_GRADIENT}"),
    ("ragged indices", partial(reflections, [[0, 0, 0], [1]], [1.0, 2.0]), "indices: got a"),
]  # fmt: skip


@for_each("name, use, message", REFUSED, ids=lambda row: row[0])
def test_wrong_kinds(name: str, use: Callable[..., object], message: str) -> None:
    del name
    with pytest.raises(nb.NanobraggError, match=message):
        use()


def test_their_neighbours_are_fine() -> None:
    image = MODEL()
    for values in (None, {}, {CELL: VALUE}, {PARAMETER: VALUE}, {CELL: VALUE.to(torch.float32)}):
        assert torch.allclose(MODEL(values), image, rtol=1e-12)
    assert torch.equal(MODEL({PARAMETER: VALUE.expand(2, 3)}), MODEL({CELL: VALUE.expand(2, 3)}))
    assert torch.equal(MODEL.initial(PARAMETER), VALUE)
    assert ENGINE.structure_factors_at(FACTORS, np.zeros((2, 3))).tolist() == [100.0, 100.0]
    table = grid(LEAF.detach(), (0, 0, 0))
    assert table == reflections(torch.tensor(np.argwhere(np.ones((2, 2, 2)))), torch.ones(8))
    assert table.grid is not None
    assert table.grid.shape == (2, 2, 2)


def test_every_parameter_is_its_name() -> None:
    for each in MODEL.parameters():
        assert torch.equal(MODEL.initial(each), MODEL.initial(each.name))


def test_an_image_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is made: 6 pixels of 8 bytes, and as many values."""
    monkeypatch.setattr(host, "available_memory_bytes", lambda: (96, "the test has"))
    ForwardModel(EXPERIMENT, FACTORS)
    monkeypatch.setattr(host, "available_memory_bytes", lambda: (95, "the test has"))
    with pytest.raises(nb.ResourceError, match=r"need 96 bytes .*float64 image 48 bytes"):
        ForwardModel(EXPERIMENT, FACTORS)
    monkeypatch.undo()
    large = EXPERIMENT.replace({"detector.n_fast": 2**30, "detector.n_slow": 2**30})
    with pytest.raises(nb.ResourceError, match=r"need \d+ bytes of memory \(float64 image"):
        ForwardModel(large, FACTORS)


UNGIVEN = 'False, or kernel="triton": the engine, which was given no kernel,'
WITH_EXACT = '"triton" with exact=True'


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (None, f'exact: got True, need {UNGIVEN} renders by "compiled" on cpu'),
        ("auto", f'kernel: got \'auto\', need {WITH_EXACT}: "auto" renders by "compiled" on cpu'),
        ("eager", f"kernel: got 'eager', need {WITH_EXACT} (kernel=\"eager\" was asked for)"),
        ("compiled", f"kernel: got 'compiled', need {WITH_EXACT}"),
    ],
)
def test_exact_names_the_kernel_as_it_was_given(kernel: str | None, message: str) -> None:
    """What no one gave is not what was got."""
    with pytest.raises(nb.ConfigError) as caught:
        TorchEngine(kernel=kernel, exact=True).prepare(EXPERIMENT, FACTORS, nb.Quirks())
    assert str(caught.value) == message
    inexact = TorchEngine(kernel=kernel).prepare(EXPERIMENT, FACTORS, nb.Quirks())
    assert inexact.model.rendered_by != "triton"
