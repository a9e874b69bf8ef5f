"""What the two engines must decide alike, and what they refuse."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.plan import Plan
from nanobragg_hybrid.engines.c.plan_info import OF_CULLING, plan_info
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.report import plan_of
from nanobragg_hybrid.engines.torch.set_up.setup import set_up
from nanobragg_hybrid.engines.torch.set_up.tables import tables_of

SMALL = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(3, 4, 5), misset_deg=(10, 20, 30)),
    detector=nb.Detector(n_fast=12, n_slow=10, pixel_size_mm=2.0),
)
FACTORS = nb.StructureFactors.from_grid(
    np.random.default_rng(0).uniform(10, 100, (9, 9, 9)), (-4, -4, -4), 20.0
)
ODD: list[dict[str, object]] = [
    {"goniometer.osc_deg": 0.0, "goniometer.phi_steps": 3},
    {"goniometer.phi_steps": 2, "goniometer.phi_step_deg": 0.0},
    {"goniometer.osc_deg": 1.0, "goniometer.phi_steps": 3, "goniometer.phi_step_deg": 0.0},
    {"beam.divergence_h_mrad": 2.0, "beam.divergence_h_step_mrad": 1.5, "sampling.oversample": 1},
    {"beam.dispersion_percent": None, "beam.dispersion_steps": 3},
    {"crystal.mosaic_spread_deg": 3.0, "crystal.mosaic_domains": 50, "crystal.mosaic_seed": -5},
    {"crystal.mosaic_spread_deg": 3.0, "crystal.mosaic_domains": 9, "crystal.mosaic_seed": 0},
    {"crystal.misset_random": True, "crystal.misset_seed": -7, "crystal.mosaic_spread_deg": 1.0},
    {"detector.sensor_thickness_um": None, "detector.sensor_layers": 3},
    {"detector.sensor_thickness_um": 1e4, "detector.sensor_attenuation_depth_um": 1.0},
    {"beam.polarization_kahn": 1.0, "beam.polarization_axis": (1.0, 0.0, 0.0)},
    {"beam.polarization_kahn": -1.0, "sampling.oversample": 2, "beam.divergence_h_mrad": 50.0},
    {"sampling.dmin_angstrom": 3.0, "goniometer.osc_deg": 2.0, "sampling.oversample": 2},
    {"sampling.dmin_angstrom": 1000.0},
    {"sampling.roi": (20, 30, 0, 2)},
    {"crystal.size_mm": (1e-5, 1.0, None), "beam.beam_size_mm": 3e-5, "sampling.oversample": 1},
    {"crystal.n_cells": (2.5, 1.5, 0.3)},
    {"crystal.shape": "round", "crystal.shape_fudge": -1.0},
    {"crystal.shape": "gauss_hkl", "crystal.shape_fudge": 0.1},
    {"crystal.shape": "tophat_hkl", "crystal.shape_fudge": 0.1, "sampling.oversample_omega": True,
     "goniometer.osc_deg": 3.0, "goniometer.phi_steps": 4, "sampling.oversample": 2},
    {"sampling.interpolate": True, "crystal.shape": "tophat_hkl", "crystal.shape_fudge": 0.1},
    {"sampling.interpolate": True, "goniometer.osc_deg": 3.0, "goniometer.phi_steps": 4},
    {"sampling.oversample_polar": True, "beam.polarization_correction": False,
     "beam.polarization_kahn": 0.4, "sampling.oversample": 2},
    {"beam.sources": (nb.Source((-1.0, 0.02, None)), nb.Source((None, 0.05, 0.02), 3.0, 1.1e-10))},
    {"beam.sources": (nb.Source((0.0, 0.0, 0.0)),)},
    {"detector.mask": nb.Mask(np.zeros((10, 12), dtype=bool))},
    {"detector.curved": True, "detector.convention": "dials"},
    {"detector.convention": "custom", "detector.pivot": "sample", "detector.org_x_px": 3.0},
    {"detector.close_distance_mm": -50.0},
    {"detector.n_fast": None, "detector.size_fast_mm": 25.1},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@pytest.mark.parametrize("changes", ODD, ids=" ".join)
def test_odd_experiments_agree_with_the_c_engine(changes: dict[str, object]) -> None:
    """Image, statistics, geometry, warnings, and every number of the plan."""
    experiment = SMALL.replace(changes)
    need = nb.simulate(experiment, FACTORS, unrounded=True)
    got = nb.simulate(experiment, FACTORS, backend="torch", unrounded=True)
    assert got.unrounded is not None
    assert need.unrounded is not None
    assert np.array_equal(np.isnan(got.unrounded), np.isnan(need.unrounded))
    assert np.allclose(got.unrounded, need.unrounded, rtol=1e-11, atol=0.0, equal_nan=True)
    assert got.warnings == need.warnings
    assert got.quirks_that_mattered == need.quirks_that_mattered
    for field in dataclasses.fields(nb.Statistics):
        one, other = getattr(got.statistics, field.name), getattr(need.statistics, field.name)
        assert one == pytest.approx(other, rel=1e-9, nan_ok=True), field.name
    for name, value in got.info.items():
        assert np.allclose(value, need.info[name], rtol=1e-13, atol=1e-25, equal_nan=True), name
    if not np.isnan(need.image).any():
        noise = [nb.noise_image(result, seed=7).pixels for result in (got, need)]
        assert np.array_equal(*noise)


def test_info_has_the_members_of_the_c_plan() -> None:
    own = plan_info(plan_of(set_up(SMALL, FACTORS, nb.Quirks())))
    need = Plan(SMALL, FACTORS, nb.Quirks()).info()
    # The C engine also says which of its kernels it uses, and what it leaves out.
    of_kernels = {"kernel", "kernel_reason", "reserved", "reserved2", *OF_CULLING}
    assert set(need) - set(own) <= of_kernels
    assert set(own) <= set(need)


@pytest.mark.parametrize("seed", [12345678, 1, -3, 2**31 - 1, -(2**31)])
def test_mosaic_rotations_are_those_of_the_c_engine(seed: int) -> None:
    """From our own generator: axes to rounding, float32 angles to the last bit but for powf's."""
    experiment = SMALL.replace(
        {
            "crystal.mosaic_spread_deg": 2.0,
            "crystal.mosaic_domains": 400,
            "crystal.mosaic_seed": seed,
        }
    )
    need = Plan(experiment, FACTORS, nb.Quirks()).mosaic_matrices()
    tables = tables_of(set_up(experiment, FACTORS, nb.Quirks()))
    traces = 1.0 + 2.0 * torch.cos(tables.domain_angles)
    assert np.allclose(traces.numpy(), np.trace(need, axis1=1, axis2=2), rtol=1e-14, atol=0.0)
    x, y, z = (component.numpy() for component in tables.domain_axes)
    turned = need @ np.stack([x, y, z], axis=-1)[:, :, None]
    assert np.abs(turned[:, :, 0] - np.stack([x, y, z], axis=-1)).max() < 1e-15


