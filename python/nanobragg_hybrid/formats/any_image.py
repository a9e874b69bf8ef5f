"""Image files of any kind that this package knows, and archives of images, as float images."""

from __future__ import annotations

import dataclasses
import math
import os
import zipfile
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, FileFormatError
from nanobragg_hybrid.formats.file_kinds import START_BYTES, refuse_other_kind
from nanobragg_hybrid.formats.pgm import read_pgm
from nanobragg_hybrid.formats.raw import read_raw
from nanobragg_hybrid.formats.smv import read_smv
from nanobragg_hybrid.formats.text import file_size, open_binary
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.validate import COUNT, Items, Optional

_HONEST_HEADER: Final = dataclasses.replace(Quirks(), smv_header_search=False)


def read_image(
    path: str | os.PathLike[str],
    shape: tuple[int, int] | None = None,
    like: tuple[int, int] | None = None,
) -> NDArray[np.float32]:
    """The pixels of an SMV, PGM or raw float file as float32, shape (slow, fast).

    What begins like an SMV or a PGM file is one.  The pixels of an SMV file have the type and the
    byte order that its header states; the levels of a PGM are divided by the scale that its comment
    states.  Everything else is 32-bit floats without a header, of the `shape` (slow, fast) given,
    else of the shape `like` if the bytes fit, else square.

    Raises `FileAccessError`, and `FileFormatError` for a file that does not fit its shape or whose
    shape cannot be guessed.
    """
    for name, given in (("shape", shape), ("like", like)):
        try:
            Optional(Items(2, COUNT)).normalise(given)
        except ValueError:
            raise ConfigError(name, given, "(slow, fast), two numbers >= 1, or None") from None
    with open_binary(path) as file:
        start, size = file.read(START_BYTES), file_size(file)
    if start.startswith(b"{\n"):
        return read_smv(path, quirks=_HONEST_HEADER).pixels.astype(np.float32)
    if start.startswith(b"P5"):
        picture = read_pgm(path)
        return (picture.pixels / (picture.scale or 1.0)).astype(np.float32)
    if shape is None:
        if like is None or size != 4 * like[0] * like[1]:
            refuse_other_kind(path, start, "an SMV, PGM or raw float image")
        shape = _guessed_shape(path, size, like)
    return read_raw(path, shape)


def read_archived_image(path: str | os.PathLike[str], name: str) -> NDArray[np.float32]:
    """The float32 image `name` of an archive that `numpy.savez` wrote.

    Raises `FileAccessError`, and `FileFormatError` if it is no such archive or has no such image.
    """
    with open_binary(path) as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                image: NDArray[np.float32] = archive[name]
        except (ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError):
            raise FileFormatError(path, 0, "is no archive of numpy arrays (.npz)") from None
        except KeyError:
            raise FileFormatError(path, 0, f"has no image {name!r}") from None
    if image.dtype != np.float32 or image.ndim != 2:
        raise FileFormatError(path, 0, f"{name}: got {image.dtype} {image.shape}, need float32")
    return image


def _guessed_shape(
    path: str | os.PathLike[str], size: int, like: tuple[int, int] | None
) -> tuple[int, int]:
    if like is not None and size == 4 * like[0] * like[1]:
        return like
    side = math.isqrt(size // 4)
    if size == 0 or side * side * 4 != size:
        raise FileFormatError(
            path,
            0,
            f"{size} bytes are no square image of 32-bit floats, "
            "so say the shape (nb-compare: --shape FAST SLOW)",
        )
    return side, side
