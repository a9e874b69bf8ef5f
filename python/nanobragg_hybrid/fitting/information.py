"""The observed information: second derivatives where a fit ended, in place of their expectation."""

from __future__ import annotations

import dataclasses
from typing import Final, Literal, get_args

import numpy as np

from nanobragg_hybrid.fitting.problem import Problem, Quadratic, State

Information = Literal["expected", "observed"]
INFORMATIONS: Final[tuple[Information, ...]] = get_args(Information)

_STEP: Final = 0.05
"""Of the differences, in standard deviations with all other coordinates known."""


def observed(problem: Problem, state: State, expected: Quadratic) -> Quadratic:
    """The quadratic model with the second derivatives of the function, by central differences of
    its gradient along each coordinate: two Jacobians for each, of the images that have it.

    expected: the quadratic model there.  Raises what `Problem.quadratic` raises.
    """
    diagonal = np.diagonal(expected.by_x)
    is_moved = diagonal > 0.0
    steps = np.where(is_moved, _STEP / np.sqrt(np.where(is_moved, diagonal, 1.0)), 0.0)
    by_x = np.zeros_like(expected.by_x)
    for k in np.flatnonzero(is_moved).tolist():
        ahead, behind = (problem.prior_gradient(each.x) for each in _ends(state, k, steps[k]))
        by_x[:, k] += (ahead - behind) / (2.0 * steps[k])
    images = []
    for n, (image, place) in enumerate(zip(expected.images, expected.places, strict=True)):
        own, both = np.zeros_like(image.by_x), np.zeros_like(image.by_both)
        for column, k in enumerate(place.tolist()):
            if not is_moved[k]:
                continue
            plus, minus = (problem.image_quadratic(n, each) for each in _ends(state, k, steps[k]))
            own[:, column] = (plus.gradient_x - minus.gradient_x) / (2.0 * steps[k])
            difference = plus.gradient_background - minus.gradient_background
            both[:, :, column] = difference / (2.0 * steps[k])
        by_x[np.ix_(place, place)] += own
        by_background = problem.images[n].background_curvature(image.expected)
        images.append(
            dataclasses.replace(image, by_x=own, by_both=both, by_background=by_background)
        )
    return dataclasses.replace(expected, by_x=0.5 * (by_x + by_x.T), images=tuple(images))


def _ends(state: State, k: int, step: float) -> tuple[State, State]:
    """The states a step ahead and behind along a coordinate."""
    ahead, behind = state.x.copy(), state.x.copy()
    ahead[k] += step
    behind[k] -= step
    return State(ahead, state.background), State(behind, state.background)
