"""Names of conventions, pivots, shapes of crystals and divergence, kernels (model 3, 5.2, 6.5).

A name is added to its Literal here; the type checker and the tests then name every place that has
to know it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

Convention = Literal["custom", "adxv", "mosflm", "denzo", "xds", "dials"]
Pivot = Literal["sample", "beam"]
Shape = Literal["square", "round", "gauss", "tophat", "gauss_hkl", "tophat_hkl"]
DivergenceShape = Literal["round", "square"]
Kernel = Literal["auto", "exact", "baseline", "avx2", "avx512"]
Culling = Literal["auto", "off"]

CONVENTIONS: Final[tuple[Convention, ...]] = get_args(Convention)
PIVOTS: Final[tuple[Pivot, ...]] = get_args(Pivot)
SHAPES: Final[tuple[Shape, ...]] = get_args(Shape)
DIVERGENCE_SHAPES: Final[tuple[DivergenceShape, ...]] = get_args(DivergenceShape)
KERNELS: Final[tuple[Kernel, ...]] = get_args(Kernel)
CULLINGS: Final[tuple[Culling, ...]] = get_args(Culling)

CULLING_REASONS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "",
        1: "it was asked for",
        2: "the exact kernel visits every step",
        3: "a sub-pixel has fewer than four steps",
        4: "the light of this crystal shape reaches everywhere",
        5: "nearly all steps may have light",
        6: "oversample options multiply the whole sum at every step",
        7: "a structure factor or a source is not finite, or huge",
        8: "there are too many orientations to keep",
        9: "no pixel has any light",
        10: "there is too little memory",
    }
)
"""Why every step is visited: the numbers of `nbh_culling_reason` in words."""
