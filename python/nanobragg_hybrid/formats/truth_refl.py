"""Reflection tables of DIALS (`.refl`), written: columns of numbers, packed by msgpack.

`formats/measured/dials_refl.py` says how a table is made up, and reads it.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from nanobragg_hybrid.base.atomic import access_errors, atomic_write
from nanobragg_hybrid.base.errors import UnsupportedError, how_to_install
from nanobragg_hybrid.formats.measured.dials_refl import TYPES

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

_ROWS_AT_A_TIME: Final = 2**16


def require_msgpack() -> Any:
    """The library.  Raises `UnsupportedError` without it."""
    try:
        import msgpack
    except ImportError:
        raise UnsupportedError(
            "a reflection table is written with msgpack, which is not installed: "
            f"{how_to_install('mx')}"
        ) from None
    return msgpack


class ReflWriter:
    """Writes a table, some rows after the other.

    A file has one column behind the other, so until `close` each is in a file without a name in
    the same folder.  path: the file.  columns: DIALS' name of each column's type.

    Raises `UnsupportedError` without msgpack, and `FileAccessError`.
    """

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        self._packer = require_msgpack().Packer(use_bin_type=True)
        self._path = path
        self._kinds = {name: columns[name] for name in sorted(columns)}
        self._stack = ExitStack()
        with access_errors(path):
            self._files: dict[str, IO[bytes]] = {
                name: self._stack.enter_context(tempfile.TemporaryFile(dir=path.parent))  # noqa: SIM115
                for name in self._kinds
            }
        self.rows = 0

    def add(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Appends rows, as many in each column.  Raises `FileAccessError`."""
        counts = set()
        with access_errors(self._path):
            for name, kind in self._kinds.items():
                array = np.ascontiguousarray(columns[name], TYPES[kind][0])
                self._files[name].write(array.data)
                counts.add(len(array))
        (count,) = counts
        self.rows += count

    def column(self, name: str) -> NDArray[Any]:
        """The numbers of a column so far, shape (rows,) or (rows, numbers of a row)."""
        kind, width = TYPES[self._kinds[name]]
        file = self._files[name]
        file.seek(0)
        array = np.frombuffer(file.read(), kind)
        return array if width == 1 else array.reshape(-1, width)

    def write(
        self,
        identifiers: Iterable[str],
        count: int,
        order: NDArray[np.int64] | None = None,
        without: tuple[str, ...] = (),
    ) -> None:
        """Writes the file.  identifiers: so many, of the experiments that the column id counts.
        order: numbers of the rows in the order that the file has them in; None: as they came.
        without: columns that are left out.  Raises `FileAccessError`, and `UnsupportedError` for a
        column of 4 GiB, which the format has no number for."""
        pack, head = self._packer.pack, self._packer.pack_map_header
        names = [name for name in self._kinds if name not in without]
        with atomic_write(self._path) as out:
            out.write(self._packer.pack_array_header(3))
            out.write(pack("dials::af::reflection_table") + pack(1) + head(3))
            out.write(pack("identifiers") + head(count))
            for number, identifier in enumerate(identifiers):
                out.write(pack(number) + pack(identifier))
            out.write(pack("nrows") + pack(self.rows) + pack("data") + head(len(names)))
            for name in names:
                out.write(pack(name) + self._packer.pack_array_header(2))
                out.write(pack(self._kinds[name]))
                out.write(self._packer.pack_array_header(2) + pack(self.rows))
                self._write_column(out, name, order)

    def _write_column(self, out: BinaryIO, name: str, order: NDArray[np.int64] | None) -> None:
        file = self._files[name]
        size = file.seek(0, 2)
        out.write(_bytes_header(size, name))
        if order is None:
            file.seek(0)
            shutil.copyfileobj(file, out)
            return
        width = TYPES[self._kinds[name]][1] * np.dtype(TYPES[self._kinds[name]][0]).itemsize
        for part in _rows_of(file, size, width, order):
            out.write(part)

    def __enter__(self) -> ReflWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _rows_of(file: Any, size: int, width: int, order: NDArray[np.int64]) -> Iterator[memoryview]:
    """Rows of so many bytes of a column's file, in this order."""
    if not size:
        return
    rows = np.memmap(file, np.uint8, "r", shape=(size // width, width))
    for start in range(0, len(order), _ROWS_AT_A_TIME):
        yield np.ascontiguousarray(rows[order[start : start + _ROWS_AT_A_TIME]]).data


def _bytes_header(size: int, name: str) -> bytes:
    """What msgpack has before so many bytes."""
    if size < 2**8:
        return struct.pack(">BB", 0xC4, size)
    if size < 2**16:
        return struct.pack(">BH", 0xC5, size)
    if size < 2**32:
        return struct.pack(">BI", 0xC6, size)
    raise UnsupportedError(
        f"column {name}: got {size} bytes, a reflection table of DIALS holds less than 4 GiB of "
        "each; the truth as HDF5 has no such limit"
    )
