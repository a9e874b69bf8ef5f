"""From a guess to a minimum: starts, capture stages, and the fit itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.fitting.coordinates import SCALE, Block, Coordinates, Orientation, Scale
from nanobragg_hybrid.fitting.image_problem import Forward, ImageProblem
from nanobragg_hybrid.fitting.joint import Joint, of_image
from nanobragg_hybrid.fitting.likelihoods import Array, Likelihood
from nanobragg_hybrid.fitting.minimise import Callback, Iteration, Minimum, minimise
from nanobragg_hybrid.fitting.pixels import Background, FitPixels
from nanobragg_hybrid.fitting.problem import Priors, Problem, scaled_start
from nanobragg_hybrid.fitting.stack import Stack
from nanobragg_hybrid.model.experiment import Experiment

_REFINED_STARTS: Final = 3
"""Of many starts, how many are refined."""
_CAPTURE_ITERATIONS: Final = 25
_CAPTURE_TOLERANCE: Final = 1.0
"""Of a stage that the next one goes on from, in standard deviations."""
N_CELLS: Final = "crystal.n_cells"


@dataclass(frozen=True, slots=True, eq=False)
class FitImage:
    """An image of a fit: where it starts, what renders it, and which pixels count.

    capture_sizes: numbers of cells for each capture stage.  stack: of the panels of a detector of
    several.
    """

    experiment: Experiment
    forward: Forward
    pixels: FitPixels
    capture_sizes: tuple[Array, ...]
    stack: Stack | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Starts:
    """The orientations to start from: the experiment's, and count - 1 random ones."""

    count: int
    cone_deg: float
    seed: int

    def of(self, coordinates: Coordinates) -> list[Array]:
        """As coordinates; `ConfigError` for several without an orientation to move."""
        return random_starts(coordinates, self.count, self.cone_deg, self.seed)


