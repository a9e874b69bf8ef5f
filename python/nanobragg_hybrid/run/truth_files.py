"""The truth of a series for other programs: reflections for DIALS, the true crystals."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

import numpy as np

from nanobragg_hybrid.base.atomic import atomic_write, check_path
from nanobragg_hybrid.base.errors import ConfigError, Description, NanobraggWarning
from nanobragg_hybrid.formats.geometry.content import ExperimentContent
from nanobragg_hybrid.formats.geometry.dials import expt_of, expt_of_stills
from nanobragg_hybrid.formats.geometry.frames import from_simulator
from nanobragg_hybrid.formats.text import write_text
from nanobragg_hybrid.formats.truth_hdf5 import write_truth_hdf5
from nanobragg_hybrid.formats.truth_refl import refl_of
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.reflection_truth import ReflectionTruth
from nanobragg_hybrid.model.validate import require_class
from nanobragg_hybrid.run.experiment_files import content_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

TruthFormat = Literal["hdf5", "dials"]

_ENDINGS: Final[dict[str, TruthFormat]] = {".h5": "hdf5", ".hdf5": "hdf5", ".refl": "dials"}

_PREDICTED: Final = 1
_SUMMED: Final = 1 << 8
"""Flags of DIALS."""

_ANGLE_DEG: Final = 1e-6
"""How far the start of a frame may be from the end of the one before."""


def write_truth(
    path: str | os.PathLike[str],
    truth: ReflectionTruth,
    *,
    format: TruthFormat | None = None,  # noqa: A002 (what everybody calls it)
    experiments: Sequence[Experiment] | None = None,
    quirks: Quirks | None = None,
) -> None:
    """Writes a table of reflections.  format: "hdf5" or "dials"; None: by the name's end.

    "hdf5", ``.h5``, ``.hdf5``: everything that the table has (docs/truth.md); `read_truth` reads
    it.  "dials", ``.refl``: a reflection table of DIALS, beside the file of `write_experiments`.
    It needs `experiments`, that of each frame of the table in its order (of a rotation the first
    will do), and `quirks`, what they were rendered with (None: all on).  Reflections of a rotation
    are `ReflectionTruth.merged`, with z in frames from the first; stills have a row in each frame,
    and id is the number of the experiment.  Intensities are photons.

    Raises `ConfigError` for another name and for experiments that do not fit, `UnsupportedError`
    without h5py or msgpack, `FileAccessError`.
    """
    require_class("truth", truth, ReflectionTruth)
    check_path(path)
    chosen = _format(path, format)
    if chosen == "hdf5":
        write_truth_hdf5(path, truth)
    else:
        data = _refl(truth, _checked(experiments), quirks_or_all(quirks))
        with atomic_write(path) as file:
            file.write(data)


def write_experiments(
    path: str | os.PathLike[str],
    experiments: Sequence[Experiment],
    *,
    quirks: Quirks | None = None,
    template: str | None = None,
) -> None:
    """Writes the experiments of a series as one experiment list of DIALS (``.expt``).

    Frames that turn, each from where the one before ends, become one scan, whose crystal varies
    where theirs do (``A_at_scan_points``: where each frame begins).  Stills become an experiment
    each, which share what is equal.  quirks, template: as in `write_experiment`; a template is for
    a scan only.

    Warns (`NanobraggWarning`) and raises what `write_experiment` does, and `ConfigError` for frames
    that neither follow each other nor are stills, and for a beam or detector that changes during a
    scan.
    """
    check_path(path)
    frames = _checked(experiments)
    contents = [content_of(each, quirks_or_all(quirks)) for each in frames]
    notes = {note for content in contents for note in content.notes}
    if _is_scan(contents):
        data = expt_of(_scan_of(contents, template), "truth")
    elif template is not None:
        raise ConfigError("template", template, "None for stills")
    else:
        data = expt_of_stills(contents, _names(len(contents)))
    for note in sorted(notes):
        warnings.warn(f"{os.fspath(path)}: {note}", NanobraggWarning, stacklevel=2)
    write_text(path, json.dumps(data, indent=2) + "\n")


def _format(path: str | os.PathLike[str], given: object) -> TruthFormat:
    if given is not None:
        for known in get_args(TruthFormat):
            if known == given:
                return cast("TruthFormat", known)
        raise ConfigError("format", given, f"one of {', '.join(get_args(TruthFormat))}")
    name = os.fspath(path).lower()
    for ending, of_ending in _ENDINGS.items():
        if name.endswith(ending):
            return of_ending
    raise ConfigError("path", os.fspath(path), f"a name that ends in {', '.join(_ENDINGS)}")


def _checked(experiments: object) -> list[Experiment]:
    if not isinstance(experiments, list | tuple) or not experiments:
        raise ConfigError("experiments", experiments, "a list of at least one experiment")
    for n, each in enumerate(experiments):
        require_class(f"experiments[{n}]", each, Experiment)
    return list(experiments)


def _names(count: int) -> list[str]:
    return [f"truth-{n}" for n in range(count)]


def _is_scan(contents: Sequence[ExperimentContent]) -> bool:
    turning = [content.scan is not None for content in contents]
    if any(turning) and not all(turning):
        raise ConfigError("experiments", Description("scans and stills"), "one of both")
    return all(turning)


def _scan_of(contents: Sequence[ExperimentContent], template: str | None) -> ExperimentContent:
    """Frames that follow each other as one scan."""
    first = contents[0]
    assert first.scan is not None
    end = first.scan.start_deg
    for n, content in enumerate(contents):
        assert content.scan is not None
        start, width = content.scan.start_deg, content.scan.width_deg
        place = f"experiments[{n}].goniometer"
        if abs(start - end) > _ANGLE_DEG:
            raise ConfigError(f"{place}.phi_deg", start, f"{end:g}, where the one before ends")
        if abs(width - first.scan.width_deg) > _ANGLE_DEG or content.scan.axis != first.scan.axis:
            raise ConfigError(f"{place}.osc_deg", width, "the first one's width and axis")
        for name in ("beam", "wavelength_angstrom", "polarization", "panels"):
            if getattr(content, name) != getattr(first, name):
                rule = f"the same {name} in all frames of a scan"
                raise ConfigError(f"experiments[{n}]", Description(f"another {name}"), rule)
        end = start + width
    crystals = [content.crystal for content in contents]
    of_images = tuple(crystal for crystal in crystals if crystal is not None)
    varies = len(set(of_images)) > 1
    return first._replace(
        scan=first.scan._replace(images=len(contents)),
        crystal_of_image=of_images if varies else (),
        template=template or "",
    )


def _refl(truth: ReflectionTruth, experiments: Sequence[Experiment], quirks: Quirks) -> bytes:
    """The bytes of a table of DIALS."""
    turns = bool((truth.osc_deg > 0.0).all())
    if not turns and len(experiments) != len(truth.frames):
        found = Description(f"{len(experiments)} of them")
        raise ConfigError("experiments", found, f"{len(truth.frames)}, one for each frame")
    contents = [content_of(each, quirks) for each in (experiments[:1] if turns else experiments)]
    for content in contents:
        shapes = tuple((panel.n_slow, panel.n_fast) for panel in content.panels)
        if shapes != truth.shapes:
            raise ConfigError("experiments", Description(f"panels of {shapes}"), f"{truth.shapes}")
    if turns:
        table = truth.merged()
        width = float(truth.osc_deg[0])
        numbers = np.zeros(len(table), np.int64)
        z = (table.phi_deg - truth.phi_start_deg[0]) / width
        z_first = table.frame_start - truth.frames[0]
        z_end = table.frame_stop - truth.frames[0]
        names = ["truth"]
    else:
        table = truth
        numbers = np.searchsorted(truth.frames, table.frame_start)
        z = np.full(len(table), 0.5)
        z_first, z_end = np.zeros(len(table)), np.ones(len(table))
        names = _names(len(contents))
    s1, mm = _directions(contents, numbers, table)
    places = np.stack([table.fast_px, table.slow_px, z], axis=1)
    in_mm = np.column_stack([mm, np.deg2rad(table.phi_deg)])
    top, bottom, left, right = table.bounds.T
    variance = table.photons + table.background_photons
    light = np.where(table.photons > 0.0, table.photons, 1.0)[:, None]
    columns: dict[str, tuple[str, Any]] = {
        "miller_index": ("cctbx::miller::index<>", table.hkl),
        "id": ("int", numbers),
        "imageset_id": ("int", numbers),
        "panel": ("std::size_t", table.panel),
        "flags": ("std::size_t", np.full(len(table), _PREDICTED | _SUMMED)),
        "bbox": ("int6", np.stack([left, right, top, bottom, z_first, z_end], axis=1)),
        "xyzcal.px": ("vec3<double>", places),
        "xyzcal.mm": ("vec3<double>", in_mm),
        "xyzobs.px.value": ("vec3<double>", places),
        "xyzobs.px.variance": ("vec3<double>", np.repeat(1.0 / light, 3, axis=1)),
        "xyzobs.mm.value": ("vec3<double>", in_mm),
        "xyzobs.mm.variance": ("vec3<double>", np.repeat(1.0 / light, 3, axis=1)),
        "s1": ("vec3<double>", s1),
        "intensity.sum.value": ("double", table.photons),
        "intensity.sum.variance": ("double", variance),
        "background.sum.value": ("double", table.background_photons),
        "num_pixels.foreground": ("int", table.pixel_count),
        "d": ("double", _resolution(contents, numbers, s1)),
    }
    if np.isfinite(table.partiality).all():
        columns["partiality"] = ("double", table.partiality)
    return refl_of(columns, names)


def _directions(
    contents: Sequence[ExperimentContent], numbers: NDArray[np.int64], table: ReflectionTruth
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """s1 of DIALS, 1 / angstrom, shape (n, 3), and places on the panels in mm, shape (n, 2)."""
    s1, mm = np.zeros((len(table), 3)), np.zeros((len(table), 2))
    for n, content in enumerate(contents):
        for number, panel in enumerate(content.panels):
            here = (numbers == n) & (table.panel == number)
            edges = np.array(panel.pixel_mm)
            mm[here] = np.stack([table.fast_px[here], table.slow_px[here]], axis=1) * edges
            axes = [from_simulator("dials", axis) for axis in (panel.fast_axis, panel.slow_axis)]
            places = np.array(from_simulator("dials", panel.origin_mm)) + mm[here] @ np.array(axes)
            lengths = np.linalg.norm(places, axis=1)[:, None] * (content.wavelength_angstrom or 1.0)
            s1[here] = places / lengths
    return s1, mm


def _resolution(
    contents: Sequence[ExperimentContent],
    numbers: NDArray[np.int64],
    s1: NDArray[np.float64],
) -> NDArray[np.float64]:
    """1 / |s1 - s0| of the places, angstrom."""
    s0 = []
    for content in contents:
        beam = np.array(from_simulator("dials", content.beam or (1.0, 0.0, 0.0)))
        s0.append(beam / math.sqrt(beam @ beam) / (content.wavelength_angstrom or 1.0))
    q = np.linalg.norm(s1 - np.array(s0)[numbers], axis=1)
    found: NDArray[np.float64] = 1.0 / np.maximum(q, 1e-12)
    return found
