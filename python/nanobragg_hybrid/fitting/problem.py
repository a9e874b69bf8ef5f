"""The function that a fit minimises, and its quadratic model around a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.fitting.coordinates import Coordinates, Scale, SpotScales
from nanobragg_hybrid.fitting.image_problem import (
    ImageProblem,
    ImageQuadratic,
    ImageState,
    NoValueError,
)
from nanobragg_hybrid.fitting.joint import Joint, of_image
from nanobragg_hybrid.fitting.likelihoods import Array

_LARGEST_START: Final = 30.0
"""A box in which the model has hardly a spot starts from this factor at most, over the median."""

Backgrounds = tuple[Array, ...]
"""Coefficients of each image, shape (boxes, coefficients)."""


@dataclass(frozen=True, slots=True, eq=False)
class Priors:
    """Known numbers u: value and sigma, shape (u,); sigma is infinite where nothing is known."""

    value: Array
    sigma: Array

    @classmethod
    def none(cls, coordinates: Coordinates) -> Priors:
        """Of numbers of which nothing is known."""
        nothing = coordinates.numbers(coordinates.start)
        return cls(np.zeros_like(nothing), np.full_like(nothing, np.inf))

    def residuals(self, numbers: Array) -> Array:
        """In units of sigma."""
        residuals: Array = (numbers - self.value) / self.sigma
        return residuals


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where a fit is.  x: coordinates, shape (x,).  background: of each image."""

    x: Array
    background: Backgrounds


@dataclass(frozen=True, slots=True, eq=False)
class Quadratic:
    """value + 2 gradient . step + step . matrix . step, over coordinates and backgrounds.

    by_x: matrix (x, x), and gradient_x: (x,), without what depends on backgrounds.  images: what
    each image adds, over its own coordinates, which are those at its `places`.
    """

    value: float
    by_x: Array
    gradient_x: Array
    images: tuple[ImageQuadratic, ...]
    places: tuple[NDArray[np.intp], ...]

    @property
    def expected(self) -> tuple[Array, ...]:
        """Photons in the pixels of each image, signal and background."""
        return tuple(image.expected for image in self.images)

    def slope(self, step: State) -> float:
        """How much a short step adds to the value, over its length in units of this step."""
        linear = self.gradient_x @ step.x
        for image, b in zip(self.images, step.background, strict=True):
            linear = linear + np.sum(image.gradient_background * b)
        return float(2.0 * linear)

    def change(self, step: State) -> float:
        """How much a step adds to the value."""
        x = step.x
        square = x @ self.by_x @ x
        for image, place, b in zip(self.images, self.places, step.background, strict=True):
            square = square + 2.0 * np.sum(b * (image.by_both @ x[place]))
            square = square + np.einsum("kq,kqr,kr->", b, image.by_background, b)
        return self.slope(step) + float(square)


class Problem:
    """-2 log of likelihood times priors, for a set of coordinates.

    images: what each image adds, of the coordinates that `joint` gives it.
    """

    def __init__(self, images: tuple[ImageProblem, ...], joint: Joint, priors: Priors) -> None:
        self.images = images
        self.joint = joint
        self._priors = priors

    @property
    def background_start(self) -> Backgrounds:
        """Coefficients to start from."""
        return tuple(image.background_start for image in self.images)

    def is_allowed(self, x: Array) -> bool:
        """Whether every number obeys its field's rule."""
        parts = zip(self.images, self.joint.parts(x), strict=True)
        return all(image.is_allowed(part) for image, part in parts)

    def value(self, state: State, unscaled: Sequence[Array] | None = None) -> float:
        """The function; infinite where it has no value.

        unscaled: the signals of the images there, where they are known.
        """
        value = 0.0
        for n, part in enumerate(self._parts(state)):
            value += self.images[n].value(part, None if unscaled is None else unscaled[n])
            if not np.isfinite(value):
                return np.inf
        return value + self._prior_value(state.x)

    def _parts(self, state: State) -> list[ImageState]:
        pairs = zip(self.joint.parts(state.x), state.background, strict=True)
        return [ImageState(x, background) for x, background in pairs]

    def _prior_value(self, x: Array) -> float:
        residuals = self._priors.residuals(self.joint.every.numbers(x))
        with np.errstate(over="ignore"):
            return float(residuals @ residuals)

    def prior_gradient(self, x: Array) -> Array:
        """Half the derivative of the priors' squared residuals."""
        known = self.joint.every.slopes(x) / self._priors.sigma[:, None]
        gradient: Array = known.T @ self._priors.residuals(self.joint.every.numbers(x))
        return gradient

    def image_quadratic(self, n: int, state: State) -> ImageQuadratic:
        """What an image adds to the quadratic model."""
        with of_image(n, len(self.images)):
            return self.images[n].quadratic(self._parts(state)[n])

    def quadratic(self, state: State) -> Quadratic:
        """The function's quadratic model: the Fisher information in place of second derivatives.

        Raises `NoValueError` where the function has no value, and says in which pixel.
        """
        images = tuple(self.image_quadratic(n, state) for n in range(len(self.images)))
        x = state.x
        by_x, gradient = np.zeros((x.size, x.size)), np.zeros(x.size)
        for image, place in zip(images, self.joint.places, strict=True):
            by_x[np.ix_(place, place)] += image.by_x
            gradient[place] += image.gradient_x
        value = sum(image.value for image in images) + self._prior_value(x)
        if not np.isfinite(value):
            what = Description("a start too many sigma away from them, or data too large")
            raise NoValueError("priors", what, "a deviance that is a number")
        known = self.joint.every.slopes(x) / self._priors.sigma[:, None]
        by_x += known.T @ known
        gradient += self.prior_gradient(x)
        return Quadratic(value, by_x, gradient, images, self.joint.places)