class Found(NamedTuple):
    """A minimum, and the coordinates that led there."""

    minimum: Minimum
    joint: Joint


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """A fit with all that is decided before it begins.

    only: the image's number in the fit that this one is a part of.
    """

    images: tuple[FitImage, ...]
    joint: Joint
    likelihood: Likelihood
    background: Background | None
    priors: Priors
    max_iterations: int
    step_tolerance: float
    callback: Callback | None
    only: int | None = None

    def problem(self) -> Problem:
        """The fit itself."""
        return self._problem(self.joint, self.priors, [{}] * len(self.images), softened=False)

    def _problem(
        self,
        joint: Joint,
        priors: Priors,
        fixed: list[dict[str, Array]],
        *,
        softened: bool,
    ) -> Problem:
        problems = [
            ImageProblem(
                image.forward,
                coordinates,
                image.pixels,
                self.likelihood,
                background=self.background,
                experiment=image.experiment,
                fixed=own,
                softening=_softening(image.pixels) if softened else 0.0,
            )
            for image, coordinates, own in zip(self.images, joint.images, fixed, strict=True)
        ]
        return Problem(tuple(problems), joint, priors)

    def run(self, starts: Starts) -> Found:
        """The best minimum of those that the starts lead to; of many, the most promising ones.

        No fit goes farther than some degrees from the orientation that it starts from.

        Images that have orientations of their own get them first, one by one, from their own starts
        and stages; the fit of all goes on from there.
        """
        if len(self.images) > 1 and self._has_own_orientations:
            return self._from_own_orientations(starts)
        found: list[Found] = []
        for x in self._promising(starts.of(self.joint.every)):
            near = dataclasses.replace(self, joint=self.joint.counting_from(x))
            found.append(Found(near._refined(x), near.joint))
            if found[-1].minimum.stopped:
                break
        return min(found, key=lambda each: each.minimum.quadratic.value)

    @property
    def _has_own_orientations(self) -> bool:
        owned = zip(self.joint.every.blocks, self.joint.owners, strict=True)
        return any(n is not None for block, n in owned if isinstance(block, Orientation))

    def _from_own_orientations(self, starts: Starts) -> Found:
        x = self.joint.start.copy()
        trace: tuple[Iteration, ...] = ()
        stage = 0
        for n, image in enumerate(self.images):
            if starts.count == 1 and not image.capture_sizes:
                continue
            place = self.joint.places[n]
            alone = self._alone(n)
            with of_image(n, len(self.images)):
                found = alone.oriented(starts)
            x[place[self.joint.images[n].place(Orientation)]] = found.state.x[:3]
            trace += found.trace
            stage = max(stage, len(image.capture_sizes) + 1)
            if found.stopped:
                near = dataclasses.replace(self, joint=self.joint.counting_from(x))
                return Found(near._stopped(x, found, trace), near.joint)
        near = dataclasses.replace(self, joint=self.joint.counting_from(x))
        minimum = near._final(x, self.max_iterations, stage)
        return Found(dataclasses.replace(minimum, trace=trace + minimum.trace), near.joint)

    def _alone(self, n: int) -> Search:
        """The search of one image."""
        own = Joint((self.joint.images[n],), frozenset())
        nothing = Priors.none(own.every)
        return dataclasses.replace(
            self, images=(self.images[n],), joint=own, priors=nothing, only=n
        )

    def oriented(self, starts: Starts) -> Minimum:
        """The best orientation and scale alone, of those that the starts lead to."""
        minima = []
        for x in self._promising(starts.of(self.joint.every)):
            near = dataclasses.replace(self, joint=self.joint.counting_from(x))
            turned, trace, stopped = near._captured(x)
            if stopped is None:
                stopped = near._stage(turned, None, len(self.images[0].capture_sizes))
                trace += stopped.trace
            minima.append(dataclasses.replace(stopped, trace=trace))
            if stopped.stopped:
                break
        return min(minima, key=lambda minimum: (not minimum.stopped, minimum.quadratic.value))

    def _promising(self, starts: list[Array]) -> list[Array]:
        """Of many starts those that explain the data best, spots being as wide as in the first
        stage."""
        if len(starts) == 1:
            return starts
        problems = [self._capture_problem(x, 0) for x in starts]
        parts = [problem.joint.parts(problem.joint.start) for problem in problems]
        signals = [
            image.forward.members(
                [p.images[n].values(own[n]) for p, own in zip(problems, parts, strict=True)]
            )
            for n, image in enumerate(self.images)
        ]
        promise = []
        for k, problem in enumerate(problems):
            own = [rows[k] for rows in signals]
            start = scaled_start(problem, problem.joint.start, own)
            promise.append(problem.value(start, own))
        return [starts[n] for n in np.argsort(promise, kind="stable")[:_REFINED_STARTS]]

    def _capture_problem(self, x: Array, stage: int | None) -> Problem:
        """Orientation and scale alone, of crystals with so many cells as in a stage, or with their
        own where that is None or there is none."""
        coordinates, fixed = [], []
        shared: set[str] = set()
        for image, whole, part in zip(
            self.images, self.joint.images, self.joint.parts(x), strict=True
        ):
            scale: Block = Scale(SCALE, "", 1.0, np.zeros(1))
            if whole.has(Scale):
                scale = whole.block(Scale, part)
            orientation = whole.block(Orientation, part)
            shared.add(orientation.name)
            coordinates.append(Coordinates((orientation, scale)))
            values = whole.model_values(part)
            if stage is not None and stage < len(image.capture_sizes):
                values[N_CELLS] = image.capture_sizes[stage]
            fixed.append(values)
        joint = Joint(tuple(coordinates), frozenset(shared))
        return self._problem(joint, Priors.none(joint.every), fixed, softened=True)

    def _stage(self, x: Array, stage: int | None, number: int) -> Minimum:
        problem = self._capture_problem(x, stage)
        return minimise(
            problem,
            scaled_start(problem, problem.joint.start),
            max_iterations=_CAPTURE_ITERATIONS,
            step_tolerance=_CAPTURE_TOLERANCE,
            stage=number,
            callback=self.callback,
            image=self.only,
        )

    @property
    def _stages(self) -> int:
        return max(len(image.capture_sizes) for image in self.images)

    def _captured(self, x: Array) -> tuple[Array, tuple[Iteration, ...], Minimum | None]:
        """The coordinates after all capture stages, their trace, and the stage in which the
        callback wanted no more."""
        trace: tuple[Iteration, ...] = ()
        for stage in range(self._stages):
            minimum = self._stage(x, stage, stage)
            x = x.copy()
            x[self.joint.every.place(Orientation)] = minimum.state.x[:3]
            trace += minimum.trace
            if minimum.stopped:
                return x, trace, minimum
        return x, trace, None

    def _refined(self, x: Array) -> Minimum:
        x, trace, stopped = self._captured(x)
        if stopped is not None:
            return self._stopped(x, stopped, trace)
        minimum = self._final(x, self.max_iterations, self._stages)
        return dataclasses.replace(minimum, trace=trace + minimum.trace)

    def _stopped(self, x: Array, at: Minimum, trace: tuple[Iteration, ...]) -> Minimum:
        end = self._final(x, 0, 0)
        return dataclasses.replace(end, reason=at.reason, stopped=True, trace=trace)

    def _final(self, x: Array, max_iterations: int, stage: int) -> Minimum:
        problem = self.problem()
        return minimise(
            problem,
            scaled_start(problem, x),
            max_iterations=max_iterations,
            step_tolerance=self.step_tolerance,
            stage=stage,
            callback=self.callback,
        )


def _softening(pixels: FitPixels) -> float:
    mean = float(pixels.photons.mean())
    return mean if mean > 0.0 else 1.0


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
