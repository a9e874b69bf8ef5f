"""Levenberg and Marquardt's damped Gauss-Newton steps, with backgrounds eliminated.

Marquardt's scaling (J. Soc. Ind. Appl. Math. 11, 431, 1963) with Nielsen's damping (report
IMM-REP-1999-05, Technical University of Denmark).  Far from the minimum the expected information is
more than the curvature along the step: where the last step should have been much longer, the next
is made longer, and has to gain what the quadratic model promises for the step that it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.fitting.image_problem import ImageQuadratic, NoValueError
from nanobragg_hybrid.fitting.likelihoods import Array
from nanobragg_hybrid.fitting.problem import Backgrounds, Problem, Quadratic, State

_FIRST_DAMPING: Final = 1e-4
_LARGEST_DAMPING: Final = 1e12
_LARGEST_STRETCH: Final = 3.0
_SMALLEST_STRETCH: Final = 1.5
_CAUTION: Final = 0.7
"""Of steps that go beyond the minimum of the quadratic model; the last is an exponent."""
_RANK: Final = 1e-13
"""Eigenvalues of the scaled matrix below this share of the largest are taken as 0."""
_ROUNDING: Final = 1e-13
"""A decrease below this share of the deviance is rounding."""


@dataclass(frozen=True, slots=True)
class Iteration:
    """One trial step of a fit.

    stage: number of the stage, the last one being the fit itself.  deviance: -2 log likelihood and
    priors after the step, or of the rejected trial.  damping: Marquardt's factor.  step_in_esd: the
    step's length in units of standard deviations (the square root of step . information . step).
    accepted: whether the step was taken.  image: the one that the step was for, None for all.
    """

    stage: int
    deviance: float
    damping: float
    step_in_esd: float
    accepted: bool
    image: int | None = None


Callback = Callable[[Iteration], object]
"""Called after each trial step; the fit stops if it returns False."""


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """Where the steps led, with the quadratic model there, and why they ended.

    stopped: the callback wanted no more.
    """

    state: State
    quadratic: Quadratic
    converged: bool
    reason: str
    trace: tuple[Iteration, ...]
    stopped: bool = False


class _BestBackground:
    """Of an image, for each step of its coordinates: alone + by_x step.

    Boxes whose background is 0 and would be negative keep it.
    """

    def __init__(self, quadratic: ImageQuadratic, background: Array) -> None:
        self.free = (background[:, 0] > 0.0) | (quadratic.gradient_background[:, 0] < 0.0)
        both = quadratic.by_both[self.free]
        inverse = np.linalg.pinv(quadratic.by_background[self.free], hermitian=True)
        self.by_x = -inverse @ both
        self.alone = -(inverse @ quadratic.gradient_background[self.free][:, :, None])[..., 0]
        self.on_matrix = np.einsum("kqx,kqy->xy", both, self.by_x)
        self.on_gradient = np.einsum("kqx,kq->x", both, self.alone)

    def step(self, x: Array) -> Array:
        """The background's step, shape (boxes, coefficients), for one of the coordinates."""
        step = np.zeros((self.free.size, self.alone.shape[1]))
        step[self.free] = self.alone + self.by_x @ x
        return step


class Reduced:
    """The quadratic model over the coordinates alone, the backgrounds being at their best for
    each."""

    def __init__(self, quadratic: Quadratic, background: Backgrounds) -> None:
        self._places = quadratic.places
        self._background = background
        self._best: list[_BestBackground | None] = []
        matrix, gradient = quadratic.by_x.copy(), quadratic.gradient_x.copy()
        for image, place, own in zip(quadratic.images, quadratic.places, background, strict=True):
            if not own.shape[1]:
                self._best.append(None)
                continue
            best = _BestBackground(image, own)
            self._best.append(best)
            matrix[np.ix_(place, place)] += best.on_matrix
            gradient[place] += best.on_gradient
        diagonal = np.diagonal(quadratic.by_x)
        self.size = np.where(diagonal > 0.0, 1.0 / np.sqrt(np.maximum(diagonal, 1e-300)), 1.0)
        scaled = 0.5 * (matrix + matrix.T) * self.size * self.size[:, None]
        self.eigenvalues, self._vectors = np.linalg.eigh(scaled)
        self._projected = self._vectors.T @ (self.size * gradient)

    @property
    def is_determined(self) -> NDArray[np.bool_]:
        """Which of the eigenvectors the data say something about."""
        largest = float(self.eigenvalues[-1]) if self.eigenvalues.size else 0.0
        determined: NDArray[np.bool_] = self.eigenvalues > _RANK * largest
        return determined

    def step(self, damping: float) -> State:
        """The step for a damping; without damping only along what is determined."""
        denominator = self.eigenvalues + damping
        keep = denominator > 0.0 if damping > 0.0 else self.is_determined
        along = np.where(keep, -self._projected / np.where(keep, denominator, 1.0), 0.0)
        return self._with_background(self.size * (self._vectors @ along))

    def _with_background(self, x: Array) -> State:
        steps = [
            np.zeros_like(own) if best is None else best.step(x[place])
            for best, place, own in zip(self._best, self._places, self._background, strict=True)
        ]
        return State(x, tuple(steps))

    def covariance(self) -> tuple[Array, NDArray[np.bool_]]:
        """The inverse, shape (x, x), along what is determined; and which coordinates are not,
        shape (x,)."""
        keep = self.is_determined
        vectors = self._vectors[:, keep] / np.sqrt(self.eigenvalues[keep])
        vectors = self.size[:, None] * vectors
        lost: NDArray[np.bool_] = np.any(np.abs(self._vectors[:, ~keep]) > 1e-3, axis=1)
        return vectors @ vectors.T, lost


