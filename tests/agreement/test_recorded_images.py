"""The torch engine against the recorded images: a choice of cases that has everything in it once.

`benchmarks/agreement_table.py` does the same for all cases and prints the figures.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest
from for_each import for_each
from recorded import INPUTS, image, table
from with_torch import torch

import nanobragg_hybrid as nb
from agreement import CHOSEN as CASES
from agreement import Figures, compare, experiment_of, relative_l2
from nanobragg_hybrid.engines.torch import ForwardModel

FIXED = ["phi0_carryover", "roi_phi0", "os_all", "kitchen"]

# Measured over all cases: float64 all pixels identical, 4e-14 before rounding; float32 3e-7.
ORDINARY = 1e-13
CURVED = 1e-12  # sines of angles there are right to a rounding only
SINGLE = 1e-5


@cache
def _scene(case: str) -> tuple[nb.Experiment, nb.StructureFactors]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)  # of odd files, which are wanted here
        return experiment_of(table("cases")[case]["args"], INPUTS)


# "auto" takes the compiled kernels where they render a case, on the CPU.
WAYS = pytest.mark.parametrize(
    ("device", "kernel"), [("cpu", "auto"), ("cpu", "eager"), ("cuda", "auto")], indirect=["device"]
)


@cache
def _image(
    case: str, quirks: nb.Quirks, dtype: torch.dtype, device: str, kernel: str
) -> np.ndarray:
    model = ForwardModel(*_scene(case), quirks, dtype, device, kernel=kernel)
    got: np.ndarray = model({}).cpu().numpy()
    return got


def _check_double(figures: Figures) -> None:
    assert figures.same_non_finite
    assert figures.identical >= 0.9999
    assert figures.max_ulp <= 1


@WAYS
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("case", CASES)
def test_double(case: str, device: str, kernel: str) -> None:
    got = _image(case, nb.Quirks(), torch.float64, device, kernel)
    assert got.dtype == np.float64
    _check_double(compare(got, image("images", case)))


@WAYS
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("case", FIXED)
def test_double_with_the_fixed_preset(case: str, device: str, kernel: str) -> None:
    got = _image(case, nb.Quirks.nanobragg_fixed(), torch.float64, device, kernel)
    _check_double(compare(got, image("images_fixed", case)))


@WAYS
@pytest.mark.usefixtures("one_thread")
@for_each("case", CASES)
def test_single(case: str, device: str, kernel: str) -> None:
    """float32 with float64 phases."""
    got = _image(case, nb.Quirks(), torch.float32, device, kernel)
    assert got.dtype == np.float32
    figures = compare(got, image("images", case))
    assert figures.same_non_finite
    assert figures.relative_l2 <= SINGLE


@pytest.mark.usefixtures("one_thread")
@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@for_each("case", CASES)
def test_before_rounding(case: str) -> None:
    """Against the values of the C engine that its image is rounded from."""
    result = nb.simulate(*_scene(case), unrounded=True)
    assert result.unrounded is not None
    need = result.unrounded
    finite = np.isfinite(need)
    for kernel in ("auto", "eager"):
        got = _image(case, nb.Quirks(), torch.float64, "cpu", kernel)
        limit = CURVED if "curved" in case else ORDINARY
        assert relative_l2(got[finite], need[finite]) <= limit, kernel


def test_same_bits_again() -> None:
    """On the CPU, whatever the tiles and the number of threads."""
    scene = _scene("kitchen")
    first = ForwardModel(*scene)({})
    assert torch.equal(first, ForwardModel(*scene)({}))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert torch.equal(first, ForwardModel(*scene)({}))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("tile_steps", [1, 77, 5000])
@pytest.mark.parametrize("case", ["roi_phi0", "interp_latch", "mosaic_phi_hkl", "os_polar_mosaic"])
def test_tiles_only_regroup_the_sum(case: str, tile_steps: int) -> None:
    """Any tile gives the image, to the rounding of a sum in another order."""
    experiment, factors = _scene(case)
    n_slow, n_fast = experiment.detector.shape
    rows = n_slow // 2
    part = experiment.replace({"sampling.roi": (n_fast // 2 - 1, n_fast // 2 + 1, rows - 1, rows)})
    whole = ForwardModel(part, factors)({})
    tiled = ForwardModel(part, factors, tile_steps=tile_steps)({})
    assert torch.allclose(tiled, whole, rtol=1e-12, atol=0.0)
    assert whole.count_nonzero() > 0


def test_figures_see_differences() -> None:
    """The figures themselves."""
    need = np.array([[1.0, 2.0, 0.0, np.nan, np.inf, 3.0]], dtype=np.float32)
    same = compare(need.astype(np.float64), need)
    assert same == Figures(6, 1.0, 0, 0.0, True)
    got = need.astype(np.float64)
    got[0, 1] = np.nextafter(np.float32(2.0), np.float32(0.0))
    figures = compare(got, need)
    assert (figures.identical, figures.max_ulp) == (5 / 6, 1)
    assert 0.0 < figures.relative_l2 < 1e-7
    got[0, 2] = -np.nextafter(np.float32(0.0), np.float32(1.0))
    assert compare(got, need).max_ulp == 1
    got[0, 4] = -np.inf
    assert not compare(got, need).same_non_finite
    got[0, 4] = 1.0
    assert not compare(got, need).same_non_finite
    assert relative_l2(np.array([1.1]), np.array([1.0])) == pytest.approx(0.1)
    assert relative_l2(np.zeros(1), np.zeros(1)) == 0.0
    assert relative_l2(np.ones(1), np.zeros(1)) == np.inf
