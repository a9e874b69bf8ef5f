"""A detector of several panels as one image: its panels below each other.

Pixels of the stack that are on no panel, where panels are of different widths, are masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.arrays import refuse_masked
from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.fitting.pixels import Indices
from nanobragg_hybrid.formats.measured.image import MeasuredImage
from nanobragg_hybrid.model.detector import Detector
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.mask import Mask


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Panels of these shapes (slow, fast).  starts: the row of the stack where each one begins."""

    shapes: tuple[tuple[int, int], ...]
    starts: Indices

    @classmethod
    def of(cls, detector: Detector) -> Stack:
        """That of a detector."""
        rows = [slow for slow, _ in detector.shapes]
        return cls(detector.shapes, np.cumsum([0, *rows[:-1]]))

    @property
    def shape(self) -> tuple[int, int]:
        """(slow, fast) of the stack."""
        return sum(slow for slow, _ in self.shapes), max(fast for _, fast in self.shapes)

    def panel(self, slow: Indices) -> Indices:
        """The panel of each row of the stack."""
        panel: Indices = np.searchsorted(self.starts, slow, side="right") - 1
        return panel

    def stacked(self, name: str, panels: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """One array of those of the panels."""
        shape = self.shape
        dtype = np.result_type(*panels)
        require_memory({f"{name} of {len(panels)} panels": shape[0] * shape[1] * dtype.itemsize})
        stack = np.zeros(shape, dtype)
        for start, panel in zip(self.starts.tolist(), panels, strict=True):
            stack[start : start + panel.shape[0], : panel.shape[1]] = panel
        return stack

    def arrays(self, name: str, given: Any, rule: str) -> NDArray[Any]:
        """A list with an array of real numbers for each panel; `ConfigError`."""
        count = len(self.shapes)
        if not isinstance(given, list | tuple | np.ndarray) or len(given) != count:
            is_list = isinstance(given, list | tuple | np.ndarray)
            what = Description(f"{len(given)} of them") if is_list else given
            raise ConfigError(name, what, f"a list of {count} {rule}, one for each panel")
        panels = []
        for n, (each, shape) in enumerate(zip(given, self.shapes, strict=True)):
            field = f"{name}[{n}]"
            refuse_masked(field, each)
            try:
                array = np.asarray(each)
            except (TypeError, ValueError):
                array = np.asarray(None)
            if array.shape != shape or array.dtype.kind not in "biuf":
                kind = Description(f"{array.dtype} of shape {array.shape}")
                raise ConfigError(field, kind, f"{rule}, shape {shape} (slow, fast)")
            panels.append(array)
        return self.stacked(name, panels)

    def number_or_arrays(self, name: str, given: Any) -> Any:
        """A number as it is, or a list of arrays of numbers, stacked."""
        if isinstance(given, list | tuple) or (isinstance(given, np.ndarray) and given.ndim > 0):
            return self.arrays(name, given, "arrays of real numbers")
        return given

    def experiment(self, experiment: Experiment) -> Experiment:
        """One of an image of the stack's shape, whose mask has the panels' own masks and regions
        of interest."""
        own = []
        for panel in experiment.detector.panels or ():
            usable = np.ones(panel.shape, np.bool_)
            if panel.mask is not None:
                usable &= panel.mask.values
            if panel.roi is not None:
                limits = zip(panel.roi, (0, panel.n_fast - 1, 0, panel.n_slow - 1), strict=True)
                left, right, top, bottom = (b if a is None else a for a, b in limits)
                inside = np.zeros(panel.shape, np.bool_)
                inside[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = True
                usable &= inside
            own.append(usable)
        n_slow, n_fast = self.shape
        mask = Mask(self.stacked("masks", own))
        return Experiment(detector=Detector(n_fast=n_fast, n_slow=n_slow, mask=mask))

    def mask(self, given: Any) -> Any:
        """A mask for each panel, stacked; None: none."""
        if given is None:
            return None
        if isinstance(given, list | tuple):
            given = [
                np.ones(shape, np.bool_)
                if each is None
                else each.values
                if isinstance(each, Mask)
                else each
                for each, shape in zip(given, self.shapes, strict=False)
            ] + list(given[len(self.shapes) :])
        return self.arrays("mask", given, "masks") != 0

    def boxes(self, given: Any) -> Indices:
        """Boxes of the stack; None: one for each panel; `ConfigError`."""
        if given is None:
            return np.array(
                [
                    (start, start + slow, 0, fast)
                    for start, (slow, fast) in zip(self.starts.tolist(), self.shapes, strict=True)
                ]
            )
        array = panel_boxes(given)
        panel, bounds = array[:, 0], array[:, 1:]
        known = (panel >= 0) & (panel < len(self.shapes))
        size = np.array(self.shapes)[np.where(known, panel, 0)]
        inside = known.copy()
        for axis in range(2):
            start, stop = bounds[:, 2 * axis], bounds[:, 2 * axis + 1]
            inside &= (start >= 0) & (start < stop) & (stop <= size[:, axis])
        if not inside.all():
            n = int(np.argmin(inside))
            what = Description(f"box {n}, {array[n].tolist()}")
            where = f"a panel from 0 to {len(self.shapes) - 1}"
            if known[n]:
                where = f"start < stop, inside the panel's {size[n, 0]} x {size[n, 1]} pixels"
            raise ConfigError("boxes", what, where)
        moved = bounds.copy()
        moved[:, :2] += self.starts[panel][:, None]
        return moved

    def boxes_of_panels(self, boxes: Indices) -> Indices:
        """The opposite: panel, slow_start, slow_stop, fast_start, fast_stop."""
        panel = self.panel(boxes[:, 0])
        own = boxes.copy()
        own[:, :2] -= self.starts[panel][:, None]
        return np.concatenate([panel[:, None], own], axis=1)


def panel_boxes(given: Any) -> Indices:
    """Boxes with their panels as integers of shape (boxes, 5); `ConfigError`."""
    rule = (
        "integers of shape (boxes, 5) for a detector of panels: panel, slow_start, slow_stop, "
        "fast_start, fast_stop"
    )
    refuse_masked("boxes", given)
    try:
        array = np.asarray(given)
    except (TypeError, ValueError):
        raise ConfigError("boxes", given, rule) from None
    if array.dtype.kind not in "iu" or array.ndim != 2 or array.shape[1] != 5 or not len(array):
        raise ConfigError("boxes", Description(f"{array.dtype} of shape {array.shape}"), rule)
    return array.astype(np.intp)


def without_panel(boxes: Any) -> Any:
    """Boxes of a detector of one panel: what `Spots.boxes` says of the panel left out."""
    if isinstance(boxes, np.ndarray) and boxes.ndim == 2 and boxes.shape[1] == 5:
        array = panel_boxes(boxes)
        if array[:, 0].any():
            n = int(np.argmax(array[:, 0] != 0))
            what = Description(f"box {n}, {array[n].tolist()}")
            raise ConfigError("boxes", what, "panel 0, the only one")
        return array[:, 1:]
    return boxes


def counts_of_image(image: MeasuredImage, mask: Any, experiment: Experiment) -> tuple[Any, Any]:
    """The counts and the mask of a measured image for an experiment: of its only panel, or lists.

    mask: given beside it; a pixel counts where both say so.  Raises `ConfigError` for an image of
    another shape.
    """
    shapes = experiment.detector.shapes
    if image.shapes != shapes:
        sizes = sorted({f"{fast} x {slow}" for slow, fast in image.shapes})
        what = Description(f"{len(image.shapes)} panels of {', '.join(sizes)} (fast x slow)")
        own = sorted({f"{fast} x {slow}" for slow, fast in shapes})
        rule = f"the experiment's {len(shapes)} panels of {', '.join(own)}"
        raise ConfigError("data", what, rule)
    data = [
        np.where(usable, counts, np.zeros((), counts.dtype))
        for counts, usable in zip(image.panels, image.masks, strict=True)
    ]
    if len(shapes) == 1:
        own_mask: Any = image.masks[0]
        if mask is not None:
            given = mask if isinstance(mask, Mask) else Mask(mask)
            if given.shape != shapes[0]:
                what = Description(f"shape {given.shape}")
                raise ConfigError("mask", what, f"shape {shapes[0]} (slow, fast)")
            own_mask = own_mask & given.values
        return data[0], own_mask
    stack = Stack.of(experiment.detector)
    masks = list(image.masks)
    if mask is not None:
        both = stack.mask(mask)
        for n, (start, (slow, fast)) in enumerate(zip(stack.starts, shapes, strict=True)):
            masks[n] = masks[n] & both[start : start + slow, :fast]
    return data, masks
