"""Derivatives of (sin(pi h N)/sin(pi h))^2 to many digits, by differences of decimal numbers."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import NamedTuple

_DIGITS = 90
_PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534"
)
_STEP = Decimal("1e-22")


class Derivatives(NamedTuple):
    """Of S(h, N): the value, the two first derivatives and the three second ones."""

    value: float
    by_h: float
    by_n: float
    by_h_twice: float
    by_h_and_n: float
    by_n_twice: float


def interference(h: float, n: float) -> Derivatives:
    """At one point, from central differences: exact to all digits of a float."""
    with localcontext() as context:
        context.prec = _DIGITS
        s = {
            (i, j): _squared(Decimal(h) + i * _STEP, Decimal(n) + j * _STEP)
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
        }
        across = s[1, 1] - s[1, -1] - s[-1, 1] + s[-1, -1]
        return Derivatives(
            float(s[0, 0]),
            float((s[1, 0] - s[-1, 0]) / (2 * _STEP)),
            float((s[0, 1] - s[0, -1]) / (2 * _STEP)),
            float((s[1, 0] - 2 * s[0, 0] + s[-1, 0]) / _STEP**2),
            float(across / (4 * _STEP**2)),
            float((s[0, 1] - 2 * s[0, 0] + s[0, -1]) / _STEP**2),
        )


def _squared(h: Decimal, n: Decimal) -> Decimal:
    """N^2 where h is whole, which is its limit if N h is whole too."""
    below = _sine_of_turns(h)
    return n * n if below == 0 else (_sine_of_turns(h * n) / below) ** 2


def _sine_of_turns(x: Decimal) -> Decimal:
    """sin(pi x) but for its sign."""
    angle = _PI * (x - x.to_integral_value())
    square, term = angle * angle, angle
    total, k = term, 1
    while abs(term) > Decimal(10) ** -_DIGITS * abs(total):
        term *= -square / ((k + 1) * (k + 2))
        total, k = total + term, k + 2
    return total
