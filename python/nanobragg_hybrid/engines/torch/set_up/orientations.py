"""The crystal's orientations during the exposure: model 5.3, 6.4 and 6.5."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from nanobragg_hybrid.base.units import deg_to_rad
from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar
from nanobragg_hybrid.engines.torch.arithmetic.vectors import (
    Matrix,
    Vector,
    rot_axis,
    rot_mat,
    rotation_about,
)
from nanobragg_hybrid.engines.torch.scenes.scene import Cells
from nanobragg_hybrid.engines.torch.set_up.inputs import Inputs
from nanobragg_hybrid.engines.torch.set_up.setup import Setup
from nanobragg_hybrid.engines.torch.set_up.tables import Tables

ROTATION_SCALE: Final = "crystal.mosaic_rotations.scale"
"""Name of the factor on the angles of domains that are given."""


@dataclass(frozen=True, slots=True)
class Turning:
    """What turns the crystal during the exposure, radians.

    mosaic_spread: None where it is the configured one; of domains that are given, the factor on
    their angles instead.
    """

    spindle: Vector
    phi_start: Scalar
    phi_step: Scalar
    mosaic_spread: Scalar | None


def turning_of(setup: Setup, inputs: Inputs, spindle: Vector) -> Turning:
    """The numbers of model 5.3."""
    steps = setup.sampling.phi
    step: Scalar = steps.step
    if inputs.is_live("goniometer.osc_deg") and steps.range_given:
        step = steps.step_of(deg_to_rad(inputs.number("goniometer.osc_deg")))
    spread: Scalar | None = None
    if inputs.is_live("crystal.mosaic_spread_deg"):
        spread = deg_to_rad(inputs.number("crystal.mosaic_spread_deg"))
    if inputs.is_live(ROTATION_SCALE):
        spread = inputs.number(ROTATION_SCALE)
    start = deg_to_rad(inputs.number("goniometer.phi_deg"))
    return Turning(spindle, start, step, spread)


def orientations(
    setup: Setup, tables: Tables, turning: Turning, real: Matrix
) -> tuple[Cells, Cells | None]:
    """Cell vectors for every phi step and domain, and for every domain without phi.

    real: a, b, c before, metres.
    """
    sampling = setup.sampling
    angles = turning.phi_start + turning.phi_step * tables.phi_in_steps
    turned = [rot_axis(vector, turning.spindle, angles.unsqueeze(-1)) for vector in real]
    resting: list[Vector] = [
        _each(vector, lambda x: x * torch.ones_like(tables.phi_in_steps[:1])) for vector in real
    ]
    if sampling.turns_domains:
        rows = _domain_rotations(setup, tables, turning)
        turned = [rot_mat(vector, rows) for vector in turned]
        resting = [rot_mat(vector, rows) for vector in resting]
    zeros = torch.zeros(
        (sampling.phi.count, sampling.mosaic_domains),
        dtype=torch.float64,
        device=tables.phi_in_steps.device,
    )
    a, b, c = (_each(vector, lambda x: (x + zeros).flatten()) for vector in turned)
    if not setup.first_loop_differs:
        return Cells(a, b, c), None
    start_a, start_b, start_c = resting
    return Cells(a, b, c), Cells(start_a, start_b, start_c)


def _each(vector: Vector, change: Callable[[Scalar], Tensor]) -> Vector:
    x, y, z = (change(component) for component in vector)
    return x, y, z


def _domain_rotations(setup: Setup, tables: Tables, turning: Turning) -> Matrix:
    """Matrices of the domains, entries of shape (domains,); the first has the angle 0 unless they
    are given (model 5.3).

    With a live spread the angles are those of the configured spread, in proportion.  A spread that
    is configured has angles rounded to float32 (model 7.2), which no smooth function has: the two
    agree where they are the same spread, and to 2^-22 of each angle elsewhere.  Angles that are
    given are those of the factor 1.
    """
    angles = tables.domain_angles
    if turning.mosaic_spread is not None:
        angles = turning.mosaic_spread * (angles / (setup.sampling.mosaic_spread_rad or 1.0))
    return rotation_about(tables.domain_axes, angles)
