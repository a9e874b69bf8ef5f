"""Whole files as bytes or text."""

from __future__ import annotations

import codecs
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from nanobragg_hybrid.base.atomic import Destination, access_errors, atomic_write
from nanobragg_hybrid.base.errors import FileAccessError, FileFormatError
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.formats.file_kinds import Own, refuse_other_kind

_READ_AT_A_TIME: Final = 2**25


@contextmanager
def open_binary(path: str | os.PathLike[str], *, pipes: bool = False) -> Iterator[BinaryIO]:
    """A regular file (or, with `pipes`, also a pipe) opened for reading.

    Raises `FileAccessError` naming `path`, for an OSError of the body as well.
    """
    with access_errors(path), Path(path).open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode) and not (pipes and stat.S_ISFIFO(mode)):
            raise FileAccessError(path, "is not a regular file")
        yield file


def file_size(file: BinaryIO) -> int:
    """The bytes of an opened regular file."""
    return os.fstat(file.fileno()).st_size


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The whole file (or pipe).  Raises `FileAccessError`; `ResourceError` if memory is short."""
    with open_binary(path, pipes=True) as file:
        size = file_size(file)
        require_memory({f"content of {os.fspath(path)}": size})
        if size <= _READ_AT_A_TIME:
            return file.read()
        content = io.BytesIO()  # a single read of a large file would not hear of Ctrl-C
        while part := file.read(_READ_AT_A_TIME):
            content.write(part)
        return content.getvalue()


def read_text(
    path: str | os.PathLike[str], needed: str = "text", *, encoding: str = "utf-8", own: Own = ""
) -> str:
    """The whole file as text; a byte-order mark of UTF-8 is read over.

    Raises `FileAccessError`, and `FileFormatError` for a file of a kind that is known and not
    `own` (it says that `needed` is needed), and for what is no text: a zero byte, which no text
    has, counts whatever the encoding.
    """
    data = read_bytes(path)
    if encoding == "utf-8":
        data = data.removeprefix(codecs.BOM_UTF8)
    refuse_other_kind(path, data, needed, own=own)
    zero = data.find(b"\0")
    if zero >= 0:
        line = data.count(b"\n", 0, zero) + 1
        raise FileFormatError(path, line, "is no text: it has a byte of value 0")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileFormatError(path, line, f"is no {encoding} text") from None


def write_bytes(path: Destination, data: bytes) -> None:
    """Writes `data`, complete or not at all.  Raises `FileAccessError`."""
    with atomic_write(path) as file:
        file.write(data)


def write_text(path: Destination, text: str, *, encoding: str = "utf-8") -> None:
    """Writes `text` as it is, complete or not at all.  Raises `FileAccessError`.

    What the encoding lacks, like a byte of a file name that is no UTF-8, is written as an escape.
    """
    with atomic_write(path) as file:
        file.write(text.encode(encoding, errors="backslashreplace"))


def write_json(path: Destination, data: Any) -> None:
    """Writes data as JSON with an indent of 2, piece by piece, complete or not at all.

    Raises `FileAccessError`.
    """
    import json

    with atomic_write(path) as file:
        for piece in json.JSONEncoder(indent=2).iterencode(data):
            file.write(piece.encode("ascii"))
        file.write(b"\n")
