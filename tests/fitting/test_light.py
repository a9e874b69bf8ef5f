"""Fits of experiments with a background and a response."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from fit_scenes import FACTORS, TRUTH
from for_each import for_each
from numpy.typing import NDArray
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.fitting.forward import TorchForward, TorchLight
from nanobragg_hybrid.fitting.pixels import fit_pixels

FWHM_UM = 0.8 * 800.0
WATER = nb.Scatterer((0.0, 0.05, 0.15), (3.0, 6.0, 9.0), 3e-14)
LIGHT = TRUTH.replace(
    {
        "beam.fluence_photons_per_m2": 3e26,
        "crystal.mosaic_spread_deg": 0.0,
        "crystal.mosaic_domains": 1,
        "background": nb.Background(
            scatterers=(WATER,),
            air_attenuation_per_mm=0.001,
            flat_photons_per_pixel=4.0,
            radial=nb.RadialBackground((0.0, 6.0, 14.0), (6.0, 3.0, 1.0)),
            offsets=(nb.BackgroundOffset(5.0, 3, 9, 2, 20),),
        ),
        "response": nb.Response(
            point_spread=nb.PointSpread(FWHM_UM),
            gain=2.5,
            gain_error=0.03,
            read_noise=3.0,
            pedestal=40.0,
            seed=4,
        ),
    }
)
NAMES = (
    "crystal.misset_deg",
    "detector.distance_mm",
    "background.scatterers[0].scale",
    "background.scatterers[0].values",
    "background.air_attenuation_per_mm",
    "background.flat_photons_per_pixel",
    "background.radial.photons_per_pixel",
    "background.offsets[0].photons_per_pixel",
)
BOXES = [(0, 9, 0, 8), (3, 22, 6, 24), (14, 22, 2, 6)]
WIDE = LIGHT.replace({"response.point_spread": nb.PointSpread(FWHM_UM, 150.0, 6000.0, "reflected")})
MASK = np.ones((22, 24), dtype=bool)
MASK[8:10, :] = False
REGION = LIGHT.replace({"sampling.roi": (2, 19, 3, 18), "detector.mask": nb.Mask(MASK)})
NO_SPREAD = LIGHT.replace({"response": None})
SCENES = {"gaussian": LIGHT, "wide": WIDE, "region and mask": REGION, "background": NO_SPREAD}


def _counts(experiment: nb.Experiment) -> NDArray[np.float64]:
    return np.zeros(experiment.detector.shape)


@for_each("name", SCENES)
@for_each("boxes", [None, BOXES])
def test_model_and_its_derivatives(name: str, boxes: Any) -> None:
    """Photons of pixels are those of `expected`, and the Jacobian that of it."""
    experiment = SCENES[name]
    model = ForwardModel(experiment, FACTORS)
    nothing = _counts(experiment)
    pixels = fit_pixels(experiment, model.setup.roi, nothing, nothing, boxes, None)
    light = TorchLight(model, pixels)
    forward = TorchForward(model, pixels, light)
    initial = model.expected_initial()
    start = {
        each: (initial[each] if each in initial else model.initial(each)).numpy().ravel()
        for each in NAMES
    }
    if experiment.response is not None:
        experiment = experiment.replace({"response.gain": 1.0, "response.gain_error": 0.0})
    whole = ForwardModel(experiment, FACTORS)
    wanted = whole.expected()[pixels.slow, pixels.fast]
    found = forward.pixels(start) + light.light(start)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-11)
    signal, columns = forward.jacobian(start, NAMES)
    beside = light.jacobian(start, NAMES)
    np.testing.assert_allclose(signal, forward.pixels(start), rtol=1e-13)
    np.testing.assert_allclose(forward.members([start, start])[1], signal, rtol=1e-12)
    leaves = {
        each: (initial[each] if each in initial else model.initial(each)).clone().requires_grad_()
        for each in NAMES
    }
    image = whole.expected(leaves)[pixels.slow, pixels.fast]
    for seed in range(4):
        weight = np.random.default_rng(seed).normal(size=pixels.count)
        total = (image * torch.from_numpy(weight)).sum()
        slopes = torch.autograd.grad(total, list(leaves.values()), retain_graph=True)
        need = torch.cat([slope.reshape(-1) for slope in slopes]).numpy()
        assert np.flatnonzero(need == 0.0).tolist() == []
        rounding = 1e-11 * (abs(columns.T + beside) @ abs(weight))
        assert (abs((columns.T + beside) @ weight - need) <= rounding).all()


PULLED = (
    "crystal.misset_deg",
    "background.scatterers[0].scale",
    "background.offsets[0].photons_per_pixel",
    "scale",
)


@functools.cache
def _pulls(gain: float, likelihood: Any) -> NDArray[np.float64]:
    """(value - truth) / esd of 30 noisy images, shape (30, 6).  gain: of the model that is fitted;
    the frames have 2.5."""
    truth = LIGHT.replace({"background.radial": None})
    result = nb.simulate(truth, FACTORS, backend="torch")
    known = [*truth.crystal.misset_deg, 1.0, 5.0, 1.0]
    model = truth.replace({"response.gain": gain})
    pulls = []
    for frame in range(30):
        start = model.replace({"crystal.misset_deg": (10.05, 19.96, 30.03)})
        counts = nb.frame_counts(result, frame)
        fitted = nb.fit(start, FACTORS, counts, PULLED, likelihood=likelihood)
        assert fitted.converged
        pairs = zip(fitted.parameters, known, strict=True)
        pulls.append([(each.value - need) / each.esd for each, need in pairs])
    return np.array(pulls)


@for_each("likelihood", ["gaussian", "poisson"])
def test_pulls_of_noisy_images(likelihood: str) -> None:
    """Gain 2.5, read-out noise of 3 counts, water, a point spread of 0.8 pixels."""
    pulls = _pulls(2.5, likelihood)
    assert abs(pulls.mean(0)).max() < 0.5  # 0.18 each
    assert abs(pulls.mean()) < 0.35
    assert abs(pulls.std() - 1.0) < 0.25
    assert abs(pulls.std(0) - 1.0).max() < 0.45  # 0.13 each


def test_a_wrong_gain_is_seen_as_width() -> None:
    """Photons are taken for twice or half as many: deviations are too wide, or too narrow."""
    shape = np.s_[:, :3]  # of the orientation: brightness goes with the gain itself
    right = _pulls(2.5, "gaussian")[shape].std()
    assert _pulls(1.25, "gaussian")[shape].std() > 1.25 * right
    assert _pulls(5.0, "gaussian")[shape].std() < 0.8 * right


def test_bad_pixels_do_not_count_and_saturated_ones_are_cut_off() -> None:
    response: dict[str, Any] = {
        "response.saturation": 700.0,
        "response.dead_pixels": ((3, 4),),
        "response.hot_fraction": 0.02,
    }
    truth = LIGHT.replace(response)
    result = nb.simulate(truth, FACTORS, backend="torch")
    counts = nb.frame_counts(result, 0)
    assert (counts == 700).sum() > 5
    fitted = nb.fit(truth, FACTORS, counts, ["scale"], likelihood="gaussian")
    places = fitted.pixels
    assert result.variance is not None
    usable = np.isfinite(result.variance)
    assert len(places) == usable.sum()
    assert usable[places[:, 0], places[:, 1]].all()
    assert fitted.cut_off.sum() == (usable & (counts == 700)).sum() > 0
    (scale,) = fitted.parameters
    assert abs(scale.value - 1.0) < 4.0 * scale.esd
    assert fitted.experiment.response == truth.response
    assert fitted.chi_square == pytest.approx(fitted.degrees_of_freedom, rel=0.25)


def test_numbers_of_a_background_stand_in_the_experiment() -> None:
    """Without noise, rounding aside, from a wrong start."""
    truth = LIGHT.replace({"response.read_noise": 0.0, "response.gain_error": 0.0})
    data = nb.simulate(truth, FACTORS, backend="torch").expected
    assert data is not None
    names = [
        "background.scatterers[0].values",
        "background.radial.photons_per_pixel",
        "background.offsets[0].photons_per_pixel",
    ]
    start = truth.replace(
        {
            "background.scatterers": (nb.Scatterer((0.0, 0.05, 0.15), (4.0, 5.0, 8.0), 3e-14),),
            "background.radial": nb.RadialBackground((0.0, 6.0, 14.0), (5.0, 4.0, 2.0)),
            "background.offsets": (nb.BackgroundOffset(1.0, 3, 9, 2, 20),),
            "response.count_type": "float32",
        }
    )
    priors = {names[1]: ([6.0, 3.0, 1.0], [1e-3, 1e-3, 1e-3])}
    fitted = nb.fit(start, FACTORS, data + 40.0, names, priors=priors)
    assert fitted.converged
    found = fitted.experiment.background
    assert found is not None
    assert found.scatterers[0].values == pytest.approx((3.0, 6.0, 9.0), rel=2e-3)
    assert found.radial is not None
    assert found.radial.photons_per_pixel == pytest.approx((6.0, 3.0, 1.0), rel=1e-3)
    assert found.offsets[0].photons_per_pixel == pytest.approx(5.0, rel=2e-3)
    assert [each.unit for each in fitted.parameters] == [""] * 3 + ["photons"] * 4


def test_panels_have_offsets_of_their_own() -> None:
    """Two images of one experiment: what is shared, and what is not."""
    first = LIGHT
    second = LIGHT.replace({"background.offsets": (nb.BackgroundOffset(9.0, 3, 9, 2, 20),)})
    frames = [
        nb.frame_counts(nb.simulate(each, FACTORS, backend="torch"), 0) for each in (first, second)
    ]
    name = "background.offsets[0].photons_per_pixel"
    fitted = nb.fit(
        [first, second], FACTORS, frames, [name, "background.scatterers[0].scale"], shared=[]
    )
    offsets = [each for each in fitted.parameters if each.name == name]
    assert [each.image for each in offsets] == [0, 1]
    for each, need in zip(offsets, (5.0, 9.0), strict=True):
        assert abs(each.value - need) < 4.0 * each.esd
        assert each.esd < 2.0


@for_each(
    "change, options, message",
    [
        ({}, {"gain": 2.0}, "gain: got 2.0, need nothing: experiment.response says it"),
        ({}, {"adc_offset": 1.0}, "adc_offset: got 1.0, need nothing"),
        (
            {},
            {"readout_variance": np.ones((22, 24))},
            r"readout_variance: got an array of shape \(22, 24\), need nothing",
        ),
        (
            {"response.flicker": 0.1},
            {"parameters": ["crystal.misset_deg"]},
            "experiment.response.flicker: got 0.1, need 0, or scale among the parameters",
        ),
        (
            {"response.frame_gain_error": 0.1},
            {"likelihood": "poisson"},
            "likelihood: got 'poisson', need gaussian, since the response has a frame_gain_error",
        ),
        (
            {"response.shot_noise": False},
            {"likelihood": "poisson"},
            "likelihood: got 'poisson', need gaussian, since the response has no shot noise",
        ),
        (
            {},
            {"parameters": ["response.gain"]},
            "parameters: got 'response.gain', need a number of something else",
        ),
        (
            {},
            {"parameters": ["spot_scales"]},
            "parameters: got 'spot_scales', need scale, where the experiment has a background",
        ),
        (
            {},
            {"parameters": ["detector.pixel_size_mm"]},
            "parameters: got 'detector.pixel_size_mm', need another one beside a point spread",
        ),
        (
            {},
            {"parameters": ["background.scatterers[1].scale"]},
            r"need a name of expected_initial\(\) \(did you mean background.scatterers\[0\]",
        ),
    ],
)
def test_what_is_refused(change: Any, options: Any, message: str) -> None:
    given = {"parameters": ["scale"], "likelihood": "gaussian", **options}
    with pytest.raises(nb.ConfigError, match=message):
        nb.fit(LIGHT.replace(change), FACTORS, _counts(LIGHT), **given)


def test_without_response_arguments_say_what_counts_are() -> None:
    """Of a background alone, with a gain of 2 and an offset."""
    truth = NO_SPREAD
    image = nb.simulate(truth, FACTORS, backend="torch").expected
    assert image is not None
    counts = 2.0 * np.random.default_rng(3).poisson(image) + 7.0
    fitted = nb.fit(truth, FACTORS, counts, PULLED, gain=2.0, adc_offset=7.0)
    known = [*truth.crystal.misset_deg, 1.0, 5.0, 1.0]
    for each, need in zip(fitted.parameters, known, strict=True):
        assert abs(each.value - need) < 4.0 * each.esd


def test_crystal_alone_above_a_background_that_stands() -> None:
    """Parameters none of which moves the background."""
    scene = nb.Experiment(
        beam=nb.Beam(fluence_photons_per_m2=1e28),
        crystal=nb.Crystal(
            cell_angstrom=(40, 45, 50), misset_deg=(10, 20, 30), n_cells=(4, 4, 4), shape="gauss"
        ),
        detector=nb.Detector(n_fast=32, n_slow=32, pixel_size_mm=0.4),
        background=nb.Background(flat_photons_per_pixel=5.0),
    )
    factors = nb.StructureFactors.constant(100.0)
    data = nb.simulate(scene, factors).expected
    start = scene.replace({"crystal.misset_deg": (10.02, 20, 30)})
    found = nb.fit(start, factors, data, ["crystal.misset_deg"])
    assert found.converged
    assert found.experiment.crystal.misset_deg == pytest.approx((10, 20, 30), abs=1e-4)
