"""A spot of each crystal shape: square, round, gauss; tophat, and both as functions of h, k, l."""

from __future__ import annotations

import sys

import numpy as np

import nanobragg_hybrid as nb
from nanobragg_hybrid.compare.pictures import grey

pictures = []
for shape in ("square", "round", "gauss", "tophat", "gauss_hkl", "tophat_hkl"):
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(60, 60, 60), n_cells=(6, 6, 6), shape=shape),
        detector=nb.Detector(
            distance_mm=1000,
            pixel_size_mm=0.2,
            n_fast=130,
            n_slow=130,
            convention="xds",
            org_x_px=-18,
            org_y_px=65.5,
        ),
        sampling=nb.Sampling(oversample=1),
    )
    image = nb.simulate(experiment, nb.StructureFactors.constant(100.0)).image
    pictures.append(grey(image, brightest=float(image.max()) / 4))
nb.write_png(sys.argv[1], np.vstack([np.hstack(pictures[:3]), np.hstack(pictures[3:])]))
