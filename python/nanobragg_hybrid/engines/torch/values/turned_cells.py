"""The cells of all orientations with their derivatives, in numpy: model 5.3, 6.4 and 6.5.

The same as `orientations`, for one set of numbers: every cell is M (a, b, c) with M = D R, R the
rotation of its phi step and D that of its domain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanobragg_hybrid.engines.torch.arithmetic.axis_rotations import (
    Array,
    AxisRotations,
    matrices_about,
    slopes_by_angle,
    turned_about,
    turned_by,
)
from nanobragg_hybrid.engines.torch.arithmetic.vectors import as_tensor
from nanobragg_hybrid.engines.torch.set_up.setup import Setup
from nanobragg_hybrid.engines.torch.set_up.tables import Tables


@dataclass(frozen=True, slots=True, eq=False)
class TurningNumbers:
    """Derivatives (or tangents, with one more dimension in front) by what turns the crystal.

    spindle: shape (3,).  phi_start, phi_step, mosaic_spread: shape ().
    """

    spindle: Array
    phi_start: Array
    phi_step: Array
    mosaic_spread: Array


class CellTables:
    """What does not change with values: phi steps and domains."""

    def __init__(self, setup: Setup, tables: Tables) -> None:
        self.phi_in_steps: Array = tables.phi_in_steps.numpy()
        self.has_domains = setup.sampling.turns_domains
        self.has_run_start = setup.first_loop_differs
        self.axes: Array = np.stack(
            [as_tensor(axis).numpy() for axis in tables.domain_axes], axis=-1
        )
        self.configured: Array = tables.domain_angles.numpy()
        spread = setup.sampling.mosaic_spread_rad
        self.proportions = self.configured / spread if spread > 0.0 else self.configured
        self.rotations = matrices_about(self.axes, self.configured)


class TurnedCells:
    """Cells for a, b, c (real, shape (3, 3): a vector a row, metres), a spindle axis, angles in
    radians; mosaic_spread: None for the configured angles.

    cells: shape (phi steps x domains, 9).  run_start: the same for each domain without phi, or
    None.
    """

    def __init__(
        self,
        tables: CellTables,
        real: Array,
        spindle: Array,
        phi_start: float,
        phi_step: float,
        mosaic_spread: float | None,
    ) -> None:
        self._tables = tables
        self._real = real
        self._spindle = spindle
        self._phi = phi_start + phi_step * tables.phi_in_steps
        self._turned = turned_about(real, spindle, self._phi[:, None])
        self._domain_angles = tables.configured
        self._domains = tables.rotations
        if mosaic_spread is not None:
            self._domain_angles = mosaic_spread * tables.proportions
            self._domains = matrices_about(tables.axes, self._domain_angles)
        self.cells = self._in_domains(self._turned)
        self.run_start = self._in_domains(real[None]) if tables.has_run_start else None

    def _in_domains(self, vectors: Array) -> Array:
        """Cells of vectors of shape (n, 3, 3) in each domain, shape (n x domains, 9)."""
        if not self._tables.has_domains:
            return vectors.reshape(-1, 9).copy()
        return turned_by(vectors[:, None], self._domains[None, :, None]).reshape(-1, 9)

    def gradient(
        self, by_cells: Array, by_run_start: Array | None, *, turns: bool
    ) -> tuple[Array, TurningNumbers | None]:
        """By a, b, c, shape (3, 3), and by what turns them if that is asked for."""
        domains = len(self._domains) if self._tables.has_domains else 1
        cells = by_cells.reshape(-1, domains, 3, 3)
        before = self._before_domains(cells)
        phi = AxisRotations(self._spindle, self._phi)
        by_real: Array = (before @ phi.matrices()).sum(axis=0)
        products = [] if not turns else [np.einsum("pvj,pdvi->dji", self._turned, cells)]
        if by_run_start is not None:
            start = by_run_start.reshape(1, domains, 3, 3)
            by_real += self._before_domains(start)[0]
            if turns:
                products.append(np.einsum("vj,dvi->dji", self._real, start[0]))
        if not turns:
            return by_real, None
        of_phi = self._real.T @ before
        by_phi = phi.gradient_by_angles(of_phi)
        slopes = slopes_by_angle(self._tables.axes, self._domain_angles)[:domains]
        by_angle = np.einsum("dji,dij->d", sum(products), slopes)
        return by_real, TurningNumbers(
            phi.gradient_by_axis(of_phi),
            by_phi.sum(),
            by_phi @ self._tables.phi_in_steps,
            by_angle @ self._tables.proportions[:domains],
        )

    def _before_domains(self, gradient: Array) -> Array:
        """The gradient by what the domains turned, from that by (n, domains, 3, 3)."""
        if not self._tables.has_domains:
            return gradient[:, 0]
        before: Array = (gradient @ self._domains[None]).sum(axis=1)
        return before

    def matrices(self) -> tuple[Array, Array | None]:
        """M of each cell, shape (orientations, 3, 3), and of each cell without phi."""
        phi = AxisRotations(self._spindle, self._phi).matrices()
        if not self._tables.has_domains:
            return phi, np.eye(3)[None] if self._tables.has_run_start else None
        start = self._domains if self._tables.has_run_start else None
        return (self._domains[None] @ phi[:, None]).reshape(-1, 3, 3), start

    def tangents(self, by: TurningNumbers) -> tuple[Array, Array | None]:
        """Of cells, shape (p, orientations, 9), and run_start for a, b, c at rest."""
        tables = self._tables
        by_phi = by.phi_start[:, None] + by.phi_step[:, None] * tables.phi_in_steps
        phi = AxisRotations(self._spindle, self._phi)
        turned = self._real @ np.swapaxes(phi.tangents(by.spindle, by_phi), 2, 3)
        if not tables.has_domains:
            start = np.zeros((len(turned), 1, 9)) if tables.has_run_start else None
            return turned.reshape(len(turned), -1, 9), start
        by_angle = by.mosaic_spread[:, None] * tables.proportions
        slopes = slopes_by_angle(tables.axes, self._domain_angles)
        domains = np.swapaxes(by_angle[:, :, None, None] * slopes, 2, 3)
        cells = turned[:, :, None] @ np.swapaxes(self._domains, 1, 2)
        cells += self._turned[None, :, None] @ domains[:, None]
        start = self._real @ domains if tables.has_run_start else None
        count = len(turned)
        return (
            cells.reshape(count, -1, 9),
            None if start is None else start.reshape(count, -1, 9),
        )
