"""Four panels around the beam, turned against each other, put in their places."""

from __future__ import annotations

import sys

import numpy as np

import nanobragg_hybrid as nb
from nanobragg_hybrid.compare.pictures import grey

panels = []
for n in range(4):
    angle = np.radians(90 * n + 5)
    across = np.array([0.0, np.sin(angle), np.cos(angle)])  # x is along the beam
    along = np.array([0.0, -np.cos(angle), np.sin(angle)])
    corner = np.array([80.0, 0.0, 0.0]) + 2.0 * across - 12.0 * along
    panels.append(
        nb.Panel(
            name=f"quadrant{n}",
            origin_mm=tuple(corner),
            fast_axis=tuple(across),
            slow_axis=tuple(along),
            n_fast=150,
            n_slow=190,
            pixel_size_mm=0.2,
        )
    )
experiment = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(30, 34, 38), n_cells=(6, 6, 6), misset_deg=(22, 2, -3)),
    detector=nb.Detector(panels=tuple(panels)),
    sampling=nb.Sampling(oversample=1),
)
result = nb.simulate(experiment, nb.read_hkl(nb.data_path("demo.hkl")))
nb.write_png(sys.argv[1], grey(np.nan_to_num(nb.assembled_image(result).pixels)))
