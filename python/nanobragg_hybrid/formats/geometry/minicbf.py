"""miniCBF files, whose header is a list of comments: `# Detector_distance 0.2 m`.

The detector stands across the beam.  Beam_xy is where the beam meets it, in pixels from the outer
corner of the first pixel, along fast and slow; fast is the laboratory's x of imgCIF and slow its
-y.
The spindle is along x unless Oscillation_axis says otherwise.
"""

from __future__ import annotations

import os
import re
from typing import Final, NoReturn

from nanobragg_hybrid.base.errors import FileFormatError, UnsupportedError, quoted
from nanobragg_hybrid.formats.geometry.content import (
    ExperimentContent,
    PanelContent,
    ScanContent,
)
from nanobragg_hybrid.formats.geometry.frames import to_simulator
from nanobragg_hybrid.formats.geometry.vectors import Vector

_NUMBER: Final = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_METRES: Final = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "nm": 1e-9}
_SPINDLES: Final[dict[str, Vector]] = {
    "X": (1.0, 0.0, 0.0),
    "Y": (0.0, 1.0, 0.0),
    "Z": (0.0, 0.0, 1.0),
}


class _Comments:
    """The comments of a header, by their first word."""

    def __init__(self, path: str | os.PathLike[str], text: str) -> None:
        self._path = path
        self.said: dict[str, str] = {}
        for line in text.splitlines():
            words = line.strip().lstrip("#").strip().split(None, 1)
            if words:
                self.said.setdefault(words[0].rstrip(":=,"), words[1] if len(words) > 1 else "")

    def refuse(self, name: str, rule: str) -> NoReturn:
        """Raises `FileFormatError`."""
        got = quoted(self.said[name]) if name in self.said else "nothing"
        raise FileFormatError(self._path, 0, f"{name}: got {got}, need {rule}")

    def length_mm(self, name: str, text: str | None = None) -> float:
        """A length with its unit."""
        match = re.match(rf"\s*=?\s*{_NUMBER}\s*(m|mm|um|nm)\b", text or self.said.get(name, ""))
        if match is None:
            self.refuse(name, "a length in m or mm")
        return float(match[1]) * _METRES[match[2]] * 1000.0

    def number(self, name: str, default: float | None = None) -> float:
        """A number, whatever its unit."""
        if name not in self.said and default is not None:
            return default
        match = re.match(rf"\s*=?\s*{_NUMBER}", self.said.get(name, ""))
        if match is None or not abs(float(match[1])) < 1e15:
            self.refuse(name, "a number")
        return float(match[1])


def contents_of_minicbf(
    path: str | os.PathLike[str], comments: str, binary_header: str
) -> list[ExperimentContent]:
    """What the comments of a header say, and the size of the image, which its binary section says.

    Raises `FileFormatError`; `UnsupportedError` for a detector that is turned.
    """
    said = _Comments(path, comments)
    size = {}
    for axis in ("Fastest", "Second"):
        match = re.search(rf"X-Binary-Size-{axis}-Dimension:\s*(\d{{1,9}})\b", binary_header)
        if match is None or int(match[1]) < 1:
            rule = f"X-Binary-Size-{axis}-Dimension in its binary section"
            raise FileFormatError(path, 0, f"has no {rule}")
        size[axis] = int(match[1])
    match = re.match(rf"\s*=?\s*(\S+\s*m)\s*x\s*({_NUMBER}\s*m)", said.said.get("Pixel_size", ""))
    if match is None:
        said.refuse("Pixel_size", "two lengths, like 172e-6 m x 172e-6 m")
    pixel = (said.length_mm("Pixel_size", match[1]), said.length_mm("Pixel_size", match[2]))
    if not (pixel[0] > 0.0 and pixel[1] > 0.0):
        said.refuse("Pixel_size", "lengths > 0")
    match = re.match(rf"\s*=?\s*\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\)", said.said.get("Beam_xy", ""))
    if match is None:
        said.refuse("Beam_xy", "two numbers of pixels, like (1231.5, 1263.5)")
    beam = float(match[1]), float(match[2])
    distance = said.length_mm("Detector_distance")
    wavelength = said.number("Wavelength")
    if not wavelength > 0.0:
        said.refuse("Wavelength", "a number of angstrom, > 0")
    for name in ("Detector_2theta", "Kappa", "Chi"):
        if said.number(name, 0.0) != 0.0:
            raise UnsupportedError(
                f"{os.fspath(path)}: {name} {said.said[name]}: a comment does not say about which "
                "axis; give the geometry as .expt"
            )
    polarization = None
    if "Polarization" in said.said:
        kahn = 2.0 * said.number("Polarization") - 1.0  # the fraction along x
        polarization = to_simulator("dials", (1.0, 0.0, 0.0)), kahn
    thickness = 0.0
    match = re.match(rf".*thickness\s+{_NUMBER}\s*m\b", said.said.get("Silicon", ""))
    if match is not None:
        thickness = float(match[1]) * 1e6
    cutoff = said.number("Count_cutoff", 0.0)
    corner = (-beam[0] * pixel[0], beam[1] * pixel[1], -distance)
    return [
        ExperimentContent(
            wavelength_angstrom=wavelength,
            beam=to_simulator("dials", (0.0, 0.0, -1.0)),
            polarization=polarization,
            panels=(
                PanelContent(
                    name="",
                    origin_mm=to_simulator("dials", corner),
                    fast_axis=to_simulator("dials", (1.0, 0.0, 0.0)),
                    slow_axis=to_simulator("dials", (0.0, -1.0, 0.0)),
                    n_fast=size["Fastest"],
                    n_slow=size["Second"],
                    pixel_mm=pixel,
                    thickness_um=thickness,
                    trusted_range=(-1.0, cutoff) if cutoff > 0.0 else None,
                ),
            ),
            scan=_scan(said),
        )
    ]


def _scan(said: _Comments) -> ScanContent | None:
    width = said.number("Angle_increment", 0.0)
    if width == 0.0:
        return None
    start = said.number("Start_angle", 0.0)
    word = said.said.get("Oscillation_axis", "X").strip(" =")
    match = re.fullmatch(r"([+-]?)([XYZ])(?:[., ]\s*(C?C?W))?.*", word.upper().strip("( )"))
    axis = _SPINDLES["X"]
    if match is not None:
        sign = -1.0 if (match[1] == "-") != (match[3] == "CCW") else 1.0
        x, y, z = _SPINDLES[match[2]]
        axis = (sign * x, sign * y, sign * z)
    elif "OMEGA" not in word.upper():
        said.refuse("Oscillation_axis", "X, Y, Z or omega")
    if width < 0.0:
        start, width = start + width, -width
    return ScanContent(to_simulator("dials", axis), start, width)
