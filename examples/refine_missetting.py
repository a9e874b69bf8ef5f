"""Refine a crystal's missetting from one noisy image, by the derivatives of the image.

usage: python examples/refine_missetting.py [DEGREES]

The C engine renders a short rotation image of a small crystal and adds Poisson noise.  Refinement
starts DEGREES (default 0.3) away from the truth and has to come back.  It needs PyTorch (the extra
`torch`).
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

TRUE_MISSET_DEG = (12.0, 34.0, 56.0)
DIRECTION = (2 / 3, -1 / 3, 2 / 3)

# Narrow spots know the orientation well, but only from nearby: a spot that has left its position on
# the detector, or the reflecting position, overlaps no more with the one in the data, and the
# derivative of their difference says nothing about the way back.  A crystal of N cells has spots
# 1/N wide in h, and a turn by an angle moves h by up to h times that angle: 0.3 degrees move h = 12
# by 0.06, most of the width at N = 12.  So the first stages compare blurred data with a crystal of
# fewer cells, whose spots are wider both on the detector and across the reflecting position.
STAGES = ((4.0, 2.5), (7.0, 1.2), (12.0, 0.0))
"""Cells along each edge, and the blur of the data in pixels."""


def experiment() -> nb.Experiment:
    """The experiment as it was done."""
    return nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0, fluence_photons_per_m2=1e28),
        crystal=nb.Crystal(
            cell_angstrom=(38, 43, 51),
            cell_deg=(90, 104, 90),
            misset_deg=TRUE_MISSET_DEG,
            n_cells=(12, 12, 12),
            water_um=0.5,
        ),
        goniometer=nb.Goniometer(osc_deg=0.5, phi_steps=5, phi_deg=20.0),
        detector=nb.Detector(distance_mm=90, pixel_size_mm=0.5, n_fast=128, n_slow=128),
        sampling=nb.Sampling(oversample=1),
    )


def structure_factors() -> nb.StructureFactors:
    """Invented amplitudes, distributed as those of a crystal without a centre of symmetry."""
    amplitudes = np.random.default_rng(1).rayleigh(100.0, (51, 51, 51))
    return nb.StructureFactors.from_grid(amplitudes, (-25, -25, -25), default_f=0.0)


def blurred(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """The image (slow, fast) folded with a Gaussian of `sigma` pixels."""
    if sigma == 0.0:
        return image
    reach = round(3 * sigma)
    offset = torch.arange(-reach, reach + 1, dtype=image.dtype)
    profile = torch.exp(-0.5 * (offset / sigma) ** 2)
    profile = profile / profile.sum()
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        kernel = profile.reshape(shape)
        image = torch.nn.functional.conv2d(image[None, None], kernel, padding="same")[0, 0]
    return image


def misfit(model_image: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """1 minus the squared correlation: a least-squares fit with scale and background solved."""
    x, y = model_image - model_image.mean(), data - data.mean()
    return 1.0 - (x * y).sum() ** 2 / ((x * x).sum() * (y * y).sum())


def poisson(model_image: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Minus the logarithm of the Poisson likelihood, per pixel."""
    return (model_image - data * torch.log(model_image + 1e-6)).mean()


def refine(model: ForwardModel, data: torch.Tensor, start_deg: torch.Tensor) -> torch.Tensor:
    """The missetting angles, degrees, that explain the data; prints a line for every stage."""
    misset = start_deg.clone().requires_grad_()
    truth = torch.tensor(TRUE_MISSET_DEG, dtype=torch.float64)
    print(f"{'cells':>5} {'blur, px':>8} {'images':>6} {'loss':>12} {'off by, deg':>11}")
    for cells, sigma in STAGES:
        target = blurred(data, sigma)
        n_cells = torch.full((3,), cells, dtype=torch.float64)
        loss_of = poisson if sigma == 0.0 else misfit
        optimizer = torch.optim.LBFGS([misset], max_iter=30, line_search_fn="strong_wolfe")
        losses: list[float] = []

        def closure() -> torch.Tensor:
            optimizer.zero_grad()  # noqa: B023 (called at once)
            image = model({"crystal.misset_deg": misset, "crystal.n_cells": n_cells})  # noqa: B023
            loss = loss_of(image, target)  # noqa: B023
            loss.backward()
            losses.append(loss.item())  # noqa: B023
            return loss

        optimizer.step(closure)
        off = float(torch.linalg.vector_norm(misset.detach() - truth))
        print(f"{cells:5.0f} {sigma:8.1f} {len(losses):6d} {min(losses):12.6f} {off:11.5f}")
    return misset.detach()


def main(degrees: float) -> None:
    # one sample a pixel is all that truth and model have here
    warnings.filterwarnings("ignore", category=nb.SetupWarning)
    truth = experiment()
    factors = structure_factors()
    noise = nb.noise_image(nb.simulate(truth, factors), seed=1)
    data = torch.from_numpy(noise.pixels.astype(np.float64) - truth.output.adc_offset)
    print(f"data: {noise.photons:.0f} photons, at most {data.max():.0f} in a pixel")

    start = torch.tensor(TRUE_MISSET_DEG, dtype=torch.float64)
    start = start + degrees * torch.tensor(DIRECTION, dtype=torch.float64)
    found = refine(ForwardModel(truth, factors), data, start)
    off = float(torch.linalg.vector_norm(found - torch.tensor(TRUE_MISSET_DEG)))
    print("misset_deg: " + " ".join(f"{angle:.4f}" for angle in found.tolist()))
    print(f"off by {off:.5f} deg")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.3)
