"""A picture of boxes: data, model, and what is left between them."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.fitting.likelihoods import Array
from nanobragg_hybrid.fitting.pixels import FitPixels, Indices

_GAP: Final = 2
"""White pixels between the parts of a row, and between boxes."""
_LARGEST_RESIDUAL: Final = 5.0
"""In standard deviations: drawn in full colour."""
_LEFT_OUT: Final = np.array([200, 200, 200], dtype=np.uint8)
"""Colour of pixels that are not fitted."""

Picture = NDArray[np.uint8]


def boxes_picture(pixels: FitPixels, expected: Array, zoom: int, columns: int | None) -> Picture:
    """Every box as data | model | residual, shape (slow, fast, 3).

    Data and model are dark on white, by the square root of photons, black at the box's brightest.
    Residuals over their standard deviations are red where the data have more and blue where the
    model has, in full colour from 5 on.  Pixels that are not fitted are grey.

    Raises `ResourceError` for a picture that does not fit into memory.
    """
    boxes = pixels.boxes
    sizes = [(zoom * (b[1] - b[0]), 3 * zoom * (b[3] - b[2]) + 2 * _GAP) for b in boxes.tolist()]
    tall, wide = (max(size[axis] for size in sizes) + _GAP for axis in (0, 1))
    across = columns or max(1, math.ceil(math.sqrt(len(sizes) * tall / wide)))
    down = math.ceil(len(sizes) / across)
    height, width = down * tall + _GAP, across * wide + _GAP
    own = sum(a * b for a, b in sizes)
    require_memory({"picture": 3 * height * width, "its boxes": 3 * own})
    residuals = pixels.residuals(expected)
    rows = [_row(pixels, expected, residuals, n, zoom) for n in range(len(boxes))]
    picture = np.full((height, width, 3), 255, dtype=np.uint8)
    for n, row in enumerate(rows):
        top, left = n // across * tall + _GAP, n % across * wide + _GAP
        picture[top : top + row.shape[0], left : left + row.shape[1]] = row
    return picture


def _row(pixels: FitPixels, expected: Array, residuals: Array, n: int, zoom: int) -> Picture:
    start = pixels.starts[n]
    stop = pixels.starts[n + 1] if n + 1 < pixels.starts.size else pixels.count
    part = slice(start, stop)
    data, model = pixels.photons[part], expected[part]
    spread = np.sqrt(
        np.maximum(pixels.growth.spread(model, pixels.variance[part]), np.finfo(float).tiny)
    )
    brightest = max(float(data.max()), float(model.max()), np.finfo(float).tiny)
    shape, place = _place(pixels, n, part)
    residual = _signed(residuals[part] / spread)
    colours = [_grey(data / brightest), _grey(model / brightest), residual]
    parts: list[Picture] = []
    for colour in colours:
        image = np.broadcast_to(_LEFT_OUT, (*shape, 3)).copy()
        image[place] = colour
        parts.append(image.repeat(zoom, axis=0).repeat(zoom, axis=1))
        parts.append(np.full((shape[0] * zoom, _GAP, 3), 255, dtype=np.uint8))
    return np.concatenate(parts[:-1], axis=1)


def _place(
    pixels: FitPixels, n: int, part: slice
) -> tuple[tuple[int, int], tuple[Indices, Indices]]:
    slow_start, slow_stop, fast_start, fast_stop = pixels.boxes[n].tolist()
    shape = (slow_stop - slow_start, fast_stop - fast_start)
    return shape, (pixels.slow[part] - slow_start, pixels.fast[part] - fast_start)


def _grey(share: Array) -> Picture:
    level = 255.0 * (1.0 - np.sqrt(np.clip(share, 0.0, 1.0)))
    return np.repeat((level + 0.5).astype(np.uint8)[:, None], 3, axis=1)


def _signed(residual: Array) -> Picture:
    strength = np.clip(residual / _LARGEST_RESIDUAL, -1.0, 1.0)
    fade = (255.0 * (1.0 - np.abs(strength)) + 0.5).astype(np.uint8)
    full = np.full_like(fade, 255)
    red, blue = np.where(strength >= 0.0, full, fade), np.where(strength >= 0.0, fade, full)
    return np.stack([red, fade, blue], axis=1)
