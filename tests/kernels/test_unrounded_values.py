"""Values before rounding by the fast kernels: at most their bound from the exact kernel's."""

from __future__ import annotations

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.libnbh import available_kernels
from nanobragg_hybrid.model.conventions import SHAPES

STILL = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(70, 80, 90), misset_deg=(10, 20, 30), n_cells=(5, 6, 7)),
    detector=nb.Detector(distance_mm=100, pixel_size_mm=0.8, n_fast=61, n_slow=43),
    sampling=nb.Sampling(oversample=2),
)
FACTORS = nb.StructureFactors.constant(100.0)


def _rendered(
    experiment: nb.Experiment,
    unrounded_kernel: str,
    kernel: str = "auto",
    threads: int = 1,
    quirks: nb.Quirks | None = None,
) -> nb.SimulationResult:
    engine = nb.CEngine(kernel=kernel, unrounded_kernel=unrounded_kernel)
    return nb.simulate(
        experiment, FACTORS, backend=engine, threads=threads, unrounded=True, quirks=quirks
    )


def _check_bound(fast: nb.SimulationResult, exact: nb.SimulationResult) -> None:
    assert fast.image.tobytes() == exact.image.tobytes()
    assert fast.unrounded is not None
    assert exact.unrounded is not None
    assert np.array_equal(fast.unrounded.astype(np.float32), fast.image)
    distance = np.abs(fast.unrounded - exact.unrounded)
    assert distance.max() <= fast.provenance["unrounded_bound"]
    relative = fast.provenance["unrounded_relative_bound"]
    assert (distance <= relative * np.abs(fast.unrounded)).all()


@for_each("kernel", [name for name in available_kernels() if name != "exact"])
def test_within_the_bound(kernel: str) -> None:
    for shape in SHAPES:
        experiment = STILL.replace({"crystal.shape": shape, "crystal.shape_fudge": 0.7})
        fast, exact = (_rendered(experiment, which, kernel) for which in ("fast", "exact"))
        _check_bound(fast, exact)
        assert fast.provenance["kernel"] == kernel
        assert exact.provenance["kernel"] == "exact"
        assert "unrounded_bound" not in exact.provenance
        if shape == "square":
            assert 0.0 < fast.provenance["unrounded_relative_bound"] < 1e-7


def test_a_bound_is_not_wider_than_a_float() -> None:
    """Without bounds nothing is known but that the value rounds to the image."""
    fast, exact = (_rendered(STILL, which) for which in ("fast", "exact"))
    assert fast.unrounded is not None
    assert exact.unrounded is not None
    assert not np.array_equal(fast.unrounded, exact.unrounded)
    assert fast.provenance["unrounded_bound"] < 1e-7 * float(fast.image.max())


@for_each("threads", [2, 7])
def test_any_number_of_threads(threads: int) -> None:
    one, many = (_rendered(STILL, "fast", threads=n) for n in (1, threads))
    assert one.unrounded is not None
    assert many.unrounded is not None
    assert one.unrounded.tobytes() == many.unrounded.tobytes()
    for name in ("unrounded_bound", "unrounded_relative_bound"):
        assert one.provenance[name] == many.provenance[name]


def test_inactive_pixels_are_0() -> None:
    part = STILL.replace({"sampling.roi": (7, 40, 3, 20)})
    fast = _rendered(part, "fast")
    _check_bound(fast, _rendered(part, "exact"))
    assert fast.unrounded is not None
    assert (fast.unrounded[:3] == 0.0).all()
    assert (fast.unrounded[3:21, 7:41] > 0.0).any()


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
def test_what_has_no_finite_bound_is_exact() -> None:
    """Sums beyond a double's range: the fast kernels know nothing of such pixels but that."""
    bright = nb.StructureFactors.constant(1e160)
    fast, exact = (
        nb.simulate(
            STILL, bright, backend=nb.CEngine(unrounded_kernel=which), unrounded=True, threads=1
        )
        for which in ("fast", "exact")
    )
    assert np.isinf(exact.unrounded).any()
    assert np.array_equal(fast.unrounded, exact.unrounded, equal_nan=True)
    assert fast.provenance["unrounded_bound"] == 0.0


def test_the_exact_kernel_has_no_error() -> None:
    made = _rendered(STILL, "fast", "exact")
    assert made.provenance["unrounded_bound"] == 0.0
    assert made.provenance["unrounded_relative_bound"] == 0.0
    assert np.array_equal(made.unrounded, _rendered(STILL, "exact").unrounded)


def test_other_names_are_refused() -> None:
    with pytest.raises(nb.ConfigError, match="unrounded_kernel: got 'slow', need one of"):
        nb.CEngine(unrounded_kernel="slow")
    assert nb.CEngine(unrounded_kernel="fast").unrounded_kernel == "fast"
