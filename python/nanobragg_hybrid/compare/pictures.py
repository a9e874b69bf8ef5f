"""Grey and coloured pictures of images, for people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
