"""A panel of a detector that has several, and where model 3 puts it."""

from __future__ import annotations

import functools
import itertools
import math
from collections import abc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from nanobragg_hybrid.base.arrays import as_ndarray, refuse_masked
from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.base.units import mm_to_m
from nanobragg_hybrid.model.mask import Mask
from nanobragg_hybrid.model.pixel_size import PIXEL_SIZE, PixelSize, edges_mm
from nanobragg_hybrid.model.validate import (
    COUNT,
    DIRECTION,
    FINITE,
    INT32,
    NOT_NEGATIVE,
    VECTOR,
    Instance,
    Items,
    Number,
    Optional,
    Text,
    check_fields,
    meta,
    normalised,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Vector = tuple[float, float, float]

_MOST_COSINE: Final = 1e-4
"""Of the angle between the two axes of a panel."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Panel(Record):
    """A flat panel of a detector.  Its image has the shape (n_slow, n_fast).

    name: text that can be printed, not empty; no two panels of a detector have the same.
    origin_mm: position of the outer corner of pixel (0, 0) in the laboratory frame of model 3, mm,
        three finite numbers.  The detector's rotations, if it has any, act on it.
    fast_axis, slow_axis: directions of growing pixel numbers in the same frame, three finite
        numbers, not all 0; stored as unit vectors.  They are perpendicular, to within 1e-4 rad.
    n_fast, n_slow: number of pixels, >= 1.
    pixel_size_mm: edge of a pixel, mm, > 0; or two edges, along fast and slow, of pixels that are
        not square (two that are equal are stored as one number).
    sensor_thickness_um, sensor_attenuation_depth_um, sensor_layers: as in `Detector`.
    mask: `Mask` of the panel's shape; None (default): every pixel counts.
    roi: region of interest, as `Sampling.roi`; None (default): the whole panel.
    trusted_range: lowest and highest pixel value, photons, that a measured image can be trusted
        at; None (default): every finite one.  Images are computed whatever it is: see `trusted`.

    Raises `ConfigError`, whose field is ``detector.panels[name]`` and what of it.
    """

    name: str = field(metadata=meta(Text()))
    origin_mm: Vector = field(metadata=meta(VECTOR, "mm"))
    fast_axis: Vector = field(metadata=meta(DIRECTION))
    slow_axis: Vector = field(metadata=meta(DIRECTION))
    n_fast: int = field(metadata=meta(COUNT, "px"))
    n_slow: int = field(metadata=meta(COUNT, "px"))
    pixel_size_mm: PixelSize = field(metadata=meta(PIXEL_SIZE, "mm"))
    sensor_thickness_um: float | None = field(
        default=0.0, metadata=meta(Optional(NOT_NEGATIVE), "um")
    )
    sensor_attenuation_depth_um: float | None = field(
        default=None, metadata=meta(Optional(Number(above=0.0, infinity=True)), "um")
    )
    sensor_layers: int | None = field(default=None, metadata=meta(Optional(COUNT)))
    mask: Mask | None = field(default=None, metadata=meta(Optional(Instance(Mask))))
    roi: tuple[int | None, int | None, int | None, int | None] | None = field(
        default=None, metadata=meta(Optional(Items(4, Optional(INT32))), "px")
    )
    trusted_range: tuple[float, float] | None = field(
        default=None, metadata=meta(Optional(Items(2, FINITE)), "photons")
    )

    def __post_init__(self) -> None:
        where = f"detector.panels[{self.name}]"
        check_fields(self, where)
        for axis in ("fast_axis", "slow_axis"):
            object.__setattr__(self, axis, unit_vector(getattr(self, axis)))
        cosine = _dot(self.fast_axis, self.slow_axis)
        if not abs(cosine) <= _MOST_COSINE:
            angle = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
            rule = "a direction perpendicular to fast_axis"
            shown = Description(f"{self.slow_axis} at {angle:g} degrees to it")
            raise ConfigError(f"{where}.slow_axis", shown, rule)
        counts = (("fast", self.n_fast), ("slow", self.n_slow))
        for (axis, count), edge_mm in zip(counts, edges_mm(self.pixel_size_mm), strict=True):
            # model 2 finds the number again from the size
            pixel_m = mm_to_m(edge_mm)
            size_m = pixel_m * count
            if not (pixel_m > 0.0 and math.isfinite(size_m)):
                rule = f"1 to {INT32_MAX} pixels along the {axis} axis"
                raise ConfigError(f"{where}.pixel_size_mm", self.pixel_size_mm, rule, "mm")
        if self.mask is not None and self.mask.shape != self.shape:
            raise ConfigError(
                f"{where}.mask",
                Description(f"{self.mask.shape[1]} x {self.mask.shape[0]} pixels"),
                f"the panel's {self.n_fast} x {self.n_slow} pixels (fast x slow)",
            )
        if self.trusted_range is not None and not self.trusted_range[0] < self.trusted_range[1]:
            rule = "two values of which the second is greater"
            raise ConfigError(f"{where}.trusted_range", self.trusted_range, rule, "photons")

    @property
    def shape(self) -> tuple[int, int]:
        """(n_slow, n_fast), the shape of the image."""
        return self.n_slow, self.n_fast

    def trusted(self, image: ArrayLike) -> NDArray[np.bool_]:
        """Which pixels of a measured image count: finite, not masked, and in the trusted range.

        image: photons, of the panel's shape.  The result has the same shape.  Raises `ConfigError`.
        """
        import numpy as np

        refuse_masked("image", image)
        pixels = as_ndarray(image)
        if pixels.shape != self.shape or pixels.dtype.kind not in "iuf":
            raise ConfigError(
                "image",
                Description(f"{pixels.dtype} of shape {pixels.shape}"),
                f"real numbers of shape {self.shape} (slow, fast)",
            )
        counts: NDArray[np.bool_] = np.isfinite(pixels)
        if self.mask is not None:
            counts &= self.mask.values
        if self.trusted_range is not None:
            lowest, highest = self.trusted_range
            with np.errstate(invalid="ignore"):
                counts &= (pixels >= lowest) & (pixels <= highest)
        return counts

    def moved(
        self,
        shift_mm: tuple[float, float] = (0.0, 0.0),
        rotation_deg: float = 0.0,
        *,
        away_mm: float = 0.0,
    ) -> Panel:
        """A copy that is shifted and turned in its own plane.

        shift_mm: along its fast and its slow axis as they were before, mm.  rotation_deg: about its
        middle, from the fast to the slow axis, degrees.  away_mm: across the plane, along
        fast x slow, mm.
        """
        import dataclasses

        along_fast, along_slow = normalised("shift_mm", shift_mm, Items(2, FINITE), "mm")
        angle = math.radians(normalised("rotation_deg", rotation_deg, FINITE, "deg"))
        away = normalised("away_mm", away_mm, FINITE, "mm")
        fast, slow = self.fast_axis, self.slow_axis
        cosine, sine = math.cos(angle), math.sin(angle)
        turned_fast = tuple(cosine * f + sine * s for f, s in zip(fast, slow, strict=True))
        turned_slow = tuple(cosine * s - sine * f for f, s in zip(fast, slow, strict=True))
        edge_fast, edge_slow = edges_mm(self.pixel_size_mm)
        half_fast = 0.5 * self.n_fast * edge_fast
        half_slow = 0.5 * self.n_slow * edge_slow
        origin = tuple(
            o
            + half_fast * (f - tf)
            + half_slow * (s - ts)
            + along_fast * f
            + along_slow * s
            + away * n
            for o, f, s, tf, ts, n in zip(
                self.origin_mm,
                fast,
                slow,
                turned_fast,
                turned_slow,
                _cross(fast, slow),
                strict=True,
            )
        )
        return dataclasses.replace(
            self, origin_mm=origin, fast_axis=_three(turned_fast), slow_axis=_three(turned_slow)
        )


def detector_fields(panel: Panel, beam: Vector, normal_may_face_source: bool) -> dict[str, Any]:
    """The fields of a `Detector` that is this panel, without rotations (model 3.1).

    Axes, and the near point and the close distance from which the corner of pixel (0, 0) is
    `origin_mm`, to some units in the last place of its distance to the sample.  The normal points
    from the sample to the panel, so that solid angles are positive; or, unless
    `normal_may_face_source` (quirk normal_towards_source), along the beam, because then model 3
    turns it round itself.  beam: direction of travel.
    """
    fast, slow = panel.fast_axis, panel.slow_axis
    normal = unit_vector(_cross(fast, slow))
    along_fast, along_slow, close = _near_point(panel, normal)
    towards = close if normal_may_face_source else _dot(beam, normal)
    if towards < 0.0:
        normal, close = (-normal[0], -normal[1], -normal[2]), -close
    return {
        "convention": "custom",
        "pivot": "sample",
        "fast_axis": fast,
        "slow_axis": slow,
        "normal_axis": normal,
        "close_x_mm": along_fast,
        "close_y_mm": along_slow,
        "close_distance_mm": close,
        "pixel_size_mm": panel.pixel_size_mm,
        "n_fast": panel.n_fast,
        "n_slow": panel.n_slow,
        "sensor_thickness_um": panel.sensor_thickness_um,
        "sensor_attenuation_depth_um": panel.sensor_attenuation_depth_um,
        "sensor_layers": panel.sensor_layers,
        "mask": panel.mask,
    }


def _near_point(panel: Panel, normal: Vector) -> tuple[float, float, float]:
    """From pixel (0, 0) along fast and slow to the plane's point nearest to the sample, and how far
    that is along the normal; mm."""
    fast, slow, origin = panel.fast_axis, panel.slow_axis, panel.origin_mm
    cosine = _dot(fast, slow)
    sine_sqr = 1.0 - cosine * cosine
    along_fast = along_slow = close = 0.0
    for _ in range(2):  # once for the numbers, once for what rounding made of them
        rest = [
            math.fsum((o, along_fast * f, along_slow * s, -close * n))
            for o, f, s, n in zip(origin, fast, slow, normal, strict=True)
        ]
        by_fast, by_slow = _dot(rest, fast), _dot(rest, slow)
        along_fast -= (by_fast - cosine * by_slow) / sine_sqr
        along_slow -= (by_slow - cosine * by_fast) / sine_sqr
        close += _dot(rest, normal)
    return along_fast, along_slow, close


def as_panels(value: object) -> tuple[Panel, ...]:
    """The panels of a detector as a tuple; ValueError for what is none, or two of one name."""
    if isinstance(value, str | bytes) or not isinstance(value, abc.Sequence):
        raise ValueError
    panels = tuple(Instance(Panel).normalise(item) for item in value)
    if not panels or len({panel.name for panel in panels}) < len(panels):
        raise ValueError
    return panels


def unit_vector(vector: Vector) -> Vector:
    """The vector, as long as 1, and where doubles allow it to the bit: model 3 looks at that.

    The length is that of model 1.  A component is off by some units in the last place at most.
    """
    largest = max(map(abs, vector))
    scaled = [x / largest for x in vector]  # whose squares neither overflow nor vanish
    length = math.hypot(*scaled)
    rounded = tuple(x / length for x in scaled)
    for candidate in (vector, rounded):
        if _length(candidate) == 1.0:
            return _three(candidate)
    for each in _steps():
        moved = tuple(_stepped(x, n) for x, n in zip(rounded, each, strict=True))
        if _length(moved) == 1.0:
            return _three(moved)
    return _three(rounded)


@functools.cache
def _steps() -> list[tuple[int, ...]]:
    """Where to look for another vector, in units in the last place of each component; the nearest
    first."""
    return sorted(itertools.product(range(-3, 4), repeat=3), key=lambda n: sum(map(abs, n)))


def _three(values: abc.Sequence[float]) -> Vector:
    x, y, z = values
    return x, y, z


def _stepped(x: float, steps: int) -> float:
    """The double that many doubles further from 0; a 0 stays."""
    for _ in range(abs(steps)):
        x = math.nextafter(x, math.copysign(math.inf if steps > 0 else 0.0, x)) if x else x
    return x


def _length(v: abc.Sequence[float]) -> float:
    return math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])


def _dot(x: abc.Sequence[float], y: abc.Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(x, y, strict=True))


def _cross(x: Vector, y: Vector) -> Vector:
    return (
        x[1] * y[2] - x[2] * y[1],
        x[2] * y[0] - x[0] * y[2],
        x[0] * y[1] - x[1] * y[0],
    )
