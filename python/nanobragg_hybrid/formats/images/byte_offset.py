"""The byte-offset compression of CBF files (International Tables G, 5.6.3.3).

Each pixel is the difference to the one before, in 1 byte; else in 2 behind a byte of 0x80; else in
4 behind 0x80 0x00 0x80; all little-endian.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nanobragg_hybrid.base.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLOCK = 1 << 16
"""Pixels at a time, which stay in the processor's cache."""


def compressed(pixels: NDArray[np.int32]) -> bytes:
    """The pixels in the order of memory, compressed.

    Raises `ConfigError` where neighbours differ by 2^31 or more, for which many readers have no
    step.
    """
    import numpy as np

    flat = pixels.ravel()
    parts = []
    before = 0
    # 32 bits are enough for steps where all pixels, and the 0 before the first, are near enough.
    lowest, highest = min(0, int(flat.min())), max(0, int(flat.max()))
    kind: Any = np.int32 if highest - lowest < 2**31 else np.int64
    for first in range(0, flat.size, _BLOCK):
        block = flat[first : first + _BLOCK]
        steps = np.empty(block.size, kind)
        np.subtract(block[1:], block[:-1], out=steps[1:], dtype=kind)
        steps[0] = int(block[0]) - before
        before = int(block[-1])
        parts.append(_steps(steps))
    return b"".join(parts)


def _steps(steps: NDArray[np.signedinteger[Any]]) -> bytes:
    import numpy as np

    small = steps.astype(np.int8)
    wide = np.flatnonzero((small != steps) | (small == -128))
    if wide.size == 0:
        return small.tobytes()
    values = steps[wide]
    if int(values.max()) >= 2**31 or int(values.min()) <= -(2**31):
        raise ConfigError("pixels", "a step of 2^31 or more", "smaller steps between neighbours")
    is_long = (values > 32767) | (values < -32767)
    extra = np.where(is_long, 6, 2)
    at = wide + np.cumsum(extra) - extra  # where each of them begins
    result = np.empty(steps.size + int(extra.sum()), np.uint8)
    is_other = np.ones(result.size, np.bool_)
    for offset in range(1, 7):
        is_other[(at if offset <= 2 else at[is_long]) + offset] = False
    result[is_other] = small.view(np.uint8)
    result[at] = 0x80
    shorts = values.astype("<i2")
    shorts[is_long] = -32768
    result[at[:, None] + (1, 2)] = shorts.view(np.uint8).reshape(-1, 2)
    longs = values[is_long].astype("<i4")
    result[at[is_long][:, None] + (3, 4, 5, 6)] = longs.view(np.uint8).reshape(-1, 4)
    return result.tobytes()
