"""Derivatives against difference quotients over a sweep of step sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Function = Callable[[float], float]
"""The projected image at a signed step along a direction; 0 is where the derivative is wanted."""

_ROUNDING = 2e-14
"""Relative error of one value of a projected image; images agree with the C core to 1e-15."""


@dataclass(frozen=True)
class Sweep:
    """Central difference quotients for steps halved again and again, and the derivative.

    steps, quotients: from the largest step to the smallest.  noise: error of each quotient that
    rounding explains.
    """

    steps: np.ndarray
    quotients: np.ndarray
    noise: np.ndarray
    derivative: float

    @property
    def errors(self) -> np.ndarray:
        """Quotients minus derivative."""
        errors: np.ndarray = self.quotients - self.derivative
        return errors

    def limit_error(self) -> float:
        """Relative error of the derivative against the quotients' limit for steps to 0.

        The limit is Richardson's: the error of a quotient being a power series in the square of the
        step, each column of the scheme removes one power.  The entry is taken whose neighbours
        differ least, which is where rounding begins to be felt.
        """
        column, best, least = self.quotients, self.quotients[-1], np.inf
        noise = self.noise
        for order in range(1, 4):
            weight = 4.0**order
            finer = (weight * column[1:] - column[:-1]) / (weight - 1.0)
            noise = (weight * noise[1:] + noise[:-1]) / (weight - 1.0)
            spread = np.maximum(np.abs(finer - column[1:]), noise)
            best_row = int(spread.argmin())
            if spread[best_row] < least:
                best, least = finer[best_row], spread[best_row]
            column = finer
        return float(abs(best - self.derivative) / abs(self.derivative))

    def slopes(self) -> np.ndarray:
        """How much the error shrinks per halving, as a power of 2, wherever it is above the noise.

        A straight line through zero against the square of the step has slopes of 2; for large steps
        the next powers count too, so look at the last one.  Empty where all is rounding, as for a
        value in which the image is linear.
        """
        errors = np.abs(self.errors)
        seen = (errors[1:] > 30.0 * self.noise[1:]) & (errors[:-1] > 30.0 * self.noise[:-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes: np.ndarray = np.log2(errors[:-1] / errors[1:])[seen]
        return slopes


def sweep(function: Function, derivative: float, first: float, count: int = 6) -> Sweep:
    """Halves the step from `first`, or from where quotients begin to settle, `count` times."""
    step = first
    quotient = _central(function, step)
    for _ in range(30):
        half = _central(function, step / 2.0)
        if abs(half - quotient) <= 3e-3 * abs(half):
            break
        step, quotient = step / 2.0, half
    steps = step * 0.5 ** np.arange(count)
    quotients = np.array([quotient, *(_central(function, s) for s in steps[1:])])
    noise = _ROUNDING * abs(function(0.0)) / steps + 4e-16 * np.abs(quotients)
    return Sweep(steps, quotients, noise, derivative)


def _central(function: Function, step: float) -> float:
    return (function(step) - function(-step)) / (2.0 * step)
