"""Scenes of few pixels that want everything of kernels that sum over steps: all shapes, structure
factors, and factors in all their places."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from compiled_scenes import Part, parts_of
from with_torch import torch  # noqa: F401 (skips where PyTorch is not installed)

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch.compiled import bridge as compiled

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
