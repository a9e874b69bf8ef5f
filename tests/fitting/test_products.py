"""The products of a Jacobian that a quadratic model is made of."""

from __future__ import annotations

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid.fitting.image_problem import products


@for_each("columns, pixels", [(12, 5000), (12, 1098), (0, 40), (150, 37), (150, 333)])
def test_products_are_those_of_whole_matrices(columns: int, pixels: int) -> None:
    """Of one block of pixels, of several, and of what is left behind them."""
    random = np.random.default_rng(1)
    jacobian = random.normal(size=(columns, pixels))
    signal, gradient = random.normal(size=(2, pixels))
    weight = random.uniform(size=pixels)
    found = products(jacobian, signal, weight, gradient)
    assert found.square == pytest.approx((jacobian * weight) @ jacobian.T, rel=1e-11, abs=1e-11)
    assert found.mixed == pytest.approx(jacobian @ (weight * signal), rel=1e-11, abs=1e-11)
    assert found.signal == pytest.approx(float(signal @ (weight * signal)), rel=1e-12)
    assert found.slope == pytest.approx(jacobian @ gradient, rel=1e-11, abs=1e-11)
    assert found.along_signal == pytest.approx(float(signal @ gradient), rel=1e-11, abs=1e-11)
