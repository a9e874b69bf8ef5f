"""Experiments as files of other programs: where everything ended up, as the C engine's plan has it.

A plan knows what conventions, quirks, rotations and missettings make of an experiment (model 3, 4),
so what is written is the geometry that is rendered.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable
from typing import Final, Literal, get_args

from nanobragg_hybrid.base.atomic import check_path
from nanobragg_hybrid.base.errors import ConfigError, NanobraggWarning, UnsupportedError
from nanobragg_hybrid.base.units import m_to_angstrom, m_to_mm, rad_to_deg
from nanobragg_hybrid.engines.c.engine import CEngine
from nanobragg_hybrid.formats.geometry.content import (
    ExperimentContent,
    PanelContent,
    ScanContent,
)
from nanobragg_hybrid.formats.geometry.crystfel_geom import geom_of
from nanobragg_hybrid.formats.geometry.dials import expt_of
from nanobragg_hybrid.formats.geometry.frames import to_simulator
from nanobragg_hybrid.formats.geometry.vectors import Rows, Vector, applied, reciprocal, rotation
from nanobragg_hybrid.formats.geometry.xds import xds_inp_of
from nanobragg_hybrid.formats.text import write_text
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.pixel_size import edges_mm
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import require_class

GeometryFormat = Literal["dials", "xds", "crystfel"]
_MOST_IMAGES: Final = 10**6
GEOMETRY_FORMATS: Final[tuple[GeometryFormat, ...]] = get_args(GeometryFormat)

_ENDINGS: Final[dict[str, GeometryFormat]] = {
    ".expt": "dials",
    "xds.inp": "xds",
    ".geom": "crystfel",
}
_NOT_HELD: Final[dict[GeometryFormat, tuple[str, ...]]] = {
    "dials": (),
    "xds": (),
    "crystfel": ("crystal", "scan", "polarization"),
}
"""What a format has no place for."""


def write_experiment(
    path: str | os.PathLike[str] | Experiment,
    experiment: Experiment | str | os.PathLike[str],
    *,
    format: GeometryFormat | None = None,  # noqa: A002 (what everybody calls it)
    quirks: Quirks | None = None,
    images: int = 1,
    template: str | None = None,
) -> None:
    """Writes beam, panels, rotation and crystal for another program.

    format: "dials" (an experiment list), "xds" (XDS.INP; several panels are segments) or "crystfel"
    (a geometry file, without crystal and rotation); None: by the name's end, ``.expt``,
    ``XDS.INP``, ``.geom``.  quirks: what the experiment is rendered with; all on if None.
    images: how many images the scan has, each as wide as the oscillation, of which the experiment
    is the first.  template: the names of their files, with a # for each digit of their numbers, as
    ``frame_###.img``.

    An experiment of a convention whose beam is along z (XDS, ADXV, DIALS; model 3) is turned as a
    whole, so that its beam is along the program's own.  An oscillation is written as a scan of one
    image; without one the crystal is written as it stands, turned by ``goniometer.phi_deg``.  Read
    back, vectors agree to rounding (1e-15 of them).

    The experiment first and then the path is an order of earlier versions, which is still taken.

    Warns (`NanobraggWarning`) of what such a file cannot hold, and (`DeprecationWarning`) of the
    order of earlier versions.  Raises `ConfigError` for another format or a name that says none,
    and for several images without an oscillation, `UnsupportedError` for a curved detector and for
    what the format has no words for, `FileAccessError`, and what the engine raises for an
    experiment that cannot be rendered.
    """
    if isinstance(path, Experiment) and isinstance(experiment, str | os.PathLike):
        text = "write_experiment(experiment, path): the path comes first now, as in all writers"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        path, experiment = experiment, path
    require_class("experiment", experiment, Experiment)
    check_path(path)
    assert isinstance(experiment, Experiment)
    assert not isinstance(path, Experiment)
    chosen = _format(path, format)
    content = _series(content_of(experiment, quirks_or_all(quirks)), chosen, images, template)
    if chosen == "dials":
        text = json.dumps(expt_of(content), indent=2) + "\n"
    elif chosen == "xds":
        text = xds_inp_of(content)
    else:
        text = geom_of(content)
    for note in (*_lacking(content, chosen), *content.notes):
        warnings.warn(f"{os.fspath(path)}: {note}", NanobraggWarning, stacklevel=2)
    write_text(path, text)


def _series(
    content: ExperimentContent, chosen: GeometryFormat, images: int, template: str | None
) -> ExperimentContent:
    """The content with a scan of so many images, and the names of their files."""
    if type(images) is not int or not 1 <= images <= _MOST_IMAGES:
        raise ConfigError("images", images, f"an integer 1 to {_MOST_IMAGES}")
    if images > 1 and (content.scan is None or chosen == "crystfel"):
        raise ConfigError("images", images, "1 without an oscillation (goniometer.osc_deg)")
    if template is not None:
        given: object = template
        if not isinstance(given, str) or "#" not in given or not given.isprintable():
            raise ConfigError("template", template, "a name with a # for each digit of a number")
        if chosen == "crystfel":
            raise ConfigError("template", template, "None: a CrystFEL geometry names no images")
        content = content._replace(template=template)
    if content.scan is not None:
        content = content._replace(scan=content.scan._replace(images=images))
    return content


def _lacking(content: ExperimentContent, chosen: GeometryFormat) -> list[str]:
    """What of a content the format has no place for."""
    lacking = [
        f"has no place for the {name}, which is not written"
        for name in _NOT_HELD[chosen]
        if getattr(content, name) is not None
    ]
    sensors = {
        (panel.thickness_um, panel.attenuation_depth_um if panel.thickness_um > 0.0 else None)
        for panel in content.panels
    }
    if chosen == "crystfel" and any(thickness > 0.0 for thickness, _ in sensors):
        lacking.append("has no place for the sensor, which is not written")
    if chosen == "xds" and len(sensors) > 1:
        lacking.append("has one sensor for all panels: that of the first is written")
    ranges = {panel.trusted_range for panel in content.panels}
    if chosen == "xds" and len(ranges) > 1:
        lacking.append("has one range of counts for all panels: that of the first is written")
    return lacking


def _format(path: str | os.PathLike[str], given: object) -> GeometryFormat:
    if given is not None:
        for known in GEOMETRY_FORMATS:
            if known == given:
                return known
        raise ConfigError("format", given, f"one of {', '.join(GEOMETRY_FORMATS)}")
    name = os.fspath(path).lower()
    for ending, of_ending in _ENDINGS.items():
        if name.endswith(ending):
            return of_ending
    raise ConfigError("path", os.fspath(path), f"a name that ends in {', '.join(_ENDINGS)}")


def content_of(experiment: Experiment, quirks: Quirks) -> ExperimentContent:
    """What is rendered for an experiment, in the frame whose beam is nearest to x."""
    return content_and_plans(experiment, quirks)[0]


def content_and_plans(
    experiment: Experiment, quirks: Quirks
) -> tuple[ExperimentContent, list[ResolvedPlan]]:
    """The same, and the plan of each panel."""
    crystal = experiment.crystal
    has_crystal = crystal.cell_angstrom is not None or crystal.orientation_matrix is not None
    if not has_crystal:
        experiment = experiment.replace({"crystal": Crystal(cell_angstrom=(100.0, 100.0, 100.0))})
    panels = []
    plans = []
    for number in range(len(experiment.detector.shapes)):
        of_panel = experiment.of_panel(number, quirks)
        if of_panel.detector.curved:
            raise UnsupportedError("detector.curved: no geometry file can say that")
        plan = CEngine().prepare(of_panel, StructureFactors.constant(0.0), quirks).plan
        panels.append(_panel(experiment, number, of_panel, plan))
        plans.append(plan)
    plan = plans[0]
    beam = experiment.beam
    notes = []
    place = _frame(plan)
    if beam.sources is not None or plan.source_count > 1:
        notes.append("the beam is written as one direction and one wavelength")
    if not beam.polarization_correction:
        notes.append("that there is no polarization factor cannot be written")
    content = ExperimentContent(
        wavelength_angstrom=beam.wavelength_angstrom,
        beam=place(plan.beam_direction),
        polarization=(place(plan.polarization_axis), beam.polarization_kahn),
        panels=tuple(
            panel._replace(
                origin_mm=place(panel.origin_mm),
                fast_axis=place(panel.fast_axis),
                slow_axis=place(panel.slow_axis),
            )
            for panel in panels
        ),
        scan=_scan(experiment, plan, place),
        crystal=_crystal(plan, place) if has_crystal else None,
        notes=tuple(notes),
    )
    return content, plans


def _panel(
    experiment: Experiment, number: int, of_panel: Experiment, plan: ResolvedPlan
) -> PanelContent:
    detector = experiment.detector
    panel = None if detector.panels is None else detector.panels[number]
    x, y, z = (m_to_mm(value) for value in plan.pix0_m)
    origin, fast, slow = (x, y, z), plan.fast_axis, plan.slow_axis
    if panel is not None and not any(detector.rotation_deg) and detector.twotheta_deg == 0.0:
        origin, fast, slow = panel.origin_mm, panel.fast_axis, panel.slow_axis
    alone = of_panel.detector
    depth_um = alone.sensor_attenuation_depth_um
    output = experiment.output
    gain = output.intensity_scale
    trusted = None if panel is None else panel.trusted_range
    if trusted is not None:
        low, high = (limit * (gain or 1.0) + output.adc_offset for limit in trusted)
        trusted = low, high
    return PanelContent(
        name="" if panel is None else panel.name,
        origin_mm=origin,
        fast_axis=fast,
        slow_axis=slow,
        n_fast=plan.n_fast,
        n_slow=plan.n_slow,
        pixel_mm=edges_mm(alone.pixel_size_mm),
        thickness_um=alone.sensor_thickness_um or 0.0,
        attenuation_depth_um=alone.sensor_thickness_um if depth_um is None else depth_um,
        trusted_range=trusted,
        pedestal=output.adc_offset,
        gain=gain,
        mask=None if alone.mask is None else alone.mask.values,
    )


def _frame(plan: ResolvedPlan) -> Callable[[Vector], Vector]:
    """What turns vectors of a convention whose beam is along z into the frame of MOSFLM's."""
    x, _, z = plan.beam_direction
    if z > abs(x):
        return lambda vector: to_simulator("xds", vector)
    return lambda vector: vector


def _scan(
    experiment: Experiment, plan: ResolvedPlan, place: Callable[[Vector], Vector]
) -> ScanContent | None:
    if plan.osc_rad == 0.0:
        return None
    goniometer = experiment.goniometer
    width = rad_to_deg(plan.osc_rad) if goniometer.osc_deg is None else goniometer.osc_deg
    return ScanContent(place(plan.spindle_axis), goniometer.phi_deg, width)


def _crystal(plan: ResolvedPlan, place: Callable[[Vector], Vector]) -> Rows:
    """a*, b*, c* at an angle of 0; of a still, where they are (model 4.4, 5.3)."""
    axes = []
    turn = rotation(plan.spindle_axis, rad_to_deg(plan.phi_rad) if plan.osc_rad == 0.0 else 0.0)
    for vector in (plan.a0_m, plan.b0_m, plan.c0_m):
        x, y, z = (m_to_angstrom(value) for value in vector)
        axes.append(place(applied(turn, (x, y, z))))
    rows = reciprocal(*axes)
    if rows is None:
        raise ConfigError("crystal", math.nan, "axes that do not lie in a plane")
    return rows
