"""The detector: geometry, pixels, sensor, mask (model 2, 3, 5.1, 6.2)."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.errors import ConfigError, Description, suggestion
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.base.units import mm_to_m
from nanobragg_hybrid.model.conventions import CONVENTIONS, PIVOTS, Convention, Pivot
from nanobragg_hybrid.model.mask import Mask
from nanobragg_hybrid.model.pixel_size import PIXEL_SIZE, PixelSize, edges_mm
from nanobragg_hybrid.model.validate import (
    COUNT,
    DIRECTION,
    FINITE,
    FLAG,
    NOT_NEGATIVE,
    POSITIVE,
    VECTOR,
    Choice,
    Instance,
    Integer,
    Number,
    Optional,
    check_fields,
    meta,
    normalised,
)

if TYPE_CHECKING:
    from nanobragg_hybrid.model.panel import Panel


class PanelsRule:
    """The rule of `panels`, whose module is imported when there are any."""

    @property
    def text(self) -> str:
        """What is needed."""
        return "one or more objects of class Panel, no two of the same name"

    def normalise(self, value: object) -> tuple[Panel, ...]:
        """The panels as a tuple."""
        from nanobragg_hybrid.model.panel import as_panels

        return as_panels(value)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Detector(Record):
    """The detector.  Image arrays have the shape (n_slow, n_fast).

    convention: "mosflm" (default), "xds", "adxv", "denzo", "dials" or "custom" (model 3).  With the
        quirk custom_convention_switch on, giving any vector here, in the beam or in the goniometer
        selects "custom".
    pivot: what stays in place when the detector turns: "beam" or "sample"; None: the convention's,
        which also overrules a given one while the quirk pivot_flag_ignored is on (model 3).
    fast_axis, slow_axis: directions f, s of growing pixel numbers, three finite numbers, not all 0;
        None: the convention's (model 3).
    normal_axis: direction o from sample to detector plane; may be all 0: then it is f x s; None:
        the convention's (model 3).
    twotheta_axis: axis of the two-theta rotation, not all 0; None: the convention's (model 3).
    pix0_m: position of the outer corner of pixel (0, 0), m, three finite numbers; see the quirk
        pix0_ignored; None: from beam centre and distance (model 3).
    distance_mm: from sample to detector along the beam, mm, > 0, default 100 (model 3).
    close_distance_mm: from sample to the nearest point of the detector plane, mm, finite; if given
        it replaces `distance_mm` (model 3).  Of a `distance_mm` other than the default beside one
        that says otherwise there is a warning; with the quirk distance_beside_close off, an error.
    pixel_size_mm: edge of a pixel, mm, > 0, default 0.1; or two edges, along fast and slow, of
        pixels that are not square (two that are equal are stored as one number) (model 2).
    n_fast, n_slow: number of pixels, >= 1; None: from the size (model 2).
    size_fast_mm, size_slow_mm: size of the detector, mm, > 0, default 102.4; without effect along
        an axis whose pixel number is given (model 2).
    beam_x_mm, beam_y_mm: beam centre in the meaning of the convention, mm, finite; None: the centre
        of the detector (model 3).
    close_x_mm, close_y_mm: the same for the near point (model 3).
    org_x_px, org_y_px: near point, XDS's ORGX and ORGY, pixels, finite; None: from the size
        (model 3).
    rotation_deg: rotations about x, y, z, applied in this order, degrees, finite, default 0
        (model 3).
    twotheta_deg: rotation about the two-theta axis, degrees, finite, default 0 (model 3).
    curved: True: every pixel is at the same distance from the sample; default False (model 6.2).
    point_pixel: True: solid angle without obliquity; default False (model 6.2, and the quirk
        point_pixel_area).
    sensor_thickness_um: thickness of the sensor, um, >= 0, default 0: no absorption; None: not
        given, by the rules of model 5.1.
    sensor_attenuation_depth_um: depth at which 1/e of the X-rays are left, um, > 0; infinite: no
        absorption; None: the thickness (model 5.1).
    sensor_layers: number of layers, >= 1; None: by the rules of model 5.1.
    mask: `Mask` of the detector's shape; None: every pixel counts (model 6).
    panels: one or more `Panel`, each of which has its own image; None (default): the detector is
        one panel, which the fields above describe.  Beside panels these have to be at their
        defaults, but for `convention`, whose beam, polarization, spindle and two-theta axis count
        where none is given; `rotation_deg`, `twotheta_axis` and `twotheta_deg`, which turn all
        panels together about the sample; and `point_pixel`.  See `Experiment.of_panel` (model 3.1).

    Raises `ConfigError` also if the sizes make no pixel, or too many for a 32-bit number, or if the
    mask has another shape.
    """

    convention: Convention = field(default="mosflm", metadata=meta(Choice(CONVENTIONS)))
    pivot: Pivot | None = field(default=None, metadata=meta(Optional(Choice(PIVOTS))))
    fast_axis: tuple[float, float, float] | None = field(
        default=None, metadata=meta(Optional(DIRECTION))
    )
    slow_axis: tuple[float, float, float] | None = field(
        default=None, metadata=meta(Optional(DIRECTION))
    )
    normal_axis: tuple[float, float, float] | None = field(
        default=None, metadata=meta(Optional(VECTOR))
    )
    twotheta_axis: tuple[float, float, float] | None = field(
        default=None, metadata=meta(Optional(DIRECTION))
    )
    pix0_m: tuple[float, float, float] | None = field(
        default=None, metadata=meta(Optional(VECTOR), "m")
    )
    distance_mm: float = field(default=100.0, metadata=meta(POSITIVE, "mm"))
    close_distance_mm: float | None = field(default=None, metadata=meta(Optional(FINITE), "mm"))
    pixel_size_mm: PixelSize = field(default=0.1, metadata=meta(PIXEL_SIZE, "mm"))
    n_fast: int | None = field(default=None, metadata=meta(Optional(COUNT), "px"))
    n_slow: int | None = field(default=None, metadata=meta(Optional(COUNT), "px"))
    size_fast_mm: float = field(default=102.4, metadata=meta(POSITIVE, "mm"))
    size_slow_mm: float = field(default=102.4, metadata=meta(POSITIVE, "mm"))
    beam_x_mm: float | None = field(default=None, metadata=meta(Optional(FINITE), "mm"))
    beam_y_mm: float | None = field(default=None, metadata=meta(Optional(FINITE), "mm"))
    close_x_mm: float | None = field(default=None, metadata=meta(Optional(FINITE), "mm"))
    close_y_mm: float | None = field(default=None, metadata=meta(Optional(FINITE), "mm"))
    org_x_px: float | None = field(default=None, metadata=meta(Optional(FINITE), "px"))
    org_y_px: float | None = field(default=None, metadata=meta(Optional(FINITE), "px"))
    rotation_deg: tuple[float, float, float] = field(
        default=(0.0, 0.0, 0.0), metadata=meta(VECTOR, "deg")
    )
    twotheta_deg: float = field(default=0.0, metadata=meta(FINITE, "deg"))
    curved: bool = field(default=False, metadata=meta(FLAG))
    point_pixel: bool = field(default=False, metadata=meta(FLAG))
    sensor_thickness_um: float | None = field(
        default=0.0, metadata=meta(Optional(NOT_NEGATIVE), "um")
    )
    sensor_attenuation_depth_um: float | None = field(
        default=None, metadata=meta(Optional(Number(above=0.0, infinity=True)), "um")
    )
    sensor_layers: int | None = field(default=None, metadata=meta(Optional(COUNT)))
    mask: Mask | None = field(default=None, metadata=meta(Optional(Instance(Mask))))
    panels: tuple[Panel, ...] | None = field(default=None, metadata=meta(Optional(PanelsRule())))

    def __post_init__(self) -> None:
        check_fields(self, "detector")
        if self.panels is not None:
            self._require_defaults_beside_panels()
            return
        shape = self.shape
        if self.mask is not None and self.mask.shape != shape:
            raise ConfigError(
                "detector.mask",
                Description(f"{self.mask.shape[1]} x {self.mask.shape[0]} pixels"),
                f"the detector's {shape[1]} x {shape[0]} pixels (fast x slow)",
            )

    def _require_defaults_beside_panels(self) -> None:
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if each.name not in _BESIDE_PANELS and value != each.default:
                rule = f"its default, {each.default!r}, beside panels, which have their own"
                raise ConfigError(f"detector.{each.name}", value, rule, each.metadata["unit"])

    @property
    def shape(self) -> tuple[int, int]:
        """(n_slow, n_fast), the shape of the image (model 2); `ConfigError` for several panels."""
        if self.panels is not None:
            if len(self.panels) > 1:
                instead = "detector.shapes has that of each"
                raise several_panels("detector.shape", len(self.panels), instead)
            return self.panels[0].shape
        return self._pixels("slow"), self._pixels("fast")

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(n_slow, n_fast) of each panel; one where there are no `panels`."""
        if self.panels is None:
            return (self.shape,)
        return tuple(panel.shape for panel in self.panels)

    @property
    def panel_count(self) -> int:
        """How many panels there are: one where there are no `panels`."""
        return 1 if self.panels is None else len(self.panels)

    @property
    def panel_names(self) -> tuple[str, ...]:
        """The names of the panels; none where there are no `panels`."""
        return tuple(panel.name for panel in self.panels or ())

    def panel_number(self, which: int | str) -> int:
        """The number of a panel, from 0, by its number or its name; 0 where there are no `panels`.

        Raises `ConfigError` (``panel``) for one that is not there.
        """
        count = self.panel_count
        if type(which) is int and 0 <= which < count:
            return which
        names = self.panel_names
        if isinstance(which, str) and which in names:
            return names.index(which)
        try:
            return Integer(at_least=0, at_most=count - 1).normalise(which)
        except ValueError:
            rule = f"0 to {count - 1}" if count > 1 else "0"
            if names:
                rule += f", or a panel's name{suggestion(which, names)}"
            raise ConfigError("panel", which, rule) from None

    def shifted(self, shift_mm: tuple[float, float, float]) -> Detector:
        """A copy whose panels are all shifted in the laboratory, before `rotation_deg` and
        two-theta turn them; mm.  Raises `ConfigError` where there are no `panels`."""
        shift = normalised("shift_mm", shift_mm, VECTOR, "mm")
        if self.panels is None:
            raise ConfigError("detector.panels", None, "panels, to shift them")
        panels = tuple(
            dataclasses.replace(
                panel,
                origin_mm=tuple(o + by for o, by in zip(panel.origin_mm, shift, strict=True)),
            )
            for panel in self.panels
        )
        return dataclasses.replace(self, panels=panels)

    def _pixels(self, axis: str) -> int:
        edge_fast, edge_slow = edges_mm(self.pixel_size_mm)
        pixel_m = mm_to_m(edge_fast if axis == "fast" else edge_slow)
        count: int | None = getattr(self, f"n_{axis}")
        size_mm: float = getattr(self, f"size_{axis}_mm")
        size_m = mm_to_m(size_mm) if count is None else pixel_m * count
        pixels = size_m / pixel_m - 0.5 if pixel_m > 0.0 else math.inf
        if not 0.0 < pixels <= INT32_MAX:
            name, unit = f"detector.size_{axis}_mm", "mm"
            value: PixelSize = size_mm
            if count is not None:
                name, unit = "detector.pixel_size_mm", "mm"
                value = self.pixel_size_mm
            raise ConfigError(name, value, f"1 to {INT32_MAX} pixels along the {axis} axis", unit)
        return math.ceil(pixels)


_BESIDE_PANELS: Final = frozenset(
    {"convention", "twotheta_axis", "rotation_deg", "twotheta_deg", "point_pixel", "panels"}
)
"""Fields that count for a detector of panels."""


def several_panels(field_name: str, count: int, instead: str) -> ConfigError:
    """The error of something that is of one panel only, and what to use instead."""
    return ConfigError(field_name, Description(f"{count} panels"), f"one panel: {instead}")
