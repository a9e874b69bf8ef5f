"""Statistics of an image (model 6.9)."""

from __future__ import annotations

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
