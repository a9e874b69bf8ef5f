"""Shape transforms of the crystal but for the square one, and their derivatives: model 6.5.

The values are the model's formulas as they stand, so that float64 images agree with the C core
even where those formulas lose digits; the derivatives come from formulas that do not lose them, and
are finite at the removable singularities.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, assert_never

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.bessel import bessel_ratio
from nanobragg_hybrid.engines.torch.arithmetic.devices import precision_of
from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar, applied
from nanobragg_hybrid.model.conventions import Shape

_SINGLE_SERIES_BELOW: Final = 0.5
"""Of x^2 in float32: below it a series stands in for `sinc3`, without its terms in x^8: 1e-9."""

SpotShape = Literal["round", "gauss", "tophat", "gauss_hkl", "tophat_hkl"]
"""The shapes whose amplitude falls off around the nearest reflection: all but square."""

_ROUND_VOLUME = 0.723601254558268


def has_fudge_factor(shape: Shape) -> bool:
    """Whether `shape_fudge` is in the shape's formula."""
    match shape:
        case "square":
            return False
        case "round" | "gauss" | "tophat" | "gauss_hkl" | "tophat_hkl":
            return True
        case other:
            assert_never(other)


def has_poles(shape: Shape, n_cells: tuple[float, float, float]) -> bool:
    """Whether the lattice factor of a crystal of so many cells has no bound at reflections."""
    match shape:
        case "square":
            return any(n > 1.0 and not n.is_integer() for n in n_cells)
        case "round" | "gauss" | "tophat" | "gauss_hkl" | "tophat_hkl":
            return False
        case other:
            assert_never(other)


def is_in_reciprocal_lengths(shape: Shape) -> bool:
    """Whether the distance from the reflection is one in reciprocal space, not in h, k, l."""
    match shape:
        case "gauss" | "tophat":
            return True
        case "square" | "round" | "gauss_hkl" | "tophat_hkl":
            return False
        case other:
            assert_never(other)


def is_all_or_nothing(shape: SpotShape) -> bool:
    """Whether a rounding error of the distance may change the whole amplitude."""
    match shape:
        case "tophat" | "tophat_hkl":
            return True
        case "round" | "gauss" | "gauss_hkl":
            return False
        case other:
            assert_never(other)


def sinc3(square: Tensor) -> Tensor:
    """The transform of a sphere, 3 (sin x/x - cos x)/x^2 with x = pi sqrt(square) (model 6.5 s3).

    A function of the square, because in that it is smooth at 0.  NaN for a negative square.  In
    float64 it is the model's formula, which loses its digits near 0; in float32, where it would
    lose them much farther out, a series stands in for it there.
    """
    amplitude: Tensor = applied(_Sinc3, square)
    return amplitude


class _Sinc3(torch.autograd.Function):
    """3 j1(x)/x, whose derivative by the square is -(3/2) pi^2 j2(x)/x^2."""

    @staticmethod
    def forward(ctx: Any, square: Tensor) -> Tensor:
        ctx.save_for_backward(square)
        x = math.pi * torch.sqrt(square)
        value = 3.0 * (torch.sin(x) / x - torch.cos(x)) / (x * x)
        match precision_of(square.dtype):
            case "float64":
                return torch.where(x == 0.0, 1.0, value)
            case "float32":
                x2 = x * x
                series = 1.0 - x2 * (0.1 - x2 * (1.0 / 280.0 - x2 * (1.0 / 15120.0)))
                return torch.where(x2 < _SINGLE_SERIES_BELOW, series, value)
            case other:
                assert_never(other)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (square,) = ctx.saved_tensors
        slope: Tensor = bessel_ratio(2, math.pi * math.pi * square)
        return grads[0] * (-1.5 * math.pi * math.pi) * slope


def spot_amplitude(shape: SpotShape, square: Tensor, cells: Scalar, fudge: Scalar) -> Tensor:
    """The amplitude of a shape, of the squared distance from the reflection in units of 1/N.

    float64, because amplitudes have a wide range, and what has none in it is skipped (model 6.5).
    """
    match shape:
        case "round":
            return round_amplitude(square, cells, fudge)
        case "gauss" | "gauss_hkl":
            return gauss_amplitude(square, cells, fudge)
        case "tophat" | "tophat_hkl":
            return tophat_amplitude(square, cells, fudge)
        case other:
            assert_never(other)


def round_amplitude(square: Tensor, cells: Scalar, fudge: Scalar) -> Tensor:
    """ROUND, of the squared distance from the reflection in units of 1/N; float64."""
    return cells * _ROUND_VOLUME * sinc3(square * fudge).to(torch.float64)


def gauss_amplitude(square: Tensor, cells: Scalar, fudge: Scalar) -> Tensor:
    """GAUSS, of the squared distance from the reflection; float64, in whose range it is 0 where the
    model's is."""
    return cells * torch.exp(-(square / 0.63 * fudge).to(torch.float64))


def tophat_amplitude(square: Tensor, cells: Scalar, fudge: Scalar) -> Tensor:
    """TOPHAT: all or nothing, so without a derivative but that of the number of cells."""
    return cells * (square * fudge < 0.3969).to(torch.float64)
