"""imgCIF files (`.cbf`) whose header describes the whole detector, of one panel or of many.

An axis translates or rotates what depends on it, about itself, and then puts it where its offset
says in the frame of the axis that it depends on.  Each array of pixels has a fast and a slow
direction, which are such axes, with the displacement of the first pixel and the step from pixel to
pixel.  As in DIALS, the place of the first pixel is that of its outer corner.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NoReturn

from nanobragg_hybrid.base.errors import FileFormatError, quoted
from nanobragg_hybrid.formats.geometry.cif_text import CifText, Row
from nanobragg_hybrid.formats.geometry.content import (
    ExperimentContent,
    PanelContent,
    ScanContent,
)
from nanobragg_hybrid.formats.geometry.frames import to_simulator
from nanobragg_hybrid.formats.geometry.vectors import (
    Vector,
    applied,
    cross,
    dot,
    length,
    plus,
    rotation,
    times,
    unit,
)

_LONGEST_CHAIN: Final = 100
_LARGEST: Final = 2**31 - 1


class _Axis(NamedTuple):
    kind: str
    equipment: str
    depends_on: str
    vector: Vector
    offset: Vector


class _Header:
    """The tables of a header that describe a geometry."""

    def __init__(self, path: str | os.PathLike[str], cif: CifText) -> None:
        self._path = path
        self.cif = cif
        self.axes: dict[str, _Axis] = {}
        for row in cif.rows("axis"):
            name = row.get("id", "")
            self.axes[name] = _Axis(
                kind=row.get("type", "general").lower(),
                equipment=row.get("equipment", "general").lower(),
                depends_on=row.get("depends_on", ""),
                vector=self._vector(row, "vector", f"_axis {name}"),
                offset=self._vector(row, "offset", f"_axis {name}"),
            )
        self.settings = self._settings()

    def refuse(self, what: str, got: str | None, rule: str) -> NoReturn:
        """Raises `FileFormatError`."""
        shown = "nothing" if got is None else quoted(got)
        raise FileFormatError(self._path, 0, f"{what}: got {shown}, need {rule}")

    def number(self, row: Row, name: str, default: float | None, what: str) -> float:
        """A finite number of a row."""
        if name not in row and default is not None:
            return default
        try:
            number = float(row.get(name, "").partition("(")[0])
        except ValueError:
            number = math.nan
        if not abs(number) < 1e15:
            self.refuse(f"{what}.{name}", row.get(name), "a number")
        return number

    def _vector(self, row: Row, name: str, what: str) -> Vector:
        x, y, z = (self.number(row, f"{name}[{n}]", 0.0, what) for n in (1, 2, 3))
        return x, y, z

    def _settings(self) -> dict[str, tuple[float, float]]:
        """The angle in degrees and the displacement in mm of each axis, in the first frame."""
        settings = {}
        for row in self.cif.rows("diffrn_scan_axis"):
            name, what = row.get("axis_id", ""), "_diffrn_scan_axis"
            settings[name] = (
                self.number(row, "angle_start", 0.0, what),
                self.number(row, "displacement_start", 0.0, what),
            )
        rows = self.cif.rows("diffrn_scan_frame_axis")
        first = rows[0].get("frame_id") if rows else None
        for row in rows:
            if row.get("frame_id") != first:
                continue
            name, what = row.get("axis_id", ""), "_diffrn_scan_frame_axis"
            angle, displacement = settings.get(name, (0.0, 0.0))
            settings[name] = (
                self.number(row, "angle", angle, what),
                self.number(row, "displacement", displacement, what),
            )
        return settings

    def axis(self, name: str, what: str) -> _Axis:
        """The axis of a name."""
        if name not in self.axes:
            self.refuse(what, name, "the id of an axis")
        return self.axes[name]

    def outwards(self, name: str) -> list[str]:
        """An axis and those that it depends on, up to the laboratory."""
        chain: list[str] = []
        while name:
            self.axis(name, "_axis.depends_on")
            chain.append(name)
            if len(chain) > _LONGEST_CHAIN or len(set(chain)) < len(chain):
                self.refuse("_axis.depends_on", name, "axes that end at the laboratory")
            name = self.axes[name].depends_on
        return chain

    def position(self, name: str, point: Vector, extra: Mapping[str, float]) -> Vector:
        """Where a point that is fixed to an axis is in the laboratory, mm.

        extra: displacements to be added to what the settings say.
        """
        for each in self.outwards(name):
            axis = self.axes[each]
            angle, displacement = self.settings.get(each, (0.0, 0.0))
            displacement += extra.get(each, 0.0)
            if axis.kind == "rotation" and angle != 0.0:
                if not any(axis.vector):
                    self.refuse(f"_axis {each}.vector", "0 0 0", "a direction")
                point = applied(rotation(axis.vector, angle), point)
            elif axis.kind == "translation" and displacement != 0.0:
                if not any(axis.vector):
                    self.refuse(f"_axis {each}.vector", "0 0 0", "a direction")
                point = plus(point, times(displacement, unit(axis.vector)))
            point = plus(point, axis.offset)
        return point


def contents_of_imgcif(path: str | os.PathLike[str], cif: CifText) -> list[ExperimentContent]:
    """What the header of an imgCIF file says.  Raises `FileFormatError`."""
    header = _Header(path, cif)
    panels = _panels(header)
    if not panels:
        raise FileFormatError(path, 0, "its header describes no detector (_array_structure_list)")
    wavelengths = cif.rows("diffrn_radiation_wavelength")
    notes = []
    if len(wavelengths) > 1:
        notes.append(f"the beam has {len(wavelengths)} wavelengths: the first is used")
    fields: dict[str, Any] = {}
    for row in wavelengths[:1]:
        name = "wavelength" if "wavelength" in row else "value"
        wavelength = header.number(row, name, None, "_diffrn_radiation_wavelength")
        if not wavelength > 0.0:
            header.refuse("_diffrn_radiation_wavelength.wavelength", row[name], "a number > 0")
        fields["wavelength_angstrom"] = wavelength
    if not wavelengths:
        notes.append("the header has no wavelength: beam.wavelength_angstrom has its default")
    sources = [axis for axis in header.axes.values() if axis.equipment == "source"]
    to_source = next((a.vector for a in sources if any(a.vector)), (0.0, 0.0, 1.0))
    fields["beam"] = to_simulator("dials", times(-1.0, unit(to_source)))
    fields.update(_polarization(header, unit(to_source)))
    return [
        ExperimentContent(**fields, panels=tuple(panels), scan=_scan(header), notes=tuple(notes))
    ]


def _polarization(header: _Header, to_source: Vector) -> dict[str, Any]:
    """From the ratio of intensities and the angle of the normal of the polarization plane."""
    rows = header.cif.rows("diffrn_radiation")
    what = "_diffrn_radiation"
    if not rows or "polarizn_source_ratio" not in rows[0]:
        return {}
    ratio = header.number(rows[0], "polarizn_source_ratio", None, what)
    angle = header.number(rows[0], "polarizn_source_norm", 0.0, what)
    normal = applied(rotation(to_source, angle), (0.0, 1.0, 0.0))
    electric = cross(normal, to_source)
    if length(electric) < 1e-6:
        rule = "a beam that is not along Y, from which its angle is counted"
        header.refuse(f"{what}.polarizn_source_norm", f"{angle:g}", rule)
    return {"polarization": (to_simulator("dials", unit(electric)), ratio)}


def _scan(header: _Header) -> ScanContent | None:
    """The rotation of the goniometer's axis that turns."""
    what = "_diffrn_scan_axis"
    for row in header.cif.rows("diffrn_scan_axis"):
        name = row.get("axis_id", "")
        width = header.number(row, "angle_increment", 0.0, what)
        if width == 0.0:
            width = header.number(row, "angle_range", 0.0, what)
        if width == 0.0 or name not in header.axes:
            continue
        axis = header.axes[name]
        if axis.equipment != "goniometer" or axis.kind != "rotation" or not any(axis.vector):
            continue
        direction = unit(axis.vector)
        for outer in header.outwards(name)[1:]:
            angle, _ = header.settings.get(outer, (0.0, 0.0))
            if header.axes[outer].kind == "rotation" and any(header.axes[outer].vector):
                direction = applied(rotation(header.axes[outer].vector, angle), direction)
        start, _ = header.settings.get(name, (0.0, 0.0))
        if width < 0.0:
            direction, start, width = times(-1.0, direction), -start, -width
        return ScanContent(to_simulator("dials", direction), start, width)
    return None


