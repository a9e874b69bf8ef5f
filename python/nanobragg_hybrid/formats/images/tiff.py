"""TIFF images of integers or floats (baseline TIFF 6.0, uncompressed), a page for each panel."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from nanobragg_hybrid.base.atomic import Destination, atomic_write
from nanobragg_hybrid.base.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SHORT, _LONG = 3, 4
_SAMPLE_FORMATS: Final = {"u": 1, "i": 2, "f": 3}
_MOST_BYTES: Final = 2**32 - 2**16


def write_tiff(path: Destination, pages: Sequence[NDArray[Any]]) -> None:
    """Writes images (slow, fast) of 8, 16 or 32-bit integers, or of floats of 32 or 64 bits.

    Raises `ConfigError` for another type and for more than 4 GiB, `FileAccessError`.
    """
    check_tiff([(page.dtype, page.shape) for page in pages])
    arrays = [page.astype(page.dtype.newbyteorder("<"), order="C", copy=False) for page in pages]
    with atomic_write(path) as file:
        file.write(struct.pack("<2sHI", b"II", 42, 8))
        at = 8
        for number, array in enumerate(arrays):
            entries = _entries(array)
            data_at = at + 2 + 12 * len(entries) + 4
            padding = -array.nbytes % 4
            end = data_at + array.nbytes + padding
            file.write(struct.pack("<H", len(entries)))
            for tag, field, value in entries:
                used = data_at if tag == _STRIP_OFFSETS else value
                file.write(struct.pack("<HHII", tag, field, 1, used))
            file.write(struct.pack("<I", end if number + 1 < len(arrays) else 0))
            file.write(array.data)
            file.write(bytes(padding))
            at = end


def check_tiff(pages: Sequence[tuple[np.dtype[Any], tuple[int, ...]]]) -> None:
    """Raises `ConfigError` for pages, type and shape, that `write_tiff` refuses."""
    total = 0
    for dtype, shape in pages:
        kind, size = dtype.kind, dtype.itemsize
        if kind not in _SAMPLE_FORMATS or size > (8 if kind == "f" else 4) or len(shape) != 2:
            shown = f"{dtype} {shape}"
            raise ConfigError("pixels", shown, "integers of up to 32 bits or floats (slow, fast)")
        total += size * math.prod(shape)
    if total > _MOST_BYTES:
        raise ConfigError("pixels", f"{total} bytes", "less than 4 GiB for TIFF")


_STRIP_OFFSETS: Final = 273


def _entries(array: NDArray[Any]) -> list[tuple[int, int, int]]:
    """Tag, type and value, in the order of tags."""
    n_slow, n_fast = array.shape
    return [
        (256, _LONG, n_fast),
        (257, _LONG, n_slow),
        (258, _SHORT, 8 * array.dtype.itemsize),
        (259, _SHORT, 1),  # not compressed
        (262, _SHORT, 1),  # 0 is black
        (_STRIP_OFFSETS, _LONG, 0),
        (277, _SHORT, 1),  # numbers in a pixel
        (278, _LONG, n_slow),  # rows in the only strip
        (279, _LONG, array.nbytes),
        (339, _SHORT, _SAMPLE_FORMATS[array.dtype.kind]),
    ]
