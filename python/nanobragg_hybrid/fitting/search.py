"""From a guess to a minimum: starts, capture stages, and the fit itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.fitting.coordinates import SCALE, Block, Coordinates, Orientation, Scale
from nanobragg_hybrid.fitting.likelihoods import Array, Likelihood
from nanobragg_hybrid.fitting.minimise import Callback, Iteration, Minimum, minimise
from nanobragg_hybrid.fitting.pixels import Background, FitPixels
from nanobragg_hybrid.fitting.problem import Forward, Priors, Problem, State
from nanobragg_hybrid.model.experiment import Experiment

_REFINED_STARTS: Final = 3
"""Of many starts, how many are refined."""
_CAPTURE_ITERATIONS: Final = 25
_CAPTURE_TOLERANCE: Final = 1.0
"""Of a stage that the next one goes on from, in standard deviations."""
N_CELLS: Final = "crystal.n_cells"


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """A fit with all that is decided before it begins.

    capture_sizes: numbers of cells for each capture stage.  softening: variance that is added in
    these, photons^2.
    """

    forward: Forward
    coordinates: Coordinates
    pixels: FitPixels
    likelihood: Likelihood
    background: Background | None
    priors: Priors
    experiment: Experiment
    capture_sizes: tuple[Array, ...]
    max_iterations: int
    step_tolerance: float
    callback: Callback | None

    def problem(self) -> Problem:
        """The fit itself."""
        return self._problem(self.coordinates, self.priors, {}, 0.0)

    def _problem(
        self,
        coordinates: Coordinates,
        priors: Priors,
        fixed: Mapping[str, Array],
        softening: float,
    ) -> Problem:
        return Problem(
            self.forward,
            coordinates,
            self.pixels,
            self.likelihood,
            background=self.background,
            priors=priors,
            experiment=self.experiment,
            fixed=fixed,
            softening=softening,
        )

    def run(self, starts: list[Array]) -> Minimum:
        """The best minimum of those that the starts lead to; of many, the most promising ones.

        starts: coordinates.
        """
        if len(starts) > 1:
            promise = [self._promise(x) for x in starts]
            starts = [starts[n] for n in np.argsort(promise, kind="stable")[:_REFINED_STARTS]]
        minima = []
        for x in starts:
            minima.append(self._refined(x))
            if minima[-1].stopped:
                break
        return min(minima, key=lambda minimum: minimum.quadratic.value)

    def _promise(self, x: Array) -> float:
        """How badly a start explains the data, spots being as wide as in the first stage."""
        problem = self._capture_problem(x, self.capture_sizes[0] if self.capture_sizes else None)
        return problem.value(scaled_start(problem, problem.coordinates.start))

    def _capture_problem(self, x: Array, n_cells: Array | None) -> Problem:
        """Orientation and scale alone, of a crystal with so many cells (None: its own)."""
        whole = self.coordinates
        scale: Block = Scale(SCALE, "", 1.0, np.zeros(1))
        if whole.has(Scale):
            scale = whole.block(Scale, x)
        coordinates = Coordinates((whole.block(Orientation, x), scale))
        fixed = whole.model_values(x)
        if n_cells is not None:
            fixed[N_CELLS] = n_cells
        nothing = coordinates.numbers(coordinates.start)
        priors = Priors(np.zeros_like(nothing), np.full_like(nothing, np.inf))
        mean = float(self.pixels.photons.mean())
        return self._problem(coordinates, priors, fixed, mean if mean > 0.0 else 1.0)

    def _refined(self, x: Array) -> Minimum:
        trace: tuple[Iteration, ...] = ()
        for stage, n_cells in enumerate(self.capture_sizes):
            problem = self._capture_problem(x, n_cells)
            minimum = minimise(
                problem,
                scaled_start(problem, problem.coordinates.start),
                max_iterations=_CAPTURE_ITERATIONS,
                step_tolerance=_CAPTURE_TOLERANCE,
                stage=stage,
                callback=self.callback,
            )
            x = x.copy()
            x[self.coordinates.place(Orientation)] = minimum.state.x[:3]
            trace += minimum.trace
            if minimum.stopped:
                end = self._final(x, 0)
                return dataclasses.replace(end, reason=minimum.reason, stopped=True, trace=trace)
        minimum = self._final(x, self.max_iterations)
        return dataclasses.replace(minimum, trace=trace + minimum.trace)

    def _final(self, x: Array, max_iterations: int) -> Minimum:
        problem = self.problem()
        return minimise(
            problem,
            scaled_start(problem, x),
            max_iterations=max_iterations,
            step_tolerance=self.step_tolerance,
            stage=len(self.capture_sizes),
            callback=self.callback,
        )


def scaled_start(problem: Problem, x: Array) -> State:
    """A start with the background's guess and, if the scale is free, the data's number of photons.

    Raises `ConfigError` for data without light whose scale is to be found.
    """
    background = problem.background_start
    if not problem.coordinates.has(Scale):
        return State(x, background)
    photons = float(problem.pixels.photons.sum())
    if not photons > 0.0:
        raise ConfigError("data", photons, "light in the fitted pixels, to find a scale", "photons")
    below = float(problem.background_of(background).sum())
    signal = float(problem.signal(x).sum())
    if 0.0 < signal < np.inf:
        x = x.copy()
        x[problem.coordinates.place(Scale)] += np.log(max(photons - below, 0.1 * photons) / signal)
    return State(x, background)


def random_starts(coordinates: Coordinates, count: int, cone_deg: float, seed: int) -> list[Array]:
    """The start, and orientations that are spread evenly over rotation vectors within a ball.

    Raises `ConfigError` for several without an orientation to move.
    """
    starts = [coordinates.start]
    if count == 1:
        return starts
    if not coordinates.has(Orientation):
        raise ConfigError("starts", count, "1 where no orientation is fitted")
    random = np.random.default_rng(seed)
    place = coordinates.place(Orientation)
    for _ in range(count - 1):
        direction = random.normal(size=3)
        length = cone_deg * random.uniform() ** (1.0 / 3.0)
        x = coordinates.start.copy()
        x[place] = direction / np.linalg.norm(direction) * length
        starts.append(x)
    return starts
