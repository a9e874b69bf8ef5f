"""The function that a fit minimises, and its quadratic model around a point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.fitting.coordinates import Coordinates
from nanobragg_hybrid.fitting.likelihoods import Array, Likelihood, curvature, deviance, slopes
from nanobragg_hybrid.fitting.pixels import Background, FitPixels
from nanobragg_hybrid.model.experiment import Experiment


class Forward(Protocol):
    """The signal of the fitted pixels, for flat float64 values of parameters by name."""

    def pixels(self, values: Mapping[str, Array]) -> Array:
        """Expected photons, shape (n,)."""
        ...

    def jacobian(self, values: Mapping[str, Array], names: tuple[str, ...]) -> tuple[Array, Array]:
        """The same, and their derivatives by all numbers of `names` in order, shape (n, p)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Priors:
    """Known numbers u: value and sigma, shape (u,); sigma is infinite where nothing is known."""

    value: Array
    sigma: Array

    def residuals(self, numbers: Array) -> Array:
        """In units of sigma."""
        residuals: Array = (numbers - self.value) / self.sigma
        return residuals


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where a fit is.  x: coordinates.  background: coefficients, shape (boxes, coefficients)."""

    x: Array
    background: Array


@dataclass(frozen=True, slots=True, eq=False)
class Quadratic:
    """value + 2 gradient . step + step . matrix . step, over coordinates and background.

    by_x: matrix (x, x).  by_both: (boxes, coefficients, x).  by_background: (boxes, coefficients,
    coefficients).  gradient_x: (x,).  gradient_background: (boxes, coefficients).  expected: of the
    pixels, signal and background.
    """

    value: float
    by_x: Array
    by_both: Array
    by_background: Array
    gradient_x: Array
    gradient_background: Array
    expected: Array

    def change(self, step: State) -> float:
        """How much a step adds to the value."""
        x, b = step.x, step.background
        linear = self.gradient_x @ x + np.sum(self.gradient_background * b)
        square = x @ self.by_x @ x + 2.0 * np.einsum("kq,kqx,x->", b, self.by_both, x)
        square += np.einsum("kq,kqr,kr->", b, self.by_background, b)
        return float(2.0 * linear + square)


class NoValueError(ConfigError):
    """The model is no number, or has no light where the data have."""


class Problem:
    """-2 log of likelihood times priors, for a set of coordinates.

    fixed: values of the model that do not move.  softening: a variance, photons^2, that is added to
    the read-out's so that pixels without light in the model do not decide.
    """

    def __init__(
        self,
        forward: Forward,
        coordinates: Coordinates,
        pixels: FitPixels,
        likelihood: Likelihood,
        *,
        background: Background | None,
        priors: Priors,
        experiment: Experiment,
        fixed: Mapping[str, Array] | None = None,
        softening: float = 0.0,
    ) -> None:
        self.coordinates = coordinates
        self.pixels = pixels
        self._forward = forward
        self._likelihood: Likelihood = likelihood
        self._shapes = pixels.shapes_of(background)
        self._priors = priors
        self._experiment = experiment
        self._fixed = fixed or {}
        self._variance = pixels.variance + softening

    @property
    def background_start(self) -> Array:
        """Coefficients to start from: a constant below most pixels of a box, and > 0."""
        coefficients = np.zeros((self.pixels.starts.size, self._shapes.shape[1]))
        if coefficients.size:
            for n, photons in enumerate(np.split(self.pixels.photons, self.pixels.starts[1:])):
                mean = max(float(photons.mean()), 1e-3)
                coefficients[n, 0] = max(float(np.median(photons)), 0.1 * mean)
        return coefficients

    def _values(self, x: Array) -> dict[str, Array]:
        return {**self._fixed, **self.coordinates.model_values(x)}

    def background_of(self, coefficients: Array) -> Array:
        """The background of each pixel, photons."""
        below: Array = np.einsum("nq,nq->n", self._shapes, coefficients[self.pixels.box])
        return below

    def signal(self, x: Array) -> Array:
        """The scaled signal of the pixels."""
        factor = np.exp(self.coordinates.log_scale(x))
        signal: Array = factor * self._forward.pixels(self._values(x))
        return signal

    def is_allowed(self, x: Array) -> bool:
        """Whether every number obeys its field's rule."""
        try:
            self.coordinates.experiment(x, self._experiment)
        except ConfigError:
            return False
        return True

    def value(self, state: State) -> float:
        """The function; infinite where it has no value."""
        expected = self.signal(state.x) + self.background_of(state.background)
        return self._value(expected, state.x)

    def _value(self, expected: Array, x: Array) -> float:
        if not np.isfinite(expected).all():
            return np.inf
        value = deviance(self._likelihood, expected, self.pixels.photons, self._variance)
        residuals = self._priors.residuals(self.coordinates.numbers(x))
        with np.errstate(over="ignore"):
            return value + float(residuals @ residuals)

    def quadratic(self, state: State) -> Quadratic:
        """The function's quadratic model: the Fisher information in place of second derivatives.

        Raises `NoValueError` where the function has no value, and says in which pixel.
        """
        x, coordinates, pixels = state.x, self.coordinates, self.pixels
        names, values = coordinates.model_names(), self._values(x)
        if names:
            signal, jacobian = self._forward.jacobian(values, names)
        else:
            signal = self._forward.pixels(values)
            jacobian = np.empty((signal.size, 0))
        factor = np.exp(coordinates.log_scale(x))
        signal = factor * signal
        expected = signal + self.background_of(state.background)
        value = self._value(expected, x)
        if not np.isfinite(value):
            raise self._no_value(expected)
        gradient, weight = slopes(self._likelihood, expected, pixels.photons, self._variance)
        # Products with J come first, and the change of coordinates after them: J is large.
        turn, scale = coordinates.signal_slopes(x)
        turn = factor * turn
        weighted = weight[:, None] * jacobian
        square = turn.T @ (jacobian.T @ weighted) @ turn
        mixed = np.outer(turn.T @ (weighted.T @ signal), scale)
        square += mixed + mixed.T + np.outer(scale, scale) * float(signal @ (weight * signal))
        if not np.isfinite(square).all():
            raise NoValueError("parameters", names, "finite derivatives where the fit starts")
        shapes = self._shapes
        both = pixels.box_sums(shapes[:, :, None] * weighted[:, None, :]) @ turn
        with_signal = pixels.box_sums(shapes * (weight * signal)[:, None])
        known = coordinates.slopes(x) / self._priors.sigma[:, None]
        residuals = self._priors.residuals(coordinates.numbers(x))
        slope = turn.T @ (jacobian.T @ gradient) + scale * float(signal @ gradient)
        weighted_shapes = weight[:, None] * shapes
        return Quadratic(
            value=value,
            by_x=square + known.T @ known,
            by_both=both + with_signal[:, :, None] * scale,
            by_background=pixels.box_sums(weighted_shapes[:, :, None] * shapes[:, None, :]),
            gradient_x=slope + known.T @ residuals,
            gradient_background=pixels.box_sums(shapes * gradient[:, None]),
            expected=expected,
        )

    def background_curvature(self, expected: Array) -> Array:
        """The second derivatives by the coefficients of each box where the pixels expect so many
        photons, shape (boxes, coefficients, coefficients)."""
        shapes, photons = self._shapes, self.pixels.photons
        weight = curvature(self._likelihood, expected, photons, self._variance)
        weighted = weight[:, None] * shapes
        return self.pixels.box_sums(weighted[:, :, None] * shapes[:, None, :])

    def _no_value(self, expected: Array) -> NoValueError:
        """What is wrong with the first pixel that has no likelihood."""
        mean = expected + self._variance
        bad = ~np.isfinite(expected) | (mean < 0.0)
        bad |= (mean == 0.0) & (self.pixels.photons > 0.0)
        if not bad.any():
            what = Description("a start too many sigma away from them, or data too large")
            return NoValueError("priors", what, "a deviance that is a number")
        n = int(np.argmax(bad))
        where = f"slow {self.pixels.slow[n]}, fast {self.pixels.fast[n]}"
        got = f"{expected[n]:g} photons from the model, {self.pixels.photons[n]:g} in the data"
        rule = (
            "finite photons >= 0, and > 0 where the data have some: give a background, "
            "readout_variance, another start, or mask the pixel"
        )
        return NoValueError("experiment", Description(f"{got}, at {where}"), rule)
