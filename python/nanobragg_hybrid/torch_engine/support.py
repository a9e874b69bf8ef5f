"""Which quirk positions this engine implements."""

from __future__ import annotations

from typing import Final

from nanobragg_hybrid.errors import UnsupportedError
from nanobragg_hybrid.quirks import Quirks

ONLY_ON: Final = (
    "thick_last_layer",
    "polar_first_source",
    "interpolation_latch",
    "water_background",
    "layer_overshoot",
    "curved_detector_axes",
    "source_weights_ignored",
    "solid_angle_over_steps",
    "rmsd_counts_masked",
    "phi_left_edge",
)
"""Quirks that act here and of which this version has only nanoBragg's behaviour."""


def require_supported(quirks: Quirks) -> None:
    """Raises `UnsupportedError` naming a quirk whose position is not implemented."""
    for name in ONLY_ON:
        if not getattr(quirks, name):
            raise UnsupportedError(
                f"quirks: {name} is off, and this version has only nanoBragg's behaviour (on)"
            )
