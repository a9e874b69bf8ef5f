"""XDS.INP in and out; XPARM.XDS and GXPARM.XDS in.

In the laboratory frame that the file chooses, pixel (x, y), of which the first has its middle at
(1, 1), lies at (x - ORGX) QX X + (y - ORGY) QY Y + DETECTOR_DISTANCE Z, with the detector's axes X,
Y and Z = X x Y.  A pixel of a SEGMENT first gets the position
(x - SEGMENT_ORGX) QX XS + (y - SEGMENT_ORGY) QY YS + SEGMENT_DISTANCE XS x YS in the frame of the
detector, whose components along X and Y take the place of x QX and y QY, and whose third one is
added to the distance.  The crystal's axes are those at a spindle angle of 0.
"""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, NoReturn

from nanobragg_hybrid.base.errors import FileFormatError, UnsupportedError, quoted
from nanobragg_hybrid.formats.geometry.content import (
    ExperimentContent,
    PanelContent,
    ScanContent,
)
from nanobragg_hybrid.formats.geometry.frames import from_simulator, to_simulator
from nanobragg_hybrid.formats.geometry.masks import Rectangle, mask_without, rectangles_of
from nanobragg_hybrid.formats.geometry.vectors import (
    Rows,
    Vector,
    applied,
    cross,
    length,
    near_point,
    plus,
    reciprocal,
    times,
    transposed,
    unit,
)

XPARM_START: Final = "XPARM.XDS"
_KEY: Final = re.compile(r"([A-Z][A-Z0-9_/().'-]*)=")
_LARGEST: Final = 2**31 - 1
_UNREAD: Final = {
    "X-GEO_CORR": "the table of pixel positions that it names is not read",
    "Y-GEO_CORR": "the table of pixel positions that it names is not read",
    "UNTRUSTED_ELLIPSE": "only rectangles make a mask",
    "UNTRUSTED_QUADRILATERAL": "only rectangles make a mask",
}


class _Value(NamedTuple):
    words: tuple[str, ...]
    line: int


class _Segment(NamedTuple):
    """Pixels x1 to x2, y1 to y2 of the image, counted from 1; axes in the detector's frame."""

    box: tuple[int, int, int, int]
    x_axis: Vector
    y_axis: Vector
    org_x: float
    org_y: float
    distance: float


class _Detector(NamedTuple):
    x_axis: Vector
    y_axis: Vector
    org_x: float
    org_y: float
    distance: float
    n_x: int
    n_y: int
    pixel: tuple[float, float]


def contents_of_xds_inp(path: str | os.PathLike[str], text: str) -> list[ExperimentContent]:
    """What XDS.INP says.  Raises `FileFormatError` with the line."""
    return [_Input(path, text).content()]


