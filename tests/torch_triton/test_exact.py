"""exact=True: Triton's sums with a bound, whose undecided pixels are the exact C kernel's, have the
bytes of the C engine."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from recorded import INPUTS, image, table
from triton_scenes import DEVICE
from with_torch import torch

import nanobragg_hybrid as nb
from agreement import experiment_of
from nanobragg_hybrid.engines.c.engine import CEngine
from nanobragg_hybrid.engines.torch import proven
from nanobragg_hybrid.engines.torch.engine import TorchRun
from nanobragg_hybrid.engines.torch.scenes.tiles import Tile

Scene = tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]

ENGINE = nb.TorchEngine(device=str(DEVICE), kernel="triton", exact=True)
ON, OFF = nb.Quirks(), nb.Quirks.none()
NO_PRODUCT = nb.Quirks.parse("nanobragg,-oversample_running_product")
SHAPES = ("square", "round", "gauss", "tophat", "gauss_hkl", "tophat_hkl")
FUDGE = {"tophat": 0.02, "tophat_hkl": 0.02}

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")


def scene(quirks: nb.Quirks = ON, **changes: Any) -> Scene:
    """A crystal of two domains with a table of structure factors, on a tilted detector."""
    start = nb.Experiment(
        crystal=nb.Crystal(
            cell_angstrom=(31, 43, 57),
            cell_deg=(82, 97, 104),
            misset_deg=(12, -7, 40),
            n_cells=(7, 5, 6),
            mosaic_domains=2,
            mosaic_spread_deg=0.7,
        ),
        beam=nb.Beam(wavelength_angstrom=1.1, polarization_kahn=0.8),
        detector=nb.Detector(
            distance_mm=90, pixel_size_mm=0.9, n_fast=40, n_slow=25, rotation_deg=(4, 3, -2)
        ),
        sampling=nb.Sampling(oversample=1),
    )
    amplitudes = np.random.default_rng(5).uniform(0.0, 90.0, (31, 31, 31))
    factors = nb.StructureFactors.from_grid(amplitudes, (-15, -15, -15), default_f=3.0)
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return start.replace(named), factors, quirks


SOURCES: dict[str, Any] = {
    "beam__sources": tuple(
        nb.Source(
            position=(-5.0, 0.02 * n, 0.01), weight=1.0 + n, wavelength_m=(1 + n / 99) * 1e-10
        )
        for n in range(3)
    )
}
SENSOR: dict[str, Any] = {
    "detector__sensor_thickness_um": 320,
    "detector__sensor_attenuation_depth_um": 235,
    "detector__sensor_layers": 2,
}
OVERSAMPLED: dict[str, Any] = {
    f"sampling__oversample_{name}": True for name in ("thick", "polar", "omega")
}
FINE: dict[str, Any] = {"sampling__oversample": 2}
WATER: dict[str, Any] = {"crystal__water_um": 8.0}
UNPOLARIZED: dict[str, Any] = {"beam__polarization_correction": False}

PROVEN: dict[str, Scene] = {
    **{
        shape: scene(crystal__shape=shape, crystal__shape_fudge=FUDGE.get(shape, 1.0))
        for shape in SHAPES
    },
    "without quirks": scene(OFF),
    "parts of cells": scene(crystal__n_cells=(0.4, 2.5, 3.3), sampling__interpolate=False),
    "sub-pixels": scene(**FINE),
    "sub-pixels without quirks": scene(OFF, **FINE, **WATER, **SENSOR),
    "sources": scene(**SOURCES),
    "sources of sub-pixels": scene(**SOURCES, **FINE, crystal__mosaic_domains=1),
    "sources without quirks": scene(OFF, **SOURCES),
    "weights of sources": scene(
        nb.Quirks.parse("nanobragg,-source_weights_ignored"), **SOURCES, **WATER
    ),
    "sensor": scene(**SENSOR, **WATER),
    "options": scene(NO_PRODUCT, **SENSOR, **OVERSAMPLED),
    "running": scene(**SENSOR, **OVERSAMPLED),
    "running top hat": scene(
        sampling__oversample_omega=True, crystal__shape="tophat", crystal__shape_fudge=0.02, **FINE
    ),
    "limit": scene(sampling__dmin_angstrom=2.5, **UNPOLARIZED, **SOURCES),
    "limit of sub-pixels": scene(sampling__dmin_angstrom=2.5, **FINE),
    "phi": scene(goniometer__osc_deg=1.0, goniometer__phi_steps=3, goniometer__phi_deg=0.0),
    "polarized": scene(beam__polarization_kahn=1.0),
    "masked": scene(sampling__roi=(3, 33, 2, 20)),
}
LEFT: dict[str, tuple[Scene, str]] = {
    "interpolated": (scene(sampling__interpolate=True), "interpolated structure factors"),
    "curved": (scene(detector__curved=True), "curved detector"),
    "limit": (scene(sampling__dmin_angstrom=2.5, **SOURCES), "a resolution limit decides"),
    "running Gaussian": (
        scene(crystal__shape="gauss", **OVERSAMPLED),
        "a lattice factor of exactly 0",
    ),
    "options of sources": (scene(NO_PRODUCT, **SOURCES, **OVERSAMPLED), "for every source"),
    "axis along the beam": (
        scene(
            detector__convention="mosflm",
            beam__polarization_axis=(1.0, 0.1, 0.0),
        ),
        "the polarization axis is close to the beam",
    ),
    "large crystal": (scene(crystal__n_cells=(1e6, 5.0, 5.0)), "numbers of cells are too large"),
}


def simulated(own: Scene, engine: Any = ENGINE) -> nb.SimulationResult:
    """By an engine, with one thread."""
    return nb.simulate(own[0], own[1], quirks=own[2], backend=engine, threads=1)


def prepared_run(own: Scene) -> TorchRun:
    """The engine's own."""
    run = nb.prepare(own[0], own[1], quirks=own[2], backend=ENGINE).run
    assert isinstance(run, TorchRun)
    return run


