"""What a fit finds, and how well it says that it knows it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from fit_scenes import FACTORS, TRUTH, expected, fitted
from for_each import for_each
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.fitting.rotations import angle_between_deg, misset_matrix

NAMES = (
    "crystal.misset_deg",
    "crystal.cell_angstrom",
    "crystal.cell_deg",
    "detector.distance_mm",
    "crystal.mosaic_spread_deg",
    "scale",
)
START = TRUTH.replace(
    {
        "crystal.misset_deg": (10.1, 20.1, 29.8),
        "crystal.cell_angstrom": (40.1, 45.1, 50.1),
        "crystal.cell_deg": (80.2, 94.8, 100.2),
        "detector.distance_mm": 60.1,
        "crystal.mosaic_spread_deg": 0.5,
        "beam.fluence_photons_per_m2": 2e27,
    }
)
IMAGE = expected()
NOISY = np.random.default_rng(1).poisson(IMAGE)


def _numbers(result: nb.FitResult, name: str) -> list[float]:
    return [each.value for each in result.parameters if each.name == name]


def _esds(result: nb.FitResult, name: str) -> list[float]:
    return [each.esd for each in result.parameters if each.name == name]


def test_finds_the_numbers_of_an_image_without_noise() -> None:
    result = fitted(IMAGE, NAMES, START, step_tolerance=1e-7)
    assert result.converged
    found = result.experiment
    crystal, need = found.crystal, TRUTH.crystal
    assert crystal.cell_angstrom == pytest.approx(need.cell_angstrom, rel=1e-6)
    assert crystal.cell_deg == pytest.approx(need.cell_deg, rel=1e-6)
    assert crystal.misset_deg == pytest.approx(need.misset_deg, rel=1e-6)
    assert crystal.mosaic_spread_deg == pytest.approx(need.mosaic_spread_deg, rel=1e-6)
    assert found.detector.distance_mm == pytest.approx(60.0, rel=1e-6)
    assert found.beam.fluence_photons_per_m2 == pytest.approx(3e27, rel=1e-6)
    assert result.scale == pytest.approx(1.5, rel=1e-6)
    assert result.model == pytest.approx(IMAGE.ravel(), rel=1e-5, abs=1e-4)
    assert [each.name for each in result.parameters[::3]] == list(NAMES[:4])
    assert result.evaluations.jacobians <= 12


def test_gaussian_likelihood() -> None:
    """With much read-out noise it is least squares, whose best scale has a formula."""
    data = IMAGE + np.random.default_rng(6).normal(0.0, 1e5, IMAGE.shape)
    options: dict[str, Any] = {"likelihood": "gaussian", "readout_variance": 1e10}
    result = fitted(data, "scale", step_tolerance=1e-7, priors={"scale": (1, 3)}, **options)
    information = float(np.sum(IMAGE**2)) / 1e10 + 1.0 / 9.0
    best = (float(np.sum(IMAGE * data)) / 1e10 + 1.0 / 9.0) / information
    assert result.scale == pytest.approx(best, rel=1e-3)
    assert result.parameters[0].esd == pytest.approx(information**-0.5, rel=1e-3)
    start = TRUTH.replace({"crystal.misset_deg": (10.2, 19.9, 30.2)})
    options = {"likelihood": "gaussian", "readout_variance": 4.0}
    result = fitted(NOISY, ["crystal.misset_deg", "scale"], start, **options)
    assert result.converged
    numbers = zip(result.parameters, (*TRUTH.crystal.misset_deg, 1.0), strict=True)
    assert all(abs(each.value - need) < 4.0 * each.esd for each, need in numbers)


def test_the_experiment_it_returns_renders_the_model() -> None:
    result = fitted(NOISY, ["crystal.misset_deg", "scale"], START)
    again = expected(result.experiment)
    assert result.model == pytest.approx(again.ravel(), rel=1e-9, abs=1e-9)
    turn = fitted(NOISY, ["crystal.rotation_vector_deg", "scale"], START)
    assert turn.experiment.crystal.misset_deg == pytest.approx(
        result.experiment.crystal.misset_deg, abs=1e-6
    )
    angle = angle_between_deg(
        misset_matrix(np.array(START.crystal.misset_deg)),
        misset_matrix(np.array(result.experiment.crystal.misset_deg)),
    )
    vector = _numbers(turn, "crystal.rotation_vector_deg")
    assert math.hypot(*vector) == pytest.approx(angle, abs=1e-6)
    assert [each.start for each in turn.parameters[:3]] == [0.0, 0.0, 0.0]


def test_pulls_have_the_width_of_the_esds() -> None:
    names = ("crystal.misset_deg", "crystal.mosaic_spread_deg", "scale")
    truth = [*TRUTH.crystal.misset_deg, 0.4, 1.0]
    pulls = []
    for seed in range(10):
        data = np.random.default_rng(seed).poisson(IMAGE)
        result = fitted(data, names)
        assert result.converged
        numbers = zip(result.parameters, truth, strict=True)
        pulls.append([(each.value - need) / each.esd for each, need in numbers])
    assert np.abs(np.mean(pulls, axis=0)).max() < 1.0
    assert 0.7 < float(np.sqrt(np.mean(np.square(pulls)))) < 1.3


@pytest.mark.parametrize("sigma", [0.003, 1.0])
def test_a_prior_moves_the_answer_as_bayes_says(sigma: float) -> None:
    """Poisson counts of mean s m, and s known to be 1.1 +- sigma: a quadratic equation for s."""
    m, d = IMAGE.sum(), float(NOISY.sum())
    half = 1.1 - m * sigma**2
    best = 0.5 * (half + math.sqrt(half**2 + 4.0 * d * sigma**2))
    result = fitted(NOISY, "scale", priors={"scale": (1.1, sigma)}, step_tolerance=1e-8)
    assert result.scale == pytest.approx(best, rel=1e-7)
    need = 1.0 / math.sqrt(m / best + 1.0 / sigma**2)  # the information of the counts is m / s
    assert result.parameters[0].esd == pytest.approx(need, rel=1e-6)
    fluence = 3e27
    prior = {"beam.fluence_photons_per_m2": (1.1 * fluence, sigma * fluence)}
    other = fitted(NOISY, "beam.fluence_photons_per_m2", priors=prior, step_tolerance=1e-8)
    assert other.parameters[0].value == pytest.approx(best * fluence, rel=1e-7)
    assert other.parameters[0].unit == "photons/m^2"
    assert other.degrees_of_freedom == IMAGE.size


def test_priors_of_some_numbers_of_a_parameter() -> None:
    prior = {"crystal.cell_angstrom": ((41.0, 0.0, 0.0), (1e-6, np.inf, np.inf))}
    result = fitted(NOISY, ["crystal.cell_angstrom", "scale"], priors=prior)
    a, b, c = _numbers(result, "crystal.cell_angstrom")
    assert a == pytest.approx(41.0, abs=1e-4)
    assert _esds(result, "crystal.cell_angstrom")[0] == pytest.approx(1e-6, rel=1e-3)
    assert abs(b - 45.0) < 1.0
    assert abs(c - 50.0) < 1.0


def _second_derivatives(
    experiment: nb.Experiment, constant: float, data: np.ndarray, steps: np.ndarray
) -> Any:
    """Of half the Poisson deviance, by a turn, the cell's lengths, a scale and a constant."""
    model = nb.ForwardModel(experiment, FACTORS)
    lengths = torch.tensor(experiment.crystal.cell_angstrom, dtype=torch.float64)

    def value(moves: np.ndarray) -> float:
        values = {
            "crystal.rotation_vector_deg": torch.tensor(moves[:3]),
            "crystal.cell_angstrom": lengths + torch.tensor(moves[3:6]),
        }
        m = model(values).numpy() * (1.0 + moves[6]) + constant + moves[7]
        return float(np.sum(m - data * np.log(m)))

    unit, size = np.diag(steps), steps.size
    hessian = np.zeros((size, size))
    for i in range(size):
        for j in range(i, size):
            signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
            total = sum(a * b * value(a * unit[i] + b * unit[j]) for a, b in signs)
            hessian[i, j] = hessian[j, i] = total / (4.0 * steps[i] * steps[j])
    return hessian