class _Input:
    """The words of XDS.INP by keyword; of one given again, the last counts unless it may be."""

    def __init__(self, path: str | os.PathLike[str], text: str) -> None:
        self._path = path
        self.values: dict[str, list[_Value]] = {}
        self.segments: list[dict[str, _Value]] = []
        for number, line in enumerate(text.splitlines(), 1):
            said = line.partition("!")[0]
            found = list(_KEY.finditer(said))
            for match, follows in itertools.zip_longest(found, found[1:]):
                end = len(said) if follows is None else follows.start()
                value = _Value(tuple(said[match.end() : end].split()), number)
                self._add(match[1], value)

    def _add(self, key: str, value: _Value) -> None:
        if key == "SEGMENT":
            self.segments.append({})
        if key.startswith(("SEGMENT", "DIRECTION_OF_SEGMENT")):
            if not self.segments:
                raise FileFormatError(self._path, value.line, f"{key}: no SEGMENT before it")
            self.segments[-1][key] = value
        else:
            self.values.setdefault(key, []).append(value)

    def content(self) -> ExperimentContent:
        detector = _Detector(
            x_axis=self._direction("DIRECTION_OF_DETECTOR_X-AXIS", (1.0, 0.0, 0.0)),
            y_axis=self._direction("DIRECTION_OF_DETECTOR_Y-AXIS", (0.0, 1.0, 0.0)),
            org_x=self._number("ORGX"),
            org_y=self._number("ORGY"),
            distance=self._number("DETECTOR_DISTANCE"),
            n_x=self._count("NX"),
            n_y=self._count("NY"),
            pixel=(self._positive("QX"), self._positive("QY")),
        )
        travel = unit(self._direction("INCIDENT_BEAM_DIRECTION", (0.0, 0.0, 1.0)))
        bad: list[Rectangle] = []
        for each in self.values.get("UNTRUSTED_RECTANGLE", ()):
            x1, x2, y1, y2 = self._whole_numbers_of("UNTRUSTED_RECTANGLE", each, 4)
            bad.append((x1, x2 - 1, y1, y2 - 1))
        segments = [self._segment(words) for words in self.segments]
        panels = _panels(detector, segments, bad)
        thickness = 1000.0 * self._number("SENSOR_THICKNESS", 0.0)
        silicon = self._number("SILICON", 0.0)
        low, high = (
            self._number(key, default)
            for key, default in (("MINIMUM_VALID_PIXEL_VALUE", 0.0), ("OVERLOAD", math.inf))
        )
        panels = [
            panel._replace(
                thickness_um=thickness if thickness > 0.0 else 0.0,
                attenuation_depth_um=1000.0 / silicon if silicon > 0.0 else None,
                trusted_range=(low, high) if low < high < math.inf else None,
            )
            for panel in panels
        ]
        scan, crystal = self._scan(), self._crystal()
        notes = [f"{key} is not used: {why}" for key, why in _UNREAD.items() if key in self.values]
        return ExperimentContent(
            wavelength_angstrom=self._positive("X-RAY_WAVELENGTH"),
            beam=to_simulator("xds", travel),
            polarization=self._polarization(travel),
            panels=tuple(panels),
            scan=scan,
            crystal=crystal,
            is_still=crystal is not None and scan is None,
            notes=tuple(notes),
        )

    def _segment(self, words: dict[str, _Value]) -> _Segment:
        def numbers(key: str, count: int, default: tuple[float, ...]) -> tuple[float, ...]:
            return default if key not in words else self._numbers_of(key, words[key], count)

        x1, x2, y1, y2 = self._whole_numbers_of("SEGMENT", words["SEGMENT"], 4)
        if not (1 <= x1 <= x2 <= _LARGEST and 1 <= y1 <= y2 <= _LARGEST):
            self._refuse("SEGMENT", words["SEGMENT"], "x1 <= x2 and y1 <= y2 in pixels, from 1")
        axes = []
        for axis, default in (("X", (1.0, 0.0, 0.0)), ("Y", (0.0, 1.0, 0.0))):
            key = f"DIRECTION_OF_SEGMENT_{axis}-AXIS"
            x, y, z = numbers(key, 3, default)
            if not (x or y or z):
                self._refuse(key, words[key], "a direction, not 0 0 0")
            axes.append(unit((x, y, z)))
        return _Segment(
            (x1, x2, y1, y2),
            axes[0],
            axes[1],
            numbers("SEGMENT_ORGX", 1, (0.0,))[0],
            numbers("SEGMENT_ORGY", 1, (0.0,))[0],
            numbers("SEGMENT_DISTANCE", 1, (0.0,))[0],
        )

    def _polarization(self, travel: Vector) -> tuple[Vector, float] | None:
        if "FRACTION_OF_POLARIZATION" not in self.values:
            return None
        kahn = 2.0 * self._number("FRACTION_OF_POLARIZATION") - 1.0
        normal = unit(self._direction("POLARIZATION_PLANE_NORMAL", (0.0, 1.0, 0.0)))
        electric = cross(normal, travel)
        if length(electric) < 1e-6:
            key, rule = "POLARIZATION_PLANE_NORMAL", "a direction that is not the beam's"
            if key not in self.values:
                raise FileFormatError(self._path, 0, f"{key}: got nothing, 0 1 0, need {rule}")
            self._refuse(key, self.values[key][-1], rule)
        return to_simulator("xds", unit(electric)), kahn

    def _scan(self) -> ScanContent | None:
        width = self._number("OSCILLATION_RANGE", 0.0)
        if width == 0.0:
            return None
        if width < 0.0:
            self._refuse("OSCILLATION_RANGE", self.values["OSCILLATION_RANGE"][-1], "a number >= 0")
        first, last = 1, 1
        if "DATA_RANGE" in self.values:
            value = self.values["DATA_RANGE"][-1]
            first, last = self._whole_numbers_of("DATA_RANGE", value, 2)
            if not first <= last:
                self._refuse("DATA_RANGE", value, "two numbers, the second not below the first")
        start_frame = self._number("STARTING_FRAME", float(first))
        start = self._number("STARTING_ANGLE", 0.0) + (first - start_frame) * width
        axis = unit(self._direction("ROTATION_AXIS", (1.0, 0.0, 0.0)))
        return ScanContent(to_simulator("xds", axis), start, width, first, last - first + 1)

    def _crystal(self) -> Rows | None:
        keys = [f"UNIT_CELL_{axis}-AXIS" for axis in "ABC"]
        given = [key for key in keys if key in self.values]
        if not given:
            return None
        axes = [self._direction(key) for key in keys]
        rows = reciprocal(axes[0], axes[1], axes[2])
        if rows is None:
            self._refuse(keys[2], self.values[keys[2]][-1], "three axes that are not in a plane")
        x, y, z = (to_simulator("xds", row) for row in rows)
        return x, y, z

    def _refuse(self, key: str, value: _Value, rule: str) -> NoReturn:
        got = quoted(" ".join(value.words))
        raise FileFormatError(self._path, value.line, f"{key}: got {got}, need {rule}")

    def _numbers_of(self, key: str, value: _Value, count: int) -> tuple[float, ...]:
        try:
            numbers = tuple(float(word) for word in value.words[:count])
        except ValueError:
            numbers = ()
        if len(numbers) < count or not all(abs(number) < 1e15 for number in numbers):
            self._refuse(key, value, f"{count} number{'s' * (count > 1)}")
        return numbers

    def _whole_numbers_of(self, key: str, value: _Value, count: int) -> list[int]:
        numbers = self._numbers_of(key, value, count)
        if not all(number.is_integer() for number in numbers):
            self._refuse(key, value, f"{count} whole numbers")
        return [int(number) for number in numbers]

    def _number(self, key: str, default: float | None = None) -> float:
        if key not in self.values:
            if default is None:
                raise FileFormatError(self._path, 0, f"has no {key}")
            return default
        return self._numbers_of(key, self.values[key][-1], 1)[0]

    def _positive(self, key: str) -> float:
        number = self._number(key)
        if not number > 0.0:
            self._refuse(key, self.values[key][-1], "a number > 0")
        return number

    def _count(self, key: str) -> int:
        number = self._number(key)
        if number != int(number) or not 1 <= number <= _LARGEST:
            self._refuse(key, self.values[key][-1], "a whole number >= 1")
        return int(number)

    def _direction(self, key: str, default: Vector | None = None) -> Vector:
        if key not in self.values:
            if default is None:
                raise FileFormatError(self._path, 0, f"has no {key}")
            return default
        x, y, z = self._numbers_of(key, self.values[key][-1], 3)
        if not (x or y or z):
            self._refuse(key, self.values[key][-1], "a direction, not 0 0 0")
        return x, y, z


