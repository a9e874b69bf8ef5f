"""Structure factors as text (`-hkl`): h k l F."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from typing import Final

from nanobragg_hybrid.base.atomic import Destination, atomic_write
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError, NanobraggWarning, quoted
from nanobragg_hybrid.base.host import sparse_table_text
from nanobragg_hybrid.base.native import HklText, parse_hkl_text
from nanobragg_hybrid.formats.file_kinds import SHELX, kind_of, refuse_other_kind
from nanobragg_hybrid.formats.numbers import c_atof, exponent_hint
from nanobragg_hybrid.formats.text import read_bytes
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.structure_factors import StructureFactors, checked_default_f
from nanobragg_hybrid.model.validate import require_class

_LINES_AT_A_TIME: Final = 65536
_LOOKED_AT: Final = 4096  # bytes of a text that show its columns
_TOUCHING: Final = re.compile(r"(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:[+-]\d[\d.]*)*")
"""Numbers that only their signs separate, as in tables of fixed columns."""


def read_hkl(
    path: str | os.PathLike[str], *, default_f: float = 0.0, quirks: Quirks | None = None
) -> StructureFactors:
    """Reads h k l F; reflections that are not listed get `default_f`, the last one of several wins.

    >>> import nanobragg_hybrid as nb
    >>> nb.read_hkl(nb.data_path("demo.hkl")).reflections
    7400

    With the quirk hkl_stream on (default), numbers are taken four at a time whatever the lines, and
    reading ends for good at a word that does not fit.  With it off, each line has its own
    reflection in its first four columns, and what does not fit is an error.

    Warns of reflections that could not be used, of those listed more than once, of a few that span
    a large table, and of a file that looks like SHELX's.  Raises `FileAccessError`;
    `FileFormatError` for a file of another kind, and with the line for a number that is not finite,
    an index that does not fit, or if there is no reflection; `ResourceError` if the table does not
    fit into memory.
    """
    default_f = checked_default_f(default_f)
    stream = quirks_or_all(quirks).hkl_stream
    data = read_bytes(path)
    kind = kind_of(data, own="h k l F")
    if kind is not None and kind is not SHELX:
        refuse_other_kind(path, data, "text of h k l F", own="h k l F")
    if not stream and b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        text = parse_hkl_text(data, stream=stream, default_f=default_f, path=path)
    except FileFormatError as error:
        hint = _hint_for_line(data, error.line)
        raise FileFormatError(path, error.line, error.problem + hint) from None
    name = os.fspath(path)
    messages = [*_oddities(name, data, text), *_odd_columns(name, data, text, stream=stream)]
    if kind is SHELX:
        messages.append(f"{name}: looks like {SHELX.name}, but F is taken from it: {SHELX.advice}")
    for message in messages:
        warnings.warn(message, NanobraggWarning, stacklevel=2)
    return StructureFactors.from_reader(
        text.grid, text.hkl_min, default_f, reflections=text.reflections
    )


def used_text(used: int, listed: int, reason: str) -> str:
    """What every reader of reflections says if it could not use all of them."""
    return f"used {used} of {listed} reflections: {reason}"


def _odd_columns(name: str, data: bytes, text: HklText, *, stream: bool) -> Iterator[str]:
    """What to say of lines that are not h k l F, as the first of them show it."""
    before, _, last = data.rstrip().rpartition(b"\n")
    shown = before if len(before) < _LOOKED_AT else before[:_LOOKED_AT].rpartition(b"\n")[0]
    counts = {len(line.split()) for line in shown.split(b"\n")} - {0}
    if not counts:
        return
    if not stream:
        if min(counts) >= 8:
            yield f"{name}: lines have {min(counts)} numbers, of which the first four count"
        return
    if len(counts) == 1 and (count := min(counts)) > 4 and count % 4:
        yield (
            f"{name}: lines have {count} numbers, but four at a time are taken as h k l F, across "
            "lines (quirk hkl_stream): leave out what is behind F"
        )
    elif len(last.split()) < 4 and not text.stopped_at_line and counts == {4}:
        reason = f"the last line has {len(last.split())} of h k l F"
        yield f"{name}: {used_text(text.filled, text.reflections + 1, reason)}"


def _oddities(name: str, data: bytes, text: HklText) -> Iterator[str]:
    """One sentence for each thing about a text that a user should know."""
    if text.fractional:
        yield f"{name}: {text.fractional} indices are not whole numbers"
    if text.stopped_at_line:
        word, left = _stop(data, text.stopped_at_line)
        reason = f"reading ended at {quoted(word)}, which is no number{exponent_hint(word)}"
        listed = text.reflections + left
        yield f"{name}:{text.stopped_at_line}: {used_text(text.filled, listed, reason)}"
    if text.filled != text.reflections:
        line = text.filling_stopped_at_line
        place = f"{name}:{line}" if line else name
        reason = "an index is not written as an integer"
        yield f"{place}: {used_text(text.filled, text.reflections, reason)}"
    if text.repeated:
        h, k, l = text.first_repeated
        lines = "1 line lists" if text.repeated == 1 else f"{text.repeated} lines list"
        yield (
            f"{name}:{text.first_repeated_line}: {lines} a reflection again, here {h} {k} {l}: "
            "the last F of each counts"
        )
    sparse = sparse_table_text(text.reflections, text.grid.shape)
    if sparse is not None:
        yield f"{name}: {sparse}"


def _stop(data: bytes, line: int) -> tuple[str, int]:
    """The word at which reading ended, and how many lines that it did not use begin like a
    reflection."""
    start = _line_start(data, line)
    end = data.find(b"\n", start)
    end = len(data) if end < 0 else end
    word, partly = _odd_word(data[start:end].decode("latin-1"))
    rest = data[end if partly else start :]
    return word, sum(1 for _ in re.finditer(rb"(?m)^[ \t]*[+-]?[.\d]", rest))


def _odd_word(line: str) -> tuple[str, bool]:
    """The first word that is no number, and whether it begins like one."""
    for word in line.split():
        used = c_atof(word)[1]
        if used < len(word) and not _TOUCHING.fullmatch(word):
            return word, used > 0
    return line.strip(), False


def _hint_for_line(data: bytes, line: int) -> str:
    if not line:
        return ""
    start = _line_start(data, line)
    return exponent_hint(_odd_word(data[start:].partition(b"\n")[0].decode("latin-1"))[0])


def _line_start(data: bytes, line: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = data.index(b"\n", start) + 1
    return start


def write_hkl(path: Destination, structure_factors: StructureFactors) -> None:
    """Writes a table with every digit that `read_hkl` needs to give it back for the same default_f.

    Entries equal to default_f are left out, but for the two corners that state the bounds.
    Raises `ConfigError` if there is no table (only a constant) or a value that is not finite, and
    `FileAccessError`.
    """
    import numpy as np

    require_class("structure_factors", structure_factors, StructureFactors)
    grid = structure_factors.grid
    if grid is None:
        raise ConfigError("structure_factors.grid", None, "a table to write")
    if not all(np.isfinite(plane).all() for plane in grid):
        raise ConfigError("structure_factors.grid", "a value that is not finite", "finite values")
    h_min, k_min, l_min = structure_factors.hkl_min
    last = tuple(count - 1 for count in grid.shape)
    with atomic_write(path) as file:
        for h, plane in enumerate(grid):
            listed = plane != structure_factors.default_f
            if h == 0:
                listed[0, 0] = True
            if h == last[0]:
                listed[last[1], last[2]] = True
            rows, columns = np.nonzero(listed)
            for start in range(0, len(rows), _LINES_AT_A_TIME):
                part = slice(start, start + _LINES_AT_A_TIME)
                k, l = rows[part], columns[part]
                numbers = zip(
                    (k + k_min).tolist(), (l + l_min).tolist(), plane[k, l].tolist(), strict=True
                )
                lines = [f"{h + h_min} {k} {l} {f!r}\n" for k, l, f in numbers]
                file.write("".join(lines).encode("ascii"))