@for_each("name", PROVEN)
def test_bytes(name: str) -> None:
    found, expected = simulated(PROVEN[name]), simulated(PROVEN[name], "c")
    assert found.image.tobytes() == expected.image.tobytes()
    assert np.count_nonzero(expected.image) > 0
    provenance = found.provenance
    assert (provenance["kernel"], provenance["kernel_reason"]) == ("triton", "")
    assert provenance["exact"]["reason"] == ""
    assert provenance["exact"]["redone_pixels"] <= 5


@for_each("name", LEFT)
def test_what_has_no_bound_is_the_exact_kernels(name: str) -> None:
    own, reason = LEFT[name]
    found = simulated(own)
    assert found.image.tobytes() == simulated(own, "c").image.tobytes()
    assert reason in found.provenance["exact"]["reason"]
    assert found.provenance["exact"]["redone_pixels"] == found.image.size
    assert found.provenance["kernel"] == "exact"
    assert found.provenance["kernel_reason"] == found.provenance["exact"]["reason"]


COMPARED = (*SHAPES, "parts of cells", "running", "sub-pixels without quirks")


@for_each("name", COMPARED)
def test_intervals_hold_the_exact_values(name: str) -> None:
    """And are narrow: the pixels of the first phi loop, whose values are others, are left out."""
    own = PROVEN[name]
    exact = nb.simulate(own[0], own[1], quirks=own[2], threads=1, unrounded=True).unrounded
    assert exact is not None
    run = prepared_run(own)
    model = run.model
    definition = CEngine().prepare(own[0], own[1], own[2])
    slow, fast = model.active_pixels.numbers(0, model.active_pixels.count, DEVICE)
    scene_of_bits = proven.defined_scene(model, definition)
    low, high = proven.intervals(scene_of_bits, model.setup.choices, Tile(slow, fast, 0))
    values = exact[slow[:, 0].long().cpu(), fast[:, 0].long().cpu()]
    later = slice(1 if scene_of_bits.run_start is not None else 0, None)
    lows, highs = low.cpu().numpy()[later], high.cpu().numpy()[later]
    assert ((lows <= values[later]) & (values[later] <= highs)).all()
    assert np.median((highs - lows) / values[later].clip(min=1e-30)) < 1e-8


@pytest.mark.parametrize("relative", [0.0, 1e-7])
def test_a_bound_that_is_too_small_is_noticed(
    relative: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums that are off by 5e-8 change bytes; where the bound says so, they do not."""
    plain = proven.add_bounded_sums

    def off(given: Any, rays: Any, direction: Any, total: torch.Tensor, slack: Any) -> None:
        plain(given, rays, direction, total, slack)
        total.mul_(1.0 + 5e-8)

    monkeypatch.setattr(proven, "add_bounded_sums", off)
    monkeypatch.setattr(proven, "RELATIVE_ERROR", relative)
    expected = simulated(PROVEN["square"], "c").image
    found = simulated(PROVEN["square"])
    assert (found.image.tobytes() == expected.tobytes()) == (relative > 0.0)
    redone = found.provenance["exact"]["redone_pixels"]
    assert redone > 500 if relative > 0.0 else redone < 5


def test_a_slack_of_a_sphere_that_is_missing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close to a reflection sin x/x - cos x cancels: the relative bound alone is too small."""
    own = scene(
        crystal__shape="round",
        crystal__shape_fudge=1e-9,
        crystal__mosaic_domains=1,
        crystal__mosaic_spread_deg=0.0,
    )
    found = simulated(own)
    assert found.image.tobytes() == simulated(own, "c").image.tobytes()
    assert found.provenance["exact"]["redone_pixels"] > 50


def test_signs_and_what_is_not_finite_are_left() -> None:
    low = torch.tensor([1.0, 1.0, -1.0, torch.nan, 0.0, 2e38], dtype=torch.float64)
    high = torch.tensor([1.0, 1.1, -1.0, torch.nan, 1e-60, 2e38], dtype=torch.float64)
    pixels, is_known = proven.rounded(low, high)
    assert is_known.tolist() == [True, False, False, False, True, False]
    assert pixels.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]


