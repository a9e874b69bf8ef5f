"""PNG pictures for people (written only; needs Pillow, the extra `png`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.arrays import refuse_masked
from nanobragg_hybrid.base.atomic import Destination, atomic_write
from nanobragg_hybrid.base.errors import ConfigError, UnsupportedError, how_to_install
from nanobragg_hybrid.formats.rows import is_array


def write_png(path: Destination, pixels: NDArray[np.uint8]) -> None:
    """Writes a uint8 array, (slow, fast) as grey or (slow, fast, 3) as red, green, blue.

    Raises `UnsupportedError` if Pillow is not installed, `ConfigError` for another type or shape,
    and `FileAccessError`.
    """
    if not is_array(pixels):
        raise ConfigError("pixels", pixels, "a uint8 array (slow, fast) or (slow, fast, 3)")
    refuse_masked("pixels", pixels)
    grey = pixels.ndim == 2
    if pixels.dtype != np.uint8 or pixels.size == 0 or not (grey or pixels.shape[2:] == (3,)):
        raise ConfigError(
            "pixels", f"{pixels.dtype} {pixels.shape}", "uint8 (slow, fast) or (slow, fast, 3)"
        )
    image = require_pillow()
    with atomic_write(path) as file:
        image.fromarray(np.ascontiguousarray(pixels)).save(file, format="PNG")


def require_pillow() -> Any:
    """The module of Pillow that makes images.  Raises `UnsupportedError` if it is not installed."""
    try:
        from PIL import Image
    except ImportError:
        raise UnsupportedError(f"writing PNG needs Pillow: {how_to_install('png')}") from None
    return Image
