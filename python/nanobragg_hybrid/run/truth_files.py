"""The truth of a series for other programs: reflections for DIALS, the true crystals."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, Literal, cast, get_args

from nanobragg_hybrid.base.atomic import check_path
from nanobragg_hybrid.base.errors import ConfigError, Description, NanobraggWarning
from nanobragg_hybrid.formats.geometry.content import ExperimentContent
from nanobragg_hybrid.formats.geometry.dials import expt_of
from nanobragg_hybrid.formats.geometry.dials_stills import write_stills
from nanobragg_hybrid.formats.geometry.vectors import Rows
from nanobragg_hybrid.formats.text import write_json
from nanobragg_hybrid.formats.truth_hdf5 import write_truth_hdf5
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.reflection_truth import ReflectionTruth
from nanobragg_hybrid.model.validate import require_class
from nanobragg_hybrid.run.experiment_files import content_of
from nanobragg_hybrid.run.truth_dials import TruthForDials

TruthFormat = Literal["hdf5", "dials"]

_ENDINGS: Final[dict[str, TruthFormat]] = {".h5": "hdf5", ".hdf5": "hdf5", ".refl": "dials"}

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
    it.  It has no place for `experiments` and `quirks`.  "dials", ``.refl``: a reflection table of
    DIALS, beside the file of `write_experiments`.  It needs `experiments`, that of each frame of
    the table in its order (of a rotation the first will do), and `quirks`, what they were rendered
    with (None: all on).  Reflections of a rotation are `ReflectionTruth.merged`, with z in frames
    from the first; stills have a row in each frame, and id is the number of the experiment.
    Intensities are photons.

    Raises `ConfigError` for another name, for experiments that do not fit, and for experiments or
    quirks beside "hdf5"; `UnsupportedError` without h5py or msgpack, `FileAccessError`.
    """
    require_class("truth", truth, ReflectionTruth)
    check_path(path)
    chosen = _format(path, format)
    if chosen == "hdf5":
        for name, given in (("experiments", experiments), ("quirks", quirks)):
            if given is not None:
                rule = "None for HDF5, which has no place for them: give them with a .refl"
                raise ConfigError(name, Description("some"), rule)
        write_truth_hdf5(path, truth)
    else:
        frames = _checked(experiments)
        turns = bool((truth.osc_deg > 0.0).all())
        if not turns and len(frames) != len(truth.frames):
            found = Description(f"{len(frames)} of them")
            raise ConfigError("experiments", found, f"{len(truth.frames)}, one for each frame")
        _check_turns(frames, truth, turns=turns)
        used = quirks_or_all(quirks)
        contents = [content_of(each, used) for each in (frames[:1] if turns else frames)]
        with TruthForDials(Path(path), turns=turns) as writer:
            writer.add(truth, contents)
            writer.write()


def _check_turns(experiments: Sequence[Experiment], truth: ReflectionTruth, *, turns: bool) -> None:
    """Raises `ConfigError` for experiments that turn otherwise than the frames of a table."""
    count = len(truth.frames)
    if turns and len(experiments) not in (1, count):
        found = Description(f"{len(experiments)} of them")
        raise ConfigError("experiments", found, f"1, or {count}, one for each frame")
    angles = zip(truth.phi_start_deg, truth.osc_deg, strict=True)
    for number, (each, (phi_deg, osc_deg)) in enumerate(zip(experiments, angles, strict=False)):
        turned = each.goniometer
        is_there = not turns or abs(turned.phi_deg - phi_deg) <= _ANGLE_DEG
        width_deg = turned.osc_deg
        if width_deg is None:  # then it is that of its steps
            width_deg = 0.0 if turned.phi_step_deg is None else osc_deg
        if not is_there or abs(width_deg - osc_deg) > _ANGLE_DEG:
            found = Description(f"phi_deg={turned.phi_deg:g}, osc_deg={width_deg:g}")
            rule = f"phi_deg={phi_deg:g}, osc_deg={osc_deg:g}, those of the table's frame"
            raise ConfigError(f"experiments[{number}].goniometer", found, rule)


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
    write_frames(Path(path), _checked(experiments), quirks_or_all(quirks), template)


def write_frames(
    path: Path,
    frames: Iterable[Experiment],
    quirks: Quirks,
    template: str | None,
    final: Path | None = None,
) -> None:
    """`write_experiments` of frames that are asked for one after the other, and not kept.

    final: what the file will be called, for warnings.
    """
    notes: set[str] = set()

    def contents() -> Iterator[ExperimentContent]:
        for each in frames:
            content = content_of(each, quirks)
            notes.update(content.notes)
            yield content

    several = contents()
    first = next(several)
    whole = chain([first], several)
    if first.scan is not None:
        write_json(path, expt_of(_scan_of(whole, template), "truth"))
    elif template is not None:
        raise ConfigError("template", template, "None for stills")
    else:
        write_stills(path, ((_still(each), f"truth-{n}") for n, each in enumerate(whole)))
    for note in sorted(notes):
        warnings.warn(f"{os.fspath(final or path)}: {note}", NanobraggWarning, stacklevel=3)


def check_frames(frames: Iterable[Experiment], quirks: Quirks) -> None:
    """Raises what `write_frames` does of some frames that follow each other."""
    several = [content_of(each, quirks) for each in frames]
    if several[0].scan is not None:
        expt_of(_scan_of(several, None))
    else:
        for content in several:
            expt_of(_still(content))


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


def _mixed() -> ConfigError:
    return ConfigError("experiments", Description("scans and stills"), "one of both")


def _still(content: ExperimentContent) -> ExperimentContent:
    if content.scan is not None:
        raise _mixed()
    return content


def _scan_of(contents: Iterable[ExperimentContent], template: str | None) -> ExperimentContent:
    """Frames that follow each other as one scan."""
    several = iter(contents)
    first = next(several)
    assert first.scan is not None
    end = first.scan.start_deg + first.scan.width_deg
    crystals: list[Rows | None] = []  # of the frames up to the last one that is not as the first
    count = 1
    for n, content in enumerate(several, 1):
        if content.scan is None:
            raise _mixed()
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
        if content.crystal != first.crystal:
            crystals += [first.crystal] * (n - len(crystals))
            crystals.append(content.crystal)
        end = start + width
        count = n + 1
    if crystals:
        crystals += [first.crystal] * (count - len(crystals))
    return first._replace(
        scan=first.scan._replace(images=count),
        crystal_of_image=tuple(crystal for crystal in crystals if crystal is not None),
        template=template or "",
    )
