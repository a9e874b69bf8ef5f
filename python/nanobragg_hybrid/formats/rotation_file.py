"""Files of rotations (`-mosaic_rotations`): a line for each, as a matrix or as a vector."""

from __future__ import annotations

import os
from typing import Final

from nanobragg_hybrid.base.atomic import Destination
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError
from nanobragg_hybrid.formats.columns import finite_number, lines_of
from nanobragg_hybrid.formats.text import read_text, write_text
from nanobragg_hybrid.model.rotations import Rotations
from nanobragg_hybrid.model.validate import require_class

_NEEDED: Final = "lines of a rotation and its weight"
_COLUMNS: Final = (3, 4, 9, 10)


def read_rotations(path: str | os.PathLike[str]) -> Rotations:
    """The rotations of a text file, a line for each.

    A line has the nine elements of a matrix, row by row (see `Rotations`), or the three components
    of a rotation vector, degrees; and, or not, a weight behind them.  All lines have as many
    columns.  They are parted by white space, commas or semicolons; lines end in LF, CR LF or CR;
    what follows #, !, % or // is a comment.

    Raises `FileAccessError`, and `FileFormatError` with the line for another number of columns, a
    word that is no finite number, a matrix that is no proper rotation to 1e-6 or a weight below 0,
    and without one for weights that are all 0.
    """
    rows: list[list[float]] = []
    lines: list[int] = []
    for line in lines_of(read_text(path, _NEEDED, own="h k l F")):
        if not line.words:
            continue
        count = len(line.words)
        if count not in _COLUMNS:
            need = "a matrix (9) or a vector (3), and a weight or none"
            raise FileFormatError(path, line.number, f"got {count} columns, need {need}")
        if rows and count != len(rows[0]):
            problem = f"got {count} columns, need {len(rows[0])} as in the lines before"
            raise FileFormatError(path, line.number, problem)
        rows.append([finite_number(path, line.number, word) for word in line.words])
        lines.append(line.number)
    if not rows:
        raise FileFormatError(path, 0, "has no rotation")
    try:
        return _rotations(rows)
    except ConfigError as error:
        raise _blamed(path, rows, lines, error) from None


def write_rotations(path: Destination, rotations: Rotations) -> None:
    """Writes a line for each rotation, its matrix and its weight, with every digit that
    `read_rotations` needs.

    Raises `ConfigError` for what are no rotations; `FileAccessError`.
    """
    require_class("rotations", rotations, Rotations)
    matrices, weights = rotations.matrices.reshape(-1, 9).tolist(), rotations.weights.tolist()
    rows = ([*matrix, weight] for matrix, weight in zip(matrices, weights, strict=True))
    lines = ["# matrix, row by row, and weight", *(" ".join(map(repr, row)) for row in rows)]
    write_text(path, "\n".join(lines) + "\n")


def _rotations(rows: list[list[float]]) -> Rotations:
    import numpy as np

    table = np.array(rows)
    columns = table.shape[1]
    weights = table[:, -1] if columns in (4, 10) else None
    if columns in (3, 4):
        return Rotations.from_vectors(table[:, :3], weights)
    return Rotations(table[:, :9].reshape(-1, 3, 3), weights)


def _blamed(
    path: str | os.PathLike[str], rows: list[list[float]], lines: list[int], error: ConfigError
) -> FileFormatError:
    """The error of the first line that is refused alone, or else of the whole file."""
    for row, line in zip(rows, lines, strict=True):
        try:
            _rotations([row])
        except ConfigError as own:
            # A weight of 0 is fine as long as there are others.
            if own.field != "rotations.weights" or row[-1] != 0.0:
                problem = str(own).partition(": ")[2].replace("matrix [0], which", "a matrix that")
                return FileFormatError(path, line, problem)
    return FileFormatError(path, 0, str(error).partition(": ")[2])
