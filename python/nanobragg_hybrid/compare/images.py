"""Regions and pictures of two images."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, Description

Image = NDArray[np.float32]

_RED = np.array([178.0, 24.0, 43.0])
_BLUE = np.array([33.0, 102.0, 172.0])


class Region(NamedTuple):
    """Pixels fast_min to fast_max and slow_min to slow_max, both ends included, as in -roi."""

    fast_min: int
    fast_max: int
    slow_min: int
    slow_max: int

    @classmethod
    def whole(cls, shape: tuple[int, int]) -> Region:
        """All of an image of `shape` (slow, fast)."""
        return cls(0, shape[1] - 1, 0, shape[0] - 1)

    def clipped(self, shape: tuple[int, int]) -> Region:
        """The part inside an image of `shape` (slow, fast); what has none stays as it is."""
        part = Region(
            max(self.fast_min, 0),
            min(self.fast_max, shape[1] - 1),
            max(self.slow_min, 0),
            min(self.slow_max, shape[0] - 1),
        )
        is_empty = part.fast_min > part.fast_max or part.slow_min > part.slow_max
        return self if is_empty else part

    def __str__(self) -> str:
        return f"fast {self[0]} to {self[1]}, slow {self[2]} to {self[3]}"

    def of(self, image: Image) -> Image:
        """The region's pixels; `ConfigError` if it is not inside the image."""
        n_slow, n_fast = image.shape
        fast_is_right = 0 <= self.fast_min <= self.fast_max < n_fast
        if not (fast_is_right and 0 <= self.slow_min <= self.slow_max < n_slow):
            raise ConfigError(
                "roi",
                Description(self),
                f"fast within 0 to {n_fast - 1} and slow within 0 to {n_slow - 1}, "
                "the smaller number first",
            )
        return image[self.slow_min : self.slow_max + 1, self.fast_min : self.fast_max + 1]


def reduced(image: NDArray[Any], side: int = 1000) -> NDArray[Any]:
    """A smaller image of at most `side` pixels each way, for looking at: of each block of pixels
    the one of largest magnitude.  NaN counts as 0."""
    factor = max(1, math.ceil(max(image.shape) / side))
    n_slow, n_fast = (math.ceil(count / factor) for count in image.shape)
    framed = np.zeros((n_slow * factor, n_fast * factor), image.dtype)
    framed[: image.shape[0], : image.shape[1]] = np.where(np.isnan(image), 0, image)
    blocks = framed.reshape(n_slow, factor, n_fast, factor).transpose(0, 2, 1, 3)
    highest, lowest = blocks.max(axis=(2, 3)), blocks.min(axis=(2, 3))
    largest: NDArray[Any] = np.where(highest >= -lowest, highest, lowest)
    return largest


def signed_difference(a: Image, b: Image) -> NDArray[np.float64]:
    """b - a in float64; 0 where both are the same or either is not finite."""
    usable = np.isfinite(a) & np.isfinite(b)
    return np.where(usable, b, 0).astype(np.float64) - np.where(usable, a, 0)


def difference_picture(change: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Colours, shape (slow, fast, 3): white for 0, towards red where b is brighter, towards blue
    where a is.  Full colour is the largest magnitude; colour goes with the square root."""
    largest = float(np.abs(change).max(initial=0.0)) or 1.0
    strength = np.sqrt(np.abs(change) / largest)[:, :, None]
    colour = np.where((change > 0.0)[:, :, None], _RED, _BLUE)
    return np.asarray(255.0 + (colour - 255.0) * strength + 0.5).astype(np.uint8)
