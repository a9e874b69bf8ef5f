"""Values and derivatives where most steps are dark: the compiled kernels skip those that are 0."""

from __future__ import annotations

import numpy as np
import pytest
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

NAMES = (
    "crystal.cell_angstrom",
    "crystal.misset_deg",
    "crystal.n_cells",
    "crystal.shape_fudge",
    "detector.distance_mm",
    "beam.wavelength_angstrom",
    "structure_factors.default_f",
    "beam.fluence_photons_per_m2",
)


def image_and_gradient(
    shape: str, kernel: str, dtype: str, *, has_table: bool, quirks: nb.Quirks
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Of a weighted sum of the pixels."""
    is_in_hkl = shape.endswith("_hkl")
    experiment = nb.Experiment(
        beam=nb.Beam(
            wavelength_angstrom=1.2,
            dispersion_percent=1.0,
            dispersion_steps=2,
            fluence_photons_per_m2=1e24,
        ),
        crystal=nb.Crystal(
            cell_angstrom=(40, 50, 60),
            cell_deg=(75, 85, 95),
            misset_deg=(10, 20, 30),
            n_cells=(12, 10, 8) if is_in_hkl else (7, 8, 6),
            shape=shape,
            mosaic_spread_deg=0.3,
            mosaic_domains=3,
        ),
        goniometer=nb.Goniometer(phi_deg=1, osc_deg=1, phi_steps=2),
        detector=nb.Detector(distance_mm=80, pixel_size_mm=1.0, n_fast=16, n_slow=16),
        sampling=nb.Sampling(oversample=1, oversample_polar=True),
    )
    factors = nb.StructureFactors.constant(100.0)
    if has_table:
        grid = np.random.default_rng(0).uniform(10.0, 100.0, (21, 21, 21))
        factors = nb.StructureFactors(grid=grid, hkl_min=(-10, -10, -10), default_f=3.0)
    model = ForwardModel(experiment, factors, quirks, dtype, kernel=kernel)
    listed = {each.name for each in model.parameters()}
    values = {name: model.initial(name).requires_grad_() for name in NAMES if name in listed}
    image = model(values)
    weight = torch.linspace(0.5, 1.5, image.numel(), dtype=image.dtype).reshape(image.shape)
    (image * weight).sum().backward()
    return image.detach().double(), {name: x.grad for name, x in values.items()}


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("has_table", [False, True])
@pytest.mark.parametrize("shape", ["round", "gauss", "tophat", "gauss_hkl", "tophat_hkl"])
def test_compiled_is_eager(shape: str, *, has_table: bool, runs: bool) -> None:
    """Without and with a running product, of which every step counts."""
    quirks = nb.Quirks(oversample_running_product=runs)
    own = {"has_table": has_table, "quirks": quirks}
    image, gradient = image_and_gradient(shape, "eager", "float64", **own)
    assert float(image.max()) > 0.0
    for dtype, of_image, of_gradient in (("float64", 1e-13, 1e-11), ("float32", 1e-6, 1e-4)):
        found, by = image_and_gradient(shape, "compiled", dtype, **own)
        assert torch.linalg.norm(found - image) <= of_image * torch.linalg.norm(image)
        for name, need in gradient.items():
            error = torch.linalg.norm(by[name] - need)
            assert error <= of_gradient * torch.linalg.norm(need), name
