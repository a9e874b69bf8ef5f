"""The numbers of names in the C header: conventions, pivots, shapes, kernels, warnings.

A test compares them with nbh.h and with the names of `model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from nanobragg_hybrid.model.conventions import (
    Convention,
    Culling,
    Kernel,
    Pivot,
    Shape,
)
from nanobragg_hybrid.model.resolved_plan import PlanWarning

Name = TypeVar("Name", bound=str)

CONVENTION_NUMBERS: Final[Mapping[Convention, int]] = MappingProxyType(
    {"custom": 0, "adxv": 1, "mosflm": 2, "denzo": 3, "xds": 4, "dials": 5}
)
PIVOT_NUMBERS: Final[Mapping[Pivot, int]] = MappingProxyType({"sample": 0, "beam": 1})
SHAPE_NUMBERS: Final[Mapping[Shape, int]] = MappingProxyType(
    {"square": 0, "round": 1, "gauss": 2, "tophat": 3, "gauss_hkl": 4, "tophat_hkl": 5}
)
KERNEL_NUMBERS: Final[Mapping[Kernel, int]] = MappingProxyType(
    {"auto": 0, "exact": 1, "baseline": 2, "avx2": 3, "avx512": 4}
)
KERNEL_REASONS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "",
        1: "it was asked for",
        2: "Miller indices or numbers of cells are too large for the others",
        3: "the table of structure factors is too large, or too far out, for the others",
        4: "the polarization axis never settles",
        5: "shape_fudge, a source's weight or the fluence is negative",
        6: "pixel values before rounding were asked for",
        7: "a wavelength, pixel size, distance or source direction is extremely small or large",
    }
)
"""Why a plan has the exact kernel: the numbers of `nbh_kernel_reason` in words."""
UNROUNDED_REASON: Final = 6

CULLING_NUMBERS: Final[Mapping[Culling, int]] = MappingProxyType({"auto": 0, "off": 1})
ASKED_REASON: Final = 1
EXACT_KERNEL_REASON: Final = 2
"""Numbers of `CULLING_REASONS`."""

WARNING_BITS: Final[Mapping[PlanWarning, int]] = MappingProxyType(
    {
        "size_y_clipped": 0x1,
        "size_z_clipped": 0x2,
        "normal_recomputed": 0x4,
        "cell_volume": 0x8,
        "reciprocal_length": 0x10,
        "mosaic_domains": 0x20,
        "interpolation_off": 0x40,
        "oversample_low": 0x80,
        "close_distance_negative": 0x100,
        "distance_ignored": 0x200,
        "no_sensor_is_black": 0x400,
        "polarization_factor": 0x800,
        "polarization_axis": 0x1000,
        "size_x_clipped": 0x2000,
        "impossible_cell": 0x4000,
        "angles_in_radians": 0x8000,
        "left_handed_matrix": 0x10000,
        "matrix_scale": 0x20000,
        "impossible_sources": 0x40000,
        "cell_beside_matrix": 0x80000,
        "step_and_count": 0x100000,
        "count_alone": 0x200000,
        "missing_last_source": 0x400000,
        "osc_overshoot": 0x800000,
        "domains_without_spread": 0x1000000,
        "wavelengths_without_range": 0x2000000,
        "oversample_high": 0x4000000,
        "many_steps": 0x8000000,
        "wavelength_outside_spectrum": 0x10000000,
        "broken_cells": 0x20000000,
    }
)
"""The bits of `nbh_plan_warning`."""


def name_of(numbers: Mapping[Name, int], number: int) -> Name:
    """The name that has a number; KeyError if none has."""
    for name, its_number in numbers.items():
        if its_number == number:
            return name
    raise KeyError(number)
