"""The door for traces: which steps it gives, how they add up, and what it refuses."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.model.trace import STEP_INDICES

COUNTS = (2, 2, 2, 2, 3, 2)
"""How often each loop of STEP_PLACE runs."""
ALL = nb.Experiment(
    beam=nb.Beam(divergence_h_mrad=2.0, divergence_h_steps=2),
    crystal=nb.Crystal(
        cell_angstrom=(40, 45, 50),
        cell_deg=(85, 95, 100),
        n_cells=(3, 4, 5),
        mosaic_spread_deg=0.4,
        mosaic_domains=2,
        water_um=0.2,
    ),
    goniometer=nb.Goniometer(osc_deg=0.9, phi_steps=3),
    detector=nb.Detector(
        n_fast=6,
        n_slow=5,
        pixel_size_mm=2.0,
        sensor_thickness_um=300,
        sensor_attenuation_depth_um=200,
        sensor_layers=2,
    ),
    sampling=nb.Sampling(oversample=2),
)
FACTORS = nb.StructureFactors.constant(50.0)


@pytest.fixture(params=["c", "torch"])
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    return str(request.param)


def place(step: nb.StepTrace) -> tuple[int, ...]:
    return tuple(getattr(step, name) for name in STEP_INDICES)


def traced(backend: str, experiment: nb.Experiment = ALL, **choice: Any) -> nb.Trace:
    return nb.trace(experiment, FACTORS, pixel=(4, 3), backend=backend, **choice)


def test_the_first_step_is_the_default(backend: str) -> None:
    trace = traced(backend)
    assert (trace.backend, trace.fast, trace.slow, trace.is_active) == (backend, 4, 3, True)
    assert [place(step) for step in trace.steps] == [(0, 0, 0, 0, 0, 0)]


def test_the_given_indices_choose(backend: str) -> None:
    trace = traced(backend, source=1, phi_step=2, domain=1, subpixel=(1, 0), layer=1)
    assert [place(step) for step in trace.steps] == [(1, 0, 1, 1, 2, 1)]
    assert place(traced(backend, phi_step=1).steps[0]) == (0, 0, 0, 0, 1, 0)


def test_every_step_in_serial_order(backend: str) -> None:
    tracer = nb.prepare(ALL, FACTORS, backend=backend)
    steps = tracer.trace((4, 3), limit=None).steps
    assert [place(step) for step in steps] == list(np.ndindex(COUNTS))
    assert tracer.trace((4, 3), limit=5).steps == steps[:5]
    assert tracer.trace((4, 3), limit=0).steps == ()
    assert tracer.trace((4, 3), source=1, limit=3).steps == steps[6:9]
    assert tracer.trace((4, 3), phi_step=2, domain=0, limit=None).steps == steps[4::6]


@pytest.mark.parametrize("quirks", ["nanobragg", "none"])
def test_the_terms_make_the_pixel(backend: str, quirks: str) -> None:
    quirk_set = nb.Quirks.parse(quirks)
    tracer = nb.prepare(ALL, FACTORS, backend=backend, quirks=quirk_set)
    trace = tracer.trace((4, 3), limit=None)
    background = tracer.plan.water_background if quirks == "nanobragg" else 0.0
    sums = np.add.accumulate([background, *(step.term for step in trace.steps)])
    assert [step.running_sum for step in trace.steps] == pytest.approx(sums[1:], rel=1e-13)
    assert trace.i_before_scaling == pytest.approx(sums[-1], rel=1e-13)
    assert trace.step_count == math.prod(COUNTS) / COUNTS[0]
    if quirks == "nanobragg":
        scale = trace.r_e_sqr_m2 * trace.fluence_photons_per_m2 / trace.step_count
        factors = trace.capture_fraction * trace.polarization * trace.omega_sr
        need = trace.i_before_scaling * scale * factors
        assert trace.pixel_value == pytest.approx(need, rel=1e-13)


@pytest.mark.parametrize("product", ["+", "-"])
def test_factors_of_every_step(backend: str, product: str) -> None:
    experiment = ALL.replace(
        {
            "sampling.oversample_thick": True,
            "sampling.oversample_polar": True,
            "sampling.oversample_omega": True,
        }
    )
    quirks = nb.Quirks.parse(f"nanobragg,{product}oversample_running_product")
    tracer = nb.prepare(experiment, FACTORS, backend=backend, quirks=quirks)
    trace = tracer.trace((4, 3), limit=None)
    last = trace.steps[-1]
    own = trace.capture_fraction * trace.polarization * trace.omega_sr
    bare = (last.f_cell * last.f_latt) ** 2
    before = trace.steps[-2].running_sum
    if product == "+":
        assert last.term == pytest.approx(bare, rel=1e-13)
        assert last.running_sum == pytest.approx((before + bare) * own, rel=1e-13)
    else:
        assert last.term == pytest.approx(bare * own, rel=1e-12)
        assert last.running_sum == pytest.approx(before + bare * own, rel=1e-13)
    assert trace.i_before_scaling == pytest.approx(last.running_sum, rel=1e-12)
    assert trace.omega_sr == last.solid_angle_sr


@pytest.mark.parametrize("quirks", ["nanobragg", "none"])
def test_pixels_have_the_bits_of_the_image(backend: str, quirks: str) -> None:
    quirk_set = nb.Quirks.parse(quirks)
    result = nb.simulate(ALL, FACTORS, backend=backend, quirks=quirk_set, unrounded=True)
    assert result.unrounded is not None
    tracer = nb.prepare(ALL, FACTORS, backend=backend, quirks=quirk_set)
    for slow, fast in np.ndindex(result.image.shape):
        trace = tracer.trace((fast, slow))
        assert np.float32(trace.pixel_float) == result.image[slow, fast] > 0.0
        assert trace.pixel_value == pytest.approx(result.unrounded[slow, fast], rel=1e-14)


def test_the_first_pixel_has_its_own_vectors(backend: str) -> None:
    """A phi of 0 keeps the vectors of the step before, which the run's first loop has not."""
    first, second = (
        nb.trace(ALL, FACTORS, pixel=(fast, 0), backend=backend).steps[0] for fast in (0, 1)
    )
    assert first.phi_rad == second.phi_rad == 0.0
    assert first.b_m != second.b_m
    fixed = nb.Quirks.parse("nanobragg,-phi_carryover")
    (again,) = nb.trace(ALL, FACTORS, pixel=(1, 0), backend=backend, quirks=fixed).steps
    assert again.b_m == pytest.approx(first.b_m, rel=1e-15)


