"""The background: light that is scattered beside the crystal's spots (model 9)."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass, field
from typing import Literal

from nanobragg_hybrid.base.constants import AVOGADRO_PER_MOL, INT32_MAX
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.model.validate import (
    FINITE,
    NOT_NEGATIVE,
    POSITIVE,
    Choice,
    Instance,
    Integer,
    Number,
    Optional,
    Sequence,
    check_fields,
    meta,
)

ScatteringQuantity = Literal["amplitude", "intensity"]
"""What a scatterer's table has: F in electrons, or F^2 in electrons^2."""

SCATTERING_QUANTITIES: tuple[ScatteringQuantity, ...] = ("amplitude", "intensity")

_ROWS = Sequence(FINITE)
_ABSCISSAE = Sequence(NOT_NEGATIVE)
_ANGLES = Sequence(Number(at_least=0.0, below=180.0000001))
_INDEX = Integer(at_least=0, at_most=INT32_MAX)
_MM3_PER_CM3 = 1000.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scatterer(Record):
    """Molecules without order beside the crystal: water, ice, air, a loop (model 9.1).

    stol_per_angstrom: sin(theta)/lambda of the table's rows, 1/angstrom, >= 0, each larger than the
        one before it.  One row is a constant.
    values: the table, finite, one for each row; between rows it is linear, before the first and
        behind the last one it has their values.
    quantity: what the values are: "amplitude" (default), F of a molecule in electrons, or
        "intensity", F^2 of a molecule in electrons^2.
    volume_mm3: scattering volume in the beam, mm^3, >= 0.
    density_g_per_cm3: g/cm^3, > 0, default 1.
    molar_mass_g_per_mol: of a molecule, g/mol, > 0, default 18, water's.
    attenuation_per_mm, path_mm: attenuation coefficient of the sample, 1/mm, and the path through
        it, mm, both >= 0, default 0: the factor is exp(-attenuation_per_mm * path_mm).
    scale: factor of its photons, >= 0, default 1, for fits.

    Raises `ConfigError` for a value that breaks its rule, rows that do not grow and columns of
    different lengths.
    """

    stol_per_angstrom: tuple[float, ...] = field(metadata=meta(_ABSCISSAE, "1/angstrom"))
    values: tuple[float, ...] = field(metadata=meta(_ROWS))
    volume_mm3: float = field(metadata=meta(NOT_NEGATIVE, "mm^3"))
    quantity: ScatteringQuantity = field(
        default="amplitude", metadata=meta(Choice(SCATTERING_QUANTITIES))
    )
    density_g_per_cm3: float = field(default=1.0, metadata=meta(POSITIVE, "g/cm^3"))
    molar_mass_g_per_mol: float = field(default=18.0, metadata=meta(POSITIVE, "g/mol"))
    attenuation_per_mm: float = field(default=0.0, metadata=meta(NOT_NEGATIVE, "1/mm"))
    path_mm: float = field(default=0.0, metadata=meta(NOT_NEGATIVE, "mm"))
    scale: float = field(default=1.0, metadata=meta(NOT_NEGATIVE))

    def __post_init__(self) -> None:
        check_fields(self, "scatterer")
        _check_table("scatterer", "stol_per_angstrom", self.stol_per_angstrom, self.values)

    @classmethod
    def from_resolution(
        cls,
        resolution_angstrom: AnySequence[float],
        intensity_electrons2: AnySequence[float],
        volume_mm3: float,
        density_g_per_cm3: float = 1.0,
        molar_mass_g_per_mol: float = 18.0,
    ) -> Scatterer:
        """From F^2 of a molecule against resolution d, angstrom, > 0, in any order: the table's
        sin(theta)/lambda is 1/(2 d).

        Raises `ConfigError` as the class, and for two equal resolutions.
        """
        try:
            spacings = Sequence(POSITIVE).normalise(list(resolution_angstrom))
            values = _ROWS.normalise(list(intensity_electrons2))
        except (TypeError, ValueError):
            rule = "two columns of numbers: resolutions > 0, and a finite value for each"
            raise ConfigError("resolution_angstrom", resolution_angstrom, rule) from None
        if len(spacings) != len(values):
            rule = f"as many values as intensities, {len(values)}"
            raise ConfigError("resolution_angstrom", len(spacings), rule)
        rows = sorted((0.5 / d, value) for d, value in zip(spacings, values, strict=True))
        return cls(
            tuple(x for x, _ in rows),
            tuple(y for _, y in rows),
            volume_mm3,
            "intensity",
            density_g_per_cm3,
            molar_mass_g_per_mol,
        )

    @property
    def molecules(self) -> float:
        """Molecules in the scattering volume (model 9.1)."""
        grams = self.volume_mm3 / _MM3_PER_CM3 * self.density_g_per_cm3
        return grams / self.molar_mass_g_per_mol * AVOGADRO_PER_MOL

    @property
    def strength(self) -> float:
        """Molecules that would scatter as much without the sample's attenuation (model 9.1)."""
        return self.molecules * math.exp(-self.attenuation_per_mm * self.path_mm)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RadialBackground(Record):
    """Photons per pixel against the scattering angle, as they were measured (model 9.2).

    two_theta_deg: angle to the incident beam, degrees, 0 to 180, each larger than the one before.
    photons_per_pixel: finite, one for each angle; between them linear, outside as at the ends.

    Solid angle, polarization and sensor are in these numbers already and do not act once more.
    Raises `ConfigError` as `Scatterer`.
    """

    two_theta_deg: tuple[float, ...] = field(metadata=meta(_ANGLES, "deg"))
    photons_per_pixel: tuple[float, ...] = field(metadata=meta(_ROWS, "photons"))

    def __post_init__(self) -> None:
        check_fields(self, "radial")
        _check_table("radial", "two_theta_deg", self.two_theta_deg, self.photons_per_pixel)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BackgroundOffset(Record):
    """Photons that are added to each pixel of a box, or of a whole panel (model 9.2).

    photons_per_pixel: finite; below 0 takes away.
    fast_min, fast_max, slow_min, slow_max: inclusive bounds, px, >= 0; None: the panel's.  Bounds
        may reach over the detector's edge.
    panel: number of the panel, from 0; default 0.

    Raises `ConfigError` also for bounds in the wrong order.
    """

    photons_per_pixel: float = field(metadata=meta(FINITE, "photons"))
    fast_min: int | None = field(default=None, metadata=meta(Optional(_INDEX), "px"))
    fast_max: int | None = field(default=None, metadata=meta(Optional(_INDEX), "px"))
    slow_min: int | None = field(default=None, metadata=meta(Optional(_INDEX), "px"))
    slow_max: int | None = field(default=None, metadata=meta(Optional(_INDEX), "px"))
    panel: int = field(default=0, metadata=meta(_INDEX))

    def __post_init__(self) -> None:
        check_fields(self, "offset")
        for axis in ("fast", "slow"):
            low, high = getattr(self, f"{axis}_min"), getattr(self, f"{axis}_max")
            if low is not None and high is not None and high < low:
                raise ConfigError(f"offset.{axis}_max", high, f"at least {axis}_min, {low}", "px")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Background(Record):
    """Light beside the crystal's spots, of any of these kinds (model 9).

    scatterers: `Scatterer`s, whose light is polarized, seen under a pixel's solid angle and
        absorbed by the sensor as the crystal's is; default none.
    air_attenuation_per_mm: of the way from sample to pixel, 1/mm, >= 0, default 0; acts on the
        light of the scatterers.  (That of the crystal has no such factor.)
    radial: `RadialBackground`, or None (default).
    flat_photons_per_pixel: photons in every pixel, >= 0, default 0.
    offsets: `BackgroundOffset`s, default none.

    Raises `ConfigError` for a value that breaks its rule.
    """

    scatterers: tuple[Scatterer, ...] = field(
        default=(), metadata=meta(Sequence(Instance(Scatterer), empty=True))
    )
    air_attenuation_per_mm: float = field(default=0.0, metadata=meta(NOT_NEGATIVE, "1/mm"))
    radial: RadialBackground | None = field(
        default=None, metadata=meta(Optional(Instance(RadialBackground)))
    )
    flat_photons_per_pixel: float = field(default=0.0, metadata=meta(NOT_NEGATIVE, "photons"))
    offsets: tuple[BackgroundOffset, ...] = field(
        default=(), metadata=meta(Sequence(Instance(BackgroundOffset), empty=True))
    )

    def __post_init__(self) -> None:
        check_fields(self, "background")

    def of_panel(self, number: int) -> Background:
        """That of a panel of the detector alone: with its offsets only, as panel 0."""
        own = [each for each in self.offsets if each.panel == number]
        offsets = tuple(dataclasses.replace(each, panel=0) for each in own)
        return dataclasses.replace(self, offsets=offsets)


def _check_table(path: str, name: str, rows: tuple[float, ...], values: tuple[float, ...]) -> None:
    """ConfigError for a table whose abscissae do not grow or whose columns differ in length."""
    for n, (before, here) in enumerate(itertools.pairwise(rows), 1):
        if not here > before:
            rule = f"a value > that of the row before it, {before:g}"
            raise ConfigError(f"{path}.{name}[{n}]", here, rule)
    if len(rows) != len(values):
        raise ConfigError(f"{path}.{name}", len(rows), f"as many rows as values, {len(values)}")
