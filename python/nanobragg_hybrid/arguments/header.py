"""What the headers of -img and -mask set, before any other flag is read (docs: SMV images)."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from nanobragg_hybrid.arguments.fields import Fields
from nanobragg_hybrid.base.errors import FileFormatError
from nanobragg_hybrid.base.units import exact_inverse, m_to_mm, mm_to_m
from nanobragg_hybrid.formats.smv import header_number

if TYPE_CHECKING:
    from nanobragg_hybrid.model.quirks import Quirks

_DISTANCE = ("DISTANCE", "detector.distance_mm")
_SAME_UNITS = (
    ("PIXEL_SIZE", "detector.pixel_size_mm"),
    _DISTANCE,
    ("CLOSE_DISTANCE", "detector.close_distance_mm"),
    ("WAVELENGTH", "beam.wavelength_angstrom"),
    ("BEAM_CENTER_X", "detector.beam_x_mm"),
    ("BEAM_CENTER_Y", "detector.beam_y_mm"),
    ("ORGX", "detector.org_x_px"),
    ("ORGY", "detector.org_y_px"),
    ("PHI", "goniometer.phi_deg"),
    ("OSC_RANGE", "goniometer.osc_deg"),
)


def apply_header(
    path: str | os.PathLike[str],
    header_text: str,
    shape: tuple[int, ...],
    fields: Fields,
    quirks: Quirks,
    *,
    is_mask: bool,
) -> None:
    """Sets the fields that the header of an image of `shape` (slow, fast) gives; `path` is for
    messages.

    With the quirk smv_header_search on, TWOTHETA is not applied and the BEAM_CENTER_Y of a mask is
    flipped.  Raises `FileFormatError` for a number that is not finite.
    """
    n_slow, n_fast = shape
    fields.set("detector.n_fast", n_fast)
    fields.set("detector.n_slow", n_slow)
    as_nanobragg = quirks.smv_header_search
    keywords = list(_SAME_UNITS)
    if not quirks.distance_beside_close and _gives_close_distance(header_text, quirks):
        # Nobody said which of a header's distances comes last: the close one counts, as always.
        keywords.remove(_DISTANCE)
    if not as_nanobragg:
        keywords.append(("TWOTHETA", "detector.twotheta_deg"))
    for keyword, field in keywords:
        value = header_number(header_text, keyword, quirks)
        if value is None:
            continue
        if not math.isfinite(value):
            raise FileFormatError(path, 0, f"{keyword}: got {value}, need a finite number")
        if keyword == "BEAM_CENTER_Y" and is_mask and as_nanobragg:
            value = _flipped(value, fields)
        negative_osc = keyword == "OSC_RANGE" and value < 0.0
        fields.set(field, None if negative_osc else value)


def _gives_close_distance(header_text: str, quirks: Quirks) -> bool:
    return header_number(header_text, "CLOSE_DISTANCE", quirks) is not None


def _flipped(beam_y_mm: float, fields: Fields) -> float:
    """size_s - beam_y, taken in metres as nanoBragg does and expressed in mm again."""
    pixel_m = mm_to_m(fields.get("detector.pixel_size_mm"))
    flipped_m = pixel_m * fields.get("detector.n_slow") - mm_to_m(beam_y_mm)
    exact = exact_inverse(mm_to_m, flipped_m, m_to_mm(flipped_m))
    return m_to_mm(flipped_m) if exact is None else exact
