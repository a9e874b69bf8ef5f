"""CrystFEL streams (`.stream`): geometry, images with their peaks, and the crystals found in them.

The reciprocal vectors astar, bstar, cstar of a crystal are in 1/nm in CrystFEL's laboratory frame.
A stream begins with the geometry file that it was made with; where that names a place in the data
for the distance or the photon energy, each image says what was there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from nanobragg_hybrid.base.errors import FileFormatError, quoted
from nanobragg_hybrid.formats.geometry.content import ExperimentContent
from nanobragg_hybrid.formats.geometry.crystfel_geom import (
    EV_ANGSTROM,
    Beamline,
    contents_of_geom,
)
from nanobragg_hybrid.formats.geometry.frames import to_simulator
from nanobragg_hybrid.formats.geometry.vectors import Rows, Vector, reciprocal, times
from nanobragg_hybrid.formats.text import open_binary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STREAM_START: Final = "CrystFEL stream format"

_AXES: Final = ("astar", "bstar", "cstar")
_COUNTS_IN_EV: Final = "adu_per_eV"
_NUMBER_OF_CLEN: Final = re.compile(r"(?m)^\s*clen\s*=\s*[\d.+-]")
_PLACE_OF_CLEN: Final = re.compile(r"(?m)^[^;\n]*\bclen\s*=\s*[^\s\d.+-]")
_MOST_GEOMETRIES: Final = 8
_LONGEST_LINE: Final = 1 << 16


class ReflectionRows(NamedTuple):
    """Reflections of a crystal, where they were predicted.

    hkl: int32, shape (n, 3).  numbers: float64, shape (n, 4): intensity and its error, fs and ss in
    pixels of the data array.  panels: the panel of each.
    """

    hkl: NDArray[np.int32]
    numbers: NDArray[np.float64]
    panels: tuple[str, ...]


class ChunkContent(NamedTuple):
    """One image of a stream.

    image: its file, event: which of that file's images, both as the stream has them; serial: its
    number, 0 if it has none.  peaks: float64, shape (peaks, 4): fs and ss in pixels of the data
    array, resolution in 1/nm, intensity; peak_panels: their panels.  contents, reflections: one for
    each crystal, the latter where they were asked for.
    """

    image: str
    event: str
    serial: int
    wavelength_angstrom: float | None
    peaks: NDArray[np.float64]
    peak_panels: tuple[str, ...]
    contents: tuple[ExperimentContent, ...]
    reflections: tuple[ReflectionRows, ...] = ()


def chunks_of_stream(
    path: str | os.PathLike[str], *, with_reflections: bool = False
) -> Iterator[ChunkContent]:
    """The images of a stream, one after the other.

    Raises `FileAccessError`, and `FileFormatError` with the line; of a stream that ends inside an
    image as well.
    """
    with open_binary(path) as file:
        yield from _Stream(path, _lines(file), with_reflections).chunks()


def geometry_of_stream(path: str | os.PathLike[str]) -> tuple[str, int]:
    """The geometry file that a stream begins with, and the line where it begins.

    Raises `FileAccessError`, `FileFormatError`.
    """
    with open_binary(path) as file:
        return _Stream(path, _lines(file), False).geometry()


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    number = 0
    while raw := file.readline(_LONGEST_LINE):
        number += 1
        yield number, raw.decode("utf-8", errors="replace").rstrip("\r\n")


class _Stream:
    def __init__(
        self,
        path: str | os.PathLike[str],
        lines: Iterator[tuple[int, str]],
        with_reflections: bool,
    ) -> None:
        self._path, self._lines = path, lines
        self._with_reflections = with_reflections
        self._geometry: str | None = None
        self._first_line = 1
        self._counts_in_ev = self._needs_camera_length = False
        self._panels: dict[Beamline, ExperimentContent] = {}

    def chunks(self) -> Iterator[ChunkContent]:
        number, first = next(self._lines, (1, ""))
        if not first.startswith(STREAM_START):
            raise FileFormatError(self._path, number, f"does not begin with {STREAM_START!r}")
        for number, line in self._lines:
            if line.startswith("----- Begin geometry file"):
                self._first_line = number + 1
                self._geometry = "\n".join(self._until("----- End geometry file", number))
                self._counts_in_ev = _COUNTS_IN_EV in self._geometry
                self._needs_camera_length = (
                    _NUMBER_OF_CLEN.search(self._geometry) is None
                    or _PLACE_OF_CLEN.search(self._geometry) is not None
                )
            elif line.startswith("----- Begin chunk"):
                yield self._chunk(number)

    def geometry(self) -> tuple[str, int]:
        """Its text and first line."""
        next(self.chunks(), None)
        if self._geometry is None:
            raise FileFormatError(
                self._path, 0, "has no geometry file in it: it was written without its header"
            )
        return self._geometry, self._first_line

    def _until(self, end: str, begin: int) -> Iterator[str]:
        for _, line in self._lines:
            if line.startswith(end):
                return
            yield line
        raise FileFormatError(self._path, begin, f"ends before {end!r}")

    def _chunk(self, begin: int) -> ChunkContent:
        said: dict[str, str] = {}
        peaks: list[tuple[float, float, float, float]] = []
        panels: list[str] = []
        crystals: list[tuple[Rows, tuple[str, ...], ReflectionRows | None]] = []
        for number, line in self._lines:
            if line.startswith("----- End chunk"):
                return self._finished(begin, said, peaks, panels, crystals)
            if line.startswith("--- Begin crystal"):
                crystals.append(self._crystal(number))
            elif line.startswith("Peaks from peak search"):
                self._peaks(number, peaks, panels)
            else:
                for separator in (": ", " = "):
                    name, found, value = line.partition(separator)
                    if found:
                        said.setdefault(name.strip(), value.strip())
                        break
        raise FileFormatError(self._path, begin, "the image that begins here has no end")

    def _peaks(
        self, begin: int, peaks: list[tuple[float, float, float, float]], panels: list[str]
    ) -> None:
        next(self._lines, None)  # names of columns
        for number, line in self._lines:
            if line.startswith("End of peak list"):
                return
            words = line.split()
            try:
                fs, ss, resolution, intensity = (float(word) for word in words[:4])
            except ValueError:
                rule = "fs, ss, resolution and intensity of a peak"
                raise FileFormatError(
                    self._path, number, f"got {quoted(line)}, need {rule}"
                ) from None
            peaks.append((fs, ss, resolution, intensity))
            panels.append(words[4] if len(words) > 4 else "")
        raise FileFormatError(self._path, begin, "the list of peaks that begins here has no end")

    def _crystal(self, begin: int) -> tuple[Rows, tuple[str, ...], ReflectionRows | None]:
        axes: dict[str, Vector] = {}
        notes: list[str] = []
        reflections: ReflectionRows | None = None
        for number, line in self._lines:
            name, _, value = line.partition(" = ")
            if line.startswith("--- End crystal"):
                missing = [axis for axis in _AXES if axis not in axes]
                if missing:
                    raise FileFormatError(self._path, begin, f"a crystal without {missing[0]}")
                a, b, c = (axes[axis] for axis in _AXES)
                if reciprocal(a, b, c) is None:
                    rule = "three vectors that do not lie in a plane"
                    raise FileFormatError(self._path, begin, f"astar, bstar, cstar: need {rule}")
                return (a, b, c), tuple(notes), reflections
            if self._with_reflections and line.startswith("Reflections measured after indexing"):
                reflections = self._reflections(number)
                continue
            if name in _AXES:
                axes[name] = self._axis(number, name, value)
            elif name.startswith("predict_refine/det_shift x"):
                words = line.split()
                if any(word.strip("+-0.") for word in words if word[-1:].isdigit()):
                    notes.append("predict_refine/det_shift of the crystals is not applied")
        raise FileFormatError(self._path, begin, "the crystal that begins here has no end")

    def _reflections(self, begin: int) -> ReflectionRows:
        import numpy as np

        _, head = next(self._lines, (0, ""))
        columns = head.split()
        wanted = ("h", "k", "l", "I", "sigma(I)", "fs/px", "ss/px", "panel")
        missing = [name for name in wanted if name not in columns]
        if missing:
            rule = f"columns of reflections with {missing[0]}"
            raise FileFormatError(self._path, begin + 1, f"got {quoted(head)}, need {rule}")
        at = [columns.index(name) for name in wanted]
        hkl: list[tuple[int, ...]] = []
        numbers: list[tuple[float, ...]] = []
        panels: list[str] = []
        for number, line in self._lines:
            if line.startswith("End of reflections"):
                return ReflectionRows(
                    np.array(hkl, dtype=np.int32).reshape(-1, 3),
                    np.array(numbers, dtype=np.float64).reshape(-1, 4),
                    tuple(panels),
                )
            words = line.split()
            try:
                indices = tuple(int(words[n]) for n in at[:3])
                values = tuple(float(words[n]) for n in at[3:7])
                panel = words[at[7]]
            except (ValueError, IndexError):
                indices, values, panel = (2**31,), (), ""
            if any(abs(index) >= 2**31 for index in indices):
                rule = f"a reflection: {', '.join(wanted)}"
                raise FileFormatError(self._path, number, f"got {quoted(line)}, need {rule}")
            hkl.append(indices)
            numbers.append(values)
            panels.append(panel)
        text = "the list of reflections that begins here has no end"
        raise FileFormatError(self._path, begin, text)

    def _axis(self, number: int, name: str, value: str) -> Vector:
        words = value.split()
        try:
            x, y, z = (float(word) for word in words[:3])
        except ValueError:
            x = y = z = float("nan")
        if not all(abs(part) < 1e9 for part in (x, y, z)) or words[3:] != ["nm^-1"]:
            rule = "three numbers and nm^-1"
            raise FileFormatError(self._path, number, f"{name}: got {quoted(value)}, need {rule}")
        return to_simulator("crystfel", times(0.1, (x, y, z)))

    def _finished(
        self,
        begin: int,
        said: dict[str, str],
        peaks: list[tuple[float, float, float, float]],
        panels: list[str],
        crystals: list[tuple[Rows, tuple[str, ...], ReflectionRows | None]],
    ) -> ChunkContent:
        import numpy as np

        energy = self._number(begin, said, "photon_energy_eV")
        if energy is not None and not energy > 0.0:
            raise FileFormatError(
                self._path, begin, f"photon_energy_eV: got {energy}, need a number > 0"
            )
        wavelength = None if energy is None else EV_ANGSTROM / energy
        beamline = Beamline(wavelength, self._number(begin, said, "average_camera_length"))
        contents = []
        for rows, notes, _ in crystals:
            base = self._described(beamline)
            wave = wavelength if wavelength is not None else base.wavelength_angstrom
            contents.append(
                base._replace(
                    wavelength_angstrom=wave,
                    crystal=rows,
                    is_still=True,
                    notes=(*base.notes, *notes),
                )
            )
        serial = said.get("Image serial number", "0")
        return ChunkContent(
            image=said.get("Image filename", ""),
            event=said.get("Event", ""),
            serial=int(serial) if serial.isascii() and serial.isdecimal() else 0,
            wavelength_angstrom=wavelength,
            peaks=np.array(peaks, dtype=np.float64).reshape(-1, 4),
            peak_panels=tuple(panels),
            contents=tuple(contents),
            reflections=tuple(
                ReflectionRows(np.zeros((0, 3), np.int32), np.zeros((0, 4)), ())
                if rows is None
                else rows
                for _, _, rows in crystals
            )
            if self._with_reflections
            else (),
        )

    def _number(self, begin: int, said: dict[str, str], name: str) -> float | None:
        if name not in said:
            return None
        try:
            number = float(said[name].split()[0])
        except (ValueError, IndexError):
            number = float("nan")
        if not abs(number) < 1e9:
            got = quoted(said[name])
            raise FileFormatError(self._path, begin, f"{name}: got {got}, need a number")
        return number

    def _described(self, beamline: Beamline) -> ExperimentContent:
        """The panels; read once for images of the same energy and distance."""
        if self._geometry is None:
            raise FileFormatError(
                self._path, 0, "has no geometry file in it: it was written without its header"
            )
        # The energy of every shot is another one: it matters only where counts are told in eV.
        key = Beamline(
            beamline.wavelength_angstrom if self._counts_in_ev else None,
            beamline.camera_length_m if self._needs_camera_length else None,
        )
        if key not in self._panels:
            if len(self._panels) > _MOST_GEOMETRIES:
                self._panels.clear()
            (content,) = contents_of_geom(
                self._path, self._geometry, first_line=self._first_line, beamline=beamline
            )
            self._panels[key] = content
        return self._panels[key]
