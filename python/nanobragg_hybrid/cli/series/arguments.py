"""The words of `nanobragg-hybrid series`."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from typing import Any, Final

from nanobragg_hybrid.base.errors import CommandLineError, quoted
from nanobragg_hybrid.cli.nanobragg.options import Options, split_options
from nanobragg_hybrid.formats.images.frame import SENSOR_MATERIALS
from nanobragg_hybrid.model.result import IMAGE_FORMATS, IMAGE_PIXELS

ENGINE_OPTIONS: Final = ("--backend", "--device", "--dtype", "--kernel", "--quirks")
"""May stand on either side of the ``--``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--out",
        required=True,
        metavar="NAME",
        help="images, with a # for each digit of their numbers (x_####.cbf); or x.h5, one NXmx "
        "file over files of data",
    )
    parser.add_argument("--format", choices=IMAGE_FORMATS, help="default: by the name's ending")
    parser.add_argument(
        "--pixels",
        choices=IMAGE_PIXELS,
        help="what the images have (default: counts with --response, else nanoBragg's noise)",
    )
    parser.add_argument(
        "--sensor-material", choices=SENSOR_MATERIALS, default="Si", help="(default: Si)"
    )
    parser.add_argument(
        "--images-per-file",
        type=int,
        metavar="N",
        help="of the files of data of one NXmx file (default: 100); not beside other files",
    )
    parser.add_argument(
        "--truth",
        action="store_true",
        help="also write the reflections of all frames (HDF5, and .refl with .expt for DIALS)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with a series that was begun")
    _add_frames(parser.add_argument_group("frames"))
    _add_light(parser.add_argument_group("how bright"))
    _add_workers(parser.add_argument_group("who renders them"))


def _add_frames(frames: Any) -> None:
    frames.add_argument("--frames", type=int, metavar="N", help="how many (not with --grid)")
    frames.add_argument("--stills", action="store_true", help="stills in random orientations")
    frames.add_argument(
        "--osc", type=float, metavar="DEG", help="rotation of a frame (default: -osc of WORDS)"
    )
    frames.add_argument(
        "--start", type=float, metavar="DEG", help="where frame 1 begins (default: -phi of WORDS)"
    )
    frames.add_argument(
        "--grid",
        nargs=2,
        action="append",
        metavar=("FIELD", "VALUES"),
        help="every value of a field, as JSON: crystal.n_cells '[[5, 5, 5], [9, 9, 9]]'; again "
        "for more fields, the last of which changes fastest",
    )
    frames.add_argument(
        "--seed", type=int, metavar="N", help="of all that is drawn (default: -seed of WORDS, or 0)"
    )
    frames.add_argument(
        "--flux-jitter", type=float, default=0.0, metavar="S", help="relative, from frame to frame"
    )
    frames.add_argument(
        "--size-jitter", type=float, default=0.0, metavar="S", help="the same of the crystal's size"
    )
    frames.add_argument(
        "--sase",
        nargs=2,
        type=float,
        metavar=("EV", "FS"),
        help="a pulse of a free-electron laser for each frame: width and duration (full width at "
        "half maximum)",
    )
    frames.add_argument(
        "--sase-nodes", type=int, metavar="N", help="wavelengths of --sase (default: 101)"
    )


def _add_light(light: Any) -> None:
    light.add_argument(
        "--photons-in-brightest",
        type=float,
        metavar="N",
        help="choose the fluence so that the brightest spot of three frames has N photons",
    )
    light.add_argument(
        "--crystal-um",
        nargs="+",
        type=float,
        metavar="UM",
        help="size of the crystal, of blocks of -N cells: one edge, or three, the first along the "
        "beam; with --flux and --beam-um it decides the fluence",
    )
    light.add_argument("--flux", type=float, metavar="N", help="photons per second")
    light.add_argument(
        "--exposure", type=float, metavar="S", help="seconds of a frame (default: 1)"
    )
    light.add_argument("--beam-um", type=float, metavar="UM", help="edge of the square beam")


def _add_workers(workers: Any) -> None:
    workers.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: as many as cores)"
    )
    workers.add_argument(
        "--dask", metavar="ADDRESS", help="a dask scheduler, or local for a cluster of this machine"
    )
    workers.add_argument(
        "--mpi", action="store_true", help="ranks of mpiexec, of which 0 is the master"
    )
    workers.add_argument(
        "--shard", metavar="i/n", help="the i-th of n parts, for runs side by side"
    )
    workers.add_argument(
        "--print-sbatch", type=int, metavar="N", help="print the line for N Slurm jobs, and end"
    )
    workers.add_argument(
        "--progress-every",
        type=float,
        default=10.0,
        metavar="S",
        help="seconds between lines where standard error is no terminal; 0: none (default: 10)",
    )
    for name, what in (
        ("--backend", "what renders (default: c)"),
        ("--device", "of the backend torch"),
        ("--dtype", "of the backend torch"),
        ("--kernel", "of the backend"),
        ("--quirks", "preset and toggles (default: all on)"),
    ):
        workers.add_argument(name, metavar="NAME", help=what)


def words_with_options(arguments: argparse.Namespace, words: Sequence[str]) -> Options:
    """nanoBragg's words and options, with those that stood before the ``--``.

    Raises `CommandLineError`, also for options whose place is before it.
    """
    moved = []
    for name in ENGINE_OPTIONS:
        value = getattr(arguments, name[2:])
        if value is not None:
            moved += [name, value]
    options = split_options([*moved, *words])
    for name in ("json", "counts", "format"):
        if getattr(options, name) is not None:
            raise CommandLineError(f"--{name}: belongs to the command nanoBragg, not behind the --")
    return options


def shard_of(word: str | None) -> tuple[int, int] | None:
    """The numbers of --shard."""
    if word is None:
        return None
    number, slash, count = word.partition("/")
    if not (slash and number.isascii() and number.isdigit() and count.isascii()):
        raise CommandLineError(f"--shard: got {quoted(word)}, need i/n, as in 1/8")
    if not count.isdigit() or not 1 <= int(number) <= int(count):
        raise CommandLineError(f"--shard: got {quoted(word)}, need i/n with i from 1 to n")
    return int(number), int(count)


def grid_of(given: Sequence[Sequence[str]]) -> list[tuple[str, list[Any]]]:
    """The axes of --grid."""
    axes = []
    for path, text in given:
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, list):
            rule = "a list as JSON, as in '[1.0, 1.1]'"
            raise CommandLineError(f"--grid {path}: got {quoted(text)}, need {rule}")
        axes.append((path, values))
    return axes


def sbatch_line(own: Sequence[str], words: Sequence[str], count: int) -> str:
    """The line that gives a series to Slurm as an array of jobs.

    own: the words of the command before the ``--``, words: those behind it.
    """
    if not 1 <= count <= 10**5:
        raise CommandLineError(f"--print-sbatch: got {count}, need 1 to 100000")
    kept, skip = [], False
    for word in own:
        if skip:
            skip = False
        elif word in ("--print-sbatch", "--shard"):
            skip = True
        elif not word.startswith(("--print-sbatch=", "--shard=")) and word != "--resume":
            kept.append(word)
    command = shlex.join(["nanobragg-hybrid", *kept, "--resume"])
    job = f"{command} --shard ${{SLURM_ARRAY_TASK_ID}}/{count} -- {shlex.join(words)}"
    return f"sbatch --array=1-{count} --wrap={shlex.quote(job)}"
