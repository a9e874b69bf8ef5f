"""Images as the memory that is written to files, whole or some rows at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO, Final

from nanobragg_hybrid.base.arrays import as_buffer, is_ndarray, refuse_masked
from nanobragg_hybrid.base.errors import ConfigError

if TYPE_CHECKING:
    from nanobragg_hybrid.base.arrays import Array, Buffer

_TYPES: Final = {"f": "float32", "d": "float64", "H": "uint16", "B": "uint8", "?": "bool"}
"""What a memoryview calls the types that numpy calls so."""


def image_buffer(pixels: Array, dtype: str) -> Buffer:
    """The memory of an image (slow, fast); ConfigError (``pixels``) for one of another type."""
    if not is_array(pixels):
        raise ConfigError("pixels", pixels, f"an array, a {dtype} image (slow, fast)")
    refuse_masked("pixels", pixels)
    if _type(pixels) != dtype or pixels.ndim != 2:
        raise ConfigError(
            "pixels", f"{_type(pixels)} {pixels.shape}", f"a {dtype} image (slow, fast)"
        )
    return as_buffer(pixels)


def is_array(pixels: object) -> bool:
    """Whether it is an array of numpy's or memory with a shape."""
    return isinstance(pixels, memoryview) or is_ndarray(pixels)


def write_rows(file: BinaryIO, blocks: Iterable[Array], dtype: str, shape: tuple[int, ...]) -> None:
    """Writes the pixels of `blocks`, arrays (slow, fast) that together are an image of `shape`.

    Raises `ConfigError` (``pixels``) for another type, width or number of rows.
    """
    n_slow, n_fast = shape
    written = 0
    for block in blocks:
        refuse_masked("pixels", block)
        if _type(block) != dtype or block.ndim != 2 or block.shape[1] != n_fast:
            raise ConfigError(
                "pixels", f"{_type(block)} {block.shape}", f"{dtype} rows of {n_fast}"
            )
        file.write(as_buffer(block))
        written += len(block)
    if written != n_slow:
        raise ConfigError("pixels", f"{written} rows", f"{n_slow} rows")


def _type(array: Array) -> str:
    if isinstance(array, memoryview):
        return _TYPES.get(array.format, array.format)
    return str(getattr(array, "dtype", None))
