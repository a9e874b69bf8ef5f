"""Structure factors as text (`-hkl`): h k l F."""

from __future__ import annotations

import os
import warnings
from typing import Final

from nanobragg_hybrid.base.atomic import Destination, atomic_write
from nanobragg_hybrid.base.errors import ConfigError, NanobraggWarning
from nanobragg_hybrid.base.native import parse_hkl_text
from nanobragg_hybrid.formats.text import read_bytes
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.structure_factors import StructureFactors, checked_default_f
from nanobragg_hybrid.model.validate import require_class

_LINES_AT_A_TIME: Final = 65536


def read_hkl(
    path: str | os.PathLike[str], *, default_f: float = 0.0, quirks: Quirks | None = None
) -> StructureFactors:
    """Reads h k l F; reflections that are not listed get `default_f`, the last one of several wins.

    With the quirk hkl_stream on (default), numbers are taken four at a time whatever the lines, and
    reading ends for good at a word that does not fit; a warning says so.  With it off, each line
    has its own reflection in its first four columns, and what does not fit is an error.

    Raises `FileAccessError`; `FileFormatError` with the line for a number that is not finite, an
    index that does not fit, or if there is no reflection; `ResourceError` if the table does not fit
    into memory.
    """
    default_f = checked_default_f(default_f)
    stream = quirks_or_all(quirks).hkl_stream
    grid, hkl_min, count, messages = parse_hkl_text(
        read_bytes(path), stream=stream, default_f=default_f, path=path
    )
    for message in messages:
        warnings.warn(message, NanobraggWarning, stacklevel=2)
    return StructureFactors.from_reader(grid, hkl_min, default_f, reflections=count)


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