@for_each("data, information", [(IMAGE + 1.0, "expected"), (NOISY + 1, "observed")])
def test_covariance_is_the_inverse_of_the_second_derivatives(data: Any, information: Any) -> None:
    """Expected and observed ones are the same where there is no noise."""
    names = ("crystal.rotation_vector_deg", "crystal.cell_angstrom", "scale")
    result = fitted(
        data, names, background="constant", step_tolerance=1e-6, information=information
    )
    steps = np.array([0.01] * 3 + [0.01] * 3 + [0.002, 0.01])
    hessian = _second_derivatives(result.experiment, result.background[0, 0], data, steps)
    size = np.sqrt(np.diagonal(hessian))
    need = np.linalg.inv(hessian / size / size[:, None])[:7, :7]
    scale = result.scale  # of which the model above has the logarithm's derivative
    size = size[:7] / np.array([1.0] * 6 + [scale])
    found = result.covariance * size * size[:, None]
    assert found == pytest.approx(need, rel=0.01, abs=0.01 * np.abs(need).max())


def test_observed_information_costs_jacobians_and_differs() -> None:
    names = ("crystal.rotation_vector_deg", "scale")
    expected_, observed = (
        fitted(NOISY + 1, names, background="constant", information=information)
        for information in ("expected", "observed")
    )
    extra = observed.evaluations.jacobians - expected_.evaluations.jacobians
    assert extra == 2 * 4
    ratios = np.diagonal(observed.covariance) / np.diagonal(expected_.covariance)
    assert np.abs(ratios - 1.0).max() > 0.01
    assert np.abs(ratios - 1.0).max() < 0.2
    assert observed.parameters[0].value == expected_.parameters[0].value


