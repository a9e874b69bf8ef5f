"""Source files (`-sourcefile`; model 5.2): a line x y z weight wavelength(m) for each source."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterable
from typing import Any, Final

from nanobragg_hybrid.base.atomic import Destination
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError, NanobraggWarning, quoted
from nanobragg_hybrid.formats.numbers import c_atof, exponent_hint
from nanobragg_hybrid.formats.text import read_text, write_text
from nanobragg_hybrid.model.beam import Source
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.validate import require_class

SHORTEST_M: Final = 1e-13
LONGEST_M: Final = 1e-7
"""Wavelengths of X-rays, m."""

COLUMNS: Final = ("x", "y", "z", "weight", "wavelength")
_SEPARATORS: Final = " \t,;:!"
_PASSED: Final = "0123456789-+.EGeg"
"""What nanoBragg passes over behind the place where a number began."""
_WORD: Final = rf"[^{_SEPARATORS}\r\n]+"
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")  # with its newline, if it has one


def read_source_file(
    path: str | os.PathLike[str], *, quirks: Quirks | None = None
) -> tuple[Source, ...]:
    """The sources of a file; columns that a line does not have are None (the weight is 1).

    With the quirk source_file_comments on (default), a word that is no number counts as 0, so that
    a comment is a source of zeros.  A line that ends in such a word, in a carriage return or
    without its newline has 0 in the columns that it lacks.  With the quirk off, comments (#) are
    skipped, missing columns are missing and a word that is no number is an error.

    Raises `FileAccessError`, and `FileFormatError` with the line for a number that is not finite,
    or if there is not one source.  Warns about words and columns that count as 0.  Sources that
    cannot be (no direction, fewer than three columns, a wavelength outside 1e-13 to 1e-7 m) are a
    warning, and with the quirk impossible_sources off a `FileFormatError`.
    """
    as_nanobragg = quirks_or_all(quirks).source_file_comments
    sources: list[Source] = []
    lines: list[int] = []  # of the sources
    odd: list[tuple[int, str, float]] = []  # line, word and what it counts as
    lost: list[tuple[int, int]] = []  # line and how many columns it gives
    text = read_text(path, "lines x y z weight wavelength", encoding="latin-1", own="h k l F")
    for number, line in enumerate(_LINE.findall(text), start=1):
        if as_nanobragg:
            values, words, given = _line_as_nanobragg(line)
            odd += [(number, *word) for word in words]
            if given < len(values):
                lost.append((number, given))
        else:
            values = _line(path, number, line)
        if not values:
            continue
        for column, value in zip(COLUMNS, values, strict=False):
            if not math.isfinite(value):
                raise FileFormatError(path, number, f"{column}: got {value}, need a finite number")
        sources.append(_source(values))
        lines.append(number)
    if not sources:
        raise FileFormatError(path, 0, "has no source")
    name = os.fspath(path)
    if odd:
        number, word, value = odd[0]
        more = f", and {len(odd) - 1} more words are none" if len(odd) > 1 else ""
        more = exponent_hint(word) + more
        text = f"{name}:{number}: {quoted(word)} is no number and counts as {value:g}{more}"
        warnings.warn(text, NanobraggWarning, stacklevel=2)
    if lost:
        number, given = lost[0]
        columns = ", ".join(COLUMNS[given:])
        more = f"; {len(lost)} lines are like that" if len(lost) > 1 else ""
        text = (
            f"{name}:{number}: counts as 0 instead of the default: {columns}, because the line "
            f"does not end in a number and a newline (quirk source_file_comments){more}"
        )
        warnings.warn(text, NanobraggWarning, stacklevel=2)
    _look_at_sources(path, sources, lines, quirks_or_all(quirks))
    return tuple(sources)


def _look_at_sources(
    path: str | os.PathLike[str], sources: list[Source], lines: list[int], quirks: Quirks
) -> None:
    """Tells of sources that cannot be, which engines see by number only (model 5.2).

    With the quirk impossible_sources on it is one warning with their count and the first line, with
    it off a `FileFormatError`.  What depends on the beam's direction is the engine's to say.
    """
    found = [
        (line, problem)
        for line, source in zip(lines, sources, strict=True)
        if (problem := _problem(source))
    ]
    if not found:
        return
    line, problem = found[0]
    if not quirks.impossible_sources:
        raise FileFormatError(path, line, problem)
    more = f"; {len(found)} lines have no source that can be" if len(found) > 1 else ""
    warnings.warn(
        f"{os.fspath(path)}:{line}: {problem} (quirk impossible_sources){more}",
        NanobraggWarning,
        stacklevel=3,
    )


def _problem(source: Source) -> str:
    """What is wrong with a line's source by itself; empty: nothing."""
    columns = sum(x is not None for x in source.position)
    if columns < 3:
        return f"got {columns} of the columns x, y and z, need all three"
    if not any(source.position):
        return "got 0 0 0, need a direction"
    wavelength = source.wavelength_m
    if wavelength is not None and not SHORTEST_M <= wavelength <= LONGEST_M:
        return f"wavelength: got {wavelength:g} m, need one from {SHORTEST_M:g} to {LONGEST_M:g} m"
    return ""


def write_source_file(path: Destination, sources: Iterable[Source]) -> None:
    """Writes a line for each source, with every digit that `read_source_file` needs.

    Columns that are None are left out, which only works at the end of a line.  Raises `ConfigError`
    if a given column follows one that is None, for a source without any column, or if there is no
    source at all; `FileAccessError`.
    """
    lines = []
    given: Any = sources
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise ConfigError("sources", given, "objects of class Source")
    for number, source in enumerate(sources):
        require_class(f"sources[{number}]", source, Source)
        columns = [*source.position, source.weight, source.wavelength_m]
        if None in source.position and source.weight == 1.0:
            columns[3] = None
        given = columns.index(None) if None in columns else len(columns)
        if given == 0 or any(column is not None for column in columns[given:]):
            missing = COLUMNS[given]
            raise ConfigError(
                f"sources[{number}]", source, f"{missing}, or no column from {missing} on"
            )
        lines.append(" ".join(repr(column) for column in columns[:given]) + "\n")
    if not lines:
        raise ConfigError("sources", (), "at least one source")
    write_text(path, "".join(lines))


def _line_as_nanobragg(line: str) -> tuple[list[float], list[tuple[str, float]], int]:
    """The columns of a line, which ends with its newline if it has one; none if it is blank.

    Also the words that are no numbers with their values, and how many of the columns are there:
    the rest is 0 because the search for a separator ran to the end of the line, newline and all.
    """
    values: list[float] = []
    odd: list[tuple[str, float]] = []
    given = 0
    at = _skip(line, 0, _SEPARATORS)
    while len(values) < len(COLUMNS) and line[at:] != "\n":
        value, used = c_atof(line, at)
        values.append(value)
        word = re.match(_WORD, line[at:])
        if word is not None:
            given = len(values)
            if used < len(word[0]):
                odd.append((word[0], value))
        at = _skip(line, at, _PASSED)
        if line[at:] == "\n":
            break
        while at < len(line) and line[at] not in _SEPARATORS:
            at += 1
        at = _skip(line, at, _SEPARATORS)
    return values, odd, given


def _line(path: str | os.PathLike[str], number: int, line: str) -> list[float]:
    """The corrected reading of a line: comments are skipped, words must be numbers."""
    for separator in _SEPARATORS + "\r":
        line = line.replace(separator, " ")
    values: list[float] = []
    for word in line.partition("#")[0].split()[: len(COLUMNS)]:
        value, used = c_atof(word)
        if used != len(word):
            column = COLUMNS[len(values)]
            problem = f"{column}: got {quoted(word)}, need a number{exponent_hint(word)}"
            raise FileFormatError(path, number, problem)
        values.append(value)
    return values


def _skip(line: str, at: int, characters: str) -> int:
    while at < len(line) and line[at] in characters:
        at += 1
    return at


def _source(values: list[float]) -> Source:
    columns: list[float | None] = [*values, *[None] * (len(COLUMNS) - len(values))]
    x, y, z, weight, wavelength_m = columns
    return Source((x, y, z), 1.0 if weight is None else weight, wavelength_m)
