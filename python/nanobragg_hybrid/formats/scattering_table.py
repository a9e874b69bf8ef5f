"""Tables of scattering: two columns of numbers (model 9.1)."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from nanobragg_hybrid.base.atomic import Destination
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError, quoted
from nanobragg_hybrid.formats.numbers import c_atof, exponent_hint
from nanobragg_hybrid.formats.text import read_text, write_text
from nanobragg_hybrid.model.validate import FINITE

_COLUMNS = ("abscissa", "value")


def read_scattering_table(
    path: str | os.PathLike[str],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Both columns of a text file, for `Scatterer`, `Scatterer.from_resolution` or
    `RadialBackground`, which say what they mean.

    A line has two numbers with blanks, tabs or a comma between them; lines end as in any system.
    Empty lines, and what stands behind a #, are skipped.

    Raises `FileAccessError`, and `FileFormatError` with the line for another number of words, for a
    word that is no finite number, and for an abscissa that was there before; also if there is no
    row.
    """
    rows: dict[float, tuple[int, float]] = {}
    text = read_text(path, "two columns of numbers", encoding="latin-1", own="h k l F")
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        if len(words) != len(_COLUMNS):
            raise FileFormatError(path, number, f"got {len(words)} words, need two numbers")
        x, y = (
            _number(path, number, column, word)
            for column, word in zip(_COLUMNS, words, strict=True)
        )
        if x in rows:
            problem = f"the abscissa {words[0]} was there before, at line {rows[x][0]}"
            raise FileFormatError(path, number, problem)
        rows[x] = number, y
    if not rows:
        raise FileFormatError(path, 0, "has no row of two numbers")
    return tuple(rows), tuple(y for _, y in rows.values())


def write_scattering_table(
    path: Destination, abscissae: Sequence[float], values: Sequence[float]
) -> None:
    """Writes two columns of the same length, to the last bit.

    Raises `FileAccessError`, and `ConfigError` for columns that are none, differ in length, or have
    a number that is not finite or an abscissa twice.
    """
    columns = []
    for name, column in (("abscissae", abscissae), ("values", values)):
        try:
            columns.append([FINITE.normalise(x) for x in column])
        except (TypeError, ValueError):
            raise ConfigError(name, column, "finite numbers") from None
    x, y = columns
    if len(x) != len(y) or not x:
        raise ConfigError("values", len(y), f"as many as abscissae, {len(x)}, and at least one")
    if len(set(x)) < len(x):
        raise ConfigError("abscissae", abscissae, "each of them once")
    write_text(path, "".join(f"{a!r} {b!r}\n" for a, b in zip(x, y, strict=True)))


def _number(path: str | os.PathLike[str], line: int, column: str, word: str) -> float:
    value, used = c_atof(word)
    if used != len(word) or not math.isfinite(value):
        problem = f"{column}: got {quoted(word)}, need a finite number{exponent_hint(word)}"
        raise FileFormatError(path, line, problem)
    return value
