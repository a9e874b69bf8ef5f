"""Text files of numbers in columns: lines, comments, words."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from nanobragg_hybrid.base.errors import FileFormatError, quoted
from nanobragg_hybrid.formats.numbers import c_atof, exponent_hint

_COMMENT: Final = re.compile(r"#|!|%|//")
_SEPARATOR: Final = re.compile(r"[\s,;]+")
_END: Final = re.compile(r"\r\n|\n|\r")


class Line(NamedTuple):
    """One line of a file: its number from 1, the words before its comment, and the comment."""

    number: int
    words: list[str]
    comment: str


def lines_of(text: str) -> Iterator[Line]:
    """The lines of a text, blank ones too.

    Words are parted by white space, commas or semicolons; lines end in LF, CR LF or CR.  What
    follows #, !, % or // is a comment.
    """
    for number, line in enumerate(_END.split(text), start=1):
        body = _COMMENT.split(line, maxsplit=1)[0]
        words = [word for word in _SEPARATOR.split(body) if word]
        yield Line(number, words, line[len(body) :])


def finite_number(path: str | os.PathLike[str], line: int, word: str) -> float:
    """The number that a word is.  Raises `FileFormatError` for a word that is no finite number."""
    value, used = c_atof(word)
    if used != len(word) or not math.isfinite(value):
        problem = f"got {quoted(word)}, need a finite number{exponent_hint(word)}"
        raise FileFormatError(path, line, problem)
    return value