def _panels(
    detector: _Detector, segments: Sequence[_Segment], bad: Sequence[Rectangle]
) -> list[PanelContent]:
    """The segments, or the whole detector as one."""
    whole = _Segment(
        (1, detector.n_x, 1, detector.n_y), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), 0.0, 0.0, 0.0
    )
    x_axis, y_axis = unit(detector.x_axis), unit(detector.y_axis)
    columns = (x_axis, y_axis, cross(x_axis, y_axis))
    pixel_x, pixel_y = detector.pixel
    offset = plus(
        times(-detector.org_x * pixel_x, columns[0]),
        times(-detector.org_y * pixel_y, columns[1]),
        times(detector.distance, columns[2]),
    )
    panels = []
    for number, segment in enumerate(segments or [whole], 1):
        x1, x2, y1, y2 = segment.box
        corner = plus(
            times((x1 - 0.5 - segment.org_x) * pixel_x, segment.x_axis),
            times((y1 - 0.5 - segment.org_y) * pixel_y, segment.y_axis),
            times(segment.distance, cross(segment.x_axis, segment.y_axis)),
        )
        turn = transposed(columns)
        n_x, n_y = x2 - x1 + 1, y2 - y1 + 1
        shifted = ((a - x1 + 1, b - x1 + 1, c - y1 + 1, d - y1 + 1) for a, b, c, d in bad)
        panels.append(
            PanelContent(
                name=f"segment{number}" if segments else "",
                origin_mm=to_simulator("xds", plus(offset, applied(turn, corner))),
                fast_axis=to_simulator("xds", applied(turn, segment.x_axis)),
                slow_axis=to_simulator("xds", applied(turn, segment.y_axis)),
                n_fast=n_x,
                n_slow=n_y,
                pixel_mm=(pixel_x, pixel_y),
                mask=mask_without(shifted, n_x, n_y),
            )
        )
    return panels


