"""What every frame of a series is rendered and written with, and what makes two series the same."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.formats.images.frame import Counting, Frame, SensorMaterial
from nanobragg_hybrid.formats.series_files import SeriesFiles
from nanobragg_hybrid.formats.series_json import recipe_hash
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.result import IMAGE_PIXELS, ImagePixels, SimulationResult
from nanobragg_hybrid.model.series import Series
from nanobragg_hybrid.model.series_kinds import ParameterGrid
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.run.image_files import (
    check_geometry,
    counting_of,
    described,
    without_response,
)

if TYPE_CHECKING:
    from nanobragg_hybrid.engines.protocol import Engine

PerFrame = Callable[[int, Experiment, SimulationResult], Any]
"""Called by whoever renders a frame with its number, experiment and result; what it returns has to
be pickled, and comes back in the order of frames."""

_OF_CRYSTAL: Final = ("crystal", "sampling.oversample", "sampling.phi", "output")


class Settings(NamedTuple):
    """What a worker needs to render any frame; it travels with every task.

    truth: whether the reflections of each frame are wanted.  factors_hash: of the structure
    factors' numbers.  factors: small ones themselves; None: those of factors_path, a pickle with
    the hash factors_file_hash.  identity_hash: of what makes the series this one.
    images_per_file: of the files of data of one NXmx file.
    """

    series: Series
    quirks: Quirks
    engine: Engine
    threads: int
    files: SeriesFiles
    pixels: ImagePixels
    material: SensorMaterial
    images_per_file: int
    per_frame: tuple[PerFrame, ...]
    truth: bool
    identity_hash: str
    factors_hash: str
    factors: StructureFactors | None
    factors_path: Path | None = None
    factors_file_hash: str = ""


def hash_of_factors(table: StructureFactors) -> str:
    """SHA-256 of everything of a table that images depend on, hexadecimal."""
    import numpy as np

    found = hashlib.sha256()
    grid = table.grid
    shape = None if grid is None else grid.shape
    found.update(repr((shape, table.hkl_min, float(table.default_f))).encode("ascii"))
    if grid is not None:
        found.update(np.ascontiguousarray(grid).data)
    return found.hexdigest()


def identity_of(
    series: Series,
    factors_hash: str,
    engine: Engine,
    quirks: Quirks,
    files: SeriesFiles,
    pixels: ImagePixels,
    material: SensorMaterial,
    images_per_file: int,
    per_frame: tuple[PerFrame, ...],
    truth: bool,
) -> dict[str, Any]:
    """Everything that the files of a series depend on, as plain data."""
    return {
        "version": __version__,
        "backend": repr(engine) if type(engine).__repr__ is not object.__repr__ else engine.name,
        "quirks": str(quirks),
        "structure_factors": factors_hash,
        "out": files.name,
        "format": files.format,
        "pixels": pixels,
        "sensor_material": material,
        "images_per_file": images_per_file if files.is_one else None,
        "per_frame": [_name(function) for function in per_frame],
        "truth": truth,
        "recipe": series.to_dict(),
    }


def has_data(settings: Settings) -> bool:
    """Whether something is kept of each frame beside its image."""
    return bool(settings.per_frame) or settings.truth


def identity_hash(identity: Mapping[str, Any]) -> str:
    """SHA-256 of it, hexadecimal."""
    return recipe_hash(identity)


def first_difference(mine: Any, other: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """The dotted name of the first thing that two identities say differently, and both values."""
    if isinstance(mine, Mapping) and isinstance(other, Mapping):
        for key in [*mine, *(key for key in other if key not in mine)]:
            inner = f"{name}.{key}" if name else str(key)
            if key not in mine or key not in other:
                return inner, mine.get(key), other.get(key)
            if found := first_difference(mine[key], other[key], inner):
                return found
        return None
    if isinstance(mine, list) and isinstance(other, list) and len(mine) == len(other):
        for n, pair in enumerate(zip(mine, other, strict=True)):
            if found := first_difference(*pair, f"{name}[{n}]"):
                return found
        return None
    return None if mine == other and type(mine) is type(other) else (name, mine, other)


def chosen_pixels(series: Series, files: SeriesFiles, given: object) -> ImagePixels:
    """What of a result the files have, as `write_image` chooses it.  Raises `ConfigError`."""
    has_response = series.experiment.response is not None
    if given is None:
        if has_response and files.format != "png":
            return "counts"
        if files.format in ("nxmx", "tiff", "png"):
            return "photons"
        rule = (
            "'noise' or 'integers', or an experiment with a response: "
            f"{files.format} holds whole numbers, the image is photons"
        )
        raise ConfigError("pixels", None, rule)
    for known in IMAGE_PIXELS:
        if known == given:
            break
    else:
        raise ConfigError("pixels", given, f"one of {', '.join(IMAGE_PIXELS)}, or None")
    if known == "counts" and not has_response:
        rule = "'noise', 'integers' or 'photons': the experiment has no response"
        raise ConfigError("pixels", "counts", rule)
    if known == "photons" and files.format not in ("nxmx", "tiff", "png"):
        rule = f"'counts', 'noise' or 'integers': {files.format} holds whole numbers"
        raise ConfigError("pixels", "photons", rule)
    if known != "photons" and files.format == "png":
        raise ConfigError("pixels", known, "None or 'photons' for a picture")
    if known == "integers" and files.is_one:
        rule = "'counts', 'noise' or 'photons' for one NXmx file: each image has its own scale"
        raise ConfigError("pixels", known, rule)
    return known


def check_truth(series: Series) -> None:
    """Raises `ConfigError` for a grid of detectors with panels of several shapes, whose truth is no
    one file.  Combinations that break a rule are left to those who render them."""
    if not isinstance(series.kind, ParameterGrid):
        return
    axes = [axis for axis in series.kind.axes if axis[0].partition(".")[0] == "detector"]
    known: tuple[Any, dict[str, Any]] | None = None
    for values in product(*(values for _, values in axes)) if axes else ():
        changes = {path: value for (path, _), value in zip(axes, values, strict=True)}
        try:
            shapes = series.experiment.replace(changes).detector.shapes
        except ConfigError:
            continue
        if known is None:
            known = shapes, changes
        if shapes != known[0]:
            both = " and ".join(
                f"{_shapes_text(of)} with {', '.join(f'{name} {with_[name]!r}' for name in with_)}"
                for of, with_ in (known, (shapes, changes))
            )
            rule = (
                f"False beside a grid of {', '.join(changes)}: one file of truth has panels of one "
                f"shape, and here are {both}"
            )
            raise ConfigError("truth", True, rule)


def _shapes_text(shapes: tuple[tuple[int, int], ...]) -> str:
    """Sizes of panels, (fast x slow) px, those of the first few."""
    shown = ", ".join(f"{n_fast} x {n_slow} px" for n_slow, n_fast in shapes[:3])
    return f"{shown} and {len(shapes) - 3} more" if len(shapes) > 3 else shown


def check_files(series: Series, files: SeriesFiles, quirks: Quirks) -> None:
    """Raises what a format refuses of a geometry, before any time is spent; and `ConfigError` where
    one NXmx file is asked for of frames with several geometries."""
    if files.is_one and isinstance(series.kind, ParameterGrid):
        for path, _ in series.kind.axes:
            part = path.partition(".")[0]
            if part in ("beam", "detector", "goniometer", "response"):
                rule = f"a name with # beside a grid of {path}: one NXmx file has one geometry"
                raise ConfigError("out", files.name, rule)
    if files.format not in ("tiff",):
        experiment = series.undrawn(0)
        check_geometry(described(experiment, quirks, Counting(), "Si")[0], files.format)


def description(
    series: Series, pixels: ImagePixels, quirks: Quirks, material: SensorMaterial
) -> Frame:
    """What one NXmx file says of all images, without their pixels."""
    experiment = series.undrawn(0)
    if pixels == "counts":
        return described(experiment, quirks, counting_of(experiment), material)[0]
    counting = Counting()
    if pixels == "noise":
        counting = Counting(experiment.output.adc_offset, 1.0, 65535.0)
    return described(without_response(experiment), quirks, counting, material)[0]


def checked_per_frame(given: object) -> tuple[PerFrame, ...]:
    """The functions that are called with each frame, which travel as pickles.

    Raises `ConfigError`.
    """
    rule = "functions of a frame's number, experiment and result"
    if not isinstance(given, list | tuple):
        raise ConfigError("per_frame", given, f"a list of {rule}")
    for n, function in enumerate(given):
        if not callable(function):
            raise ConfigError("per_frame", function, rule)
        try:
            pickle.dumps(function, protocol=5)
        except Exception as error:  # whatever its own __reduce__ raises
            rule = "a function that can be pickled (found by its name in a module)"
            raise ConfigError(f"per_frame[{n}]", function, rule) from error
    return tuple(given)


def differs(
    identity: Mapping[str, Any], other: Mapping[str, Any], path: Path
) -> ConfigError | None:
    """The error that names the field in which a series differs from the one that was begun."""
    found = first_difference(identity, other)
    if found is None:
        return None
    name, mine, begun = found
    rule = f"{begun!r}, with which the series of {path.name} was begun; or another name (out)"
    return ConfigError(f"resume: {name}", Description(repr(mine)), rule)


def _name(function: PerFrame) -> str:
    """What a function is called, the same in every process."""
    of: Any = function if hasattr(function, "__qualname__") else type(function)
    text = f"{of.__module__}.{of.__qualname__}"
    if hasattr(function, "__qualname__"):
        return text
    return f"{text} {getattr(function, 'identity', '')}".rstrip()