def test_one_step_for_each_phi(backend: str) -> None:
    trace = nb.trace_phi(ALL, FACTORS, pixel=(4, 3), backend=backend)
    assert [place(step) for step in trace.steps] == [(0, 0, 0, 0, n, 0) for n in range(3)]
    turn = math.radians(0.3)
    assert [step.phi_rad for step in trace.steps] == pytest.approx([0.0, turn, 2 * turn])
    chosen = nb.trace_phi(
        ALL, FACTORS, pixel=(4, 3), backend=backend, source=1, domain=1, subpixel=(0, 1), layer=1
    )
    assert [place(step) for step in chosen.steps] == [(1, 1, 0, 1, n, 1) for n in range(3)]


def test_masks_and_the_region_of_interest(backend: str) -> None:
    values = np.ones((5, 6), dtype=bool)
    values[3, 4] = False
    masked = ALL.replace({"detector.mask": nb.Mask(values)})
    outside = ALL.replace({"sampling.roi": (0, 3, 0, 4)})
    for experiment in (masked, outside):
        tracer = nb.prepare(experiment, FACTORS, backend=backend)
        dark = tracer.trace((4, 3), limit=None)
        assert (dark.is_active, dark.steps) == (False, ())
        assert tracer.trace_phi((4, 3)).steps == ()
        lit = tracer.trace((3, 3))
        assert lit.is_active
        assert lit.pixel_float == nb.trace(ALL, FACTORS, pixel=(3, 3), backend=backend).pixel_float


