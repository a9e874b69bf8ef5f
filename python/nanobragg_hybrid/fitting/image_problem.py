"""What one image adds to the function that a fit minimises, and the quadratic model of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.fitting.coordinates import Coordinates, grown
from nanobragg_hybrid.fitting.likelihoods import Array, Likelihood
from nanobragg_hybrid.fitting.pixel_likelihoods import curvature, deviance, slopes
from nanobragg_hybrid.fitting.pixels import Background, FitPixels
from nanobragg_hybrid.model.experiment import Experiment

_BLOCK_PRODUCTS: Final = 200_000
"""Multiplications of a product of matrices that every BLAS does in the thread that calls it: the
threads of a larger one would spend more time waiting for the next than it takes."""


class Forward(Protocol):
    """The signal of the fitted pixels, for flat float64 values of parameters by name.

    images, jacobians: how often it was asked for either.
    """

    images: int
    jacobians: int

    def pixels(self, values: Mapping[str, Array]) -> Array:
        """Expected photons, shape (n,)."""
        ...

    def members(self, values: Sequence[Mapping[str, Array]]) -> Array:
        """The same for several values of the same names, shape (members, n)."""
        ...

    def jacobian(self, values: Mapping[str, Array], names: tuple[str, ...]) -> tuple[Array, Array]:
        """The same as `pixels`, and derivatives by all numbers of `names` in order, shape (n, p);
        of columns that lie one after the other in memory."""
        ...


class Beside(Protocol):
    """Light in the fitted pixels that no factor on the signal acts on."""

    def light(self, values: Mapping[str, Array]) -> Array:
        """Expected photons, shape (n,)."""
        ...

    def jacobian(self, values: Mapping[str, Array], names: tuple[str, ...]) -> Array:
        """Their derivatives by all numbers of `names` in order, shape (p, n)."""
        ...


class NoValueError(ConfigError):
    """The model is no number, or has no light where the data have."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageQuadratic:
    """value + 2 gradient . step + step . matrix . step, over coordinates x and background.

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


class ImageState(NamedTuple):
    """Coordinates of an image, shape (x,), and its background, shape (boxes, coefficients)."""

    x: Array
    background: Array


class Products(NamedTuple):
    """Of the Jacobian J, its weights W and the signal s: J^T W J, J^T W s, s W s; and of the
    gradient g by the pixels: J^T g and s g."""

    square: Array
    mixed: Array
    signal: float
    slope: Array
    along_signal: float


class ImageProblem:
    """-2 log likelihood of an image, for a set of coordinates.

    fixed: values of the model that do not move.  softening: a variance, photons^2, that is added to
    the read-out's so that pixels without light in the model do not decide.  beside: light beside
    the signal, None: none.
    """

    def __init__(
        self,
        forward: Forward,
        coordinates: Coordinates,
        pixels: FitPixels,
        likelihood: Likelihood,
        *,
        background: Background | None,
        experiment: Experiment,
        fixed: Mapping[str, Array] | None = None,
        softening: float = 0.0,
        beside: Beside | None = None,
    ) -> None:
        self.coordinates = coordinates
        self.pixels = pixels
        self._forward = forward
        self._beside = beside
        self._likelihood: Likelihood = likelihood
        self._shapes = pixels.shapes_of(background)
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

    def values(self, x: Array) -> dict[str, Array]:
        """What the model is given."""
        return {**self._fixed, **self.coordinates.model_values(x)}

    def background_of(self, coefficients: Array) -> Array:
        """The background of each pixel, photons."""
        below: Array = np.einsum("nq,nq->n", self._shapes, coefficients[self.pixels.box])
        return below

    def light_beside(self, x: Array) -> Array | float:
        """The light of each pixel that is neither signal nor a box's background, photons."""
        return 0.0 if self._beside is None else self._beside.light(self.values(x))

    def unscaled(self, x: Array) -> Array:
        """The signal of the pixels before the factor that coordinates may have for it."""
        return self._forward.pixels(self.values(x))

    def factor(self, x: Array) -> float:
        """The factor on the signal."""
        return float(grown(self.coordinates.log_scale(x)))

    def is_allowed(self, x: Array) -> bool:
        """Whether every number obeys its field's rule."""
        try:
            self.coordinates.experiment(x, self._experiment)
        except ConfigError:
            return False
        return True

    def value(self, state: ImageState, unscaled: Array | None = None) -> float:
        """-2 log likelihood; infinite where it has no value.

        unscaled: the signal there, where it is known.
        """
        if unscaled is None:
            unscaled = self.unscaled(state.x)
        return self._value(self._expected(self.factor(state.x) * unscaled, state))

    def _expected(self, signal: Array, state: ImageState) -> Array:
        if self._beside is not None:
            signal = signal + self.light_beside(state.x)
        if state.background.shape[1]:
            signal = signal + self.background_of(state.background)
        return signal

    def _value(self, expected: Array) -> float:
        if not np.isfinite(expected).all():
            return np.inf
        return deviance(self._likelihood, expected, self.pixels, self._variance)

    def quadratic(self, state: ImageState) -> ImageQuadratic:
        """The quadratic model: the Fisher information in place of second derivatives.

        Raises `NoValueError` where there is no value, and says in which pixel.
        """
        x, coordinates, pixels = state.x, self.coordinates, self.pixels
        names, values = coordinates.model_names(), self.values(x)
        if names:
            signal, columns = self._forward.jacobian(values, names)
            jacobian = np.ascontiguousarray(columns.T)
        else:
            signal = self._forward.pixels(values)
            jacobian = np.empty((0, signal.size))
        factor = self.factor(x)
        signal = factor * signal
        expected = self._expected(signal, state)
        value = self._value(expected)
        if not np.isfinite(value):
            raise self._no_value(expected)
        gradient, weight = slopes(self._likelihood, expected, pixels, self._variance)
        # Products with J come first, and the change of coordinates after them: J is large.
        turn, scale = coordinates.signal_slopes(x)
        if self._beside is None or not names:
            turn = factor * turn
        else:
            jacobian = factor * jacobian + self._beside.jacobian(values, names)
        sums = products(jacobian, signal, weight, gradient)
        square = turn.T @ sums.square @ turn
        mixed = np.outer(turn.T @ sums.mixed, scale)
        square += mixed + mixed.T + np.outer(scale, scale) * sums.signal
        if not np.isfinite(square).all():
            raise NoValueError("parameters", names, "finite derivatives where the fit starts")
        shapes = np.ascontiguousarray(self._shapes.T)
        both = np.zeros((pixels.starts.size, len(shapes), x.size))
        for q, shape in enumerate(shapes):
            shaped = weight * shape
            with_jacobian = np.add.reduceat(jacobian * shaped, pixels.starts, axis=1)
            with_signal = np.add.reduceat(signal * shaped, pixels.starts)
            both[:, q] = with_jacobian.T @ turn + with_signal[:, None] * scale
        return ImageQuadratic(
            value=value,
            by_x=square,
            by_both=both,
            by_background=self._background_products(weight),
            gradient_x=turn.T @ sums.slope + scale * sums.along_signal,
            gradient_background=pixels.box_sums(self._shapes * gradient[:, None]),
            expected=expected,
        )

    def _background_products(self, weight: Array) -> Array:
        shapes = self._shapes
        return self.pixels.box_sums((weight[:, None] * shapes)[:, :, None] * shapes[:, None, :])

    def background_curvature(self, expected: Array) -> Array:
        """The second derivatives by the coefficients of each box where the pixels expect so many
        photons, shape (boxes, coefficients, coefficients)."""
        weight = curvature(self._likelihood, expected, self.pixels, self._variance)
        return self._background_products(weight)

    def _no_value(self, expected: Array) -> NoValueError:
        """What is wrong with the first pixel that has no likelihood."""
        mean = self.pixels.growth.spread(expected, self._variance)
        bad = ~np.isfinite(expected) | (mean < 0.0)
        bad |= (mean == 0.0) & (self.pixels.photons > 0.0)
        if not bad.any():
            what = Description("a start too many sigma away from them, or data too large")
            return NoValueError("priors", what, "a deviance that is a number")
        n = int(np.argmax(bad))
        where = f"slow {self.pixels.slow[n]}, fast {self.pixels.fast[n]}"
        if mean[n] == 0.0 and not self.pixels.growth.linear:
            what = Description(f"a variance of 0 at {where}")
            return NoValueError("experiment.response", what, "shot noise, read_noise or another")
        got = f"{expected[n]:g} photons from the model, {self.pixels.photons[n]:g} in the data"
        rule = (
            "finite photons >= 0, and > 0 where the data have some: give a background, "
            "readout_variance, another start, or mask the pixel"
        )
        return NoValueError("experiment", Description(f"{got}, at {where}"), rule)


def products(jacobian: Array, signal: Array, weight: Array, gradient: Array) -> Products:
    """A part of the pixels at a time.  jacobian: shape (p, n)."""
    count = len(jacobian)
    total = np.zeros((count + 2, count + 1))
    length = max(_BLOCK_PRODUCTS // total.size, 16)
    rows, weighted = np.empty((count + 1, length)), np.empty((count + 2, length))
    for start in range(0, signal.size, length):
        part = slice(start, start + length)
        size = min(length, signal.size - start)
        own, left = rows[:, :size], weighted[:, :size]
        own[:count], own[count] = jacobian[:, part], signal[part]
        np.multiply(own, weight[part], out=left[:-1])
        left[-1] = gradient[part]
        total += left @ own.T
    return Products(
        square=total[:count, :count],
        mixed=total[count, :count],
        signal=float(total[count, count]),
        slope=total[-1, :count],
        along_signal=float(total[-1, count]),
    )
