"""What every frame of a series is rendered and written with, and what makes two series the same."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.formats.images.frame import Frame, SensorMaterial
from nanobragg_hybrid.formats.series_files import SeriesFiles
from nanobragg_hybrid.formats.series_json import recipe_hash
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.result import IMAGE_PIXELS, ImagePixels, SimulationResult
from nanobragg_hybrid.model.series import Series
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.run.image_files import described_result

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


def identity_of(settings: Settings, factors_hash: str) -> dict[str, Any]:
    """Everything that the files of a series depend on, as plain data."""
    engine, files = settings.engine, settings.files
    return {
        "version": __version__,
        "backend": repr(engine) if type(engine).__repr__ is not object.__repr__ else engine.name,
        "quirks": str(settings.quirks),
        "structure_factors": factors_hash,
        "out": files.name,
        "format": files.format,
        "pixels": settings.pixels,
        "sensor_material": settings.material,
        "images_per_file": settings.images_per_file if files.is_one else None,
        "per_frame": [_name(function) for function in settings.per_frame],
        "truth": settings.truth,
        "recipe": settings.series.to_dict(),
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
    has_response = series.undrawn(0).response is not None
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


def description(
    series: Series, pixels: ImagePixels, quirks: Quirks, material: SensorMaterial
) -> Frame:
    """What one NXmx file says of all images, without their pixels."""
    described = described_result(series.undrawn(0), quirks, pixels, "nxmx", material)
    assert described is not None
    return described[0]


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