def test_what_dmin_cuts(backend: str) -> None:
    """Some sources, and in the end everything."""
    tracer = nb.prepare(ALL, FACTORS, backend=backend)
    q = [np.linalg.norm(tracer.trace((4, 3), source=n).steps[0].q_per_m) for n in (0, 1)]
    nearest = int(np.argmin(q))
    between = ALL.replace({"sampling.dmin_angstrom": 2e10 / sum(q)})
    steps = nb.prepare(between, FACTORS, backend=backend).trace((4, 3), limit=None).steps
    assert {step.source for step in steps if step.sub_fast == step.sub_slow == 0} == {nearest}
    assert traced(backend, between, source=1 - nearest, subpixel=(0, 0)).steps == ()

    nothing = traced(backend, ALL.replace({"sampling.dmin_angstrom": 1000.0}))
    assert (nothing.is_active, nothing.steps) == (True, ())
    assert math.isnan(nothing.cos_2theta)
    assert (nothing.polarization, nothing.pixel_value) == (0.0, 0.0)
    assert nothing.omega_sr > 0.0


def test_interpolation_ends_with_the_latch(backend: str) -> None:
    """The step that leaves the table, and all after it, take the nearest structure factor."""
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(5.0, 20.0, 5.0), n_cells=(2, 2, 2)),
        detector=nb.Detector(n_fast=12, n_slow=9, pixel_size_mm=2.4, beam_x_mm=0, beam_y_mm=14.8),
    )
    grid = 10.0 + np.arange(343.0).reshape(7, 7, 7) % 13.0
    table = nb.StructureFactors.from_grid(grid, (-3, -3, -3), default_f=1.0)
    tracer = nb.prepare(experiment, table, backend=backend)
    nearest = [
        [step.f_cell in {*grid.ravel(), 1.0} for step in tracer.trace((5, slow), limit=None).steps]
        for slow in range(9)
    ]
    assert not any(nearest[0])
    assert all(nearest[-1])
    assert [True, False] not in [list(pair) for row in nearest for pair in itertools.pairwise(row)]
    image = nb.simulate(experiment, table, backend=backend).image
    for slow in range(9):
        assert np.float32(tracer.trace((5, slow)).pixel_float) == image[slow, 5]


