"""Triton's kernels on recorded cases: of the cases that want different things of a kernel the one
with the fewest steps a pixel, and few of its pixels."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Hashable
from functools import cache

import numpy as np
import triton_scenes  # noqa: F401 (skips where Triton is not installed)
from recorded import INPUTS, table
from with_torch import torch

import nanobragg_hybrid as nb
from agreement import experiment_of
from nanobragg_hybrid.engines.torch import ForwardModel, Selection
from nanobragg_hybrid.engines.torch.fused.kernel import FusedPiece

MOST_STEPS, MOST_STEPS_IN_SINGLE = 40, 4
"""Of a pixel; the interpreter takes some 10 ms for each."""

PIXELS = 60
PRESETS = {"cases": nb.Quirks(), "cases_fixed": nb.Quirks.nanobragg_fixed()}
COUNTS = ("oversample", "layers", "source_count", "orientations", "domains", "steps", "dmin_m")

DOUBLE, SINGLE = 1e-13, 1e-5
CURVED = 1e-12
"""On curved detectors, whose sines are right to a rounding."""


def _model(preset: str, case: str, kernel: str, dtype: str = "float64") -> ForwardModel:
    recorded = table(preset)[case]
    args = recorded["args"] if "args" in recorded else table("cases")[case]["args"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)
        scene = experiment_of(args, INPUTS)
    return ForwardModel(*scene, PRESETS[preset], dtype, kernel=kernel)


def _wanted_of_a_kernel(model: ForwardModel) -> Hashable:
    """What is discrete about a scene, whatever the counts are beyond 1."""
    choices = model.setup.choices
    several = {name: float(getattr(choices, name)) > 1.0 for name in COUNTS}
    weights = choices.domain_weights is not None
    same = dataclasses.replace(choices, domain_weights=None, **dict.fromkeys(COUNTS, 0))
    return same, tuple(several.values()), weights, model.setup.grid is None


@cache
def chosen_cases() -> dict[tuple[str, str], int]:
    """Table and case, and how many steps one of its pixels has."""
    found: dict[Hashable, tuple[int, tuple[str, str]]] = {}
    for preset in PRESETS:
        for case, recorded in table(preset).items():
            if recorded.get("exit", 0) != 0:
                continue
            model = _model(preset, case, "eager")
            if model.eager_reason is None or model.active_pixels.count == 0:
                continue
            steps = model.setup.choices.steps_per_pixel
            key = _wanted_of_a_kernel(model)
            if steps <= MOST_STEPS and (key not in found or steps < found[key][0]):
                found[key] = steps, (preset, case)
    return {name: steps for steps, name in found.values()}


def _some_pixels(model: ForwardModel) -> Selection:
    active = model.active_pixels
    every = np.linspace(0, active.count - 1, min(active.count, PIXELS)).astype(np.int64)
    slow_fast = torch.cat(active.numbers(0, active.count, torch.device("cpu")), 1)
    return Selection.pixels(slow_fast.to(torch.int64)[every])


def _distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Relative, in L2, of what is finite; what is not is the same."""
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(found), finite)
    size = float(np.linalg.norm(expected[finite]))
    off = float(np.linalg.norm(found[finite] - expected[finite]))
    return off / size if size > 0.0 else off


def test_there_are_cases_of_every_kind() -> None:
    cases = chosen_cases()
    assert len(cases) >= 20
    shapes = {_model(*name, "eager").setup.choices.shape for name in cases}
    assert {"square", "round", "gauss", "tophat"} <= shapes


def test_they_are_the_eager_kernels_pixels() -> None:
    wrong, rendered = {}, []
    for name, steps in chosen_cases().items():
        eager = _model(*name, "eager")
        select = _some_pixels(eager)
        expected = eager.pixels({}, select).numpy()
        for dtype, limit in (("float64", DOUBLE), ("float32", SINGLE)):
            if dtype == "float32" and steps > MOST_STEPS_IN_SINGLE:
                continue
            own = _model(*name, "triton", dtype)
            pieces = own._render(*own._packed({}), own._chosen(select))
            kinds = {type(piece) for piece in pieces[0].pieces(pieces[1], 0)}
            if FusedPiece in kinds:
                rendered.append((name, dtype))
            off = _distance(own.pixels({}, select).double().numpy(), expected)
            is_curved = eager.setup.choices.is_curved and dtype == "float64"
            if not off <= (CURVED if is_curved else limit):
                wrong[*name, dtype] = off
    assert wrong == {}
    assert len(rendered) >= 30
    assert {dtype for _, dtype in rendered} == {"float64", "float32"}
