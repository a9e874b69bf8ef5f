"""Conversions from user units to the units of the arithmetic (model 2), and back.

The order of operations is part of the model: `x / 1000.0` and `x * 0.001` differ in the last bit.
Every function takes a float, or any other number that multiplies and divides with floats, such as a
tensor, and returns the same type.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, overload

if TYPE_CHECKING:
    from typing import Protocol, Self, TypeVar

    class _Arithmetic(Protocol):
        """What multiplies and divides with floats."""

        def __mul__(self, other: float, /) -> Self: ...
        def __truediv__(self, other: float, /) -> Self: ...
        def __rtruediv__(self, other: float, /) -> Self: ...

    Number = TypeVar("Number", bound=_Arithmetic)

_M_1_PI: Final = 0.31830988618379067154

RTD: Final = 180.0 * _M_1_PI
"""Degrees in a radian, as the model computes it."""


def mm_to_m(length_mm: Number) -> Number:
    """Millimetres to metres."""
    return length_mm / 1000.0


def um_to_m(length_um: Number) -> Number:
    """Micrometres to metres (sensor thickness)."""
    return length_um * 1e-6


def water_um_to_m(length_um: Number) -> Number:
    """Micrometres to metres (water size, which the model divides)."""
    return length_um / 1e6


def angstrom_to_m(length_angstrom: Number) -> Number:
    """Angstrom to metres (wavelength)."""
    return length_angstrom / 1.0e10


def dmin_angstrom_to_m(length_angstrom: Number) -> Number:
    """Angstrom to metres (resolution limit, which the model multiplies)."""
    return length_angstrom * 1e-10


def cell_angstrom_to_m(length_angstrom: Number) -> Number:
    """Angstrom to metres (cell vectors, which the model multiplies)."""
    return length_angstrom * 1e-10


def wavelength_m_to_per_angstrom(wavelength_m: Number) -> Number:
    """Wavelength in metres to its inverse in 1/angstrom (orientation matrix, model 4.2)."""
    return 1e-10 / wavelength_m


def energy_ev_to_wavelength_angstrom(energy_ev: float) -> float:
    """Photon energy in eV to wavelength in angstrom; infinite for 0 eV."""
    return 12398.42 / energy_ev if energy_ev != 0.0 else math.inf


def deg_to_rad(angle_deg: Number) -> Number:
    """Degrees to radians."""
    return angle_deg / RTD


def rad_to_deg(angle_rad: Number) -> Number:
    """Radians to degrees."""
    return angle_rad * RTD


def mrad_to_rad(angle_mrad: Number) -> Number:
    """Milliradians to radians."""
    return angle_mrad / 1000.0


def percent_to_fraction(percent: Number) -> Number:
    """Percent to a fraction of one."""
    return percent / 100.0


@overload
def attenuation_depth_um_to_per_m(depth_um: float) -> float: ...
@overload
def attenuation_depth_um_to_per_m(depth_um: Number) -> Number: ...
def attenuation_depth_um_to_per_m(depth_um: Any) -> Any:
    """Attenuation depth in micrometres to a coefficient in 1/m; infinite depth gives 0.

    A depth too small for its coefficient to be a double gives infinity.
    """
    depth_m = um_to_m(depth_um)
    if isinstance(depth_m, float) and depth_m == 0.0:
        return math.inf
    return 1.0 / depth_m


def per_m_to_attenuation_depth_um(attenuation_per_m: Number) -> Number:
    """Attenuation coefficient in 1/m, not 0, to a depth in micrometres."""
    return 1e6 / attenuation_per_m


def m_to_mm(length_m: Number) -> Number:
    """Metres to millimetres."""
    return length_m * 1000.0


def m_to_um(length_m: Number) -> Number:
    """Metres to micrometres."""
    return length_m * 1e6


def m_to_angstrom(length_m: Number) -> Number:
    """Metres to angstrom."""
    return length_m * 1e10


def rad_to_mrad(angle_rad: Number) -> Number:
    """Radians to milliradians."""
    return angle_rad * 1000.0


def fraction_to_percent(fraction: Number) -> Number:
    """A fraction of one to percent."""
    return fraction * 100.0


def exact_inverse(convert: Callable[[float], float], target: float, guess: float) -> float | None:
    """The number near `guess` that `convert` turns into exactly `target`; None if there is none."""
    below = above = guess
    for _ in range(4):
        for candidate in (below, above):
            if convert(candidate) == target:
                return candidate
        below, above = math.nextafter(below, -math.inf), math.nextafter(above, math.inf)
    return None
