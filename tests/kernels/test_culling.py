"""Steps without light: leaving them out changes no bit, or no pixel by more than the tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from for_each import for_each
from realistic_experiments import COMPACT, SHAPES, realistic_experiment

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.libnbh import available_kernels
from nanobragg_hybrid.engines.c.numbers import SHAPE_NUMBERS
from nanobragg_hybrid.engines.c.plan import Plan
from nanobragg_hybrid.model.conventions import CULLING_REASONS

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")

FAST = [kernel for kernel in available_kernels() if kernel != "exact"]
CONSTANT = nb.StructureFactors.constant(100.0)
G1 = nb.Experiment(
    beam=nb.Beam(
        wavelength_angstrom=1.3,
        dispersion_percent=0.4,
        dispersion_steps=20,
        fluence_photons_per_m2=1e24,
    ),
    crystal=nb.Crystal(
        cell_angstrom=(79, 79, 38),
        misset_deg=(11, 22, 33),
        mosaic_spread_deg=0.1,
        mosaic_domains=25,
        n_cells=(20, 20, 40),
        shape="gauss_hkl",
    ),
    detector=nb.Detector(distance_mm=120, pixel_size_mm=0.11, n_fast=1024, n_slow=1024),
    sampling=nb.Sampling(oversample=1, roi=(600, 663, 300, 399)),
)
"""A still of many wavelengths and domains; a part of the detector."""


def render(
    experiment: nb.Experiment,
    factors: nb.StructureFactors = CONSTANT,
    quirks: nb.Quirks | None = None,
    threads: int = 1,
    **options: Any,
) -> nb.SimulationResult:
    return nb.simulate(
        experiment,
        factors,
        quirks=quirks or nb.Quirks(),
        threads=threads,
        backend=nb.CEngine(**options),
    )


def share_visited(result: nb.SimulationResult) -> float:
    share: float = result.provenance["culling"]["share_visited"]
    return share


def test_shapes_are_those_of_the_package() -> None:
    assert set(SHAPES) == set(SHAPE_NUMBERS)


@for_each("seed", range(32))
def test_realistic_images_keep_their_bytes(seed: int) -> None:
    random = np.random.default_rng(seed)
    experiment, factors, quirks = realistic_experiment(random, COMPACT[seed % len(COMPACT)])
    every = render(experiment, factors, quirks, culling="off")
    assert share_visited(every) == 1.0
    for kernel in FAST:
        found = render(experiment, factors, quirks, kernel=kernel)
        assert found.image.tobytes() == every.image.tobytes(), kernel
        assert repr(found.statistics) == repr(every.statistics)  # NaN is NaN


def test_a_third_of_those_steps_and_more_is_left_out() -> None:
    shares = []
    for seed in range(24):
        random = np.random.default_rng(seed)
        experiment, factors, quirks = realistic_experiment(random, COMPACT[seed % len(COMPACT)])
        shares.append(share_visited(render(experiment, factors, quirks)))
    assert np.mean(shares) < 0.6


def beyond_tolerance(exact: np.ndarray, found: np.ndarray, tolerance: float) -> float:
    """The largest difference over what is allowed: the tolerance and one unit in the last place."""
    known = np.isfinite(exact)
    assert np.array_equal(np.isfinite(found), known)
    unit = np.spacing(np.maximum(exact[known], found[known])).astype(np.float64)
    difference = np.abs(exact[known].astype(np.float64) - found[known])
    return float(np.max(difference / (tolerance + unit), initial=0.0))


@for_each("seed", [*range(100, 136), 7138])
def test_no_pixel_is_beyond_the_tolerance(seed: int) -> None:
    """In the last one a sphere is so near to a reflection that the fast kernel knows nothing."""
    random = np.random.default_rng(seed)
    experiment, factors, quirks = realistic_experiment(random, SHAPES[seed % len(SHAPES)])
    tolerance = float(10 ** random.uniform(-9, 2))
    exact = render(experiment, factors, quirks, culling="off").image
    visited = set()
    for kernel in FAST:
        result = render(experiment, factors, quirks, kernel=kernel, tolerance_photons=tolerance)
        assert beyond_tolerance(exact, result.image, tolerance) <= 1.0 + 1e-9, kernel
        visited.add(share_visited(result))
    assert len(visited) == 1  # every build visits the same steps


@for_each("shape", SHAPES)
def test_a_tolerance_is_used_and_darkens(shape: str) -> None:
    """The error is one-sided, and a fair part of what is allowed."""
    cells = (11.0, 11.0, 12.0) if shape in ("gauss", "tophat") else G1.crystal.n_cells
    experiment = G1.replace({"crystal.shape": shape, "crystal.n_cells": cells})
    tolerance = 1e-2 if shape in ("square", "round") else 1e-5
    exact = render(experiment, culling="off").image.astype(np.float64)
    result = render(experiment, tolerance_photons=tolerance)
    error = exact - result.image
    assert share_visited(result) < 0.6
    assert np.all(error <= tolerance + np.spacing(result.image))
    assert np.all(error >= -np.spacing(result.image))
    if shape.startswith("tophat"):
        assert np.all(error == 0.0)
    else:
        assert error.max() > 0.01 * tolerance


INFINITE = nb.StructureFactors.from_grid(
    np.where(np.arange(21**3).reshape(21, 21, 21) % 97 == 0, 1e160, 50.0),
    (-10,) * 3,
    default_f=1.0,
)
"""The square of one F in 97 is infinite."""


@for_each("shape", SHAPES)
@for_each(
    "changes, factors",
    [
        ({"beam.wavelength_angstrom": 50.0}, CONSTANT),
        ({"crystal.water_um": 1e5}, CONSTANT),
        ({"detector.point_pixel": True}, CONSTANT),
        ({"detector.distance_mm": 1e-3}, CONSTANT),
        ({"crystal.shape_fudge": 1e308}, CONSTANT),
        ({"crystal.shape_fudge": 1e-300}, CONSTANT),
        ({"crystal.n_cells": (500.0, 1.0, 2.5)}, CONSTANT),
        ({"beam.fluence_photons_per_m2": 1e80}, CONSTANT),
        ({"sampling.oversample": 2, "detector.rotation_deg": (40.0, 30.0, 20.0)}, CONSTANT),
        ({}, INFINITE),
    ],
)
def test_odd_experiments_keep_to_their_tolerance(
    shape: str, changes: dict[str, Any], factors: nb.StructureFactors
) -> None:
    """Numbers that nobody has in mind; the bytes without a tolerance, too."""
    small = {"sampling.roi": (600, 607, 300, 320), "crystal.mosaic_domains": 3}
    fewer = {"beam.dispersion_steps": 4, "crystal.shape": shape}
    experiment = G1.replace({**small, **fewer, **changes})

    def pixels(**options: Any) -> np.ndarray:
        return render(experiment, factors, **options).image[300:321, 600:608]

    exact = pixels(kernel="exact")
    for kernel in FAST:
        assert np.array_equal(pixels(kernel=kernel), exact, equal_nan=True), kernel
        for tolerance in (1e-6, 1e-2, 1e4):
            image = pixels(kernel=kernel, tolerance_photons=tolerance)
            assert beyond_tolerance(exact, image, tolerance) <= 1.0 + 1e-9, (kernel, tolerance)


def test_threads_do_not_change_a_bit() -> None:
    for options in ({}, {"tolerance_photons": 1e-4}):
        one, three = (render(G1, threads=threads, **options) for threads in (1, 3))
        assert one.image.tobytes() == three.image.tobytes()
        assert one.statistics == three.statistics
        assert one.provenance["culling"] == three.provenance["culling"]


@for_each("tolerance", [0.0, 1e-3])
def test_half_widths_hold_the_exact_values(tolerance: float) -> None:
    exact = nb.simulate(G1, CONSTANT, backend=nb.CEngine(culling="off"), unrounded=True).unrounded
    engine = nb.CEngine(unrounded_kernel="fast", tolerance_photons=tolerance)
    result = nb.simulate(G1, CONSTANT, backend=engine, unrounded=True)
    assert exact is not None
    assert result.unrounded is not None
    worst = float(np.max(np.abs(exact - result.unrounded)))
    assert worst <= result.provenance["unrounded_bound"]
    if tolerance > 0.0:
        assert result.provenance["unrounded_bound"] <= 1.001 * tolerance + 1e-9
        assert worst > 0.0


@for_each("tolerance", [0.0, 1e-3])
def test_intervals_hold_the_exact_values(tolerance: float) -> None:
    small = G1.replace({"sampling.roi": (620, 640, 320, 330)})
    plan = Plan(small, CONSTANT, nb.Quirks(), "auto", "auto", tolerance)
    low, high = plan.intervals()
    exact, _ = Plan(small, CONSTANT, nb.Quirks(), "exact").intervals()
    known = ~np.isnan(low)
    assert np.mean(known) > 0.9
    assert np.all((low <= exact)[known])
    assert np.all((exact <= high)[known])


@for_each("shape", ["gauss_hkl", "tophat", "square"])
@for_each("reach", [3, 12, 40])
def test_the_interpolation_latch_falls_in_the_same_pixel(shape: str, reach: int) -> None:
    """Tables that the image leaves at once, in its middle and never."""
    random = np.random.default_rng(reach)
    grid = random.uniform(0.0, 100.0, (2 * reach + 1,) * 3)
    factors = nb.StructureFactors.from_grid(grid, (-reach,) * 3, default_f=3.0)
    experiment = G1.replace(
        {
            "crystal.shape": shape,
            "crystal.mosaic_domains": 4,
            "beam.dispersion_steps": 3,
            "sampling.interpolate": True,
            "sampling.roi": (500, 548, 500, 535),
            "detector.pixel_size_mm": 0.4,
        }
    )
    exact = render(experiment, factors, kernel="exact").image
    for kernel in FAST:
        assert render(experiment, factors, kernel=kernel).image.tobytes() == exact.tobytes()


FLAT_TABLE = nb.StructureFactors.from_grid(
    np.random.default_rng(5).uniform(0.0, 100.0, (61, 61, 61)), (-30,) * 3, default_f=7.0
)
"""Beyond 30, where most of these images are, all F are equal."""
SMALL_TABLE = nb.StructureFactors.from_grid(
    np.random.default_rng(6).uniform(0.0, 100.0, (9, 9, 9)), (12, -4, 3), default_f=0.0
)
"""With reflections beside it that have no light."""


@for_each("shape", ["gauss_hkl", "gauss"])
@for_each("factors", [CONSTANT, FLAT_TABLE, SMALL_TABLE])
@for_each(
    "changes",
    [
        {},
        {"detector.pixel_size_mm": 0.5, "crystal.n_cells": (8.0, 9.0, 7.0)},
        {"detector.pixel_size_mm": 0.02, "sampling.oversample": 2},
        {"beam.dispersion_percent": 3.0, "beam.dispersion_steps": 70},
        {"beam.divergence_h_mrad": 1.0, "beam.divergence_h_steps": 3},
        {"beam.polarization_correction": False, "crystal.cell_deg": (80.0, 95.0, 100.0)},
        {"sampling.roi": (600, 663, 300, 300)},
        {"detector.distance_mm": 40.0, "detector.curved": True},
    ],
)
def test_gaussians_of_a_tile_keep_their_bytes(
    shape: str, factors: nb.StructureFactors, changes: dict[str, Any]
) -> None:
    """Tiles within one reflection, between two, with and without a table, of several directions."""
    roi = {"sampling.roi": (600, 631, 300, 331), "crystal.mosaic_domains": 7}
    experiment = G1.replace({**roi, "crystal.shape": shape, **changes})
    every = render(experiment, factors, culling="off", kernel="exact").image
    for kernel in FAST:
        for culling in ("off", "auto"):  # both add powers of two
            found = render(experiment, factors, kernel=kernel, culling=culling).image
            assert found.tobytes() == every.tobytes(), (kernel, culling)


def test_a_mask_of_single_pixels_is_walked_in_rows() -> None:
    """Tiles of bands with few pixels would be almost empty; bytes are the same either way."""
    shape = (1024, 1024)
    random = np.random.default_rng(9)
    for share in (0.002, 0.3):
        masked = G1.replace({"detector.mask": nb.Mask(random.uniform(size=shape) < share)})
        every = render(masked, culling="off")
        found = render(masked)
        assert found.image.tobytes() == every.image.tobytes()
        assert found.statistics == every.statistics


ALL_DARK = nb.StructureFactors.constant(0.0)
HUGE = nb.StructureFactors.constant(1e120)


@for_each(
    "changes, options, factors, reason",
    [
        ({}, {}, CONSTANT, 0),
        ({}, {"culling": "off"}, CONSTANT, 1),
        ({}, {"kernel": "exact"}, CONSTANT, 2),
        ({"crystal.mosaic_domains": 1, "beam.dispersion_steps": 2}, {}, CONSTANT, 3),
        ({"crystal.shape": "square"}, {}, CONSTANT, 4),
        ({"crystal.shape": "square"}, {"tolerance_photons": 1e-2}, CONSTANT, 0),
        ({"crystal.shape_fudge": 0.0}, {}, CONSTANT, 4),
        ({"crystal.n_cells": (3.0, 3.0, 3.0)}, {}, CONSTANT, 5),
        ({"sampling.oversample_omega": True}, {}, CONSTANT, 6),
        ({"sampling.oversample_omega": True, "crystal.shape": "tophat"}, {}, CONSTANT, 0),
        ({}, {}, HUGE, 7),
        ({}, {}, ALL_DARK, 9),
        ({"beam.fluence_photons_per_m2": 0.0}, {}, CONSTANT, 9),
    ],
)
def test_why_every_step_is_visited(
    changes: dict[str, Any], options: dict[str, Any], factors: nb.StructureFactors, reason: int
) -> None:
    experiment = G1.replace({"sampling.roi": (600, 631, 300, 331), **changes})
    culling = render(experiment, factors, **options).provenance["culling"]
    assert culling["reason"] == CULLING_REASONS[reason]
    assert culling["tolerance_photons"] == options.get("tolerance_photons", 0.0)
    assert (culling["share_visited"] < 1.0) == (reason == 0)


def test_a_pixel_of_which_every_step_has_light_says_so() -> None:
    """Bounds are made, and leave out nothing there; beside it they leave out steps."""
    alike = G1.replace({"crystal.mosaic_spread_deg": 1e-4, "beam.dispersion_percent": 1e-5})
    image = render(alike).image
    slow, fast = (int(n) for n in np.unravel_index(np.argmax(image), image.shape))
    brightest = alike.replace({"sampling.roi": (fast, fast, slow, slow)})
    culling = render(brightest).provenance["culling"]
    assert culling == {"share_visited": 1.0, "tolerance_photons": 0.0, "reason": CULLING_REASONS[5]}
    culling = render(alike).provenance["culling"]
    assert culling["reason"] == ""
    assert 0.0 < culling["share_visited"] < 1.0


def test_values_before_rounding_visit_every_step() -> None:
    small = G1.replace({"sampling.roi": (600, 603, 300, 303)})
    result = nb.simulate(small, CONSTANT, backend=nb.CEngine(), unrounded=True)
    assert result.provenance["culling"]["reason"] == CULLING_REASONS[2]
    assert share_visited(result) == 1.0


@for_each("tolerance", [-1e-9, float("nan"), float("inf"), "1e-4", True])
def test_tolerances_that_are_refused(tolerance: object) -> None:
    with pytest.raises(nb.ConfigError, match=r"^tolerance_photons: got .* need a finite number"):
        nb.CEngine(tolerance_photons=tolerance)  # type: ignore[arg-type]


@for_each("tolerance", [np.float32(1e-4), np.int64(1), 1])
def test_tolerances_of_any_kind_of_number(tolerance: float) -> None:
    assert nb.CEngine(tolerance_photons=tolerance).tolerance_photons == tolerance


def test_an_unknown_culling_is_refused() -> None:
    with pytest.raises(nb.ConfigError, match=r"^culling: got 'on', need one of auto, off"):
        nb.CEngine(culling="on")  # type: ignore[arg-type]
