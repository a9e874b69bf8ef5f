"""The byte-offset compression of CBF files (International Tables G, 5.6.3.3).

Each pixel is the difference to the one before, in 1 byte; else in 2 behind a byte of 0x80; else in
4 behind 0x80 0x00 0x80; all little-endian.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.native import byte_offset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def compressed(pixels: NDArray[np.int32]) -> bytes:
    """The pixels in the order of rows, compressed.

    Raises `ConfigError` where neighbours differ by 2^31 or more, for which many readers have no
    step.
    """
    import numpy as np

    found = byte_offset(np.ascontiguousarray(pixels, np.int32))
    if found is None:
        raise ConfigError("pixels", "a step of 2^31 or more", "smaller steps between neighbours")
    return found
