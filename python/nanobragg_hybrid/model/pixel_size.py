"""Edges of a pixel: one number where it is square, else one along fast and one along slow."""

from __future__ import annotations

from typing import Final

from nanobragg_hybrid.model.validate import POSITIVE, Items

PixelSize = float | tuple[float, float]
"""mm."""


class PixelSizeRule:
    """One length, or two of them along fast and slow; two that are equal become one."""

    @property
    def text(self) -> str:
        """What is needed, of each edge."""
        return POSITIVE.text

    def normalise(self, value: object) -> PixelSize:
        """A float where the pixel is square, else two."""
        try:
            return POSITIVE.normalise(value)
        except ValueError:
            fast, slow = Items(2, POSITIVE).normalise(value)
        return fast if fast == slow else (fast, slow)


PIXEL_SIZE: Final = PixelSizeRule()


def edges_mm(size: PixelSize) -> tuple[float, float]:
    """The edge along fast and the edge along slow, mm."""
    return size if isinstance(size, tuple) else (size, size)
