"""Images that are written as they are computed, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nanobragg_hybrid.errors import ConfigError


def write_rows(
    file: BinaryIO, blocks: Iterable[NDArray[Any]], dtype: DTypeLike, shape: tuple[int, ...]
) -> None:
    """Writes the pixels of `blocks`, arrays (slow, fast) that together are an image of `shape`.

    Raises `ConfigError` (``pixels``) for another type, width or number of rows.
    """
    n_slow, n_fast = shape
    written = 0
    for block in blocks:
        if block.dtype != dtype or block.ndim != 2 or block.shape[1] != n_fast:
            raise ConfigError(
                "pixels", f"{block.dtype} {block.shape}", f"{np.dtype(dtype)} rows of {n_fast}"
            )
        file.write(np.ascontiguousarray(block).data)
        written += len(block)
    if written != n_slow:
        raise ConfigError("pixels", f"{written} rows", f"{n_slow} rows")
