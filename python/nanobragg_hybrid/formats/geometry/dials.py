"""DIALS experiment lists (`.expt`): plain JSON, read and written without DIALS.

A list has beams, detectors, goniometers, scans and crystals, and experiments that name one of each
by number.  Vectors are in DIALS' laboratory frame.  The reciprocal vectors of a crystal at an angle
phi are S R(axis, phi) F A (S: setting rotation, F: fixed rotation, A: inverse of the real-space
vectors), so that here the crystal is S F A and the spindle S axis.  Of a goniometer of several axes
the one that turns is named; those before it, which are nearer to the crystal, make F, those after
it S.  An experiment without goniometer, scan or width of a scan is a still, whose crystal is A.

A detector may be a tree of groups: the axes and the origin of a panel or a group are in the frame
of the group it is in, which is made of that group's fast axis, slow axis and their cross product.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from nanobragg_hybrid.base.errors import FileFormatError
from nanobragg_hybrid.formats.geometry.content import (
    ExperimentContent,
    PanelContent,
    ScanContent,
)
from nanobragg_hybrid.formats.geometry.frames import from_simulator, to_simulator
from nanobragg_hybrid.formats.geometry.json_values import Place
from nanobragg_hybrid.formats.geometry.masks import mask_without, rectangles_of
from nanobragg_hybrid.formats.geometry.vectors import (
    UNIT_ROWS,
    Rows,
    Vector,
    applied,
    cross,
    dot,
    is_rotation,
    length,
    plus,
    product,
    reciprocal,
    rotation,
    times,
    transposed,
    unit,
)

LIST_ID: Final = "ExperimentList"

PARTS: Final = ("beam", "detector", "goniometer", "scan", "crystal")
_DEEPEST: Final = 50


class _Frame(NamedTuple):
    """The frame of a group of panels in the laboratory: columns fast, slow, normal, and origin."""

    columns: Rows
    origin: Vector

    def direction(self, local: Vector) -> Vector:
        return applied(transposed(self.columns), local)

    def position(self, local: Vector) -> Vector:
        return plus(self.origin, self.direction(local))


_LABORATORY: Final = _Frame(UNIT_ROWS, (0.0, 0.0, 0.0))


def contents_of_expt(path: str | os.PathLike[str], data: Any) -> list[ExperimentContent]:
    """What the data of an experiment list says of each of its experiments.

    Raises `FileFormatError` naming the place in the data.
    """
    whole = Place(path, "", data)
    if whole.data.get("__id__") != LIST_ID:
        whole.refuse("__id__", whole.data.get("__id__"), f"{LIST_ID!r}")
    experiments = whole.places("experiment")
    if not experiments:
        raise FileFormatError(path, 0, "has no experiment")
    read = {name: _Once(path, name, whole.items(name)) for name in (*PARTS, "imageset")}
    return [_experiment(place, read) for place in experiments]


class _Once:
    """The models of a kind, of which experiments name the number."""

    def __init__(self, path: str | os.PathLike[str], name: str, items: list[Any]) -> None:
        self._path, self._name, self._items = path, name, items
        self._panels: dict[int, tuple[PanelContent, ...]] = {}

    def of(self, experiment: Place) -> Place | None:
        """The model that an experiment names; None if it names none."""
        if self._name not in experiment:
            return None
        number = experiment.integer(self._name, 0)
        if number >= len(self._items):
            rule = f"the number of one of {len(self._items)}, from 0"
            experiment.refuse(self._name, number, rule)
        if self._items[number] is None:
            return None
        return Place(self._path, f"{self._name}[{number}]", self._items[number])

    def panels_of(self, experiment: Place) -> tuple[PanelContent, ...]:
        """The panels of the detector; read once, however many experiments share it."""
        place = self.of(experiment)
        if place is None:
            return ()
        number = experiment.data[self._name]
        if number not in self._panels:
            self._panels[number] = _panels(place)
        return self._panels[number]


def _experiment(place: Place, read: Mapping[str, _Once]) -> ExperimentContent:
    notes: list[str] = []
    imageset = read["imageset"].of(place)
    for name in ("mask", "gain", "pedestal", "dx", "dy"):
        if imageset is not None and imageset.data.get(name):
            notes.append(f"{imageset.where}.{name} is not read")
    beam = read["beam"].of(place)
    goniometer, scan = read["goniometer"].of(place), read["scan"].of(place)
    crystal = read["crystal"].of(place)
    fields: dict[str, Any] = {"panels": read["detector"].panels_of(place)}
    if beam is not None:
        fields.update(_beam(beam, notes))
    series = None if scan is None or goniometer is None else _scan(scan)
    fixed = setting = UNIT_ROWS
    if goniometer is not None and series is not None:
        axis, fixed, setting = _goniometer(goniometer, notes)
        fields["scan"] = series._replace(axis=to_simulator("dials", applied(setting, axis)))
    fields["is_still"] = crystal is not None and series is None
    if crystal is not None:
        turn = product(setting, fixed)
        fields["crystal"] = _turned(turn, _reciprocal(crystal))
        fields["crystal_of_image"] = _varying(crystal, turn, series, notes)
        for name in ("mosaicity", "ML_half_mosaicity_deg"):
            if crystal.data.get(name):
                notes.append(
                    f"{crystal.where}.{name} is not used: crystal.mosaic_spread_deg is its place"
                )
    return ExperimentContent(**fields, notes=tuple(notes))


def _beam(place: Place, notes: list[str]) -> dict[str, Any]:
    kind = place.text("__id__", "monochromatic")
    if kind != "monochromatic":
        place.refuse("__id__", kind, "'monochromatic', the only beam with one wavelength")
    wavelength = place.number("wavelength")
    if not wavelength > 0.0:
        place.refuse("wavelength", wavelength, "a wavelength > 0")
    to_source = place.direction("direction")
    fields: dict[str, Any] = {
        "wavelength_angstrom": wavelength,
        "beam": to_simulator("dials", times(-1.0, unit(to_source))),
    }
    if "polarization_normal" in place and "polarization_fraction" in place:
        electric = cross(unit(place.direction("polarization_normal")), unit(to_source))
        if length(electric) < 1e-6:
            normal = list(place.vector("polarization_normal"))
            place.refuse("polarization_normal", normal, "a direction that is not the beam's")
        kahn = 2.0 * place.number("polarization_fraction") - 1.0
        fields["polarization"] = to_simulator("dials", unit(electric)), kahn
    if place.data.get("s0_at_scan_points"):
        notes.append(f"{place.where}: the beam varies during the scan: its mean is used")
    if place.data.get("flux"):
        notes.append(
            f"{place.where}.flux is not used: beam.flux_photons_per_s and beam_size_mm are its "
            "place"
        )
    if place.text("probe", "x-ray") not in ("x-ray", "xray"):
        notes.append(f"{place.where}.probe {place.text('probe')!r} is simulated as X-rays")
    return fields


def _scan(place: Place) -> ScanContent | None:
    """The scan, about an axis to be filled in; None if nothing turns."""
    properties = place.data.get("properties")
    of_images = Place(place.path, f"{place.where}.properties", properties or {})
    if not of_images.items("oscillation") and "oscillation" not in place:
        return None
    first, last = _image_range(place)
    count = last - first + 1
    if "oscillation" in of_images:
        starts = of_images.items("oscillation")
        here = Place(place.path, of_images.where, {"oscillation": starts[:1] + starts[-1:]})
        start, end = here.numbers("oscillation", 2)
        if "oscillation_width" in of_images:
            width = Place(
                place.path,
                of_images.where,
                {"oscillation_width": of_images.items("oscillation_width")[:1]},
            ).numbers("oscillation_width", 1)[0]
        elif len(starts) == count or start == 0.0:
            width = (end - start) / max(len(starts) - 1, 1)
        else:
            rule = f"{count}, the start of each image, or oscillation_width beside it"
            of_images.refuse("oscillation", f"{len(starts)} angles", rule)
    else:
        start, width = place.numbers("oscillation", 2)
    if width == 0.0:
        return None
    axis = (1.0, 0.0, 0.0)
    if width < 0.0:  # an exposure has no direction: from its end to its start
        start, width = start + width, -width
        if count > 1:
            place.refuse("oscillation", [start + width, -width], "a width > 0")
    return ScanContent(axis, start, width, first, count)


def _image_range(place: Place) -> tuple[int, int]:
    value = place.data.get("image_range")
    if (
        not isinstance(value, list)
        or len(value) != 2
        or not all(type(n) is int and abs(n) < 2**31 for n in value)
        or value[0] > value[1]
    ):
        place.refuse("image_range", value, "two whole numbers, the second not below the first")
    first, last = value
    return first, last


def _goniometer(place: Place, notes: list[str]) -> tuple[Vector, Rows, Rows]:
    """The axis that turns, the fixed rotation and the setting rotation."""
    if "setting_rotation_at_scan_points" in place and place.items(
        "setting_rotation_at_scan_points"
    ):
        notes.append(f"{place.where}: the goniometer's setting varies: its mean is used")
    if "axes" not in place:
        return (
            unit(place.direction("rotation_axis")),
            _rotation(place, "fixed_rotation"),
            _rotation(place, "setting_rotation"),
        )
    count = len(place.items("axes"))
    angles = place.numbers("angles", count)
    at = place.integer("scan_axis", 0, count - 1)
    axes = [
        Place(place.path, place.where, {f"axes[{n}]": axis}).direction(f"axes[{n}]")
        for n, axis in enumerate(place.items("axes"))
    ]
    turns = [rotation(axis, angle) for axis, angle in zip(axes, angles, strict=True)]
    return unit(axes[at]), product(*reversed(turns[:at])), product(*reversed(turns[at + 1 :]))


def _rotation(place: Place, key: str) -> Rows:
    if key not in place:
        return UNIT_ROWS
    n = place.numbers(key, 9)
    rows = ((n[0], n[1], n[2]), (n[3], n[4], n[5]), (n[6], n[7], n[8]))
    if not is_rotation(rows):
        place.refuse(key, n, "a rotation, row by row")
    return rows


def _reciprocal(place: Place) -> Rows:
    rows = reciprocal(*(place.vector(f"real_space_{axis}") for axis in "abc"))
    if rows is None:
        value = [place.vector(f"real_space_{axis}") for axis in "abc"]
        place.refuse("real_space_a, b, c", value, "three vectors that do not lie in a plane")
    return rows


def _turned(turn: Rows, axes: Rows) -> Rows:
    x, y, z = (to_simulator("dials", applied(turn, axis)) for axis in axes)
    return x, y, z


def _varying(
    place: Place, turn: Rows, series: ScanContent | None, notes: list[str]
) -> tuple[Rows, ...]:
    """The crystal of each image, where it varies during the scan."""
    points = place.items("A_at_scan_points")
    if not points or series is None:
        return ()
    if len(points) != series.images + 1:
        rule = f"{series.images + 1} matrices, one more than images"
        place.refuse("A_at_scan_points", f"{len(points)} matrices", rule)
    notes.append(
        f"{place.where}: the crystal varies during the scan: it is as at the start of the image"
    )
    result = []
    for number, point in enumerate(points[:-1]):
        key = f"A_at_scan_points[{number}]"
        n = Place(place.path, place.where, {key: point}).numbers(key, 9)
        columns = transposed(((n[0], n[1], n[2]), (n[3], n[4], n[5]), (n[6], n[7], n[8])))
        result.append(_turned(turn, columns))
    return tuple(result)


def _panels(place: Place) -> tuple[PanelContent, ...]:
    panels = place.places("panels")
    frames = [_LABORATORY] * len(panels)
    if "hierarchy" in place:
        root = Place(place.path, f"{place.where}.hierarchy", place.data["hierarchy"])
        for number, frame in _leaves(root, _LABORATORY, len(panels)):
            frames[number] = frame
    return tuple(_panel(panel, frame) for panel, frame in zip(panels, frames, strict=True))


def _leaves(
    group: Place, outer: _Frame, panels: int, depth: int = 0
) -> Iterator[tuple[int, _Frame]]:
    """The number of each panel of a group, and the frame that its vectors are in."""
    if depth > _DEEPEST:
        group.refuse("children", "deeper groups", f"at most {_DEEPEST} groups in each other")
    frame = outer
    if "fast_axis" in group:
        fast, slow = _axes(group)
        fast, slow = outer.direction(fast), outer.direction(slow)
        origin = group.vector("origin")
        frame = _Frame((fast, slow, cross(fast, slow)), outer.position(origin))
    for child in group.places("children"):
        if "panel" in child:
            yield child.integer("panel", 0, panels - 1), frame
        else:
            yield from _leaves(child, frame, panels, depth + 1)


def _axes(place: Place) -> tuple[Vector, Vector]:
    fast, slow = unit(place.direction("fast_axis")), unit(place.direction("slow_axis"))
    if not abs(dot(fast, slow)) < 1e-2:
        place.refuse("slow_axis", place.data["slow_axis"], "a direction perpendicular to fast_axis")
    return fast, slow


def _panel(place: Place, frame: _Frame) -> PanelContent:
    fast, slow = _axes(place)
    rule = "two whole numbers >= 1"
    n_fast, n_slow = place.whole_numbers("image_size", 2, rule)
    if not (0 < n_fast < 2**31 and 0 < n_slow < 2**31):
        place.refuse("image_size", [n_fast, n_slow], rule)
    pixel_fast, pixel_slow = place.numbers("pixel_size", 2)
    thickness_mm, mu_per_mm = place.number("thickness", 0.0), place.number("mu", 0.0)
    if thickness_mm < 0.0 or mu_per_mm < 0.0:
        name, value = min(("thickness", thickness_mm), ("mu", mu_per_mm), key=lambda pair: pair[1])
        place.refuse(name, value, "a number >= 0")
    trusted = place.numbers("trusted_range", 2, finite=False) if "trusted_range" in place else None
    gain = place.number("gain", 1.0)
    if not gain > 0.0:
        place.refuse("gain", gain, "a number > 0")
    boxes = [
        Place(place.path, place.where, {f"mask[{n}]": box}).whole_numbers(
            f"mask[{n}]", 4, "4 whole numbers"
        )
        for n, box in enumerate(place.items("mask"))
    ]
    return PanelContent(
        name=place.text("name"),
        origin_mm=to_simulator("dials", frame.position(place.vector("origin"))),
        fast_axis=to_simulator("dials", frame.direction(fast)),
        slow_axis=to_simulator("dials", frame.direction(slow)),
        n_fast=n_fast,
        n_slow=n_slow,
        pixel_mm=(pixel_fast, pixel_slow),
        thickness_um=1000.0 * thickness_mm,
        attenuation_depth_um=1000.0 / mu_per_mm if mu_per_mm > 0.0 else math.inf,
        trusted_range=None if trusted is None else (trusted[0], trusted[1]),
        pedestal=place.number("pedestal", 0.0),
        gain=gain,
        mask=mask_without(
            ((fast0, fast1, slow0, slow1) for fast0, slow0, fast1, slow1 in boxes), n_fast, n_slow
        ),
    )


# ---- writing


def expt_of(content: ExperimentContent, identifier: str = "") -> dict[str, Any]:
    """The data of an experiment list with one experiment, whose detector is flat."""
    models: dict[str, list[dict[str, Any]]] = {name: [] for name in PARTS}
    models["beam"].append(_beam_out(content))
    models["detector"].append(_detector_out(content))
    if content.scan is not None:
        scan = content.scan
        models["goniometer"].append(
            {
                "rotation_axis": _out(scan.axis),
                "fixed_rotation": [x for row in UNIT_ROWS for x in row],
                "setting_rotation": [x for row in UNIT_ROWS for x in row],
            }
        )
        models["scan"].append(
            {
                "image_range": [scan.first_image, scan.first_image + scan.images - 1],
                "batch_offset": 0,
                "oscillation": [scan.start_deg, scan.width_deg],
                "exposure_time": [0.0] * scan.images,
                "epochs": [0.0] * scan.images,
            }
        )
    if content.crystal is not None:
        real = reciprocal(*content.crystal)
        if real is None:
            raise ValueError("reciprocal vectors in a plane")
        models["crystal"].append(
            {
                "__id__": "crystal",
                **{f"real_space_{n}": _out(v) for n, v in zip("abc", real, strict=True)},
                "space_group_hall_symbol": " P 1",
                **_scan_points(content.crystal_of_image),
            }
        )
    imagesets = []
    if content.template:
        imagesets = [{"__id__": "ImageSequence", "template": content.template}]
    models["imageset"] = imagesets
    names = {name: 0 for name in (*PARTS, "imageset") if models[name]}
    experiment = {"__id__": "Experiment", "identifier": identifier, **names}
    return {
        "__id__": LIST_ID,
        "experiment": [experiment],
        **models,
        "profile": [],
        "scaling_model": [],
    }


def _scan_points(crystals: Sequence[Rows]) -> dict[str, Any]:
    """A crystal that varies: a matrix where each image begins, and that of the last at its end."""
    if not crystals:
        return {}
    points = []
    for rows in (*crystals, crystals[-1]):
        x, y, z = (from_simulator("dials", axis) for axis in rows)
        points.append([number for row in transposed((x, y, z)) for number in row])
    return {"A_at_scan_points": points}


def _out(vector: Vector) -> list[float]:
    return list(from_simulator("dials", vector))


def _beam_out(content: ExperimentContent) -> dict[str, Any]:
    travel = content.beam or (1.0, 0.0, 0.0)
    axis, kahn = content.polarization or ((0.0, 0.0, 1.0), 0.0)
    normal = cross(axis, travel)
    if length(normal) < 1e-6:  # no such polarization
        normal, kahn = cross(travel, min(UNIT_ROWS, key=lambda e: abs(dot(e, travel)))), 0.0
    return {
        "__id__": "monochromatic",
        "direction": _out(times(-1.0, travel)),
        "wavelength": content.wavelength_angstrom,
        "divergence": 0.0,
        "sigma_divergence": 0.0,
        "polarization_normal": _out(unit(normal)),
        "polarization_fraction": 0.5 * (1.0 + kahn),
        "flux": 0.0,
        "transmission": 1.0,
    }


def _detector_out(content: ExperimentContent) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "name": "",
        "type": "",
        "fast_axis": [1.0, 0.0, 0.0],
        "slow_axis": [0.0, 1.0, 0.0],
        "origin": [0.0, 0.0, 0.0],
        "raw_image_offset": [0, 0],
        "image_size": [0, 0],
        "pixel_size": [0.0, 0.0],
        "trusted_range": [0.0, 0.0],
        "thickness": 0.0,
        "material": "",
        "mu": 0.0,
        "identifier": "",
        "mask": [],
        "gain": 1.0,
        "pedestal": 0.0,
        "px_mm_strategy": {"type": "SimplePxMmStrategy"},
    }
    panels = []
    for panel in content.panels:
        depth_um = panel.attenuation_depth_um
        has_sensor = panel.thickness_um > 0.0 and depth_um is not None and depth_um < math.inf
        strategy = "ParallaxCorrectedPxMmStrategy" if has_sensor else "SimplePxMmStrategy"
        panels.append(
            {
                **nothing,
                "name": panel.name,
                "type": "SENSOR_PAD",
                "fast_axis": _out(panel.fast_axis),
                "slow_axis": _out(panel.slow_axis),
                "origin": _out(panel.origin_mm),
                "image_size": [panel.n_fast, panel.n_slow],
                "pixel_size": list(panel.pixel_mm),
                "trusted_range": list(panel.trusted_range or (-1.0, 65535.0)),
                "thickness": panel.thickness_um / 1000.0 if has_sensor else 0.0,
                "mu": 1000.0 / depth_um if has_sensor and depth_um else 0.0,
                "mask": [[a, c, b, d] for a, b, c, d in rectangles_of(panel.mask)],
                "gain": panel.gain or 1.0,
                "pedestal": panel.pedestal or 0.0,
                "px_mm_strategy": {"type": strategy},
            }
        )
    children = [{"panel": number} for number in range(len(panels))]
    return {"panels": panels, "hierarchy": {**nothing, "children": children}}
