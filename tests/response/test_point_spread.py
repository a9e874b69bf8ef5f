"""Point spread: against direct convolution, sums, and what its kernels are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from numpy.typing import NDArray

import nanobragg_hybrid as nb
from nanobragg_hybrid.run.point_spread import kernels, spread

PIXEL_UM = 50.0
SPREADS = {
    "gaussian": nb.PointSpread(gaussian_fwhm_um=80.0),
    "narrow gaussian": nb.PointSpread(gaussian_fwhm_um=10.0),
    "fibre": nb.PointSpread(fibre_radius_um=27.0, reach_um=400.0),
    "both": nb.PointSpread(gaussian_fwhm_um=70.0, fibre_radius_um=27.0, reach_um=350.0),
}


def full(quarter: NDArray[np.float64]) -> NDArray[np.float64]:
    half = np.concatenate([quarter[:0:-1], quarter])
    return np.concatenate([half[:, :0:-1], half], axis=1)


def direct(
    image: NDArray[np.float64], kernel: NDArray[np.float64], reflects: bool
) -> NDArray[np.float64]:
    """Convolution by its definition; edges: mirrored, or nothing beyond them."""
    reach = len(kernel) // 2
    wide = np.pad(image, reach, mode="symmetric" if reflects else "constant")
    out = np.zeros_like(image)
    for k in range(2 * reach + 1):
        for n in range(2 * reach + 1):
            out += kernel[k, n] * wide[k : k + image.shape[0], n : n + image.shape[1]]
    return out


@for_each("name", SPREADS)
@for_each("edges", ["lost", "reflected"])
def test_direct_convolution(name: str, edges: str) -> None:
    image = np.random.default_rng(1).exponential(100.0, (19, 26))
    own: Any = edges
    given = SPREADS[name]
    point_spread = nb.PointSpread(
        given.gaussian_fwhm_um, given.fibre_radius_um, given.reach_um, own
    )
    wanted = image
    for quarter in kernels(point_spread, PIXEL_UM):
        wanted = direct(wanted, full(quarter), edges == "reflected")
    found = spread(image, point_spread, PIXEL_UM)
    assert found.shape == image.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@for_each("name", SPREADS)
def test_sum_stays(name: str) -> None:
    given = SPREADS[name]
    rng = np.random.default_rng(2)
    reflected = nb.PointSpread(
        given.gaussian_fwhm_um, given.fibre_radius_um, given.reach_um, "reflected"
    )
    image = rng.exponential(100.0, (19, 26))
    assert spread(image, reflected, PIXEL_UM).sum() == pytest.approx(image.sum(), rel=1e-12)
    middle = np.zeros((64, 64))
    middle[30, 33] = 1e6
    assert spread(middle, given, PIXEL_UM).sum() == pytest.approx(1e6, rel=1e-12)
    corner = np.zeros((64, 64))
    corner[0, 0] = 1e6
    if name != "narrow gaussian":
        assert 0.25e6 < spread(corner, given, PIXEL_UM).sum() < 0.9e6


@for_each("sign", [1.0, -1.0])
def test_rounding_makes_no_light_below_0(sign: float) -> None:
    """Light that is nowhere below 0 stays so; of other light nothing is cut off."""
    light = np.zeros((90, 90))
    light[40, 45] = sign * 1e9
    found = spread(light, nb.PointSpread(fibre_radius_um=20.0, reach_um=1000.0), 50.0)
    far = found[:15]  # beyond the reach
    assert np.abs(far).max() < 1e-6
    assert (far == 0.0).any() == (sign > 0.0)
    assert found.sum() == pytest.approx(sign * 1e9, rel=1e-9)
    assert (found.min() >= 0.0) == (sign > 0.0)


def test_gaussian_has_its_width() -> None:
    """Second moments: those of the gaussian and of a pixel, sigma^2 + 1/12, less what is cut."""
    (quarter,) = kernels(nb.PointSpread(gaussian_fwhm_um=200.0), PIXEL_UM)
    kernel = full(quarter)
    away = np.arange(len(kernel)) - len(kernel) // 2
    sigma = 200.0 / PIXEL_UM / math.sqrt(8.0 * math.log(2.0))
    assert (kernel.sum(1) * away**2).sum() == pytest.approx(sigma**2 + 1.0 / 12.0, rel=1e-9)


def test_fibre_is_the_integral_of_its_formula() -> None:
    g = 27.0 / PIXEL_UM
    (quarter,) = kernels(nb.PointSpread(fibre_radius_um=27.0, reach_um=1000.0), PIXEL_UM)
    fine = (np.arange(400) + 0.5) / 400 - 0.5
    for k, n in ((0, 0), (0, 1), (3, 2), (20, 7)):
        r2 = (fine + n) ** 2 + ((fine + k) ** 2)[:, np.newaxis]
        integral = (g / (2.0 * math.pi) / (g * g + r2) ** 1.5).mean()
        reached = full(quarter).sum()  # 1: what lies further out was given back
        ratio = quarter[k, n] / integral
        assert reached == pytest.approx(1.0, rel=1e-12)
        # the part of the plane inside the square of 41 x 41 pixels
        edge = 20.5
        inside = (
            4.0 / (2.0 * math.pi) * math.atan(edge * edge / (g * math.sqrt(g * g + 2 * edge**2)))
        )
        assert ratio == pytest.approx(1.0 / inside, rel=1e-5)


def test_default_reach() -> None:
    assert kernels(nb.PointSpread(gaussian_fwhm_um=100.0), PIXEL_UM)[0].shape == (9, 9)
    assert kernels(nb.PointSpread(fibre_radius_um=27.0), PIXEL_UM)[0].shape == (55, 55)
    assert kernels(nb.PointSpread(), PIXEL_UM) == []


@for_each("name", SPREADS)
@for_each("edges", ["lost", "reflected"])
def test_torch_spreads_alike(name: str, edges: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    from nanobragg_hybrid.engines.torch.eager.point_spread import spread as spread_by_torch

    own: Any = edges
    given = SPREADS[name]
    point_spread = nb.PointSpread(
        given.gaussian_fwhm_um, given.fibre_radius_um, given.reach_um, own
    )
    image = np.random.default_rng(3).exponential(100.0, (11, 26))
    widths = [
        torch.tensor(x, dtype=torch.float64) if x > 0.0 else None
        for x in (given.gaussian_fwhm_um, given.fibre_radius_um)
    ]
    found = spread_by_torch(torch.from_numpy(image), point_spread, PIXEL_UM, *widths)
    np.testing.assert_allclose(found.numpy(), spread(image, point_spread, PIXEL_UM), rtol=1e-11)


@for_each("kind", ["gaussian_fwhm_um", "fibre_radius_um"])
def test_kernels_that_do_not_fit_into_memory(kind: str) -> None:
    given: dict[str, Any] = {kind: 1e9}
    point_spread = nb.PointSpread(**given)
    message = r"kernel of a point spread that reaches [0-9]+ pixels \(see its reach_um\)"
    with pytest.raises(nb.ResourceError, match=message):
        spread(np.ones((5, 6)), point_spread, PIXEL_UM)


@for_each(
    "field, value",
    [
        ("gaussian_fwhm_um", -1.0),
        ("fibre_radius_um", -0.1),
        ("reach_um", 0.0),
        ("edges", "wrapped"),
    ],
)
def test_impossible_values(field: str, value: Any) -> None:
    with pytest.raises(nb.ConfigError, match=f"response.point_spread.{field}: got"):
        nb.PointSpread(**{field: value})
