"""`Experiment` -> nanoBragg's arguments, the inverse of `parse`.

Every field of every part is visited, in an order that no argument can spoil.  A field that differs
from its default becomes the option of the row of the flag table that sets it; where one field is
not one flag, a function of `_BY_HAND` says it.  At the end the arguments are read back
(`round_trip`), so that a field that neither of them says is an error and never silence.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nanobragg_hybrid.arguments.argument_reader import normalised
from nanobragg_hybrid.arguments.flags import FLAGS, Flag
from nanobragg_hybrid.arguments.round_trip import (
    CUSTOM_FAST_AXIS,
    check_round_trip,
    effective_pivot,
    has_vector,
)
from nanobragg_hybrid.base.atomic import check_path
from nanobragg_hybrid.base.errors import ConfigError, UnsupportedError
from nanobragg_hybrid.formats.matrix import write_matrix
from nanobragg_hybrid.formats.rotation_file import write_rotations
from nanobragg_hybrid.formats.smv import write_mask
from nanobragg_hybrid.formats.source_file import write_source_file
from nanobragg_hybrid.formats.spectrum_file import write_spectrum

if TYPE_CHECKING:
    from nanobragg_hybrid.model.experiment import Experiment

# "part.*" stands for the fields of a part that are not named here, in the order of its class; a
# part that is not named at all comes last.
_SEQUENCE: Final = (
    "detector.mask",  # its header is read before all other options
    "beam.*",
    "beam.sources",
    "crystal.cell_angstrom",
    "crystal.n_cells",
    "crystal.size_mm",
    "crystal.misset_seed",  # -misset_seed also takes the next three arguments as angles
    "crystal.misset_deg",
    "crystal.*",
    "crystal.orientation_matrix",
    "goniometer.*",
    "detector.pixel_size_mm",
    "detector.n_fast",
    "detector.n_slow",
    "detector.size_fast_mm",
    "detector.size_slow_mm",
    "detector.sensor_attenuation_depth_um",  # inf sets the thickness to 0 as well
    "detector.sensor_thickness_um",
    "detector.sensor_layers",
    "detector.point_pixel",
    "detector.curved",
    "detector.rotation_deg",
    "detector.*",
    "detector.convention",  # forgets the vectors before it
    "detector.fast_axis",
    "detector.slow_axis",
    "detector.normal_axis",
    "detector.twotheta_axis",  # -twotheta_axis X Y Z also sets the angle to X
    "detector.pix0_m",
    "beam.direction",
    "beam.polarization_axis",
    "goniometer.spindle_axis",
    "detector.twotheta_deg",
    "detector.pivot",  # most options of the geometry imply one
    "sampling.*",
    "output.*",
)


def emit_args(experiment: Experiment, folder: str | os.PathLike[str] | None = None) -> list[str]:
    """The arguments of a nanoBragg command that gives `experiment`, without structure factors.

    Numbers are written so that reading them gives the same doubles.  An orientation matrix, a
    source list, a spectrum, rotations or a mask become files in `folder`, which must exist.
    `parse_command` of the arguments, with every quirk on, gives an experiment that renders the same
    image, and that is equal to `experiment` but for spellings of the same thing (a pivot left to
    the convention, the convention "custom" that a vector selects, values that nanoBragg clamps,
    values without effect, a number of pixels that the mask states).

    Raises `ConfigError` naming the field if a file is needed and `folder` is None, or if no
    arguments can say a value (a fractional number of cells, pixels that are not square);
    `UnsupportedError` for a background, a response and a detector of several panels.
    """
    for part in ("background", "response"):
        if getattr(experiment, part) is not None:
            raise UnsupportedError(
                f"{part}: nanoBragg has no words for it; experiment.replace({{{part!r}: None}}) is "
                "without it"
            )
    if folder is not None:
        check_path(folder, "folder")
    if len(experiment.detector.shapes) > 1:
        raise UnsupportedError(
            f"nanoBragg's arguments say one panel, and the detector has "
            f"{len(experiment.detector.shapes)}: Experiment.of_panel(n).to_nanobragg_args() are "
            "those of one"
        )
    experiment = experiment.of_only_panel()
    size = experiment.detector.pixel_size_mm
    if isinstance(size, tuple):
        rule = "one size, to be written as -pixel"
        raise ConfigError("detector.pixel_size_mm", size, rule)
    emitter = _Emitter(experiment, None if folder is None else Path(folder))
    for path in _ordered_fields(experiment):
        by_hand = _BY_HAND.get(path)
        emitter.said[path] = emitter.by_table(path) if by_hand is None else by_hand(emitter)
    args = emitter.args()
    if args and args[-1] == "-curved_det":  # it needs an argument after it
        emitter.said["output.adc_offset"] = ["-adc", repr(experiment.output.adc_offset)]
        args = emitter.args()
    check_round_trip(experiment, emitter.said, emitter.files)
    return args


def _ordered_fields(experiment: Experiment) -> list[str]:
    """The dotted path of every field, in the order of `_SEQUENCE`."""
    position = {name: n for n, name in enumerate(_SEQUENCE)}

    def order(path: str) -> int:
        rest = path.partition(".")[0] + ".*"
        return position.get(path, position.get(rest, len(_SEQUENCE)))

    paths = [
        f"{part.name}.{field.name}"
        for part in dataclasses.fields(experiment)
        if getattr(experiment, part.name) is not None
        for field in dataclasses.fields(getattr(experiment, part.name))
    ]
    return sorted(paths, key=order)


class _NoFlagError(Exception):
    """The flag table cannot say a value."""


class _Emitter:
    """What is emitted so far: for each field its arguments, and the files that they name."""

    def __init__(self, experiment: Experiment, folder: Path | None) -> None:
        self.experiment = experiment
        self.folder = folder
        self.said: dict[str, list[str]] = {}
        self.files: dict[Path, object] = {}

    def args(self) -> list[str]:
        return [argument for args in self.said.values() for argument in args]

    def by_table(self, path: str) -> list[str]:
        """The arguments of a field as the flag table has it."""
        part, name = path.split(".")
        config = getattr(self.experiment, part)
        [field] = (field for field in dataclasses.fields(config) if field.name == name)
        try:
            return self._changed(path, getattr(config, name), field.default)
        except _NoFlagError:
            raise ConfigError(
                path,
                getattr(config, name),
                f"{field.default!r}, or a value that a flag of nanoBragg sets",
                field.metadata["unit"],
            ) from None

    def _changed(self, path: str, value: Any, default: Any) -> list[str]:
        """Nothing for the default; `_NoFlagError` if no row can say the value."""
        if value == default:
            return []
        for flag in FLAGS:
            if flag.targets != (path,):
                continue
            if flag.kind == "file" and path in _FILES:
                return [flag.option, str(self._write(path, value))]
            if flag.kind in ("float", "int", "seed"):
                return [flag.option, *_texts(flag, value)]
            if flag.kind == "switch" and flag.value == value:
                return [flag.option]
        if not isinstance(value, tuple) or not isinstance(default, tuple):
            raise _NoFlagError
        return [
            argument
            for index, (item, item_default) in enumerate(zip(value, default, strict=True))
            for argument in self._changed(f"{path}.{index}", item, item_default)
        ]

    def _write(self, path: str, value: object) -> Path:
        name, write = _FILES[path]
        if self.folder is None:
            raise ConfigError(path, "no folder", "a folder to write it to as a file")
        file = self.folder / name
        write(file, value)
        self.files[file] = value
        return file


def _texts(flag: Flag, value: Any) -> Iterable[str]:
    """The values of an option, with every digit; `_NoFlagError` for a None that it cannot say."""
    for item in value if len(flag.words) > 1 else (value,):
        if item is None and normalised(flag.rule, -1) is not None:
            raise _NoFlagError
        number = -1 if item is None else item
        yield repr(float(number) if flag.kind == "float" else int(number))


_FILES: Final[Mapping[str, tuple[str, Callable[[Path, Any], None]]]] = {
    "detector.mask": ("mask.img", lambda path, mask: write_mask(path, mask.values)),
    "beam.sources": ("sources.txt", write_source_file),
    "beam.spectrum": ("spectrum.txt", write_spectrum),
    "crystal.mosaic_rotations": ("rotations.txt", write_rotations),
    "crystal.orientation_matrix": ("orientation.mat", write_matrix),
}
"""Field -> the name of the file that holds it, and what writes it."""


def _cell(emitter: _Emitter) -> list[str]:
    crystal = emitter.experiment.crystal
    if crystal.cell_angstrom is None:
        return []
    return ["-cell", *map(repr, (*crystal.cell_angstrom, *crystal.cell_deg))]


def _n_cells(emitter: _Emitter) -> list[str]:
    for cells in emitter.experiment.crystal.n_cells:
        if cells != int(cells):
            raise ConfigError("crystal.n_cells", cells, "whole numbers, to be written as -N")
    return emitter.by_table("crystal.n_cells")


def _misset(emitter: _Emitter) -> list[str]:
    crystal = emitter.experiment.crystal
    if crystal.misset_random:
        return ["-misset", "random"]
    if crystal.misset_seed is None and not any(crystal.misset_deg):
        return []
    return ["-misset", *map(repr, crystal.misset_deg)]


def _convention(emitter: _Emitter) -> list[str]:
    if emitter.experiment.detector.convention != "custom":
        return emitter.by_table("detector.convention")
    if has_vector(emitter.experiment):
        return []
    return ["-fdet_vector", *map(repr, CUSTOM_FAST_AXIS)]


def _twotheta(emitter: _Emitter) -> list[str]:
    detector = emitter.experiment.detector
    if detector.twotheta_axis is not None:
        return ["-twotheta", repr(detector.twotheta_deg)]
    return emitter.by_table("detector.twotheta_deg")


def _pivot(emitter: _Emitter) -> list[str]:
    implied = any(
        flag.pivot and flag.fires(argument)  # -twotheta_axis has -twotheta in it
        for argument in emitter.args()
        if argument.startswith("-")
        for flag in FLAGS
    )
    if emitter.experiment.detector.pivot is None and not implied:
        return []
    return ["-pivot", effective_pivot(emitter.experiment)]


def _roi(emitter: _Emitter) -> list[str]:
    roi = emitter.experiment.sampling.roi
    if roi is None:
        return []
    fast_min, fast_max, slow_min, slow_max = roi
    bounds = (
        fast_min or 0,
        -1 if fast_max is None else fast_max,
        slow_min or 0,
        -1 if slow_max is None else slow_max,
    )
    return ["-roi", *map(repr, bounds)]


def _with_another(_: _Emitter) -> list[str]:
    """The field is said by the function of another one."""
    return []


_BY_HAND: Final[Mapping[str, Callable[[_Emitter], list[str]]]] = {
    "crystal.cell_angstrom": _cell,
    "crystal.cell_deg": _with_another,
    "crystal.n_cells": _n_cells,
    "crystal.misset_deg": _misset,
    "crystal.misset_random": _with_another,
    "detector.convention": _convention,
    "detector.twotheta_deg": _twotheta,
    "detector.pivot": _pivot,
    "sampling.roi": _roi,
}
"""Fields that are not one flag each."""
