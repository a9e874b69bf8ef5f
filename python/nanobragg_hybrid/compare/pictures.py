"""Grey and coloured pictures of images, for people."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.formats.png import write_png
from nanobragg_hybrid.model.result import SimulationResult
from nanobragg_hybrid.run.assembled import assembled_image

NOTEBOOK_PIXELS: Final = 1024
"""Longest edge of a picture for notebooks."""


def white_point(image: NDArray[np.float32], percentile: float = 99.5) -> float:
    """The intensity that is drawn black: that percentile of the pixels that got any light."""
    positive = image[image > 0.0]
    return float(np.percentile(positive, percentile)) if positive.size else 1.0


def grey(image: NDArray[np.float32], brightest: float | None = None) -> NDArray[np.uint8]:
    """Grey levels, shape (slow, fast): spots are dark on white, as on film.

    Darkness goes with the square root of intensity, so that weak spots show; `brightest` (by
    default the image's `white_point`) and everything above it is black.
    """
    if brightest is None:
        brightest = white_point(image)
    darkness = np.sqrt(np.clip(image / brightest, 0.0, 1.0))
    return np.asarray(255.0 * (1.0 - darkness) + 0.5).astype(np.uint8)


def painted(
    pixels: NDArray[np.uint8], which: NDArray[np.int8], colours: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """A colour picture, shape (slow, fast, 3): grey, but `colours[n]` where `which` is n >= 0."""
    picture = np.repeat(pixels[:, :, None], 3, axis=2)
    picture[which >= 0] = colours[which[which >= 0]]
    return picture


def png_of_result(result: SimulationResult) -> bytes | None:
    """The result's image as PNG, all panels in their places; None without Pillow, and where no
    panel can be seen along the beam.

    Larger images are made smaller: a pixel is the brightest of its block.
    """
    try:
        import PIL  # noqa: F401
    except ImportError:
        return None
    if len(result.panels) == 1:
        image = result.images[0]
    else:
        try:
            image = assembled_image(result).pixels
        except ConfigError:  # no panel can be seen along the beam
            return None
    image = np.nan_to_num(image)
    block = -(-max(image.shape) // NOTEBOOK_PIXELS)
    if block > 1:
        high, wide = (-(-n // block) for n in image.shape)
        whole = np.full((high * block, wide * block), -np.inf, np.float32)
        whole[: image.shape[0], : image.shape[1]] = image
        image = whole.reshape(high, block, wide, block).max(axis=(1, 3))
    file = io.BytesIO()
    write_png(file, grey(image))
    return file.getvalue()
