"""What a geometry file says, in the simulator's frame, and the experiment that it becomes.

Readers make an `ExperimentContent` of what they find and writers write one; `experiment_of` is the
only place where it becomes an `Experiment`.
"""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nanobragg_hybrid.base.errors import (
    ConfigError,
    FileFormatError,
    NanobraggWarning,
)
from nanobragg_hybrid.formats.geometry.vectors import Rows, Vector, angle_deg, unit
from nanobragg_hybrid.model.beam import Beam
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.detector import Detector
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.goniometer import Goniometer
from nanobragg_hybrid.model.mask import Mask
from nanobragg_hybrid.model.output import Output
from nanobragg_hybrid.model.panel import Panel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SKEW_DEG = 1e-3
"""How far from perpendicular axes may be without a word: what five digits of a direction make."""
_SAME_PIXEL = 1e-9
"""How much the edges of a square pixel may differ, as a fraction."""


class PanelContent(NamedTuple):
    """One panel.  Vectors are in the simulator's frame.

    origin_mm: outer corner of pixel (0, 0).  fast_axis, slow_axis: directions.  pixel_mm: edges of
    a pixel along fast and slow.  thickness_um, attenuation_depth_um: of the sensor; 0: it says
    nothing of one, None: nothing of its depth.  trusted_range: lowest and highest count.  pedestal,
    gain: counts are photons times gain plus pedestal; None: it says nothing.  mask: False for bad
    pixels.
    """

    name: str
    origin_mm: Vector
    fast_axis: Vector
    slow_axis: Vector
    n_fast: int
    n_slow: int
    pixel_mm: tuple[float, float]
    thickness_um: float = 0.0
    attenuation_depth_um: float | None = None
    trusted_range: tuple[float, float] | None = None
    pedestal: float | None = None
    gain: float | None = None
    mask: NDArray[np.bool_] | None = None


class ScanContent(NamedTuple):
    """A rotation in steps: so many `images`, the first of which is called `first_image`.

    axis: as the crystal turns about it, right-handed, for growing angles.  start_deg: where the
    first image begins; width_deg: of each, > 0.
    """

    axis: Vector
    start_deg: float
    width_deg: float
    first_image: int = 1
    images: int = 1


class ExperimentContent(NamedTuple):
    """What a file says of one experiment; None: nothing.

    beam: direction of travel.  polarization: electric vector and Kahn factor.  crystal: a*, b*, c*,
    1/angstrom, at an angle of 0 of the scan; crystal_of_image: the same for each image of the scan,
    where it says so.  notes: what it says that an experiment cannot hold.  own: the experiment
    itself, of a file of this package.  is_still: nothing turns.  template: for writers: names of
    the images, with a # for each digit of their numbers.
    """

    wavelength_angstrom: float | None = None
    beam: Vector | None = None
    polarization: tuple[Vector, float] | None = None
    panels: tuple[PanelContent, ...] = ()
    scan: ScanContent | None = None
    crystal: Rows | None = None
    crystal_of_image: tuple[Rows, ...] = ()
    notes: tuple[str, ...] = ()
    own: Experiment | None = None
    is_still: bool = False
    template: str = ""


MadeDetectors = dict[int, tuple[tuple[PanelContent, ...], Detector, list[str]]]
"""By the identity of a tuple of panels: the tuple, its detector, and what to warn of."""


def experiment_of(
    path: str | os.PathLike[str],
    content: ExperimentContent,
    image: int | None = None,
    like: Experiment | None = None,
    made: MadeDetectors | None = None,
) -> tuple[Experiment, list[str]]:
    """The experiment of one image, the first one if `image` is None, and what to warn of.

    like: where that comes from which the file says nothing of; None: defaults.  made: detectors of
    other experiments of the file, of which equal ones are made once.  Raises
    `FileFormatError` where values break a rule, and `ConfigError` (``image``) for an image that
    there is not.
    """
    like = content.own or (Experiment() if like is None else like)
    notes = list(content.notes)
    number = _number_of_image(content, image, notes)
    try:
        beam = _beam(content, like.beam, notes)
        sampling = like.sampling
        if content.panels and sampling.roi is not None:
            notes.append("sampling.roi is left out: each panel has its own")
            sampling = dataclasses.replace(sampling, roi=None)
        experiment = Experiment(
            beam=beam,
            crystal=_crystal(content, like.crystal, number, beam.wavelength_angstrom),
            goniometer=_goniometer(content, like.goniometer, number, notes),
            detector=_detector_once(content, like.detector, notes, {} if made is None else made),
            sampling=sampling,
            output=_output(content, like.output, notes),
        )
    except ConfigError as error:
        raise FileFormatError(path, 0, str(error)) from None
    return experiment, notes


