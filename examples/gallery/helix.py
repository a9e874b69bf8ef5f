"""From an atomic model: the still of a crystal of helices, with structure factors of its atoms."""

from __future__ import annotations

import sys

import nanobragg_hybrid as nb
from nanobragg_hybrid.compare.pictures import grey

factors = nb.structure_factors_from_model(nb.data_path("helix.pdb"), d_min_angstrom=1.5)
experiment = nb.Experiment(
    crystal=nb.Crystal(
        cell_angstrom=(42, 42, 38), n_cells=(7, 7, 7), misset_deg=(10, 20, 30), shape="gauss_hkl"
    ),
    goniometer=nb.Goniometer(osc_deg=2, phi_steps=10),
    detector=nb.Detector(distance_mm=90, pixel_size_mm=0.3, n_fast=320, n_slow=320),
    sampling=nb.Sampling(oversample=1),
)
nb.write_png(sys.argv[1], grey(nb.simulate(experiment, factors).image))
