"""One comparison of two images: its figures, its criteria and its document."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from nanobragg_hybrid.compare.images import Image, Region
from nanobragg_hybrid.compare.metrics import (
    Bin,
    Difference,
    Peak,
    PeakMatch,
    compare_images,
    find_peaks,
    match_peaks,
    require_images,
    ulp_histogram,
)
from nanobragg_hybrid.model.validate import require_class

DEFAULT_MAX_L2: Final = 1e-6
"""Rounding to float32 alone is up to 6e-8; the engines' float32 arithmetic stays below 1e-6 in
ordinary scenes, and a mistake that shows in a picture is far above it."""


class Criteria(NamedTuple):
    """What has to hold: relative L2 and ULPs at most, correlation at least; None: any.

    NaN and infinities have to be at the same pixels in any case, and there has to be light: images
    without a finite pixel that is not 0 in either have nothing to compare.  allow_dark: they may.
    """

    max_l2: float | None = None
    max_ulp: int | None = None
    min_correlation: float | None = None
    allow_dark: bool = False

    def or_default(self) -> Criteria:
        """The same, or relative L2 <= `DEFAULT_MAX_L2` if nothing was asked for."""
        if self._replace(allow_dark=False) != Criteria():
            return self
        return self._replace(max_l2=DEFAULT_MAX_L2)

    def verdicts(self, found: Difference) -> tuple[Verdict, ...]:
        """One for each criterion; images without a difference meet all of them."""
        is_same = found.identical == 1.0
        verdicts = [Verdict("same_non_finite", "yes", found.same_non_finite, found.same_non_finite)]
        if dark_text(found) is not None:
            verdicts.append(Verdict("lit", "a pixel that is not 0", False, self.allow_dark))
        if self.max_l2 is not None:
            value = found.relative_l2
            verdicts.append(
                Verdict("relative_l2", f"<= {self.max_l2:g}", value, value <= self.max_l2)
            )
        if self.max_ulp is not None:
            ulp = found.max_ulp
            verdicts.append(Verdict("max_ulp", f"<= {self.max_ulp}", ulp, ulp <= self.max_ulp))
        if self.min_correlation is not None:
            value = found.correlation
            is_met = is_same or value >= self.min_correlation
            rule = f">= {self.min_correlation:.15g}"
            verdicts.append(Verdict("correlation", rule, value, is_met))
        return tuple(verdicts)

    def texts(self) -> list[str]:
        """The criteria in words."""
        limits = (
            ("relative L2 <= {:g}", self.max_l2),
            ("ULPs <= {}", self.max_ulp),
            ("correlation >= {:.15g}", self.min_correlation),
        )
        return [text.format(limit) for text, limit in limits if limit is not None]


def dark_text(found: Difference) -> str | None:
    """What there is to say of two images that have nothing to compare; None if they have."""
    if found.lit_a > 0 or found.lit_b > 0:
        return None
    if found.finite == 0:
        return "no pixel is finite in both images: there is nothing to compare"
    return "both images are dark: there is nothing to compare"


class Verdict(NamedTuple):
    """One criterion: figure, rule in words, value, and whether the value meets it."""

    name: str
    rule: str
    value: float | int | bool
    is_met: bool


class Comparison(NamedTuple):
    """All that is known about a region of two images."""

    region: Region
    difference: Difference
    histogram: tuple[Bin, ...]
    peaks_a: int
    peaks_b: int
    peaks: PeakMatch
    verdicts: tuple[Verdict, ...]

    @property
    def is_met(self) -> bool:
        """Whether every criterion is met."""
        return all(verdict.is_met for verdict in self.verdicts)


def compared(a: Image, b: Image, region: Region, criteria: Criteria) -> Comparison:
    """Compares a region of two images of the same shape (slow, fast).

    Pixels of the result are those of the whole images.  Raises `ConfigError` for another shape or a
    region that is not inside.
    """
    require_images(a, b)
    require_class("region", region, Region)
    require_class("criteria", criteria, Criteria)
    part_a, part_b = region.of(a), region.of(b)
    found = compare_images(part_a, part_b)
    found = found._replace(fast=found.fast + region.fast_min, slow=found.slow + region.slow_min)
    peaks_a, peaks_b = _peaks(part_a, region), _peaks(part_b, region)
    return Comparison(
        region=region,
        difference=found,
        histogram=ulp_histogram(part_a, part_b),
        peaks_a=len(peaks_a),
        peaks_b=len(peaks_b),
        peaks=match_peaks(peaks_a, peaks_b),
        verdicts=criteria.verdicts(found),
    )


def comparison_document(found: Comparison) -> dict[str, Any]:
    """The part of ``summary.json`` that tells about the images."""
    metrics = found.difference._asdict()
    pixel = {
        "fast": metrics.pop("fast"),
        "slow": metrics.pop("slow"),
        "a": metrics.pop("value_a"),
        "b": metrics.pop("value_b"),
    }
    distances = [pair.distance for pair in found.peaks.pairs]
    return {
        "verdict": "pass" if found.is_met else "fail",
        "criteria": [
            {"name": v.name, "rule": v.rule, "value": v.value, "pass": v.is_met}
            for v in found.verdicts
        ],
        "roi": found.region._asdict(),
        "metrics": {**metrics, "max_abs_pixel": pixel},
        "ulp_histogram": [row._asdict() for row in found.histogram],
        "peaks": {
            "a": found.peaks_a,
            "b": found.peaks_b,
            "matched": len(distances),
            "max_distance_px": max(distances, default=None),
            "mean_distance_px": math.fsum(distances) / len(distances) if distances else None,
            "pairs": [
                {"a": pair.a._asdict(), "b": pair.b._asdict(), "distance_px": pair.distance}
                for pair in found.peaks.pairs
            ],
            "only_a": _peak_data(found.peaks.only_a),
            "only_b": _peak_data(found.peaks.only_b),
        },
    }


def _peaks(part: Image, region: Region) -> tuple[Peak, ...]:
    """Peaks of a region, at their places in the whole image."""
    return tuple(
        peak._replace(fast=peak.fast + region.fast_min, slow=peak.slow + region.slow_min)
        for peak in find_peaks(part)
    )


def _peak_data(peaks: tuple[Peak, ...]) -> list[dict[str, float]]:
    return [peak._asdict() for peak in peaks]
