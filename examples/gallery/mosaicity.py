"""Mosaicity of 0.1, 1 and 4 degrees: spots become arcs about the beam's centre."""

from __future__ import annotations

import sys

import numpy as np

import nanobragg_hybrid as nb
from nanobragg_hybrid.compare.pictures import grey

factors = nb.read_hkl(nb.data_path("demo.hkl"))
pictures = []
for spread in (0.1, 1.0, 4.0):
    experiment = nb.Experiment(
        crystal=nb.Crystal(
            cell_angstrom=(30, 34, 38),
            n_cells=(8, 8, 8),
            misset_deg=(22, 2, -3),
            shape="gauss_hkl",
            mosaic_spread_deg=spread,
            mosaic_domains=100,
        ),
        detector=nb.Detector(distance_mm=110, pixel_size_mm=0.4, n_fast=200, n_slow=200),
        sampling=nb.Sampling(oversample=1),
    )
    pictures.append(grey(nb.simulate(experiment, factors).image))
nb.write_png(sys.argv[1], np.hstack(pictures))
