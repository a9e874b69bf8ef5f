"""The compiled kernels against the eager one over all recorded cases: which of them they render,
and that the pixels are the same.

Of an image that takes long a part of the pixels, from the first to the last.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from for_each import for_each
from recorded import INPUTS, table
from with_torch import torch

import nanobragg_hybrid as nb
from agreement import experiment_of, relative_l2
from nanobragg_hybrid.engines.torch import ForwardModel, Selection
from nanobragg_hybrid.engines.torch.compiled.kernel import CompiledKernel, CompiledPiece
from nanobragg_hybrid.engines.torch.scenes.packing import Packed

MOST_STEPS = 3 * 10**5
"""Of the part of an image that is looked at."""

DOUBLE, SINGLE = 1e-13, 1e-5
"""Relative L2; measured: 7e-15 (`samplesize_xyz`, N up to 5000) and 3.2e-7."""

CURVED = 1e-12
"""The same on curved detectors, whose sines are right to a rounding; measured 1.2e-13."""

LARGE_F = "a structure factor, or its square, is too large for a double"
WAVELENGTH = "a wavelength is 0 or too small, too large, or no number"
TOO_LARGE = "Miller indices, or their products with numbers of cells, are too large"

LEFT_TO_EAGER = {
    TOO_LARGE: "more/cases:cell_flat",
    LARGE_F: "cases:dump_whitespace",
    WAVELENGTH: """
        cases:sourcefile_comment more/cases:source_hash more/cases:source_hash_a
        more/cases:source_hash_abc more/cases:source_word
        more/cases:source_tail_hash more/cases:source_bar more/cases:source_slash
        more/cases:source_dos more/cases:source_no_newline
    """,
}
"""Which cases the compiled kernels do not render, by the reason.  The large F are bytes that were
never meant as numbers; the wavelengths come from lines of source files that have none; indices are
too large in a cell without a volume."""

WITHOUT_LIGHT = {
    "cases:roi_reversed",
    "cases:dark",
    "cases:hkl_fivecol",
    "cases:os_thick_no_sensor",
    "cases:abs_inf_then_thick",
}
"""No active pixel, no light, no structure factor other than 0, and sensors that absorb nothing."""

PRESETS = {"cases": nb.Quirks(), "more/cases": nb.Quirks(),
           "cases_fixed": nb.Quirks.nanobragg_fixed()}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """Little work at a time: threads would wait for each other."""


def names() -> Iterator[str]:
    """Every case that has an image, TABLE:CASE."""
    for name in PRESETS:
        for case, recorded in table(name).items():
            if recorded.get("exit", 0) == 0:
                yield f"{name}:{case}"


NAMES = list(names())


@cache
def scene(args: str) -> tuple[nb.Experiment, nb.StructureFactors]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)  # of odd files, which are wanted here
        return experiment_of(args, INPUTS)


def model_of(name: str, kernel: str, dtype: str = "float64") -> ForwardModel:
    preset, case = name.split(":")
    recorded = table(preset)[case]
    args = recorded["args"] if "args" in recorded else table("cases")[case]["args"]
    return ForwardModel(*scene(args), PRESETS[preset], dtype, kernel=kernel)


def chosen(model: ForwardModel) -> Selection:
    """Active pixels, so many that they have MOST_STEPS steps at most."""
    active = model.active_pixels
    count = min(active.count, max(1, MOST_STEPS // model.setup.choices.steps_per_pixel))
    every = np.linspace(0, active.count - 1, count).astype(np.int64)
    slow_fast = torch.cat(active.numbers(0, active.count, torch.device("cpu")), 1)
    return Selection.pixels(slow_fast.to(torch.int64)[every])


class Found(NamedTuple):
    """Pixels by the eager kernel, and by the compiled ones in both number types; compiled: how many
    of these were theirs."""

    eager: np.ndarray
    double: np.ndarray
    single: np.ndarray
    compiled: int


def found(name: str) -> Found:
    models = model_of(name, "eager"), model_of(name, "compiled"), model_of(name, "auto", "float32")
    select = chosen(models[0])
    counted = 0
    inner = CompiledKernel.values

    def counting(self: CompiledKernel, piece: CompiledPiece, packed: Packed) -> torch.Tensor:
        nonlocal counted
        counted += len(piece.slow)
        return inner(self, piece, packed)

    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        eager = models[0].pixels({}, select).numpy()
        patch.setattr(CompiledKernel, "values", counting)
        double, single = (each.pixels({}, select).numpy() for each in models[1:])
    return Found(eager, double, single, counted // 2)


def test_which_cases_the_compiled_kernels_render() -> None:
    """All but those of the table: a reason more, or a case, is a loss that has to be meant."""
    reasons = {name: model_of(name, "auto").eager_reason for name in NAMES}
    expected = {name: why for why, cases in LEFT_TO_EAGER.items() for name in cases.split()}
    assert {name: why for name, why in reasons.items() if why is not None} == expected
    assert len(NAMES) - len(expected) == 253


RENDERED = [
    name
    for name in NAMES
    if not any(name in cases.split() for cases in LEFT_TO_EAGER.values())
    and name != "cases:roi_reversed"
]


def difference(got: np.ndarray, need: np.ndarray) -> float:
    """Relative L2 of the finite pixels, infinite if others are not the same."""
    with np.errstate(over="ignore"):
        need = need.astype(got.dtype)
    finite = np.isfinite(need)
    if not np.array_equal(got[~finite], need[~finite], equal_nan=True):
        return float("inf")
    return relative_l2(got[finite], need[finite])


@for_each("name", RENDERED)
def test_pixels(name: str) -> None:
    """Nearly all are the compiled kernels' own: the first of the run may not be, nor the one that
    ends interpolation."""
    pixels = found(name)
    assert pixels.compiled >= len(pixels.eager) - 2
    assert bool(pixels.eager.any()) is (name not in WITHOUT_LIGHT)
    limit = CURVED if ":curved" in name else DOUBLE
    assert difference(pixels.double, pixels.eager) <= limit
    assert difference(pixels.single, pixels.eager) <= SINGLE


def test_no_pixel() -> None:
    assert found("cases:roi_reversed").double.shape == (0,)


def test_a_difference_is_seen() -> None:
    need = np.array([1.0, np.inf, np.nan, 2.0])
    assert difference(need, need) == 0.0
    assert difference(np.array([1.0, -np.inf, np.nan, 2.0]), need) == np.inf
    assert difference(np.array([1.0, np.inf, 0.0, 2.0]), need) == np.inf
    assert 1e-13 < difference(np.array([1.0 + 1e-12, np.inf, np.nan, 2.0]), need) < 1e-12
