"""Statistics of an image (model 6.9)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nanobragg_hybrid.base.record import Record


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Statistics(Record):
    """Statistics of an image over its region of interest (model 6.9).

    max: the brightest pixel's value, 0 if none is positive; max_fast, max_slow: its place, pixels;
    max_fast_m, max_slow_m: the same on the detector, m, at the pixel's last sub-pixel.
    sum, mean, rms: over the pixels that are not masked.  rmsd: root mean square deviation from the
    mean; masked pixels count too with the quirk rmsd_counts_masked.
    solid_angle_sr: solid angle of the region, steradian; see the quirk solid_angle_over_steps.
    pixels: number of pixels in the region and not masked; pixels_in_roi: masked ones too.
    """

    max: float
    max_fast_m: float
    max_slow_m: float
    max_fast: int
    max_slow: int
    sum: float
    mean: float
    rms: float
    rmsd: float
    solid_angle_sr: float
    pixels: int
    pixels_in_roi: int

    @property
    def _squares(self) -> float:
        """The sum of the squares of all pixels that count."""
        return self.sum * self.sum if self.pixels == 1 else self.rms * self.rms * (self.pixels - 1)

    def _deviations_sqr(self, mean: float, counts_masked: bool) -> float:
        """The sum of the squared deviations of all pixels, masked ones (which are 0) included if
        asked for, from a mean that is not that of this image."""
        count = self.pixels_in_roi if counts_masked else self.pixels
        own = self.rmsd * self.rmsd * (count - 1) if count > 1 else 0.0
        shift = self.mean - mean
        return own + shift * (2.0 * (self.sum - count * self.mean) + count * shift)


def statistics_of_panels(panels: Sequence[Statistics], counts_masked: bool) -> Statistics:
    """Those of several panels together, as of one image (model 3.1).

    The place of the brightest pixel is that on its panel.  rms and rmsd follow from those of the
    panels, to rounding; counts_masked: the quirk rmsd_counts_masked.
    """
    brightest = max(panels, key=lambda panel: panel.max)
    pixels = sum(panel.pixels for panel in panels)
    pixels_in_roi = sum(panel.pixels_in_roi for panel in panels)
    total = sum(panel.sum for panel in panels)
    mean = total / pixels if pixels else 0.0
    deviations = sum(panel._deviations_sqr(mean, counts_masked) for panel in panels)
    counted = pixels_in_roi if counts_masked else pixels
    return Statistics(
        max=brightest.max,
        max_fast_m=brightest.max_fast_m,
        max_slow_m=brightest.max_slow_m,
        max_fast=brightest.max_fast,
        max_slow=brightest.max_slow,
        sum=total,
        mean=mean,
        rms=_root_of_ratio(sum(panel._squares for panel in panels), pixels),
        rmsd=_root_of_ratio(deviations, counted) if pixels else 0.0,
        solid_angle_sr=sum(panel.solid_angle_sr for panel in panels),
        pixels=pixels,
        pixels_in_roi=pixels_in_roi,
    )


def _root_of_ratio(squares: float, count: int) -> float:
    """What model 6.9 makes of a sum of squares; 0 where nothing was rendered."""
    if count == 0:
        return 0.0
    if count == 1:
        return math.nan if squares == 0.0 else math.inf
    return math.sqrt(max(squares / (count - 1), 0.0))
