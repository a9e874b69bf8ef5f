"""What a CCD reads out: spots, the ring of water, point spread, photon and read-out noise."""

from __future__ import annotations

import sys

import nanobragg_hybrid as nb
from nanobragg_hybrid.compare.pictures import grey

experiment = nb.Experiment(
    beam=nb.Beam(fluence_photons_per_m2=3e24),
    crystal=nb.Crystal(
        cell_angstrom=(30, 34, 38),
        n_cells=(40, 40, 40),
        misset_deg=(22, 2, -3),
        shape="gauss_hkl",
        mosaic_spread_deg=0.8,
        mosaic_domains=60,
    ),
    detector=nb.Detector(distance_mm=100, pixel_size_mm=0.25, n_fast=320, n_slow=320),
    background=nb.Background(scatterers=(nb.water_scatterer(3e-11),)),
    response=nb.ccd_response(seed=1),
    sampling=nb.Sampling(oversample=1),
)
result = nb.simulate(experiment, nb.read_hkl(nb.data_path("demo.hkl")))
nb.write_png(sys.argv[1], grey(result.counts - 40.0, brightest=90.0))
