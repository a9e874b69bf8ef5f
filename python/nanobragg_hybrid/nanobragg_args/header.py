"""What the headers of -img and -mask set, before any other flag is read (docs: SMV images)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nanobragg_hybrid.config.resolved import exact_inverse
from nanobragg_hybrid.errors import CommandLineError
from nanobragg_hybrid.io.smv import header_number
from nanobragg_hybrid.units import mm_to_m

from .fields import Fields

if TYPE_CHECKING:
    from nanobragg_hybrid.io.smv import SmvImage
    from nanobragg_hybrid.quirks import Quirks

_SAME_UNITS = (
    ("PIXEL_SIZE", "detector.pixel_size_mm"),
    ("DISTANCE", "detector.distance_mm"),
    ("CLOSE_DISTANCE", "detector.close_distance_mm"),
    ("WAVELENGTH", "beam.wavelength_angstrom"),
    ("BEAM_CENTER_X", "detector.beam_x_mm"),
    ("ORGX", "detector.org_x_px"),
    ("ORGY", "detector.org_y_px"),
    ("PHI", "goniometer.phi_deg"),
)


def apply_header(image: SmvImage, fields: Fields, quirks: Quirks, *, is_mask: bool) -> None:
    """Sets the fields that the header of `image` gives; a mask's BEAM_CENTER_Y is flipped."""

    def number(keyword: str) -> float | None:
        return header_number(image.header_text, keyword, quirks)

    both = number("DETECTOR_DIMENSIONS")
    for keyword, axis in (("SIZE1", "fast"), ("SIZE2", "slow")):
        value = number(keyword)
        count = both if value is None else value
        if count is not None:
            if not math.isfinite(count):
                raise CommandLineError(f"{keyword} of an image header: got {count}, need a count")
            fields.set(f"detector.n_{axis}", int(count))
    for keyword, path in _SAME_UNITS:
        value = number(keyword)
        if value is not None:
            fields.set(path, value)
    osc = number("OSC_RANGE")
    if osc is not None:
        fields.set("goniometer.osc_deg", None if osc < 0.0 else osc)
    beam_y = number("BEAM_CENTER_Y")
    if beam_y is not None:
        fields.set("detector.beam_y_mm", _flipped(beam_y, fields) if is_mask else beam_y)


def _flipped(beam_y_mm: float, fields: Fields) -> float:
    """size_s - beam_y, taken in metres as nanoBragg does and expressed in mm again."""
    pixel_m = mm_to_m(fields.get("detector.pixel_size_mm"))
    n_slow = fields.get("detector.n_slow")
    size_m = mm_to_m(fields.get("detector.size_slow_mm")) if n_slow is None else pixel_m * n_slow
    flipped_m = size_m - mm_to_m(beam_y_mm)
    exact = exact_inverse(mm_to_m, flipped_m, flipped_m * 1000.0)
    return flipped_m * 1000.0 if exact is None else exact
