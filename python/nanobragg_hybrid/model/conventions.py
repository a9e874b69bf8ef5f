"""Names of conventions, pivots, shapes of crystals and divergence, kernels (model 3, 5.2, 6.5).

A name is added to its Literal here; the type checker and the tests then name every place that has
to know it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, get_args

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
        11: "the mosaic domains have weights of their own",
    }
)
"""Why every step is visited: the numbers of `nbh_culling_reason` in words."""


class Directions(NamedTuple):
    """What a convention says about the laboratory: columns of the table of model 3.

    beam: direction of travel b.  polarization, spindle, twotheta: axes.
    """

    beam: tuple[float, float, float]
    polarization: tuple[float, float, float]
    spindle: tuple[float, float, float]
    twotheta: tuple[float, float, float]


_X: Final = (1.0, 0.0, 0.0)
_Y: Final = (0.0, 1.0, 0.0)
_Z: Final = (0.0, 0.0, 1.0)

DIRECTIONS: Final[Mapping[Convention, Directions]] = MappingProxyType(
    {
        "custom": Directions(_X, _Z, _Z, _Y),
        "adxv": Directions(_Z, _X, _X, (-1.0, 0.0, 0.0)),
        "mosflm": Directions(_X, _Z, _Z, (0.0, 0.0, -1.0)),
        "denzo": Directions(_X, _Z, _Z, (0.0, 0.0, -1.0)),
        "xds": Directions(_Z, _X, _X, _X),
        "dials": Directions(_Z, _Y, _Y, _Y),
    }
)
"""The laboratory of a detector that is made of panels; the engines have their own tables."""
