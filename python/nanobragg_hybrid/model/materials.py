"""Ready scatterers: water, air, polyimide loops and ice rings (model 9.3).

Each is made of published numbers or formulas, which are named; none has Compton scattering.
"""

from __future__ import annotations

import cmath
import math
from itertools import product
from typing import Final

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.model.background import Scatterer
from nanobragg_hybrid.model.validate import POSITIVE

_MEASURED_STOL: Final = (
    *(0.01 * n for n in range(21)),
    *(0.22, 0.24, 0.25, 0.26, 0.28, 0.30, 0.32, 0.34, 0.35, 0.36, 0.38),
    *(0.40, 0.42, 0.44, 0.45, 0.46, 0.48, 0.50, 0.55, 0.60, 0.65, 0.70),
    *(0.80, 0.90, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5),
)
"""sin(theta)/lambda of the two tables below, 1/angstrom."""

# F over the square root of the molar mass (g/mol): Peplow and Verghese (1998), Phys. Med. Biol. 43,
# 2431-2452, doi 10.1088/0031-9155/43/9/001, measured up to about 0.7, atoms beyond.
_WATER: Final = (
    *(0.5871,) * 11,
    *(0.7338, 1.048, 1.299, 1.568, 1.800, 1.876, 1.840, 1.758, 1.667, 1.600),
    *(1.560, 1.451, 1.324, 1.167, 0.9384, 0.8699, 0.8600, 0.8571, 0.8515, 0.8305, 0.8022),
    *(0.7354, 0.6701, 0.6150, 0.5769, 0.5558, 0.5226, 0.5222, 0.5166, 0.4744, 0.4316, 0.4196),
    *(0.3793, 0.3522, 0.3244, 0.3058, 0.2877, 0.2698, 0.2521, 0.2349),
)
_POLYIMIDE: Final = (
    *(0.8556, 0.8556, 0.8556, 0.8556, 0.9293, 1.013, 1.200, 1.485, 2.161, 2.658, 3.095),
    *(3.156, 2.939, 2.671, 2.581, 2.483, 2.104, 1.786, 1.576, 1.405, 1.395),
    *(1.274, 1.191, 1.199, 1.168, 1.087, 0.9445, 0.9224, 0.8561, 0.8222, 0.7401, 0.7278),
    *(0.7754, 0.7684, 0.8115, 0.7909, 0.7741, 0.7583, 0.7050, 0.6283, 0.5848, 0.5443, 0.5067),
    *(0.4592, 0.4369, 0.3190, 0.2925, 0.2671, 0.2431, 0.2204, 0.1998),
)
_WATER_G_PER_MOL: Final = 18.015
_POLYIMIDE_G_PER_MOL: Final = 382.33

# International Tables for Crystallography C, table 6.1.1.4: a1 .. a4, b1 .. b4 (angstrom^2), c.
_ATOMS: Final = {
    "H": ((0.493002, 0.322912, 0.140191, 0.04081), (10.5109, 26.1257, 3.14236, 57.7997), 0.003038),
    "N": ((12.2126, 3.1322, 2.0125, 1.1663), (0.0057, 9.8933, 28.9975, 0.5826), -11.529),
    "O": ((3.0485, 2.2868, 1.5463, 0.867), (13.2771, 5.7011, 0.3239, 32.9089), 0.2508),
    "Ar": ((7.4845, 6.7723, 0.6539, 1.6442), (0.9072, 14.8407, 43.8983, 33.3929), 1.4445),
}

# Parts of dry air by volume and its molar mass: U.S. Standard Atmosphere, 1976 (without CO2 and
# rarer gases).  Bond lengths: Huber and Herzberg (1979), Constants of Diatomic Molecules.
_NITROGEN, _OXYGEN, _ARGON = 0.78084, 0.20946, 0.00934
_AIR_G_PER_MOL: Final = 28.9644
_BOND_ANGSTROM: Final = {"N": 1.0977, "O": 1.2075}
_GAS_CONSTANT_J_PER_MOL_K: Final = 8.314462618

# Ice Ih at -30 degrees Celsius: Goto, Hondoh and Mae (1990), J. Chem. Phys. 93, 1412.
_ICE_A, _ICE_C = 4.511, 7.346
_ICE_G_PER_CM3: Final = 0.93
_ICE_MOLECULES: Final = 4
_ICE_SITES: Final = (
    # element, x, z, occupancy, B in angstrom^2; the first two on 4f (1/3, 2/3, z), then 12k
    ("O", None, 0.06226, 1.0, 3.7),
    ("H", None, 0.178, 0.5, 2.5),
    ("H", 0.439, 0.020, 0.5, 2.5),
)


def water_scatterer(volume_mm3: float) -> Scatterer:
    """Liquid water at room temperature; volume in the beam, mm^3."""
    return _measured(_WATER, _WATER_G_PER_MOL, volume_mm3, 0.998)


def polyimide_scatterer(volume_mm3: float) -> Scatterer:
    """Polyimide (Kapton, C22 H10 N2 O5) of a loop or a window; volume in the beam, mm^3.

    The density, 1.42 g/cm^3, is that of films."""
    return _measured(_POLYIMIDE, _POLYIMIDE_G_PER_MOL, volume_mm3, 1.42)


def _measured(
    values: tuple[float, ...], molar_mass: float, volume_mm3: float, density: float
) -> Scatterer:
    root = math.sqrt(molar_mass)
    return Scatterer(
        _MEASURED_STOL,
        tuple(root * x for x in values),
        volume_mm3,
        density_g_per_cm3=density,
        molar_mass_g_per_mol=molar_mass,
    )


