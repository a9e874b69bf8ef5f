"""CrystFEL geometry files (`.geom`), in and out.

Pixel (fs, ss) of a panel, counted from the panel's own first corner, lies at
(corner_x + fs FSx + ss SSx) / res along x, y likewise, and clen + coffset + (fs FSz + ss SSz) / res
along z, in metres, where FS and SS are the vectors that `fs` and `ss` give.  What stands before a
panel without a panel's name counts for the panels that are first mentioned after it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from nanobragg_hybrid.base.errors import FileFormatError, UnsupportedError, quoted
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.formats.geometry.content import ExperimentContent, PanelContent
from nanobragg_hybrid.formats.geometry.frames import from_simulator, to_simulator
from nanobragg_hybrid.formats.geometry.masks import rectangles_of
from nanobragg_hybrid.formats.geometry.vectors import Vector, dot, length, unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EV_ANGSTROM: Final = 12398.419843320026
"""Planck's constant times the speed of light, eV angstrom (2019 SI)."""

_LARGEST: Final = 2**31 - 1
_UNITS: Final = {
    "m": 1.0,
    "mm": 1e-3,
    "ev": 1.0,
    "kev": 1e3,
    "mev": 1e6,
    "v": 1.0,
    "kv": 1e3,
    "a": 1.0,
}
_AXIS_TERM: Final = re.compile(r"([+-]?)\s*(?:([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*)?([xyz])\s*")
_GROUPS: Final = ("rigid_group", "group")


class _Value(NamedTuple):
    text: str
    line: int


class Beamline(NamedTuple):
    """What the data file says where the geometry file names a place in it; None: unknown.

    wavelength_angstrom; camera_length_m: mean distance of the panels along the beam.
    """

    wavelength_angstrom: float | None = None
    camera_length_m: float | None = None


_NOTHING_KNOWN: Final = Beamline()


class _Geom:
    """The entries of a geometry file, by panel."""

    def __init__(self, path: str | os.PathLike[str], text: str, first_line: int) -> None:
        self.path = path
        self.top: dict[str, _Value] = {}
        self.panels: dict[str, dict[str, _Value]] = {}
        self.bad: dict[str, dict[str, _Value]] = {}
        self.groups = 0
        for number, line in enumerate(text.splitlines(), first_line):
            said = line.partition(";")[0].strip()
            if not said:
                continue
            name, equals, value = said.partition("=")
            if not equals:
                raise FileFormatError(path, number, f"got {quoted(said)}, need name = value")
            self._add(name.strip(), _Value(value.strip(), number))

    def _add(self, name: str, value: _Value) -> None:
        panel, slash, key = name.rpartition("/")
        if not slash:
            if name.startswith(_GROUPS):
                self.groups += 1
            else:
                self.top[name] = value
        elif panel.startswith("bad"):
            self.bad.setdefault(panel, {})[key] = value
        else:
            self.panels.setdefault(panel, dict(self.top))[key] = value

    def refuse(self, name: str, value: _Value, rule: str) -> NoReturn:
        raise FileFormatError(
            self.path, value.line, f"{name}: got {quoted(value.text)}, need {rule}"
        )

    def number(
        self, of: Mapping[str, _Value], name: str, default: float | None = None, where: str = ""
    ) -> float:
        """A number, in the unit that CrystFEL takes: metres, eV, or none."""
        value = of.get(name)
        if value is None:
            if default is None:
                raise FileFormatError(self.path, 0, f"{where or 'the file'} has no {name}")
            return default
        found = _number(value.text)
        if found is None:
            rule = "a number"
            if "/" in value.text:
                rule += ": a place in the data file is not looked up, so put its value here"
            self.refuse(name, value, rule)
        return found


def _number(text: str) -> float | None:
    """A number with or without a unit."""
    words = text.split()
    if not 1 <= len(words) <= 2:
        return None
    try:
        number = float(words[0])
    except ValueError:
        return None
    if len(words) == 2:
        unit_of = _UNITS.get(words[1].lower())
        if unit_of is None:
            return None
        number *= unit_of
    return number if abs(number) < 1e15 else None


