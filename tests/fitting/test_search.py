"""How a fit gets there: captures, starts, callbacks, steps; and what it refuses."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from fit_scenes import FACTORS, NARROW, TRUTH, expected, fitted
from for_each import for_each
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.fitting.capture import capture_sizes
from nanobragg_hybrid.fitting.coordinates import (
    Block,
    Coordinates,
    Linear,
    Orientation,
    Positive,
    Scale,
)
from nanobragg_hybrid.fitting.crystal_systems import tied_lengths
from nanobragg_hybrid.fitting.rotations import (
    angle_between_deg,
    misset_angles,
    misset_matrix,
    nearest_angles,
    rotation_matrix,
)
from nanobragg_hybrid.fitting.search import random_starts

IMAGE = expected()
NOISY = np.random.default_rng(1).poisson(IMAGE)
NARROW_DATA = np.random.default_rng(5).poisson(expected(NARROW))


def _turned(experiment: nb.Experiment, vector_deg: tuple[float, float, float]) -> nb.Experiment:
    matrix = misset_matrix(np.array(experiment.crystal.misset_deg))
    angles = misset_angles(rotation_matrix(np.array(vector_deg)) @ matrix)
    return experiment.replace({"crystal.misset_deg": tuple(angles.tolist())})


def _off_deg(result: nb.FitResult, truth: nb.Experiment) -> float:
    found, need = (
        misset_matrix(np.array(each.crystal.misset_deg)) for each in (result.experiment, truth)
    )
    return angle_between_deg(need, found)


def test_capture_finds_what_narrow_spots_do_not() -> None:
    start = _turned(NARROW, (1.2, -1.4, 1.0))
    options: dict[str, Any] = {"background": "constant"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lost = fitted(NARROW_DATA, ["crystal.misset_deg", "scale"], start, **options)
    assert _off_deg(lost, NARROW) > 0.2
    result = fitted(NARROW_DATA, ["crystal.misset_deg", "scale"], start, capture_deg=2.5, **options)
    assert result.converged
    assert _off_deg(result, NARROW) < 0.05
    assert {each.stage for each in result.trace} == {0, 1, 2, 3, 4}
    assert result.deviance < lost.deviance


def test_capture_sizes() -> None:
    sizes = capture_sizes(np.array([40.0, 40.0, 3.0]), np.array([50.0, 100.0, 100.0]), 0.5, 0.2)
    # 0.5 / (0.2 x 0.00873) is 286 angstrom
    assert [row.tolist() for row in sizes] == [[6, 3, 3], [11, 6, 3], [23, 11, 3], [40, 23, 3]]
    assert capture_sizes(np.array([5.0] * 3), np.array([50.0] * 3), 0.01, 0.2) == ()
    assert capture_sizes(np.array([5.0] * 3), np.array([50.0] * 3), 0.5, 0.0) == ()


def test_many_starts() -> None:
    start = _turned(NARROW, (1.5, -1.2, 1.0))
    options: dict[str, Any] = {"starts": 6, "cone_deg": 3.0, "capture_deg": 1.5}
    names = ["crystal.misset_deg", "scale"]
    result = fitted(NARROW_DATA, names, start, background="constant", **options)
    assert _off_deg(result, NARROW) < 0.05
    assert result.evaluations.images >= 12  # one for the signal and one for the promise of each


def test_a_start_may_be_far_from_the_experiment() -> None:
    """How far a fit may go counts from where it starts, not from the experiment."""
    blocks = (Orientation("crystal.misset_deg", np.zeros(3), np.zeros(3), as_vector=False),)
    far = random_starts(Coordinates(blocks), 4, 170.0, 3)[2]
    assert np.linalg.norm(far) > 40.0
    truth = _turned(NARROW, tuple(np.add(far, (0.2, -0.1, 0.2)).tolist()))
    data = np.random.default_rng(5).poisson(expected(truth))
    options: dict[str, Any] = {"starts": 4, "cone_deg": 170.0, "seed": 3, "capture_deg": 1.0}
    names = ["crystal.rotation_vector_deg", "scale"]
    result = fitted(data, names, NARROW, background="constant", **options)
    assert result.converged
    assert _off_deg(result, truth) < 0.05
    turn = [each.value for each in result.parameters[:3]]
    assert math.dist(turn, far) < 1.0
    assert [each.start for each in result.parameters[:3]] == [0.0, 0.0, 0.0]


def test_random_starts_are_those_of_the_seed_and_inside_the_cone() -> None:
    blocks = (Orientation("crystal.misset_deg", np.zeros(3), np.zeros(3), as_vector=False),)
    starts = random_starts(Coordinates(blocks), 500, 2.0, 7)
    again = random_starts(Coordinates(blocks), 500, 2.0, 7)
    other = random_starts(Coordinates(blocks), 500, 2.0, 8)
    assert np.array_equal(starts, again)
    assert not np.array_equal(starts, other)
    assert starts[0].tolist() == [0.0, 0.0, 0.0]
    lengths = np.linalg.norm(starts[1:], axis=1)
    assert lengths.max() <= 2.0
    assert np.mean(lengths < 1.0) == pytest.approx(1.0 / 8.0, abs=0.05)  # evenly in the ball
    assert np.abs(np.mean(starts, axis=0)).max() < 0.2


def test_a_callback_sees_each_step_and_may_stop() -> None:
    seen: list[nb.Iteration] = []

    def look(iteration: nb.Iteration) -> bool:
        seen.append(iteration)
        return len(seen) < 3

    start = _turned(TRUTH, (0.5, 0.2, -0.4))
    result = fitted(NOISY, ["crystal.misset_deg", "scale"], start, callback=look)
    assert tuple(seen) == result.trace
    assert len(seen) == 3
    assert not result.converged
    assert result.reason == "the callback asked to stop"
    early = fitted(
        NARROW_DATA,
        "crystal.misset_deg",
        _turned(NARROW, (1, 0, 0)),
        capture_deg=2.0,
        background="constant",
        callback=lambda _: False,
    )
    assert len(early.trace) == 1
    assert early.reason == "the callback asked to stop"
    assert fitted(NOISY, "scale", callback=lambda _: None).converged


def test_too_few_iterations_are_a_warning() -> None:
    start = _turned(TRUTH, (0.5, 0.2, -0.4))
    with pytest.warns(nb.NanobraggWarning, match="not converged: 2 iterations were not enough"):
        result = fitted(NOISY, ["crystal.misset_deg", "scale"], start, max_iterations=2)
    assert not result.converged
    assert str(result).startswith("NOT CONVERGED: 2 iterations")
    assert result.deviance == min(each.deviance for each in result.trace if each.accepted)


def test_numbers_that_nothing_determines_are_named() -> None:
    """Only the direction of the beam counts, and the length of the vector is free."""
    start = TRUTH.replace({"beam.direction": (1.0, 0.0, 0.0)})
    data = expected(start)
    with pytest.warns(nb.NanobraggWarning, match=r"do not determine beam\.direction\[0\]: fit"):
        result = fitted(data, ["beam.direction", "scale"], start)
    along, across, _, scale = result.parameters
    assert along.esd == np.inf
    assert 0.0 < across.esd < np.inf
    assert 0.0 < scale.esd < np.inf
    assert np.isinf(result.covariance[0, 0])
    known = {"beam.direction": ((1.0, 0.0, 0.0), (0.1, np.inf, np.inf))}
    settled = fitted(data, ["beam.direction", "scale"], start, priors=known)
    assert settled.parameters[0].esd == pytest.approx(0.1)


def test_trace_and_evaluations() -> None:
    start = _turned(TRUTH, (0.5, 0.2, -0.4))
    result = fitted(NOISY, ["crystal.misset_deg", "scale"], start)
    accepted = [each for each in result.trace if each.accepted]
    deviances = [each.deviance for each in accepted]
    assert deviances == sorted(deviances, reverse=True)
    assert result.deviance == pytest.approx(deviances[-1])
    # an image for the scale, and for the step after one that was rejected; Jacobians for the rest
    after_bad = sum(not each.accepted for each in result.trace[:-1])
    assert result.evaluations.images == 1 + after_bad
    assert result.evaluations.jacobians <= 1 + len(result.trace)
    assert accepted[0].step_in_esd > accepted[-1].step_in_esd
    assert result.chi_square == pytest.approx(
        np.sum((NOISY - result.model.reshape(NOISY.shape)) ** 2 / result.model.reshape(NOISY.shape))
    )
    assert result.reduced_deviance == result.deviance / (NOISY.size - 4)


def test_figure(tmp_path: Any) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed (extra: png)")
    boxes = [(0, 9, 0, 12), (10, 15, 3, 8)]
    mask = np.ones(IMAGE.shape, dtype=bool)
    mask[4, 5] = False
    result = fitted(NOISY, "scale", boxes=boxes, mask=mask)
    result.figure(tmp_path / "boxes.png", zoom=3, columns=1)
    with image.open(tmp_path / "boxes.png") as opened:
        picture = np.asarray(opened)
    # rows of 9 pixels, three images of 12 with 2 between them, and 2 around each
    assert picture.shape == (2 * (9 * 3 + 2) + 2, 3 * 12 * 3 + 2 * 2 + 2 + 2, 3)
    corner = picture[2 + 4 * 3, 2 + 5 * 3]
    assert corner.tolist() == [200, 200, 200]
    data, model = result.box_images(0)
    for image_number, values in enumerate((data, model)):
        slow, fast = np.unravel_index(np.nanargmax(values), values.shape)
        left = 2 + image_number * (12 * 3 + 2)
        level = 255.0 * (1.0 - np.sqrt(values[slow, fast] / max(np.nanmax(data), np.nanmax(model))))
        assert picture[2 + 3 * slow, left + 3 * fast].tolist() == [round(level)] * 3
    for bad in ({"zoom": 0}, {"columns": 0}, {"zoom": 1.5}):
        with pytest.raises(nb.ConfigError):
            result.figure(tmp_path / "bad.png", **bad)  # type: ignore[arg-type]
    for large in ({"zoom": 10**6}, {"columns": 10**9}):
        with pytest.raises(nb.ResourceError, match="picture"):
            result.figure(tmp_path / "bad.png", **large)


@for_each(
    "options, message",
    [
        ({"parameters": []}, "parameters: got [], need a list of names"),
        ({"parameters": ["scale", "scale"]}, "need a list of names of parameters, each once"),
        ({"parameters": ["crystal.misset_deg", "crystal.rotation_vector_deg"]}, "which are the s"),
        ({"parameters": ["scale", "beam.fluence_photons_per_m2"]}, "which are the same"),
        ({"parameters": ["crystal.rotation_matrix"]}, "need crystal.misset_deg"),
        ({"parameters": ["structure_factors.grid"]}, "Jacobian would be too large"),
        ({"parameters": ["structure_factors.default_f"]}, "need scale"),
        ({"parameters": ["detector.origin_m"]}, "need detector.distance_mm"),
        ({"parameters": ["crystal.misset"]}, "did you mean crystal.misset_deg?"),
        ({"parameters": ["beam.sources.weight"]}, "no sources are listed"),
        ({"parameters": [3]}, "parameters: got 3"),
        ({"data": np.ones((3, 3))}, "data: got float64 of shape (3, 3), need real numbers, shape"),
        ({"data": np.ones((22, 24), bool)}, "data: got bool of shape (22, 24)"),
        ({"data": NOISY - 5}, "data: got -5 photons at slow 0, fast 1, need photons >= 0 without"),
        ({"data": NOISY * 0}, "data: got 0.0 photons, need light"),
        ({"boxes": [(0, 5, 0)]}, "boxes: got int64 of shape (1, 3)"),
        ({"boxes": np.zeros((0, 4), int)}, "boxes: got int64 of shape (0, 4)"),
        ({"boxes": [(0.0, 5.0, 0.0, 5.0)]}, "boxes: got float64"),
        ({"boxes": [(0, 5, 0, 5), (5, 5, 0, 5)]}, "box 1, [5, 5, 0, 5], need start < stop"),
        ({"boxes": [(0, 5, 0, 25)]}, "box 0, [0, 5, 0, 25], need start < stop, inside 22 x 24"),
        (
            {"boxes": [(0, 5, 0, 5), (1, 3, 1, 3)]},
            "box 1, [1, 3, 1, 3], without a pixel of its own",
        ),
        ({"mask": np.ones((3, 3), bool)}, "mask: got shape (3, 3), need shape (22, 24)"),
        ({"mask": np.zeros((22, 24), bool)}, "mask: got no pixel left"),
        ({"background": "linear"}, "background: got 'linear', need one of constant, plane, or No"),
        ({"likelihood": "least squares"}, "likelihood: got 'least squares', need one of poisson"),
        ({"gain": 0.0}, "gain: got 0.0 counts/photon, need a finite value > 0"),
        ({"adc_offset": np.nan}, "adc_offset: got nan counts"),
        ({"readout_variance": -1.0}, "readout_variance: got -1.0 counts^2, need a finite number >"),
        ({"readout_variance": np.ones(3)}, "readout_variance: got an array of shape (3,)"),
        ({"crystal_system": "cubic"}, "crystal_system: got 'cubic', need crystal.cell_angstrom or"),
        (
            {"parameters": ["crystal.cell_angstrom"], "crystal_system": "cubic"},
            "cubic with 40 45 50 80 95 100, need the cell to start from to have a = b = c",
        ),
        (
            {"parameters": ["crystal.cell_angstrom"], "crystal_system": "hexagnal"},
            "did you mean hexagonal?",
        ),
        ({"priors": {"detector.distance_mm": (60, 1)}}, "need one of the parameters that are fit"),
        ({"priors": {"scale": 1.0}}, "priors[scale]: got 1.0, need (value, sigma)"),
        ({"priors": {"scale": (1.0, 0.0)}}, "priors[scale]: got (1.0, 0.0)"),
        ({"priors": {"scale": ((1.0, 2.0), 1.0)}}, "priors[scale]: got"),
        ({"priors": [1]}, "priors: got [1], need a mapping"),
        ({"capture_deg": -1.0}, "capture_deg: got -1.0 deg"),
        ({"capture_deg": 10.5}, "capture_deg: got 10.5 deg, need at most 10, since no fit"),
        ({"cone_deg": 180.5}, "cone_deg: got 180.5 deg, need at most 180"),
        ({"priors": {"scale": (2.0, 1e-160)}}, "priors: got a start too many sigma away"),
        ({"priors": {"scale": (1e200, 1.0)}}, "priors: got a start too many sigma away"),
        ({"parameters": ["scale"], "capture_deg": 1.0}, "0 where no orientation is fitted"),
        ({"parameters": ["scale"], "starts": 2}, "starts: got 2, need 1 where no orientation"),
        ({"starts": 0}, "starts: got 0"),
        ({"cone_deg": 0.0}, "cone_deg: got 0.0 deg"),
        ({"seed": 0.5}, "seed: got 0.5"),
        ({"max_iterations": 0}, "max_iterations: got 0"),
        ({"step_tolerance": 0.0}, "step_tolerance: got 0.0"),
        ({"information": "fisher"}, "information: got 'fisher', need one of expected, observed"),
        ({"callback": 3}, "callback: got 3, need a function of an Iteration, or None"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    given = {"data": NOISY, "parameters": ["crystal.misset_deg", "scale"], **options}
    with pytest.raises(nb.ConfigError) as error:
        fitted(**given)
    assert message in str(error.value)


def test_square_crystals_and_their_number_of_cells() -> None:
    square = TRUTH.replace({"crystal.shape": "square"})
    with pytest.raises(nb.ConfigError, match=r"crystal\.n_cells.*another crystal shape"):
        fitted(NOISY, "crystal.n_cells", square)
    hkl = TRUTH.replace({"crystal.shape": "gauss_hkl"})
    found = fitted(
        expected(hkl), "crystal.n_cells", hkl.replace({"crystal.n_cells": (6.2, 5.9, 6.1)})
    )
    assert found.experiment.crystal.n_cells == pytest.approx((6, 6, 6), rel=1e-3)


def test_a_dark_model_is_named_with_its_pixel() -> None:
    dark = NARROW.replace({"crystal.n_cells": (300, 300, 300), "crystal.mosaic_spread_deg": 0.0})
    with pytest.raises(nb.ConfigError, match=r"0 photons from the model, \d+ in the data, at slow"):
        fitted(NARROW_DATA + 1, "crystal.misset_deg", dark)


def test_as_far_as_a_fit_can_go() -> None:
    options: dict[str, Any] = {"capture_deg": 10.0, "cone_deg": 10.0, "priors": {"scale": (1, 1)}}
    assert fitted(NARROW_DATA, ["crystal.misset_deg", "scale"], NARROW, **options).converged


def test_no_step_goes_astray() -> None:
    start = _turned(NARROW, (6.0, -5.0, 6.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = fitted(NARROW_DATA, ["crystal.misset_deg", "scale"], start, background="constant")
    assert _off_deg(result, start) <= 10.0


def test_a_capture_needs_a_number_of_cells() -> None:
    sized = TRUTH.replace({"crystal.size_mm": (2e-5, 2e-5, 2e-5)})
    with pytest.raises(
        nb.ConfigError, match=r"capture_deg: got 1\.0 deg, need 0 for a crystal with"
    ):
        fitted(NOISY, "crystal.misset_deg", sized, capture_deg=1.0)
    assert fitted(expected(sized), "crystal.misset_deg", sized).converged


def test_slopes_of_the_coordinates() -> None:
    """Of the numbers that users see, and of those that the model gets, against differences."""
    cell = np.array([40.0, 40.0, 50.0])
    blocks: tuple[Block, ...] = (
        Orientation("crystal.misset_deg", np.array([10.0, 20.0, 30.0]), np.zeros(3), False),
        Linear("crystal.cell_angstrom", "angstrom", cell[[0, 2]], tied_lengths("hexagonal"), (3,)),
        Positive("crystal.mosaic_spread_deg", "deg", np.log([0.4])),
        Scale("scale", "", 1.0, np.zeros(1)),
    )
    coordinates = Coordinates(blocks)
    x = coordinates.start + np.array([1.0, -0.5, 0.3, 0.1, 0.2, 0.3, 0.1])
    turn, scale = coordinates.signal_slopes(x)
    assert scale.tolist() == [0, 0, 0, 0, 0, 0, 1]
    for n in range(x.size):
        step = np.zeros(x.size)
        step[n] = 1e-5
        ends = [coordinates.numbers(x + step), coordinates.numbers(x - step)]
        assert coordinates.slopes(x)[:, n] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-6)
        values = [
            np.concatenate([*coordinates.model_values(x + sign * step).values()])
            for sign in (1, -1)
        ]
        assert turn[:, n] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-6)
    with pytest.raises(
        nb.ConfigError, match=r"crystal\.misset_deg: got 11\.0 deg, need at most 10"
    ):
        coordinates.experiment(np.array([11.0, 0, 0, 40, 50, 0, 0]), TRUTH)


def test_rotations() -> None:
    angles = np.array([10.0, 20.0, 30.0])
    assert misset_angles(misset_matrix(angles)) == pytest.approx(angles)
    odd = np.array([190.0, 170.0, 205.0])
    back = misset_angles(misset_matrix(odd))
    assert nearest_angles(back, odd) == pytest.approx(odd)
    locked = np.array([12.0, 90.0, 40.0])
    back = misset_angles(misset_matrix(locked))
    assert misset_matrix(back) == pytest.approx(misset_matrix(locked), abs=1e-12)
    vector = np.array([1.0, -2.0, 0.5])
    turn = rotation_matrix(vector)
    assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-14)
    assert turn @ vector == pytest.approx(vector)
    assert angle_between_deg(np.eye(3), turn) == pytest.approx(np.linalg.norm(vector))


def test_the_rotation_is_that_of_the_engine() -> None:
    vector = (0.5, -1.0, 2.0)
    values = {"crystal.rotation_vector_deg": torch.tensor(vector, dtype=torch.float64)}
    image = nb.ForwardModel(TRUTH, FACTORS)(values).numpy()
    assert expected(_turned(TRUTH, vector)) == pytest.approx(image, rel=1e-9, abs=1e-12)
