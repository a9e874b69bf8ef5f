"""What one nanoBragg command line asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.quirks import Quirks


class Command(NamedTuple):
    """A parsed command line: the experiment, and what to read, write and print around it.

    Relative file names are already joined to the folder that `parse` was given.  A path of None
    means that the file is not wanted.  Pixels are (fast, slow).
    """

    experiment: Experiment
    quirks: Quirks
    hkl_path: Path | None
    dump_path: Path
    dump_named: bool  # -dump was given, so a missing dump is an error and not just "none here"
    default_f: float
    float_path: Path
    int_path: Path
    pgm_path: Path | None
    noise_path: Path | None
    printout: bool = False
    printout_pixel: tuple[int, int] | None = None
    trace_pixel: tuple[int, int] | None = None
    progress: bool = True
    ignored: tuple[str, ...] = ()  # flags given that change nothing, with their values
    warnings: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()  # files that were read and that no output should replace
