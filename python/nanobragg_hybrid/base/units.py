"""Conversions from user units to the units of the arithmetic (model 2).

The order of operations is part of the model: `x / 1000.0` and `x * 0.001` differ in the last bit.
Every function takes and returns a float.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

_M_1_PI: Final = 0.31830988618379067154

RTD: Final = 180.0 * _M_1_PI
"""Degrees in a radian, as the model computes it."""


def mm_to_m(length_mm: float) -> float:
    """Millimetres to metres."""
    return length_mm / 1000.0


def um_to_m(length_um: float) -> float:
    """Micrometres to metres (sensor thickness)."""
    return length_um * 1e-6


def water_um_to_m(length_um: float) -> float:
    """Micrometres to metres (water size, which the model divides)."""
    return length_um / 1e6


def angstrom_to_m(length_angstrom: float) -> float:
    """Angstrom to metres (wavelength)."""
    return length_angstrom / 1.0e10


def dmin_angstrom_to_m(length_angstrom: float) -> float:
    """Angstrom to metres (resolution limit, which the model multiplies)."""
    return length_angstrom * 1e-10


def energy_ev_to_wavelength_angstrom(energy_ev: float) -> float:
    """Photon energy in eV to wavelength in angstrom; infinite for 0 eV."""
    return 12398.42 / energy_ev if energy_ev != 0.0 else math.inf


def deg_to_rad(angle_deg: float) -> float:
    """Degrees to radians."""
    return angle_deg / RTD


def mrad_to_rad(angle_mrad: float) -> float:
    """Milliradians to radians."""
    return angle_mrad / 1000.0


def percent_to_fraction(percent: float) -> float:
    """Percent to a fraction of one."""
    return percent / 100.0


def attenuation_depth_um_to_per_m(depth_um: float) -> float:
    """Attenuation depth in micrometres to a coefficient in 1/m; infinite depth gives 0.

    A depth too small for its coefficient to be a double gives infinity.
    """
    if math.isinf(depth_um):
        return 0.0
    depth_m = depth_um * 1e-6
    if depth_m == 0.0:
        return math.inf
    return 1.0 / depth_m


def exact_inverse(convert: Callable[[float], float], target: float, guess: float) -> float | None:
    """The number near `guess` that `convert` turns into exactly `target`; None if there is none."""
    below = above = guess
    for _ in range(4):
        for candidate in (below, above):
            if convert(candidate) == target:
                return candidate
        below, above = math.nextafter(below, -math.inf), math.nextafter(above, math.inf)
    return None
