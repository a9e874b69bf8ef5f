"""Where values put the panel of a detector: from its own numbers to those of a detector of one.

The configuration does the same with numbers (`model.panel`): shifts and the rotation of a panel act
first, then the shift of the whole detector, then the rotations that model 3 has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from nanobragg_hybrid.base.units import deg_to_rad
from nanobragg_hybrid.model.detector import Detector
from nanobragg_hybrid.model.panel import Panel

SHIFT: Final = "detector.shift_mm"
ORIGIN: Final = "origin_mm"
FAST: Final = "fast_axis"
SLOW: Final = "slow_axis"
IN_PLANE_SHIFT: Final = "shift_mm"
IN_PLANE_ROTATION: Final = "rotation_deg"
PIXEL: Final = "pixel_size_mm"
"""Of the whole detector; of each panel."""

_MOVES: Final = (SHIFT, ORIGIN, FAST, SLOW, IN_PLANE_SHIFT, IN_PLANE_ROTATION)


@dataclass(frozen=True, slots=True, eq=False)
class PanelPlacement:
    """A panel and the detector of one panel that it is (`Experiment.of_panel`)."""

    panel: Panel
    alone: Detector
    device: torch.device

    def values(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The values of the detector of one panel, by the names of a `ForwardModel`.

        given: numbers of this panel, and `SHIFT`, float64, by the names above; a batch dimension
        may stand in front.  What no value changes is not there.
        """
        found = {}
        if PIXEL in given:
            found["detector.pixel_size_mm"] = given[PIXEL]
        if not any(name in given for name in _MOVES):
            return found
        own = self._number
        fast, slow = _unit(given.get(FAST, own(self.panel.fast_axis))), given.get(SLOW)
        slow = _unit(own(self.panel.slow_axis) if slow is None else slow)
        origin = given.get(ORIGIN, own(self.panel.origin_mm))
        if IN_PLANE_SHIFT in given:
            shift = given[IN_PLANE_SHIFT]
            origin = origin + shift[..., :1] * fast + shift[..., 1:] * slow
        if IN_PLANE_ROTATION in given:
            angle = deg_to_rad_of(given[IN_PLANE_ROTATION])[..., None]
            cosine, sine = torch.cos(angle), torch.sin(angle)
            turned_fast, turned_slow = cosine * fast + sine * slow, cosine * slow - sine * fast
            width, height = self._edges(given.get(PIXEL, own(self.panel.pixel_size_mm)))
            origin = origin + 0.5 * self.panel.n_fast * width * (fast - turned_fast)
            origin = origin + 0.5 * self.panel.n_slow * height * (slow - turned_slow)
            fast, slow = turned_fast, turned_slow
        if SHIFT in given:
            origin = origin + given[SHIFT]
        normal = own(self.alone.normal_axis)
        if FAST in given or SLOW in given:
            normal = self._side * _unit(_cross(fast, slow))
        if FAST in given or SLOW in given or IN_PLANE_ROTATION in given:
            found |= {"detector.fast_axis": fast, "detector.slow_axis": slow}
        if FAST in given or SLOW in given:
            found["detector.normal_axis"] = normal
        cosine = _dot(fast, slow)
        sine_sqr = 1.0 - cosine * cosine
        by_fast, by_slow = _dot(origin, fast), _dot(origin, slow)
        found["detector.close_x_mm"] = (cosine * by_slow - by_fast) / sine_sqr
        found["detector.close_y_mm"] = (cosine * by_fast - by_slow) / sine_sqr
        found["detector.close_distance_mm"] = _dot(origin, normal)
        dimensions = dict(_DIMENSIONS)
        if self._is_oblong:
            dimensions["detector.pixel_size_mm"] = 1
        length = max(x.dim() - dimensions.get(name, 0) for name, x in found.items())
        if length == 0:
            return found
        batch = max(x.shape[0] for n, x in found.items() if x.dim() > dimensions.get(n, 0))
        return {
            name: x if x.dim() > dimensions.get(name, 0) else x.expand(batch, *x.shape)
            for name, x in found.items()
        }

    @property
    def _is_oblong(self) -> bool:
        return isinstance(self.panel.pixel_size_mm, tuple)

    def _edges(self, pixel: Tensor) -> tuple[Tensor, Tensor]:
        """Along fast and slow, with a dimension for the components of what they multiply."""
        if self._is_oblong:
            return pixel[..., :1], pixel[..., 1:]
        return pixel[..., None], pixel[..., None]

    @property
    def _side(self) -> float:
        """1 where the normal is fast x slow, -1 where it is the opposite."""
        fast, slow = self._number(self.panel.fast_axis), self._number(self.panel.slow_axis)
        along = _dot(_cross(fast, slow), self._number(self.alone.normal_axis))
        return 1.0 if float(along) > 0.0 else -1.0

    def _number(self, value: object) -> Tensor:
        return torch.tensor(value, dtype=torch.float64, device=self.device)


_DIMENSIONS: Final = {
    "detector.fast_axis": 1,
    "detector.slow_axis": 1,
    "detector.normal_axis": 1,
}
"""Of a value without a batch; 0 for the others, 1 for two edges of a pixel."""


def deg_to_rad_of(angle: Tensor) -> Tensor:
    """Radians."""
    return angle * deg_to_rad(1.0)


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).sum(-1)


def _cross(x: Tensor, y: Tensor) -> Tensor:
    (x1, x2, x3), (y1, y2, y3) = x.unbind(-1), y.unbind(-1)
    return torch.stack((x2 * y3 - x3 * y2, x3 * y1 - x1 * y3, x1 * y2 - x2 * y1), dim=-1)


def _unit(x: Tensor) -> Tensor:
    return x / _dot(x, x).sqrt()[..., None]