def with_notes(
    path: str | os.PathLike[str], notes: Sequence[str], experiments: int, *, stacklevel: int
) -> None:
    """Warns of each note once; of a note of some experiments, how many.

    stacklevel: as of `warnings.warn`, counted from here.
    """
    for note, count in Counter(notes).items():
        several = f" [{count} of {experiments} experiments]" if count < experiments else ""
        warnings.warn(
            f"{os.fspath(path)}: {note}{several}", NanobraggWarning, stacklevel=stacklevel
        )


def _number_of_image(content: ExperimentContent, image: int | None, notes: list[str]) -> int:
    """Counted from 0."""
    scan = content.scan
    first, count = (scan.first_image, scan.images) if scan is not None else (1, 1)
    if image is None:
        if scan is not None and count > 1:
            notes.append(
                f"the scan has {count} images, {first} to {first + count - 1}: the experiment is "
                f"that of image {first}; image= chooses another"
            )
        return 0
    if type(image) is not int or not first <= image < first + count:
        rule = f"{first} to {first + count - 1}" if count > 1 else f"{first}, the only image"
        raise ConfigError("image", image, rule)
    return image - first


def _is_square(panel: PanelContent) -> bool:
    fast, slow = panel.pixel_mm
    return abs(fast - slow) <= _SAME_PIXEL * max(abs(fast), abs(slow))


def _beam(content: ExperimentContent, like: Beam, notes: list[str]) -> Beam:
    fields: dict[str, Any] = {}
    if like.sources is not None and content.beam is not None:
        notes.append("beam.sources are kept: their directions count, not that of the file")
    if content.wavelength_angstrom is not None:
        fields["wavelength_angstrom"] = content.wavelength_angstrom
    if content.beam is not None:
        fields["direction"] = unit(content.beam)
    if content.polarization is not None:
        axis, fields["polarization_kahn"] = content.polarization
        fields["polarization_axis"] = unit(axis)
    return dataclasses.replace(like, **fields)


def _crystal(
    content: ExperimentContent, like: Crystal, number: int, wavelength_angstrom: float
) -> Crystal:
    rows = content.crystal
    if content.crystal_of_image:
        rows = content.crystal_of_image[min(number, len(content.crystal_of_image) - 1)]
    if rows is None:
        return like
    # model 4.2: row i holds component i of a*, b*, c*, times the wavelength
    matrix: Any = tuple(wavelength_angstrom * axis[i] for i in range(3) for axis in rows)
    return dataclasses.replace(
        like,
        orientation_matrix=matrix,
        cell_angstrom=None,
        cell_deg=Crystal().cell_deg,
        misset_deg=Crystal().misset_deg,
        misset_random=False,
    )


def _goniometer(
    content: ExperimentContent, like: Goniometer, number: int, notes: list[str]
) -> Goniometer:
    scan = content.scan
    if scan is not None:
        return dataclasses.replace(
            like,
            spindle_axis=unit(scan.axis),
            phi_deg=scan.start_deg + number * scan.width_deg,
            osc_deg=scan.width_deg,
            phi_step_deg=None,
        )
    if not content.is_still:
        return like
    still = Goniometer(spindle_axis=like.spindle_axis)
    if like != still:
        notes.append("is a still: the rotation in goniometer is left out")
    return still


