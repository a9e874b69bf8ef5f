"""The geometry in the header of an SMV image, and of an image beside a MOSFLM matrix file.

An image of nanoBragg's, or of this package's, says more than one program needs: of its numbers
those for XDS are taken (XDS_ORGX, XDS_ORGY, CLOSE_DISTANCE), whose meaning does not depend on a
convention.  Other headers have BEAM_CENTER_X along slow and BEAM_CENTER_Y along fast, in mm from
the outer corner of the first pixel, as ADSC's detectors and DIALS take them.  The detector stands
across the beam: fast along the spindle, slow along -y (model 3, MOSFLM).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

from nanobragg_hybrid.base.errors import FileFormatError, UnsupportedError, quoted
from nanobragg_hybrid.formats.geometry.content import (
    ExperimentContent,
    PanelContent,
    ScanContent,
)
from nanobragg_hybrid.formats.geometry.vectors import Rows

_FAST = (0.0, 0.0, 1.0)
_SLOW = (0.0, -1.0, 0.0)
_SPINDLE = (0.0, 0.0, 1.0)


def contents_of_smv(
    path: str | os.PathLike[str], header: Mapping[str, str], shape: tuple[int, int]
) -> list[ExperimentContent]:
    """What an SMV header says; `shape` is (slow, fast).

    Raises `FileFormatError`; `UnsupportedError` for a detector that is turned.
    """

    def number(name: str, default: float | None = None) -> float:
        if name not in header and default is not None:
            return default
        try:
            value = float(header.get(name, ""))
        except ValueError:
            value = math.nan
        if not abs(value) < 1e15:
            got = quoted(header[name]) if name in header else "nothing"
            raise FileFormatError(path, 0, f"{name}: got {got}, need a finite number")
        return value

    def positive(name: str) -> float:
        value = number(name)
        if not value > 0.0:
            raise FileFormatError(path, 0, f"{name}: got {header[name]}, need a number > 0")
        return value

    if number("TWOTHETA", 0.0) != 0.0:
        raise UnsupportedError(
            f"{os.fspath(path)}: TWOTHETA {header['TWOTHETA']}: the header does not say about "
            "which axis; give the geometry as .expt"
        )
    pixel, wavelength = positive("PIXEL_SIZE"), positive("WAVELENGTH")
    notes = []
    if "XDS_ORGX" in header and "XDS_ORGY" in header:
        distance = number("CLOSE_DISTANCE", number("DISTANCE", math.inf))
        if distance == math.inf:
            distance = number("DISTANCE")
        along_fast = (number("XDS_ORGX") - 0.5) * pixel
        along_slow = (number("XDS_ORGY") - 0.5) * pixel
    else:
        distance = positive("DISTANCE")
        along_slow, along_fast = number("BEAM_CENTER_X"), number("BEAM_CENTER_Y")
        notes.append(
            "BEAM_CENTER_X and BEAM_CENTER_Y are taken as ADSC's, along slow and fast from the "
            "corner of the first pixel; a header of another program may mean something else"
        )
    origin = (distance, along_slow, -along_fast)
    width = number("OSC_RANGE", 0.0)
    start = number("OSC_START", number("PHI", 0.0))
    scan = ScanContent(_SPINDLE, start, width) if width > 0.0 else None
    n_slow, n_fast = shape
    gain = number("GAIN", 0.0)
    pedestal = next((name for name in ("IMAGE_PEDESTAL", "ADC_OFFSET") if name in header), None)
    return [
        ExperimentContent(
            wavelength_angstrom=wavelength,
            beam=(1.0, 0.0, 0.0),
            panels=(
                PanelContent(
                    name="",
                    origin_mm=origin,
                    fast_axis=_FAST,
                    slow_axis=_SLOW,
                    n_fast=n_fast,
                    n_slow=n_slow,
                    pixel_mm=(pixel, pixel),
                    pedestal=None if pedestal is None else number(pedestal),
                    gain=gain if gain > 0.0 else None,
                ),
            ),
            scan=scan,
            notes=tuple(notes),
        )
    ]


def crystal_of_matrix(matrix: tuple[float, ...], wavelength_angstrom: float) -> Rows:
    """a*, b*, c* of nine numbers as in MOSFLM's files, which hold them times the wavelength."""
    columns = [tuple(matrix[3 * i + j] / wavelength_angstrom for i in range(3)) for j in range(3)]
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = columns
    return (ax, ay, az), (bx, by, bz), (cx, cy, cz)