def air_scatterer(
    volume_mm3: float, temperature_k: float = 293.15, pressure_pa: float = 101325.0
) -> Scatterer:
    """Dry air; volume in the beam, mm^3: the beam's cross section times the path that the detector
    sees, which is taken to lie at the sample.

    A molecule's F^2 is that of two atoms at a fixed distance in all orientations (Debye's formula);
    molecules do not see each other, as in an ideal gas.

    Raises `ConfigError` for a temperature or a pressure that is not > 0.
    """
    for name, value in (("temperature_k", temperature_k), ("pressure_pa", pressure_pa)):
        _positive(name, value)
    stol = tuple(0.02 * n for n in range(76))
    molar_volume_m3 = _GAS_CONSTANT_J_PER_MOL_K * temperature_k / pressure_pa
    return Scatterer(
        stol,
        tuple(_air_intensity(x) for x in stol),
        volume_mm3,
        "intensity",
        _AIR_G_PER_MOL / molar_volume_m3 * 1e-6,
        _AIR_G_PER_MOL,
    )


def _air_intensity(stol: float) -> float:
    total = _ARGON * _atom("Ar", stol) ** 2
    for element, part in (("N", _NITROGEN), ("O", _OXYGEN)):
        phase = 4.0 * math.pi * stol * _BOND_ANGSTROM[element]
        both = 1.0 + (math.sin(phase) / phase if phase > 0.0 else 1.0)
        total += part * 2.0 * _atom(element, stol) ** 2 * both
    return total / (_NITROGEN + _OXYGEN + _ARGON)


def _atom(element: str, stol: float) -> float:
    """Form factor of an atom, electrons."""
    a, b, c = _ATOMS[element]
    square = stol * stol
    return c + math.fsum(x * math.exp(-y * square) for x, y in zip(a, b, strict=True))


def ice_scatterer(volume_mm3: float, ring_fwhm_per_angstrom: float = 0.002) -> Scatterer:
    """Rings of a fine powder of hexagonal ice up to 0.83 angstrom; volume in the beam, mm^3.

    ring_fwhm_per_angstrom: width of a ring in sin(theta)/lambda, 1/angstrom, > 0; the default is an
        assumption.  There is nothing between the rings: no diffuse scattering.

    The mean over all orientations of a crystal of volume V per cell has, for each reflection at s =
    sin(theta)/lambda, a peak of area |F|^2 / (32 pi V s^2) per cell.  Raises `ConfigError` for a
    width that is not > 0.
    """
    width = _positive("ring_fwhm_per_angstrom", ring_fwhm_per_angstrom)
    sigma = width / (2.0 * math.sqrt(2.0 * math.log(2.0)))
    step = width / 5.0
    last = 0.6
    rows = [0.0] * (math.ceil((last + 6.0 * sigma) / step) + 2)
    for stol, area in _ice_rings(last):
        middle, reach = stol / step, 5.0 * sigma / step
        for n in range(max(math.ceil(middle - reach), 0), math.floor(middle + reach) + 1):
            away = (n - middle) * step / sigma
            height = area / (sigma * math.sqrt(2.0 * math.pi)) * math.exp(-0.5 * away * away)
            if n < len(rows) - 1:
                rows[n] += height
    return Scatterer(
        tuple(step * n for n in range(len(rows))),
        tuple(rows),
        volume_mm3,
        "intensity",
        _ICE_G_PER_CM3,
        _WATER_G_PER_MOL,
    )


def _ice_rings(last: float) -> list[tuple[float, float]]:
    """sin(theta)/lambda and area per molecule of each ring, once."""
    volume = math.sqrt(3.0) / 2.0 * _ICE_A * _ICE_A * _ICE_C
    most = math.ceil(2.0 * last * max(_ICE_A, _ICE_C))
    atoms = _ice_atoms()
    rings: dict[float, float] = {}
    for h, k, index in product(range(-most, most + 1), repeat=3):
        inverse_d2 = 4.0 / 3.0 * (h * h + h * k + k * k) / _ICE_A**2 + index * index / _ICE_C**2
        stol = 0.5 * math.sqrt(inverse_d2)
        if not 0.0 < stol <= last:
            continue
        form = {(e, b): _atom(e, stol) * math.exp(-b * stol * stol) for e, _, b, _ in atoms}
        total = 0j
        for element, occupancy, b, (x, y, z) in atoms:
            phase = 2.0 * math.pi * (h * x + k * y + index * z)
            total += occupancy * form[element, b] * cmath.exp(1j * phase)
        area = abs(total) ** 2 / (32.0 * math.pi * volume * stol * stol) / _ICE_MOLECULES
        key = round(stol, 9)
        rings[key] = rings.get(key, 0.0) + area
    return sorted(rings.items())


def _ice_atoms() -> list[tuple[str, float, float, tuple[float, float, float]]]:
    """Element, occupancy, B and place of each atom in the cell, by the symmetry of P 63/m m c."""
    found = []
    for element, x_given, z, occupancy, b in _ICE_SITES:
        places = (
            [(1 / 3, 2 / 3), (2 / 3, 1 / 3)]
            if x_given is None
            else [(x_given, 2 * x_given), (-2 * x_given, -x_given), (x_given, -x_given)]
        )
        # A pair (x, y) at z and 1/2 - z; (-x, -y) at -z and 1/2 + z.
        for x, y in places[:1] if x_given is None else places:
            for sign, heights in ((1.0, (z, 0.5 - z)), (-1.0, (-z, 0.5 + z))):
                found += [(element, occupancy, b, (sign * x, sign * y, h)) for h in heights]
    return found


def _positive(name: str, value: object) -> float:
    try:
        return POSITIVE.normalise(value)
    except ValueError:
        raise ConfigError(name, value, POSITIVE.text) from None
