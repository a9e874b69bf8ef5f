"""Detector, beam and spindle directions: model 3."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from nanobragg_hybrid.config import Experiment
from nanobragg_hybrid.conventions import Convention, Pivot

from .inputs import Inputs
from .scalars import SMALLEST_NORMAL, Scalar, as_float, magnitude_of, radians
from .vectors import Vector, cross, dot, mag, minus, rot_axis, rot_xyz, scale, unit

ORIGIN: Final = "detector.origin_m"
"""Name of the value that replaces the corner of the detector, whatever the rest of model 3 says."""

_GIVEN_VECTORS: Final = (
    "beam.direction",
    "beam.polarization_axis",
    "goniometer.spindle_axis",
    "detector.fast_axis",
    "detector.slow_axis",
    "detector.normal_axis",
    "detector.twotheta_axis",
    "detector.pix0_m",
)

_Axes = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Frame:
    """The directions of a convention, in the order of model 3's table."""

    beam: _Axes
    fast: _Axes
    slow: _Axes
    normal: _Axes
    twotheta: _Axes
    polarization: _Axes
    spindle: _Axes
    pivot: Pivot


_X: Final = (1.0, 0.0, 0.0)
_Y: Final = (0.0, 1.0, 0.0)
_Z: Final = (0.0, 0.0, 1.0)
_MINUS_X: Final = (-1.0, 0.0, 0.0)
_MINUS_Y: Final = (0.0, -1.0, 0.0)
_MINUS_Z: Final = (0.0, 0.0, -1.0)

_FRAMES: Final = MappingProxyType(
    {
        "adxv": _Frame(_Z, _X, _MINUS_Y, _Z, _MINUS_X, _X, _X, "beam"),
        "mosflm": _Frame(_X, _Z, _MINUS_Y, _X, _MINUS_Z, _Z, _Z, "beam"),
        "denzo": _Frame(_X, _Z, _MINUS_Y, _X, _MINUS_Z, _Z, _Z, "beam"),
        "xds": _Frame(_Z, _X, _Y, _Z, _X, _X, _X, "sample"),
        "dials": _Frame(_Z, _X, _Y, _Z, _Y, _Y, _Y, "sample"),
        "custom": _Frame(_X, _Z, _MINUS_Y, _X, _Y, _Z, _Z, "beam"),
    }
)


@dataclass(frozen=True, slots=True)
class DetectorGeometry:
    """Where detector and beam are; metres, unit vectors.

    fast, slow, normal are the detector's directions after its rotations, pix0 the outer corner of
    pixel (0, 0), close the distance to the nearest point of the plane.  beam_x, beam_y are as image
    headers report them; beam_fast to close_slow as model 3 leaves them.
    """

    beam: Vector
    fast: Vector
    slow: Vector
    normal: Vector
    twotheta_axis: Vector
    polarization: Vector
    vertical: Vector
    spindle: Vector
    pix0: Vector
    pixel: Scalar
    distance: Scalar
    close: Scalar
    beam_x: Scalar
    beam_y: Scalar
    beam_fast: Scalar
    beam_slow: Scalar
    close_fast: Scalar
    close_slow: Scalar
    size_fast: Scalar
    size_slow: Scalar
    twotheta: Scalar


def convention_of(experiment: Experiment) -> Convention:
    """The convention that counts: any given vector selects "custom" (model 3)."""
    for path in _GIVEN_VECTORS:
        part, name = path.split(".")
        if getattr(getattr(experiment, part), name) is not None:
            return "custom"
    return experiment.detector.convention


def pivot_of(experiment: Experiment) -> Pivot:
    """The pivot that counts: a named convention's own (model 3)."""
    convention = convention_of(experiment)
    given = experiment.detector.pivot
    if convention == "custom" and given is not None:
        return given
    return _FRAMES[convention].pivot


def normal_is_recomputed(experiment: Experiment) -> bool:
    """Whether the normal is replaced by fast x slow, because it is no unit vector (model 3)."""
    normal = experiment.detector.normal_axis
    return normal is not None and as_float(mag(normal)) != 1.0


