"""Detector, beam and spindle directions: model 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.units import deg_to_rad, m_to_mm, mm_to_m
from nanobragg_hybrid.engines.torch.arithmetic.scalars import (
    SMALLEST_NORMAL,
    Scalar,
    magnitude_of,
    side_of,
)
from nanobragg_hybrid.engines.torch.arithmetic.vectors import (
    Vector,
    cross,
    dot,
    minus,
    rot_axis,
    rot_xyz,
    scale,
    unit,
)
from nanobragg_hybrid.engines.torch.set_up.inputs import Inputs
from nanobragg_hybrid.engines.torch.set_up.placement import (
    BEAM_CENTRE,
    FRAMES,
    NEAR_POINT,
    XDS_ORIGIN,
    Axes,
    Placement,
    Point,
    is_named,
    normal_is_recomputed,
)
from nanobragg_hybrid.model.conventions import Convention
from nanobragg_hybrid.model.detector import Detector

_DEFAULT_DISTANCE_MM: Final = Detector().distance_mm

PIXEL_SIZE: Final = "detector.pixel_size_mm"

ORIGIN: Final = "detector.origin_m"
"""Name of the value that replaces the corner of the detector, whatever the rest of model 3 says."""


@dataclass(frozen=True, slots=True)
class DetectorGeometry:
    """Where detector and beam are; metres, unit vectors.

    fast, slow, normal are the detector's directions after its rotations, pix0 the outer corner of
    pixel (0, 0), close the distance to the nearest point of the plane, asked_close the same as in
    step 2 of model 3, before two-theta; asked_fast, asked_slow: where the nearest point was to be,
    which it is only if the directions are at right angles and are turned, not stretched.  pixel,
    pixel_slow: edges of a pixel along fast and slow.
    beam_x, beam_y are as image headers report them; beam_fast to close_slow as model 3 leaves them.
    """

    placement: Placement
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
    pixel_slow: Scalar
    distance: Scalar
    close: Scalar
    asked_close: Scalar
    asked_fast: Scalar
    asked_slow: Scalar
    beam_x: Scalar
    beam_y: Scalar
    beam_fast: Scalar
    beam_slow: Scalar
    close_fast: Scalar
    close_slow: Scalar
    size_fast: Scalar
    size_slow: Scalar
    twotheta: Scalar
    distance_ignored: bool


def detector_geometry(inputs: Inputs) -> DetectorGeometry:
    """Model 3 from beginning to end.

    Raises `ConfigError` for more than one centre while near_point_ignored is off.
    """
    experiment = inputs.experiment
    placement = Placement.of(experiment, inputs.quirks)
    convention = placement.convention
    sizes = _sizes(inputs)
    close_fast, close_slow, close_x, close_y = _near_point(inputs, sizes)
    beam_x, beam_y = _beam_centre(inputs, convention, sizes, close_x, close_y)
    beam_fast, beam_slow = _beam_on_detector(convention, sizes, beam_x, beam_y)
    if not inputs.quirks.near_point_ignored:
        close_fast, close_slow = close_x, close_y
    elif not is_named(convention):
        close_fast, close_slow = beam_x, beam_y
    asked_fast, asked_slow = close_fast, close_slow

    frame = FRAMES[convention]
    beam = unit(_direction(inputs, "beam.direction", frame.beam))
    fast = unit(_direction(inputs, "detector.fast_axis", frame.fast))
    slow = unit(_direction(inputs, "detector.slow_axis", frame.slow))
    normal = _direction(inputs, "detector.normal_axis", frame.normal)
    normal = unit(cross(fast, slow) if normal_is_recomputed(experiment) else normal)
    polarization = unit(_direction(inputs, "beam.polarization_axis", frame.polarization))
    spindle = unit(_direction(inputs, "goniometer.spindle_axis", frame.spindle))
    twotheta_axis = _direction(inputs, "detector.twotheta_axis", frame.twotheta)
    if not inputs.quirks.twotheta_axis_length:
        twotheta_axis = unit(twotheta_axis)

    is_any_normal = inputs.quirks.normal_towards_source
    if not is_any_normal:
        normal = scale(normal, side_of(dot(beam, normal)))

    rx, ry, rz = inputs.vector("detector.rotation_deg")
    rotation = (deg_to_rad(rx), deg_to_rad(ry), deg_to_rad(rz))
    twotheta = deg_to_rad(inputs.number("detector.twotheta_deg"))

    def turned(v: Vector) -> Vector:
        return rot_axis(rot_xyz(v, rotation), twotheta_axis, twotheta)

    ratio = _not_zero(dot(beam, rot_xyz(normal, rotation)))
    close_mm = inputs.optional("detector.close_distance_mm")
    close = magnitude_of(ratio * mm_to_m(inputs.number("detector.distance_mm")))
    distance_ignored = False
    if close_mm is not None:
        distance_ignored = _is_ignored_beside(close_mm, close, placement, inputs)
        close = mm_to_m(close_mm)
    asked_close, distance = close, close / (ratio if is_any_normal else magnitude_of(ratio))

    is_near = _is_near_point(placement.point)
    match placement.pivot:
        case "sample":
            if is_near:
                pix0 = turned(_corner(fast, slow, normal, close_fast, close_slow, close))
            else:
                upright = close / _not_zero(dot(beam, normal))
                pix0 = turned(_corner(fast, slow, beam, beam_fast, beam_slow, upright))
            fast, slow, normal = turned(fast), turned(slow), turned(normal)
        case "beam":
            fast, slow, normal = turned(fast), turned(slow), turned(normal)
            if is_near:  # which turning the detector about the beam would move
                pix0 = _corner(fast, slow, normal, close_fast, close_slow, close)
            else:
                pix0 = _corner(fast, slow, beam, beam_fast, beam_slow, distance)
        case other:
            assert_never(other)
    if inputs.is_live(ORIGIN):
        pix0 = inputs.vector(ORIGIN)
    elif placement.point == "corner":
        pix0 = inputs.vector("detector.pix0_m")

    close_fast, close_slow = -dot(pix0, fast), -dot(pix0, slow)
    close = dot(pix0, normal)
    if not is_any_normal:
        outwards = side_of(close)
        normal, close = scale(normal, outwards), close * outwards
        ratio = magnitude_of(ratio) * side_of(dot(beam, normal))
    if not inputs.quirks.ratio_before_twotheta:
        ratio = _not_zero(dot(beam, normal))
    centre = minus(scale(beam, close / ratio), pix0)
    return DetectorGeometry(
        placement=placement,
        beam=beam,
        fast=fast,
        slow=slow,
        normal=normal,
        twotheta_axis=twotheta_axis,
        polarization=polarization,
        vertical=unit(cross(beam, polarization)),
        spindle=spindle,
        pix0=pix0,
        pixel=sizes.pixel,
        pixel_slow=sizes.pixel_slow,
        distance=close / ratio,
        close=close,
        asked_close=asked_close,
        asked_fast=asked_fast,
        asked_slow=asked_slow,
        beam_x=beam_x,
        beam_y=beam_y,
        beam_fast=dot(fast, centre),
        beam_slow=dot(slow, centre),
        close_fast=close_fast,
        close_slow=close_slow,
        size_fast=sizes.fast,
        size_slow=sizes.slow,
        twotheta=twotheta,
        distance_ignored=distance_ignored,
    )


def _direction(inputs: Inputs, name: str, otherwise: Axes) -> Vector:
    return inputs.vector(name) if inputs.is_given(name) else otherwise


def _is_ignored_beside(
    close_mm: Scalar, implied_m: Scalar, placement: Placement, inputs: Inputs
) -> bool:
    """Whether a distance that was given is that of another detector than the close distance.

    One that is the default counts as not given.  Only asked of the configuration, not of values
    that are being differentiated.  Raises `ConfigError` while distance_beside_close is off.
    """
    distance_mm = inputs.experiment.detector.distance_mm
    if distance_mm == _DEFAULT_DISTANCE_MM or placement.point == "corner":
        return False
    if not (isinstance(close_mm, float) and isinstance(implied_m, float)):
        return False
    implied_mm = m_to_mm(implied_m)
    if abs(close_mm - implied_mm) <= 1e-5 * implied_mm:
        return False
    if not inputs.quirks.distance_beside_close:
        raise ConfigError(
            "detector.distance_mm",
            distance_mm,
            f"only one of it and the close distance, which is {close_mm:.9g} mm, or the close "
            f"distance that belongs to it ({implied_mm:.9g} mm), while distance_beside_close is "
            "off",
            "mm",
        )
    return True


def _is_near_point(point: Point) -> bool:
    """Whether the near point places the detector; else the beam centre, unless it is a corner."""
    match point:
        case "near":
            return True
        case "beam" | "corner":
            return False
        case other:
            assert_never(other)


def _not_zero(ratio: Scalar) -> Scalar:
    return SMALLEST_NORMAL if isinstance(ratio, float) and ratio == 0.0 else ratio


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Edges of a pixel along fast and slow, and of the detector; metres."""

    pixel: Scalar
    pixel_slow: Scalar
    fast: Scalar
    slow: Scalar


