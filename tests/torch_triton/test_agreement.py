"""Values and every first derivative of Triton's kernels, against the eager kernel and the compiled
ones: all shapes, structure factors, and factors in all their places."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from compiled_scenes import NAMES, Part, parts_of, relative_error
from triton_scenes import TritonPart
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import compiled, sum_launches
from nanobragg_hybrid.engines.torch.packing import NUMBERS, Packed, tensors
from nanobragg_hybrid.engines.torch.triton_rays import disguised

ALL_ON, ALL_OFF = nb.Quirks(), nb.Quirks.none()
NO_PRODUCT = nb.Quirks.parse("nanobragg,-oversample_running_product")
CONSTANT = nb.StructureFactors.constant(100.0)
USED = sorted({*compiled._OF_SCENE.tolist(), *compiled._OF_CRYSTAL.tolist()})

Scene = tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]


def table(size: int) -> nb.StructureFactors:
    """Structure factors around the origin."""
    grid = np.random.default_rng(0).uniform(10.0, 100.0, (size, size, size))
    return nb.StructureFactors.from_grid(grid, (-(size // 2),) * 3, default_f=7.0)


def experiment(**changes: Any) -> nb.Experiment:
    """A triclinic crystal with two orientations on few pixels; changes by their dotted names."""
    start = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0, polarization_kahn=0.7),
        crystal=nb.Crystal(
            cell_angstrom=(35, 40, 45),
            cell_deg=(75, 85, 95),
            misset_deg=(10, 20, 30),
            n_cells=(4, 5, 3),
            mosaic_spread_deg=0.5,
            mosaic_domains=2,
        ),
        goniometer=nb.Goniometer(phi_deg=1.0, osc_deg=1.0, phi_steps=1),
        detector=nb.Detector(
            distance_mm=100,
            pixel_size_mm=1.3,
            n_fast=12,
            n_slow=8,
            rotation_deg=(3, -4, 5),
        ),
        sampling=nb.Sampling(oversample=1),
    )
    return start.replace({name.replace("__", "."): value for name, value in changes.items()})


def without(*names: str) -> nb.Quirks:
    """All quirks but some."""
    return dataclasses.replace(ALL_ON, **dict.fromkeys(names, False))


SENSOR: dict[str, Any] = {
    "detector__sensor_thickness_um": 300,
    "detector__sensor_attenuation_depth_um": 200,
    "detector__sensor_layers": 2,
}
LISTED: dict[str, Any] = {
    "beam__sources": tuple(
        nb.Source(position=(-10.0, 0.1 * n, 0.05), weight=w, wavelength_m=wavelength * 1e-10)
        for n, (w, wavelength) in enumerate([(0.5, 1.0), (1.5, 1.02)])
    )
}
OPTIONS: dict[str, Any] = {
    "sampling__oversample_thick": True,
    "sampling__oversample_polar": True,
    "sampling__oversample_omega": True,
}
LIMIT: dict[str, Any] = {"sampling__dmin_angstrom": 3.0}
WATER: dict[str, Any] = {"crystal__water_um": 5.0}
FINE: dict[str, Any] = {"sampling__oversample": 2}
ONE: dict[str, Any] = {"crystal__mosaic_domains": 1}
CUBIC: dict[str, Any] = {**ONE, "sampling__interpolate": True}
GIVEN: dict[str, Any] = {
    "crystal__mosaic_spread_deg": None,
    "crystal__mosaic_domains": None,
    "crystal__mosaic_rotations": nb.Rotations(
        [np.eye(3), [[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]], weights=[0.5, 1.5]
    ),
}
SCENES: dict[str, Scene] = {
    "square": (experiment(), CONSTANT, ALL_ON),
    "broken numbers of cells": (experiment(crystal__n_cells=(0.5, 1.0, 3.4)), CONSTANT, ALL_ON),
    **{
        shape: (experiment(crystal__shape=shape, crystal__shape_fudge=0.7), table(21), ALL_OFF)
        for shape in ("round", "gauss", "tophat", "gauss_hkl", "tophat_hkl")
    },
    "nearest": (experiment(), table(9), ALL_ON),
    "interpolated": (experiment(**CUBIC), table(61), ALL_ON),
    "interpolated inside": (experiment(**CUBIC), table(9), ALL_OFF),
    "limit": (experiment(**LIMIT), CONSTANT, ALL_ON),
    "sources": (experiment(**LISTED), table(9), ALL_ON),
    "weights of sources": (experiment(**LISTED, **LIMIT), CONSTANT, ALL_OFF),
    "sub-pixels": (experiment(**FINE, **ONE), CONSTANT, ALL_ON),
    "factors of sub-pixels": (experiment(**FINE, **ONE, **WATER), CONSTANT, ALL_OFF),
    "sensor": (experiment(**SENSOR), CONSTANT, ALL_ON),
    "layers": (experiment(**SENSOR), CONSTANT, without("thick_last_layer")),
    "options": (experiment(**SENSOR, **LISTED, **OPTIONS, **ONE), CONSTANT, NO_PRODUCT),
    "running": (experiment(**SENSOR, **LISTED, **OPTIONS), CONSTANT, ALL_ON),
    "running, limit, water": (
        experiment(**LISTED, **LIMIT, **WATER, **OPTIONS),
        table(21),
        dataclasses.replace(ALL_OFF, oversample_running_product=True, water_background=True),
    ),
    **{
        f"running {shape}": (
            experiment(
                crystal__shape=shape,
                crystal__shape_fudge=fudge,
                sampling__oversample_polar=True,
                **LISTED,
            ),
            table(21),
            ALL_ON,
        )
        for shape, fudge in (("gauss", 300.0), ("tophat", 0.05))
    },
    "points": (experiment(detector__point_pixel=True), CONSTANT, ALL_OFF),
    "curved": (experiment(detector__curved=True, **ONE, **SENSOR), CONSTANT, ALL_ON),
    "curved, facing": (
        experiment(detector__curved=True, **ONE),
        CONSTANT,
        without("curved_flat_factors"),
    ),
    "sphere": (experiment(detector__curved=True, **ONE), CONSTANT, ALL_OFF),
    "unpolarized": (experiment(beam__polarization_correction=False, **ONE), CONSTANT, ALL_ON),
}


def the_part(name: str) -> Part:
    """All pixels of a scene but those in which the run starts."""
    return max(parts_of(*SCENES[name]), key=lambda part: len(part.tile.slow))


def in_units(name: str, x: torch.Tensor, part: Part) -> torch.Tensor:
    """Derivatives by numbers and sources, times those, of what the compiled kernels know."""
    if name == "numbers":
        return (x * part.packed.numbers.abs())[USED]
    if name == "sources":
        return (x * part.packed.sources.abs())[: 5 if part.template.has_weights else 4]
    return x


def errors_of(found: Packed, expected: Packed, part: Part) -> dict[str, float]:
    """Of each tensor, by its norm."""
    errors = {}
    for name, one, other in zip(NAMES, tensors(found), tensors(expected), strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.shape == other.shape
            errors[name] = relative_error(in_units(name, one, part), in_units(name, other, part))
    return errors


def random_change(part: Part) -> Packed:
    """Of everything that the compiled kernels know, by about its own size."""
    rng = torch.Generator().manual_seed(3)
    along = [
        None if x is None else torch.randn(x.shape, dtype=torch.float64, generator=rng) * x.abs()
        for x in tensors(part.packed)
    ]
    assert along[0] is not None
    used = torch.zeros(len(NUMBERS), dtype=torch.float64)
    used[USED] = 1.0
    along[0] *= used
    if not part.template.has_weights:
        assert along[1] is not None
        along[1][4] = 0.0
    return Packed(*along)


@pytest.mark.parametrize("name", SCENES)
def test_values_gradients_and_tangents(name: str) -> None:
    part = the_part(name)
    own = TritonPart(part)
    expected, _ = part.eager()
    assert float(expected.norm()) > 0.0
    assert relative_error(own.values(), expected) < 1e-13
    assert relative_error(own.values(), part.compiled.values(*part.pixels)) < 1e-13
    errors = errors_of(own.gradients(), part.gradients(), part)
    assert {key: error for key, error in errors.items() if not error < 1e-11} == {}
    along = random_change(part)
    assert relative_error(own.tangents(along), part.tangents(along)) < 1e-11


@pytest.mark.parametrize("name", ["square", "gauss", "gauss_hkl", "round", "tophat", "nearest"])
def test_single_precision(name: str) -> None:
    part = the_part(name)
    own = TritonPart(part, torch.float32)
    expected, _ = part.eager()
    values = own.values()
    assert relative_error(values, expected) < 1e-5
    if name in ("square", "gauss"):  # it is another number type
        assert not torch.equal(values, TritonPart(part).values())
    errors = errors_of(own.gradients(), part.gradients(), part)
    assert {key: error for key, error in errors.items() if not error < 1e-4} == {}


def test_weights_of_domains() -> None:
    """The compiled kernels do not have them: the eager one does."""
    part = max(
        parts_of(experiment(**GIVEN), table(21), ALL_ON), key=lambda each: len(each.tile.slow)
    )
    own = TritonPart(part)
    expected, slopes = part.eager()
    assert relative_error(own.values(), expected) < 1e-13
    errors = errors_of(own.gradients(), slopes, part)
    assert {key: error for key, error in errors.items() if not error < 1e-9} == {}


def test_sizes_compile_nothing_anew() -> None:
    """Triton compiles a kernel for a size of 1, for multiples of 16, and for all others."""
    numbers = tuple(range(-40, 5000))
    passed = disguised(numbers)
    assert not [n for n in passed if n == 1 or n % 16 == 0]
    assert tuple(n >> 2 for n in passed) == numbers


def test_the_same_bits_again() -> None:
    part = the_part("running, limit, water")
    own = TritonPart(part)
    assert torch.equal(own.values(), own.values())
    for one, other in zip(tensors(own.gradients()), tensors(own.gradients()), strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


@pytest.mark.parametrize("name", ["nearest", "running tophat"])
def test_parts_of_the_pixels_are_added_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where steps leave something behind, few pixels are followed at a time; blocks are rows."""
    part = the_part(name)
    whole = TritonPart(part).gradients()
    monkeypatch.setattr(sum_launches, "_ON_CPU", 64)
    monkeypatch.setattr(sum_launches, "_HELD_STEPS", 1)
    errors = errors_of(TritonPart(part).gradients(), whole, part)
    assert max(errors.values()) < 1e-13
    assert "grid" in errors


def test_second_derivatives_of_the_sums_are_refused() -> None:
    """A model leaves them to the eager kernel before they come here."""
    own = TritonPart(the_part("nearest"))
    leaves = own._leaves()
    values = own._values(Packed(*leaves))
    (once,) = torch.autograd.grad(values.sum(), leaves[2], create_graph=True)
    with pytest.raises(nb.UnsupportedError, match="Triton's kernels have first derivatives"):
        torch.autograd.grad(once.sum(), leaves[2])
