"""Stages that bring an orientation near enough for its narrow spots to overlap with the data.

The derivative of a misfit points home only while a spot of the model overlaps with its partner in
the data.  A turn by an angle moves a reflection at the scattering vector q by |q| times the angle,
and its spot is as wide as one over the size of the crystal: so the first stages fit orientation and
scale of a smaller crystal, and each of the next one twice as large.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nanobragg_hybrid.fitting.likelihoods import Array
from nanobragg_hybrid.fitting.pixels import Indices

if TYPE_CHECKING:
    from nanobragg_hybrid.engines.torch.set_up.detector import DetectorGeometry


def typical_scattering_vector(
    geometry: DetectorGeometry, wavelength_m: float, slow: Indices, fast: Indices
) -> float:
    """|q|, 1/angstrom, of the pixels in the mean; of a flat detector."""
    pix0, fast_axis, slow_axis, beam = (
        np.array([float(x) for x in vector])
        for vector in (geometry.pix0, geometry.fast, geometry.slow, geometry.beam)
    )
    width, height = float(geometry.pixel), float(geometry.pixel_slow)
    along = width * (fast + 0.5)[:, None] * fast_axis + height * (slow + 0.5)[:, None] * slow_axis
    place = pix0 + along
    direction = place / np.linalg.norm(place, axis=1)[:, None]
    q = np.linalg.norm(direction - beam, axis=1) / wavelength_m
    return float(q.mean()) * 1e-10


def capture_sizes(
    n_cells: Array,
    cell_angstrom: Array,
    angle_deg: float,
    q: float,
    *,
    in_reciprocal_lengths: bool = False,
) -> tuple[Array, ...]:
    """The numbers of cells along a, b, c for each stage, from small to large, without the last.

    n_cells: of the crystal.  cell_angstrom: lengths.  angle_deg: how far off the orientation may
    be.  q: typical scattering vector, 1/angstrom.  in_reciprocal_lengths: the shape's spots have a
    width of 1 / (Na Nb Nc) in 1/angstrom, not of 1 / N in h, k and l (model 6.5).

    No number goes below 2, since one cell has no spots, or with in_reciprocal_lengths below 1.
    """
    shift = q * math.radians(angle_deg)  # 1/angstrom
    sizes: list[Array] = []
    size = 0.5 / shift if shift > 0.0 else math.inf
    while True:
        if in_reciprocal_lengths:
            smaller = np.maximum(n_cells * (size / np.prod(n_cells)) ** (1.0 / 3.0), 1.0)
            is_last = bool(size * 1.5 >= np.prod(n_cells))
        else:
            smaller = np.minimum(np.maximum(np.round(size / cell_angstrom), 2.0), n_cells)
            is_last = bool(np.all(smaller * 1.5 >= n_cells))
        if is_last:
            return tuple(sizes)
        sizes.append(smaller)
        size *= 2.0
