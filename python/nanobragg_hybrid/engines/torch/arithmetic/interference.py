"""The interference function of a row of cells, (sin(pi h N)/sin(pi h))^2, and its derivatives.

The value is the model's formula as it stands (model 6.5 g).  Of that, the rounding of pi h N is
large where N is; derivatives are differences which it would drown.  They come from phases without
multiples of pi, and next to a maximum, where terms cancel, from a power series.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Final, NamedTuple, assert_never

import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import UnsupportedError
from nanobragg_hybrid.engines.torch.arithmetic.devices import precision_of
from nanobragg_hybrid.engines.torch.arithmetic.scalars import (
    Scalar,
    applied,
    remember,
    remembered,
)

_SERIES_BELOW: Final = 0.3
"""Of N times the distance from a maximum in x: where series of `_TERMS` terms are exact."""
_TERMS: Final = 8


THIRD_DERIVATIVES: Final = (
    "the interference function of square crystals has first and second derivatives only, and "
    "third ones are asked for"
)


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

    First and second derivatives, in h and N, are those of the exact function in both.  At whole h
    other than 0, N not being whole, the function has a pole: there they are as at h = 0.
    """
    squared: Tensor = applied(_SincgSquared, h, h0, n, dtype)
    return squared


class _SincgSquared(torch.autograd.Function):
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
        g = torch.sin(xn).div_(torch.sin(x))
        count = n.to(dtype) if isinstance(n, Tensor) else n
        g = torch.where(x == 0.0, count, g)
        remember(ctx, h, h0, n, dtype)
        return g * g

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        h, h0, n, dtype = remembered(ctx)
        wants_h, _, wants_n, _ = ctx.needs_input_grad
        by_h, by_n = applied(_Slopes, h, h0, n, dtype, wants_n)
        grad_h = (grads[0] * by_h).to(h.dtype) if wants_h else None
        return grad_h, None, _inner(grads[0], by_n) if wants_n else None, None


class _Slopes(torch.autograd.Function):
    """The derivatives of `sincg_squared` by h and, if wanted, N, which have derivatives themselves.

    With g = sin(N x)/sin x, x = pi h: 2 pi g dg/dx and 2 g dg/dN.
    """

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, h0: Tensor, n: Scalar, dtype: torch.dtype, wants_n: bool
    ) -> tuple[Tensor, Tensor | None]:
        remember(ctx, h, h0, n)
        at = _amplitude(h, h0, n, dtype)
        by_n = at.by_n(h).mul_(at.g).mul_(2.0) if wants_n else None
        return at.by_x.mul_(at.g).mul_(2.0 * math.pi), by_n

    @staticmethod
    def backward(ctx: Any, by_h: Tensor, by_n: Tensor | None) -> tuple[Tensor | None, ...]:
        live_h, h0, live_n = remembered(ctx)
        h = live_h.detach()
        n = live_n.detach() if isinstance(live_n, Tensor) else live_n
        wants_h, _, wants_n, *_ = ctx.needs_input_grad
        # Next to a pole they may be too large for float32.
        at = _amplitude(h, h0, n, torch.float64)
        grad_h = grad_n = mixed = None
        if wants_n or by_n is not None:
            mixed = (2.0 * math.pi) * (at.by_n(h) * at.by_x + at.g * at.by_x_and_n(h, h0))
        if wants_h:
            twice = (2.0 * math.pi * math.pi) * (at.by_x**2 + at.g * at.by_x_twice())
            grad_h = by_h * twice
            if by_n is not None and mixed is not None:
                grad_h = grad_h + by_n * mixed
        if wants_n and mixed is not None:
            grad_n = _inner(by_h, mixed)
            if by_n is not None:
                grad_n = grad_n + _inner(by_n, at.by_n_twice_of_square(h))
        if torch.is_grad_enabled():  # for derivatives by the weights, which are linear
            grad_h = None if grad_h is None else grad_h + applied(_Third, live_h, live_n)
            grad_n = None if grad_n is None else grad_n + applied(_Third, live_h, live_n).sum()
        return grad_h, None, grad_n, None, None


