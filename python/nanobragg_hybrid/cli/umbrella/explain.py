"""What each quirk does to the image of a command line (`nanobragg-hybrid quirks --explain`)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, Description, NanobraggError
from nanobragg_hybrid.cli.nanobragg.inputs import Input, Warn, read_input, read_input_again
from nanobragg_hybrid.cli.nanobragg.outputs import check_outputs
from nanobragg_hybrid.compare.pictures import grey, painted, white_point
from nanobragg_hybrid.engines.protocol import Engine
from nanobragg_hybrid.engines.registry import make_engine
from nanobragg_hybrid.model.quirks import LEDGER, Quirk, Quirks
from nanobragg_hybrid.run.prepare import prepare

if TYPE_CHECKING:
    from nanobragg_hybrid.cli.nanobragg.options import Options
    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.result import SimulationResult

Image = NDArray[np.float32]

COLOURS: Final = {
    "red": (214, 39, 40),
    "blue": (31, 119, 180),
    "green": (44, 160, 44),
    "orange": (255, 127, 14),
    "purple": (148, 103, 189),
    "cyan": (23, 190, 207),
    "pink": (227, 119, 194),
    "olive": (188, 189, 34),
}
"""Of the rows in a picture, in order, and then from the first on again."""

_VISIBLE = 8  # grey levels of 255


class Change(NamedTuple):
    """What flipping a quirk does to an image.

    relative_l2: root of the summed squares of all changes, over that of the image before.
    fast, slow: the pixel that changes most; before, after: what it is worth, photons.
    total_before, total_after: photons of the whole image.
    """

    relative_l2: float
    fast: int
    slow: int
    before: float
    after: float
    total_before: float
    total_after: float

    @classmethod
    def between(cls, before: Image, after: Image) -> Change:
        """Of two finite images of the same shape."""
        old, new = before.astype(np.float64), after.astype(np.float64)
        difference = np.abs(new - old)
        slow, fast = np.unravel_index(int(difference.argmax()), difference.shape)
        norm, change = float(np.linalg.norm(old)), float(np.linalg.norm(difference))
        return cls(
            relative_l2=change / norm if norm > 0.0 else math.inf if change > 0.0 else 0.0,
            fast=int(fast),
            slow=int(slow),
            before=float(old[slow, fast]),
            after=float(new[slow, fast]),
            total_before=float(old.sum()),
            total_after=float(new.sum()),
        )


class Look(NamedTuple):
    """A pixel that was asked about, and what it is worth before and after, photons."""

    fast: int
    slow: int
    before: float
    after: float


class Row(NamedTuple):
    """One quirk: its change, the pixels that were asked about, and its colour in the picture; or
    the problem that kept the image with the quirk flipped from being rendered."""

    quirk: Quirk
    change: Change | None
    looks: tuple[Look, ...]
    colour: str
    problem: str


class Explanation(NamedTuple):
    """The image as asked for, one row for each quirk that matters, in ledger order, and a picture:
    grey, and in a row's colour where that row changes a pixel visibly, and more than others do.
    A pixel that is not finite counts as 0."""

    quirks: Quirks
    image: Image
    rows: tuple[Row, ...]
    picture: NDArray[np.uint8]


def explain(
    options: Options,
    pixels: Sequence[tuple[int, int]],
    warn: Warn,
    outputs: Mapping[str, Path] = MappingProxyType({}),
) -> Explanation:
    """Renders a command line, and again for each quirk that could have changed its image, with that
    quirk off.

    These are the quirks that the simulation names, and those without which words and files mean
    another experiment or other structure factors.  `pixels` to look at are (fast, slow).  `outputs`
    are the files that will be written, by what they hold.  Raises errors of the package for the
    command line as asked for, and for a file that should not be written.
    """
    engine = make_engine(options.backend, options.engine_options)
    quirks = Quirks.parse(options.quirks)
    asked = read_input(options, quirks, warn)
    check_outputs(outputs, asked.files())
    for pixel in pixels:
        _require_pixel(pixel, asked.command.experiment.detector.shape)
    base = _simulate(engine, options.threads, asked, None)
    for text in base.warnings:
        warn(text)
    image = _finite(base.image)
    level = white_point(image)
    levels = grey(image, level)
    which = np.full(levels.shape, -1, np.int8)
    largest = np.zeros(levels.shape, np.float32)

    rows: list[Row] = []
    for quirk in LEDGER:
        if not getattr(quirks, quirk.name):
            continue
        colour = list(COLOURS)[len(rows) % len(COLOURS)]
        try:
            flipped = _flipped(options, asked, quirk)
            if quirk.name not in base.quirks_that_mattered and _same(flipped, asked):
                continue
            after = _finite(_simulate(engine, options.threads, flipped, base.experiment).image)
        except NanobraggError as error:
            rows.append(Row(quirk, None, (), colour, str(error)))
            continue
        if after.shape != image.shape:
            problem = f"the image has {after.shape[1]} x {after.shape[0]} pixels then"
            rows.append(Row(quirk, None, (), colour, problem))
            continue
        change = np.abs(after - image)
        seen = np.abs(grey(after, level).astype(np.int16) - levels) >= _VISIBLE
        mine = seen & (change > largest)
        which[mine], largest[mine] = len(rows) % len(COLOURS), change[mine]
        looks = tuple(
            Look(fast, slow, float(image[slow, fast]), float(after[slow, fast]))
            for fast, slow in pixels
        )
        rows.append(Row(quirk, Change.between(image, after), looks, colour, ""))
    colours = np.array(list(COLOURS.values()), np.uint8)
    return Explanation(quirks, image, tuple(rows), painted(levels, which, colours))


def _simulate(
    engine: Engine, threads: int | None, given: Input, seeds: Experiment | None
) -> SimulationResult:
    """With the seeds of an experiment that was rendered before."""
    experiment = given.command.experiment
    if seeds is not None and experiment.crystal.misset_seed is None:
        if given.command.quirks.misset_seed_default:
            experiment = experiment.replace({"crystal.misset_seed": seeds.crystal.misset_seed})
        experiment = experiment.replace({"output.noise_seed": seeds.output.noise_seed})
    run = prepare(experiment, given.table, backend=engine, quirks=given.command.quirks)
    return run.render_quietly(threads=threads)


def _finite(image: Image) -> Image:
    """The image with 0 in place of pixels that are not finite."""
    return np.where(np.isfinite(image), image, np.float32(0.0))


def _flipped(options: Options, asked: Input, quirk: Quirk) -> Input:
    """The input with the quirk off; structure factors are read again only where it acts on them."""
    quirks = dataclasses.replace(asked.command.quirks, **{quirk.name: False})
    reads_table = "fdump_whitespace" if asked.command.hkl_path is None else "hkl_stream"
    if quirk.name == reads_table:
        return read_input(options, quirks, _silent)
    return read_input_again(options, quirks, _silent, asked.table)


def _silent(text: str) -> None:
    """Every oddity was told when the input was read as asked for."""


def _same(flipped: Input, asked: Input) -> bool:
    # a table that holds NaN equals none, not even itself
    same_table = flipped.table is asked.table or flipped.table == asked.table
    return same_table and flipped.command.experiment == asked.command.experiment


def _require_pixel(pixel: tuple[int, int], shape: tuple[int, int]) -> None:
    if not (0 <= pixel[0] < shape[1] and 0 <= pixel[1] < shape[0]):
        rule = f"fast 0 to {shape[1] - 1}, slow 0 to {shape[0] - 1}"
        raise ConfigError("pixel", Description(f"fast {pixel[0]}, slow {pixel[1]}"), rule)


def explanation_lines(explanation: Explanation, *, has_picture: bool) -> Iterator[str]:
    """The explanation as text; has_picture: the colours of its picture, too."""
    image, rows = explanation.image, explanation.rows
    slow, fast = np.unravel_index(int(image.argmax()), image.shape)
    yield f"quirks: {explanation.quirks}"
    yield (
        f"image: {image.shape[1]} x {image.shape[0]} pixels, "
        f"{float(image.sum(dtype=np.float64)):g} photons, "
        f"brightest {float(image[slow, fast]):g} at fast {fast}, slow {slow}"
    )
    if not rows:
        yield "no quirk that is on could have changed this image"
    for row in rows:
        yield ""
        yield f"{row.quirk.id} {row.quirk.name}: {row.quirk.summary}"
        if row.change is None:
            yield f"  off: {row.problem}"
            continue
        change = row.change
        if change.relative_l2 == 0.0:
            yield "  off: the same image"
            continue
        yield f"  relative L2 change  {change.relative_l2:.6g}"
        yield f"  total               {_arrow(change.total_before, change.total_after)}"
        yield (
            f"  most changed pixel  fast {change.fast}, slow {change.slow}: "
            f"{_arrow(change.before, change.after)}"
        )
        for look in row.looks:
            values = _arrow(look.before, look.after)
            yield f"  pixel asked about   fast {look.fast}, slow {look.slow}: {values}"
        if has_picture:
            yield f"  in the picture      {row.colour}"


def _arrow(before: float, after: float) -> str:
    is_alike = before > 0.0 and 0.1 < after / before < 10.0
    percent = f" ({100.0 * (after / before - 1.0):+.3g} %)" if is_alike else ""
    return f"{before:g} -> {after:g}{percent}"


def explanation_document(explanation: Explanation) -> dict[str, Any]:
    """The explanation as plain data."""

    def row_data(row: Row) -> dict[str, Any]:
        change = row.change
        data: dict[str, Any] = {
            "id": row.quirk.id,
            "name": row.quirk.name,
            "summary": row.quirk.summary,
            "problem": row.problem or None,
        }
        if change is not None:
            data["relative_l2"] = change.relative_l2
            data["total"] = {"before": change.total_before, "after": change.total_after}
            data["largest"] = {
                "fast": change.fast,
                "slow": change.slow,
                "before": change.before,
                "after": change.after,
            }
            data["colour"] = row.colour
            data["pixels"] = [look._asdict() for look in row.looks]
        return data

    return {
        "format": "nanobragg-hybrid quirk effects",
        "schema_version": 1,
        "quirks": str(explanation.quirks),
        "shape": list(explanation.image.shape),
        "rows": [row_data(row) for row in explanation.rows],
    }
