"""Structure factors as a binary dump (`-dump`): bounds as text, then little-endian doubles.

The table in the file has one plane, one row and one value more than the bounds say, all 0.
"""

from __future__ import annotations

import math
import mmap
import os
import re
import struct
import sys
import warnings
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from nanobragg_hybrid.base.atomic import Destination, atomic_write
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError, NanobraggWarning
from nanobragg_hybrid.base.host import require_memory, sparse_table_text
from nanobragg_hybrid.base.native import new_table, read_plane, write_plane
from nanobragg_hybrid.formats.file_kinds import START_BYTES, refuse_other_kind
from nanobragg_hybrid.formats.hkl import used_text
from nanobragg_hybrid.formats.text import file_size, open_binary
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.structure_factors import StructureFactors, checked_default_f
from nanobragg_hybrid.model.validate import require_class

_BLANK: Final = b" \t\n\v\f\r"
_BLANKS: Final = frozenset(_BLANK[n : n + 1] for n in range(len(_BLANK)))
_BOUNDS: Final = rb"[ \t-\r]*" + rb"[ \t-\r]+".join([rb"([+-]?\d{1,11})"] * 6)
_HEADER_END: Final = b"\n\f"
_MAPPED_AT_A_TIME: Final = 2**24


class _Header(NamedTuple):
    minimum: tuple[int, int, int]
    shape: tuple[int, int, int]  # of the table within the bounds
    data_start: int
    skipped: int  # bytes of data taken for white space
    is_complete: bool  # False: the data ends before the table does
    present: int  # bytes of data
    is_short: bool  # the file ends before the table does, with what was skipped


def read_dump(
    path: str | os.PathLike[str], *, default_f: float = 0.0, quirks: Quirks | None = None
) -> StructureFactors:
    """Reads a dump; `default_f` is what counts outside its bounds.

    With the quirk fdump_whitespace on (default), bytes at the start of the data that look like
    white space are taken for the end of the header: the table is shifted by them.  Where the file
    ends before its table does, the rest is 0.  A warning says so, and says if values are not
    finite.

    The file is mapped into memory while it is read; nobody may cut it short in that time.

    Raises `FileAccessError`; `FileFormatError` if there are no bounds, or if the quirk is off and
    the file is too short for them; `ResourceError`, before allocating anything, if the table does
    not fit into memory.
    """
    default_f, quirks = checked_default_f(default_f), quirks_or_all(quirks)
    with open_binary(path) as file:
        header = _read_header(path, file, quirks)
        require_memory({"structure factor table": 8 * math.prod(header.shape)})
        grid = new_table(header.shape)
        is_finite = True
        for h, data in enumerate(_planes(file, header)):
            is_finite = read_plane(data, grid, h) and is_finite
    name = os.fspath(path)
    reflections = math.prod(header.shape)
    used = _values_present(header)
    if header.is_short and used < reflections:
        _warn(f"{name}: {used_text(used, reflections, 'the file ends there; the others are 0')}")
        sparse = sparse_table_text(used, header.shape)
        if sparse is not None:
            _warn(f"{name}: {sparse}")
    if header.skipped:
        _warn(f"{name}: {header.skipped} byte(s) of data taken for white space: all is shifted")
    if not is_finite:
        _warn(f"{name}: some structure factors are not finite")
    return StructureFactors.from_reader(
        grid,
        header.minimum,
        default_f,
        reflections=reflections,
        allow_non_finite=not is_finite,
    )


def write_dump(path: Destination, structure_factors: StructureFactors) -> None:
    """Writes the table as a dump; its default value is not part of the file.

    Raises `ConfigError` if there is no table (only a constant), and `FileAccessError`.
    """
    require_class("structure_factors", structure_factors, StructureFactors)
    grid = structure_factors.grid_buffer
    if grid is None:
        raise ConfigError("structure_factors.grid", None, "a table to write")
    pairs = zip(structure_factors.hkl_min, structure_factors.hkl_max, strict=True)
    bounds = " ".join(f"{low} {high}" for low, high in pairs)
    padded = bytearray(_plane_bytes(grid.shape))
    with atomic_write(path) as file:
        file.write(bounds.encode("ascii") + _HEADER_END)
        for h in range(grid.shape[0]):
            write_plane(grid, h, padded)
            for start in range(0, len(padded), _MAPPED_AT_A_TIME):
                file.write(memoryview(padded)[start : start + _MAPPED_AT_A_TIME])
        file.write(bytes(len(padded)))


def dump_is_read_shifted(structure_factors: StructureFactors) -> bool:
    """Whether the dump of a table starts with a byte that the quirk fdump_whitespace skips."""
    grid = structure_factors.grid_buffer
    return grid is not None and struct.pack("<d", grid[0, 0, 0])[:1] in _BLANKS


