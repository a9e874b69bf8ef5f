"""Shape transforms against sums over cells, their limits, and their derivatives there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from with_torch import torch

from nanobragg_hybrid.engines.torch.arithmetic.interference import sincg, sincg_squared
from nanobragg_hybrid.engines.torch.arithmetic.shapes import (
    gauss_amplitude,
    sinc3,
    tophat_amplitude,
)

WHOLE = [1.0, 2.0, 5.0, 8.0, 31.0]


def _double(values: object) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


def _sum_over_cells(h: np.ndarray, n: int) -> np.ndarray:
    """|sum of exp(2 pi i h j)|^2 over n cells, from cosines: n + 2 sum (n - m) cos(2 pi m h)."""
    m = np.arange(1, n)
    return n + 2.0 * ((n - m) * np.cos(2.0 * math.pi * np.multiply.outer(h, m))).sum(-1)


def _slope(h: np.ndarray, n: int) -> np.ndarray:
    m = np.arange(1, n)
    phase = 2.0 * math.pi * np.multiply.outer(h, m)
    return -4.0 * math.pi * (m * (n - m) * np.sin(phase)).sum(-1)


@pytest.mark.parametrize("n", WHOLE)
def test_sincg_is_the_formula_but_at_zero(n: float) -> None:
    """At other whole h the formula has lost its digits, which recorded images share: -1386.8
    instead of -1000 for 1000 cells at h = -3."""
    whole = [-3.0, -2.0, -1.0, 1.0, 2.0, 7.0]
    need = [math.sin(math.pi * h * n) / math.sin(math.pi * h) for h in whole]
    assert sincg(_double(whole), n).tolist() == pytest.approx(need, rel=1e-12)
    assert float(sincg(_double([0.0]), n)[0]) == n
    squared = sincg_squared(_double(whole), _double(whole), n, torch.float64)
    assert squared.tolist() == pytest.approx([x * x for x in need], rel=1e-12)
    single = sincg_squared(_double(whole), _double(whole), n, torch.float32)
    assert single.tolist() == [n * n] * len(whole)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("n", [2, 5, 12])
def test_square_is_the_sum_over_cells(n: int, dtype: torch.dtype) -> None:
    h = np.random.default_rng(1).uniform(-20.0, 20.0, 500)
    got = sincg_squared(_double(h), torch.round(_double(h)), float(n), dtype).numpy()
    assert got.dtype == (np.float64 if dtype is torch.float64 else np.float32)
    # Close to whole indices the float64 formula, which is the model's, loses digits.
    tolerance = 1e-10 if dtype is torch.float64 else 3e-6
    assert np.abs(got - _sum_over_cells(h, n)).max() < tolerance * n * n


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("n", [2, 5, 12])
def test_derivative_of_the_square(n: int, dtype: torch.dtype) -> None:
    """Everywhere, and close to maxima on both sides of where the series begins."""
    generator = np.random.default_rng(2)
    near = generator.integers(-9, 9, 200) + generator.choice([-1, 1], 200) * np.logspace(
        -12, -1, 200
    )
    at = np.concatenate([generator.uniform(-9.0, 9.0, 200), near, [0.0, 3.0, -2.0]])
    h = _double(at).requires_grad_()
    squared = sincg_squared(h, torch.round(h.detach()), float(n), dtype)
    (gradient,) = torch.autograd.grad(squared.sum(), h)
    steepest = np.abs(_slope(np.linspace(0.0, 1.0, 2001), n)).max()
    tolerance = 1e-12 if dtype is torch.float64 else 1e-5
    assert np.abs(gradient.numpy() - _slope(at, n)).max() < tolerance * steepest
    assert (gradient[-3:].abs() < 1e-12 * steepest).all()


@pytest.mark.parametrize("n", [3.0, 4.3])
def test_derivative_with_respect_to_the_number_of_cells(n: float) -> None:
    h = np.random.default_rng(3).uniform(0.1, 0.9, 50)
    number = _double(n).requires_grad_()
    squared = sincg_squared(_double(h), torch.round(_double(h)), number, torch.float64)
    (gradient,) = torch.autograd.grad(squared.sum(), number)
    wanted = math.pi * h * np.sin(2.0 * math.pi * h * n) / np.sin(math.pi * h) ** 2
    assert float(gradient) == pytest.approx(wanted.sum(), rel=1e-12)


@pytest.mark.parametrize("n", [3.0, 4.3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_no_derivative_is_nan_at_whole_indices(n: float, dtype: torch.dtype) -> None:
    h = _double([-2.0, 0.0, 1.0, 40.0]).requires_grad_()
    number = _double(n).requires_grad_()
    for count in (n, number):
        squared = sincg_squared(h, torch.round(h.detach()), count, dtype)
        assert torch.isfinite(squared).all()
        squared.sum().backward()
    assert h.grad is not None
    assert number.grad is not None
    assert torch.isfinite(h.grad).all()
    assert torch.isfinite(number.grad)


def test_sphere_at_its_centre() -> None:
    square = _double([0.0]).requires_grad_()
    value = sinc3(square)
    (gradient,) = torch.autograd.grad(value.sum(), square)
    assert float(value.detach()) == 1.0
    assert float(gradient) == pytest.approx(-(math.pi**2) / 10.0, rel=1e-15)


def test_sphere_against_its_series_and_gradcheck() -> None:
    x2 = np.logspace(-3, -1, 20)
    wanted = 1.0 - x2 / 10.0 + x2**2 / 280.0 - x2**3 / 15120.0 + x2**4 / 1330560.0
    got = sinc3(_double(x2 / math.pi**2)).numpy()
    assert np.abs(got - wanted).max() < 1e-12
    square = _double([0.001, 0.009, 0.0092, 0.05, 0.7, 3.0]).requires_grad_()
    assert torch.autograd.gradcheck(sinc3, square, eps=1e-6, atol=1e-7)


def test_sphere_of_a_negative_square_is_nan() -> None:
    assert math.isnan(float(sinc3(_double([-1.0]))))


def test_gauss_and_tophat() -> None:
    square = _double([0.0, 0.39, 0.4])
    assert gauss_amplitude(square, 8.0, 2.0)[1] == pytest.approx(8.0 * math.exp(-0.78 / 0.63))
    assert tophat_amplitude(square, 8.0, 1.0).tolist() == [8.0, 8.0, 0.0]
    assert tophat_amplitude(square, 8.0, 2.0).tolist() == [8.0, 0.0, 0.0]
