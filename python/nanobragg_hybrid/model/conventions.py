"""Names of conventions, pivots, crystal shapes, divergence shapes and kernels (model 3, 5.2, 6.5).

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

CONVENTIONS: Final[tuple[Convention, ...]] = get_args(Convention)
PIVOTS: Final[tuple[Pivot, ...]] = get_args(Pivot)
SHAPES: Final[tuple[Shape, ...]] = get_args(Shape)
DIVERGENCE_SHAPES: Final[tuple[DivergenceShape, ...]] = get_args(DivergenceShape)
KERNELS: Final[tuple[Kernel, ...]] = get_args(Kernel)