RECORDED = 40
"""Steps of a pixel, at most; the interpreter takes some 10 ms for each and 1000 pixels."""


RECORDED = (
    *(("cases", name) for name in ("cubic", "cubic_N0", "xtal_thick", "os_polar_mosaic", "os_all")),
    *(("cases", name) for name in ("gauss_fudge", "round", "tophat_fudge")),
    *(("cases_fixed", name) for name in ("os_omega", "os_polar_mosaic", "os_all")),
)
ROWS = (28, 36)
"""Of the images, whose spots are in the middle."""


@for_each("case", RECORDED, ids=str)
def test_recorded_images(case: tuple[str, str]) -> None:
    preset, name = case
    recorded = table(preset)[name]
    args = recorded["args"] if "args" in recorded else table("cases")[name]["args"]
    experiment, factors = experiment_of(args, INPUTS)
    first, last = ROWS
    part = experiment.replace({"sampling.roi": (None, None, first, last)})
    quirks = ON if preset == "cases" else nb.Quirks.nanobragg_fixed()
    found = simulated((part, factors, quirks))
    assert found.provenance["exact"]["reason"] == ""
    expected = image(preset.replace("cases", "images"), name)[first : last + 1]
    assert found.image[first : last + 1].tobytes() == expected.tobytes()
    assert np.count_nonzero(expected) > 0


@pytest.mark.parametrize(
    ("options", "field", "rule"),
    [
        ({"dtype": "float32"}, "dtype", "float64 with exact=True"),
        ({"tolerance_photons": 1.0}, "tolerance_photons", "0 with exact=True"),
        ({"kernel": "eager"}, "kernel", '"triton" with exact=True'),
        ({"kernel": "auto", "device": "cpu"}, "kernel", '"triton" with exact=True'),
        ({"exact": 1}, "exact", "True or False"),
    ],
)
def test_what_it_does_not_go_with(options: dict[str, Any], field: str, rule: str) -> None:
    with pytest.raises(nb.ConfigError) as caught:
        simulated(PROVEN["square"], dataclasses.replace(ENGINE, **options))
    assert caught.value.field == field
    assert rule in str(caught.value)


def test_values_before_rounding_are_refused() -> None:
    with pytest.raises(nb.UnsupportedError, match="not its value before rounding"):
        nb.simulate(*scene()[:2], backend=ENGINE, unrounded=True)


def test_a_run_without_its_definition_is_refused() -> None:
    run = ENGINE.prepare(*scene())
    with pytest.raises(nb.UnsupportedError, match="define"):
        run.render(threads=1, progress=None, unrounded=False)
    run.define(CEngine().prepare(*scene()))
    image_of_run = run.render(threads=1, progress=None, unrounded=False).image
    assert image_of_run.tobytes() == simulated(scene(), "c").image.tobytes()


def test_single_pixels_of_the_exact_kernel() -> None:
    experiment, factors, quirks = PROVEN["masked"]
    run = CEngine().prepare(experiment, factors, quirks)
    expected = simulated(PROVEN["masked"], "c").image.reshape(-1)
    numbers = np.array([0, 999, 407, 407, 325])
    found = run.exact_pixels(numbers, 2)
    assert found.tobytes() == expected[numbers].tobytes()
    assert (found > 0.0).tolist() == [False, False, True, True, True]
    for number in (-1, 1000):
        with pytest.raises(nb.ConfigError, match="need 0 to 999"):
            run.exact_pixels(np.array([number]), 1)


def test_cells_are_those_of_the_set_up() -> None:
    """Of each phi step and domain, domain fastest; both engines have made them."""
    own = scene(goniometer__phi_deg=3.0, goniometer__osc_deg=1.0, goniometer__phi_steps=3)
    cells = CEngine().prepare(*own).cells_m()
    expected = prepared_run(own).model._packed({})[0].cells.cpu().numpy()
    assert cells.shape == (6, 9)
    np.testing.assert_allclose(cells, expected, rtol=1e-13, atol=1e-24)


def test_it_is_off_unless_asked_for() -> None:
    assert nb.TorchEngine().exact is False
    found = simulated(PROVEN["square"], dataclasses.replace(ENGINE, exact=False))
    assert "exact" not in found.provenance
