"""Derivatives of pixels with respect to many numbers, and what least squares needs of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.engines.torch.arithmetic.derivatives import sum_of
from nanobragg_hybrid.engines.torch.compiled.kernel import CompiledKernel, CompiledPiece
from nanobragg_hybrid.engines.torch.fused.directions import Directions
from nanobragg_hybrid.engines.torch.fused.kernel import FusedKernel, FusedPiece
from nanobragg_hybrid.engines.torch.programs.steps import Piece, Tensors
from nanobragg_hybrid.engines.torch.rendering.render import Render
from nanobragg_hybrid.engines.torch.scenes.selection import Chosen
from nanobragg_hybrid.engines.torch.values.recorded_setup import SceneTangents

Measured = Tensor | NDArray[np.float64]

_MOVING: Final = ("numbers", "sources", "cells", "run_start")
"""The tensors of a `Packed` that numbers change."""


@dataclass(frozen=True, eq=False)
class PixelJacobian:
    """The Jacobian of a render, a part of its rows at a time.

    tensors: the render's arguments; tangents: their derivatives by P numbers.
    """

    render: Render
    tensors: Tensors
    tangents: SceneTangents
    pixels: Chosen

    @property
    def count(self) -> int:
        """P."""
        return len(self.tangents.numbers)

    def parts(self) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Which pixels, their values (m,) and derivatives (m, P), float64; in serial order."""
        pieces = self.render.pieces(self.tensors, 1)
        for pixels, own in groupby(pieces, lambda piece: piece.pixels):
            found = [self._piece(piece) for piece in own]
            values = sum_of(values for values, _ in found)
            yield pixels, values, sum_of(rows for _, rows in found)

    def all_rows(self) -> tuple[Tensor, Tensor]:
        """Values (n,) and derivatives (n, P) in the caller's order."""
        parts = self.parts()
        first = next(parts, None)
        if first is not None and first[0] == slice(0, self.render.pixels.count):
            _, values, rows = first
            return self._in_order(values, rows)
        (values,) = self.render.empty(self.tensors)
        rows = values.new_zeros((self.count, len(values))).T  # column by column, as they come
        for pixels, own_values, own_rows in itertools.chain([first] if first else [], parts):
            values[pixels] = own_values
            rows[pixels] = own_rows
        return self._in_order(values, rows)

    def _in_order(self, values: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Columns of rows lie one after the other, here and there."""
        return self.pixels.in_order(values), self.pixels.in_order(rows.T, dim=1).T

    def _piece(self, piece: Piece) -> tuple[Tensor, Tensor]:
        packed = self.render.packed(self.tensors)
        if isinstance(piece, CompiledPiece) and self.count > 0:
            assert isinstance(self.render.compiled, CompiledKernel)
            return self.render.compiled.jacobian(piece, packed, self.tangents)
        if isinstance(piece, FusedPiece) and self.count > 0:
            assert isinstance(self.render.compiled, FusedKernel)
            values, rows = self.render.compiled.jacobian(
                piece, packed, self.render.template, self._directions
            )
            return values, rows.T
        with torch.no_grad():
            (values,) = self.render.evaluate(piece, self.tensors, 0)
        # The table, which is the last, never moves.
        moved = tuple(place < len(_MOVING) for place, has in enumerate(self.render.has) if has)
        columns = self.render.changed(piece, self.tensors, moved, self._changes)
        if not columns:
            return values, values.new_zeros((len(values), 0))
        return values, torch.stack([column[0] for column in columns], dim=1)

    @cached_property
    def _directions(self) -> Directions:
        return Directions.of(self.tangents, self.tensors[0].device)

    @cached_property
    def _changes(self) -> list[list[Tensor]]:
        """How the arguments change with each of the numbers."""
        device = self.tensors[0].device
        return [
            [torch.from_numpy(x).to(device) for x in self.tangents.changes(n) if x is not None]
            for n in range(self.count)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class NormalEquations:
    """Least squares of residuals r = data - pixels, with weights w = 1/variance and the Jacobian J
    of the pixels.

    matrix: J^T w J, shape (P, P).  gradient: J^T w r, shape (P,), which is -1/2 times the
    derivative of chi_square; the step of Gauss and Newton solves matrix * step = gradient.
    chi_square: sum of w r^2, shape ().  float64.
    """

    matrix: Tensor
    gradient: Tensor
    chi_square: Tensor


def normal_equations(
    jacobian: PixelJacobian, data: Measured, variance: Measured
) -> NormalEquations:
    """Added up a part of the pixels at a time.

    Raises `ConfigError` for data and variances that are not one finite number for each pixel, and
    variances that are not > 0.
    """
    like = jacobian.render.empty(jacobian.tensors)[0]
    measured, variances = (
        _one_for_each("data", data, like),
        _one_for_each("variance", variance, like),
    )
    if not bool((variances > 0.0).all()):
        first = int((variances <= 0.0).to(torch.int8).argmax())
        raise ConfigError(f"variance[{first}]", float(variances[first]), "a variance > 0")
    measured, variances = jacobian.pixels.sorted(measured), jacobian.pixels.sorted(variances)
    count = jacobian.count
    matrix, gradient = like.new_zeros((count, count)), like.new_zeros(count)
    chi_square = like.new_zeros(())
    for pixels, values, rows in jacobian.parts():
        residual = measured[pixels] - values
        weighted = rows / variances[pixels].unsqueeze(1)
        matrix += weighted.T @ rows
        gradient += weighted.T @ residual
        chi_square += (residual * residual / variances[pixels]).sum()
    return NormalEquations(matrix, gradient, chi_square)


def _one_for_each(field: str, given: object, like: Tensor) -> Tensor:
    """A measured number for each pixel, float64, without a graph."""
    need = f"a tensor or array of {len(like)} finite numbers, one for each pixel"
    if isinstance(given, Tensor):
        numbers = given.detach()
    elif isinstance(given, np.ndarray) and given.dtype.kind in "iuf":
        numbers = torch.from_numpy(np.array(given, dtype=np.float64))
    else:
        raise ConfigError(field, given, need)
    if numbers.shape != like.shape or numbers.is_complex() or numbers.dtype == torch.bool:
        kind = Description(f"shape {tuple(numbers.shape)} of {numbers.dtype}")
        raise ConfigError(field, kind, need)
    numbers = numbers.to(like)
    if not bool(numbers.isfinite().all()):
        first = int((~numbers.isfinite()).to(torch.int8).argmax())
        raise ConfigError(f"{field}[{first}]", float(numbers[first]), need)
    return numbers
