"""A still with a beam of 4 % bandwidth: spots are drawn out along the radius."""

from __future__ import annotations

import sys

import nanobragg_hybrid as nb
from nanobragg_hybrid.compare.pictures import grey

experiment = nb.Experiment(
    beam=nb.Beam(spectrum=nb.Spectrum.gaussian(centre_ev=12398.42, fwhm_ev=500, nodes=41)),
    crystal=nb.Crystal(
        cell_angstrom=(30, 34, 38), n_cells=(8, 7, 6), misset_deg=(22, 2, -3), shape="gauss_hkl"
    ),
    detector=nb.Detector(distance_mm=100, pixel_size_mm=0.25, n_fast=320, n_slow=320),
    sampling=nb.Sampling(oversample=1),
)
result = nb.simulate(experiment, nb.read_hkl(nb.data_path("demo.hkl")))
nb.write_png(sys.argv[1], grey(result.image))
