"""Which conventions and numbers say where the detector is: the choices of model 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, assert_never

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.engines.torch.arithmetic.scalars import as_float
from nanobragg_hybrid.engines.torch.arithmetic.vectors import mag
from nanobragg_hybrid.model.conventions import Convention, Pivot
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks

Axes = tuple[float, float, float]

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

BEAM_CENTRE: Final = ("detector.beam_x_mm", "detector.beam_y_mm")
NEAR_POINT: Final = ("detector.close_x_mm", "detector.close_y_mm")
XDS_ORIGIN: Final = ("detector.org_x_px", "detector.org_y_px")
"""The three ways to give a point of the detector."""

Point = Literal["beam", "near", "corner"]
"""Where the beam hits the detector; its point nearest to the crystal; its corner."""

_CENTRES: Final = (BEAM_CENTRE, NEAR_POINT, XDS_ORIGIN)


@dataclass(frozen=True, slots=True)
class Frame:
    """The directions of a convention, in the order of model 3's table."""

    beam: Axes
    fast: Axes
    slow: Axes
    normal: Axes
    twotheta: Axes
    polarization: Axes
    spindle: Axes
    pivot: Pivot


_X: Final = (1.0, 0.0, 0.0)
_Y: Final = (0.0, 1.0, 0.0)
_Z: Final = (0.0, 0.0, 1.0)
_MINUS_X: Final = (-1.0, 0.0, 0.0)
_MINUS_Y: Final = (0.0, -1.0, 0.0)
_MINUS_Z: Final = (0.0, 0.0, -1.0)

FRAMES: Final[Mapping[Convention, Frame]] = MappingProxyType(
    {
        "adxv": Frame(_Z, _X, _MINUS_Y, _Z, _MINUS_X, _X, _X, "beam"),
        "mosflm": Frame(_X, _Z, _MINUS_Y, _X, _MINUS_Z, _Z, _Z, "beam"),
        "denzo": Frame(_X, _Z, _MINUS_Y, _X, _MINUS_Z, _Z, _Z, "beam"),
        "xds": Frame(_Z, _X, _Y, _Z, _X, _X, _X, "sample"),
        "dials": Frame(_Z, _X, _Y, _Z, _Y, _Y, _Y, "sample"),
        "custom": Frame(_X, _Z, _MINUS_Y, _X, _Y, _Z, _Z, "beam"),
    }
)


@dataclass(frozen=True, slots=True)
class Placement:
    """How an experiment says where its detector is.

    point: the one that is given; a corner whatever else was given.  names: the two numbers of that
    point that count, along x and y; for a corner, none.
    """

    convention: Convention
    pivot: Pivot
    point: Point
    names: tuple[str, ...]

    @classmethod
    def of(cls, experiment: Experiment, quirks: Quirks) -> Placement:
        """The choices of model 3.

        Raises `ConfigError` for more than one centre while near_point_ignored is off.
        """
        convention = convention_of(experiment, quirks)
        pivot = pivot_of(experiment, quirks)
        given = [centre for centre in _CENTRES if any(_is_given(experiment, p) for p in centre)]
        if not quirks.near_point_ignored and len(given) > 1:
            first = given[0][0]
            raise ConfigError(
                first,
                _configured(experiment, first),
                "only one of beam centre, near point and XDS origin while near_point_ignored is "
                "off",
                "mm",
            )
        if experiment.detector.pix0_m is not None and not quirks.pix0_ignored:
            return cls(convention, pivot, "corner", ())
        point = _point_of(pivot)
        if not quirks.near_point_ignored:
            if given:
                return cls(
                    convention, pivot, "beam" if given[0] is BEAM_CENTRE else "near", given[0]
                )
            return cls(convention, pivot, point, BEAM_CENTRE if point == "beam" else XDS_ORIGIN)
        names: tuple[str, ...]
        match convention:
            case "adxv" | "mosflm" | "denzo":
                names = BEAM_CENTRE if point == "beam" else XDS_ORIGIN
            case "xds" | "dials":
                names = _given_names(experiment) if point == "beam" else XDS_ORIGIN
            case "custom":
                names = _given_names(experiment)
            case other:
                assert_never(other)
        return cls(convention, pivot, point, names)


def is_named(convention: Convention) -> bool:
    """Whether a convention has a pivot and centres of its own (model 3)."""
    match convention:
        case "adxv" | "mosflm" | "denzo" | "xds" | "dials":
            return True
        case "custom":
            return False
        case other:
            assert_never(other)


def _point_of(pivot: Pivot) -> Literal["beam", "near"]:
    """The point that stays where it is when the detector turns."""
    match pivot:
        case "beam":
            return "beam"
        case "sample":
            return "near"
        case other:
            assert_never(other)


def _given_names(experiment: Experiment) -> tuple[str, ...]:
    """The beam centre, for which the near point stands in, for which the XDS origin does."""
    return tuple(
        next((name for name in choices if _is_given(experiment, name)), choices[0])
        for choices in zip(*_CENTRES, strict=True)
    )


def convention_of(experiment: Experiment, quirks: Quirks) -> Convention:
    """The convention that counts: any given vector selects "custom" (model 3), unless
    custom_convention_switch is off."""
    if quirks.custom_convention_switch and any(
        _is_given(experiment, name) for name in _GIVEN_VECTORS
    ):
        return "custom"
    return experiment.detector.convention


def pivot_of(experiment: Experiment, quirks: Quirks) -> Pivot:
    """The pivot that counts: a named convention's own (model 3), unless pivot_flag_ignored is off
    and there is another."""
    convention = convention_of(experiment, quirks)
    given = experiment.detector.pivot
    if given is not None and not (is_named(convention) and quirks.pivot_flag_ignored):
        return given
    return FRAMES[convention].pivot


def normal_is_recomputed(experiment: Experiment) -> bool:
    """Whether the normal is replaced by fast x slow, because it is no unit vector (model 3)."""
    normal = experiment.detector.normal_axis
    return normal is not None and as_float(mag(normal)) != 1.0


def _is_given(experiment: Experiment, name: str) -> bool:
    return _configured(experiment, name) is not None


def _configured(experiment: Experiment, name: str) -> object:
    part, field = name.split(".")
    value: object = getattr(getattr(experiment, part), field)
    return value
