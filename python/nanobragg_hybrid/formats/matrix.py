"""Orientation matrix files (`-mat`; model 4.2)."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Final

from nanobragg_hybrid.base.atomic import Destination
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError, quoted
from nanobragg_hybrid.formats.numbers import c_atof, exponent_hint
from nanobragg_hybrid.formats.text import read_text, write_text
from nanobragg_hybrid.model.validate import FINITE, Items

_BLANK: Final = " \t\n\v\f\r"
_NINE: Final = Items(9, FINITE)


def read_matrix(path: str | os.PathLike[str]) -> tuple[float, ...]:
    """The first nine numbers of a file, row by row; what follows them is not looked at.

    >>> import nanobragg_hybrid as nb
    >>> nb.read_matrix(nb.data_path("demo.mat"))[:3]
    (0.03326737, 0.0018112, 0.00033443)

    Row i holds the i-th components of a*, b*, c* times the wavelength in angstrom (model 4.2), as
    `Crystal.orientation_matrix`.  Numbers may touch where a sign separates them, as in tables of
    fixed columns.

    Raises `FileAccessError`, and `FileFormatError` with the line for fewer than nine numbers or a
    word that is no finite number.
    """
    text = read_text(path, "nine numbers of an orientation matrix", encoding="latin-1")
    values: list[float] = []
    at = start = 0
    while len(values) < 9:
        while at < len(text) and text[at] in _BLANK:
            at += 1
        if at == 0 or text[at - 1] in _BLANK:
            start = at
        line = text.count("\n", 0, at) + 1
        if at == len(text):
            raise FileFormatError(path, 0, f"got {len(values)} numbers, need nine")
        end = at
        while end < len(text) and text[end] not in _BLANK:
            end += 1
        word = text[at:end]
        value, used = c_atof(word)
        if used == 0 or not math.isfinite(value):
            if used == 0 and at > start:
                word = text[start:end]  # the number before it is a part of the same word
            raise FileFormatError(
                path,
                line,
                f"number {len(values) + 1} of nine: got {quoted(word)}, need a finite number"
                f"{exponent_hint(word)}",
            )
        values.append(value)
        at += used
    return tuple(values)


def write_matrix(path: Destination, matrix: Sequence[float]) -> None:
    """Writes nine numbers as three rows, with every digit that `read_matrix` needs.

    Raises `ConfigError` unless they are nine finite numbers; `FileAccessError`.
    """
    try:
        values = _NINE.normalise(matrix)
    except ValueError:
        raise ConfigError("crystal.orientation_matrix", matrix, "nine finite numbers") from None
    rows = (" ".join(map(repr, values[3 * row : 3 * row + 3])) for row in range(3))
    write_text(path, "".join(row + "\n" for row in rows))
