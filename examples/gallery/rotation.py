"""Three degrees of rotation in 30 steps: the lunes of a rotation image."""

from __future__ import annotations

import sys

import nanobragg_hybrid as nb
from nanobragg_hybrid.compare.pictures import grey

experiment = nb.Experiment(
    crystal=nb.Crystal(
        cell_angstrom=(30, 34, 38),
        n_cells=(16, 14, 12),
        misset_deg=(22, 2, -3),
        shape="gauss_hkl",
        mosaic_spread_deg=0.25,
        mosaic_domains=4,
    ),
    goniometer=nb.Goniometer(phi_deg=1, osc_deg=3, phi_steps=30),
    detector=nb.Detector(distance_mm=100, pixel_size_mm=0.2, n_fast=400, n_slow=400),
    sampling=nb.Sampling(oversample=1),
)
result = nb.simulate(experiment, nb.read_hkl(nb.data_path("demo.hkl")))
nb.write_png(sys.argv[1], grey(result.image))
