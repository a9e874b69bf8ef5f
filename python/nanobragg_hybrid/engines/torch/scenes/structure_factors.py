"""Structure factors of fractional indices: nearest neighbour and tricubic (model 6.5, 6.7)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar
from nanobragg_hybrid.model.structure_factors import StructureFactors

_NODES = (-1.0, 0.0, 1.0, 2.0)
_DENOMINATORS = (-6.0, 2.0, -2.0, 6.0)
"""(xj-xa)*(xj-xb)*(xj-xc) at equidistant nodes (model 6.7)."""


@dataclass(frozen=True, slots=True)
class Table:
    """Amplitudes over h, k, l.

    grid: shape (nh, nk, nl); element [0, 0, 0] is the reflection hkl_min.  default_f: all others.
    """

    grid: Tensor
    hkl_min: tuple[int, int, int]
    default_f: Scalar

    @property
    def hkl_max(self) -> tuple[int, int, int]:
        """The last reflection."""
        h, k, l = (
            first + size - 1 for first, size in zip(self.hkl_min, self.grid.shape, strict=True)
        )
        return h, k, l


def shared_tensor(array: NDArray[np.float64]) -> Tensor:
    """A tensor in the memory of an array that is read-only, and that nobody may write to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # says that it could be written to
        return torch.from_numpy(array)


def nearest(table: Table, h0: Tensor, k0: Tensor, l0: Tensor) -> Tensor:
    """The amplitude at whole indices; default_F outside the table and for NaN."""
    flat: Tensor | None = None
    is_inside: Tensor | None = None
    for index, first, last in zip((h0, k0, l0), table.hkl_min, table.hkl_max, strict=True):
        inside = torch.clamp(index, first, last)
        is_within = inside == index
        is_inside = is_within if is_inside is None else is_inside.logical_and_(is_within)
        inside.sub_(first)
        flat = inside if flat is None else flat.mul_(last - first + 1).add_(inside)
    assert flat is not None
    assert is_inside is not None
    # A NaN becomes the smallest integer, and then any element: it is outside.
    whole = flat.to(torch.int64).clamp_(min=0)
    return torch.where(is_inside, _take(table.grid, whole), table.default_f)


def amplitudes_at(
    structure_factors: StructureFactors, hkl: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What the engine takes, without interpolation, at whole indices (model 6.5).

    hkl: float64, shape (n, 3).  The result has shape (n,).
    """
    default_f = structure_factors.default_f
    if structure_factors.grid is None:
        return np.full(len(hkl), default_f)
    table = Table(shared_tensor(structure_factors.grid), structure_factors.hkl_min, default_f)
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
    shape = table.grid.shape
    weights, neighbours = [], []
    for x, first, size in zip((h, k, l), table.hkl_min, shape, strict=True):
        node = torch.floor(x).detach()
        weights.append(_lagrange(x, node))
        second = torch.clamp(node - first, 1, max(size - 3, 1)).nan_to_num(nan=1.0)
        steps = torch.arange(-1, 3, device=x.device)
        neighbours.append(torch.clamp(second.to(torch.int64).unsqueeze(-1) + steps, 0, size - 1))
    at_h, at_k, at_l = neighbours
    flat = at_h[..., :, None, None] * shape[1] + at_k[..., None, :, None]
    values = _take(table.grid, flat * shape[2] + at_l[..., None, None, :])
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


def _take(grid: Tensor, flat: Tensor) -> Tensor:
    """Elements by their flat index; the derivative adds up what each element gave."""
    return grid.reshape(-1).index_select(0, flat.reshape(-1)).reshape(flat.shape)
