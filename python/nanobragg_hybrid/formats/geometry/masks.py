"""Bad pixels of a panel, from rectangles of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nanobragg_hybrid.base.host import require_memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Rectangle = tuple[int, int, int, int]
"""First fast, past the last fast, first slow, past the last slow pixel."""


def mask_without(
    rectangles: Iterable[Rectangle], n_fast: int, n_slow: int
) -> NDArray[np.bool_] | None:
    """False in the rectangles, of which parts outside the panel do not count; None: nothing is.

    Raises `ResourceError`.
    """
    inside = []
    for fast, fast_end, slow, slow_end in rectangles:
        box = max(fast, 0), min(fast_end, n_fast), max(slow, 0), min(slow_end, n_slow)
        if box[0] < box[1] and box[2] < box[3]:
            inside.append(box)
    if not inside:
        return None
    import numpy as np

    require_memory({"mask of a panel": n_fast * n_slow})
    mask = np.ones((n_slow, n_fast), dtype=np.bool_)
    for fast, fast_end, slow, slow_end in inside:
        mask[slow:slow_end, fast:fast_end] = False
    return mask


def rectangles_of(mask: NDArray[np.bool_] | None) -> list[Rectangle]:
    """The bad pixels of a mask: runs along fast, of which equal neighbours are one rectangle."""
    if mask is None:
        return []
    import numpy as np

    boxes: list[list[int]] = []
    above: dict[tuple[int, int], list[int]] = {}
    for slow, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate(([1], row.astype(np.int8), [1]))))
        here = {}
        for first, end in edges.reshape(-1, 2).tolist():
            box = above.get((first, end))
            if box is None:
                box = [first, end, slow, slow + 1]
                boxes.append(box)
            box[3] = slow + 1
            here[first, end] = box
        above = here
    return [(a, b, c, d) for a, b, c, d in boxes]
