"""The C library through cffi, for the tests of its public header."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nanobragg_hybrid.engines.c import cffi_view


@pytest.fixture(scope="session")
def ffi() -> Any:
    """cffi's type factory with the declarations of nbh.h."""
    return cffi_view.load()[0]


@pytest.fixture(scope="session")
def lib() -> Any:
    """libnbh."""
    return cffi_view.load()[1]


@pytest.fixture
def cubic(ffi: Any, lib: Any) -> Any:
    """A C experiment that renders: a cubic cell on 8 x 6 pixels."""
    experiment = ffi.new("nbh_experiment *")
    lib.nbh_experiment_init(experiment)
    experiment.crystal.cell_length_angstrom = [50.0, 50.0, 50.0]
    experiment.crystal.cell_angle_rad = [1.5707963267948966] * 3
    experiment.crystal.n_cells = [3.0, 3.0, 3.0]
    experiment.detector.n_fast = 8
    experiment.detector.n_slow = 6
    experiment.detector.pixel_size_m = 0.001
    return experiment


@pytest.fixture
def create_plan(ffi: Any, lib: Any) -> Callable[..., tuple[int, Any, Any]]:
    """Calls nbh_plan_create; returns the status, the plan (destroyed later) and the error."""

    def create(experiment: Any, table: Any = None) -> tuple[int, Any, Any]:
        out = ffi.new("nbh_plan **")
        error = ffi.new("nbh_error *")
        if table is None:
            table = ffi.new("nbh_structure_factors *", {"default_f": 100.0})
        status = lib.nbh_plan_create(experiment, table, out, error)
        return status, ffi.gc(out[0], lib.nbh_plan_destroy), error

    return create
