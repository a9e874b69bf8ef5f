"""Where pixels and reciprocal vectors of an experiment are, by the C engine's plan, with numpy."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

import nanobragg_hybrid as nb

TO_SIMULATOR = {
    "dials": np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]], dtype=float),
    "nexus": np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], dtype=float),
    "xds": np.array([[0, 0, 1], [0, -1, 0], [1, 0, 0]], dtype=float),
    "crystfel": np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], dtype=float),
    "mosflm": np.eye(3),
}
"""The same table as in formats.geometry.frames, written once more as matrices."""


def plan_of(experiment: nb.Experiment, panel: int = 0) -> nb.ResolvedPlan:
    """The plan of a panel; of an experiment without a crystal with some crystal."""
    crystal = experiment.crystal
    if crystal.cell_angstrom is None and crystal.orientation_matrix is None:
        experiment = experiment.replace({"crystal.cell_angstrom": (50.0, 60.0, 70.0)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)
        alone = experiment.of_panel(panel)
        return nb.prepare(alone, nb.StructureFactors.constant(1.0)).plan


def five_pixels(n_fast: int, n_slow: int) -> list[tuple[float, float]]:
    """Positions on a panel in pixels from its corner, (fast, slow): four corners and inside."""
    return [(0, 0), (n_fast, 0), (0, n_slow), (n_fast, n_slow), (0.3 * n_fast, 0.6 * n_slow)]


def laboratory_mm(
    plan: nb.ResolvedPlan, pixel: tuple[float, float], frame: str
) -> NDArray[np.float64]:
    """Where a point of the panel is in a program's frame, mm."""
    edges_m = (plan.pixel_size_m, plan.pixel_size_slow_m)
    fast, slow = (1000.0 * edge * number for edge, number in zip(edges_m, pixel, strict=True))
    point = (
        1000.0 * np.array(plan.pix0_m)
        + fast * np.array(plan.fast_axis)
        + slow * np.array(plan.slow_axis)
    )
    return TO_SIMULATOR[frame].T @ point


def about(axis: object, angle_deg: float) -> NDArray[np.float64]:
    """The matrix of a right-handed rotation (Rodrigues)."""
    x, y, z = np.asarray(axis, dtype=float) / np.linalg.norm(np.asarray(axis, dtype=float))
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(angle_deg)
    turned: NDArray[np.float64] = np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k
    return turned


def reciprocal_at(plan: nb.ResolvedPlan, phi_deg: float, frame: str) -> NDArray[np.float64]:
    """The matrix whose columns are a*, b*, c* at a spindle angle, 1/angstrom."""
    turn = about(plan.spindle_axis, phi_deg)
    real = 1e10 * np.array([plan.a0_m, plan.b0_m, plan.c0_m]) @ turn.T
    return TO_SIMULATOR[frame].T @ np.linalg.inv(real)
