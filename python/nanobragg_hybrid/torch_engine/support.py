"""Which quirk positions this engine implements."""

from __future__ import annotations

from typing import Final

from nanobragg_hybrid.errors import UnsupportedError
from nanobragg_hybrid.quirks import Quirks

ONLY_ON: Final = (
    "triclinic_cell",
    "misset_random_radians",
    "custom_convention_switch",
    "pivot_flag_ignored",
    "pix0_ignored",
    "near_point_ignored",
)
"""Quirks that act here and of which this version has only nanoBragg's behaviour."""


def require_supported(quirks: Quirks) -> None:
    """Raises `UnsupportedError` naming a quirk whose position is not implemented."""
    for name in ONLY_ON:
        if not getattr(quirks, name):
            raise UnsupportedError(
                f"quirks: {name} is off, and this version has only nanoBragg's behaviour (on)"
            )
