"""The goniometer: spindle axis, start angle, oscillation range and its steps (model 5.1, 5.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.model.validate import (
    COUNT,
    DIRECTION,
    FINITE,
    NOT_NEGATIVE,
    Optional,
    check_fields,
    meta,
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Goniometer(Record):
    """The rotation of the crystal during the exposure.

    spindle_axis: rotation axis u, three finite numbers, not all 0; None: the convention's
        (model 3).
    phi_deg: start angle, degrees, finite, default 0 (model 5.3).
    osc_deg: oscillation range, degrees, >= 0; None: by the rules of model 5.1.
    phi_steps: number of orientations, >= 1; None: by the rules of model 5.1.
    phi_step_deg: angle from one orientation to the next, degrees, >= 0; None: by the rules of
        model 5.1.
    """

    spindle_axis: tuple[float, float, float] | None = field(
        default=None, metadata=meta(Optional(DIRECTION))
    )
    phi_deg: float = field(default=0.0, metadata=meta(FINITE, "deg"))
    osc_deg: float | None = field(default=None, metadata=meta(Optional(NOT_NEGATIVE), "deg"))
    phi_steps: int | None = field(default=None, metadata=meta(Optional(COUNT)))
    phi_step_deg: float | None = field(default=None, metadata=meta(Optional(NOT_NEGATIVE), "deg"))

    def __post_init__(self) -> None:
        check_fields(self, "goniometer")
