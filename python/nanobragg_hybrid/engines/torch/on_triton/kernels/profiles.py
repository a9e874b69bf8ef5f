"""Lattice factors and their derivatives for Triton's kernels: model 6.5.

The functions of `interference.py`, `shapes.py` and `bessel.py` in `arithmetic` are the definition;
these are the same formulas for one step of many pixels.  h, k, l and phases are float64; `single`
says that sines, exponentials and what is made of them are float32.  A division never has a divisor
of 0.
"""

from __future__ import annotations

import triton
import triton.language as tl

_PI = tl.constexpr(3.141592653589793)
_SERIES_BELOW = tl.constexpr(0.3)
_VOLUME = tl.constexpr(0.723601254558268)
_GAUSS_WIDTH = tl.constexpr(0.63)
_TOPHAT_EDGE = tl.constexpr(0.3969)
_LAST_EXPONENT = tl.constexpr(745.1332191019412)
"""exp(-x) of larger x is 0 as a double."""
_SINGLE_EXPONENT = tl.constexpr(87.0)
"""exp(-x) of larger x is below the smallest normal float32; it counts as 0, its square is 1e-76."""
_BESSEL_BELOW = tl.constexpr(1.0)


@triton.jit
def nearest_whole(h):
    """The nearest whole number, half down."""
    return tl.ceil(h - 0.5)


@triton.jit
def _fraction(x):
    """x without its nearest whole number."""
    return x - tl.floor(x + 0.5)


@triton.jit
def _turns_beyond(h0, n):
    """What N h0 has beyond whole numbers; h0 whole, below 2^24."""
    high = n.to(tl.float32).to(tl.float64)
    return _fraction(_fraction(h0 * high) + _fraction(h0 * (n - high)))


@triton.jit
def interference(h, h0, n, single: tl.constexpr):
    """(sin(pi h N)/sin(pi h))^2, float64; N^2 at h = 0, in float32 at every whole h."""
    if single:
        d = h - h0
        turns = _fraction(_turns_beyond(h0, n) + d * n)
        x = d.to(tl.float32) * _PI
        is_zero = x == 0.0
        g = tl.sin(turns.to(tl.float32) * _PI) / tl.where(is_zero, 1.0, tl.sin(x))
        g = tl.where(is_zero, n.to(tl.float32), g)
        return (g * g).to(tl.float64)
    else:
        x = h * _PI
        is_zero = x == 0.0
        g = tl.sin(x * n) / tl.where(is_zero, 1.0, tl.sin(x))
        g = tl.where(is_zero, n, g)
        return g * g


@triton.jit
def interference_slopes(h, h0, n, series, single: tl.constexpr):
    """The square, its derivative by h and that by N, of exact phases; float64.

    series: the seven coefficients of dg/dx next to a maximum, as `slope_coefficients` has them.
    """
    d = h - h0
    beyond = _turns_beyond(h0, n)
    turns = _fraction(d * n) + beyond
    is_near = (tl.abs(d) * (n * _PI) < _SERIES_BELOW) & ((beyond == 0.0) | (d == 0.0))
    y64 = d * _PI
    xn64 = turns * _PI
    if single:
        y, xn, count = y64.to(tl.float32), xn64.to(tl.float32), n.to(tl.float32)
        x = (h * _PI).to(tl.float32)
    else:
        y, xn, count, x = y64, xn64, n, h * _PI
    is_whole = y == 0.0
    s = tl.where(is_whole, 1.0, tl.sin(y))
    c, cn = tl.cos(y), tl.cos(xn)
    g = tl.where(is_whole, count, tl.sin(xn) / s)
    by_x = (count * cn - c * g) / s
    z = y64 * n
    z = z * z
    c1, c2, c3, c4, c5, c6, c7 = series
    close = c1 + z * (c2 + z * (c3 + z * (c4 + z * (c5 + z * (c6 + z * c7)))))
    by_x = tl.where(is_near, y64 * close, by_x.to(tl.float64))
    by_n = tl.where(is_whole, 1.0, x * cn / s)
    twice = 2.0 * g.to(tl.float64)
    return g.to(tl.float64) * g.to(tl.float64), (twice * _PI) * by_x, twice * by_n.to(tl.float64)


