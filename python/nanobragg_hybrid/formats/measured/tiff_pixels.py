"""The pixels of TIFF files (TIFF 6.0) of one number for each pixel, in strips, not compressed.

What detectors and their programs write; libraries that read more of TIFF believe what a damaged
file says of its size.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, FileFormatError, UnsupportedError
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.formats.text import read_bytes

_WIDTH, _LENGTH, _BITS, _COMPRESSION = 256, 257, 258, 259
_STRIPS, _SAMPLES, _ROWS, _BYTES, _TILES, _FORMAT = 273, 277, 278, 279, 322, 339
_NUMBERS: Final = {1: "B", 3: "H", 4: "I"}
"""Types of the values that are looked at: of one, two and four bytes."""
_KINDS: Final = {1: "u", 2: "i", 3: "f"}
_TYPES: Final = ("u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8")
_MOST_FRAMES: Final = 100_000

Path = str | os.PathLike[str]


def tiff_pixels(path: Path, frame: int) -> tuple[NDArray[Any], int]:
    """A frame, shape (slow, fast), and how many there are.

    Raises `FileAccessError`, `FileFormatError`, `UnsupportedError` for compressed pixels, tiles and
    colours, `ConfigError` (``frame``) for a frame that there is not.
    """
    file = _File(path, read_bytes(path))
    frames = file.frames()
    if not frame < len(frames):
        raise ConfigError("frame", frame, f"a number from 0 to {len(frames) - 1}")
    return file.pixels(frames[frame]), len(frames)


class _File:
    def __init__(self, path: Path, data: bytes) -> None:
        self._path, self._data = path, data
        self._order = "<" if data[:2] == b"II" else ">"

    def refuse(self, problem: str) -> NoReturn:
        """Raises `FileFormatError`."""
        raise FileFormatError(self._path, 0, problem)

    def _unpack(self, code: str, at: int) -> tuple[Any, ...]:
        size = struct.calcsize(self._order + code)
        if at + size > len(self._data):
            self.refuse(f"truncated: it has {len(self._data)} bytes, needs {at + size}")
        return struct.unpack_from(self._order + code, self._data, at)

    def frames(self) -> list[int]:
        """Where the directory of each frame is."""
        found: list[int] = []
        (at,) = self._unpack("I", 4)
        while at:
            found.append(at)
            if len(found) > _MOST_FRAMES or at in found[:-1]:
                self.refuse("its frames have no end")
            (count,) = self._unpack("H", at)
            (at,) = self._unpack("I", at + 2 + 12 * count)
        if not found:
            self.refuse("has no image")
        return found

    def _directory(self, at: int) -> dict[int, tuple[int, ...]]:
        """The whole numbers of a frame's directory, by their tags."""
        tags: dict[int, tuple[int, ...]] = {}
        (entries,) = self._unpack("H", at)
        for number in range(entries):
            place = at + 2 + 12 * number
            tag, kind, count = self._unpack("HHI", place)
            if kind not in _NUMBERS:
                continue
            code = f"{count}{_NUMBERS[kind]}"
            if struct.calcsize(self._order + code) > 4:
                (where,) = self._unpack("I", place + 8)
            else:
                where = place + 8
            tags.setdefault(tag, self._unpack(code, where))
        return tags

    def _number(
        self, tags: Mapping[int, tuple[int, ...]], tag: int, name: str, default: int
    ) -> int:
        values = tags.get(tag, (default,))
        if len(set(values)) != 1 or values[0] < 1:
            shown = " ".join(map(str, values[:4])) or "nothing"
            self.refuse(f"{name}: got {shown}, need one number >= 1")
        return values[0]

    def pixels(self, at: int) -> NDArray[Any]:
        """A frame's image."""
        tags = self._directory(at)
        fast = self._number(tags, _WIDTH, "ImageWidth", 0)
        slow = self._number(tags, _LENGTH, "ImageLength", 0)
        name = os.fspath(self._path)
        compression = self._number(tags, _COMPRESSION, "Compression", 1)
        if compression != 1:
            what = f"its pixels are compressed (method {compression})"
            raise UnsupportedError(f"{name}: {what}: save it without compression")
        if self._number(tags, _SAMPLES, "SamplesPerPixel", 1) != 1:
            raise UnsupportedError(f"{name}: has colours: save it with one number for each pixel")
        if _TILES in tags:
            raise UnsupportedError(f"{name}: its pixels are in tiles: save it in strips")
        bits = self._number(tags, _BITS, "BitsPerSample", 1)
        form = self._number(tags, _FORMAT, "SampleFormat", 1)
        code = f"{_KINDS.get(form, '?')}{bits // 8}"
        if code not in _TYPES or bits % 8:
            raise UnsupportedError(f"{name}: pixels of {bits} bits, SampleFormat {form}, not read")
        dtype = np.dtype(self._order + code)
        size = fast * slow * dtype.itemsize
        if size > len(self._data):
            pixels = f"{fast} x {slow} pixels of {bits} bits"
            self.refuse(f"truncated: {pixels} need {size} bytes, it has {len(self._data)}")
        require_memory({f"pixels of {name}": 2 * size})
        strips = self._strips(tags, fast * slow, dtype.itemsize * fast, slow)
        image = np.frombuffer(b"".join(strips), dtype).reshape(slow, fast)
        return image.astype(dtype.newbyteorder("="))

    def _strips(
        self, tags: Mapping[int, tuple[int, ...]], count: int, row: int, slow: int
    ) -> list[bytes]:
        """The strips' bytes, which are all pixels."""
        starts = tags.get(_STRIPS, ())
        rows = min(self._number(tags, _ROWS, "RowsPerStrip", slow), slow)
        if len(starts) != -(-slow // rows):
            self.refuse(f"StripOffsets: got {len(starts)} of them, need {-(-slow // rows)}")
        sizes = [row * min(rows, slow - rows * n) for n in range(len(starts))]
        stated = tags.get(_BYTES)
        if stated is not None and list(stated) != sizes:
            self.refuse(f"StripByteCounts are not those of {count} pixels")
        for start, size in zip(starts, sizes, strict=True):
            if start + size > len(self._data):
                need = start + size
                self.refuse(f"truncated: it has {len(self._data)} bytes, needs {need}")
        return [self._data[a : a + n] for a, n in zip(starts, sizes, strict=True)]
