"""The formats of the images that the command writes: by --format, else by their names.

Classic SMV, the default, is written by `outputs`; everything else as `write_image` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from nanobragg_hybrid.base.constants import (
    DEFAULT_COUNTS_FILE,
    DEFAULT_INT_FILE,
    DEFAULT_NOISE_FILE,
)
from nanobragg_hybrid.base.errors import CommandLineError, ConfigError
from nanobragg_hybrid.formats.images.names import (
    FILE_ENDINGS,
    checked_format,
    format_of_name,
    without_number,
)
from nanobragg_hybrid.formats.smv import SmvHeader
from nanobragg_hybrid.model.result import IMAGE_FORMATS, ImageFormat

if TYPE_CHECKING:
    from nanobragg_hybrid.arguments.command import Command
    from nanobragg_hybrid.base.arrays import Buffer
    from nanobragg_hybrid.cli.nanobragg.inputs import Warn
    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.quirks import Quirks
    from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
    from nanobragg_hybrid.model.result import SimulationResult

_OF_NUMBERS = tuple(kind for kind in IMAGE_FORMATS if kind != "png")


class ImageFormats(NamedTuple):
    """The format of each image; None of the counts: numpy's."""

    integers: ImageFormat
    noise: ImageFormat
    counts: ImageFormat | None


def named_by_format(command: Command, counts: str | None, word: str | None) -> tuple[Command, Any]:
    """The command with the endings of --format for files that nobody has named, and their path."""
    if word is None:
        return command, counts
    if word not in _OF_NUMBERS:
        raise CommandLineError(f"--format: got {word!r}, need one of {', '.join(_OF_NUMBERS)}")
    ending = next(end for kind, end in FILE_ENDINGS.items() if kind == word)
    if command.int_path.name == DEFAULT_INT_FILE:
        command = command._replace(int_path=command.int_path.with_suffix(ending))
    if command.noise_path is not None and command.noise_path.name == DEFAULT_NOISE_FILE:
        command = command._replace(noise_path=command.noise_path.with_suffix(ending))
    if counts == DEFAULT_COUNTS_FILE:
        counts = str(Path(counts).with_suffix(ending))
    return command, counts


def image_formats(command: Command, counts: str | None, word: str | None) -> ImageFormats:
    """The format of each file.  Raises `CommandLineError` for a name that says another one."""
    kinds = [
        _format(name, path, word)
        for name, path in (("-intfile", command.int_path), ("-noisefile", command.noise_path))
    ]
    of_counts: ImageFormat | None = None
    if counts is not None and (word is not None or format_of_name(counts) is not None):
        of_counts = _format("--counts", Path(counts), word)
    return ImageFormats(kinds[0], kinds[1], of_counts)


def _format(name: str, path: Path | None, word: str | None) -> ImageFormat:
    if path is None:
        return "smv"
    if word is None:
        found = format_of_name(path) or "smv"
        if found not in _OF_NUMBERS:
            raise CommandLineError(
                f"{name}: got {str(path)!r}, need a name of another ending: {found} is a picture"
            )
        return found
    try:
        return checked_format(path, word)
    except ConfigError as error:
        raise CommandLineError(f"{name}: got {str(path)!r}, need {error.rule}") from None


def check_before(formats: ImageFormats, experiment: Experiment, quirks: Quirks) -> None:
    """Raises what the formats refuse of a geometry, before any time is spent."""
    others = set(formats) - {"smv", None}
    if not others:
        return
    from nanobragg_hybrid.formats.images.frame import Counting
    from nanobragg_hybrid.run.image_files import check_geometry, described

    frame, _ = described(experiment, quirks, Counting(), "Si")
    for chosen in others:
        assert chosen is not None
        check_geometry(frame, chosen)


def doubts_before(
    command: Command, formats: ImageFormats, header: SmvHeader, plan: ResolvedPlan
) -> Iterable[str]:
    """What other programs misread or refuse in the images that are asked for."""
    paths: Mapping[Path, ImageFormat] = {
        path: kind
        for path, kind in (
            (command.int_path, formats.integers),
            (command.noise_path, formats.noise),
        )
        if path is not None
    }
    if "smv" in paths.values() and (misread := header.misread(command.quirks)) is not None:
        yield misread
    for path, kind in paths.items():
        if kind in ("smv", "smv-adsc", "cbf"):
            for note in without_number(path, plan.osc_rad != 0.0):
                yield f"{path.name}: {note}"


def write_other(
    file: BinaryIO,
    path: Path,
    chosen: ImageFormat,
    result: SimulationResult,
    blocks: Iterable[Buffer | Any],
    counted: tuple[float, float, float] | None,
    warn: Warn,
) -> None:
    """Writes an image, which comes in blocks of rows, in a format of `write_image`.

    counted: pedestal, gain and saturation; None: what the response says.
    """
    import numpy as np

    from nanobragg_hybrid.formats.images.frame import Counting
    from nanobragg_hybrid.run.image_files import (
        counting_of,
        described,
        without_response,
        write_frame,
    )

    pixels = np.concatenate([np.asarray(block) for block in blocks])
    experiment = result.experiment
    if counted is None:
        counting = counting_of(experiment)
    else:
        experiment, counting = without_response(experiment), Counting(*counted)
    frame, plans = described(experiment, result.quirks, counting, "Si")
    frame = frame._replace(pixels=(pixels,))
    for note in write_frame(file, frame, chosen, experiment, plans, result.quirks):
        warn(f"{path.name}: {note}")
