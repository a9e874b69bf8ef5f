"""The derivative of each pixel by the crystal's rotation about the beam: red up, blue down."""

from __future__ import annotations

import sys

import numpy as np
import torch

import nanobragg_hybrid as nb

experiment = nb.Experiment(
    crystal=nb.Crystal(
        cell_angstrom=(30, 34, 38), n_cells=(6, 6, 6), misset_deg=(22, 2, -3), shape="gauss_hkl"
    ),
    detector=nb.Detector(distance_mm=85, pixel_size_mm=0.4, n_fast=200, n_slow=200),
    sampling=nb.Sampling(oversample=1),
)
model = nb.ForwardModel(experiment, nb.read_hkl(nb.data_path("demo.hkl")))
angles = model.initial("crystal.misset_deg")
about_the_beam = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
_, change = torch.func.jvp(
    lambda value: model({"crystal.misset_deg": value}), (angles,), (about_the_beam,)
)
values = change.numpy() / np.quantile(np.abs(change.numpy()), 0.995)
depth = np.sqrt(np.clip(np.abs(values), 0, 1))[..., None]
colour = np.where(values[..., None] > 0, [0, 255, 255], [255, 255, 0])  # what ink takes away
nb.write_png(sys.argv[1], (255 - depth * colour).astype(np.uint8))