def contents_of_xparm(
    path: str | os.PathLike[str], text: str, *, has_segments: bool = True
) -> list[ExperimentContent]:
    """What XPARM.XDS or GXPARM.XDS says.  Raises `FileFormatError` with the line.

    Its scan has one image, the first: the file does not say how many there are.
    """
    lines = text.splitlines()

    def numbers(line: int, count: int) -> list[float]:
        words = lines[line - 1].split() if line <= len(lines) else []
        try:
            found = [float(word) for word in words]
        except ValueError:
            found = []
        if len(found) < count or not all(abs(number) < 1e15 for number in found):
            got = quoted(lines[line - 1]) if line <= len(lines) else "the end of the file"
            raise FileFormatError(path, line, f"got {got}, need {count} numbers")
        return found[:count]

    def require_whole(line: int, *values: float) -> None:
        if not all(value.is_integer() for value in values):
            shown = " ".join(f"{value:.15g}" for value in values)
            raise FileFormatError(path, line, f"got {quoted(shown)}, need whole numbers")

    def direction(line: int, values: Sequence[float]) -> Vector:
        x, y, z = values
        if not (x or y or z):
            raise FileFormatError(path, line, "got 0 0 0, need a direction")
        return x, y, z

    frame, start, width, *axis = numbers(2, 6)
    require_whole(2, frame)
    wavelength, *travel = numbers(3, 4)
    if not wavelength > 0.0:
        raise FileFormatError(path, 3, f"got a wavelength of {wavelength}, need a number > 0")
    if width < 0.0:
        raise FileFormatError(path, 2, f"got an oscillation of {width}, need a number >= 0")
    a, b, c = (direction(line, numbers(line, 3)) for line in (5, 6, 7))
    rows = reciprocal(a, b, c)
    if rows is None:
        raise FileFormatError(path, 5, "got three cell axes in a plane, need a cell")
    count, n_x, n_y, pixel_x, pixel_y = numbers(8, 5)
    if not has_segments:
        count = 0.0
    require_whole(8, count, n_x, n_y)
    if not (pixel_x > 0.0 and pixel_y > 0.0 and 1 <= n_x <= _LARGEST and 1 <= n_y <= _LARGEST):
        raise FileFormatError(path, 8, "need pixels NX, NY >= 1 and edges QX, QY > 0")
    org_x, org_y, distance = numbers(9, 3)
    x_axis, y_axis = (direction(line, numbers(line, 3)) for line in (10, 11))
    detector = _Detector(
        x_axis, y_axis, org_x, org_y, distance, int(n_x), int(n_y), (pixel_x, pixel_y)
    )
    segments = []
    for at in range(13, 13 + 2 * int(min(max(count, 0.0), len(lines))), 2):
        limits = numbers(at, 5)[1:]
        require_whole(at, *limits)
        x1, x2, y1, y2 = (int(number) for number in limits)
        if not (1 <= x1 <= x2 <= _LARGEST and 1 <= y1 <= y2 <= _LARGEST):
            raise FileFormatError(path, at, "need a segment of pixels x1 <= x2, y1 <= y2, from 1")
        sx, sy, sd, *axes = numbers(at + 1, 9)
        segments.append(
            _Segment(
                (x1, x2, y1, y2),
                unit(direction(at + 1, axes[:3])),
                unit(direction(at + 1, axes[3:])),
                sx,
                sy,
                sd,
            )
        )
    scan = None
    if width > 0.0:
        spindle = to_simulator("xds", unit(direction(2, axis)))
        scan = ScanContent(spindle, start, width, int(frame), 1)
    panels = _panels(detector, segments, ())
    if len(panels) == 1:
        panels = [panels[0]._replace(name="")]
    x, y, z = (to_simulator("xds", row) for row in rows)
    return [
        ExperimentContent(
            wavelength_angstrom=wavelength,
            beam=to_simulator("xds", unit(direction(3, travel))),
            panels=tuple(panels),
            scan=scan,
            crystal=(x, y, z),
            is_still=scan is None,
        )
    ]