def _read_header(path: str | os.PathLike[str], file: BinaryIO, quirks: Quirks) -> _Header:
    """Reads the header and leaves `file` where the data is taken to start."""
    size = file_size(file)
    if size == 0:
        raise FileFormatError(path, 0, "is empty")
    beginning = file.read(START_BYTES)
    match = re.match(_BOUNDS, beginning)
    if match is None or b"\f" not in _blanks_after(beginning, match.end()):
        refuse_other_kind(path, beginning, "a binary dump of structure factors", own="dump")
    if match is None:
        raise FileFormatError(path, 1, "does not begin with six whole numbers hmin hmax ... lmax")
    bounds = [int(number) for number in match.groups()]
    shown = " ".join(map(str, bounds))
    shape = (bounds[1] - bounds[0] + 1, bounds[3] - bounds[2] + 1, bounds[5] - bounds[4] + 1)
    if min(shape) < 1 or min(bounds) < -(2**31) or max(bounds) >= 2**31:
        raise FileFormatError(
            path, 1, f"bounds {shown}: need hmin <= hmax, kmin <= kmax, lmin <= lmax within 32 bits"
        )
    file.seek(match.end())
    if quirks.fdump_whitespace:
        blanks = _skip_blanks(file)
    else:
        blanks = len(_HEADER_END)
        if file.read(blanks) != _HEADER_END:
            raise FileFormatError(path, 1, "bounds: need a newline and a form feed after them")
    data_start = match.end() + blanks
    skipped = max(0, blanks - len(_HEADER_END))
    needed = math.prod(count + 1 for count in shape) * 8
    present = size - data_start
    if present + skipped < needed and not _may_be_short(quirks, beginning, match.end()):
        raise FileFormatError(
            path,
            1,
            f"bounds {shown}: the table needs {needed} bytes, "
            f"the file has {present + skipped} after its header",
        )
    minimum = (bounds[0], bounds[2], bounds[4])
    return _Header(
        minimum,
        shape,
        data_start,
        skipped,
        is_complete=present >= needed,
        present=present,
        is_short=present + skipped < needed,
    )


def _blanks_after(beginning: bytes, end: int) -> bytes:
    rest = beginning[end:]
    return rest[: len(rest) - len(rest.lstrip(_BLANK))]


def _may_be_short(quirks: Quirks, beginning: bytes, end: int) -> bool:
    """Whether a file may end before its table: with the quirk on, if it begins like a dump."""
    return quirks.fdump_whitespace and b"\f" in _blanks_after(beginning, end)


def _values_present(header: _Header) -> int:
    """How many values of the table the file has, padding aside."""
    n_h, n_k, n_l = header.shape
    planes, rest = divmod(header.present // 8, (n_k + 1) * (n_l + 1))
    if planes >= n_h:
        return n_h * n_k * n_l
    rows, values = divmod(rest, n_l + 1)
    in_plane = n_k * n_l if rows >= n_k else rows * n_l + min(values, n_l)
    return planes * n_k * n_l + in_plane


def _planes(file: BinaryIO, header: _Header) -> Iterator[bytes | memoryview]:
    """The bytes of the planes (k, l) of the table, padding and all, one after the other.

    `file` stands where the data starts.  It is mapped where it holds the whole table; planes that
    were used do not stay in memory.
    """
    size = _plane_bytes(header.shape)
    mapped = _mapped(file) if header.is_complete else None
    start, dropped = header.data_start, 0
    for _ in range(header.shape[0]):
        if mapped is None:
            yield file.read(size).ljust(size, b"\0")
        else:
            yield memoryview(mapped)[start : start + size]
        start += size
        if mapped is not None and start - dropped >= _MAPPED_AT_A_TIME:
            end = start // mmap.PAGESIZE * mmap.PAGESIZE
            if sys.platform != "win32":  # as `_mapped` asks
                mapped.madvise(mmap.MADV_DONTNEED, dropped, end - dropped)
            dropped = end


def _plane_bytes(shape: tuple[int, ...]) -> int:
    """What a plane of a table of this shape takes in a file."""
    return 8 * (shape[1] + 1) * (shape[2] + 1)


def _mapped(file: BinaryIO) -> mmap.mmap | None:
    """The file in memory; None where the system cannot do that."""
    if not hasattr(mmap, "MADV_DONTNEED"):
        return None
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None


def _skip_blanks(file: BinaryIO) -> int:
    """Moves to the next byte that is no white space; how many bytes that were."""
    start = file.tell()
    while block := file.read(4096):
        rest = block.lstrip(_BLANK)
        if rest:
            file.seek(-len(rest), os.SEEK_CUR)
            break
    return file.tell() - start


def _warn(message: str) -> None:
    warnings.warn(message, NanobraggWarning, stacklevel=3)