def test_quirks_of_files_and_command_lines_change_nothing_here() -> None:
    elsewhere = (
        "misset_seed_default", "cli_substring", "smv_header_search", "hkl_stream",
        "source_file_comments", "fdump_whitespace", "curved_needs_argument", "header_overflow",
    )  # fmt: skip
    off = nb.Quirks(**dict.fromkeys(elsewhere, False))
    assert torch.equal(ForwardModel(SMALL, FACTORS, off)(), ForwardModel(SMALL, FACTORS)())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"crystal.cell_angstrom": None}, r"crystal\.cell_angstrom"),
        ({"goniometer.osc_deg": 0.0, "goniometer.phi_step_deg": 0.5}, r"goniometer\.phi_step_deg"),
        ({"beam.flux_photons_per_s": 1e9, "beam.beam_size_mm": 0.0}, r"beam\.beam_size_mm"),
        ({"detector.close_distance_mm": 0.0}, r"at most 2147483647 steps"),
        ({"sampling.oversample": 300, "goniometer.phi_steps": 50000}, r"at most 2147483647 steps"),
    ],
)
def test_what_cannot_be_rendered(changes: dict[str, object], words: str) -> None:
    for backend in ("c", "torch"):
        with pytest.raises(nb.ConfigError, match=words):
            nb.simulate(SMALL.replace(changes), FACTORS, backend=backend)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tile_steps", 0),
        ("tile_steps", "many"),
        ("dtype", "float16"),
        ("quirks", "none"),
        ("config", None),
        ("structure_factors", 100.0),
    ],
)
def test_model_options_are_checked(name: str, value: object) -> None:
    good = {"config": SMALL, "structure_factors": FACTORS, "quirks": nb.Quirks.none()}
    ForwardModel(**good)
    with pytest.raises(nb.ConfigError, match=f"{name}: got {value!r}, need "):
        ForwardModel(**(good | {name: value}))


def test_progress_can_stop_the_rendering() -> None:
    seen: list[tuple[int, int]] = []

    def stop(done: int, rows: int) -> bool:
        seen.append((done, rows))
        return False

    with pytest.raises(nb.RenderCancelled):
        nb.simulate(SMALL, FACTORS, backend="torch", progress=stop)
    assert seen == [(10, 10)]


def test_number_of_threads_is_given_back() -> None:
    before = torch.get_num_threads()
    nb.simulate(SMALL, FACTORS, backend="torch", threads=1)
    assert torch.get_num_threads() == before


def test_progress_may_render_something_else() -> None:
    """It is called while the number of PyTorch's threads is this render's: that must not hang."""
    plain = nb.simulate(SMALL, FACTORS, backend="torch", threads=2)
    inner: list[nb.SimulationResult] = []

    def render(done: int, rows: int) -> None:
        del done, rows
        inner.append(nb.simulate(SMALL, FACTORS, backend="torch", threads=1))

    def outer() -> None:
        results.append(nb.simulate(SMALL, FACTORS, backend="torch", threads=2, progress=render))

    results: list[nb.SimulationResult] = []
    thread = threading.Thread(target=outer, daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert [each.image.tobytes() for each in (*inner, *results)] == [plain.image.tobytes()] * 2


@pytest.mark.parametrize("device", ["nonsense", [], 1.5])
def test_what_names_no_device_is_refused(device: object) -> None:
    with pytest.raises(nb.BackendError, match=r"no device .*; available: cpu"):
        nb.prepare(SMALL, FACTORS, backend=nb.TorchEngine(device=device))  # type: ignore[arg-type]