def contents_of_geom(
    path: str | os.PathLike[str],
    text: str,
    *,
    first_line: int = 1,
    beamline: Beamline = _NOTHING_KNOWN,
) -> list[ExperimentContent]:
    """What a geometry file says: panels, and the wavelength if it gives one.

    first_line: the number of the text's first line, for messages.  beamline: what counts where the
    file names a place in the data instead of a number.  Raises `FileFormatError` with the line.
    """
    geom = _Geom(path, text, first_line)
    if not geom.panels:
        raise FileFormatError(path, 0, "describes no panel")
    notes = []
    for name in ("detector_shift_x", "detector_shift_y"):
        if name in geom.top and _number(geom.top[name].text) != 0.0:
            geom.refuse(name, geom.top[name], "0: add the shift to corner_x and corner_y")
    if geom.groups:
        notes.append(
            f"{geom.groups} groups of panels that move together are passed over: an experiment has "
            "none"
        )
    wavelength = _wavelength(geom, beamline)
    if wavelength is None:
        notes.append(
            "the file says neither photon_energy nor wavelength: beam.wavelength_angstrom has its "
            "default"
        )
    coffsets = [geom.number(values, "coffset", 0.0) for values in geom.panels.values()]
    clen_m = None
    if beamline.camera_length_m is not None:
        clen_m = beamline.camera_length_m - math.fsum(coffsets) / len(coffsets)
    worst = 0.0
    panels = []
    for name, values in geom.panels.items():
        panel, moved = _panel(geom, name, values, wavelength, clen_m)
        panels.append(panel)
        worst = max(worst, moved)
    if worst > 1e-6:
        notes.append(
            "the vectors fs and ss are not equally long, so the pixels are not quite square: as "
            f"squares they lie up to {1000.0 * worst:.2g} um from where the file has them"
        )
    unused = [name for name, values in geom.panels.items() if _is_on(values.get("no_index"))]
    if unused:
        notes.append(f"no_index of {len(unused)} panels is not used: they are simulated, too")
    return [
        ExperimentContent(
            wavelength_angstrom=wavelength,
            beam=to_simulator("crystfel", (0.0, 0.0, 1.0)),
            panels=tuple(panels),
            notes=tuple(notes),
        )
    ]


def places_of_panels(
    path: str | os.PathLike[str], text: str, *, first_line: int = 1
) -> dict[str, tuple[int, float, float]]:
    """By a panel's name its number, and fs and ss of its first pixel in the array of all data.

    Raises `FileFormatError`.
    """
    geom = _Geom(path, text, first_line)
    return {
        name: (
            number,
            geom.number(values, "min_fs", None, f"panel {name}"),
            geom.number(values, "min_ss", None, f"panel {name}"),
        )
        for number, (name, values) in enumerate(geom.panels.items())
    }


def _is_on(value: _Value | None) -> bool:
    return value is not None and _number(value.text) not in (None, 0.0)


def _wavelength(geom: _Geom, beamline: Beamline) -> float | None:
    if "electron_voltage" in geom.top:
        geom.refuse("electron_voltage", geom.top["electron_voltage"], "X-rays: photon_energy")
    for name in ("photon_energy", "wavelength"):
        value = geom.top.get(name)
        if value is None:
            continue
        found = _number(value.text)
        if found is None and beamline.wavelength_angstrom is not None:
            return beamline.wavelength_angstrom
        if found is None:
            rule = "a number: a place in the data file is not looked up, so put its value here"
            geom.refuse(name, value, rule)
        if not found > 0.0:
            geom.refuse(name, value, "a number > 0")
        if name == "photon_energy":
            return EV_ANGSTROM / found
        in_metres = len(value.text.split()) == 2 and value.text.split()[1].lower() == "m"
        return found * 1e10 if in_metres else found
    return beamline.wavelength_angstrom


