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
    its gradient along each coordinate: two Jacobians for each.

    expected: the quadratic model there.  Raises what `Problem.quadratic` raises.
    """
    diagonal = np.diagonal(expected.by_x)
    by_x, by_both = np.zeros_like(expected.by_x), np.zeros_like(expected.by_both)
    for n in np.flatnonzero(diagonal > 0.0).tolist():
        step = np.zeros_like(state.x)
        step[n] = _STEP / np.sqrt(diagonal[n])
        ahead, behind = (
            problem.quadratic(State(state.x + end, state.background)) for end in (step, -step)
        )
        by_x[:, n] = (ahead.gradient_x - behind.gradient_x) / (2.0 * step[n])
        difference = ahead.gradient_background - behind.gradient_background
        by_both[:, :, n] = difference / (2.0 * step[n])
    return dataclasses.replace(
        expected,
        by_x=0.5 * (by_x + by_x.T),
        by_both=by_both,
        by_background=problem.background_curvature(expected.expected),
    )
