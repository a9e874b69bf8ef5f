"""The background as the C library takes it (model 9)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from nanobragg_hybrid import _core
from nanobragg_hybrid.base.arrays import as_buffer
from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.units import angstrom_to_m, deg_to_rad
from nanobragg_hybrid.model.background import Background, BackgroundOffset

if TYPE_CHECKING:
    from nanobragg_hybrid.base.arrays import Buffer

_PER_MM: Final = 1000.0
"""1/mm in 1/m."""


def to_core_background(background: Background) -> _core.Background:
    """The C library's background of one panel, in SI units."""
    scatterers = [
        (
            _doubles([1.0 / angstrom_to_m(1.0) * x for x in each.stol_per_angstrom]),
            _doubles(each.values),
            each.quantity == "intensity",
            each.strength * each.scale,
        )
        for each in background.scatterers
    ]
    radial = background.radial
    return _core.Background(
        background.air_attenuation_per_mm * _PER_MM,
        background.flat_photons_per_pixel,
        scatterers,
        None
        if radial is None
        else (
            _doubles([deg_to_rad(x) for x in radial.two_theta_deg]),
            _doubles(radial.photons_per_pixel),
        ),
        [(_box(each), each.photons_per_pixel) for each in background.offsets],
    )


def _doubles(values: Iterable[float]) -> Buffer:
    return as_buffer(array("d", values))


def _box(offset: BackgroundOffset) -> tuple[int, int, int, int]:
    low = (offset.fast_min or 0, offset.slow_min or 0)
    high = [INT32_MAX if bound is None else bound for bound in (offset.fast_max, offset.slow_max)]
    return low[0], high[0], low[1], high[1]