def _panel(
    geom: _Geom,
    name: str,
    values: Mapping[str, _Value],
    wavelength: float | None,
    clen_m: float | None,
) -> tuple[PanelContent, float]:
    """The panel, and how far square pixels move its far corner, mm."""
    where = f"panel {name}"
    res = geom.number(values, "res", None, where)
    if not res > 0.0:
        geom.refuse(f"{name}/res", values["res"], "a number of pixels in a metre, > 0")
    bounds = {}
    for key in ("min_fs", "max_fs", "min_ss", "max_ss"):
        number = geom.number(values, key, None, where)
        if number != int(number) or not 0 <= number <= _LARGEST:
            geom.refuse(f"{name}/{key}", values[key], "a whole number >= 0")
        bounds[key] = int(number)
    for axis in ("fs", "ss"):
        if bounds[f"min_{axis}"] > bounds[f"max_{axis}"]:
            geom.refuse(f"{name}/max_{axis}", values[f"max_{axis}"], f"at least min_{axis}")
    n_fast = bounds["max_fs"] - bounds["min_fs"] + 1
    n_slow = bounds["max_ss"] - bounds["min_ss"] + 1
    has_clen = "clen" in values and _number(values["clen"].text) is not None
    if clen_m is not None and not has_clen:
        clen = clen_m
    else:
        clen = geom.number(values, "clen", None, where)
    along = clen + geom.number(values, "coffset", 0.0)
    corner = (
        geom.number(values, "corner_x", None, where) / res * 1000.0,
        geom.number(values, "corner_y", None, where) / res * 1000.0,
        along * 1000.0,
    )
    fast, slow = (_axis(geom, name, axis, values) for axis in ("fs", "ss"))
    pixel_fast, pixel_slow = (length(axis) / res * 1000.0 for axis in (fast, slow))
    if not abs(dot(unit(fast), unit(slow))) < 1e-2:
        geom.refuse(f"{name}/ss", values["ss"], "a direction perpendicular to fs")
    moved = 0.0
    if abs(pixel_fast - pixel_slow) <= 1e-4 * pixel_fast:
        moved = 0.5 * abs(pixel_fast - pixel_slow) * math.hypot(n_fast, n_slow)
        pixel_fast = pixel_slow = 0.5 * (pixel_fast + pixel_slow)
    gain = None
    if "adu_per_photon" in values:
        gain = geom.number(values, "adu_per_photon")
    elif "adu_per_eV" in values and wavelength is not None:
        gain = geom.number(values, "adu_per_eV") * EV_ANGSTROM / wavelength
    highest = geom.number(values, "max_adu", math.inf)
    panel = PanelContent(
        name=name,
        origin_mm=to_simulator("crystfel", corner),
        fast_axis=to_simulator("crystfel", unit(fast)),
        slow_axis=to_simulator("crystfel", unit(slow)),
        n_fast=n_fast,
        n_slow=n_slow,
        pixel_mm=(pixel_fast, pixel_slow),
        trusted_range=(-1e300, highest) if highest < math.inf else None,
        gain=gain if gain is not None and gain > 0.0 else None,
        mask=_mask(geom, name, bounds, corner, (fast, slow), res),
    )
    return panel, moved


def _axis(geom: _Geom, panel: str, axis: str, values: Mapping[str, _Value]) -> Vector:
    """The vector that a text like ``+0.01x -1.0y`` gives."""
    value = values.get(axis)
    if value is None:
        raise FileFormatError(geom.path, 0, f"panel {panel} has no {axis}")
    parts = {"x": 0.0, "y": 0.0, "z": 0.0}
    at = 0
    while at < len(value.text):
        match = _AXIS_TERM.match(value.text, at)
        if match is None or (at > 0 and not match[1]):
            geom.refuse(f"{panel}/{axis}", value, "a vector like +0.01x -1.0y")
        try:
            size = float(match[2]) if match[2] else 1.0
        except ValueError:
            geom.refuse(f"{panel}/{axis}", value, "a vector like +0.01x -1.0y")
        parts[match[3]] += -size if match[1] == "-" else size
        at = match.end()
    vector = (parts["x"], parts["y"], parts["z"])
    if not 1e-9 < length(vector) < 1e9:
        geom.refuse(f"{panel}/{axis}", value, "a vector that is not 0")
    return vector


