"""Whether emitted arguments mean the experiment that they were made from.

They are parsed again, with every quirk on, and each field of what comes back is compared.  Files
that were written for them are not read: what was given to the writer counts as what is in them.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, assert_never

from nanobragg_hybrid.arguments.flags import FLAGS
from nanobragg_hybrid.arguments.input_files import InputFiles
from nanobragg_hybrid.arguments.parse import parse_args
from nanobragg_hybrid.base.errors import CommandLineError, ConfigError
from nanobragg_hybrid.model.pixel_size import edges_mm
from nanobragg_hybrid.model.quirks import Quirks

if TYPE_CHECKING:
    from nanobragg_hybrid.base.arrays import Array
    from nanobragg_hybrid.formats.spectrum_file import SpectrumUnit
    from nanobragg_hybrid.model.beam import Source
    from nanobragg_hybrid.model.conventions import Convention, Pivot
    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.rotations import Rotations
    from nanobragg_hybrid.model.spectrum import Spectrum

CUSTOM_FAST_AXIS: Final = (0.0, 0.0, 1.0)
"""Where the custom convention's fast axis points if none is given."""

_ROUNDING: Final = 1e-15  # of a product of two lengths


def has_vector(experiment: Experiment) -> bool:
    """Whether a vector is given, which selects the custom convention."""
    vectors = (flag.targets[0].split(".") for flag in FLAGS if flag.action == "vector")
    given = (getattr(getattr(experiment, part), name) for part, name in vectors)
    return any(vector is not None for vector in given)


def effective_pivot(experiment: Experiment) -> Pivot:
    """The pivot as given, else the convention's, "custom" being the one that a vector selects."""
    detector = experiment.detector
    if detector.pivot is not None:
        return detector.pivot
    return _pivot_of("custom" if has_vector(experiment) else detector.convention)


def _pivot_of(convention: Convention) -> Pivot:
    """What a convention means by itself; the flag -dials implies another one (model 3)."""
    match convention:
        case "mosflm" | "adxv" | "denzo" | "custom":
            return "beam"
        case "xds" | "dials":
            return "sample"
        case other:
            assert_never(other)


def check_round_trip(
    experiment: Experiment, said: Mapping[str, list[str]], files: Mapping[Path, object]
) -> None:
    """Raises `ConfigError` for the first field that does not come back from its arguments.

    `said`: the arguments of each field, in their order; `files`: what was written to the files that
    they name.
    """
    written = _WrittenFiles(files)
    try:
        back = _parsed([argument for args in said.values() for argument in args], written)
    except CommandLineError:
        _blame_a_field(experiment, said, written)
        raise
    respelled = _respellings(experiment, back)
    for part in dataclasses.fields(experiment):
        config, config_back = getattr(experiment, part.name), getattr(back, part.name)
        if config == config_back:
            continue
        for field in dataclasses.fields(config):
            path = f"{part.name}.{field.name}"
            value_back = getattr(config_back, field.name)
            if value_back not in respelled.get(path, (getattr(config, field.name),)):
                raise _lost(experiment, path, f"they give {reprlib.repr(value_back)}")


def _respellings(experiment: Experiment, back: Experiment) -> dict[str, tuple[object, ...]]:
    """Field -> what it may come back as, for the fields that mean the same in another spelling."""
    crystal, detector = experiment.crystal, experiment.detector
    respelled: dict[str, tuple[object, ...]] = {}
    if detector.pivot is None:
        respelled["detector.pivot"] = (None, effective_pivot(experiment))
    if detector.convention == "custom" and has_vector(back):
        respelled["detector.convention"] = ("mosflm",)
        if not has_vector(experiment):
            respelled["detector.fast_axis"] = (CUSTOM_FAST_AXIS,)
    if crystal.cell_angstrom is None:
        respelled["crystal.cell_deg"] = ((90.0, 90.0, 90.0),)
    if crystal.misset_random:
        respelled["crystal.misset_deg"] = ((0.0, 0.0, 0.0),)
    if experiment.sampling.roi is not None:
        fast_min, fast_max, slow_min, slow_max = experiment.sampling.roi
        clamped = (_lower(fast_min), _upper(fast_max), _lower(slow_min), _upper(slow_max))
        respelled["sampling.roi"] = (clamped,)
    if detector.mask is not None:
        edges = reversed(edges_mm(detector.pixel_size_mm))
        for axis, pixels, edge_mm in zip(("slow", "fast"), detector.shape, edges, strict=True):
            counted_mm = edge_mm * pixels
            size_mm = getattr(detector, f"size_{axis}_mm")
            if getattr(detector, f"n_{axis}") is None and math.isclose(
                size_mm, counted_mm, rel_tol=_ROUNDING
            ):
                respelled[f"detector.n_{axis}"] = (pixels,)
    return respelled


def _lower(bound: int | None) -> int:
    return max(bound or 0, 0)


def _upper(bound: int | None) -> int | None:
    return None if bound is None or bound < 0 else bound


def _blame_a_field(
    experiment: Experiment, said: Mapping[str, list[str]], files: InputFiles
) -> None:
    """Raises `ConfigError` for the first field whose arguments alone are refused."""
    for path, args in said.items():
        try:
            _parsed(args, files)
        except CommandLineError as error:
            raise _lost(experiment, path, str(error)) from None


def _lost(experiment: Experiment, path: str, problem: str) -> ConfigError:
    part, name = path.split(".")
    config = getattr(experiment, part)
    [unit] = (field.metadata["unit"] for field in dataclasses.fields(config) if field.name == name)
    rule = f"a value that nanoBragg's arguments can say ({problem})"
    return ConfigError(path, getattr(config, name), rule, unit)


def _parsed(args: list[str], files: InputFiles) -> Experiment:
    return parse_args(args, Path(), Quirks.nanobragg(), files=files).experiment


class _WrittenFiles(InputFiles):
    """What was written to files, in place of reading them."""

    def __init__(self, contents: Mapping[Path, Any]) -> None:
        self._contents = contents

    def mask(self, path: Path, quirks: Quirks) -> tuple[str, Array]:
        """The pixels of a mask and no header: a written one states the size and nothing else."""
        if path in self._contents:
            return "", self._contents[path].values
        return super().mask(path, quirks)

    def matrix(self, path: Path) -> tuple[float, ...]:
        """The nine numbers."""
        return self._contents[path] if path in self._contents else super().matrix(path)

    def rotations(self, path: Path) -> Rotations:
        """The rotations."""
        return self._contents[path] if path in self._contents else super().rotations(path)

    def spectrum(self, path: Path, unit: SpectrumUnit | None) -> Spectrum:
        """The spectrum."""
        return self._contents[path] if path in self._contents else super().spectrum(path, unit)

    def sources(self, path: Path, quirks: Quirks) -> tuple[Source, ...]:
        """The sources."""
        return self._contents[path] if path in self._contents else super().sources(path, quirks)
