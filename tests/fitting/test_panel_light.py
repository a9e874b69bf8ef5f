"""Fits of several panels that have a background and a response."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fit_scenes import FACTORS
from for_each import for_each
from numpy.typing import NDArray
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import PanelModel
from nanobragg_hybrid.fitting.panel_light import PanelsLight, of_panel
from nanobragg_hybrid.fitting.pixels import fit_pixels
from nanobragg_hybrid.fitting.stack import Stack

pytestmark = pytest.mark.filterwarnings(
    "ignore:with a point spread, light from under the mask:nanobragg_hybrid.ImageWarning"
)

FWHM_UM = 0.8 * 400.0
MASK = np.ones((24, 18), dtype=bool)
MASK[10:12] = False
PANELS = (
    nb.Panel(
        name="left",
        origin_mm=(60.0, 5.0, -9.0),
        fast_axis=(0.02, 0.0, 1.0),
        slow_axis=(0.0, -1.0, 0.0),
        n_fast=22,
        n_slow=20,
        pixel_size_mm=0.4,
    ),
    nb.Panel(
        name="right",
        origin_mm=(61.0, 5.5, 1.0),
        fast_axis=(0.0, 0.1, 1.0),
        slow_axis=(0.0, -1.0, 0.1),
        n_fast=18,
        n_slow=24,
        pixel_size_mm=0.4,
        mask=nb.Mask(MASK),
        roi=(1, 16, 0, 22),
    ),
)
LIGHT = nb.Experiment(
    beam=nb.Beam(fluence_photons_per_m2=4e26),
    crystal=nb.Crystal(
        cell_angstrom=(80, 80, 70), misset_deg=(10, 20, 30), n_cells=(8, 8, 8), shape="gauss"
    ),
    detector=nb.Detector(panels=PANELS),
    sampling=nb.Sampling(oversample=1),
    background=nb.Background(
        scatterers=(nb.Scatterer((0.0, 0.05, 0.15), (3.0, 6.0, 9.0), 3e-14),),
        air_attenuation_per_mm=0.001,
        flat_photons_per_pixel=4.0,
        radial=nb.RadialBackground((0.0, 6.0, 14.0), (6.0, 3.0, 1.0)),
        offsets=(
            nb.BackgroundOffset(5.0, 3, 9, 2, 20, panel=1),
            nb.BackgroundOffset(7.0, 0, 30, 0, 30, panel=0),
            nb.BackgroundOffset(2.0, 4, 12, 3, 12, panel=1),
        ),
    ),
    response=nb.Response(
        point_spread=nb.PointSpread(FWHM_UM),
        gain=2.5,
        gain_error=0.03,
        read_noise=3.0,
        pedestal=40.0,
        dead_fraction=0.02,
        seed=4,
    ),
)
NAMES = (
    "background.offsets[1].photons_per_pixel",
    "crystal.misset_deg",
    "background.offsets[0].photons_per_pixel",
    "detector.panels.shift_mm",
    "background.scatterers[0].scale",
    "background.scatterers[0].values",
    "detector.shift_mm",
    "background.offsets[2].photons_per_pixel",
    "detector.panels.rotation_deg",
    "background.air_attenuation_per_mm",
    "background.flat_photons_per_pixel",
    "background.radial.photons_per_pixel",
)
BOXES = [(1, 0, 9, 1, 8), (0, 3, 19, 6, 20), (1, 5, 18, 6, 17), (0, 0, 3, 0, 5)]
SCENES: dict[str, nb.Experiment] = {
    "both": LIGHT,
    "background": LIGHT.replace({"response": None}),
    "response": LIGHT.replace({"background": None}),
}


@for_each("name", SCENES)
@for_each("boxes", [None, BOXES])
def test_model_and_its_derivatives(name: str, boxes: Any) -> None:
    """Photons of the pixels of both panels are those of `PanelModel.expected`, and the Jacobian
    that of it."""
    experiment = SCENES[name]
    names = [each for each in NAMES if experiment.background or not each.startswith("background.")]
    model = PanelModel(experiment, FACTORS)
    stack = Stack.of(experiment.detector)
    flat = stack.experiment(experiment)
    nothing = np.zeros(stack.shape)
    whole = (0, 2**31, 0, 2**31)
    pixels = fit_pixels(flat, whole, nothing, nothing, stack.boxes(boxes), None)
    light = PanelsLight(model, pixels, stack)
    initial = model.expected_initial()

    def value(each: str) -> torch.Tensor:
        return initial[each] if each in initial else model.initial(each)

    start = {each: value(each).numpy().ravel() for each in names}
    photons = experiment
    if experiment.response is not None:
        change = {"response.gain": 1.0, "response.gain_error": 0.0}
        photons = experiment.replace(change)
    leaves = {each: value(each).clone().requires_grad_() for each in names}
    images = PanelModel(photons, FACTORS).expected(leaves)
    panel = stack.panel(pixels.slow)
    rows = pixels.slow - stack.starts[panel]
    image = torch.stack([images[p][s, f] for p, s, f in zip(panel, rows, pixels.fast, strict=True)])
    has_background = experiment.background is not None
    assert light.has_background is has_background
    beside = light.light(start) if has_background else 0.0
    np.testing.assert_allclose(
        light.pixels(start) + beside, image.detach().numpy(), rtol=1e-11, atol=1e-12
    )
    signal, columns = light.jacobian(start, tuple(names))
    np.testing.assert_allclose(signal, light.pixels(start), rtol=1e-13)
    np.testing.assert_allclose(light.members([start, start])[1], signal, rtol=1e-12)
    jacobian = columns.T
    if has_background:
        jacobian = jacobian + light.light_jacobian(start, tuple(names))
    for seed in range(3):
        weight = np.random.default_rng(seed).normal(size=pixels.count)
        total = (image * torch.from_numpy(weight)).sum()
        slopes = torch.autograd.grad(total, list(leaves.values()), retain_graph=True)
        need = torch.cat([slope.reshape(-1) for slope in slopes]).numpy()
        assert np.flatnonzero(need == 0.0).tolist() == []
        rounding = 1e-11 * (abs(jacobian) @ abs(weight) + 1.0)
        assert (abs(jacobian @ weight - need) <= rounding).all()


def test_pixels_of_a_panel() -> None:
    stack = Stack.of(LIGHT.detector)
    flat = stack.experiment(LIGHT)
    data = np.arange(np.prod(stack.shape), dtype=float).reshape(stack.shape)
    whole = (0, 2**31, 0, 2**31)
    pixels = fit_pixels(flat, whole, data, data, stack.boxes(BOXES), None)
    place, own = of_panel(pixels, stack, 1)
    assert own.boxes.tolist() == [list(BOXES[0][1:]), list(BOXES[2][1:])]
    assert (own.slow < 24).all()
    np.testing.assert_array_equal(data[own.slow + 20, own.fast], own.photons)
    np.testing.assert_array_equal(own.photons, pixels.photons[place])
    np.testing.assert_array_equal(own.starts, [0, np.flatnonzero(own.box == 1)[0]])
    other, _ = of_panel(pixels, stack, 0)
    assert sorted([*place, *other]) == list(range(pixels.count))


PULLED = (
    "crystal.misset_deg",
    "detector.shift_mm",
    "background.scatterers[0].scale",
    "background.offsets[0].photons_per_pixel",
    "background.offsets[1].photons_per_pixel",
    "scale",
)
KNOWN = np.array([10.0, 20.0, 30.0, 0.1, -0.05, -0.02, 1.0, 5.0, 7.0, 1.0])


def _frames(truth: nb.Experiment, frame: int) -> list[NDArray[Any]]:
    result = nb.simulate(truth, FACTORS, backend="torch")
    return [nb.frame_counts(panel, frame) for panel in result.panels]


@for_each("likelihood, frames", [("gaussian", range(8)), ("poisson", range(3))])
def test_errors_are_what_they_are_said_to_be(likelihood: Any, frames: Any) -> None:
    """Two panels with gains, dead pixels and offsets of their own: the squared errors of noisy
    images, in units of their covariance, are the number of parameters."""
    truth = LIGHT.replace({"background.radial": None})
    result = nb.simulate(truth, FACTORS, backend="torch")
    dead = [panel.variance for panel in result.panels]
    usable = sum(int(np.isfinite(each).sum()) for each in dead if each is not None)
    start = truth.replace(
        {
            "crystal.misset_deg": (10.05, 19.96, 30.03),
            "detector": truth.detector.shifted((-0.1, 0.05, 0.02)),
        }
    )
    squares = []
    for frame in frames:
        counts = [nb.frame_counts(panel, frame) for panel in result.panels]
        fitted = nb.fit(start, FACTORS, counts, PULLED, likelihood=likelihood)
        assert fitted.converged
        assert len(fitted.pixels) == usable
        off = np.array([each.value for each in fitted.parameters]) - KNOWN
        assert (abs(off) < 4.5 * np.sqrt(np.diagonal(fitted.covariance))).all()
        squares.append(off @ np.linalg.solve(fitted.covariance, off))
    size, count = len(KNOWN), len(squares)
    assert np.mean(squares) == pytest.approx(size, abs=3.5 * np.sqrt(2.0 * size / count))


def test_gains_are_those_of_each_panel() -> None:
    """With the maps of the panels taken for each other, residuals are too large."""
    bright = LIGHT.replace(
        {
            "background.flat_photons_per_pixel": 4000.0,
            "response.gain_error": 0.1,
            "response.dead_fraction": 0.0,
        }
    )
    counts = _frames(bright, 0)
    options: Any = {"likelihood": "gaussian"}
    right = nb.fit(bright, FACTORS, counts, ["scale"], **options)
    assert right.chi_square == pytest.approx(right.degrees_of_freedom, rel=0.2)
    other = bright.replace({"response.seed": 5})
    wrong = nb.fit(other, FACTORS, counts, ["scale"], **options)
    assert wrong.chi_square > 20.0 * wrong.degrees_of_freedom


@for_each(
    "change, options, message",
    [
        ({}, {"gain": 2.0}, "gain: got 2.0, need nothing: experiment.response says it"),
        ({}, {"parameters": ["response.gain"]}, "got 'response.gain', need a number of something"),
        (
            {},
            {"parameters": ["spot_scales"]},
            "got 'spot_scales', need scale, where the experiment",
        ),
        (
            {},
            {"parameters": ["detector.panels.pixel_size_mm"]},
            "need another one beside a point spread, which a fit takes for pixels of one size",
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
    counts = [np.zeros(shape) for shape in LIGHT.detector.shapes]
    with pytest.raises(nb.ConfigError, match=message):
        nb.fit(LIGHT.replace(change), FACTORS, counts, **given)
