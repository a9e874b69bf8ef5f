"""What sums over steps are made of, for Triton's kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Tensor

from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS
from nanobragg_hybrid.model.conventions import Shape

LATTICE_NUMBERS: Final = tuple(
    NUMBERS.index(name)
    for name in (
        *(f"n_cells.{axis}" for axis in range(3)),
        "fudge",
        *(f"{star}.{axis}" for star in ("a_star", "b_star", "c_star") for axis in range(3)),
        "default_f",
    )
)
"""Of `packing.NUMBERS`: what the kernels take of a lattice, in their order."""


@dataclass(frozen=True, slots=True)
class SumChoices:
    """Everything discrete about sums.

    shape: of the crystal.  single: float32 for what is no phase.  interpolation: "nearest",
    "tricubic" or "inside", see `kernels.steps`.  hkl_min: the first reflection of the table.
    domains: of the crystal.  has_limit: whether rays may be cut.  is_running: whether sums are
    multiplied by weights of rays.
    """

    shape: Shape
    single: bool
    interpolation: str
    hkl_min: tuple[int, int, int]
    domains: int
    has_limit: bool
    is_running: bool


@dataclass(frozen=True, slots=True)
class SumTensors:
    """float64, on one device.

    direction: from the crystal to the samples of pixels, unit vectors, (3, pixels, samples).
    sources: incident directions and wavelengths in m, (4, sources).  cells: (orientations, 9), m.
    numbers: those of `LATTICE_NUMBERS`, (14,).  grid: the table, or None.  factor: of each ray,
    None or broadcast to (pixels, samples, sources); weight: the same, and start, (pixels,), of a
    running product.  domain_weights: None, or (domains,).  others: numbers without derivatives,
    (2,): the size of the water, the resolution limit in m.
    """

    direction: Tensor
    sources: Tensor
    cells: Tensor
    numbers: Tensor
    grid: Tensor | None
    factor: Tensor | None
    weight: Tensor | None
    start: Tensor | None
    domain_weights: Tensor | None
    others: Tensor

    @property
    def moving(self) -> tuple[Tensor | None, ...]:
        """What has derivatives, in the order of the fields."""
        return (
            self.direction,
            self.sources,
            self.cells,
            self.numbers,
            self.grid,
            self.factor,
            self.weight,
            self.start,
        )
