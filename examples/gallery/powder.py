"""Six hundred crystallites of random orientations: the rings of a powder, still made of spots."""

from __future__ import annotations

import sys

import numpy as np

import nanobragg_hybrid as nb
from nanobragg_hybrid.compare.pictures import grey

random = np.random.default_rng(3)
axes = random.normal(size=(600, 3))
vectors_deg = axes / np.linalg.norm(axes, axis=1)[:, None] * random.uniform(0, 180, (600, 1))
experiment = nb.Experiment(
    crystal=nb.Crystal(
        cell_angstrom=(16, 16, 16),
        n_cells=(10, 10, 10),
        shape="gauss_hkl",
        mosaic_rotations=nb.Rotations.from_vectors(vectors_deg),
    ),
    detector=nb.Detector(distance_mm=60, pixel_size_mm=0.5, n_fast=240, n_slow=240),
    sampling=nb.Sampling(oversample=1),
)
result = nb.simulate(experiment, nb.StructureFactors.constant(100.0))
nb.write_png(sys.argv[1], grey(result.image))