def detector_geometry(inputs: Inputs) -> DetectorGeometry:
    """Model 3 from beginning to end."""
    experiment = inputs.experiment
    convention = convention_of(experiment)
    pixel, size_fast, size_slow = _sizes(inputs)
    close_fast, close_slow, close_x, close_y = _near_point(inputs, pixel, size_fast, size_slow)
    beam_x, beam_y = _beam_centre(inputs, convention, pixel, size_fast, size_slow, close_x, close_y)
    beam_fast, beam_slow = _beam_on_detector(convention, pixel, size_slow, beam_x, beam_y)
    if convention == "custom":
        close_fast, close_slow = beam_x, beam_y

    frame = _FRAMES[convention]
    beam = unit(_direction(inputs, "beam.direction", frame.beam))
    fast = unit(_direction(inputs, "detector.fast_axis", frame.fast))
    slow = unit(_direction(inputs, "detector.slow_axis", frame.slow))
    normal = _direction(inputs, "detector.normal_axis", frame.normal)
    normal = unit(cross(fast, slow) if normal_is_recomputed(experiment) else normal)
    polarization = unit(_direction(inputs, "beam.polarization_axis", frame.polarization))
    spindle = unit(_direction(inputs, "goniometer.spindle_axis", frame.spindle))
    twotheta_axis = _direction(inputs, "detector.twotheta_axis", frame.twotheta)

    rx, ry, rz = inputs.vector("detector.rotation_deg")
    rotation = (radians(rx), radians(ry), radians(rz))
    twotheta = radians(inputs.number("detector.twotheta_deg"))

    def turned(v: Vector) -> Vector:
        return rot_axis(rot_xyz(v, rotation), twotheta_axis, twotheta)

    ratio = dot(beam, rot_xyz(normal, rotation))
    if isinstance(ratio, float) and ratio == 0.0:
        ratio = SMALLEST_NORMAL
    close_mm = inputs.optional("detector.close_distance_mm")
    if close_mm is None:
        close = magnitude_of(ratio * (inputs.number("detector.distance_mm") / 1000.0))
    else:
        close = close_mm / 1000.0
    distance = close / ratio

    pivot = pivot_of(experiment)
    if pivot == "sample":
        pix0 = turned(_corner(fast, slow, normal, close_fast, close_slow, close))
    fast, slow, normal = turned(fast), turned(slow), turned(normal)
    if pivot == "beam":
        pix0 = _corner(fast, slow, beam, beam_fast, beam_slow, distance)
    if inputs.is_live(ORIGIN):
        x, y, z = inputs.values[ORIGIN].unbind()
        pix0 = (x, y, z)

    close_fast, close_slow = -dot(pix0, fast), -dot(pix0, slow)
    close = dot(pix0, normal)
    centre = minus(scale(beam, close / ratio), pix0)
    return DetectorGeometry(
        beam=beam,
        fast=fast,
        slow=slow,
        normal=normal,
        twotheta_axis=twotheta_axis,
        polarization=polarization,
        vertical=unit(cross(beam, polarization)),
        spindle=spindle,
        pix0=pix0,
        pixel=pixel,
        distance=close / ratio,
        close=close,
        beam_x=beam_x,
        beam_y=beam_y,
        beam_fast=dot(fast, centre),
        beam_slow=dot(slow, centre),
        close_fast=close_fast,
        close_slow=close_slow,
        size_fast=size_fast,
        size_slow=size_slow,
        twotheta=twotheta,
    )


def _direction(inputs: Inputs, path: str, otherwise: _Axes) -> Vector:
    return inputs.vector(path) if inputs.is_given(path) else otherwise


def _sizes(inputs: Inputs) -> tuple[Scalar, Scalar, Scalar]:
    """Pixel, and the detector's size along fast and slow; a given count decides (model 2)."""
    detector = inputs.experiment.detector
    pixel = inputs.number("detector.pixel_size_mm") / 1000.0
    sizes = []
    for count, size_mm in (
        (detector.n_fast, detector.size_fast_mm),
        (detector.n_slow, detector.size_slow_mm),
    ):
        sizes.append(size_mm / 1000.0 if count is None else pixel * count)
    return pixel, sizes[0], sizes[1]


def _near_point(
    inputs: Inputs, pixel: Scalar, size_fast: Scalar, size_slow: Scalar
) -> tuple[Scalar, Scalar, Scalar, Scalar]:
    """Fclose, Sclose, Xclose, Yclose before the conventions (model 3)."""
    detector = inputs.experiment.detector
    fast, slow = size_fast / 2.0, size_slow / 2.0
    if detector.org_x_px is not None:
        fast = (detector.org_x_px - 0.5) * pixel
    if detector.org_y_px is not None:
        slow = (detector.org_y_px - 0.5) * pixel
    x = fast if detector.close_x_mm is None else detector.close_x_mm / 1000.0
    y = slow if detector.close_y_mm is None else detector.close_y_mm / 1000.0
    return fast, slow, x, y


def _beam_centre(
    inputs: Inputs,
    convention: Convention,
    pixel: Scalar,
    size_fast: Scalar,
    size_slow: Scalar,
    close_x: Scalar,
    close_y: Scalar,
) -> tuple[Scalar, Scalar]:
    """Xbeam, Ybeam: as given or the convention's default (model 3)."""
    if convention == "adxv":
        x, y = (size_fast + pixel) / 2.0, (size_slow - pixel) / 2.0
    elif convention in ("mosflm", "denzo"):
        x, y = (size_slow + pixel) / 2.0, (size_fast + pixel) / 2.0
    else:
        x, y = close_x, close_y
    x_mm, y_mm = inputs.optional("detector.beam_x_mm"), inputs.optional("detector.beam_y_mm")
    return x if x_mm is None else x_mm / 1000.0, y if y_mm is None else y_mm / 1000.0


def _beam_on_detector(
    convention: Convention, pixel: Scalar, size_slow: Scalar, beam_x: Scalar, beam_y: Scalar
) -> tuple[Scalar, Scalar]:
    """Fbeam, Sbeam in the meaning of the convention (model 3)."""
    if convention == "adxv":
        return beam_x, size_slow - beam_y
    if convention == "mosflm":
        return beam_y + 0.5 * pixel, beam_x + 0.5 * pixel
    if convention == "denzo":
        return beam_y + 0.0 * pixel, beam_x + 0.0 * pixel
    return beam_x, beam_y


def _corner(
    fast: Vector, slow: Vector, ahead: Vector, along_fast: Scalar, along_slow: Scalar, far: Scalar
) -> Vector:
    """The corner of a detector whose point (along_fast, along_slow) lies `far` ahead."""
    x, y, z = (
        -along_fast * f - along_slow * s + far * a
        for f, s, a in zip(fast, slow, ahead, strict=True)
    )
    return x, y, z
