"""What an image file holds, and the checks that several formats share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from nanobragg_hybrid.base.errors import ConfigError, UnsupportedError
from nanobragg_hybrid.formats.geometry.content import ExperimentContent, PanelContent
from nanobragg_hybrid.formats.geometry.vectors import Vector, cross, dot, length, unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SensorMaterial = Literal["Si", "CdTe", "GaAs"]
SENSOR_MATERIALS: Final[tuple[SensorMaterial, ...]] = ("Si", "CdTe", "GaAs")

EPOCH: Final = "1970-01-01T00:00:00"
"""The date of every image: files do not depend on when they are written."""

_SAME_DIRECTION: Final = 1e-12
_INT32: Final = (-(2**31), 2**31 - 1)
_UINT16: Final = (0, 2**16 - 1)


class Counting(NamedTuple):
    """What numbers in pixels mean: counts are photons times `gain`, plus `pedestal`.

    saturation: counts from which on a pixel is overloaded; None: nothing limits them.
    """

    pedestal: float = 0.0
    gain: float = 1.0
    saturation: float | None = None


class Frame(NamedTuple):
    """An image, or the description of a series of them.

    content: beam, panels and rotation, in the simulator's frame.  pixels: of each panel, shape
    (slow, fast), as counted.  bad: of each panel, True for pixels that tell nothing; None: all do.
    exposure_s: of an image.  flux: photons per second, 0 if it is not known.
    """

    content: ExperimentContent
    pixels: tuple[NDArray[Any], ...]
    bad: tuple[NDArray[np.bool_] | None, ...]
    counting: Counting
    exposure_s: float
    flux: float
    material: SensorMaterial

    @property
    def panel(self) -> PanelContent:
        """The only panel."""
        (panel,) = self.content.panels
        return panel

    @property
    def travel(self) -> Vector:
        """The direction in which the beam travels."""
        return unit(self.content.beam or (1.0, 0.0, 0.0))

    @property
    def wavelength_angstrom(self) -> float:
        """The wavelength, which every experiment has."""
        return self.content.wavelength_angstrom or math.nan


def is_direction(vector: Vector, expected: Vector) -> bool:
    """Whether two unit vectors are the same, but for rounding."""
    return all(abs(x - y) <= _SAME_DIRECTION for x, y in zip(vector, expected, strict=True))


def not_across(content: ExperimentContent) -> str | None:
    """Why a header that knows distance and beam centre alone cannot say a geometry; None: it can.

    It means one panel across the beam, the fast axis along the spindle, the slow axis down.
    """
    if len(content.panels) != 1:
        return f"the detector has {len(content.panels)} panels"
    panel = content.panels[0]
    if not is_direction(unit(content.beam or (1.0, 0.0, 0.0)), (1.0, 0.0, 0.0)):
        return "the beam is not along the laboratory's axis"
    axes = panel.fast_axis, panel.slow_axis
    if not (is_direction(axes[0], (0.0, 0.0, 1.0)) and is_direction(axes[1], (0.0, -1.0, 0.0))):
        return (
            "the detector is turned: it does not stand across the beam with its fast axis along "
            "the spindle and its slow axis down"
        )
    if not panel.origin_mm[0] > 0.0:
        return "the detector is not downstream of the sample"
    scan = content.scan
    if scan is not None and not is_direction(unit(scan.axis), (0.0, 0.0, 1.0)):
        return "the spindle is not along the fast axis"
    return None


def beam_centre_px(frame: Frame) -> tuple[float, float]:
    """Where the beam meets the plane of the first panel, px from the corner of the first pixel,
    along fast and slow; where its normal does if they are parallel."""
    panel, travel = frame.content.panels[0], frame.travel
    normal = unit(cross(panel.fast_axis, panel.slow_axis))
    along = dot(panel.origin_mm, normal)
    cosine = dot(travel, normal)
    hit = tuple(along / cosine * t for t in travel) if abs(cosine) > 1e-9 else (
        along * normal[0], along * normal[1], along * normal[2]
    )  # fmt: skip
    x, y, z = (h - o for h, o in zip(hit, panel.origin_mm, strict=True))
    fast, slow = dot((x, y, z), panel.fast_axis), dot((x, y, z), panel.slow_axis)
    return fast / panel.pixel_mm[0], slow / panel.pixel_mm[1]


def distance_mm(frame: Frame) -> float:
    """From the sample to the plane of the first panel, along its normal, > 0."""
    panel = frame.content.panels[0]
    return abs(dot(panel.origin_mm, unit(cross(panel.fast_axis, panel.slow_axis))))


def sensor_um(panel: PanelContent) -> float:
    """The thickness of the sensor of a panel, 0 where nothing is absorbed in it."""
    depth = panel.attenuation_depth_um
    return panel.thickness_um if depth is not None and math.isfinite(depth) else 0.0


def kahn_along(frame: Frame, electric: Vector) -> float | None:
    """The polarization factor about an axis across the beam; None where its axis is oblique."""
    if frame.content.polarization is None or frame.content.polarization[1] == 0.0:
        return 0.0
    axis, kahn = frame.content.polarization
    if length(axis) == 0.0:
        return None
    cosine = abs(dot(unit(axis), electric))
    if cosine >= 1.0 - _SAME_DIRECTION:
        return kahn
    return -kahn if cosine <= _SAME_DIRECTION else None


def uint16_pixels(frame: Frame, what: str) -> NDArray[np.uint16]:
    """The pixels of the only panel as they are; `ConfigError` if they do not fit into 16 bits."""
    import numpy as np

    pixels = _whole(frame.pixels[0], what)
    _require(pixels, _UINT16, what)
    return pixels.astype(np.uint16)


def int32_pixels(frame: Frame, what: str) -> list[NDArray[np.int32]]:
    """The pixels of each panel without the pedestal.

    Raises `ConfigError` if they or the pedestal are no whole numbers, or do not fit into 32 bits.
    """
    return [int32_counts(pixels, frame.counting, what) for pixels in frame.pixels]


def int32_counts(pixels: NDArray[Any], counting: Counting, what: str) -> NDArray[np.int32]:
    """The same of one panel."""
    import numpy as np

    pixels = _whole(pixels, what)
    pedestal = counting.pedestal
    if pedestal != int(pedestal):
        rule = f"a whole number, which {what} is written without"
        raise ConfigError("pedestal", pedestal, rule, "counts")
    if pedestal == 0.0:
        _require(pixels, _INT32, what)
        return np.ascontiguousarray(pixels, dtype=np.int32)
    if pixels.dtype.itemsize <= 2 and abs(pedestal) < 2**30:
        return pixels.astype(np.int32) - np.int32(pedestal)
    if pixels.dtype == np.int32 and abs(pedestal) < 2**31:
        # Only what is farther from 0 without the pedestal can be too far.
        fits = (
            int(pixels.min()) - int(pedestal) >= _INT32[0]
            if pedestal > 0.0
            else int(pixels.max()) - int(pedestal) <= _INT32[1]
        )
        if fits:
            return pixels - np.int32(pedestal)
    wide = pixels.astype(np.int64) - int(pedestal)
    _require(wide, _INT32, f"{what}, without the pedestal of {pedestal:g} counts,")
    return wide.astype(np.int32)


def _whole(pixels: NDArray[Any], what: str) -> NDArray[Any]:
    if pixels.dtype.kind not in "iu":
        rule = (
            f"whole numbers for {what}: counts of a response, or pixels='noise' or 'integers'; "
            "nxmx and tiff hold floats"
        )
        raise ConfigError("pixels", str(pixels.dtype), rule)
    return pixels


def _require(pixels: NDArray[Any], limits: tuple[int, int], what: str) -> None:
    import numpy as np

    kind = np.iinfo(pixels.dtype)
    if kind.min >= limits[0] and kind.max <= limits[1]:
        return
    low, high = int(pixels.min()), int(pixels.max())
    if low < limits[0] or high > limits[1]:
        raise ConfigError("pixels", f"{low} to {high}", f"{limits[0]} to {limits[1]} for {what}")


def saturation_counts(frame: Frame, most: int) -> float:
    """From which count on a pixel is overloaded, above the pedestal; `most` if nothing says."""
    limit = frame.counting.saturation
    if limit is None or math.isinf(limit):
        return float(most)
    return min(limit - frame.counting.pedestal, float(most))


def refuse(what: str, why: str, instead: str) -> UnsupportedError:
    """The error of a format that cannot say a geometry."""
    return UnsupportedError(f"{what}: {why}, which such a file cannot say; {instead}")