@for_each(
    "system, lengths, angles",
    [
        ("cubic", (40, 40, 40), (90, 90, 90)),
        ("tetragonal", (40, 40, 50), (90, 90, 90)),
        ("hexagonal", (40, 40, 50), (90, 90, 120)),
        ("rhombohedral", (40, 40, 40), (80, 80, 80)),
        ("orthorhombic", (40, 45, 50), (90, 90, 90)),
        ("monoclinic", (40, 45, 50), (90, 100, 90)),
        ("triclinic", (40, 45, 50), (80, 95, 100)),
    ],
)
def test_crystal_systems(
    system: str, lengths: tuple[float, ...], angles: tuple[float, ...]
) -> None:
    """The right cell is found again, and only its free numbers have moved."""
    truth = TRUTH.replace({"crystal.cell_angstrom": lengths, "crystal.cell_deg": angles})
    off = np.array(lengths) * 1.004
    tilted = np.array(angles) + np.where(np.isin(angles, (90, 120)), 0.0, 0.2)
    start = truth.replace({"crystal.cell_angstrom": tuple(off), "crystal.cell_deg": tuple(tilted)})
    data = np.random.default_rng(2).poisson(expected(truth))
    names = ("crystal.cell_angstrom", "crystal.cell_deg", "scale")
    result = fitted(data, names, start)
    assert result.crystal_system == system
    assert result.converged
    numbers, esds = np.array([(each.value, each.esd) for each in result.parameters[:6]]).T
    for n, first in ((1, 0), (2, 0), (4, 3), (5, 3)):
        if (*lengths, *angles)[n] == (*lengths, *angles)[first] not in (90, 120):
            assert numbers[n] == numbers[first]
            assert esds[n] == esds[first] > 0.0
    for number, esd, need in zip(numbers, esds, (*lengths, *angles), strict=True):
        assert (esd == 0.0) == (need in (90, 120))
        assert abs(number - need) <= 5.0 * esd
        if esd == 0.0:
            assert number == need
    free = np.linalg.matrix_rank(result.covariance, hermitian=True, tol=1e-9)
    assert result.degrees_of_freedom == data.size - free
    loose = fitted(data, names, start, crystal_system=None)
    assert loose.crystal_system == "triclinic"
    assert all(each.esd > 0.0 for each in loose.parameters)


@pytest.mark.parametrize("kind", ["constant", "plane"])
def test_background_of_each_box(kind: str) -> None:
    boxes = [(0, 11, 0, 24), (11, 22, 0, 10), (11, 22, 10, 24)]
    need = np.array([[3.0, 1.0, -1.5], [0.5, 0.0, 0.25], [2.0, -1.0, 0.5]])
    if kind == "constant":
        need = need[:, :1]
    data = IMAGE.copy()
    for (top, bottom, left, right), row in zip(boxes, need, strict=True):
        slow, fast = np.linspace(-1, 1, bottom - top), np.linspace(-1, 1, right - left)
        data[top:bottom, left:right] += row[0]
        if kind == "plane":
            data[top:bottom, left:right] += row[1] * slow[:, None] + row[2] * fast
    result = fitted(
        data, ["crystal.misset_deg", "scale"], boxes=boxes, background=kind, step_tolerance=1e-8
    )
    assert result.background == pytest.approx(need, rel=1e-6, abs=1e-6)
    assert result.scale == pytest.approx(1.0, rel=1e-6)
    assert result.degrees_of_freedom == data.size - 4 - need.size
    measured, model = result.box_images(1)
    assert measured == pytest.approx(data[11:22, 0:10])
    assert model == pytest.approx(measured, rel=1e-6)


