"""The crystal's orientations during the exposure: model 5.3, 6.4 and 6.5."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nanobragg_hybrid.base.units import deg_to_rad
from nanobragg_hybrid.engines.torch.inputs import Inputs
from nanobragg_hybrid.engines.torch.lattice import Lattice
from nanobragg_hybrid.engines.torch.scalars import Scalar
from nanobragg_hybrid.engines.torch.scene import Cells
from nanobragg_hybrid.engines.torch.setup import Setup
from nanobragg_hybrid.engines.torch.tables import Tables
from nanobragg_hybrid.engines.torch.vectors import Matrix, Vector, rot_axis, rot_mat, rotation_about


def orientations(
    setup: Setup, tables: Tables, inputs: Inputs, cell: Lattice, spindle: Vector
) -> tuple[Cells, Cells | None]:
    """Cell vectors for every phi step and domain, and for every domain without phi."""
    phi0 = deg_to_rad(inputs.number("goniometer.phi_deg"))
    sampling = setup.sampling
    step: Scalar = sampling.phi.step
    if inputs.is_live("goniometer.osc_deg") and sampling.phi.range_given:
        step = sampling.phi.step_of(deg_to_rad(inputs.number("goniometer.osc_deg")))
    angles = phi0 + step * tables.phi_in_steps
    real = (cell.a0, cell.b0, cell.c0)
    turned = [rot_axis(vector, spindle, angles.unsqueeze(-1)) for vector in real]
    resting: list[Vector] = [
        _each(vector, lambda x: x * torch.ones_like(tables.phi_in_steps[:1])) for vector in real
    ]
    if sampling.mosaic_domains > 1:
        rows = _domain_rotations(setup, tables, inputs)
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


def _domain_rotations(setup: Setup, tables: Tables, inputs: Inputs) -> Matrix:
    """Matrices of the domains, entries of shape (domains,); the first has the angle 0
    (model 5.3).

    With a tensor for the spread the angles are those of the configured spread, in proportion.
    """
    angles = tables.domain_angles
    if inputs.is_live("crystal.mosaic_spread_deg"):
        live = deg_to_rad(inputs.number("crystal.mosaic_spread_deg"))
        angles = live * (angles / setup.sampling.mosaic_spread_rad)
    return rotation_about(tables.domain_axes, angles)