def scaled_start(problem: Problem, x: Array, unscaled: Sequence[Array] | None = None) -> State:
    """A start with the backgrounds' guess and, if a scale is free, the data's number of photons.

    unscaled: the signals of the images at x, where they are known.

    Raises `ConfigError` for data without light whose scale is to be found.
    """
    background, joint = problem.background_start, problem.joint
    if joint.images[0].has(SpotScales):
        return State(_with_spot_scales(problem, x, background), background)
    if not joint.images[0].has(Scale):
        return State(x, background)
    together: dict[int, list[int]] = {}  # images, by the coordinate that scales them
    for n, image in enumerate(problem.images):
        place = int(joint.places[n][image.coordinates.place(Scale)][0])
        together.setdefault(place, []).append(n)
    parts = joint.parts(x)
    x = x.copy()
    for place, own in together.items():
        photons = below = signal = 0.0
        for n in own:
            image = problem.images[n]
            photons += float(image.pixels.photons.sum())
            below += float(image.background_of(background[n]).sum())
            light = image.unscaled(parts[n]) if unscaled is None else unscaled[n]
            signal += float((image.factor(parts[n]) * light).sum())
        if not photons > 0.0:
            rule = "light in the fitted pixels, to find a scale"
            with of_image(own[0], len(problem.images) if len(own) == 1 else 1):
                raise ConfigError("data", photons, rule, "photons")
        if 0.0 < signal < np.inf:
            x[place] += np.log(max(photons - below, 0.1 * photons) / signal)
    return State(x, background)


def _with_spot_scales(problem: Problem, x: Array, background: Backgrounds) -> Array:
    """The start with factors of boxes that give each the data's number of photons."""
    joint = problem.joint
    x = x.copy()
    shared = bool(joint.owners[_number_of_spot_scales(joint)] is None and len(problem.images) > 1)
    if shared:  # what one box needs another image's may not
        return x
    for n, image in enumerate(problem.images):
        part = joint.parts(x)[n]
        own = joint.places[n][image.coordinates.place(SpotScales)]
        pixels = image.pixels
        signal = image.unscaled(part) / np.exp(x[own])[pixels.box]
        light = pixels.box_sums(pixels.photons - image.background_of(background[n]))
        model = pixels.box_sums(signal)
        lit = (light > 0.0) & (model > 0.0) & np.isfinite(model)
        if not lit.any():
            what = Description("a model and data that are nowhere lit in the same box")
            with of_image(n, len(problem.images)):
                raise ConfigError("parameters", what, "light in boxes, to find spot_scales")
        ratio = np.ones(lit.size)
        ratio[lit] = light[lit] / model[lit]
        middle = float(np.median(ratio[lit]))
        ratio[~lit] = middle
        x[own] = np.log(np.clip(ratio, middle / _LARGEST_START, middle * _LARGEST_START))
    return x


def _number_of_spot_scales(joint: Joint) -> int:
    blocks = joint.every.blocks
    return next(n for n, block in enumerate(blocks) if isinstance(block, SpotScales))
