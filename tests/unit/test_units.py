"""Conversions of model 2, to the last bit."""

from __future__ import annotations

import math

from for_each import for_each

from nanobragg_hybrid.base import units


@for_each(
    "convert, value, expected",
    [
        (units.mm_to_m, 102.4, 102.4 / 1000.0),
        (units.um_to_m, 450.0, 450.0 * 1e-6),
        (units.water_um_to_m, 40.0, 40.0 / 1e6),
        (units.angstrom_to_m, 0.9768, 0.9768 / 1.0e10),
        (units.dmin_angstrom_to_m, 3.5, 3.5 * 1e-10),
        (units.energy_ev_to_wavelength_angstrom, 9500.0, 12398.42 / 9500.0),
        (units.energy_ev_to_wavelength_angstrom, 0.0, math.inf),
        (units.deg_to_rad, 10.5, 10.5 / 57.29577951308232),
        (units.deg_to_rad, 90.0, math.pi / 2),
        (units.mrad_to_rad, 2.0, 0.002),
        (units.percent_to_fraction, 0.6, 0.6 / 100.0),
        (units.attenuation_depth_um_to_per_m, 234.0, 1.0 / (234.0 * 1e-6)),
        (units.attenuation_depth_um_to_per_m, math.inf, 0.0),
        (units.attenuation_depth_um_to_per_m, 5e-324, math.inf),
        (units.cell_angstrom_to_m, 78.9, 78.9 * 1e-10),
        (units.wavelength_m_to_per_angstrom, 0.97e-10, 1e-10 / 0.97e-10),
        (units.rad_to_deg, 0.3, 0.3 * 57.29577951308232),
        (units.m_to_mm, 0.0513, 0.0513 * 1000.0),
        (units.m_to_um, 0.00045, 0.00045 * 1e6),
        (units.m_to_angstrom, 0.97e-10, 0.97e-10 * 1e10),
        (units.rad_to_mrad, 0.0021, 0.0021 * 1000.0),
        (units.fraction_to_percent, 0.006, 0.006 * 100.0),
        (units.per_m_to_attenuation_depth_um, 4273.5, 1e6 / 4273.5),
    ],
)
def test_conversion(convert: object, value: float, expected: float) -> None:
    assert callable(convert)
    assert convert(value) == expected


def test_order_of_operations_matters() -> None:
    """The conversions are not interchangeable with their mathematical equals."""
    assert any(units.mm_to_m(n / 7) != n / 7 * 1e-3 for n in range(1, 100))
    assert any(units.water_um_to_m(n / 7) != units.um_to_m(n / 7) for n in range(1, 100))
    assert any(units.deg_to_rad(n / 7) != math.radians(n / 7) for n in range(1, 100))


def test_degrees_of_a_radian() -> None:
    assert math.isclose(units.RTD, math.degrees(1.0), rel_tol=1e-15)
    assert units.RTD == 180.0 * 0.31830988618379067
