"""A still of a small perfect crystal: every spot has the fringes of 8 x 7 x 6 unit cells."""

from __future__ import annotations

import sys

import nanobragg_hybrid as nb
from nanobragg_hybrid.compare.pictures import grey

experiment = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(30, 34, 38), n_cells=(8, 7, 6), misset_deg=(22, 2, -3)),
    detector=nb.Detector(distance_mm=60, pixel_size_mm=0.15, n_fast=400, n_slow=400),
    sampling=nb.Sampling(oversample=1),
)
result = nb.simulate(experiment, nb.read_hkl(nb.data_path("demo.hkl")))
nb.write_png(sys.argv[1], grey(result.image))
