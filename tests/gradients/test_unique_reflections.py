"""Derivatives by unique reflections: equivalents tied, Friedel mates tied or apart."""

from __future__ import annotations

import numpy as np
from crystals import crystal
from for_each import for_each
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

GRID = "structure_factors.grid"
EXPERIMENT = nb.Experiment(
    beam=nb.Beam(wavelength_angstrom=1.0, fluence_photons_per_m2=1e20),
    crystal=nb.Crystal(
        cell_angstrom=(8, 8, 9), n_cells=(2, 2, 2), misset_deg=(10, 20, 30), shape="gauss"
    ),
    detector=nb.Detector(distance_mm=20, pixel_size_mm=2.0, n_fast=12, n_slow=12),
    sampling=nb.Sampling(oversample=1, interpolate=False),
)


def table(anomalous: bool) -> nb.StructureFactors:
    return nb.structure_factors_from_model(
        crystal("P 41"),
        d_min_angstrom=1.2,
        wavelength_angstrom=1.0 if anomalous else None,
        k_sol_electrons_per_angstrom3=0.0,
    )


def unique_values(factors: nb.StructureFactors) -> np.ndarray:
    return factors.grid[tuple((factors.unique.hkl - np.array(factors.hkl_min)).T)]


@for_each("anomalous", [True, False])
@for_each("kernel", ["auto", "eager"])
def test_gradients_are_difference_quotients(anomalous: bool, kernel: str) -> None:
    factors = table(anomalous)
    unique = factors.unique
    model = ForwardModel(EXPERIMENT, factors, kernel=kernel)
    weights = torch.from_numpy(np.random.default_rng(1).random((12, 12)))
    values = torch.from_numpy(unique_values(factors)).requires_grad_()

    def figure(amplitudes: torch.Tensor) -> torch.Tensor:
        return (weights * model({GRID: unique.expand(amplitudes)})).sum()

    (gradient,) = torch.autograd.grad(figure(values), values)
    assert np.count_nonzero(gradient.numpy()) > 20
    strongest = gradient.abs().argsort(descending=True)[:6].tolist()
    for n in strongest:
        step = torch.zeros_like(values)
        step[n] = 1e-2 * float(values[n].detach())
        difference = figure(values.detach() + step) - figure(values.detach() - step)
        quotient = float(difference) / (2.0 * float(step[n]))
        # the image is quadratic in an amplitude: the central quotient is the derivative
        np.testing.assert_allclose(quotient, float(gradient[n]), rtol=1e-7)
    # the same from the derivative by the elements of the table, in numpy and in torch
    full = torch.from_numpy(np.array(factors.grid)).requires_grad_()
    (by_element,) = torch.autograd.grad((weights * model({GRID: full})).sum(), full)
    scale = float(gradient.abs().max())
    summed = unique.sum(by_element)
    assert isinstance(summed, torch.Tensor)
    np.testing.assert_allclose(summed.numpy(), gradient.numpy(), rtol=1e-9, atol=1e-12 * scale)
    in_numpy = unique.sum(by_element.numpy())
    np.testing.assert_allclose(in_numpy, gradient.numpy(), rtol=1e-9, atol=1e-12 * scale)


def test_mates_that_are_apart_have_derivatives_of_their_own() -> None:
    apart, tied = table(True), table(False)
    figures = {}
    for name, factors in (("apart", apart), ("tied", tied)):
        model = ForwardModel(EXPERIMENT, tied)
        values = torch.from_numpy(unique_values(tied))
        amplitudes = values[factors.unique.at(tied.unique.hkl) >= 0]
        if name == "apart":  # every mate with the amplitude of the other
            amplitudes = values[tied.unique.at(apart.unique.hkl)]
        amplitudes = amplitudes.clone().requires_grad_()
        image = model({GRID: factors.unique.expand(amplitudes)})
        (gradient,) = torch.autograd.grad(image.sum(), amplitudes)
        figures[name] = gradient.numpy()
    which = tied.unique.at(apart.unique.hkl)
    summed = np.bincount(which, weights=figures["apart"], minlength=len(tied.unique))
    np.testing.assert_allclose(summed, figures["tied"], rtol=1e-9, atol=1e-9 * summed.max())
    mates = apart.unique.at(-apart.unique.hkl)
    assert not np.allclose(figures["apart"], figures["apart"][mates])


def test_forward_mode_and_types() -> None:
    factors = table(False)
    unique = factors.unique
    values = torch.from_numpy(unique_values(factors))
    direction = torch.from_numpy(np.random.default_rng(2).random(len(unique)))
    _, tangent = torch.func.jvp(unique.expand, (values,), (direction,))
    assert torch.equal(tangent, unique.expand(direction))
    single = unique.expand(values.float(), 3.0)
    assert single.dtype == torch.float32
    expected = unique.expand(values.numpy().astype(np.float32), 3.0)
    assert expected.dtype == np.float32
    assert (single.numpy() == expected).all()
    assert unique.sum(single).dtype == torch.float32
