"""Fits of several images at once: what they share, and what is each image's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fit_scenes import FACTORS, NARROW, TRUTH, expected
from for_each import for_each

import nanobragg_hybrid as nb
from nanobragg_hybrid.fitting.likelihoods import deviance
from nanobragg_hybrid.fitting.rotations import angle_between_deg, misset_matrix

MISSETS = ((10.0, 20.0, 30.0), (40.0, -15.0, 70.0), (100.0, 35.0, -20.0))
TRUTHS = [
    TRUTH.replace({"crystal.misset_deg": angles, "beam.fluence_photons_per_m2": fluence})
    for angles, fluence in zip(MISSETS, (3e27, 2e27, 4e27), strict=True)
]
IMAGES = [expected(each) for each in TRUTHS]
NOISY = [np.random.default_rng(n).poisson(image) for n, image in enumerate(IMAGES)]
NAMES = ("crystal.misset_deg", "crystal.cell_angstrom", "detector.distance_mm", "scale")
OFF = {"crystal.cell_angstrom": (40.1, 45.1, 50.1), "detector.distance_mm": 60.1}
STARTS = [
    each.replace({**OFF, "crystal.misset_deg": tuple(np.add(angles, (0.1, 0.1, -0.2)).tolist())})
    for each, angles in zip(TRUTHS, MISSETS, strict=True)
]


def _fitted(data: Any = NOISY, start: Any = STARTS, names: Any = NAMES, **options: Any) -> Any:
    return nb.fit(start, FACTORS, data, names, **options)


def _numbers(result: nb.FitResult, name: str, image: int | None = None) -> list[nb.FittedNumber]:
    return [each for each in result.parameters if (each.name, each.image) == (name, image)]


def test_three_noisy_images_give_back_what_they_share() -> None:
    result = _fitted()
    assert result.converged
    for name, need in (("crystal.cell_angstrom", (40, 45, 50)), ("detector.distance_mm", (60,))):
        for number, true in zip(_numbers(result, name), need, strict=True):
            assert number.esd > 0.0
            assert abs(number.value - true) < 4.0 * number.esd
    for n, angles in enumerate(MISSETS):
        for number, true in zip(_numbers(result, "crystal.misset_deg", n), angles, strict=True):
            assert abs(number.value - true) < 4.0 * number.esd
        (scale,) = _numbers(result, "scale", n)
        assert abs(scale.value - 1.0) < 4.0 * scale.esd
        image = result.images[n]
        assert image.experiment.crystal.cell_angstrom == result.experiments[0].crystal.cell_angstrom
        assert image.scale == scale.value
        assert image.model == pytest.approx(expected(image.experiment).ravel(), rel=1e-9, abs=1e-9)
        assert image.data.tolist() == NOISY[n].ravel().tolist()
    assert result.experiments == tuple(image.experiment for image in result.images)
    assert result.deviance == pytest.approx(sum(image.deviance for image in result.images))
    assert result.chi_square == pytest.approx(sum(image.chi_square for image in result.images))
    assert result.degrees_of_freedom == 3 * TRUTH.detector.n_fast * TRUTH.detector.n_slow - 16
    true = sum(
        deviance("poisson", image.ravel(), noisy.ravel().astype(float), np.zeros(image.size))
        for image, noisy in zip(IMAGES, NOISY, strict=True)
    )
    assert 0.0 < true - result.deviance < 50.0  # chi square of 16 numbers
    assert result.evaluations.jacobians % 3 == 0
    order = [(each.name, each.image) for each in result.parameters]
    assert order[:10:3] == [*[("crystal.misset_deg", n) for n in range(3)], (NAMES[1], None)]
    assert order[-4:] == [(NAMES[2], None), ("scale", 0), ("scale", 1), ("scale", 2)]


def test_shared_numbers_are_known_better_by_the_root_of_the_number_of_images() -> None:
    """Of the same image, which shares all or all but its orientation."""
    one = nb.fit(TRUTHS[0], FACTORS, IMAGES[0], NAMES)
    for shared in (NAMES, NAMES[1:], None):
        four = _fitted([IMAGES[0]] * 4, [TRUTHS[0]] * 4, shared=shared)
        for name in NAMES[1:3]:
            esds = [[each.esd for each in _numbers(fit, name)] for fit in (one, four)]
            assert esds[1] == pytest.approx(np.array(esds[0]) / 2.0, rel=1e-6)
    own = _fitted([IMAGES[0]] * 4, [TRUTHS[0]] * 4, shared=())
    for n in range(4):
        esds = [
            [each.esd for each in _numbers(fit, NAMES[1], image)]
            for fit, image in ((one, None), (own, n))
        ]
        assert esds[1] == pytest.approx(esds[0], rel=1e-6)


def test_a_list_of_one_is_the_fit_of_that_image() -> None:
    options: dict[str, Any] = {"background": "constant", "information": "observed"}
    single = nb.fit(STARTS[0], FACTORS, NOISY[0] + 1, NAMES, **options)
    for shared in (None, (), NAMES):
        joint = _fitted([NOISY[0] + 1], STARTS[:1], shared=shared, **options)
        assert joint.covariance.tolist() == single.covariance.tolist()
        assert joint.deviance == single.deviance
        assert joint.experiment == single.experiment
        assert joint.background.tolist() == single.background.tolist()
        assert joint.trace == single.trace
        assert [each.value for each in joint.parameters] == [x.value for x in single.parameters]
    assert {each.image for each in single.parameters} == {None}
    assert {each.image for each in _fitted(NOISY[:1], STARTS[:1], shared=()).parameters} == {0}


def test_images_that_share_nothing_are_fitted_as_if_alone() -> None:
    options: dict[str, Any] = {"background": "constant", "step_tolerance": 1e-6}
    data = [NOISY[0] + 1, NOISY[1] + 3]
    joint = _fitted(data, STARTS[:2], shared=(), **options)
    for n in range(2):
        alone = nb.fit(STARTS[n], FACTORS, data[n], NAMES, **options)
        own = [k for k, each in enumerate(joint.parameters) if each.image == n]
        for k, number in zip(own, alone.parameters, strict=True):
            assert joint.parameters[k].value == pytest.approx(number.value, rel=1e-6)
        found = joint.covariance[np.ix_(own, own)]
        assert found == pytest.approx(alone.covariance, rel=1e-4, abs=1e-10)
        assert joint.images[n].background == pytest.approx(alone.background, rel=1e-5)
        assert joint.images[n].deviance == pytest.approx(alone.deviance, rel=1e-9)
        other = [k for k, each in enumerate(joint.parameters) if each.image != n]
        assert np.abs(joint.covariance[np.ix_(own, other)]).max() < 1e-12


def test_observed_information_is_that_of_each_image_added_up() -> None:
    names = ("crystal.rotation_vector_deg", "crystal.cell_angstrom", "scale")
    options: dict[str, Any] = {"background": "constant", "information": "observed"}
    single = nb.fit(STARTS[0], FACTORS, NOISY[0] + 1, names, step_tolerance=1e-6, **options)
    priors = {"crystal.cell_angstrom": (single.experiment.crystal.cell_angstrom, 0.05)}
    twice = _fitted(
        [NOISY[0] + 1] * 2, STARTS[:1] * 2, names, shared=names, step_tolerance=1e-6, **options
    )
    assert twice.covariance == pytest.approx(single.covariance / 2.0, rel=1e-4, abs=1e-12)
    with_priors = _fitted(
        [NOISY[0] + 1] * 2, STARTS[:1] * 2, names, shared=names, priors=priors, **options
    )
    information = np.linalg.inv(twice.covariance)
    information[3:6, 3:6] += np.eye(3) / 0.05**2
    need = np.sqrt(np.diagonal(np.linalg.inv(information)))
    assert np.sqrt(np.diagonal(with_priors.covariance)) == pytest.approx(need, rel=1e-2)


def test_each_image_has_its_own_counts_boxes_and_mask() -> None:
    mask = np.ones(IMAGES[1].shape, dtype=bool)
    mask[3:9, 4:11] = False
    result = _fitted(
        [NOISY[0], 3 * NOISY[1] + 40, NOISY[2] + 40],
        names=("crystal.misset_deg", "scale"),
        start=TRUTHS,
        boxes=[[(0, 10, 0, 12), (12, 22, 2, 20)], None, np.array([(1, 20, 3, 23)])],
        mask=[None, mask, nb.Mask(mask)],
        gain=[1.0, 3.0, 1.0],
        adc_offset=(0.0, 40.0, 40.0),
        readout_variance=[0.0, np.full(mask.shape, 9.0), 1.0],
    )
    first, second, third = result.images
    assert first.boxes.tolist() == [[0, 10, 0, 12], [12, 22, 2, 20]]
    assert first.data.size == 10 * 12 + 10 * 18
    assert second.data == pytest.approx(NOISY[1][mask])
    assert third.data.sum() == NOISY[2][1:20, 3:23][mask[1:20, 3:23]].sum()
    assert [image.fitted.variance[0] for image in result.images] == [0.0, 1.0, 1.0]
    common = _fitted([each + 40 for each in NOISY], adc_offset=40.0, mask=mask, boxes=None)
    assert [image.data.size for image in common.images] == [mask.sum()] * 3
    stacked = _fitted(np.stack(NOISY) + 40, adc_offset=np.full(3, 40), mask=np.stack([mask] * 3))
    assert stacked.covariance.tolist() == common.covariance.tolist()


def test_a_prior_of_what_is_not_shared_holds_for_each_image() -> None:
    result = _fitted(names=("scale",), start=TRUTHS, priors={"scale": (1.1, 1e-6)})
    assert [each.value for each in result.parameters] == pytest.approx([1.1] * 3, abs=1e-6)
    assert result.degrees_of_freedom == 3 * IMAGES[0].size
    total = _fitted(names=("scale",), start=TRUTHS, shared=["scale"])
    (scale,) = total.parameters
    counts, mean = sum(each.sum() for each in NOISY), sum(each.sum() for each in IMAGES)
    assert scale.value == pytest.approx(counts / mean, rel=1e-7)
    assert scale.esd == pytest.approx(np.sqrt(counts) / mean, rel=1e-6)


def _turned(experiment: nb.Experiment, degrees: float) -> nb.Experiment:
    x, y, z = experiment.crystal.misset_deg
    return experiment.replace({"crystal.misset_deg": (x + degrees, y - degrees, z)})


def _off_deg(found: nb.Experiment, need: nb.Experiment) -> float:
    one, other = (misset_matrix(np.array(each.crystal.misset_deg)) for each in (found, need))
    return angle_between_deg(one, other)


@for_each("shared, options", [((), {}), (("crystal.misset_deg",), {}), ((), {"starts": 4})])
def test_captures_bring_each_orientation_near(shared: Any, options: dict[str, Any]) -> None:
    """Two crystals, each by itself; or one crystal, turned by its spindle."""
    one = NARROW.replace({"goniometer.phi_deg": 1.0, "goniometer.osc_deg": 0.1})
    change: dict[str, Any] = {"goniometer.phi_deg": 40.0}
    if not shared:
        change["crystal.misset_deg"] = (50.0, -30.0, 10.0)
    truths = [one, one.replace(change)]
    data = [np.random.default_rng(n).poisson(expected(each)) for n, each in enumerate(truths)]
    start = [_turned(each, 1.2) for each in truths]
    result = _fitted(
        data,
        start,
        ("crystal.misset_deg", "scale"),
        shared=shared,
        background="constant",
        capture_deg=2.0,
        cone_deg=0.5,
        **options,
    )
    assert result.converged
    for found, need in zip(result.experiments, truths, strict=True):
        assert _off_deg(found, need) < 0.05
    images = {each.image for each in result.trace}
    assert images == ({None} if shared else {0, 1, None})
    last = max(each.stage for each in result.trace)
    assert {each.stage for each in result.trace if each.image is None} == (
        set(range(last + 1)) if shared else {last}
    )


def test_a_callback_stops_the_stages_of_one_image() -> None:
    options: dict[str, Any] = {"capture_deg": 2.0, "callback": lambda _: False}
    start = [_turned(NARROW, 1.0)] * 2
    data = [np.random.default_rng(5).poisson(expected(NARROW))] * 2
    names = ("crystal.misset_deg", "scale")
    early = _fitted(data, start, names, background="constant", **options)
    assert not early.converged
    assert early.reason == "the callback asked to stop"
    assert [each.image for each in early.trace] == [0]


def test_starts_are_evaluated_together_and_to_the_same_bits() -> None:
    """The promise of orientations by one batch, and by one image for each."""
    from nanobragg_hybrid.engines.torch import ForwardModel
    from nanobragg_hybrid.fitting.forward import TorchForward
    from nanobragg_hybrid.fitting.pixels import fit_pixels

    model = ForwardModel(NARROW, FACTORS)
    counts = np.zeros(NARROW.detector.shape)
    pixels = fit_pixels(NARROW, model.setup.roi, counts, counts, [(3, 30, 5, 40)], None)
    forward = TorchForward(model, pixels)
    vectors = np.random.default_rng(2).normal(size=(5, 3))
    members = [
        {"crystal.rotation_vector_deg": vector, "crystal.n_cells": np.array([7.0, 6.0, 5.0])}
        for vector in vectors
    ]
    together = forward.members(members)
    assert forward.images == 5
    assert together.tolist() == [forward.pixels(each).tolist() for each in members]
    assert forward.members(members[:1]).tolist() == together[:1].tolist()
    assert forward.members([members[0]] * 2).tolist() == [together[0].tolist()] * 2


def test_a_result_of_several_images_says_so() -> None:
    result = _fitted()
    for name in ("experiment", "scale", "model", "background", "data", "pixels", "boxes", "fitted"):
        with pytest.raises(nb.ConfigError, match=rf"^{name}: got a fit of 3 images, need one im"):
            getattr(result, name)
    with pytest.raises(nb.ConfigError, match=r"ask for images\[n\]\.figure"):
        result.figure("boxes.png")
    with pytest.raises(nb.ConfigError, match=r"ask for images\[n\]\.box_images"):
        result.box_images(0)
    text = str(result)
    assert "crystal.misset_deg[2] of image 1 " in text
    assert "scale of image 2 " in text
    assert "detector.distance_mm  " in text


def test_what_the_data_do_not_determine_is_named_with_its_image() -> None:
    start = [each.replace({"beam.direction": (1.0, 0.0, 0.0)}) for each in TRUTHS[:2]]
    data = [expected(each) for each in start]
    with pytest.warns(nb.NanobraggWarning, match=r"beam\.direction\[0\] of image 1: fit fewer"):
        result = _fitted(data, start, ["beam.direction", "scale"], shared=())
    assert np.isinf(_numbers(result, "beam.direction", 0)[0].esd)


SPOILT = NOISY[1].astype(float)
SPOILT[4, 5] = np.nan
OTHER = STARTS[1].replace({"detector.distance_mm": 60.2})
SMALL = TRUTHS[1].replace({"detector.n_fast": 3, "detector.n_slow": 4})
TETRAGONAL = TRUTHS[1].replace(
    {"crystal.cell_angstrom": (40, 40, 50), "crystal.cell_deg": (90, 90, 90)}
)


@for_each(
    "options, message",
    [
        ({"start": []}, "experiment: got [], need an Experiment, or a list of them"),
        ({"start": [STARTS[0], 3, STARTS[2]]}, "experiment[1]: got 3, need an object of class"),
        ({"data": NOISY[:2]}, "data: got 2 of them, need a list with one for each of 3 images"),
        ({"data": NOISY[0]}, "data: got an array of shape (22, 24), need a list with one for"),
        ({"data": 1.0}, "data: got 1.0, need a list with one for each of 3 images"),
        ({"data": [NOISY[0], SPOILT, NOISY[2]]}, "data[1]: got nan at slow 4, fast 5"),
        ({"data": [NOISY[0], NOISY[1], NOISY[2] - 5]}, "data[2]: got -5 photons at slow"),
        ({"data": [NOISY[0], NOISY[1] * 0, NOISY[2]]}, "data[1]: got 0.0 photons, need light"),
        ({"start": [STARTS[0], SMALL, STARTS[2]]}, "data[1]: got int64 of shape (22, 24)"),
        ({"gain": [1.0, 2.0]}, "gain: got 2 of them, need a list with one for each of 3"),
        ({"gain": [1.0, 0.0, 1.0]}, "gain[1]: got 0.0 counts/photon"),
        ({"gain": 0.0}, "gain[0]: got 0.0 counts/photon"),
        ({"adc_offset": [0.0, 0.0, np.inf]}, "adc_offset[2]: got inf counts"),
        ({"readout_variance": [0.0, -1.0, 0.0]}, "readout_variance[1]: got -1.0 counts^2"),
        ({"boxes": [[(0, 5, 0, 25)]] * 3}, "boxes[0]: got box 0, [0, 5, 0, 25], need start"),
        ({"boxes": [(0, 5, 0, 5)]}, "boxes: got 1 of them, need a list with one for each"),
        ({"mask": [None, np.zeros((22, 24), bool), None]}, "mask[1]: got no pixel left"),
        ({"mask": np.ones((3, 3), bool)}, "mask[0]: got shape (3, 3), need shape (22, 24)"),
        ({"shared": ["crystal.n_cells"]}, "shared: got 'crystal.n_cells', need one of the para"),
        ({"shared": ["crystal.cell_angstrm"]}, "did you mean crystal.cell_angstrom?"),
        ({"shared": 3}, "shared: got 3, need names of parameters"),
        (
            {"start": [STARTS[0], OTHER, STARTS[2]]},
            "experiment[1], detector.distance_mm: got 60.2 mm, need the start of image 0 (60.1), ",
        ),
        ({"shared": ["crystal.misset_deg"]}, "experiment[1], crystal.misset_deg: got 40.1 -14.9"),
        (
            {"start": [TRUTHS[0], TETRAGONAL], "data": NOISY[:2], "shared": ()},
            "crystal_system of image 1: got tetragonal, and triclinic for image 0, need one system",
        ),
        (
            {"start": TRUTHS, "names": ["beam.sources.weight"]},
            "parameter of image 0: got 'beam.sources.weight'",
        ),
        ({"priors": {"crystal.n_cells": (6, 1)}}, "need one of the parameters that are fitted"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(nb.ConfigError) as error:
        _fitted(**options)
    assert message in str(error.value)


def test_shared_is_for_lists() -> None:
    with pytest.raises(nb.ConfigError, match=r"shared: got \('scale',\), need None for one image"):
        nb.fit(TRUTHS[0], FACTORS, NOISY[0], "scale", shared=("scale",))


def test_a_dark_image_is_named() -> None:
    dark = NARROW.replace({"crystal.n_cells": (300, 300, 300), "crystal.mosaic_spread_deg": 0.0})
    data = np.random.default_rng(5).poisson(expected(NARROW)) + 1
    with pytest.raises(nb.ConfigError, match=r"^experiment\[1\]: got 0 photons from the model"):
        _fitted([data] * 2, [NARROW, dark], "crystal.misset_deg", background=None)
