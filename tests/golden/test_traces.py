"""The chain of numbers behind single pixels, to all digits that were recorded."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import PILATUS_ARGS, table
from structure_factor_files import structure_factors_of

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.plan import Plan
from nanobragg_hybrid.formats.trace_text import trace_texts
from nanobragg_hybrid.model.trace import STEP_INDICES

CASES = table("cases")
TRACES = table("traces")

# Integers: there is no -0.
WHOLE = {
    "fast",
    "slow",
    "hkl_rounded",
    "steps",
    "oversample_thick",
    "oversample_polar",
    "oversample_omega",
}
TORCH = 1e-12  # relative; of a vector, to its length

# Recorded name -> format it was printed in, where our trace has it, and the factor to its unit; of
# the last step.
PRINTED: dict[str, tuple[str, str, float]] = {
    "fast": ("%d", "fast", 1.0),
    "slow": ("%d", "slow", 1.0),
    "stol": ("%g", "last.stol_per_m", 1.0),
    "pixel_pos": ("%g", "last.pixel_pos_m", 1.0),
    "hkl": ("%.6f", "last.hkl", 1.0),
    "hkl0": ("%d", "last.hkl_rounded", 1.0),
    "F_cell": ("%g", "last.f_cell", 1.0),
    "F_latt": ("%g", "last.f_latt", 1.0),
    "I": ("%g", "i_before_scaling", 1.0),
    "I_over_steps": ("%.10g", "i_over_steps", 1.0),
    "polar": ("%.10g", "polarization", 1.0),
    "omega": ("%.10g", "omega_sr", 1.0),
    "capture_fraction": ("%.10g", "capture_fraction", 1.0),
    "pixel": ("%.10g", "pixel_float", 1.0),
    "x_row": ("%.8f", "rows.0", 1e10),
    "y_row": ("%.8f", "rows.1", 1e10),
    "z_row": ("%.8f", "rows.2", 1e10),
}


def _at(tree: dict[str, Any], path: str, factor: float) -> list[float]:
    """What is at a dotted path, as a list, times `factor` (1 leaves integers alone)."""
    value: Any = tree
    for key in path.split("."):
        value = value[key]
    items = value if isinstance(value, list | tuple) else np.atleast_1d(value).tolist()
    return [item * factor if factor != 1.0 else item for item in items]


def _text(format_: str, values: list[float]) -> list[str]:
    return [format_ % (int(x) if format_ == "%d" else float(x)) for x in values]


def _traces(args: str, folder: Path, backend: str) -> nb.Prepared:
    experiment = nb.Experiment.from_nanobragg_args(args, folder)
    return nb.prepare(experiment, structure_factors_of(args, folder), backend=backend)


def _values(tracer: nb.Prepared, pixel: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    """Our numbers of a recorded pixel, whose step is the first one: of the first sub-pixel, source,
    phi step and domain."""
    (text,) = trace_texts(tracer.trace((int(pixel["fast"]), int(pixel["slow"]))))
    assert pixel.keys() <= text.values.keys()
    assert [text.values[name] for name in STEP_INDICES] == [(0.0,)] * len(STEP_INDICES)
    return text.values


def _is_recorded_build() -> bool:
    """Whether the library is built like nanoBragg when the traces were recorded."""
    return nb.build_info()["compiler"].startswith("gcc") and platform.machine() == "x86_64"


PROMISED_DIGITS = 15 if _is_recorded_build() else 14
"""Of C's trace lines.  gcc on x86-64 has all that are printed.  Other compilers evaluate single
functions of the C library at compile time, or take another C library's: a last bit of a double
differs then, which is a digit after the fifteenth but may turn that one (in two
recorded cases with clang)."""


def _same_digits(got: float, need: float) -> bool:
    if PROMISED_DIGITS == 15:
        return f"{got:.15g}" == f"{need:.15g}"
    return got == need or abs(got - need) <= 10.0 ** (1 - PROMISED_DIGITS) * abs(need)


def _check_digits(args: str, folder: Path, recorded: list[dict[str, Any]]) -> None:
    tracer = _traces(args, folder, "c")
    differ = []
    for pixel in recorded:
        values = _values(tracer, pixel)
        for name, numbers in pixel.items():
            got, need = list(values[name]), np.atleast_1d(numbers).tolist()
            if name in WHOLE:
                is_same = _text("%d", got) == _text("%d", need)
            else:
                is_same = all(map(_same_digits, got, need))
            if len(got) != len(need) or not is_same:
                differ.append(f"{name}: got {got}, need {need}")
    assert differ == []


def _check_torch(args: str, folder: Path, recorded: list[dict[str, Any]]) -> None:
    """The recorded numbers, and those of the C engine, which has a few more of them."""
    tracer, other = _traces(args, folder, "torch"), _traces(args, folder, "c")
    differ = []
    for pixel in recorded:
        values, exact = _values(tracer, pixel), _values(other, pixel)
        assert values.keys() == exact.keys()
        for name, numbers in [*pixel.items(), *exact.items()]:
            need, got = np.atleast_1d(numbers), np.array(values[name])
            if np.linalg.norm(got - need) > TORCH * np.linalg.norm(need):
                differ.append(f"{name}: got {got}, need {need}")
    assert differ == []


@pytest.mark.parametrize("digits", [14, 15])
def test_digits_that_are_promised(digits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "PROMISED_DIGITS", digits)
    assert _same_digits(0.123456789012345, 0.123456789012345)
    assert _same_digits(0.123456789012346, 0.123456789012345) is (digits == 14)
    assert not _same_digits(0.12345678901245, 0.12345678901235)
    assert not _same_digits(float("nan"), 1.0)


CHECKS = {"c": _check_digits, "torch": _check_torch}


@pytest.fixture(params=CHECKS)
def check(request: pytest.FixtureRequest) -> Callable[[str, Path, list[dict[str, Any]]], None]:
    """Checks the recorded pixels of a command line with one of the engines."""
    if request.param == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    return CHECKS[request.param]


@pytest.mark.parametrize("case", [name for name in TRACES if name != "pilatus"])
def test_trace(case: str, input_folder: Path, check: Callable[..., None]) -> None:
    recorded = TRACES[case]
    check(recorded["args"], input_folder, recorded["pixels"])


def test_trace_of_the_pilatus_frame(pilatus_folder: Path, check: Callable[..., None]) -> None:
    recorded = TRACES["pilatus"]
    assert recorded["args"].split() == PILATUS_ARGS.split()
    check(PILATUS_ARGS, pilatus_folder, recorded["pixels"])


@pytest.mark.parametrize("case", [name for name in CASES if "printout" in CASES[name]])
def test_printout(case: str, input_folder: Path) -> None:
    experiment = nb.Experiment.from_nanobragg_args(CASES[case]["args"], input_folder)
    factors = structure_factors_of(CASES[case]["args"], input_folder)
    differ = []
    for pixel in CASES[case]["printout"]:
        assert pixel.keys() == PRINTED.keys()
        fast, slow = int(pixel["fast"]), int(pixel["slow"])
        trace = Plan(experiment, factors, nb.Quirks()).trace(fast, slow)
        rows = [[trace["last"][f"{axis}_m"][i] for axis in "abc"] for i in range(3)]
        values = {
            **trace,
            "i_over_steps": trace["i_before_scaling"] / trace["steps"],
            "rows": {str(i): row for i, row in enumerate(rows)},
        }
        for name, (format_, path, factor) in PRINTED.items():
            got = _text(format_, _at(values, path, factor))
            need = [str(item) for item in np.atleast_1d(pixel[name]).tolist()]
            if got != need:
                differ.append(f"({fast}, {slow}) {name}: got {got}, need {need}")
    assert differ == []
