"""The double-dash options of the drop-in command, taken out before nanoBragg's words are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Final

from nanobragg_hybrid.base.errors import CommandLineError, quoted

INPUT_OPTIONS: Final = ("--experiment", "--image", "--panel", "--column")
"""Of the command `nanoBragg`: what is read, and so what tools take beside nanoBragg's words."""


class Options:
    """Our own options, and `arguments`: everything else, in order."""

    def __init__(self) -> None:
        self.arguments: list[str] = []
        self.help = False
        self.version = False
        self.backend = "c"
        self.threads: int | None = None
        self.quirks = "nanobragg"
        self.strict = False
        self.json: str | None = None
        self.kernel: str | None = None
        self.tolerance_photons: float | None = None
        self.device: str | None = None
        self.dtype: str | None = None
        self.exact: bool | None = None
        self.response: str | None = None
        self.counts: str | None = None
        self.format: str | None = None
        self.experiment: str | None = None
        self.image: int | None = None
        self.panel: str | None = None
        self.column: str | None = None

    @property
    def columns(self) -> str | tuple[str, ...] | None:
        """The label of --column, or a pair of labels."""
        if self.column is None or "," not in self.column:
            return self.column
        return tuple(part.strip() for part in self.column.split(","))

    @property
    def engine_options(self) -> dict[str, object]:
        """What was given of the options that belong to engines."""
        return {
            "kernel": self.kernel,
            "tolerance_photons": self.tolerance_photons,
            "device": self.device,
            "dtype": self.dtype,
            "exact": self.exact,
        }


_SWITCHES = {
    "--help": "help",
    "-help": "help",
    "-h": "help",
    "--version": "version",
    "--strict": "strict",
    "--exact": "exact",
}
_VALUES = {
    "--backend": "backend",
    "--threads": "threads",
    "--quirks": "quirks",
    "--json": "json",
    "--kernel": "kernel",
    "--tolerance": "tolerance_photons",
    "--device": "device",
    "--dtype": "dtype",
    "--response": "response",
    "--counts": "counts",
    "--format": "format",
    "--experiment": "experiment",
    "--image": "image",
    "--panel": "panel",
    "--column": "column",
}


def split_options(arguments: Sequence[str], only: Collection[str] | None = None) -> Options:
    """Separates our options (as `--name value` or `--name=value`) from nanoBragg's words.

    only: those that count; None: all.

    Raises `CommandLineError` for a missing or impossible value.
    """
    options = Options()
    at = 0
    while at < len(arguments):
        name, equals, value = arguments[at].partition("=")
        at += 1
        if only is not None and name not in only:
            options.arguments.append(arguments[at - 1])
        elif name in _SWITCHES:
            if equals:
                raise CommandLineError(f"{name}: got {quoted(value)}, but it takes no value")
            setattr(options, _SWITCHES[name], True)
        elif name in _VALUES:
            if not equals:
                if at == len(arguments):
                    raise CommandLineError(f"{name}: needs a value after it")
                value = arguments[at]
                at += 1
            if not value:
                raise CommandLineError(f"{name}: got '', need a value")
            setattr(options, _VALUES[name], _READ.get(name, str)(value))
        else:
            options.arguments.append(arguments[at - 1])
    if options.counts is not None and options.response is None:
        raise CommandLineError("--counts: needs --response, which says what makes counts of light")
    if options.experiment is None:
        for name in ("--image", "--panel"):
            if getattr(options, _VALUES[name]) is not None:
                raise CommandLineError(f"{name}: belongs to --experiment, which is not given")
    return options


def nanobragg_options(arguments: Sequence[str]) -> Options:
    """Options of the input alone: `arguments` are what follows ``--`` of a tool.

    Raises `CommandLineError` for another word that begins with two dashes.
    """
    for word in arguments:
        if word.startswith("--") and word.partition("=")[0] not in INPUT_OPTIONS:
            raise CommandLineError(f"{word}: is no option of nanoBragg")
    return split_options(arguments, only=INPUT_OPTIONS)


def tolerance_of(word: str) -> float:
    """Photons, from a word of a command line; `CommandLineError` names --tolerance."""
    try:
        photons = float(word)
    except ValueError:
        photons = math.nan
    if not 0.0 <= photons < math.inf:
        raise CommandLineError(f"--tolerance: got {quoted(word)}, need a finite number >= 0")
    return photons


def _thread_count(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 10 and int(word) >= 1):
        raise CommandLineError(f"--threads: got {quoted(word)}, need a whole number >= 1")
    return int(word)


def _image_number(word: str) -> int:
    if not (word.isascii() and word.lstrip("-").isdigit() and len(word) < 10):
        raise CommandLineError(f"--image: got {quoted(word)}, need a whole number")
    return int(word)


_READ: Final[dict[str, Callable[[str], object]]] = {
    "--threads": _thread_count,
    "--tolerance": tolerance_of,
    "--image": _image_number,
}
"""What makes values of words that are no text."""
