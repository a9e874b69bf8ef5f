"""The point spread of fitted pixels: which pixels' light arrives in them, and how much of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.fitting.likelihoods import Array
from nanobragg_hybrid.fitting.pixels import FitPixels, Indices
from nanobragg_hybrid.model.response import PointSpread
from nanobragg_hybrid.run.point_spread import Region, reach, spread


class _Box(NamedTuple):
    """Light around the fitted pixels of a box.

    sources: numbers of source pixels, shape (slow, fast), the count of all where there is no light.
    wanted: the rectangle of the fitted pixels in that.  slow, fast: their places in it.  own: which
    of all fitted pixels they are.
    """

    sources: Indices
    wanted: Region
    slow: Indices
    fast: Indices
    own: slice


class Spreading:
    """From the light of the source pixels to that which arrives in the fitted ones.

    slow, fast: places of the source pixels, shape (m,): the fitted ones, and those whose light
    spreads into them.
    """

    def __init__(
        self,
        pixels: FitPixels,
        point_spread: PointSpread | None,
        pixel_um: float,
        shape: tuple[int, int],
        lit: NDArray[np.bool_] | None,
    ) -> None:
        """lit: pixels that are rendered, shape (slow, fast); None: all."""
        self._point_spread = point_spread
        self._pixel_um = pixel_um
        self._boxes: list[_Box] = []
        self._count = pixels.count
        if point_spread is None:
            self.slow, self.fast = pixels.slow, pixels.fast
            return
        regions = []
        for n, start in enumerate(pixels.starts.tolist()):
            stop = [*pixels.starts.tolist(), pixels.count][n + 1]
            slow, fast = pixels.slow[start:stop], pixels.fast[start:stop]
            wanted = Region(
                int(slow.min()), int(slow.max()) + 1, int(fast.min()), int(fast.max()) + 1
            )
            source = wanted.widened(reach(point_spread, pixel_um), shape)
            regions.append((wanted, source, slow, fast, slice(start, stop)))
        places = []
        for _, source, *_ in regions:
            rows = np.arange(source.top, source.bottom)
            columns = np.arange(source.left, source.right)
            places.append((rows[:, None] * shape[1] + columns).astype(np.intp))
        every = np.unique(np.concatenate([each.ravel() for each in places]))
        if lit is not None:
            every = every[lit.ravel()[every]]
        self.slow, self.fast = every // shape[1], every % shape[1]
        for (wanted, source, slow, fast, own), place in zip(regions, places, strict=True):
            number = np.searchsorted(every, place)
            inside = np.minimum(number, every.size - 1)
            sources = np.where(every[inside] == place, inside, every.size)
            top, left = source.top, source.left
            moved = Region(
                wanted.top - top, wanted.bottom - top, wanted.left - left, wanted.right - left
            )
            self._boxes.append(_Box(sources, moved, slow - top, fast - left, own))

    def arriving(self, light: Array) -> Array:
        """Of the light of the source pixels, shape (m,), what arrives in the fitted ones, (n,)."""
        if self._point_spread is None:
            return light
        padded = np.append(light, 0.0)
        found = np.empty(self._count)
        for box in self._boxes:
            image = spread(padded[box.sources], self._point_spread, self._pixel_um, box.wanted)
            found[box.own] = image[box.slow, box.fast]
        return found
