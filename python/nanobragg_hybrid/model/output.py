"""How a rendered image becomes integers (model 8)."""

from __future__ import annotations

from dataclasses import dataclass, field

from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.model.validate import FINITE, INT32, POSITIVE, Optional, check_fields, meta


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Output(Record):
    """Settings of the integer, PGM and noise images.  They do not change the rendered image.

    adc_offset: added to every pixel of the integer and noise images, counts, finite, default 40.
    intensity_scale: factor from intensity to integer counts, > 0; None: the brightest pixel becomes
        55000.
    pgm_scale: factor from intensity to PGM levels, > 0; None: from the rmsd of the image.
    noise_seed: seed of the Poisson noise, integer of 32 bits; None: from the clock when the image
        is rendered (model 2, 7.4).
    """

    adc_offset: float = field(default=40.0, metadata=meta(FINITE, "counts"))
    intensity_scale: float | None = field(default=None, metadata=meta(Optional(POSITIVE)))
    pgm_scale: float | None = field(default=None, metadata=meta(Optional(POSITIVE)))
    noise_seed: int | None = field(default=None, metadata=meta(Optional(INT32)))

    def __post_init__(self) -> None:
        check_fields(self, "output")
