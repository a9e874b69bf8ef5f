"""The byte-offset compression of CBF files.

Each pixel is told as its difference from the one before, the first from 0: in one signed byte, or
where that is -128 in the two bytes that follow it, where those are -32768 in the next four, where
those are -2^31 in the next eight; all little-endian.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

_ESCAPE: Final = 0x80


def byte_offset_values(data: bytes, count: int) -> NDArray[np.int64] | None:
    """The first `count` values; None if there are fewer."""
    raw = np.frombuffer(data, np.uint8)
    is_start = np.ones(raw.size, np.bool_)
    long_starts: list[int] = []
    long_values: list[int] = []
    end, size = 0, raw.size
    for start in np.flatnonzero(raw == _ESCAPE).tolist():
        if start < end:  # part of a longer difference
            continue
        for width, code, smallest in ((2, "<h", -(2**15)), (4, "<i", -(2**31)), (8, "<q", None)):
            begin = start + width - 1
            end = begin + width
            if end > size:
                break
            (value,) = struct.unpack_from(code, data, begin)
            if value != smallest:
                break
        if end > size:  # what is cut off belongs to no value
            is_start[start:] = False
            break
        is_start[start + 1 : end] = False
        long_starts.append(start)
        long_values.append(value)
    if int(np.count_nonzero(is_start)) < count:
        return None
    steps = raw.view(np.int8).astype(np.int64)
    steps[long_starts] = long_values
    steps = steps[is_start][:count]
    with np.errstate(over="ignore"):
        return np.cumsum(steps, out=steps)
