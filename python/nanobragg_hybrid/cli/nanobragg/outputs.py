"""The files that a run writes: which ones, whether they can be written, and writing them."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nanobragg_hybrid.base.atomic import AtomicFiles, atomic_write, is_standard_output
from nanobragg_hybrid.base.errors import CommandLineError
from nanobragg_hybrid.cli.nanobragg.image_formats import write_other
from nanobragg_hybrid.formats.raw import write_raw
from nanobragg_hybrid.formats.smv import SmvHeader, write_smv_blocks

if TYPE_CHECKING:
    from nanobragg_hybrid.arguments.command import Command
    from nanobragg_hybrid.cli.nanobragg.facts import Images
    from nanobragg_hybrid.cli.nanobragg.image_formats import ImageFormats
    from nanobragg_hybrid.cli.nanobragg.inputs import Warn
    from nanobragg_hybrid.model.quirks import Quirks
    from nanobragg_hybrid.model.result import SimulationResult
    from nanobragg_hybrid.model.structure_factors import StructureFactors

FLOATS, INTEGERS, PGM, NOISE = "float image", "integer image", "PGM picture", "noise image"
DUMP, JSON, COUNTS = "structure factor dump", "JSON", "counts"


def output_files(
    command: Command, json_path: str | None, counts_path: str | None = None
) -> dict[str, Path]:
    """Every file that the command writes, by what it holds."""
    wanted = {
        FLOATS: command.float_path,
        INTEGERS: command.int_path,
        PGM: command.pgm_path,
        NOISE: command.noise_path,
        DUMP: None if command.hkl_path is None else command.dump_path,
        COUNTS: None if counts_path is None else Path(counts_path),
        JSON: None if json_path is None else Path(json_path),
    }
    return {kind: path for kind, path in wanted.items() if path is not None}


def named_files(outputs: Mapping[str, Path]) -> dict[str, str]:
    """The images and the dump: kind -> path."""
    return {kind: str(path) for kind, path in outputs.items() if kind != JSON}


class _OnlyAskingError(Exception):
    """Leaves `atomic_write` without writing."""


def check_outputs(outputs: Mapping[str, Path], inputs: Iterable[Path]) -> None:
    """Raises an error for the first file that should not be written, before any time is spent.

    `FileAccessError` if it cannot be written; `CommandLineError` if it would replace another output
    or one of `inputs`, the files that were read.  What is no regular file (a pipe, /dev/null) is
    not tried and may be named twice, standard output excepted.
    """
    taken = {path.resolve(): "a file that is read" for path in inputs}
    on_standard_output = None
    for kind, path in outputs.items():
        if is_standard_output(path):
            if on_standard_output is not None:
                raise CommandLineError(
                    f"{path}: named for the {kind}, but standard output is also named for the "
                    f"{on_standard_output}"
                )
            on_standard_output = kind
        if _is_special(path):
            continue
        try:
            with atomic_write(path):
                raise _OnlyAskingError
        except _OnlyAskingError:
            pass
        place = path.resolve()
        if place in taken:
            raise CommandLineError(f"{path}: named for the {kind}, but it is {taken[place]}")
        taken[place] = f"also named for the {kind}"


def write_outputs(
    outputs: Mapping[str, Path],
    quirks: Quirks,
    table: StructureFactors,
    result: SimulationResult,
    images: Images,
    formats: ImageFormats,
    document: Callable[[], str],
    warn: Warn,
) -> None:
    """Writes every file: all of them or none.  `document` makes the text of the JSON file, which is
    the last one; `warn` gets what the others have no place for."""
    output = result.experiment.output
    header = SmvHeader.from_plan(result.plan, result.experiment)
    with AtomicFiles() as files:
        for kind, path in outputs.items():
            with files.write(path) as file:
                if kind == FLOATS:
                    write_raw(file, result.image_buffer)
                elif kind == INTEGERS and formats.integers != "smv":
                    counted = output.adc_offset, images.integer.scale_used, 65535.0
                    blocks = images.integer.blocks()
                    write_other(file, path, formats.integers, result, blocks, counted, warn)
                elif kind == INTEGERS:
                    write_smv_blocks(
                        file, images.integer.blocks(), result.image_buffer.shape, header, quirks
                    )
                elif kind == PGM and images.pgm is not None:
                    from nanobragg_hybrid.formats.pgm import write_pgm_blocks

                    write_pgm_blocks(
                        file, images.pgm.blocks(), result.image_buffer.shape, images.pgm.scale_used
                    )
                elif kind == NOISE and images.noise is not None and formats.noise != "smv":
                    counted = output.adc_offset, 1.0, 65535.0
                    blocks = images.noise.blocks()
                    write_other(file, path, formats.noise, result, blocks, counted, warn)
                elif kind == NOISE and images.noise is not None:
                    write_smv_blocks(
                        file, images.noise.blocks(), result.image_buffer.shape, header, quirks
                    )
                elif kind == DUMP:
                    from nanobragg_hybrid.formats.dump import write_dump

                    write_dump(file, table)
                elif kind == COUNTS and formats.counts is not None:
                    whole = [result.counts]
                    write_other(file, path, formats.counts, result, whole, None, warn)
                elif kind == COUNTS and result.counts is not None:
                    from nanobragg_hybrid.formats.npy import write_npy

                    write_npy(file, result.counts)
                elif kind == JSON:
                    file.write(document().encode("utf-8"))


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
