"""`nanobragg-hybrid add`: the weighted sum of raw float images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nanobragg_hybrid.base.errors import CommandLineError, FileFormatError
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.formats.raw import read_raw, write_raw
from nanobragg_hybrid.formats.text import file_size, open_binary

_FLOAT_BYTES = 4


def add(images: Sequence[Path], weights: Sequence[float], out: Path) -> int:
    """Writes the sum of the images, each times its weight, summed in double, and gives the number
    of pixels.

    weights: one for each image, or none: then all are 1.  Raises `CommandLineError` for another
    number of weights, one that is not finite and fewer than one image, `FileFormatError` for files
    of different sizes, and `FileAccessError`.
    """
    if not images:
        raise CommandLineError("add: needs at least one image")
    if weights and len(weights) != len(images):
        raise CommandLineError(
            f"--weight: got {len(weights)} of them, need one for each of {len(images)} images"
        )
    for weight in weights:
        if not np.isfinite(weight):
            raise CommandLineError(f"--weight: got {weight}, need a finite number")
    pixels = _pixels(images[0])
    require_memory({f"sum of {pixels} pixels": 3 * 8 * pixels})
    total = np.zeros((1, pixels))
    for number, path in enumerate(images):
        if _pixels(path) != pixels:
            problem = f"has {_pixels(path)} pixels, {images[0]} has {pixels}"
            raise FileFormatError(path, 0, problem)
        image = read_raw(path, (1, pixels)).astype(np.float64)
        total += image * (weights[number] if weights else 1.0)
    write_raw(out, total.astype(np.float32))
    return pixels


def _pixels(path: Path) -> int:
    with open_binary(path) as file:
        size = file_size(file)
    if size == 0 or size % _FLOAT_BYTES:
        raise FileFormatError(path, 0, f"{size} bytes are no image of 32-bit floats")
    return size // _FLOAT_BYTES