def pixel_edges_mm(inputs: Inputs) -> tuple[Scalar, Scalar]:
    """Of a pixel, along fast and slow; one number where it is square."""
    size = inputs.experiment.detector.pixel_size_mm
    if isinstance(size, tuple):
        fast, slow = inputs.items(PIXEL_SIZE)
        return fast, slow
    edge = inputs.number(PIXEL_SIZE)
    return edge, edge


def _sizes(inputs: Inputs) -> _Sizes:
    """A given count decides (model 2)."""
    detector = inputs.experiment.detector
    pixel, pixel_slow = (mm_to_m(edge) for edge in pixel_edges_mm(inputs))
    sizes = []
    for count, size_mm, edge in (
        (detector.n_fast, detector.size_fast_mm, pixel),
        (detector.n_slow, detector.size_slow_mm, pixel_slow),
    ):
        sizes.append(mm_to_m(size_mm) if count is None else edge * count)
    return _Sizes(pixel, pixel_slow, sizes[0], sizes[1])


def _near_point(inputs: Inputs, sizes: _Sizes) -> tuple[Scalar, Scalar, Scalar, Scalar]:
    """Fclose, Sclose, Xclose, Yclose before the conventions (model 3)."""
    fast, slow = sizes.fast / 2.0, sizes.slow / 2.0
    org_x, org_y = (inputs.optional(name) for name in XDS_ORIGIN)
    if org_x is not None:
        fast = (org_x - 0.5) * sizes.pixel
    if org_y is not None:
        slow = (org_y - 0.5) * sizes.pixel_slow
    x_mm, y_mm = (inputs.optional(name) for name in NEAR_POINT)
    x = fast if x_mm is None else mm_to_m(x_mm)
    y = slow if y_mm is None else mm_to_m(y_mm)
    return fast, slow, x, y