def _panels(header: _Header) -> list[PanelContent]:
    axes_of_set: dict[str, list[Row]] = {}
    for row in header.cif.rows("array_structure_list_axis"):
        key = row.get("axis_set_id", row.get("axis_id", ""))
        axes_of_set.setdefault(key, []).append(row)
    arrays: dict[str, dict[float, Row]] = {}
    what = "_array_structure_list"
    for row in header.cif.rows("array_structure_list"):
        order = header.number(row, "precedence", None, what)
        arrays.setdefault(row.get("array_id", ""), {})[order] = row
    intensities = {row.get("array_id", ""): row for row in header.cif.rows("array_intensities")}
    wanted = {row["array_id"] for row in header.cif.rows("diffrn_data_frame") if "array_id" in row}
    return [
        _panel(header, name, rows, axes_of_set, intensities.get(name, {}))
        for name, rows in arrays.items()
        if not wanted or name in wanted
    ]


def _panel(
    header: _Header,
    name: str,
    rows: Mapping[float, Row],
    axes_of_set: Mapping[str, list[Row]],
    intensities: Row,
) -> PanelContent:
    what = f"_array_structure_list {name}"
    if not {1, 2} <= rows.keys():
        found = " ".join(f"{order:g}" for order in rows)
        header.refuse(f"{what}.precedence", found, "1 (fast) and 2 (slow)")
    counts, steps = [], []
    extra: dict[str, float] = {}
    names = []
    for row in (rows[1], rows[2]):
        count = header.number(row, "dimension", None, what)
        if count != int(count) or not 1 <= count <= _LARGEST:
            header.refuse(f"{what}.dimension", row.get("dimension"), "a whole number >= 1")
        key = row.get("axis_set_id", "")
        of_set = axes_of_set.get(key, [])
        if len(of_set) != 1:
            header.refuse(f"_array_structure_list_axis {key}", f"{len(of_set)} axes", "one axis")
        axis_name = of_set[0].get("axis_id", key)
        header.axis(axis_name, "_array_structure_list_axis.axis_id")
        place = f"_array_structure_list_axis {key}"
        step = header.number(of_set[0], "displacement_increment", None, place)
        first = header.number(of_set[0], "displacement", 0.0, place)
        if row.get("direction", "increasing").lower() != "increasing":
            header.refuse(f"{what}.direction", row["direction"], "'increasing'")
        if step == 0.0:
            header.refuse(f"{place}.displacement_increment", "0", "a step from pixel to pixel")
        names.append(axis_name)
        counts.append(int(count))
        steps.append(step)
        extra[axis_name] = extra.get(axis_name, 0.0) + first
    # The axis that depends on the other one carries the pixels.
    carrier = names[0] if names[1] in header.outwards(names[0]) else names[1]
    nowhere = (0.0, 0.0, 0.0)
    corner = header.position(carrier, nowhere, extra)
    ends = []
    for axis_name, step in zip(names, steps, strict=True):
        moved = {**extra, axis_name: extra[axis_name] + step}
        ends.append(plus(header.position(carrier, nowhere, moved), times(-1.0, corner)))
    fast, slow = ends
    if length(fast) < 1e-9 or length(slow) < 1e-9 or not abs(dot(unit(fast), unit(slow))) < 1e-2:
        header.refuse(f"{what}.axis_set_id", " ".join(names), "two axes at right angles")
    gain = header.number(intensities, "gain", 0.0, "_array_intensities")
    overload = header.number(intensities, "overload", 0.0, "_array_intensities")
    # Below 0 it is a limit, as for DIALS; 0 is also what an empty pixel has.
    undefined = header.number(intensities, "undefined_value", 0.0, "_array_intensities")
    lowest = undefined if undefined < 0.0 else -1e300
    return PanelContent(
        name=name,
        origin_mm=to_simulator("dials", corner),
        fast_axis=to_simulator("dials", unit(fast)),
        slow_axis=to_simulator("dials", unit(slow)),
        n_fast=counts[0],
        n_slow=counts[1],
        pixel_mm=(abs(steps[0]), abs(steps[1])),
        trusted_range=(lowest, overload) if overload > 0.0 else None,
        gain=gain if gain > 0.0 else None,
    )