def test_a_lattice_factor_of_zero_ends_the_step(backend: str) -> None:
    wet = ALL.replace({"crystal.shape": "tophat_hkl", "crystal.shape_fudge": 0.25})
    dry = wet.replace({"crystal.water_um": 0.0})
    for experiment, f_of_dark in ((wet, 50.0), (dry, 0.0)):
        steps = nb.prepare(experiment, FACTORS, backend=backend).trace((4, 3), limit=None).steps
        assert {step.f_latt for step in steps} == {0.0, 60.0}
        assert {step.f_cell for step in steps if step.f_latt == 60.0} == {50.0}
        assert {(step.f_cell, step.term) for step in steps if step.f_latt == 0.0} == {
            (f_of_dark, 0.0)
        }


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"pixel": (6, 0)}, "pixel: got (6, 0), need (fast, slow) with fast from 0 to 5 and slow"),
    ({"pixel": (0, 5)}, "pixel: got (0, 5), need (fast, slow)"),
    ({"pixel": (-1, 0)}, "pixel: got (-1, 0), need (fast, slow)"),
    ({"pixel": (1, 2, 3)}, "pixel: got (1, 2, 3), need (fast, slow)"),
    ({"pixel": 7}, "pixel: got 7, need (fast, slow)"),
    ({"pixel": (0.0, 1)}, "pixel: got (0.0, 1), need (fast, slow)"),
    ({"source": 2}, "source: got 2, need an integer from 0 to 1, or None"),
    ({"phi_step": 3}, "phi_step: got 3, need an integer from 0 to 2, or None"),
    ({"phi_step": -1}, "phi_step: got -1, need an integer from 0 to 2, or None"),
    ({"domain": 2}, "domain: got 2, need an integer from 0 to 1, or None"),
    ({"domain": True}, "domain: got True, need an integer from 0 to 1, or None"),
    ({"layer": 2}, "layer: got 2, need an integer from 0 to 1, or None"),
    ({"subpixel": (2, 0)}, "subpixel: got (2, 0), need (fast, slow), both from 0 to 1, or None"),
    ({"subpixel": 1}, "subpixel: got 1, need (fast, slow), both from 0 to 1, or None"),
    ({"quirks": "none"}, "quirks: got 'none', need an object of class Quirks"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(nb.ConfigError) as caught:
        nb.trace(ALL, FACTORS, **{"pixel": (5, 4), **given})
    assert str(caught.value).startswith(message)


def test_the_last_of_everything_is_accepted() -> None:
    last = {"source": 1, "phi_step": 2, "domain": 1, "layer": 1, "subpixel": (1, 1)}
    assert nb.trace(ALL, FACTORS, pixel=(5, 4), **last).steps[0].phi_step == 2  # type: ignore[arg-type]
    numpy_index = nb.trace(ALL, FACTORS, pixel=(np.int64(5), np.int32(4)), source=np.int16(1))  # type: ignore[arg-type]
    assert numpy_index.steps[0].source == 1


@pytest.mark.parametrize("limit", [-1, 1.5, "all"])
def test_limits_that_are_refused(limit: Any) -> None:
    with pytest.raises(nb.ConfigError, match=r"^limit: got .*, need an integer >= 0, or None$"):
        nb.prepare(ALL, FACTORS).trace((0, 0), limit=limit)


@pytest.mark.parametrize("threads", [0, 1.5, "two", 2**40])
def test_threads_that_are_refused(backend: str, threads: Any) -> None:
    prepared = nb.prepare(ALL, FACTORS, backend=backend)
    rule = r"^threads: got .*, need an integer from 1 to 1024, or None$"
    with pytest.raises(nb.ConfigError, match=rule):
        prepared.trace((0, 0), threads=threads)
    assert prepared.trace((0, 0), threads=2) == prepared.trace((0, 0))


def test_more_steps_than_memory_are_refused() -> None:
    huge = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5)),
        detector=nb.Detector(n_fast=2, n_slow=2),
        sampling=nb.Sampling(oversample=40000),
    )
    with pytest.raises(nb.ResourceError, match="trace of 1600000000 steps"):
        nb.prepare(huge, FACTORS).trace((0, 0), limit=None)


def test_options_belong_to_their_backend() -> None:
    assert nb.trace(ALL, FACTORS, pixel=(0, 0), backend=nb.CEngine(kernel="exact")).is_active
    with pytest.raises(nb.BackendError, match="no backend 'd'"):
        nb.trace_phi(ALL, FACTORS, pixel=(0, 0), backend="d")


def test_single_precision_has_the_bits_of_its_own_image() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    image = nb.simulate(ALL, FACTORS, backend=nb.TorchEngine(dtype="float32")).image
    tracer = nb.prepare(ALL, FACTORS, backend=nb.TorchEngine("cpu", "float32"))
    for slow, fast in np.ndindex(image.shape):
        assert np.float32(tracer.trace((fast, slow)).pixel_float) == image[slow, fast]
    exact = traced("torch").steps[0]
    single = nb.trace(ALL, FACTORS, pixel=(4, 3), backend=nb.TorchEngine(dtype="float32")).steps[0]
    assert dataclasses.replace(single, term=0.0, running_sum=0.0) == dataclasses.replace(
        exact, term=0.0, running_sum=0.0
    )
    assert single.term == pytest.approx(exact.term, rel=1e-4)