@triton.jit
def _sphere(square):
    """3 (sin x/x - cos x)/x^2, x = pi sqrt(square); 1 at 0."""
    x = tl.sqrt(square) * _PI
    is_zero = x == 0.0
    safe = tl.where(is_zero, 1.0, x)
    value = 3.0 * (tl.sin(safe) / safe - tl.cos(safe)) / (safe * safe)
    return tl.where(is_zero, 1.0, value)


@triton.jit
def _sphere_slope(square):
    """The derivative of `_sphere`: -(3/2) pi^2 j2(x)/x^2."""
    t = square * (_PI * _PI)
    is_small = t < _BESSEL_BELOW
    far = tl.where(is_small, 1.0, t)
    x = tl.sqrt(far)
    zeroth = tl.sin(x) / x
    first = (zeroth - tl.cos(x)) / far
    second = (3.0 * first - zeroth) / far
    near = tl.where(is_small, t, 0.0)
    # Terms (-1/2)^k / (k! (2k+5)!!), from the last.
    series = near * (1.0 / 141919283810304000.0) - 1.0 / 422378820864000.0
    series = near * series + 1.0 / 1587890304000.0
    series = near * series - 1.0 / 7783776000.0
    series = near * series + 1.0 / 51891840.0
    series = near * series - 1.0 / 498960.0
    series = near * series + 1.0 / 7560.0
    series = near * series - 1.0 / 210.0
    series = near * series + 1.0 / 15.0
    return tl.where(is_small, series, second) * (-1.5 * _PI * _PI)


@triton.jit
def squared_distance(dh, dk, dl, lattice, shape: tl.constexpr):
    """From the nearest reflection in units of 1/N, and that vector in reciprocal space.

    lattice: N_a, N_b, N_c, fudge factor, a*, b*, c* (components one by one), of the type of dh.
    Where distances are in h, k, l, there is no vector.
    """
    na, nb, nc, _, ax, ay, az, bx, by, bz, cx, cy, cz = lattice
    if (shape == "gauss") or (shape == "tophat"):
        x = dh * ax + dk * bx + dl * cx
        y = dh * ay + dk * by + dl * cy
        z = dh * az + dk * bz + dl * cz
        square = (x * x + y * y + z * z) * na * na * nb * nb * nc * nc
        return square, x, y, z
    else:
        square = dh * dh * na * na + dk * dk * nb * nb + dl * dl * nc * nc
        return square, dh, dk, dl


@triton.jit
def profile(square, fudge, shape: tl.constexpr, single: tl.constexpr):
    """The amplitude for one cell, float64, and whether it is exactly 0 in float64."""
    if shape == "round":
        value = _sphere(square * fudge) * _VOLUME
        return value, value == 0.0
    elif (shape == "tophat") or (shape == "tophat_hkl"):
        is_in = square * fudge < _TOPHAT_EDGE
        return tl.where(is_in, 1.0, 0.0).to(tl.float64), ~is_in
    elif single:
        exponent = (square / _GAUSS_WIDTH * fudge).to(tl.float32)
        value = tl.where(exponent < _SINGLE_EXPONENT, tl.exp(-exponent), 0.0)
        return value.to(tl.float64), exponent > _LAST_EXPONENT
    else:
        value = tl.exp(-(square / _GAUSS_WIDTH * fudge))
        return value, value == 0.0


@triton.jit
def profile_slope(square, fudge, value, shape: tl.constexpr):
    """The derivative of `profile` by square times fudge; value: the profile itself."""
    if shape == "round":
        return _sphere_slope(square * fudge) * _VOLUME
    elif (shape == "tophat") or (shape == "tophat_hkl"):
        return tl.zeros_like(value)
    else:
        return value * (-1.0 / _GAUSS_WIDTH)
