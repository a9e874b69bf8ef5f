"""Names of conventions, pivots, shapes of crystals and divergence, kernels (model 3, 5.2, 6.5).

A name is added to its Literal here; the type checker and the tests then name every place that has
to know it.
"""

from __future__ import annotations

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
