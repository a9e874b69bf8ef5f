"""Files of rotations: matrices or vectors, with weights or without, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid import (
    ConfigError,
    FileFormatError,
    Rotations,
    read_rotations,
    write_rotations,
)

TURNS = [(0.0, 0.0, 90.0), (1.0, -2.0, 0.5)]


@for_each(
    "text, weights",
    [
        ("0 0 90\n1 -2 .5\n", None),
        ("# degrees, weight\r\n0,0,90,2\r\n\r\n1;-2;0.5;0 # none of it\r\n", (2.0, 0.0)),
        ("0 0 90 1\r1 -2 0.5 3", (1.0, 3.0)),
    ],
)
def test_vectors(text: str, weights: tuple[float, ...] | None, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(text.encode())
    assert read_rotations(tmp_path / "f") == Rotations.from_vectors(TURNS, weights)


def test_matrices_of_a_few_digits(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("0 -1 0 1 0 0 0 0 1\n0.9999999 0 0 0 1 0 0 0 1\n")
    read = read_rotations(tmp_path / "f")
    np.testing.assert_allclose(read.matrices[0], [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=0)
    np.testing.assert_allclose(read.matrices[1], np.eye(3), atol=1e-15)
    assert read.weights.tolist() == [1.0, 1.0]


@for_each(
    "text, message",
    [
        ("1 2\n", "f:1: got 2 columns, need a matrix (9) or a vector (3), and a weight or none"),
        ("# two\n0 0 1\n0 0 1 1\n", "f:3: got 4 columns, need 3 as in the lines before"),
        ("0 0 x\n", "f:1: got 'x', need a finite number"),
        ("0 0 inf\n", "f:1: got 'inf', need a finite number"),
        ("0 0 0 1\n0 0 1 -1\n", "f:2: got -1 at [0], need 1 finite values >= 0"),
        ("0 0 1 0\n0 0 2 0\n", "f: got weights whose sum is 0, need a sum > 0"),
        (
            "1 0 0 0 1 0 0 0 1 0\n1 0 0 0 1 0 0 0 -1 1\n",
            "f:2: got a matrix that is a mirror image, need proper rotations to 1e-06",
        ),
        (
            "1 0 0 0 1 0 0 0 1\n\n1 0.1 0 0 1 0 0 0 1\n",
            "f:3: got a matrix that is off by 0.1, need proper rotations to 1e-06",
        ),
        ("# nothing\n", "f: has no rotation"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text(text)
    with pytest.raises(FileFormatError) as caught:
        read_rotations(tmp_path / "f")
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(message)


def test_every_digit_comes_back(tmp_path: Path) -> None:
    vectors = np.random.default_rng(3).normal(scale=40.0, size=(30, 3))
    rotations = Rotations.from_vectors(vectors, np.random.default_rng(4).uniform(size=30))
    write_rotations(tmp_path / "f", rotations)
    assert read_rotations(tmp_path / "f") == rotations


def test_only_rotations_are_written(tmp_path: Path) -> None:
    nothing: Any = np.eye(3)
    with pytest.raises(ConfigError, match=r"rotations: got .* need an object of class Rotations"):
        write_rotations(tmp_path / "f", nothing)
    assert not (tmp_path / "f").exists()
