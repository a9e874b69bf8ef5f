"""Rotations: matrices, vectors and weights, and what a crystal allows beside them."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid import ConfigError, Crystal, Experiment, Rotations

QUARTER = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
"""x becomes y."""
MIRROR = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]]


def random_vectors(count: int, largest_deg: float = 179.0) -> np.ndarray:
    generator = np.random.default_rng(7)
    vectors = generator.normal(size=(count, 3))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    return np.asarray(vectors * generator.uniform(0.0, largest_deg, (count, 1)))


def test_arrays_are_copied_and_read_only() -> None:
    mine = np.array([QUARTER, np.eye(3)])
    rotations = Rotations(mine, [1, 3])
    mine[0] = 0.0
    assert rotations.matrices[0].tolist() == QUARTER
    assert rotations.weights.tolist() == [1.0, 3.0]
    assert len(rotations) == 2
    for array in (rotations.matrices, rotations.weights):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
    assert Rotations(mine[1:]).weights.tolist() == [1.0]
    assert repr(rotations) == "Rotations(2, by up to 90 deg)"


def test_vectors_are_axis_times_angle() -> None:
    rotations = Rotations.from_vectors([(0, 0, 90), (0, 0, 0), (120 / math.sqrt(3),) * 3])
    np.testing.assert_allclose(rotations.matrices[0], QUARTER, atol=1e-16)
    assert np.array_equal(rotations.matrices[1], np.eye(3))
    np.testing.assert_allclose(rotations.matrices[2] @ [1, 0, 0], [0, 1, 0], atol=1e-15)


def test_vectors_come_back() -> None:
    vectors = np.concatenate([random_vectors(200), random_vectors(50, 1e-7), [[0, 0, 0]]])
    np.testing.assert_allclose(Rotations.from_vectors(vectors).vectors_deg, vectors, rtol=1e-13)
    for axis in ([1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.0, -0.8]):
        half_turn = Rotations.from_vectors([180.0 * np.array(axis)])
        again = Rotations.from_vectors(half_turn.vectors_deg)
        np.testing.assert_allclose(again.matrices, half_turn.matrices, atol=1e-15)


def test_scaled() -> None:
    vectors = random_vectors(20, 80.0)
    rotations = Rotations.from_vectors(vectors, np.arange(20) + 1.0)
    twice = rotations.scaled(2.0)
    np.testing.assert_allclose(twice.vectors_deg, 2.0 * vectors, rtol=1e-13)
    np.testing.assert_allclose(twice.matrices, rotations.matrices @ rotations.matrices, atol=1e-14)
    assert np.array_equal(twice.weights, rotations.weights)
    assert np.array_equal(rotations.scaled(0.0).matrices, np.broadcast_to(np.eye(3), (20, 3, 3)))


def test_angles_however_large_or_small() -> None:
    largest = Rotations.from_vectors([[0.0, 1e200, 0.0], [1e308] * 3])
    np.testing.assert_allclose(
        largest.matrices @ largest.matrices.swapaxes(1, 2), [np.eye(3)] * 2, atol=1e-14
    )
    turn = math.radians(1e200)
    assert largest.matrices[0][0] == pytest.approx([math.cos(turn), 0.0, math.sin(turn)], abs=1e-15)
    least = Rotations.from_vectors([[1e-200, 0.0, 0.0]])
    assert least.matrices[0, 2, 1] == pytest.approx(math.radians(1e-200), rel=1e-14)
    half_turn = Rotations.from_vectors([[0.0, 0.0, 180.0]])
    assert half_turn.scaled(1e307).matrices[0, 2, 2] == pytest.approx(1.0, rel=1e-15)
    with pytest.raises(
        ConfigError, match=r"^factor: got 1e.308, need a number by which every angle stays"
    ):
        half_turn.scaled(1e308)


def test_a_few_digits_become_the_nearest_rotation() -> None:
    exact = Rotations.from_vectors(random_vectors(50))
    for error, kept in ((1e-15, True), (1e-9, False), (1e-7, False)):
        noise = error * np.random.default_rng(1).uniform(-1, 1, (50, 3, 3))
        made = Rotations(exact.matrices + noise)
        assert np.array_equal(made.matrices, exact.matrices + noise) == kept
        off = made.matrices @ np.swapaxes(made.matrices, 1, 2) - np.eye(3)
        assert np.abs(off).max() < 1e-14
        assert np.abs(made.matrices - exact.matrices).max() < 2 * error
        assert Rotations(made.matrices) == made  # as it is read from a file


@for_each(
    "matrices, message",
    [
        (
            np.eye(3),
            "rotations.matrices: got float64 of shape (3, 3), need finite numbers of shape",
        ),
        (np.zeros((0, 3, 3)), "rotations.matrices: got float64 of shape (0, 3, 3)"),
        (
            [np.eye(3), 2e-6 + np.eye(3)],
            "rotations.matrices: got matrix [1], which is off by",
        ),
        ([MIRROR], "rotations.matrices: got matrix [0], which is a mirror image, need proper rot"),
        ([[[math.nan] * 3] * 3], "rotations.matrices: got nan at [0, 0, 0], need finite numbers"),
        ([[["a"] * 3] * 3], "rotations.matrices: got <U1, need finite numbers of shape (n, 3, 3)"),
        (None, "rotations.matrices: got object of shape ()"),
        (np.zeros((1, 3, 3)), "rotations.matrices: got matrix [0], which is off by 1"),
    ],
)
def test_other_matrices_are_refused(matrices: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Rotations(matrices)
    assert str(caught.value).startswith(message)


def test_a_rotation_to_1e_6_is_one() -> None:
    assert len(Rotations([np.eye(3) + 4e-7 * np.eye(3)])) == 1


@for_each(
    "weights, message",
    [
        (
            [1.0],
            "rotations.weights: got 1 of them, need 2 finite values >= 0, one for",
        ),
        ([1.0, -1e-300], "rotations.weights: got -1e-300 at [1], need 2 finite values >= 0"),
        ([0.0, 0.0], "rotations.weights: got weights whose sum is 0, need a sum > 0"),
        ([1e308, 1e308], "rotations.weights: got weights whose sum is inf"),
        ([1.0, math.inf], "rotations.weights: got inf at [1], need 2 finite values"),
        (np.ma.masked_equal([1.0, 2.0], 2.0), "rotations.weights: got a masked array"),
    ],
)
def test_other_weights_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Rotations([QUARTER, QUARTER], weights)
    assert str(caught.value).startswith(message)


def test_vectors_that_are_none() -> None:
    for vectors in ([1.0, 2.0, 3.0], [[1.0, 2.0]], [[math.inf, 0.0, 0.0]]):
        with pytest.raises(ConfigError, match=r"rotations\.vectors_deg: got"):
            Rotations.from_vectors(vectors)


def test_equality_is_by_content() -> None:
    one, same = Rotations([QUARTER], [2]), Rotations([QUARTER], [2.0])
    assert one == same
    assert hash(one) == hash(same)
    assert one != Rotations([QUARTER])
    assert one != Rotations([np.eye(3)], [2])
    assert one != QUARTER
    assert pickle.loads(pickle.dumps(one)) == one
    negative = Rotations(np.array([QUARTER]) * [1.0, 1.0, 1.0] + 0.0)
    assert hash(negative) == hash(Rotations([[[-0.0, -1.0, 0.0], [1.0, 0.0, -0.0], [0, 0, 1.0]]]))


def test_a_crystal_has_its_domains_from_one_place() -> None:
    rotations = Rotations([QUARTER] * 3)
    crystal = Crystal(mosaic_rotations=rotations)
    assert crystal.given_domains == 3
    assert Crystal(mosaic_domains=5).given_domains == 5
    assert Crystal().given_domains is None
    with pytest.raises(ConfigError) as caught:
        Crystal(mosaic_rotations=rotations, mosaic_spread_deg=0.0)
    need = "None beside crystal.mosaic_rotations"
    assert str(caught.value) == f"crystal.mosaic_spread_deg: got 0.0 deg, need {need}"
    with pytest.raises(ConfigError) as caught:
        Crystal(mosaic_rotations=rotations, mosaic_domains=3)
    assert str(caught.value) == f"crystal.mosaic_domains: got 3, need {need}"


def test_rotations_are_saved_to_the_last_bit() -> None:
    rotations = Rotations.from_vectors(random_vectors(5), [0.1, 0.0, 1 / 3, 1e-300, 7.0])
    experiment = Experiment(crystal=Crystal(mosaic_rotations=rotations))
    assert Experiment.from_json(experiment.to_json()) == experiment
    data = experiment.to_dict()
    assert data["crystal"]["mosaic_rotations"]["weights"] == rotations.weights.tolist()
    for broken, message in (
        ({"matrices": []}, "crystal.mosaic_rotations: got "),
        ({"matrices": [[1.0]], "weights": [1.0]}, "crystal.mosaic_rotations.matrices: got "),
        ({"matrices": [[1.0] * 9], "weights": [1.0]}, "rotations.matrices: got matrix [0], which"),
    ):
        data["crystal"]["mosaic_rotations"] = broken
        with pytest.raises(ConfigError) as caught:
            Experiment.from_dict(data)
        assert str(caught.value).startswith(message)
