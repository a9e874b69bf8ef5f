"""Where detector, beam and crystal ended up, in user units (model 3, 4.4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.base.units import m_to_angstrom, m_to_mm, rad_to_deg
from nanobragg_hybrid.model.conventions import Convention, Pivot
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan, Vector
from nanobragg_hybrid.model.validate import require_class


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Geometry(Record):
    """Where detector, beam and crystal ended up (model 3, 4.4).

    Lengths in mm are the plan's metres times 1000.0, angles in degrees its radians times 180/pi;
    the exact numbers are in `ResolvedPlan`.

    convention, pivot: as used.  beam_direction, polarization_axis, vertical_axis, spindle_axis,
    fast_axis, slow_axis, normal_axis: unit vectors, the detector's after its rotations;
    twotheta_axis: as given.  pix0_mm: outer corner of pixel (0, 0).  distance_mm: along the beam;
    close_distance_mm: to the nearest point of the plane.  beam_x_mm, beam_y_mm: beam centre as
    image headers report it; beam_fast_mm, beam_slow_mm: where the beam hits the detector;
    close_fast_mm, close_slow_mm: its nearest point; org_x_px, org_y_px: the same for XDS.
    dials_origin_mm: for DIALS. pixel_size_mm, pixel_size_slow_mm: edge of a pixel along fast and
    along slow; size_fast_mm, size_slow_mm, n_fast, n_slow: of the detector. roi: inclusive bounds
    (fast_min, fast_max, slow_min, slow_max).
    a_angstrom, b_angstrom, c_angstrom: cell vectors before any spindle rotation;
    cell_angstrom, cell_deg: their lengths and angles; cell_volume_angstrom3; misset_deg: the
    missetting as used.
    """

    convention: Convention
    pivot: Pivot
    beam_direction: Vector
    polarization_axis: Vector
    vertical_axis: Vector
    spindle_axis: Vector
    fast_axis: Vector
    slow_axis: Vector
    normal_axis: Vector
    twotheta_axis: Vector
    pix0_mm: Vector
    distance_mm: float
    close_distance_mm: float
    beam_x_mm: float
    beam_y_mm: float
    beam_fast_mm: float
    beam_slow_mm: float
    close_fast_mm: float
    close_slow_mm: float
    org_x_px: float
    org_y_px: float
    dials_origin_mm: Vector
    pixel_size_mm: float
    pixel_size_slow_mm: float
    size_fast_mm: float
    size_slow_mm: float
    n_fast: int
    n_slow: int
    roi: tuple[int, int, int, int]
    a_angstrom: Vector
    b_angstrom: Vector
    c_angstrom: Vector
    cell_angstrom: Vector
    cell_deg: Vector
    cell_volume_angstrom3: float
    misset_deg: Vector

    @classmethod
    def from_plan(cls, plan: ResolvedPlan) -> Geometry:
        """The plan's numbers in user units; `ConfigError` for what is no plan."""
        require_class("plan", plan, ResolvedPlan)
        values: dict[str, Any] = {
            "a_angstrom": _each(m_to_angstrom, plan.a0_m),
            "b_angstrom": _each(m_to_angstrom, plan.b0_m),
            "c_angstrom": _each(m_to_angstrom, plan.c0_m),
            "cell_angstrom": plan.cell_length_angstrom,
            "cell_deg": _each(rad_to_deg, plan.cell_angle_rad),
            "misset_deg": _each(rad_to_deg, plan.misset_rad),
        }
        for f in dataclasses.fields(cls):
            if f.name in values:
                continue
            if f.name.endswith("_mm") and not hasattr(plan, f.name):
                values[f.name] = _each(m_to_mm, getattr(plan, f.name.removesuffix("mm") + "m"))
            else:
                values[f.name] = getattr(plan, f.name)
        return cls(**values)


def _each(convert: Callable[[float], float], value: Any) -> Any:
    """A number converted, or each of a vector."""
    if isinstance(value, float):
        return convert(value)
    return tuple(convert(item) for item in value)
