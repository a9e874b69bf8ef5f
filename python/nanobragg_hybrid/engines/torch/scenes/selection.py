"""Which pixels a caller wants the values of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.engines.torch.scenes.pixels import ActivePixels, ChosenPixels, Pixels

Numbers = NDArray[np.int64]

_BYTES_OF_PIXEL: Final = 2 * 2 * 8
"""Two numbers of each, twice while boxes are joined."""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Pixels in the order in which their values are wanted, each as often as it is wanted.

    slow, fast: numbers of pixels of the image, whole numbers >= 0, arrays or tensors of shape (n,),
    kept as int64 that cannot be written to.  `pixels` and `boxes` make them.

    Raises `ConfigError` for others.
    """

    slow: Numbers
    fast: Numbers

    def __post_init__(self) -> None:
        for name in ("slow", "fast"):
            numbers = _whole_numbers(name, getattr(self, name), ())
            numbers.flags.writeable = False
            object.__setattr__(self, name, numbers)
        if self.slow.shape != self.fast.shape:
            found = Description(f"{len(self.fast)} numbers")
            raise ConfigError("fast", found, f"as many as of slow ({len(self.slow)})")

    @classmethod
    def pixels(cls, pixels: object) -> Selection:
        """Single pixels: whole numbers (slow, fast) >= 0, an array or tensor of shape (n, 2).

        Raises `ConfigError`.
        """
        rows = _whole_numbers("select", pixels, (2,))
        return cls(rows[:, 0], rows[:, 1])

    @classmethod
    def boxes(cls, boxes: object) -> Selection:
        """Rectangles, one after the other, the pixels of each row by row: whole numbers >= 0
        (slow_start, slow_stop, fast_start, fast_stop), stops exclusive, an array or tensor of shape
        (n, 4).

        Raises `ConfigError`, and `ResourceError` for more pixels than fit into memory.
        """
        rows = _whole_numbers("select", boxes, (4,))
        bad = np.flatnonzero((rows[:, 1] <= rows[:, 0]) | (rows[:, 3] <= rows[:, 2]))
        if len(bad):
            raise ConfigError(
                f"select[{bad[0]}]",
                tuple(rows[bad[0]].tolist()),
                "a box (slow_start, slow_stop, fast_start, fast_stop) with starts below stops",
            )
        count = sum((b - a) * (d - c) for a, b, c, d in rows.tolist())
        require_memory({"numbers of pixels": _BYTES_OF_PIXEL * count})
        slow, fast = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for slow_start, slow_stop, fast_start, fast_stop in rows.tolist():
            width = fast_stop - fast_start
            slow.append(np.repeat(np.arange(slow_start, slow_stop), width))
            fast.append(np.tile(np.arange(fast_start, fast_stop), slow_stop - slow_start))
        return cls(np.concatenate(slow), np.concatenate(fast))

    @property
    def count(self) -> int:
        """How many pixels, those that are wanted twice counted twice."""
        return len(self.slow)


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Pixels in serial order, and where the caller wants them; None: in that order.

    places: int64, shape (n,).
    """

    pixels: Pixels
    places: Tensor | None

    def in_order(self, values: Tensor, dim: int = 0) -> Tensor:
        """Values of the pixels along a dimension, in the caller's order."""
        return values if self.places is None else values.index_select(dim, self.places)

    def sorted(self, values: Tensor) -> Tensor:
        """The opposite: values in the caller's order, in serial order."""
        if self.places is None:
            return values
        return torch.empty_like(values).index_copy_(0, self.places, values)


def chosen(select: Selection | None, active: ActivePixels, device: torch.device) -> Chosen:
    """The pixels of a selection; None: all active ones.

    Raises `ConfigError` for a pixel that is not active.
    """
    if select is None:
        return Chosen(active, None)
    is_selection: bool = isinstance(select, Selection)
    if not is_selection:
        raise ConfigError("select", select, "a Selection, or None")
    number, is_active = active.numbers_of(select.slow, select.fast)
    if not is_active.all():
        first = int(np.flatnonzero(~is_active)[0])
        raise _not_active(int(select.slow[first]), int(select.fast[first]), first, active)
    slow, fast, places = select.slow, select.fast, None
    if (np.diff(number) < 0).any():
        order = np.argsort(number, kind="stable")
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        number, slow, fast = number[order], slow[order], fast[order]
        places = torch.from_numpy(back).to(device)
    columns = (torch.from_numpy(x.astype(np.float64)[:, None]).to(device) for x in (slow, fast))
    return Chosen(ChosenPixels(number, *columns), places)


def _not_active(slow: int, fast: int, row: int, active: ActivePixels) -> ConfigError:
    n_slow, n_fast = active.shape
    fast_min, fast_max, slow_min, slow_max = active.roi
    pixel = Description(f"pixel (slow {slow}, fast {fast}), number {row} of the selection")
    if slow >= n_slow or fast >= n_fast:
        return ConfigError("select", pixel, f"pixels of the detector, {n_slow} x {n_fast}")
    if not (slow_min <= slow <= slow_max and fast_min <= fast <= fast_max):
        region = f"slow {slow_min} to {slow_max}, fast {fast_min} to {fast_max}"
        return ConfigError("select", pixel, f"pixels of the region of interest, {region}")
    return ConfigError("select", pixel, "pixels that are not masked")


def _whole_numbers(field: str, given: object, columns: tuple[int, ...]) -> Numbers:
    """Whole numbers >= 0, one or so many in a row, that the caller keeps no hold of, int64."""
    if isinstance(given, Tensor):
        given = given.detach().cpu().numpy()
    try:
        rows = np.asarray(given)
    except ValueError:  # rows of several lengths
        rows = np.asarray(None)
    shape = ", ".join(map(str, ("n", *columns))) + ("" if columns else ",")
    need = f"whole numbers >= 0, shape ({shape})"
    if rows.size == 0 and rows.ndim in (1, 2):
        return np.zeros((0, *columns), dtype=np.int64)
    if rows.ndim < 1 or rows.shape[1:] != columns or rows.dtype.kind not in "iu":
        raise ConfigError(field, Description(f"shape {rows.shape} of {rows.dtype}"), need)
    is_bad = (rows < 0) | (rows > np.iinfo(np.int32).max)
    if is_bad.any():
        first = int(np.argwhere(is_bad)[0, 0])
        bad = rows[first].tolist()
        raise ConfigError(f"{field}[{first}]", tuple(bad) if columns else bad, need)
    return np.array(rows, dtype=np.int64)
