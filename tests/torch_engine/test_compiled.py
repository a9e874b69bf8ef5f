"""Packed scenes by the compiled kernels: what they render, and that it is what the eager engine
does."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from compiled_scenes import NAMES, Part, parts_of, relative_error
from for_each import for_each
from header import HEADER, enumerators
from random_experiments import random_experiment, random_quirks, random_table
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.base.native_scene import Factor, Own
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.compiled import bridge as compiled
from nanobragg_hybrid.engines.torch.compiled.bridge import (
    FactorPlaces,
    factor_places,
    water_factors,
    why_not,
)
from nanobragg_hybrid.engines.torch.compiled.kernel import CompiledKernel, SeenTable
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS, Packed, tensors
from nanobragg_hybrid.engines.torch.scenes.scene import Choices

NONE, PIXEL, RAY, STEP, LAYER, LAST_LAYER, SOURCE, SAMPLE = Factor
ALL_ON, ALL_OFF = nb.Quirks(), nb.Quirks.none()
NO_PRODUCT = nb.Quirks.parse("nanobragg,-oversample_running_product")
USED = sorted({*compiled._OF_SCENE.tolist(), *compiled._OF_CRYSTAL.tolist()})
CONSTANT = nb.StructureFactors.constant(100.0)


def table(size: int = 21, default_f: float = 7.0) -> nb.StructureFactors:
    """Structure factors around the origin."""
    grid = np.random.default_rng(0).uniform(10.0, 100.0, (size, size, size))
    return nb.StructureFactors.from_grid(grid, (-(size // 2),) * 3, default_f=default_f)


def experiment(pixels: int = 14, **changes: Any) -> nb.Experiment:
    """A triclinic crystal, turned and mosaic; changes by their dotted names."""
    start = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0, polarization_kahn=0.7),
        crystal=nb.Crystal(
            cell_angstrom=(35, 40, 45),
            cell_deg=(75, 85, 95),
            misset_deg=(10, 20, 30),
            n_cells=(4, 5, 3),
            mosaic_spread_deg=0.5,
            mosaic_domains=3,
        ),
        goniometer=nb.Goniometer(phi_deg=1.0, osc_deg=1.0, phi_steps=2),
        detector=nb.Detector(
            distance_mm=100,
            pixel_size_mm=1.3,
            n_fast=pixels,
            n_slow=pixels,
            rotation_deg=(3, -4, 5),
        ),
        sampling=nb.Sampling(oversample=1),
    )
    return start.replace({name.replace("__", "."): value for name, value in changes.items()})


SENSOR: dict[str, Any] = {
    "detector__sensor_thickness_um": 300,
    "detector__sensor_attenuation_depth_um": 200,
    "detector__sensor_layers": 3,
}
BEAMS: dict[str, Any] = {
    "beam__dispersion_percent": 1.0,
    "beam__dispersion_steps": 2,
    "beam__divergence_h_mrad": 2.0,
    "beam__divergence_h_steps": 2,
}
LISTED: dict[str, Any] = {
    "beam__sources": tuple(
        nb.Source(position=(-10.0, 0.1 * n, 0.05), weight=w, wavelength_m=wavelength * 1e-10)
        for n, (w, wavelength) in enumerate([(0.5, 1.0), (1.7, 1.02), (0.8, 0.99)])
    )
}
RAYS: dict[str, Any] = {
    "sampling__oversample": 2,
    "sampling__oversample_thick": True,
    "sampling__oversample_polar": True,
    "sampling__oversample_omega": True,
}


def without(*names: str) -> nb.Quirks:
    """All quirks but some."""
    return dataclasses.replace(ALL_ON, **dict.fromkeys(names, False))


FINE: dict[str, Any] = {"sampling__oversample": 2}
WATER: dict[str, Any] = {"crystal__water_um": 5.0}
CURVED: dict[str, Any] = {"detector__curved": True, **SENSOR, **FINE}
ODD: dict[str, tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]] = {
    "curved": (experiment(**CURVED), CONSTANT, ALL_ON),
    "curved, facing": (experiment(**CURVED), CONSTANT, without("curved_flat_factors")),
    "sphere": (experiment(**CURVED), CONSTANT, without("curved_detector_axes")),
    "corrected curved": (experiment(**CURVED, **BEAMS, **WATER), table(), ALL_OFF),
    "running": (experiment(**SENSOR, **BEAMS, **RAYS), CONSTANT, ALL_ON),
    "running thickness": (
        experiment(**SENSOR, **FINE, sampling__oversample_thick=True),
        table(),
        ALL_ON,
    ),
    "running polarization": (
        experiment(**BEAMS, **WATER, sampling__oversample_polar=True),
        CONSTANT,
        ALL_ON,
    ),
    "running solid angle": (experiment(**WATER, sampling__oversample_omega=True), CONSTANT, ALL_ON),
    "running among others": (
        experiment(**SENSOR, **LISTED, **FINE, **WATER, sampling__oversample_polar=True),
        CONSTANT,
        dataclasses.replace(ALL_OFF, oversample_running_product=True, water_background=True),
    ),
    "running limit": (
        experiment(**LISTED, sampling__oversample_polar=True, sampling__dmin_angstrom=3.0),
        CONSTANT,
        ALL_ON,
    ),
    **{
        f"running {shape}": (
            experiment(
                crystal__shape=shape,
                crystal__shape_fudge=fudge,
                sampling__oversample_polar=True,
                **BEAMS,
                **FINE,
            ),
            table(),
            ALL_ON,
        )
        for shape, fudge in (("round", 0.7), ("gauss", 300.0), ("tophat", 0.05))
    },
    "last layer": (experiment(**SENSOR, **FINE), CONSTANT, without("first_subpixel_factors")),
    "own layer": (experiment(**SENSOR, **FINE), CONSTANT, without("thick_last_layer")),
    "own source": (experiment(**LISTED, **FINE), CONSTANT, without("polar_first_source")),
    "own sample": (experiment(**LISTED, **FINE), CONSTANT, without("first_subpixel_factors")),
    "own sample and limit": (
        experiment(**LISTED, **FINE, sampling__dmin_angstrom=3.0),
        CONSTANT,
        without("first_subpixel_factors"),
    ),
    "searched": (
        experiment(**LISTED, **FINE, sampling__dmin_angstrom=3.0, **WATER),
        CONSTANT,
        ALL_ON,
    ),
    "thick": (
        experiment(**{**SENSOR, "detector__sensor_attenuation_depth_um": 2.0, **FINE}, **WATER),
        CONSTANT,
        ALL_ON,
    ),
    "water beside rays": (
        experiment(**SENSOR, **LISTED, **FINE, **WATER),
        CONSTANT,
        dataclasses.replace(ALL_OFF, water_background=True),
    ),
    "water beside options": (experiment(**SENSOR, **RAYS, **WATER), CONSTANT, NO_PRODUCT),
    "own water": (
        experiment(**SENSOR, **LISTED, **FINE, **WATER),
        CONSTANT,
        without("water_background"),
    ),
    "corrected water": (experiment(**SENSOR, **LISTED, **FINE, **WATER), CONSTANT, ALL_OFF),
}
"""Curved detectors, running products, water and factors in all their places."""
SCENES: dict[str, tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]] = {
    "plain": (experiment(), CONSTANT, ALL_ON),
    "corrected": (experiment(), CONSTANT, ALL_OFF),
    "sensor": (experiment(**SENSOR, sampling__oversample=2), CONSTANT, ALL_ON),
    "corrected sensor": (experiment(**SENSOR, sampling__oversample=2), CONSTANT, ALL_OFF),
    "beams": (experiment(**BEAMS), table(), ALL_ON),
    "corrected beams": (experiment(**BEAMS, **SENSOR), table(), ALL_OFF),
    "listed": (experiment(**LISTED), CONSTANT, ALL_ON),
    "corrected listed": (experiment(**LISTED, sampling__oversample=2), CONSTANT, ALL_OFF),
    "rays": (experiment(**SENSOR, **BEAMS, **RAYS), CONSTANT, NO_PRODUCT),
    "limit": (experiment(sampling__dmin_angstrom=3.0), CONSTANT, ALL_ON),
    "corrected limit": (experiment(**LISTED, sampling__dmin_angstrom=3.0), CONSTANT, ALL_OFF),
    "water": (experiment(crystal__water_um=5.0), CONSTANT, ALL_ON),
    "water and sensor": (experiment(crystal__water_um=5.0, **SENSOR, **BEAMS), table(), ALL_ON),
    "nearest": (experiment(sampling__interpolate=False), table(9), ALL_ON),
    "interpolated": (experiment(sampling__interpolate=True), table(61), ALL_ON),
    "interpolated inside": (experiment(sampling__interpolate=True), table(9), ALL_OFF),
    "points": (experiment(detector__point_pixel=True, **SENSOR), CONSTANT, ALL_ON),
    "corrected points": (
        experiment(detector__point_pixel=True, sampling__oversample=2),
        CONSTANT,
        ALL_OFF,
    ),
    "unpolarized": (experiment(beam__polarization_correction=False), CONSTANT, ALL_ON),
    "small": (experiment(crystal__n_cells=(0.5, 1.0, 3.4)), CONSTANT, ALL_ON),
    **ODD,
    **{
        shape: (
            experiment(
                crystal__shape=shape, crystal__shape_fudge=0.7, sampling__oversample=2, **SENSOR
            ),
            table(),
            ALL_OFF,
        )
        for shape in ("round", "gauss", "tophat", "gauss_hkl", "tophat_hkl")
    },
}


def the_part(name: str) -> Part:
    """All pixels of a scene but those in which the run starts."""
    parts = list(parts_of(*SCENES[name]))
    assert parts, "the compiled kernels do not render it"
    return max(parts, key=lambda part: len(part.tile.slow))


def in_units(name: str, x: torch.Tensor, part: Part) -> torch.Tensor:
    """Derivatives by numbers and sources, times those; only what the compiled kernels know.

    Weights that are ignored are no leaf of the eager scene.
    """
    if name == "numbers":
        return (x * part.packed.numbers.abs())[USED]
    if name == "sources":
        return (x * part.packed.sources.abs())[: 5 if part.template.has_weights else 4]
    return x


def gradient_errors(part: Part) -> dict[str, float]:
    """Of each tensor, by its norm."""
    _, expected = part.eager()
    found = part.gradients()
    errors = {}
    for name, one, other in zip(NAMES, tensors(found), tensors(expected), strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.shape == other.shape
            errors[name] = relative_error(in_units(name, one, part), in_units(name, other, part))
    return errors


@pytest.mark.parametrize("name", SCENES)
def test_values(name: str) -> None:
    part = the_part(name)
    expected, _ = part.eager()
    assert float(expected.norm()) > 0.0
    assert relative_error(part.compiled.values(*part.pixels), expected) < 1e-13


EAGER_INTERFERENCE = 1e-9
"""The eager engine's derivatives of a parallelepiped lose digits next to whole indices, where
those of the compiled kernels do not (tests/c_api/test_scene_accuracy.py)."""


@pytest.mark.parametrize("name", SCENES)
def test_gradients(name: str) -> None:
    is_square = SCENES[name][0].crystal.shape == "square"
    limit = EAGER_INTERFERENCE if is_square else 1e-11
    errors = gradient_errors(the_part(name))
    assert {key: error for key, error in errors.items() if not error < limit} == {}


def random_change(part: Part) -> Packed:
    """Of everything, by about its own size; what the kernels do not know stays."""
    rng = torch.Generator().manual_seed(3)
    along = [
        None if x is None else torch.randn(x.shape, dtype=torch.float64, generator=rng) * x.abs()
        for x in tensors(part.packed)
    ]
    assert along[0] is not None
    mask = torch.zeros(len(NUMBERS), dtype=torch.float64)
    mask[USED] = 1.0
    along[0] *= mask
    return Packed(*along)


@pytest.mark.parametrize("name", SCENES)
def test_tangents_are_the_transpose_of_gradients(name: str) -> None:
    """And of the table, which may be left out."""
    part = the_part(name)
    along = random_change(part)
    by = part.gradients()
    tangents = part.tangents(along)
    terms = [
        (a * b).sum()
        for a, b in zip(tensors(along), tensors(by), strict=True)
        if a is not None and b is not None
    ]
    scale = sum(abs(float(term)) for term in terms)
    assert abs(float(tangents @ part.weight) - float(sum(terms))) < 1e-11 * scale
    if along.grid is not None:
        still = dataclasses.replace(along, grid=None)
        rest = part.tangents(still)
        moved = float((along.grid * by.grid).sum())
        assert float((tangents - rest) @ part.weight) == pytest.approx(moved, abs=1e-11 * scale)


@pytest.mark.parametrize("name", SCENES)
def test_jacobians_are_tangents(name: str) -> None:
    """Along changes of numbers and sources, of a reference cell, and of the cells themselves."""
    part = the_part(name)
    cells = part.packed.cells.reshape(-1, 3, 3)
    rotations = cells.transpose(1, 2) @ torch.linalg.inv(cells[0].T)
    change = random_change(part)
    reference = 1e-3 * change.cells[0]
    turned = torch.einsum("oyx,ix->oiy", rotations, reference.reshape(3, 3)).reshape(-1, 9)
    zeros = Packed(*(None if x is None else torch.zeros_like(x) for x in tensors(part.packed)))
    steps = [
        dataclasses.replace(zeros, numbers=change.numbers),
        dataclasses.replace(zeros, sources=change.sources),
        dataclasses.replace(zeros, cells=turned),
        dataclasses.replace(zeros, numbers=change.numbers, cells=turned + change.cells),
    ]
    references = torch.zeros(4, 9, dtype=torch.float64)
    references[2:] = reference
    values, found = part.compiled.jacobian(
        *part.pixels,
        numbers=torch.stack([step.numbers for step in steps]).numpy(),
        sources=torch.stack([step.sources for step in steps]).numpy(),
        rotations=rotations.numpy(),
        reference_cell=references.numpy(),
        turning=[(3, change.cells.numpy())],
    )
    # Values alone have the model's rounding of pi h N, those beside derivatives exact phases.
    assert relative_error(values, part.compiled.values(*part.pixels)) < 1e-11
    for column, step in zip(found, steps, strict=True):
        expected = part.tangents(step)
        assert relative_error(column, expected) < 1e-9
    none = part.compiled.jacobian(
        *part.pixels,
        numbers=np.zeros((1, len(NUMBERS))),
        sources=np.zeros((1, *part.packed.sources.shape)),
        rotations=rotations.numpy(),
        reference_cell=np.zeros((1, 9)),
        turning=[],
    )[1]
    assert not none.any()


def test_numbers_of_cells_below_1_count_as_1_and_do_not_change() -> None:
    part = the_part("small")
    numbers = part.packed.numbers.clone()
    numbers[NUMBERS.index("n_cells.0")] = 0.5
    part = dataclasses.replace(part, packed=dataclasses.replace(part.packed, numbers=numbers))
    expected, _ = part.eager()
    assert relative_error(part.compiled.values(*part.pixels), expected) < 1e-13
    along = random_change(part)
    along.numbers[:] = 0.0
    along.sources[:] = 0.0
    along.cells[:] = 0.0
    for axis, moves in ((0, False), (2, True)):
        along.numbers[NUMBERS.index(f"n_cells.{axis}")] = 1.0
        tangents = part.tangents(along)
        assert bool(tangents.any()) is moves
        along.numbers[:] = 0.0
    by = part.gradients(want_grid=False)
    assert by.numbers[NUMBERS.index("n_cells.0")] == 0.0
    assert by.numbers[NUMBERS.index("n_cells.2")] != 0.0
    assert by.grid is None


def test_random_experiments() -> None:
    """With random quirks: wherever the compiled kernels render, they render the same.

    Numbers of cells are no whole numbers here, so that a parallelepiped has poles: next to them one
    rounding of an index is much of a derivative.
    """
    rendered = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        experiment, factors = random_experiment(random), random_table(random)
        try:
            parts = list(parts_of(experiment, factors, random_quirks(random)))
        except nb.NanobraggError:
            continue
        for part in parts:
            expected, _ = part.eager()
            size = float(expected.norm())
            if np.isfinite(size) and size > 0.0:
                rendered += 1
                error = relative_error(part.compiled.values(*part.pixels), expected)
                assert error < 1e-13, seed
                limit = 1e-6 if experiment.crystal.shape == "square" else 1e-11
                errors = gradient_errors(part)
                assert max(errors.values()) < limit, (seed, errors)
    assert rendered > 20


def choices_of(**changes: Any) -> Choices:
    """Those of one ray without a sensor, changed."""
    start = ForwardModel(experiment(4), CONSTANT, ALL_ON).setup.choices
    return dataclasses.replace(start, **changes)


FEW: dict[str, Any] = {"oversample": 2}
LAYERS: dict[str, Any] = {"layers": 3, "has_sensor": True}
RUNS: dict[str, Any] = {"running_product": True}


@for_each(
    "changes, expected",
    [
        ({}, FactorPlaces(NONE, PIXEL, PIXEL)),
        ({"has_polarization": False}, FactorPlaces(NONE, NONE, PIXEL)),
        ({"has_sensor": True}, FactorPlaces(PIXEL, PIXEL, PIXEL)),
        ({**LAYERS, "source_count": 4}, FactorPlaces(PIXEL, PIXEL, PIXEL)),
        ({"searches_polarization": True, **FEW}, FactorPlaces(NONE, PIXEL, PIXEL)),
        ({"searches_capture": True, "has_sensor": True, **FEW}, FactorPlaces(PIXEL, PIXEL, PIXEL)),
        ({"oversample_thick": True, **LAYERS}, FactorPlaces(RAY, PIXEL, PIXEL)),
        ({"oversample_thick": True, **LAYERS, **RUNS}, FactorPlaces(STEP, PIXEL, PIXEL)),
        ({"capture_per_layer": True, **LAYERS}, FactorPlaces(LAYER, PIXEL, PIXEL, Own.CAPTURE)),
        (
            {"capture_per_layer": True, "capture_per_sample": True, **LAYERS, **FEW},
            FactorPlaces(RAY, PIXEL, PIXEL, Own.CAPTURE),
        ),
        (
            {"capture_per_sample": True, **LAYERS, **FEW},
            FactorPlaces(LAST_LAYER, PIXEL, PIXEL, Own.CAPTURE),
        ),
        ({"oversample_polar": True}, FactorPlaces(NONE, RAY, PIXEL)),
        ({"oversample_polar": True, **RUNS}, FactorPlaces(NONE, STEP, PIXEL)),
        (
            {"polar_per_source": True, "source_count": 3},
            FactorPlaces(NONE, SOURCE, PIXEL, Own.POLARIZATION),
        ),
        (
            {"polar_per_source": True, "polar_per_sample": True, "source_count": 3, **FEW},
            FactorPlaces(NONE, RAY, PIXEL, Own.POLARIZATION),
        ),
        (
            {"polar_per_sample": True, "source_count": 3, **FEW},
            FactorPlaces(NONE, SAMPLE, PIXEL, Own.POLARIZATION),
        ),
        ({"oversample_omega": True, **FEW}, FactorPlaces(NONE, PIXEL, RAY)),
        ({"oversample_omega": True, **RUNS}, FactorPlaces(NONE, PIXEL, STEP)),
        ({"omega_per_sample": True, **FEW}, FactorPlaces(NONE, PIXEL, RAY, Own.SOLID_ANGLE)),
    ],
)
def test_factor_places(changes: dict[str, Any], expected: FactorPlaces) -> None:
    assert factor_places(choices_of(**changes)) == expected


@for_each(
    "changes, expected",
    [
        ({"has_polarization": False}, Own.SOLID_ANGLE),
        ({}, Own.SOLID_ANGLE | Own.POLARIZATION),
        (
            {"has_sensor": True, "water_sees_all_sources": True, "water_sees_sub_pixels": True},
            Own.SOLID_ANGLE | Own.POLARIZATION | Own.CAPTURE | Own.OF_SOURCES | Own.OF_SUB_PIXELS,
        ),
    ],
)
def test_water_factors(changes: dict[str, Any], expected: Own) -> None:
    assert water_factors(choices_of(**changes)) == expected


def test_where_and_in_what_they_compute() -> None:
    cpu = torch.device("cpu")
    assert why_not(torch.float64, cpu) is None
    assert why_not(torch.float32, cpu) is None
    elsewhere = why_not(torch.float64, torch.device("meta"))
    assert elsewhere == "the compiled kernels compute on the CPU, not on meta"


_TOO_LARGE = "Miller indices, or their products with numbers of cells, are too large"


@for_each(
    "name, value, reason",
    [
        ("fudge", -1e-3, "the fudge factor is negative"),
        ("fudge", float("nan"), "the fudge factor is negative"),
        ("fudge", float("inf"), "the fudge factor is not finite"),
        ("fudge", 1e20, "the fudge factor is too large"),
        ("pix0.0", 1e50, "a length is too large to be squared"),
        ("close", float("inf"), "a length is too large to be squared"),
        ("default_f", float("inf"), "default_f, or its square, is too large for a double"),
        ("default_f", float("nan"), "default_f, or its square, is too large for a double"),
        ("default_f", -1e151, "default_f, or its square, is too large for a double"),
        ("n_cells.1", float("inf"), "a number of cells is not finite"),
        ("n_cells.2", float("nan"), "a number of cells is not finite"),
        ("grid", float("inf"), "a structure factor, or its square, is too large for a double"),
        ("grid", float("nan"), "a structure factor, or its square, is too large for a double"),
        ("grid", -1e151, "a structure factor, or its square, is too large for a double"),
        ("n_cells.0", 1e6, _TOO_LARGE),
    ],
)
def test_values_that_the_kernels_do_not_take(name: str, value: float, reason: str) -> None:
    part = the_part("nearest")
    kernel = CompiledKernel(part.model.setup.choices, part.template, torch.float64, SeenTable())
    assert kernel.refuses(part.packed) is None
    numbers, grid = part.packed.numbers.clone(), part.packed.grid
    assert grid is not None
    if name == "grid":
        grid = grid.clone()
        grid[1, 2, 3] = value
    else:
        numbers[NUMBERS.index(name)] = value
    wrong = dataclasses.replace(part.packed, numbers=numbers, grid=grid)
    assert kernel.refuses(wrong) == reason
    assert kernel.refuses(part.packed) is None
    if name not in ("grid", "n_cells.0"):  # what costs something is looked at once for an image
        with pytest.raises(nb.UnsupportedError, match=f"^{reason}$"):
            dataclasses.replace(part, packed=wrong).compiled  # noqa: B018 (made where asked for)


def test_too_large_a_crystal_is_unsupported() -> None:
    part = the_part("plain")
    numbers = part.packed.numbers.clone()
    numbers[NUMBERS.index("n_cells.0")] = 1e6
    large = dataclasses.replace(part, packed=dataclasses.replace(part.packed, numbers=numbers))
    with pytest.raises(nb.UnsupportedError, match="an index or its phase is too large"):
        large.compiled.values(*part.pixels)


def test_numbers_stand_in_the_headers_order() -> None:
    """Names of Scene at the positions that nbh.h gives to what they mean."""
    of_scene = {
        "fast": "fast", "slow": "slow", "normal": "normal", "origin": "pix0", "pixel": "pixel",
        "pixel_slow": "pixel_slow", "layer": "layer_step", "attenuation": "attenuation",
        "close": "close", "kahn": "kahn",
        "polarization": "polarization", "beam": "beam", "distance": "distance",
        "beam_fast": "beam_fast", "beam_slow": "beam_slow",
    }  # fmt: skip
    of_crystal = {
        "n_cells": "n_cells", "fudge": "fudge", "star": "a_star", "default_f": "default_f",
        "strength": "strength", "background": "background", "water": "water",
    }  # fmt: skip
    for prefix, names, places in (
        ("NBH_SCENE_", of_scene, compiled._OF_SCENE),
        ("NBH_CRYSTAL_", of_crystal, compiled._OF_CRYSTAL),
    ):
        positions = enumerators(prefix)
        assert positions.pop("numbers") == len(places)
        assert positions.keys() == names.keys()
        for name, first in positions.items():
            assert NUMBERS[places[first]].split(".")[0] == names[name]
            if "." in NUMBERS[places[first]]:
                assert [NUMBERS[n][-1] for n in places[first : first + 3]] == ["0", "1", "2"]
    assert [NUMBERS[n] for n in compiled._OF_CRYSTAL[7:13:3]] == ["b_star.0", "c_star.0"]
    source = re.search(r"enum nbh_source_number {(.*?)}", HEADER.read_text(), re.DOTALL)
    assert source is not None
    order = re.findall(r"NBH_SOURCE_(\w+) = (\d)", source[1])
    assert order == [("INCIDENT", "0"), ("WAVELENGTH", "3"), ("WEIGHT", "4"), ("NUMBERS", "5")]


def test_without_water_a_fluence_is_no_background() -> None:
    """Nor do the factors of rays keep the compiled kernels from its derivative."""
    model = ForwardModel(*SCENES["rays"], kernel="compiled")
    fluence = model.initial("beam.fluence_photons_per_m2").requires_grad_()
    total = model.pixels({"beam.fluence_photons_per_m2": fluence}).sum()
    (slope,) = torch.autograd.grad(total, fluence)
    assert float(slope * fluence.detach()) == pytest.approx(float(total.detach()), rel=1e-9)
