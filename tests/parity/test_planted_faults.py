"""A fault of one part in 1e9 in each stage of the chain is named as that stage.

The faults are real: either one engine is given another experiment, or a function of the torch
engine returns something else wherever it is called, and all that follows is computed from it.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import with_torch  # noqa: F401 - skips without it

import nanobragg_hybrid as nb
from nanobragg_hybrid.compare.traces import Comparison, compare_traces
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.model.trace import Stage

TINY = 1.0 + 1e-9
PIXEL = (13, 4)
EXPERIMENT = nb.Experiment(
    beam=nb.Beam(wavelength_angstrom=1.1, fluence_photons_per_m2=1e28, polarization_kahn=0.9),
    crystal=nb.Crystal(
        cell_angstrom=(40.0, 45.0, 50.0),
        cell_deg=(85.0, 95.0, 100.0),
        misset_deg=(10.0, 20.0, 30.0),
        n_cells=(5.0, 6.0, 7.0),
    ),
    goniometer=nb.Goniometer(phi_deg=3.0, osc_deg=1.0, phi_steps=3),
    detector=nb.Detector(
        distance_mm=100.0,
        pixel_size_mm=5.0,
        n_fast=16,
        n_slow=12,
        sensor_thickness_um=300.0,
        sensor_attenuation_depth_um=500.0,
        sensor_layers=2,
    ),
    sampling=nb.Sampling(oversample=1, interpolate=False),
)
GRID = np.random.default_rng(5).uniform(10.0, 100.0, (33, 33, 33))
TABLE = nb.StructureFactors.from_grid(GRID, (-16, -16, -16), 20.0)

# Field of the experiment -> its faulty value, and the stage that is to be named.
FIELDS: dict[str, tuple[Any, Stage]] = {
    "detector.distance_mm": (100.0 * TINY, "detector"),
    "detector.pixel_size_mm": (5.0 * TINY, "detector"),
    "sampling.oversample": (2, "pixel position"),
    "detector.point_pixel": (True, "solid angle"),
    "beam.wavelength_angstrom": (1.1 * TINY, "source"),
    "goniometer.phi_deg": (3.0 * TINY, "cell rotation"),
    "crystal.cell_angstrom": ((40.0, 45.0 * TINY, 50.0), "cell rotation"),
    "crystal.misset_deg": ((10.0, 20.0 * TINY, 30.0), "cell rotation"),
    "crystal.n_cells": ((5.0, 6.0 * TINY, 7.0), "lattice factor"),
    "crystal.water_um": (1.0, "sum over steps"),
    "beam.fluence_photons_per_m2": (1e28 * TINY, "constants"),
    "detector.sensor_attenuation_depth_um": (500.0 * TINY, "capture fraction"),
    "beam.polarization_kahn": (0.9 * TINY, "polarization"),
}


def _compare(experiment: nb.Experiment, table: nb.StructureFactors = TABLE) -> Comparison:
    """C with the experiment as it is, torch with another."""
    return compare_traces(
        nb.trace_phi(EXPERIMENT, TABLE, pixel=PIXEL),
        nb.trace_phi(experiment, table, pixel=PIXEL, backend="torch"),
        names=("c", "torch"),
    )


def _first_stage(found: Comparison) -> Stage:
    assert found.first_divergence is not None
    return found.first_divergence.stage


def test_without_a_fault_there_is_no_divergence() -> None:
    assert _compare(EXPERIMENT).first_divergence is None


@pytest.mark.parametrize("field", FIELDS)
def test_fault_in_the_experiment(field: str) -> None:
    value, stage = FIELDS[field]
    found = _compare(EXPERIMENT.replace({field: value}))
    assert _first_stage(found) == stage
    # It goes through to the end.
    final = next(item for item in found.differences if item.quantity == "I_pixel_final")
    assert not final.agrees


def test_fault_in_the_structure_factors() -> None:
    found = _compare(EXPERIMENT, nb.StructureFactors.from_grid(GRID * TINY, (-16, -16, -16), 20.0))
    assert _first_stage(found) == "structure factor"
    assert found.maxima()["max_delta_F_latt"] < 1e-11


def _times(vector: Any) -> Any:
    return tuple(component * TINY for component in vector)


# Function of the torch engine -> what is done to its result, and the stage that is to be named.
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Stage]] = {
    "positions": (_times, "pixel position"),
    "solid_angle": (lambda omega: omega * TINY, "solid angle"),
    "rays_of": (lambda rays: dataclasses.replace(rays, q=_times(rays.q)), "scattering vector"),
    "cells_of": (lambda cells: dataclasses.replace(cells, b=_times(cells.b)), "cell rotation"),
    "fractional_indices": (_times, "Miller indices"),
    "structure_factor": (lambda f: f * TINY, "structure factor"),
    "block_value_and_sum": (lambda found: (found[0] * TINY, *found[1:]), "pixel value"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_fault_in_a_function(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, stage = FUNCTIONS[name]
    _compare(EXPERIMENT)  # loads every module of the engine
    planted = 0
    for module_name, module in list(sys.modules.items()):
        function = getattr(module, name, None)
        if module_name.startswith("nanobragg_hybrid.engines.torch.") and function is not None:
            monkeypatch.setattr(module, name, _changed(function, change))
            planted += 1
    assert planted >= 1  # where it is defined and, if that is elsewhere, where it is used
    assert _first_stage(_compare(EXPERIMENT)) == stage


def _changed(function: Callable[..., Any], change: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda *args, **options: change(function(*args, **options))


def test_fault_in_the_reciprocal_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    make = ForwardModel.scene

    def scene(self: ForwardModel, values: Any) -> Any:
        whole = make(self, values)
        return dataclasses.replace(whole, b_star=_times(whole.b_star))

    monkeypatch.setattr(ForwardModel, "scene", scene)
    assert _first_stage(_compare(EXPERIMENT)) == "reciprocal cell"


def test_every_stage_has_a_fault() -> None:
    faults = {stage for _, stage in (*FIELDS.values(), *FUNCTIONS.values())}
    faults |= {"structure factor", "reciprocal cell"}
    assert faults == set(get_args(Stage))
