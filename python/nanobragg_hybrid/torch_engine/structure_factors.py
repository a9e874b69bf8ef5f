"""Structure factors of fractional indices: nearest neighbour and tricubic (model 6.5, 6.7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.structure_factors import StructureFactors

from .scalars import Scalar

_NODES = (-1.0, 0.0, 1.0, 2.0)
_DENOMINATORS = (-6.0, 2.0, -2.0, 6.0)
"""(xj-xa)*(xj-xb)*(xj-xc) at equidistant nodes (model 6.7)."""


@dataclass(frozen=True, slots=True)
class Table:
    """Amplitudes over h, k, l with a border of default_F around them.

    padded: shape (nh + 2, nk + 2, nl + 2); element [0, 0, 0] is the reflection hkl_min - 1.
    """

    padded: Tensor
    hkl_min: tuple[int, int, int]

    @property
    def hkl_max(self) -> tuple[int, int, int]:
        """The last reflection inside the border."""
        h, k, l = (
            first + size - 3 for first, size in zip(self.hkl_min, self.padded.shape, strict=True)
        )
        return h, k, l


def padded_table(grid: Tensor, default_f: Scalar) -> Tensor:
    """The grid with a border of default_F, differentiable in both."""
    outside = torch.as_tensor(default_f, dtype=grid.dtype, device=grid.device)
    padded = outside.expand([size + 2 for size in grid.shape]).clone()
    padded[1:-1, 1:-1, 1:-1] = grid
    return padded


def nearest(table: Table, h0: Tensor, k0: Tensor, l0: Tensor) -> Tensor:
    """The amplitude at whole indices; default_F outside the table and for NaN."""
    flat: Tensor | None = None
    for index, first, size in zip((h0, k0, l0), table.hkl_min, table.padded.shape, strict=True):
        place = torch.clamp(index, first - 1, first + size - 2) - (first - 1)
        flat = place if flat is None else flat * size + place
    assert flat is not None
    # A NaN becomes the smallest integer, and so element 0, which is border.
    whole = flat.to(torch.int64).clamp_(min=0)
    return _take(table.padded, whole)


def amplitudes_at(
    structure_factors: StructureFactors, hkl: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What the engine takes, without interpolation, at whole indices (model 6.5).

    hkl: float64, shape (n, 3).  The result has shape (n,).
    """
    default_f = structure_factors.default_f
    if structure_factors.grid is None:
        return np.full(len(hkl), default_f)
    grid = torch.from_numpy(np.array(structure_factors.grid))
    table = Table(padded_table(grid, default_f), structure_factors.hkl_min)
    h, k, l = (torch.from_numpy(np.array(column)) for column in hkl.T)
    amplitudes: NDArray[np.float64] = nearest(table, h, k, l).numpy()
    return amplitudes


def leaves_table(table: Table, h: Tensor, k: Tensor, l: Tensor) -> Tensor:
    """Where tricubic interpolation would need amplitudes from outside the table (model 6.5)."""
    is_out: Tensor | None = None
    for x, first, last in zip((h, k, l), table.hkl_min, table.hkl_max, strict=True):
        extent = float(last - first + 1)
        out = (x - first + 3.0 > extent) | (x - 2.0 < first)
        is_out = out if is_out is None else is_out | out
    assert is_out is not None
    return is_out


def tricubic(table: Table, h: Tensor, k: Tensor, l: Tensor) -> Tensor:
    """Four-point Lagrange interpolation along l, then k, then h (model 6.7).

    Where `leaves_table` holds, the result is finite but means nothing.
    """
    shape = table.padded.shape
    weights, places = [], []
    for x, first, size in zip((h, k, l), table.hkl_min, shape, strict=True):
        node = torch.floor(x).detach()
        weights.append(_lagrange(x, node))
        place = torch.clamp(node - (first - 1), 1, max(size - 3, 1)).nan_to_num(nan=1.0)
        steps = torch.arange(-1, 3, device=x.device)
        places.append(torch.clamp(place.to(torch.int64).unsqueeze(-1) + steps, 0, size - 1))
    at_h, at_k, at_l = places
    flat = at_h[..., :, None, None] * shape[1] + at_k[..., None, :, None]
    values = _take(table.padded, flat * shape[2] + at_l[..., None, None, :])
    for weight, missing in zip(reversed(weights), (2, 1, 0), strict=True):
        terms = [
            weight[j].reshape(*weight[j].shape, *(1,) * missing) * values[..., j] / _DENOMINATORS[j]
            for j in range(4)
        ]
        values = terms[0] + terms[1] + terms[2] + terms[3]
    return values


def _lagrange(x: Tensor, node: Tensor) -> list[Tensor]:
    """The four numerators (x-xa)*(x-xb)*(x-xc)."""
    distances = [x - (node + step) for step in _NODES]
    numerators = []
    for j in range(4):
        a, b, c = (distances[n] for n in range(4) if n != j)
        numerators.append(a * b * c)
    return numerators


def _take(padded: Tensor, flat: Tensor) -> Tensor:
    """Elements by their flat index; the derivative adds up what each element gave."""
    return padded.reshape(-1).index_select(0, flat.reshape(-1)).reshape(flat.shape)