def _mask(
    geom: _Geom,
    panel: str,
    bounds: Mapping[str, int],
    corner_mm: Vector,
    axes: tuple[Vector, Vector],
    res: float,
) -> NDArray[np.bool_] | None:
    """The bad regions that lie on a panel."""
    n_fast = bounds["max_fs"] - bounds["min_fs"] + 1
    n_slow = bounds["max_ss"] - bounds["min_ss"] + 1
    mask: NDArray[np.bool_] | None = None
    for name, region in geom.bad.items():
        if "panel" in region and region["panel"].text != panel:
            continue
        in_pixels = [key for key in ("min_fs", "max_fs", "min_ss", "max_ss") if key in region]
        in_space = [key for key in ("min_x", "max_x", "min_y", "max_y") if key in region]
        if bool(in_pixels) == bool(in_space) or len(in_pixels or in_space) != 4:
            where = next(iter(region.values()))
            rule = "min and max of fs and ss, or of x and y"
            raise FileFormatError(geom.path, where.line, f"{name}: need {rule}")
        limits = [geom.number(region, key) for key in in_pixels or in_space]
        import numpy as np

        if mask is None:
            require_memory({"mask of a panel": n_fast * n_slow})
            mask = np.ones((n_slow, n_fast), dtype=np.bool_)
        if in_pixels:
            for key, limit in zip(in_pixels, limits, strict=True):
                if not limit.is_integer():
                    geom.refuse(f"{name}/{key}", region[key], "a whole number")
            fast, fast_end = (int(limit) - bounds["min_fs"] for limit in limits[:2])
            slow, slow_end = (int(limit) - bounds["min_ss"] for limit in limits[2:])
            mask[max(slow, 0) : max(slow_end + 1, 0), max(fast, 0) : max(fast_end + 1, 0)] = False
            continue
        require_memory({"positions of the pixels of a panel": 24 * n_fast * n_slow})
        steps = np.arange(n_fast)[np.newaxis, :], np.arange(n_slow)[:, np.newaxis]
        x, y = (
            corner_mm[i] * res / 1000.0 + steps[0] * axes[0][i] + steps[1] * axes[1][i]
            for i in range(2)
        )
        mask &= ~((x >= limits[0]) & (x <= limits[1]) & (y >= limits[2]) & (y <= limits[3]))
    return mask


# ---- writing


def geom_of(content: ExperimentContent) -> str:
    """A geometry file; of the data in a file it says that panels lie one below the other."""
    if abs(dot(content.beam or (1.0, 0.0, 0.0), (1.0, 0.0, 0.0)) - 1.0) > 1e-12:
        raise UnsupportedError(
            "a CrystFEL geometry has its beam along its z axis: this experiment's beam is along "
            f"{content.beam}, not 1 0 0"
        )
    lines = ["; the geometry of a simulated experiment"]
    if content.wavelength_angstrom is not None:
        lines.append(f"photon_energy = {EV_ANGSTROM / content.wavelength_angstrom!r} eV")
    lines += ["clen = 0.0 m", ""]
    below = 0
    taken: set[str] = set()
    for panel in content.panels:
        name = re.sub(r"[^A-Za-z0-9_]", "_", panel.name) or f"p{below}"
        if name.startswith(("bad", *_GROUPS)) or name in taken:
            name = f"p{below}_{name}"
        taken.add(name)
        res = 1000.0 / panel.pixel_mm[0]
        x, y, z = from_simulator("crystfel", panel.origin_mm)
        entries: list[tuple[str, object]] = [
            ("min_fs", 0),
            ("max_fs", panel.n_fast - 1),
            ("min_ss", below),
            ("max_ss", below + panel.n_slow - 1),
            ("res", repr(res)),
            ("corner_x", repr(x / panel.pixel_mm[0])),
            ("corner_y", repr(y / panel.pixel_mm[0])),
            ("coffset", repr(z / 1000.0)),
            ("fs", _terms(panel.fast_axis)),
            ("ss", _terms(panel.slow_axis, panel.pixel_mm[1] / panel.pixel_mm[0])),
        ]
        if panel.trusted_range is not None:
            entries.append(("max_adu", repr(panel.trusted_range[1])))
        if panel.gain is not None:
            entries.append(("adu_per_photon", repr(panel.gain)))
        lines += [f"{name}/{key} = {value}" for key, value in entries]
        for number, (fast, fast_end, slow, slow_end) in enumerate(rectangles_of(panel.mask)):
            region = f"bad{number}_{name}"
            lines += [
                f"{region}/panel = {name}",
                f"{region}/min_fs = {fast}",
                f"{region}/max_fs = {fast_end - 1}",
                f"{region}/min_ss = {slow + below}",
                f"{region}/max_ss = {slow_end - 1 + below}",
            ]
        lines.append("")
        below += panel.n_slow
    return "\n".join(lines)


def _terms(vector: Vector, length: float = 1.0) -> str:
    """A direction with a length, in the pixels of res."""
    return " ".join(
        f"{number * length:+.17g}{axis}"
        for number, axis in zip(from_simulator("crystfel", vector), "xyz", strict=True)
    )
