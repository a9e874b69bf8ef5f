"""PGM images (`-pgmfile`): 8-bit grey with the scale in a comment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from nanobragg_hybrid.base.atomic import Destination, atomic_write
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError
from nanobragg_hybrid.formats.file_kinds import refuse_other_kind
from nanobragg_hybrid.formats.numbers import c_atof
from nanobragg_hybrid.formats.rows import image_buffer, write_rows
from nanobragg_hybrid.formats.text import read_bytes
from nanobragg_hybrid.model.validate import Number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.base.arrays import Array

_GAP = rb"(?:\s|#[^\n]*\n)"
_HEADER: Final = rb"P5" + _GAP + rb"+(\d{1,9})" + _GAP + rb"+(\d{1,9})" + _GAP + rb"+(\d{1,9})\s"
_SCALE: Final = "# pixels scaled by "


class PgmImage(NamedTuple):
    """A PGM file: `pixels` uint8 (slow, fast) and the `scale` its comment states, if it does."""

    pixels: NDArray[np.uint8]
    scale: float | None


def read_pgm(path: str | os.PathLike[str]) -> PgmImage:
    """Reads an 8-bit binary PGM file, with comments anywhere in its header.

    Raises `FileAccessError`, and `FileFormatError` for another format or a file that is too short.
    """
    import numpy as np

    data = read_bytes(path)
    header = re.match(_HEADER, data)
    if header is None:
        refuse_other_kind(path, data, "a binary PGM picture", own="PGM")
        raise FileFormatError(path, 0, "does not begin like a binary PGM file (P5)")
    width, height, largest = (int(number) for number in header.groups())
    if largest != 255:
        raise FileFormatError(path, 0, f"largest value: got {largest}, need 255")
    present = len(data) - header.end()
    if present < width * height:
        raise FileFormatError(
            path,
            0,
            f"truncated: {width} x {height} pixels need {width * height} bytes, "
            f"the file has {present} after its header",
        )
    text = header[0].decode("latin-1")
    scale = None
    if _SCALE in text:
        value, used = c_atof(text, text.index(_SCALE) + len(_SCALE))
        scale = value if used else None
    pixels = np.frombuffer(data, dtype=np.uint8, count=width * height, offset=header.end())
    return PgmImage(pixels.reshape(height, width), scale)


def write_pgm(path: Destination, pixels: Array, scale: float) -> None:
    """Writes a uint8 image (slow, fast); `scale` (photons to grey) goes into a comment.

    Raises `ConfigError` for another type of pixels, and `FileAccessError`.
    """
    image = image_buffer(pixels, "uint8")
    try:
        scale = Number(infinity=True).normalise(scale)
    except ValueError:
        raise ConfigError("scale", scale, "a number") from None
    write_pgm_blocks(path, [image], image.shape, scale)


def write_pgm_blocks(
    path: Destination, blocks: Iterable[Array], shape: tuple[int, ...], scale: float
) -> None:
    """Writes as `write_pgm` an image of `shape` (slow, fast) that comes in blocks of whole rows.

    Raises `ConfigError` if they make another image than that, and `FileAccessError`.
    """
    height, width = shape
    with atomic_write(path) as file:
        file.write(f"P5\n{width} {height}\n{_SCALE}{scale:g}\n255\n".encode("ascii"))
        write_rows(file, blocks, "uint8", shape)
