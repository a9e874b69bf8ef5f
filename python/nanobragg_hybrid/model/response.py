"""What a detector makes of the photons that reach it (model 10)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.model.validate import (
    FINITE,
    FLAG,
    NOT_NEGATIVE,
    POSITIVE,
    Choice,
    Instance,
    Integer,
    Items,
    Number,
    Optional,
    Sequence,
    check_fields,
    meta,
)

CountType = Literal["int16", "uint16", "int32", "uint32", "float32"]
"""Type of a pixel that is read out."""

COUNT_TYPES: tuple[CountType, ...] = ("int16", "uint16", "int32", "uint32", "float32")
COUNT_LIMITS: dict[CountType, tuple[int, int] | None] = {
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "float32": None,
}
"""Smallest and largest number of counts that a type holds; None: no limit."""

Rounding = Literal["nearest", "down"]
ROUNDINGS: tuple[Rounding, ...] = ("nearest", "down")

SpreadEdges = Literal["lost", "reflected"]
SPREAD_EDGES: tuple[SpreadEdges, ...] = ("lost", "reflected")

_SPREAD = Number(at_least=0.0, below=1.0)
_FRACTION = Number(at_least=0.0, below=0.5)
_PIXEL = Items(2, Integer(at_least=0, at_most=INT32_MAX))
_NUMBER = Integer(at_least=0, at_most=INT32_MAX)
_PIXELS = Sequence(_PIXEL, empty=True)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PointSpread(Record):
    """How the light of a photon spreads over neighbouring pixels (model 10.1).

    gaussian_fwhm_um: full width at half maximum of a gaussian, um, >= 0, default 0: none.
    fibre_radius_um: g of the tails of fibre-coupled detectors, g / (2 pi (g^2 + r^2)^(3/2)), um,
        >= 0, default 0: none.  Both given: one after the other.
    reach_um: distance along an axis up to which light spreads, um, > 0; what would go further is
        given back to the rest in proportion.  None: 4 FWHM, plus 100 g.
    edges: what happens to light that would leave the image: "lost" (default), or "reflected", which
        keeps the sum.

    Raises `ConfigError` for a value that breaks its rule.
    """

    gaussian_fwhm_um: float = field(default=0.0, metadata=meta(NOT_NEGATIVE, "um"))
    fibre_radius_um: float = field(default=0.0, metadata=meta(NOT_NEGATIVE, "um"))
    reach_um: float | None = field(default=None, metadata=meta(Optional(POSITIVE), "um"))
    edges: SpreadEdges = field(default="lost", metadata=meta(Choice(SPREAD_EDGES)))

    def __post_init__(self) -> None:
        check_fields(self, "response.point_spread")

    @property
    def gaussian_reach_um(self) -> float:
        """How far the gaussian spreads along an axis."""
        return 4.0 * self.gaussian_fwhm_um if self.reach_um is None else self.reach_um

    @property
    def fibre_reach_um(self) -> float:
        """How far the tails spread along an axis."""
        return 100.0 * self.fibre_radius_um if self.reach_um is None else self.reach_um


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Response(Record):
    """From photons in pixels to the counts that are read out (model 10), in this order.

    point_spread: `PointSpread`, or None (default).
    gain: counts per photon, > 0, default 1.
    gain_error: relative standard deviation of the pixels' gains, the same in all frames of a seed,
        0 to < 1, default 0.
    shot_noise: True (default): photons are counted, Poisson's distribution.
    flicker: relative standard deviation of the source's intensity from frame to frame, 0 to < 1,
        default 0.
    frame_gain_error: relative standard deviation of a pixel's gain from frame to frame, 0 to < 1,
        default 0.
    read_noise: standard deviation of the read-out, counts, >= 0, default 0.
    pedestal: counts of a pixel without photons, finite, default 0.
    saturation: the most counts that a pixel shows, > pedestal; None (default): what the type holds.
    dead_fraction, hot_fraction: part of the pixels that are dead, or hot, 0 to < 0.5, default 0;
        which ones, the seed says.
    dead_pixels, hot_pixels: (fast, slow) of more of them, px, of every panel; default none.
    dead_counts: what a dead pixel shows, finite, default 0.  A hot one shows the saturation.
    count_type: "int32" (default), "int16", "uint16", "uint32", or "float32", which is not rounded.
    rounding: "nearest" (default; halves to even), or "down".
    seed: of all that is random, 0 to 2147483647, default 0.
    panel: number of the panel, 0 to 2147483647, default 0: random numbers belong to seed, frame and
        panel.  Where a detector has several, each has its own, whatever stands here.

    Raises `ConfigError` for a value that breaks its rule, also for a saturation that is not above
    the pedestal, for one that the type does not hold, for a pedestal or counts of dead pixels that
    it does not hold, and for hot pixels of "float32" without a saturation.
    """

    point_spread: PointSpread | None = field(
        default=None, metadata=meta(Optional(Instance(PointSpread)))
    )
    gain: float = field(default=1.0, metadata=meta(POSITIVE, "counts/photon"))
    gain_error: float = field(default=0.0, metadata=meta(_SPREAD))
    shot_noise: bool = field(default=True, metadata=meta(FLAG))
    flicker: float = field(default=0.0, metadata=meta(_SPREAD))
    frame_gain_error: float = field(default=0.0, metadata=meta(_SPREAD))
    read_noise: float = field(default=0.0, metadata=meta(NOT_NEGATIVE, "counts"))
    pedestal: float = field(default=0.0, metadata=meta(FINITE, "counts"))
    saturation: float | None = field(default=None, metadata=meta(Optional(FINITE), "counts"))
    dead_fraction: float = field(default=0.0, metadata=meta(_FRACTION))
    hot_fraction: float = field(default=0.0, metadata=meta(_FRACTION))
    dead_pixels: tuple[tuple[int, int], ...] = field(default=(), metadata=meta(_PIXELS, "px"))
    hot_pixels: tuple[tuple[int, int], ...] = field(default=(), metadata=meta(_PIXELS, "px"))
    dead_counts: float = field(default=0.0, metadata=meta(FINITE, "counts"))
    count_type: CountType = field(default="int32", metadata=meta(Choice(COUNT_TYPES)))
    rounding: Rounding = field(default="nearest", metadata=meta(Choice(ROUNDINGS)))
    seed: int = field(default=0, metadata=meta(_NUMBER))
    panel: int = field(default=0, metadata=meta(_NUMBER))

    def __post_init__(self) -> None:
        check_fields(self, "response")
        if self.saturation is not None and not self.saturation > self.pedestal:
            rule = f"more than the pedestal, {self.pedestal:g} counts"
            raise ConfigError("response.saturation", self.saturation, rule, "counts")
        limits = COUNT_LIMITS[self.count_type]
        if limits is None and self.saturation is None and (self.hot_fraction or self.hot_pixels):
            rule = "a number, which hot pixels show: float32 has no limit"
            raise ConfigError("response.saturation", None, rule)
        for name in ("pedestal", "saturation", "dead_counts"):
            value: float | None = getattr(self, name)
            if value is not None and limits is not None and not limits[0] <= value <= limits[1]:
                rule = f"what {self.count_type} holds, {limits[0]} to {limits[1]}"
                raise ConfigError(f"response.{name}", value, rule, "counts")

    def of_panel(self, number: int) -> Response:
        """That of a panel of the detector."""
        return dataclasses.replace(self, panel=number)

    @property
    def most_counts(self) -> float:
        """The most counts that a pixel shows; infinite where nothing limits them."""
        limits = COUNT_LIMITS[self.count_type]
        if self.saturation is not None:
            return self.saturation
        return float("inf") if limits is None else float(limits[1])

    @property
    def rounding_variance(self) -> float:
        """What rounding adds to the variance of counts (model 10.3)."""
        is_exact = self.gain_error == self.frame_gain_error == self.read_noise == 0.0
        is_whole = self.gain.is_integer() and self.pedestal.is_integer()
        if not self.is_rounded or (is_exact and is_whole and self.shot_noise):
            return 0.0
        return 1.0 / 12.0

    @property
    def is_rounded(self) -> bool:
        """Whether counts are whole numbers."""
        return self.count_type != "float32"
