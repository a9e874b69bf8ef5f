"""Sub-pixels, interpolation, region of interest, resolution limit (model 4.5, 5.1, 6)."""

from __future__ import annotations

from dataclasses import dataclass, field

from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.model.validate import (
    COUNT,
    FLAG,
    INT32,
    NOT_NEGATIVE,
    Items,
    Optional,
    check_fields,
    meta,
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sampling(Record):
    """How finely, and where, the image is computed.

    oversample: sub-pixels along each edge of a pixel, >= 1; None: as many as the spot size needs
        (model 4.5).
    oversample_thick, oversample_polar, oversample_omega: True computes the capture fraction, the
        polarization factor, the solid angle for every sub-pixel instead of once a pixel; default
        False (model 6.5, 6.8).
    interpolate: True: tricubic between structure factors, False: the nearest one; None: tricubic if
        any of n_cells is <= 2 (model 5.1).
    roi: region of interest, inclusive pixel bounds (fast_min, fast_max, slow_min, slow_max), each
        an integer or None; None or a negative bound: the edge.  A reversed range is empty.
        None (default): the whole detector (model 3).
    dmin_angstrom: resolution limit, angstrom, >= 0, default 0: none (model 6.3).
    """

    oversample: int | None = field(default=None, metadata=meta(Optional(COUNT)))
    oversample_thick: bool = field(default=False, metadata=meta(FLAG))
    oversample_polar: bool = field(default=False, metadata=meta(FLAG))
    oversample_omega: bool = field(default=False, metadata=meta(FLAG))
    interpolate: bool | None = field(default=None, metadata=meta(Optional(FLAG)))
    roi: tuple[int | None, int | None, int | None, int | None] | None = field(
        default=None, metadata=meta(Optional(Items(4, Optional(INT32))), "px")
    )
    dmin_angstrom: float = field(default=0.0, metadata=meta(NOT_NEGATIVE, "angstrom"))

    def __post_init__(self) -> None:
        check_fields(self, "sampling")