def _moved(state: State, step: State) -> State:
    """The state after a step, with backgrounds that are nowhere below 0."""
    moved = [
        _not_negative(before + change)
        for before, change in zip(state.background, step.background, strict=True)
    ]
    return State(state.x + step.x, tuple(moved))


def _not_negative(background: Array) -> Array:
    """The same, where it would be below 0 in a box, with less of a slope or none."""
    if background.shape[1]:
        background[:, 0] = np.maximum(background[:, 0], 0.0)
        slant = np.abs(background[:, 1:]).sum(axis=1)
        steep = slant > background[:, 0]
        background[steep, 1:] *= (background[steep, 0] / slant[steep])[:, None]
    return background


def _difference(after: State, before: State) -> State:
    pairs = zip(after.background, before.background, strict=True)
    return State(after.x - before.x, tuple(one - other for one, other in pairs))


def _times(step: State, factor: float) -> State:
    return State(factor * step.x, tuple(factor * each for each in step.background))


def _stretch(slope: float, gain: float, stretch: float) -> float:
    """By how much the next step should be longer than the quadratic model says, 1 for not at all.

    slope: how the value began to change with the last step of the model, < 0.  gain: by how much it
    fell along `stretch` times that step.  The parabola through both has its minimum at `best`; what
    is not much longer is left alone, and the rest is shortened, since the next step is another one.
    """
    curvature = (-stretch * slope - gain) / stretch**2
    best = math.inf if curvature <= 0.0 else -0.5 * slope / curvature
    longer = min(best, _LARGEST_STRETCH) ** _CAUTION
    return longer if longer > _SMALLEST_STRETCH else 1.0


def _looked_at(
    problem: Problem, trial: State, *, with_slopes: bool
) -> tuple[Quadratic | None, float]:
    """The value of a trial, infinite where there is none; and the quadratic model that is needed
    next if the trial is good, which most are: it costs less together with the value."""
    if not problem.is_allowed(trial.x):
        return None, math.inf
    if not with_slopes:
        return None, problem.value(trial)
    try:
        quadratic = problem.quadratic(trial)
    except NoValueError:
        return None, math.inf
    return quadratic, quadratic.value


def minimise(
    problem: Problem,
    start: State,
    *,
    max_iterations: int,
    step_tolerance: float,
    stage: int,
    callback: Callback | None,
    image: int | None = None,
) -> Minimum:
    """The minimum near a state.

    max_iterations: trial steps.  step_tolerance: it has converged where the full Gauss-Newton step
    is shorter, in units of standard deviations.  stage, image: what the trace says.

    Raises what `Problem.quadratic` raises for the start.
    """
    state, damping, growth, stretch = start, _FIRST_DAMPING, 2.0, 1.0
    trace: list[Iteration] = []
    was_stretched = False
    quadratic = problem.quadratic(state)
    while True:
        reduced = Reduced(quadratic, state.background)
        whole = _difference(_moved(state, reduced.step(0.0)), state)
        left = -quadratic.change(whole)
        if left <= step_tolerance**2:
            text = f"the next step would be below {step_tolerance:g} standard deviations"
            return Minimum(state, quadratic, True, text, tuple(trace))
        if left <= _ROUNDING * abs(quadratic.value):
            text = "what a step could gain is below rounding"
            return Minimum(state, quadratic, True, text, tuple(trace))
        while True:
            if len(trace) >= max_iterations:
                text = f"{max_iterations} iterations were not enough"
                return Minimum(state, quadratic, False, text, tuple(trace))
            if damping > _LARGEST_DAMPING:
                text = "no step lowers the deviance, however short"
                return Minimum(state, quadratic, False, text, tuple(trace))
            direction = reduced.step(damping)
            step = _difference(_moved(state, direction), state)
            predicted = -quadratic.change(step)
            is_stretched = stretch > 1.0
            if is_stretched:
                direction = _times(direction, stretch)
            trial = _moved(state, direction)
            went_well = not trace or trace[-1].accepted or was_stretched
            ahead, value = _looked_at(problem, trial, with_slopes=went_well)
            gain = quadratic.value - value
            accepted = gain > (predicted if is_stretched else 0.0) and predicted > 0.0
            taken = _difference(trial, state)
            length = math.sqrt(max(float(taken.x @ quadratic.by_x @ taken.x), 0.0))
            trace.append(Iteration(stage, value, damping, length, accepted, image))
            if callback is not None and callback(trace[-1]) is False:
                text = "the callback asked to stop"
                return Minimum(state, quadratic, False, text, tuple(trace), stopped=True)
            if accepted:
                ratio = gain / predicted
                damping = max(damping * max(1.0 / 3.0, 1.0 - (2.0 * ratio - 1.0) ** 3), 1e-12)
                growth = 2.0
                stretch = _stretch(quadratic.slope(step), gain, stretch)
                was_stretched = False
                break
            was_stretched = is_stretched
            if is_stretched:  # the same step, as the model has it
                stretch = 1.0
            else:
                damping, growth = damping * growth, 2.0 * growth
        state = trial
        quadratic = problem.quadratic(state) if ahead is None else ahead
