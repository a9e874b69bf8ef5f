"""SMV images whose header means what ADSC's detectors mean, which DIALS, XDS and MOSFLM read.

BEAM_CENTER_X is along slow and BEAM_CENTER_Y along fast, in mm from the outer corner of the first
pixel (as DENZO counts).  Such a header has no place for a detector that is turned.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from nanobragg_hybrid.base.atomic import Destination, atomic_write
from nanobragg_hybrid.formats.images.frame import (
    Frame,
    beam_centre_px,
    not_across,
    refuse,
    uint16_pixels,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_BLOCK: Final = 512
_WHAT: Final = "an SMV header of ADSC's kind"


def check_smv_adsc(frame: Frame) -> None:
    """Raises `UnsupportedError` for a geometry that the header cannot say."""
    why = not_across(frame.content)
    if why is None and frame.panel.pixel_mm[0] != frame.panel.pixel_mm[1]:
        why = "the pixels are not square"
    if why is not None:
        raise refuse(_WHAT, why, "write cbf or nxmx, or an .expt beside it")


def write_smv_adsc(path: Destination, frame: Frame) -> None:
    """Writes one panel, 16-bit unsigned integers in the machine's byte order.

    Raises `ConfigError` for pixels that do not fit, `UnsupportedError` as `check_smv_adsc` does,
    `FileAccessError`.
    """
    check_smv_adsc(frame)
    pixels = uint16_pixels(frame, "SMV")
    with atomic_write(path) as file:
        file.write(_header(frame))
        file.write(pixels.data)


def _header(frame: Frame) -> bytes:
    panel, counting = frame.panel, frame.counting
    pixel = panel.pixel_mm[0]
    fast, slow = beam_centre_px(frame)
    scan = frame.content.scan
    start, width = (scan.start_deg, scan.width_deg) if scan is not None else (0.0, 0.0)
    entries = {
        "DIM": "2",
        "BYTE_ORDER": f"{sys.byteorder}_endian",
        "TYPE": "unsigned_short",
        "SIZE1": str(panel.n_fast),
        "SIZE2": str(panel.n_slow),
        "PIXEL_SIZE": repr(pixel),
        "BIN": "none",
        "BEAMLINE": "nanobragg-hybrid",
        "DETECTOR": "simulated",
        "TIME": repr(frame.exposure_s),
        "DISTANCE": repr(panel.origin_mm[0]),
        "TWOTHETA": "0.0",
        "PHI": repr(start),
        "OSC_START": repr(start),
        "OSC_RANGE": repr(width),
        "WAVELENGTH": repr(frame.wavelength_angstrom),
        "BEAM_CENTER_X": repr(slow * pixel),
        "BEAM_CENTER_Y": repr(fast * pixel),
        "DENZO_X_BEAM": repr(slow * pixel),
        "DENZO_Y_BEAM": repr(fast * pixel),
        "XDS_ORGX": repr(fast + 0.5),
        "XDS_ORGY": repr(slow + 0.5),
        "CLOSE_DISTANCE": repr(panel.origin_mm[0]),
        "IMAGE_PEDESTAL": f"{counting.pedestal:.12g}",
        "GAIN": repr(counting.gain),
        "CCD_IMAGE_SATURATION": f"{min(65535.0, counting.saturation or 65535.0):.12g}",
    }
    size = _BLOCK
    while len(block := _lines(entries, size)) > size:
        size += _BLOCK
    return block.ljust(size).encode("ascii")


def _lines(entries: Mapping[str, str], size: int) -> str:
    lines = "".join(f"{name}={value};\n" for name, value in entries.items())
    return f"{{\nHEADER_BYTES={size:5d};\n{lines}}}\n\f"
