"""What the headers of -img and -mask set, before any other flag is read (docs: SMV images)."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import TYPE_CHECKING, NamedTuple

from nanobragg_hybrid.arguments.fields import Fields
from nanobragg_hybrid.base.errors import FileFormatError
from nanobragg_hybrid.base.units import exact_inverse, m_to_mm, mm_to_m
from nanobragg_hybrid.formats.smv import header_number, header_word
from nanobragg_hybrid.model.conventions import CONVENTIONS, PIVOTS, Convention, Pivot

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
_OF_GEOMETRY = (
    ("detector.distance_mm", ("DISTANCE",)),
    ("detector.close_distance_mm", ("CLOSE_DISTANCE",)),
    ("detector.beam_x_mm", ("BEAM_CENTER_X",)),
    ("detector.beam_y_mm", ("BEAM_CENTER_Y",)),
    ("detector.org_x_px", ("XDS_ORGX", "ORGX")),
    ("detector.org_y_px", ("XDS_ORGY", "ORGY")),
    ("detector.twotheta_deg", ("TWOTHETA",)),
)
"""With header_geometry off: where each field is looked for, in this order."""


class ImageGeometry(NamedTuple):
    """What a header says about where its detector stands (header_geometry off).

    numbers: by the dotted name of the field.  convention, pivot: in the sense of which they are
    meant; None: it does not say.  Numbers of a beam centre and distance, of a near point and close
    distance are of the same detector: which of the two are used is the reader's choice.
    """

    numbers: dict[str, float]
    convention: Convention | None = None
    pivot: Pivot | None = None

    def or_else(self, other: ImageGeometry | None) -> ImageGeometry:
        """This one, completed by what another header says."""
        if other is None:
            return self
        return ImageGeometry(
            {**other.numbers, **self.numbers},
            self.convention or other.convention,
            self.pivot or other.pivot,
        )


def apply_header(
    path: str | os.PathLike[str],
    header_text: str,
    shape: tuple[int, ...],
    fields: Fields,
    quirks: Quirks,
    *,
    is_mask: bool,
) -> ImageGeometry | None:
    """Sets the fields that the header of an image of `shape` (slow, fast) gives; `path` is for
    messages.

    With the quirk smv_header_search on, TWOTHETA is not applied and the BEAM_CENTER_Y of a mask is
    flipped.  With the quirk header_geometry off, nothing is set that says where the detector
    stands: that is returned, found by whole keywords.

    Raises `FileFormatError` for a number that is not finite.
    """
    n_slow, n_fast = shape
    fields.set("detector.n_fast", n_fast)
    fields.set("detector.n_slow", n_slow)
    as_nanobragg = quirks.smv_header_search
    geometry = None
    keywords = list(_SAME_UNITS)
    if not quirks.header_geometry:
        geometry = _image_geometry(path, header_text, quirks)
        keywords = [row for row in keywords if row[1] not in dict(_OF_GEOMETRY)]
    elif not quirks.distance_beside_close and _gives_close_distance(header_text, quirks):
        # Nobody said which of a header's distances comes last: the close one counts, as always.
        keywords.remove(_DISTANCE)
    if geometry is None and not as_nanobragg:
        keywords.append(("TWOTHETA", "detector.twotheta_deg"))
    for keyword, field in keywords:
        value = header_number(header_text, keyword, quirks)
        if value is None:
            continue
        _require_finite(path, keyword, value)
        if keyword == "BEAM_CENTER_Y" and is_mask and as_nanobragg:
            value = _flipped(value, fields)
        negative_osc = keyword == "OSC_RANGE" and value < 0.0
        fields.set(field, None if negative_osc else value)
    if geometry is not None and is_mask and as_nanobragg:
        y = "detector.beam_y_mm"
        if y in geometry.numbers:
            geometry.numbers[y] = _flipped(geometry.numbers[y], fields)
    return geometry


def _image_geometry(
    path: str | os.PathLike[str], header_text: str, quirks: Quirks
) -> ImageGeometry:
    whole = dataclasses.replace(quirks, smv_header_search=False)
    numbers: dict[str, float] = {}
    for field, keywords in _OF_GEOMETRY:
        for keyword in keywords:
            value = header_number(header_text, keyword, whole)
            if value is not None and field not in numbers:
                _require_finite(path, keyword, value)
                numbers[field] = value
    words = (header_word(header_text, "GEOMETRY") or "").split(",")
    convention = next((name for name in CONVENTIONS if name == words[0]), None)
    pivot = next((name for name in PIVOTS if name == words[-1]), None)
    return ImageGeometry(numbers, convention, pivot)


def _require_finite(path: str | os.PathLike[str], keyword: str, value: float) -> None:
    if not math.isfinite(value):
        raise FileFormatError(path, 0, f"{keyword}: got {value}, need a finite number")


def _gives_close_distance(header_text: str, quirks: Quirks) -> bool:
    return header_number(header_text, "CLOSE_DISTANCE", quirks) is not None


def _flipped(beam_y_mm: float, fields: Fields) -> float:
    """size_s - beam_y, taken in metres as nanoBragg does and expressed in mm again."""
    pixel_m = mm_to_m(fields.get("detector.pixel_size_mm"))
    flipped_m = pixel_m * fields.get("detector.n_slow") - mm_to_m(beam_y_mm)
    exact = exact_inverse(mm_to_m, flipped_m, m_to_mm(flipped_m))
    return m_to_mm(flipped_m) if exact is None else exact
