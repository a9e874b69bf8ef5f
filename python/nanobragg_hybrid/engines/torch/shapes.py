"""Shape transforms of the crystal and their derivatives: model 6.5.

The values are the model's formulas as they stand, so that float64 images agree with the C core
even where those formulas lose digits; the derivatives come from formulas that do not lose them, and
are finite at the removable singularities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, assert_never

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.devices import Precision, precision_of
from nanobragg_hybrid.engines.torch.scalars import Scalar, applied
from nanobragg_hybrid.model.conventions import Shape


class _Limits(NamedTuple):
    """Below which a series stands in for a formula that loses digits: N |sin(pi h)| of `sincg`, and
    x^2 of `sinc3`, whose terms x^8 are dropped: 1e-16 at 0.1, 1e-9 at 0.5."""

    sine: float
    sphere: float


_SERIES_BELOW: Final[Mapping[Precision, _Limits]] = MappingProxyType(
    {"float64": _Limits(1e-3, 0.09), "float32": _Limits(3e-2, 0.5)}
)

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


def sincg(h: Tensor, n: Scalar) -> Tensor:
    """sin(pi h N)/sin(pi h): the amplitude of N cells in a row (model 6.5 g at x = pi h).

    N at h = 0 and nowhere else, as in the model: at other whole h the formula has lost its digits,
    which the recorded images share.  Without derivatives; an image needs those of `sincg_squared`.
    """
    with torch.no_grad():
        x = math.pi * h
        return torch.where(x == 0.0, n, torch.sin(x * n) / torch.sin(x))


def sincg_squared(h: Tensor, h0: Tensor, n: Scalar, dtype: torch.dtype) -> Tensor:
    """The square of `sincg`: the interference function of N cells in a row.

    h: float64; h0: the whole number nearest to it.  In float64 it is the model's formula, N^2 at
    h = 0 alone; in float32 the phases are first reduced to a half turn in float64, where that is
    exact, so that nothing is lost for large h N, and it is N^2 at every whole h.
    """
    squared: Tensor = applied(_SincgSquared, h, h0, n, dtype)
    return squared


class _SincgSquared(torch.autograd.Function):
    """With g = sin(N x)/sin x: d(g^2)/dh = 2 pi g (N cos(N x) - g cos x)/sin x.

    Near a maximum (whole N) both terms cancel; there d(g^2)/dx = -2/3 N^2 (N^2-1) x.
    d(g^2)/dN = 2 g pi h cos(N x)/sin x, and 2 N where h is whole.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, h0: Tensor, n: Scalar, dtype: torch.dtype) -> Tensor:
        match precision_of(dtype):
            case "float64":
                x = math.pi * h
                xn = x * n
            case "float32":
                x, xn = _reduced(h, h0, n)  # x is 0 at every whole h
            case other:
                assert_never(other)
        sin_x = torch.sin(x)
        g = torch.sin(xn).div_(sin_x)
        count = n.to(dtype) if isinstance(n, Tensor) else n
        g = torch.where(x == 0.0, count, g)
        ctx.n = None if isinstance(n, Tensor) else n
        saved = (h, h0, x, xn, sin_x, g)
        ctx.save_for_backward(*((*saved, n) if isinstance(n, Tensor) else saved))
        return g * g

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        h, h0, x, xn, sin_x, g, *rest = ctx.saved_tensors
        cos_xn = torch.cos(xn)
        grad_h = grad_n = None
        if ctx.needs_input_grad[0]:
            n = rest[0].to(g.dtype) if rest else ctx.n
            cos_x = torch.cos(x)
            slope = (n * cos_xn).addcmul_(g, cos_x, value=-1.0).div_(sin_x).mul_(g)
            slope = _near_maximum(slope, h == h0, sin_x, cos_x, n)
            grad_h = slope.mul_(grads[0]).mul_(2.0 * math.pi).to(h.dtype)
        if ctx.needs_input_grad[2]:
            towards = (h.to(g.dtype) * cos_xn).div_(sin_x).mul_(g)
            towards = torch.where(h == h0, rest[0].to(g.dtype) / math.pi, towards)
            grad_n = (2.0 * math.pi) * _inner(grads[0], towards)
        return grad_h, None, grad_n, None


def _near_maximum(
    slope: Tensor, is_whole: Tensor, sin_x: Tensor, cos_x: Tensor, n: Scalar
) -> Tensor:
    """`slope`, half of d(g^2)/dx, but near a maximum the first term of its series.

    Where that starts, its error and that of `slope` are below 1e-6 (float32: 1e-4) of the steepest
    slope.  For N that is no whole number it is only the 0 where h is whole (`is_whole`).
    """
    n2 = n * n
    series = (sin_x * cos_x).mul_(-n2 * (n2 - 1.0) / 3.0)
    sine_limit = _SERIES_BELOW[precision_of(slope.dtype)].sine / n
    if isinstance(n, Tensor):
        sine_limit = torch.where(n == torch.round(n), sine_limit, 0.0)
    elif n != round(n):
        sine_limit = 0.0
    return torch.where((torch.abs(sin_x) < sine_limit) | is_whole, series, slope)


def _inner(x: Tensor, y: Tensor) -> Tensor:
    return torch.dot(x.reshape(-1), y.reshape(-1)).to(torch.float64)


def _reduced(h: Tensor, h0: Tensor, n: Scalar) -> tuple[Tensor, Tensor]:
    """x = pi h and N x without multiples of pi, in float32.  Their signs may be lost together."""
    small = h - h0
    whole = h0 * n
    large = (whole - torch.round(whole)) + small * n
    large = large - torch.round(large)
    return math.pi * small.to(torch.float32), math.pi * large.to(torch.float32)


def sinc3(square: Tensor) -> Tensor:
    """The transform of a sphere, 3 (sin x/x - cos x)/x^2 with x = pi sqrt(square) (model 6.5 s3).

    A function of the square, because in that it is smooth at 0.  NaN for a negative square.  In
    float64 it is the model's formula, which loses its digits near 0; in float32, where it would
    lose them much farther out, a series stands in for it there.
    """
    amplitude: Tensor = applied(_Sinc3, square)
    return amplitude


class _Sinc3(torch.autograd.Function):
    """The derivative is -(3/2) pi^2 j2(x)/x^2, where j2 is a spherical Bessel function."""

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
                return torch.where(x2 < _SERIES_BELOW["float32"].sphere, series, value)
            case other:
                assert_never(other)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (square,) = ctx.saved_tensors
        x2 = math.pi * math.pi * square
        is_small = x2 < _SERIES_BELOW[precision_of(square.dtype)].sphere
        safe = torch.where(is_small, 1.0, x2)
        x = torch.sqrt(safe)
        j2 = (3.0 / safe - 1.0) * torch.sin(x) / x - 3.0 * torch.cos(x) / safe
        series = 1.0 / 15.0 - x2 * (1.0 / 210.0 - x2 * (1.0 / 7560.0 - x2 / 498960.0))
        quotient = torch.where(is_small, series, j2 / safe)
        return grads[0] * (-1.5 * math.pi * math.pi) * quotient


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