class _Third(torch.autograd.Function):
    """Zeros in place of what third derivatives would come from, and an error where autograd wants
    these."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, n: Scalar) -> Tensor:
        del ctx, n
        return torch.zeros_like(h)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        del ctx, grads
        raise UnsupportedError(THIRD_DERIVATIVES)


class _Amplitude(NamedTuple):
    """g = sin(N x)/sin x at x = pi h, where x = y + pi h0.

    s, c, cn: sin(y), cos(y), cos(N x); the last, g and its derivatives have a sign in common, which
    may be lost: products of two of them do not have it.  near: the numbers of the elements next to
    a maximum, or at whole h, in flat order.
    """

    n: Tensor
    y: Tensor
    s: Tensor
    c: Tensor
    cn: Tensor
    g: Tensor
    by_x: Tensor
    near: Tensor

    def by_n(self, h: Tensor) -> Tensor:
        """dg/dN."""
        by_n = (math.pi * h.to(self.g.dtype)).mul_(self.cn).div_(self.s)
        return self._with(by_n, 1.0)

    def by_x_twice(self) -> Tensor:
        """d^2 g/dx^2, by the differential equation of g; its limit where h is whole."""
        less = 1.0 - self.n * self.n
        twice = less * self.g - 2.0 * self.by_x * self.c / self.s
        return self._with(twice, less * self.n / 3.0)

    def by_x_and_n(self, h: Tensor, h0: Tensor) -> Tensor:
        """d^2 g/dx dN."""
        x = math.pi * h.to(self.g.dtype)
        by_s = self.cn / self.s
        pole = self.n * self.g + by_s * self.c / self.s
        mixed = by_s - x * pole
        # Next to a maximum: what is left of the pole, and the derivative of y cos(N y)/sin y.
        whole = _taken(h0, self.near).to(x.dtype)
        far = torch.where(whole == 0.0, 0.0, -math.pi * whole * _taken(pole, self.near))
        close = far + _derivative(_COSINE_SERIES, self.n, _taken(self.y, self.near))
        return self._with(_put(mixed, self.near, close), 0.0)

    def by_n_twice_of_square(self, h: Tensor) -> Tensor:
        """d^2 (g^2)/dN^2."""
        x = math.pi * h.to(self.g.dtype)
        return self._with(2.0 * (self.by_n(h) ** 2 - (x * self.g) ** 2), 2.0)

    def _with(self, value: Tensor, limit: Scalar) -> Tensor:
        """`value`, changed in place to its limit where h is whole."""
        own = _taken(value, self.near)
        is_whole = _taken(self.y, self.near) == 0.0
        return _put(value, self.near, torch.where(is_whole, limit, own).to(own.dtype))


def _amplitude(h: Tensor, h0: Tensor, n: Scalar, dtype: torch.dtype) -> _Amplitude:
    d = h - h0  # exact
    count = torch.as_tensor(n, dtype=torch.float64, device=h.device)
    near = (torch.abs(d) < _SERIES_BELOW / (math.pi * count)).reshape(-1).nonzero()[:, 0]
    turns = d * count
    turns.sub_(torch.round(turns))
    if isinstance(n, Tensor) or n != round(n):  # nobody waits for a tensor's number
        beyond = _turns(h0, count)
        turns.add_(beyond)
        near = near[(_taken(beyond, near) == 0.0) | (_taken(d, near) == 0.0)]
    y, xn = d.mul_(math.pi).to(dtype), turns.mul_(math.pi).to(dtype)
    s, c, cn = torch.sin(y), torch.cos(y), torch.cos(xn)
    g = torch.sin(xn).div_(s)
    by_x = (count * cn).addcmul_(g, c, value=-1.0).div_(s)
    at = _Amplitude(count, y, s, c, cn, g, by_x, near)
    at._with(g, count)
    _put(by_x, near, count * _derivative(_SINE_SERIES, count, _taken(y, near)))
    return at


def _taken(x: Tensor, numbers: Tensor) -> Tensor:
    return x.reshape(-1)[numbers]


def _put(x: Tensor, numbers: Tensor, values: Tensor) -> Tensor:
    """x itself, which is contiguous, with some of its elements changed."""
    x.view(-1)[numbers] = values
    return x


def _turns(h0: Tensor, n: Tensor) -> Tensor:
    """What N h0 has beyond whole numbers, up to a whole number.  h0: whole, below 2^24."""
    high = n.to(torch.float32).to(torch.float64)
    turns = torch.zeros_like(h0)
    for part in (high, n - high):  # of 24 bits and of 29
        product = h0 * part  # exact
        turns.add_(product - torch.round(product))
    return turns - torch.round(turns)


def _over_sine(numerator: list[float]) -> Tensor:
    """A series in (N y)^2 divided by that of sin(y)/y: row k has the coefficients, by powers of
    1/N^2, of its term k."""
    inverse = [1.0]
    for k in range(1, _TERMS):
        inverse.append(
            -sum((-1.0) ** j / math.factorial(2 * j + 1) * inverse[k - j] for j in range(1, k + 1))
        )
    rows = [
        [numerator[k - j] * inverse[j] if j <= k else 0.0 for j in range(_TERMS)]
        for k in range(_TERMS)
    ]
    return torch.tensor(rows, dtype=torch.float64)


_SINE_SERIES: Final = _over_sine([(-1.0) ** k / math.factorial(2 * k + 1) for k in range(_TERMS)])
"""Of sin(N y)/(N sin y)."""
_COSINE_SERIES: Final = _over_sine([(-1.0) ** k / math.factorial(2 * k) for k in range(_TERMS)])
"""Of y cos(N y)/sin y."""


def _derivative(series: Tensor, n: Tensor, y: Tensor) -> Tensor:
    """The derivative, by y, of a series in (N y)^2."""
    powers = torch.arange(_TERMS, dtype=torch.float64, device=n.device)
    terms = (series.to(n.device) @ (1.0 / (n * n)) ** powers).unbind()
    square = (n * y) ** 2
    total = torch.zeros_like(y)
    for k in range(_TERMS - 1, 0, -1):
        total.mul_(square).add_(2.0 * k * terms[k])
    return total.mul_(y).mul_(n * n)


def slope_coefficients(n: Tensor) -> Tensor:
    """Of dg/dx = y (c_0 + c_1 (N y)^2 + ...) next to a maximum, where x = y + pi h0, for each of
    some N; float64, shape (..., 7)."""
    powers = torch.arange(_TERMS, dtype=torch.float64, device=n.device)
    inverse = (1.0 / (n * n)).unsqueeze(-1) ** powers
    terms = (inverse @ _sine_series_on(n.device).T)[..., 1:]
    return terms * (2.0 * powers[1:]) * (n * n * n).unsqueeze(-1)


@lru_cache
def _sine_series_on(device: torch.device) -> Tensor:
    """Copied once: a render has no transfer."""
    return _SINE_SERIES.to(device)


def _reduced(h: Tensor, h0: Tensor, n: Scalar) -> tuple[Tensor, Tensor]:
    """x = pi h and N x without multiples of pi, in float32.  Their signs may be lost together."""
    small = h - h0
    whole = h0 * n
    large = (whole - torch.round(whole)) + small * n
    large = large - torch.round(large)
    return math.pi * small.to(torch.float32), math.pi * large.to(torch.float32)


def _inner(x: Tensor, y: Tensor) -> Tensor:
    wide = x.dtype if x.dtype == y.dtype else torch.float64
    return torch.dot(x.reshape(-1).to(wide), y.reshape(-1).to(wide)).to(torch.float64)