def _beam_centre(
    inputs: Inputs,
    convention: Convention,
    sizes: _Sizes,
    close_x: Scalar,
    close_y: Scalar,
) -> tuple[Scalar, Scalar]:
    """Xbeam, Ybeam: as given or the convention's default (model 3)."""
    x: Scalar
    y: Scalar
    match convention:
        case "adxv":
            x, y = (sizes.fast + sizes.pixel) / 2.0, (sizes.slow - sizes.pixel_slow) / 2.0
        case "mosflm" | "denzo":
            x, y = (sizes.slow + sizes.pixel_slow) / 2.0, (sizes.fast + sizes.pixel) / 2.0
        case "xds" | "dials" | "custom":
            x, y = close_x, close_y
        case other:
            assert_never(other)
    x_mm, y_mm = (inputs.optional(name) for name in BEAM_CENTRE)
    return x if x_mm is None else mm_to_m(x_mm), y if y_mm is None else mm_to_m(y_mm)


def _beam_on_detector(
    convention: Convention, sizes: _Sizes, beam_x: Scalar, beam_y: Scalar
) -> tuple[Scalar, Scalar]:
    """Fbeam, Sbeam in the meaning of the convention (model 3)."""
    match convention:
        case "adxv":
            return beam_x, sizes.slow - beam_y
        case "mosflm":
            return beam_y + 0.5 * sizes.pixel, beam_x + 0.5 * sizes.pixel_slow
        case "denzo":
            return beam_y + 0.0 * sizes.pixel, beam_x + 0.0 * sizes.pixel_slow
        case "xds" | "dials" | "custom":
            return beam_x, beam_y
        case other:
            assert_never(other)


def _corner(
    fast: Vector, slow: Vector, ahead: Vector, along_fast: Scalar, along_slow: Scalar, far: Scalar
) -> Vector:
    """The corner of a detector whose point (along_fast, along_slow) lies `far` ahead."""
    x, y, z = (
        -along_fast * f - along_slow * s + far * a
        for f, s, a in zip(fast, slow, ahead, strict=True)
    )
    return x, y, z
