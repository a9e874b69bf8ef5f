"""Raw float images (`-floatfile`): 32-bit floats, slow by slow row, no header."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.errors import ConfigError, FileFormatError

from .atomic import Destination, atomic_write
from .text import file_size, open_binary


def read_raw(path: str | os.PathLike[str], shape: tuple[int, int]) -> NDArray[np.float32]:
    """The image of `shape` (slow, fast) in the machine's byte order.

    Raises `FileAccessError`, and `FileFormatError` with both sizes if the file's does not fit.
    """
    n_slow, n_fast = shape
    needed = n_slow * n_fast * 4
    with open_binary(path) as file:
        size = file_size(file)
        if size != needed:
            raise FileFormatError(
                path, 0, f"{n_fast} x {n_slow} floats need {needed} bytes, the file has {size}"
            )
        image = np.frombuffer(file.read(needed), dtype=np.float32)
    return image.reshape(n_slow, n_fast)


def write_raw(path: Destination, pixels: NDArray[np.float32]) -> None:
    """Writes a float32 image (slow, fast).  Raises `ConfigError` for another type, and
    `FileAccessError`."""
    if pixels.dtype != np.float32 or pixels.ndim != 2:
        raise ConfigError(
            "pixels", f"{pixels.dtype} {pixels.shape}", "a float32 image (slow, fast)"
        )
    with atomic_write(path) as file:
        file.write(np.ascontiguousarray(pixels).data)