_OLD_LINES: Final = {2: 1, 3: 2, 4: 8, 5: 9, 6: 10, 7: 11, 8: 3, 9: 4, 10: 5, 11: 6, 12: 7}
"""Lines of XPARM.XDS since 2012, and where their numbers stood before."""


def contents_of_old_xparm(path: str | os.PathLike[str], text: str) -> list[ExperimentContent]:
    """What XPARM.XDS says as it was written before 2012: without a title and without segments."""
    old = text.splitlines()
    lines = [XPARM_START, *(old[n - 1] if n <= len(old) else "" for n in _OLD_LINES.values())]
    lines[7] = f"1 {lines[7]}"  # one segment
    words = lines[8].split()  # the distance stood before the origin
    lines[8] = " ".join([*words[1:3], *words[:1]])
    try:
        (content,) = contents_of_xparm(path, "\n".join(lines), has_segments=False)
    except FileFormatError as error:
        raise FileFormatError(path, _OLD_LINES.get(error.line, 0), error.problem) from None
    return [content]


# ---- writing


def xds_inp_of(content: ExperimentContent) -> str:
    """XDS.INP: geometry, not the files of images or the jobs, which are for the user to add.

    Several panels become segments of one image in which they stand one below the other.
    """
    travel = content.beam or (1.0, 0.0, 0.0)
    panels = content.panels
    first = panels[0]
    if any(panel.pixel_mm != first.pixel_mm for panel in panels):
        raise UnsupportedError("XDS has one size of pixels for all panels: these have several")
    low, high = first.trusted_range or (0.0, 65535.0)
    lines = ["! the geometry of a simulated experiment"]
    lines += [
        f"DETECTOR=ADSC MINIMUM_VALID_PIXEL_VALUE={low!r} OVERLOAD={high!r}",
        f"X-RAY_WAVELENGTH= {content.wavelength_angstrom!r}",
        f"INCIDENT_BEAM_DIRECTION= {_words(travel)}",
    ]
    if content.polarization is not None:
        axis, kahn = content.polarization
        normal = cross(travel, axis)
        if length(normal) > 1e-6:
            lines += [
                f"FRACTION_OF_POLARIZATION= {0.5 * (1.0 + kahn)!r}",
                f"POLARIZATION_PLANE_NORMAL= {_words(unit(normal))}",
            ]
    if content.template:
        lines.append(f"NAME_TEMPLATE_OF_DATA_FRAMES= {content.template.replace('#', '?')}")
    if content.scan is not None:
        scan = content.scan
        last = scan.first_image + scan.images - 1
        lines += [
            f"ROTATION_AXIS= {_words(scan.axis)}",
            f"STARTING_ANGLE= {scan.start_deg!r} STARTING_FRAME= {scan.first_image}",
            f"OSCILLATION_RANGE= {scan.width_deg!r}",
            f"DATA_RANGE= {scan.first_image} {last}",
        ]
    if content.crystal is not None:
        real = reciprocal(*content.crystal)
        for name, axis in zip("ABC", real or (), strict=True):
            lines.append(f"UNIT_CELL_{name}-AXIS= {_words(axis)}")
    n_fast = max(panel.n_fast for panel in panels)
    n_slow = sum(panel.n_slow for panel in panels)
    lines.append(f"NX= {n_fast} NY= {n_slow} QX= {first.pixel_mm[0]!r} QY= {first.pixel_mm[1]!r}")
    if first.thickness_um > 0.0 and first.attenuation_depth_um:
        lines.append(
            f"SENSOR_THICKNESS= {first.thickness_um / 1000.0!r} "
            f"SILICON= {1000.0 / first.attenuation_depth_um!r}"
        )
    below = 0
    for panel in panels:
        for x1, x2, y1, y2 in rectangles_of(panel.mask):
            # The bounds are pixels that count, in numbers from 1.
            box = f"{x1} {x2 + 1} {y1 + below} {y2 + below + 1}"
            lines.append(f"UNTRUSTED_RECTANGLE= {box}")
        below += panel.n_slow
    if len(panels) == 1:
        org_x, org_y, distance = _near_point(first, first.origin_mm)
        lines += [
            f"DIRECTION_OF_DETECTOR_X-AXIS= {_words(first.fast_axis)}",
            f"DIRECTION_OF_DETECTOR_Y-AXIS= {_words(first.slow_axis)}",
            f"ORGX= {org_x!r} ORGY= {org_y!r} DETECTOR_DISTANCE= {distance!r}",
        ]
    else:
        lines += [
            "DIRECTION_OF_DETECTOR_X-AXIS= 1.0 0.0 0.0",
            "DIRECTION_OF_DETECTOR_Y-AXIS= 0.0 1.0 0.0",
            "ORGX= 0.0 ORGY= 0.0 DETECTOR_DISTANCE= 0.0",
        ]
        below = 0
        for panel in panels:
            org_x, org_y, distance = _near_point(panel, panel.origin_mm)
            lines += [
                f"SEGMENT= 1 {panel.n_fast} {below + 1} {below + panel.n_slow}",
                f"DIRECTION_OF_SEGMENT_X-AXIS= {_words(panel.fast_axis)}",
                f"DIRECTION_OF_SEGMENT_Y-AXIS= {_words(panel.slow_axis)}",
                f"SEGMENT_ORGX= {org_x!r} SEGMENT_ORGY= {org_y + below!r}",
                f"SEGMENT_DISTANCE= {distance!r}",
            ]
            below += panel.n_slow
    return "\n".join([*lines, ""])


def _near_point(panel: PanelContent, origin: Vector) -> tuple[float, float, float]:
    """ORGX, ORGY and distance of a panel."""
    along_fast, along_slow, distance = near_point(origin, panel.fast_axis, panel.slow_axis)
    return (
        0.5 + along_fast / panel.pixel_mm[0],
        0.5 + along_slow / panel.pixel_mm[1],
        distance,
    )


def _words(vector: Vector) -> str:
    return " ".join(repr(number) for number in from_simulator("xds", vector))
