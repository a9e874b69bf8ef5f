"""What the plan changed or doubts, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SENTENCES: Final = {
    "NBH_WARN_SIZE_Y_CLIPPED": (
        1,
        "the crystal is larger than the beam along b: clipped to {crystal_size_m[1]:g} m",
    ),
    "NBH_WARN_SIZE_Z_CLIPPED": (
        2,
        "the crystal is larger than the beam along c: clipped to {crystal_size_m[2]:g} m",
    ),
    "NBH_WARN_NORMAL_RECOMPUTED": (
        4,
        "the detector normal is not a unit vector: it was replaced by fast x slow",
    ),
    "NBH_WARN_CELL_VOLUME": (8, "this cell is impossible: its volume was replaced by a tiny one"),
    "NBH_WARN_RECIPROCAL_LENGTH": (
        16,
        "this cell is impossible: a reciprocal length was not positive, and its sign was changed",
    ),
    "NBH_WARN_MOSAIC_DOMAINS": (
        32,
        "a mosaic spread without a number of domains: {mosaic_domains} domains are used",
    ),
    "NBH_WARN_INTERPOLATION_OFF": (
        64,
        "there is no table of structure factors to interpolate: interpolation is off",
    ),
    "NBH_WARN_OVERSAMPLE_LOW": (
        128,
        "oversample {oversample} is less than the {recommended_oversample} that the spots need",
    ),
}
"""For each `nbh_plan_warning`: its bit and a sentence with members of `nbh_plan_info`."""


def plan_warnings(info: Mapping[str, Any]) -> tuple[str, ...]:
    """One sentence for each warning bit set in `info` (the members of `nbh_plan_info`)."""
    return tuple(
        sentence.format_map(info) for bit, sentence in SENTENCES.values() if info["warnings"] & bit
    )
