"""Names of conventions, pivots, crystal shapes and kernels and their numbers in the C header (model
3, 6.5).

The numbers are those of `nbh_convention`, `nbh_pivot`, `nbh_shape`, `nbh_kernel` and
`nbh_kernel_reason` in nbh.h; a test compares them with the header's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

Convention = Literal["custom", "adxv", "mosflm", "denzo", "xds", "dials"]
Pivot = Literal["sample", "beam"]
Shape = Literal["square", "round", "gauss", "tophat", "gauss_hkl", "tophat_hkl"]
DivergenceShape = Literal["round", "square"]

CONVENTION_NUMBERS: Final[Mapping[str, int]] = MappingProxyType(
    {"custom": 0, "adxv": 1, "mosflm": 2, "denzo": 3, "xds": 4, "dials": 5}
)
PIVOT_NUMBERS: Final[Mapping[str, int]] = MappingProxyType({"sample": 0, "beam": 1})
SHAPE_NUMBERS: Final[Mapping[str, int]] = MappingProxyType(
    {"square": 0, "round": 1, "gauss": 2, "tophat": 3, "gauss_hkl": 4, "tophat_hkl": 5}
)
KERNEL_NUMBERS: Final[Mapping[str, int]] = MappingProxyType(
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
DIVERGENCE_SHAPES: Final[tuple[str, ...]] = ("round", "square")


def convention_name(number: int) -> str:
    """The name of a convention's number in the C header; KeyError if it has none."""
    return _name(CONVENTION_NUMBERS, number)


def pivot_name(number: int) -> str:
    """The name of a pivot's number in the C header; KeyError if it has none."""
    return _name(PIVOT_NUMBERS, number)


def shape_name(number: int) -> str:
    """The name of a crystal shape's number in the C header; KeyError if it has none."""
    return _name(SHAPE_NUMBERS, number)


def kernel_name(number: int) -> str:
    """The name of a kernel's number in the C header; KeyError if it has none."""
    return _name(KERNEL_NUMBERS, number)


def _name(numbers: Mapping[str, int], number: int) -> str:
    for name, its_number in numbers.items():
        if its_number == number:
            return name
    raise KeyError(number)
