"""Raw float images (`-floatfile`): 32-bit floats, slow by slow row, no header."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from nanobragg_hybrid.base.atomic import Destination, atomic_write
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError
from nanobragg_hybrid.formats.file_kinds import START_BYTES, refuse_other_kind
from nanobragg_hybrid.formats.rows import image_buffer
from nanobragg_hybrid.formats.text import file_size, open_binary
from nanobragg_hybrid.model.validate import COUNT, Items

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.base.arrays import Array

_SHAPE: Final = Items(2, COUNT)


def read_raw(path: str | os.PathLike[str], shape: tuple[int, int]) -> NDArray[np.float32]:
    """The image of `shape` (slow, fast) in the machine's byte order.

    Raises `FileAccessError`, and `FileFormatError` with both sizes if the file's does not fit.
    """
    import numpy as np

    try:
        n_slow, n_fast = _SHAPE.normalise(shape)
    except ValueError:
        raise ConfigError("shape", shape, _SHAPE.text) from None
    needed = n_slow * n_fast * 4
    with open_binary(path) as file:
        size = file_size(file)
        if size != needed:
            refuse_other_kind(path, file.read(START_BYTES), "32-bit floats without a header")
            raise FileFormatError(
                path, 0, f"{n_fast} x {n_slow} floats need {needed} bytes, the file has {size}"
            )
        image = np.frombuffer(file.read(needed), dtype=np.float32)
    return image.reshape(n_slow, n_fast)


def write_raw(path: Destination, pixels: Array) -> None:
    """Writes a float32 image (slow, fast).  Raises `ConfigError` for another type, and
    `FileAccessError`."""
    image = image_buffer(pixels, "float32")
    with atomic_write(path) as file:
        file.write(image)
