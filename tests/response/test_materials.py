"""Ready scatterers against numbers that are known from elsewhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb


def test_water() -> None:
    """Forward scattering of a compressible fluid, n_e^2 rho k T kappa, and its one broad ring."""
    water = nb.water_scatterer(1.0)
    per_m3 = 0.998e6 / 18.015 * 6.02214076e23
    forward = 10.0 * math.sqrt(per_m3 * 1.380649e-23 * 293.15 * 4.59e-10)
    assert water.values[0] == pytest.approx(forward, rel=0.02)
    top = int(np.argmax(water.values))
    assert 0.5 / water.stol_per_angstrom[top] == pytest.approx(3.1, abs=0.1)
    # At high angles the atoms scatter one by one.
    atoms = 1.377**2 + 2.0 * 0.0073**2
    assert np.interp(1.0, water.stol_per_angstrom, water.values) ** 2 == pytest.approx(
        atoms, rel=0.03
    )
    assert water.molecules == pytest.approx(per_m3 * 1e-9, rel=1e-6)


def test_air() -> None:
    air = nb.air_scatterer(1.0)
    assert air.density_g_per_cm3 == pytest.approx(1.2041e-3, rel=1e-4)
    assert air.quantity == "intensity"
    # 14 and 16 electrons, and 18
    forward = (0.78084 * 14**2 + 0.20946 * 16**2 + 0.00934 * 18**2) / 0.99964
    assert air.values[0] == pytest.approx(forward, rel=2e-3)
    thin = nb.air_scatterer(1.0, 2.0 * 293.15, 101325.0 / 4.0)
    assert thin.density_g_per_cm3 == pytest.approx(air.density_g_per_cm3 / 8.0)
    assert air.values[0] > air.values[20] > air.values[60] > 0.0


def test_polyimide() -> None:
    polyimide = nb.polyimide_scatterer(2.0)
    top = int(np.argmax(polyimide.values))
    assert 0.5 / polyimide.stol_per_angstrom[top] == pytest.approx(4.6, abs=0.3)
    assert polyimide.density_g_per_cm3 == 1.42


def test_ice() -> None:
    """Rings at the well-known spacings, each with the area of its reflections."""
    ice = nb.ice_scatterer(1.0, 0.0005)
    stol, values = np.array(ice.stol_per_angstrom), np.array(ice.values)
    for spacing in (3.90, 3.67, 3.44, 2.67, 2.25, 2.07, 1.95, 1.92, 1.88, 1.72):
        at = 0.5 / spacing
        near = np.abs(stol - at) < 0.004 * at
        peak = stol[near][np.argmax(values[near])]
        assert 0.5 / peak == pytest.approx(spacing, rel=0.004)
        assert values[near].max() > 20.0
    assert values[np.abs(stol - 0.5 / 3.0) < 0.003].max() == 0.0
    wide = nb.ice_scatterer(1.0, 0.004)
    area = np.sum(wide.values) * wide.stol_per_angstrom[1]
    assert area == pytest.approx(values.sum() * stol[1], rel=0.01)
    # Random atoms would scatter n f^2 per molecule: so does a powder, on average.
    high = (stol > 0.2) & (stol < 0.3)
    assert 10.0 < values[high].mean() < 60.0


@for_each("name", ["water", "air", "polyimide", "ice"])
def test_volume(name: str) -> None:
    make: Any = getattr(nb, f"{name}_scatterer")
    assert make(3.0).molecules == pytest.approx(3.0 * make(1.0).molecules)
    assert len(make(1.0).values) == len(make(1.0).stol_per_angstrom)
    with pytest.raises(nb.ConfigError, match=r"scatterer\.volume_mm3: got -1"):
        make(-1.0)


@for_each(
    "call, name",
    [
        (lambda: nb.air_scatterer(1.0, 0.0), "temperature_k"),
        (lambda: nb.air_scatterer(1.0, pressure_pa=-1.0), "pressure_pa"),
        (lambda: nb.ice_scatterer(1.0, 0.0), "ring_fwhm_per_angstrom"),
    ],
)
def test_impossible_values(call: Any, name: str) -> None:
    with pytest.raises(nb.ConfigError, match=f"{name}: got .*, need a finite value > 0"):
        call()


def test_form_factors_are_those_of_the_tables() -> None:
    gemmi = pytest.importorskip("gemmi", reason="gemmi is not installed")
    from nanobragg_hybrid.model.materials import _ATOMS

    for element, (a, b, c) in _ATOMS.items():
        table = gemmi.Element(element).it92
        assert (table.a, table.b, table.c) == (list(a), list(b), c)
