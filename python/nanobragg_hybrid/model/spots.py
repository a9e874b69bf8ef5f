"""Spots that were found in an image, or predicted there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.model.detector import Detector
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.validate import Integer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Spots:
    """Spots on the panels of a detector; `read_spots` makes them.  n of them:

    panel: number of each one's panel, from 0, shape (n,).  fast_px, slow_px: where it is, in pixels
    from the outer corner of the panel's first pixel, whose middle is at 0.5, 0.5; shape (n,).
    image: the number of its image in the list, from 0, shape (n,).  hkl: Miller indices, int32,
    shape (n, 3), 0 0 0 for a spot that is not indexed; None: nobody has indexed them.  intensity,
    variance: counts and counts^2, NaN where it is not known, shape (n,).  bounds: the box that it
    was found in: slow_start, slow_stop, fast_start, fast_stop, shape (n, 4); None: not known.
    The arrays cannot be written to.
    """

    path: str
    panel: NDArray[np.int64]
    fast_px: NDArray[np.float64]
    slow_px: NDArray[np.float64]
    image: NDArray[np.int64]
    hkl: NDArray[np.int32] | None
    intensity: NDArray[np.float64]
    variance: NDArray[np.float64]
    bounds: NDArray[np.int64] | None

    def __post_init__(self) -> None:
        for array in self._arrays().values():
            array.setflags(write=False)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        fields = [each.name for each in dataclasses.fields(self) if each.name != "path"]
        values = {name: getattr(self, name) for name in fields}
        return {name: value for name, value in values.items() if value is not None}

    def __len__(self) -> int:
        return len(self.panel)

    def __repr__(self) -> str:
        known = "not indexed" if self.hkl is None else f"{int(self.is_indexed.sum())} indexed"
        return f"<{len(self)} spots of {self.path!r}, {known}>"

    @property
    def is_indexed(self) -> NDArray[np.bool_]:
        """Which of them have Miller indices, shape (n,)."""
        import numpy as np

        if self.hkl is None:
            return np.zeros(len(self), dtype=np.bool_)
        indexed: NDArray[np.bool_] = np.any(self.hkl != 0, axis=1)
        return indexed

    def where(self, chosen: ArrayLike) -> Spots:
        """Some of them, in order.  chosen: booleans, shape (n,).  Raises `ConfigError`."""
        import numpy as np

        array = np.asarray(chosen)
        if array.dtype != np.bool_ or array.shape != (len(self),):
            kind = Description(f"{array.dtype} of shape {array.shape}")
            raise ConfigError("chosen", kind, f"booleans, shape ({len(self)},)")
        changes: dict[str, Any] = {name: value[array] for name, value in self._arrays().items()}
        return dataclasses.replace(self, **changes)

    def boxes(
        self,
        within: Experiment | Detector | Sequence[tuple[int, int]],
        *,
        half_width_px: int = 7,
    ) -> NDArray[np.int64]:
        """A box around the pixel that each spot is in, for `fit`, shape (n, 5): panel, slow_start,
        slow_stop, fast_start, fast_stop; 2 half_width_px + 1 pixels each way, less at edges.

        within: the detector, an experiment with it, or (slow, fast) of each panel.  Raises
        `ConfigError`, also for a spot that is not on the detector.
        """
        import numpy as np

        try:
            half = Integer(at_least=0).normalise(half_width_px)
        except ValueError:
            rule = Integer(at_least=0).text
            raise ConfigError("half_width_px", half_width_px, rule, "px") from None
        if isinstance(within, Experiment):
            within = within.detector
        shapes = np.array(within.shapes if isinstance(within, Detector) else within).reshape(-1, 2)
        slow, fast = np.floor(self.slow_px), np.floor(self.fast_px)
        inside = (self.panel >= 0) & (self.panel < len(shapes))
        size = shapes[np.where(inside, self.panel, 0)]
        inside &= (slow >= 0) & (fast >= 0) & (slow < size[:, 0]) & (fast < size[:, 1])
        if not inside.all():
            n = int(np.argmin(inside))
            what = f"panel {self.panel[n]}, slow {self.slow_px[n]:g}, fast {self.fast_px[n]:g}"
            raise ConfigError("spots", Description(f"spot {n} at {what}"), "one on the detector")
        rows = [self.panel]
        for place, count in zip((slow, fast), size.T, strict=True):
            first = place.astype(np.int64) - half
            rows += [np.maximum(first, 0), np.minimum(first + 2 * half + 1, count)]
        return np.stack(rows, axis=1).astype(np.int64)
