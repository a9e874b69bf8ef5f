"""Counts that are cut off at the end of what a pixel can show."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from fit_scenes import FACTORS, TRUTH, expected
from for_each import for_each
from numpy.typing import NDArray
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.fitting.cut_off import Limits, cut_off, log_normal
from nanobragg_hybrid.fitting.likelihoods import COUNTED, Growth
from nanobragg_hybrid.fitting.pixel_likelihoods import curvature, deviance, slopes
from nanobragg_hybrid.fitting.pixels import FitPixels

GROWTH = Growth(1.01, 0.04)
LIMITS = Limits(lowest=0.0, highest=60.0, step=1.0)


def pixels_of(
    counts: NDArray[np.float64], variance: float, growth: Growth, limits: Limits = LIMITS
) -> FitPixels:
    """Of one box, a row."""
    count = counts.size
    fast = np.arange(count)
    return FitPixels(
        np.zeros(count, np.intp),
        fast,
        np.array([[0, 1, 0, count]]),
        np.zeros(1, np.intp),
        np.zeros(count, np.intp),
        (counts - 10.0) / 2.0,
        np.full(count, variance),
        growth,
        cut_off(counts, limits, 10.0, 2.0),
    )


def test_logarithm_of_the_normal_distribution() -> None:
    z = np.concatenate([np.linspace(-40.0, 8.0, 193), [-1e3, -1e6, -20.0, -20.0 - 1e-9]])
    need = torch.special.log_ndtr(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(log_normal(z), need, rtol=1e-10, atol=1e-15)


@for_each("growth", [COUNTED, GROWTH])
def test_deviance_and_its_derivatives(growth: Growth) -> None:
    """Pixels at both ends and one between, each with a model on either side."""
    counts = np.array([60.0, 60.0, 60.0, 0.0, 0.0, 40.0])
    model = np.array([30.0, 24.9, 3.0, 0.2, 2.0, 14.0])
    pixels = pixels_of(counts, 9.0, growth)
    variance = pixels.variance
    assert pixels.cut is not None
    assert pixels.cut.place.tolist() == [0, 1, 2, 3, 4]
    ends = np.array([24.75, 24.75, 24.75, -4.75, -4.75])  # half a count inside, in photons
    np.testing.assert_allclose(pixels.cut.beyond, ends)
    spread = growth.spread(model, variance)
    z = (model[:5] - ends) * [1, 1, 1, -1, -1] / np.sqrt(spread[:5])
    need = -2.0 * torch.special.log_ndtr(torch.from_numpy(z)).sum().item()
    need += (15.0 - 14.0) ** 2 / spread[5]
    need += np.log(spread[5] / growth.spread(np.array([15.0]), np.array([9.0]))[0])
    assert deviance("gaussian", model, pixels, variance) == pytest.approx(need, rel=1e-12)
    for kind in ("gaussian", "poisson") if growth == COUNTED else ("gaussian",):
        found = slopes(kind, model, pixels, variance)
        bent = curvature(kind, model, pixels, variance)
        assert (found.weight > 0.0).all()
        for n in range(model.size):
            step = np.zeros_like(model)
            step[n] = 1e-4
            ahead, behind = model + step, model - step
            values = [deviance(kind, each, pixels, variance) for each in (ahead, behind)]
            assert found.gradient[n] == pytest.approx((values[0] - values[1]) / 4e-4, rel=1e-5)
            first = [slopes(kind, each, pixels, variance).gradient[n] for each in (ahead, behind)]
            assert bent[n] == pytest.approx((first[0] - first[1]) / 2e-4, rel=1e-5)


@for_each(
    "kind, mean, lowest", [("gaussian", 25.0, 0.0), ("poisson", 24.0, 0.0), ("gaussian", 0.5, 8.0)]
)
def test_gradient_of_the_right_mean_is_zero(kind: Any, mean: float, lowest: float) -> None:
    """Of counts that are cut off half of the time at the upper end, or a third at the lower one;
    taken as numbers they say something else."""
    random = np.random.default_rng(7)
    size = 400_000
    photons = (
        random.poisson(mean, size)
        if kind == "poisson"
        else mean + random.normal(0.0, np.sqrt(mean), size)
    )
    read = np.rint(2.0 * photons + random.normal(0.0, 6.0, size) + 10.0)
    limits = Limits(lowest, 60.0, 1.0)
    counts = np.clip(read, lowest, 60.0)
    variance = (36.0 + 1.0 / 12.0) / 2.0**2
    right, wrong = (
        slopes(kind, np.full(size, mean), pixels, pixels.variance).gradient
        for pixels in (
            pixels_of(counts, variance, COUNTED, limits),
            pixels_of(counts, variance, COUNTED, Limits()),
        )
    )
    sigma = right.std() / np.sqrt(size)
    assert abs(right.mean()) < 5.0 * sigma
    assert abs(wrong.mean()) > 20.0 * sigma


def test_residuals_beyond_the_end_are_zero() -> None:
    counts = np.array([60.0, 60.0, 0.0, 0.0, 40.0])
    pixels = pixels_of(counts, 9.0, COUNTED)
    model = np.array([30.0, 20.0, 3.0, -7.0, 14.0])
    np.testing.assert_allclose(pixels.residuals(model), [0.0, 5.0, -8.0, 0.0, 1.0])


@for_each(
    "change, limits",
    [
        ({}, Limits(-(2.0**31), 2.0**31 - 1.0, 1.0)),
        ({"read_noise": 0.0}, Limits(-np.inf, 2.0**31 - 1.0, 1.0)),
        ({"count_type": "uint16", "saturation": 700.4}, Limits(0.0, 700.0, 1.0)),
        ({"count_type": "uint16", "saturation": 700.6}, Limits(0.0, 701.0, 1.0)),
        ({"saturation": 700.6, "rounding": "down"}, Limits(-(2.0**31), 700.0, 1.0)),
        ({"count_type": "float32", "saturation": 700.4}, Limits(-np.inf, 700.4, 0.0)),
        ({"count_type": "float32"}, Limits()),
    ],
)
def test_limits_of_a_response(change: Any, limits: Limits) -> None:
    assert Limits.of_response(nb.Response(**{"read_noise": 3.0, **change})) == limits


@for_each(
    "dtype, has_noise, limits",
    [
        ("uint16", True, Limits(lowest=0.0, step=1.0, overload=65535.0)),
        ("uint16", False, Limits(step=1.0, overload=65535.0)),
        ("int32", True, Limits(step=1.0, overload=2.0**31 - 1.0)),
        ("float64", True, Limits()),
    ],
)
def test_limits_of_a_type(dtype: str, has_noise: bool, limits: Limits) -> None:
    assert Limits.of_type(np.dtype(dtype), has_noise=has_noise) == limits


LIGHT = TRUTH.replace(
    {
        "beam.fluence_photons_per_m2": 3e26,
        "background": nb.Background(flat_photons_per_pixel=1.5),
        "response": nb.Response(
            gain=2.0, read_noise=4.0, count_type="uint16", saturation=30.0, pedestal=2.0
        ),
    }
)


def test_scale_and_background_of_frames_that_are_cut_off_at_both_ends() -> None:
    """The means of 40 frames are those of the truth; of counts taken as numbers they are not."""
    result = nb.simulate(LIGHT, FACTORS, backend="torch")
    names = ["scale", "background.flat_photons_per_pixel"]
    # The same numbers without a type's end: nothing is known to be cut off.
    numbers = LIGHT.replace({"response.count_type": "float32", "response.saturation": None})
    pulls: dict[str, list[list[float]]] = {"cut off": [], "numbers": []}
    for frame in range(40):
        counts = nb.frame_counts(result, frame)
        for which, model in (("cut off", LIGHT), ("numbers", numbers)):
            fitted = nb.fit(model, FACTORS, counts, names, likelihood="gaussian")
            assert fitted.converged
            pulls[which].append(
                [
                    (each.value - need) / each.esd
                    for each, need in zip(fitted.parameters, (1.0, 1.5), strict=True)
                ]
            )
            if which == "cut off":
                at_ends = (counts == 0) | (counts == 30)
                place = fitted.pixels
                np.testing.assert_array_equal(fitted.cut_off, at_ends[place[:, 0], place[:, 1]])
                assert (counts == 0).sum() > 50
                assert (counts == 30).sum() > 5
                assert f"{at_ends.sum()} pixels are cut off" in str(fitted)
                assert fitted.degrees_of_freedom == counts.size - at_ends.sum() - 2
    right, wrong = np.array(pulls["cut off"]), np.array(pulls["numbers"])
    assert abs(right.mean(0)).max() < 0.6  # 0.16 each
    assert abs(right.std() - 1.0) < 0.25
    assert abs(wrong.mean(0)).min() > 2.0


def test_overloads_of_an_array_are_left_out() -> None:
    """With a warning that counts them; where a mask does so, without."""
    image = np.random.default_rng(5).poisson(expected())
    counts = np.minimum(image, 2**16 - 1).astype(np.uint16)
    counts[[3, 3, 15], [2, 3, 20]] = 2**16 - 1
    usable = counts < 2**16 - 1
    number = int((~usable).sum())
    message = f"largest number of their integer type: {number}; they are left out"
    with pytest.warns(nb.NanobraggWarning, match=message):
        fitted = nb.fit(TRUTH, FACTORS, counts, ["scale"])
    assert len(fitted.model) == usable.sum()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masked = nb.fit(TRUTH, FACTORS, counts, ["scale"], mask=usable)
        wider = nb.fit(TRUTH, FACTORS, counts.astype(np.int64), ["scale"], mask=usable)
    assert masked.parameters == fitted.parameters == wider.parameters


def test_zeros_of_an_unsigned_array_with_read_out_noise_are_zero_or_less() -> None:
    """A constant of 1 photon below the spots: taken as numbers the zeros make it more."""
    start = TRUTH.replace({"beam.fluence_photons_per_m2": 3e25})
    random = np.random.default_rng(6)
    read = random.poisson(expected(start) + 1.0) + random.normal(0.0, 3.0, (22, 24))
    counts = np.rint(np.maximum(read, 0.0)).astype(np.uint16)
    options: Any = {
        "readout_variance": 9.0,
        "likelihood": "gaussian",
        "background": "constant",
    }
    fitted = nb.fit(start, FACTORS, counts, ["scale"], **options)
    assert fitted.cut_off.sum() == (counts == 0).sum() > 100
    assert abs(fitted.background[0, 0] - 1.0) < 0.5
    signed = nb.fit(start, FACTORS, counts.astype(np.int32), ["scale"], **options)
    assert signed.cut_off.sum() == 0
    assert signed.background[0, 0] > 1.6


@for_each("shown", [300.0, -50.0])
def test_what_lies_beyond_an_end_counts_as_that_end(shown: float) -> None:
    """Some detectors write a number of their own where a pixel is saturated."""
    end = 60.0 if shown > 60.0 else 0.0
    beyond, at = (cut_off(np.array([each, 30.0]), LIMITS, 10.0, 2.0) for each in (shown, end))
    assert beyond is not None
    assert at is not None
    assert beyond.beyond.tolist() == at.beyond.tolist()
    assert beyond.place.tolist() == at.place.tolist() == [0]


@for_each("name", ["gain", "adc_offset"])
def test_what_the_response_says_is_not_said_again(name: str) -> None:
    """Not even as the number that it would be without a response."""
    counts = nb.simulate(LIGHT, FACTORS).counts
    given: Any = {name: {"gain": 1.0, "adc_offset": 0.0}[name]}
    with pytest.raises(nb.ConfigError, match=rf"{name}: got .*experiment.response says it"):
        nb.fit(LIGHT, FACTORS, counts, ["scale"], **given)


def test_infinite_data_are_no_overloads() -> None:
    data = np.asarray(expected(TRUTH), dtype=float).copy()
    data[3, 4] = np.inf
    with pytest.raises(nb.ConfigError, match="finite numbers"):
        nb.fit(TRUTH, FACTORS, data, ["scale"])


def test_no_degree_of_freedom_is_said() -> None:
    scene = TRUTH.replace({"response": nb.Response(saturation=41, pedestal=40)})
    counts = np.full(TRUTH.detector.shape, 41)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nb.fit(scene, FACTORS, counts, ["scale"])
    said = [str(each.message) for each in caught]
    assert any(text.startswith("-1 degrees of freedom: there are no more") for text in said), said


def test_a_response_without_any_noise_is_named() -> None:
    quiet = nb.Response(shot_noise=False, count_type="float32")
    scene = TRUTH.replace(
        {"background": nb.Background(flat_photons_per_pixel=5.0), "response": quiet}
    )
    with pytest.raises(nb.NanobraggError, match=r"a variance of 0 at .*read_noise"):
        nb.fit(scene, FACTORS, nb.simulate(scene, FACTORS).counts, ["scale"], likelihood="gaussian")
