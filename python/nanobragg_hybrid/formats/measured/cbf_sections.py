"""The binary sections of CBF files: arrays of pixels, compressed in one of several ways.

A section has a header like that of a mail, four bytes that say where the binary begins, and the
binary.  Byte offsets and uncompressed pixels are read here; the packed and the canonical
compression need CBFlib (the package pycbf).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import FileFormatError, UnsupportedError, how_to_install, quoted
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.formats.geometry.cif_text import BINARY
from nanobragg_hybrid.formats.measured.byte_offset import byte_offset_values

_BEGIN: Final = b"\x0c\x1a\x04\xd5"
_LONGEST_HEADER: Final = 1 << 16
_MOST_OF_PACKED: Final = 256
"""Pixels that a byte may stand for: three bits say how many follow, up to 128, and three more that
they are as predicted."""
_TYPES: Final = {
    "signed 8-bit integer": "i1",
    "unsigned 8-bit integer": "u1",
    "signed 16-bit integer": "i2",
    "unsigned 16-bit integer": "u2",
    "signed 32-bit integer": "i4",
    "unsigned 32-bit integer": "u4",
    "signed 64-bit integer": "i8",
    "signed 32-bit real ieee": "f4",
    "signed 64-bit real ieee": "f8",
}
_NAMES: Final = {code: name for name, code in _TYPES.items()}


class CbfSection(NamedTuple):
    """A section's pixels, shape (slow, fast) or (third, slow, fast), and the text before it, which
    says what they are."""

    before: str
    pixels: NDArray[Any]


def cbf_sections(path: str | os.PathLike[str], data: bytes) -> Iterator[CbfSection]:
    """The sections of a file, one after the other.

    Raises `FileFormatError` for one that is broken, `UnsupportedError` for a compression that needs
    a package that is missing, or that is not known.
    """
    at, number = 0, 0
    while True:
        begin = data.find(BINARY, at)
        if begin < 0:
            return
        after = begin + len(BINARY)
        if data[after : after + 2] == b"--":  # the end of a section
            at = after + 2
            continue
        before = data[at:begin].decode("latin-1")
        section = _Section(path, data, after, number)
        yield CbfSection(before, section.pixels())
        at, number = section.end, number + 1


class _Section:
    def __init__(self, path: str | os.PathLike[str], data: bytes, begin: int, number: int) -> None:
        self._path, self._number = path, number
        start = data.find(_BEGIN, begin, begin + _LONGEST_HEADER)
        header_end = start if start >= 0 else begin + _LONGEST_HEADER
        self._header = self._items(data[begin:header_end].decode("latin-1"))
        transfer = self._header.get("content-transfer-encoding", "binary").lower()
        if transfer == "base64":
            self._binary, self.end = self._of_base64(data, begin)
        elif transfer == "binary":
            if start < 0:
                self.refuse("has no binary (its four bytes 0C 1A 04 D5)")
            size = self.whole("X-Binary-Size")
            first = start + len(_BEGIN)
            self.end = first + size
            if self.end > len(data):
                have = len(data) - first
                self.refuse(f"truncated: X-Binary-Size is {size}, the file has {have} bytes of it")
            self._binary = data[first : self.end]
        else:
            self.unsupported(f"Content-Transfer-Encoding {quoted(transfer)}")
        digest = self._header.get("content-md5")
        if digest is not None:
            found = hashlib.md5(self._binary, usedforsecurity=False).digest()
            if base64.b64encode(found).decode() != digest.strip('" '):
                self.refuse("is damaged: its bytes have another sum than Content-MD5 says")

    def refuse(self, problem: str) -> NoReturn:
        """Raises `FileFormatError`."""
        raise FileFormatError(self._path, 0, f"binary section {self._number + 1}: {problem}")

    def unsupported(self, what: str) -> NoReturn:
        """Raises `UnsupportedError`."""
        name = os.fspath(self._path)
        raise UnsupportedError(f"{name}: binary section {self._number + 1}: {what} is not read")

    @staticmethod
    def _items(text: str) -> dict[str, str]:
        """The header's items by their names in lower case; parameters as items of their own."""
        joined = re.sub(r"\r?\n[ \t]+", " ", text)
        items: dict[str, str] = {}
        for line in joined.splitlines():
            name, found, value = line.partition(":")
            if found:
                items.setdefault(name.strip().lower(), value.strip())
        return items

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number >= 0 of the header."""
        text = self._header.get(name.lower())
        if text is None and default is not None:
            return default
        if text is None or not re.fullmatch(r"\d{1,15}", text):
            got = "nothing" if text is None else quoted(text)
            self.refuse(f"{name}: got {got}, need a whole number")
        return int(text)

    def _of_base64(self, data: bytes, begin: int) -> tuple[bytes, int]:
        end = data.find(BINARY + b"--", begin)
        blank = re.search(rb"\r?\n\r?\n", data[begin : begin + _LONGEST_HEADER])
        if end < 0 or blank is None or begin + blank.end() > end:
            self.refuse("has no end, or no empty line below its header")
        try:
            binary = base64.b64decode(data[begin + blank.end() : end])
        except binascii.Error:
            self.refuse("is no base64 text")
        size = self.whole("X-Binary-Size")
        if len(binary) < size:
            self.refuse(f"truncated: X-Binary-Size is {size}, there are {len(binary)} bytes")
        return binary[:size], end

    def pixels(self) -> NDArray[Any]:
        """The array, of the type that the header states."""
        fast = self.whole("X-Binary-Size-Fastest-Dimension")
        slow = self.whole("X-Binary-Size-Second-Dimension")
        third = self.whole("X-Binary-Size-Third-Dimension", 1) or 1
        count = fast * slow * third
        if count == 0:
            self.refuse("has no pixels")
        if self.whole("X-Binary-Number-of-Elements", count) != count:
            self.refuse(f"X-Binary-Number-of-Elements is not {fast} x {slow} x {third}")
        named = self._header.get("x-binary-element-type", '"signed 32-bit integer"').strip('" ')
        if named.lower() not in _TYPES:
            self.unsupported(f"X-Binary-Element-Type {quoted(named)}")
        order = self._header.get("x-binary-element-byte-order", "LITTLE_ENDIAN").upper()
        dtype = np.dtype((">" if order == "BIG_ENDIAN" else "<") + _TYPES[named.lower()])
        kind = self._header.get("content-type", "")
        found = re.search(r"conversions\s*=\s*\"?\s*(x-CBF_\w+)", kind, re.IGNORECASE)
        compression = found[1].upper().removeprefix("X-CBF_") if found else "NONE"
        if compression == "BYTE_OFFSET":
            array = self._of_byte_offset(count, dtype)
        elif compression == "NONE":
            if len(self._binary) < count * dtype.itemsize:
                self._too_short(count)
            array = np.frombuffer(self._binary, dtype, count).astype(dtype.newbyteorder("="))
        elif compression in ("PACKED", "PACKED_V2", "CANONICAL"):
            array = self._of_cbflib(compression, (third, slow, fast), dtype)
        else:
            self.unsupported(f"the compression {compression}")
        shape = (slow, fast) if third == 1 else (third, slow, fast)
        return array.reshape(shape)

    def _too_short(self, count: int) -> NoReturn:
        self.refuse(f"truncated: {len(self._binary)} bytes are fewer than {count} pixels")

    def _of_byte_offset(self, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        if dtype.kind == "f":
            self.unsupported("the compression BYTE_OFFSET of real numbers")
        if count > len(self._binary):
            self._too_short(count)
        require_memory({f"pixels of {os.fspath(self._path)}": 24 * len(self._binary)})
        values = byte_offset_values(self._binary, count)
        if values is None:
            self._too_short(count)
        limits = np.iinfo(dtype)
        if int(values.min()) < limits.min or int(values.max()) > limits.max:
            self.refuse(f"has values beyond those of its type, {_NAMES[dtype.str[1:]]}")
        return values.astype(dtype.newbyteorder("="))

    def _of_cbflib(
        self, compression: str, shape: tuple[int, int, int], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """By CBFlib, from a file with this section alone, whose header is written here."""
        third, slow, fast = shape
        count = third * slow * fast
        if count > _MOST_OF_PACKED * len(self._binary):
            self._too_short(count)
        require_memory({f"pixels of {os.fspath(self._path)}": 2 * count * dtype.itemsize})
        try:
            with warnings.catch_warnings():
                # its extension warns of itself while it is made, and an error there would crash
                warnings.simplefilter("ignore")
                import pycbf
        except ImportError:
            raise UnsupportedError(
                f"{os.fspath(self._path)}: the compression {compression} is read with pycbf, which "
                f"is not installed: {how_to_install('mx')}"
            ) from None
        header = "\r\n".join(
            [
                "###CBF: VERSION 1.5",
                "data_section",
                "_array_data.data",
                ";",
                BINARY.decode(),
                "Content-Type: application/octet-stream;",
                f'     conversions="x-CBF_{compression}"{self._parameters()}',
                "Content-Transfer-Encoding: BINARY",
                f"X-Binary-Size: {len(self._binary)}",
                "X-Binary-ID: 1",
                f'X-Binary-Element-Type: "{_NAMES[dtype.str[1:]]}"',
                "X-Binary-Element-Byte-Order: "
                + ("BIG_ENDIAN" if dtype.byteorder == ">" else "LITTLE_ENDIAN"),
                f"X-Binary-Number-of-Elements: {count}",
                f"X-Binary-Size-Fastest-Dimension: {fast}",
                f"X-Binary-Size-Second-Dimension: {slow}",
                f"X-Binary-Size-Third-Dimension: {third}",
                "",
                "",
            ]
        )
        end = f"\r\n{BINARY.decode()}--\r\n;\r\n"
        with tempfile.TemporaryDirectory() as folder:
            name = Path(folder) / "section.cbf"
            name.write_bytes(header.encode() + _BEGIN + self._binary + end.encode())
            try:
                library: Any = pycbf
                handle = library.cbf_handle_struct()
                handle.read_file(str(name), library.MSG_NODIGEST)
                for look, what in (("find_category", "array_data"), ("find_column", "data")):
                    getattr(handle, look)(what.encode())
                handle.select_row(0)
                is_real = dtype.kind == "f"
                data = (
                    handle.get_realarray_as_string()
                    if is_real
                    else handle.get_integerarray_as_string()
                )
            except Exception as error:  # CBFlib's, of no class of its own
                text = " ".join(str(error).split())
                self.refuse(f"CBFlib cannot read it: {text}")
        array = np.frombuffer(data, dtype.newbyteorder("="))
        if array.size != count:
            self.refuse(f"CBFlib finds {array.size} pixels, the header says {count}")
        return array.copy()

    def _parameters(self) -> str:
        """What the header says of how the pixels were packed."""
        kind = self._header.get("content-type", "")
        return "".join(
            f'; "{word}"' for word in re.findall(r'"(uncorrelated_sections|flat)"', kind)
        )