def test_background_is_not_negative() -> None:
    """Fewer photons than the signal has: a constant would be negative, and is 0."""
    data = np.round(0.9 * IMAGE)
    result = fitted(data, "crystal.misset_deg", background="constant")
    assert result.converged
    assert result.background.tolist() == [[0.0]]
    more = fitted(data + 1.0, "crystal.misset_deg", background="constant")
    assert more.background[0, 0] > 0.1


def test_masked_pixels_do_not_count() -> None:
    mask = np.ones(IMAGE.shape, dtype=bool)
    mask[5:9, 7:12] = False
    names = ("crystal.misset_deg", "scale")
    clean = fitted(NOISY, names, START, mask=mask)
    spoilt = NOISY.astype(float)
    spoilt[~mask] = np.nan
    for result in (
        fitted(spoilt, names, START, mask=mask),
        fitted(spoilt, names, START, mask=nb.Mask(mask)),
        fitted(spoilt, names, START.replace({"detector.mask": nb.Mask(mask)})),
    ):
        assert result.covariance == pytest.approx(clean.covariance, rel=1e-9)
        assert [each.value for each in result.parameters] == pytest.approx(
            [each.value for each in clean.parameters], rel=1e-12
        )
        assert result.data.size == mask.sum()
        assert mask[tuple(result.pixels.T)].all()
    data, _ = clean.box_images(0)
    assert np.isnan(data).sum() == 20
    with pytest.raises(nb.ConfigError, match=r"data: got nan at slow 5, fast 7"):
        fitted(spoilt, names)


def test_a_pixel_counts_once_and_a_region_of_interest_holds() -> None:
    twice = [(2, 10, 3, 20), (6, 14, 3, 20)]
    result = fitted(NOISY, "scale", boxes=twice)
    assert result.data.sum() == NOISY[2:14, 3:20].sum()
    assert result.data.size == 12 * 17
    inside = TRUTH.replace({"sampling.roi": (4, 19, 3, 12)})
    result = fitted(NOISY, "scale", inside)
    assert result.data.sum() == NOISY[3:13, 4:20].sum()


def test_counts_become_photons() -> None:
    names = ("crystal.misset_deg", "scale")
    need = fitted(NOISY, names, START, readout_variance=0.7)
    found = fitted(
        (40 + 3 * NOISY).astype(np.uint16),
        names,
        START,
        gain=3.0,
        adc_offset=40.0,
        readout_variance=np.full(NOISY.shape, 0.7 * 9.0),
    )
    assert found.data == pytest.approx(NOISY.ravel())
    assert found.deviance == pytest.approx(need.deviance, rel=1e-9)
    assert found.covariance == pytest.approx(need.covariance, rel=1e-6)
    # what the read-out adds is known less well
    assert need.parameters[3].esd > fitted(NOISY, names, START).parameters[3].esd


def test_the_scale_of_a_flux_goes_into_the_flux() -> None:
    start = TRUTH.replace({"beam.flux_photons_per_s": 3e25 * 1e-8 * 100.0, "beam.exposure_s": 1.0})
    result = fitted(NOISY, "scale", start)
    beam = result.experiment.beam
    assert beam.flux_photons_per_s == pytest.approx(result.scale * start.beam.flux_photons_per_s)
    assert expected(result.experiment).ravel() == pytest.approx(result.model, rel=1e-9)


def test_numbers_of_listed_sources() -> None:
    sources = (nb.Source(wavelength_m=1.0e-10), nb.Source(wavelength_m=1.02e-10))
    truth = TRUTH.replace({"beam.sources": sources})
    start = truth.replace(
        {"beam.sources": tuple(nb.Source(wavelength_m=s.wavelength_m * 1.002) for s in sources)}
    )
    result = fitted(expected(truth), "beam.sources.wavelength_m", start, step_tolerance=1e-8)
    assert [s.wavelength_m for s in result.experiment.beam.sources or ()] == pytest.approx(
        [1.0e-10, 1.02e-10], rel=1e-6
    )