def _detector_once(
    content: ExperimentContent, like: Detector, notes: list[str], made: MadeDetectors
) -> Detector:
    """The detector, which experiments of the same panels share."""
    found = made.get(id(content.panels))
    if found is None or found[0] is not content.panels:
        own: list[str] = []
        detector = _detector(content, like, own)
        found = made[id(content.panels)] = (content.panels, detector, own)
    notes.extend(found[2])
    return found[1]


def _detector(content: ExperimentContent, like: Detector, notes: list[str]) -> Detector:
    if not content.panels:
        return like
    names = _distinct([panel.name for panel in content.panels])
    dark = [
        name
        for name, panel in zip(names, content.panels, strict=True)
        if panel.thickness_um > 0.0 and panel.attenuation_depth_um in (None, math.inf)
    ]
    if dark:
        of = "" if len(dark) == len(names) else f" of {_listed(dark)}"
        notes.append(
            f"the sensor{of} has a thickness but no attenuation: it is left out, so every photon "
            "counts; set sensor_attenuation_depth_um and sensor_thickness_um of the panels"
        )
    skew = [
        (name, abs(90.0 - angle_deg(unit(panel.fast_axis), unit(panel.slow_axis))))
        for name, panel in zip(names, content.panels, strict=True)
    ]
    skew = [(name, off) for name, off in skew if off > SKEW_DEG]
    if skew:
        of = "" if len(skew) == len(names) else f" of {_listed([name for name, _ in skew])}"
        worst = max(off for _, off in skew)
        notes.append(
            f"the fast and slow axes{of} are up to {worst:.2g} degrees from perpendicular: they "
            "are taken as they are, so that pixels are skew"
        )
    return Detector(
        panels=tuple(
            _panel(name, panel) for name, panel in zip(names, content.panels, strict=True)
        ),
        point_pixel=like.point_pixel,
    )


def _panel(name: str, panel: PanelContent) -> Panel:
    has_sensor = panel.thickness_um > 0.0 and panel.attenuation_depth_um not in (None, math.inf)
    return Panel(
        name=name,
        origin_mm=panel.origin_mm,
        fast_axis=panel.fast_axis,
        slow_axis=panel.slow_axis,
        n_fast=panel.n_fast,
        n_slow=panel.n_slow,
        pixel_size_mm=panel.pixel_mm[0] if _is_square(panel) else panel.pixel_mm,
        sensor_thickness_um=panel.thickness_um if has_sensor else 0.0,
        sensor_attenuation_depth_um=panel.attenuation_depth_um if has_sensor else None,
        mask=None if panel.mask is None or panel.mask.all() else Mask(panel.mask),
        trusted_range=_photons(panel),
    )


def _photons(panel: PanelContent) -> tuple[float, float] | None:
    """The trusted range of a panel in photons, where its limits are of any use."""
    if panel.trusted_range is None:
        return None
    gain, pedestal = panel.gain or 1.0, panel.pedestal or 0.0
    lowest, highest = ((count - pedestal) / gain for count in panel.trusted_range)
    if not (math.isfinite(lowest) and math.isfinite(highest) and lowest < highest):
        return None
    return lowest, highest


def _output(content: ExperimentContent, like: Output, notes: list[str]) -> Output:
    """Integer images as the detector counts: photons times gain plus pedestal (model 8)."""
    fields: dict[str, Any] = {}
    for name, field in (("pedestal", "adc_offset"), ("gain", "intensity_scale")):
        values = {getattr(panel, name) for panel in content.panels} - {None}
        if len(values) == 1:
            fields[field] = values.pop()
        elif values:
            notes.append(
                f"the panels have {len(values)} different values of {name}: output.{field} keeps "
                "its default"
            )
    return dataclasses.replace(like, **fields)


def _distinct(names: Sequence[str]) -> list[str]:
    """Names that a detector can have: printable, not empty, no two alike."""
    result: list[str] = []
    taken: set[str] = set()
    for number, name in enumerate(names):
        plain = "".join(c for c in name if c.isprintable()).strip() or f"panel{number}"
        if plain in taken:
            plain = f"{plain}_{number}"
        while plain in taken:
            plain += "_"
        taken.add(plain)
        result.append(plain)
    return result


def _listed(names: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
