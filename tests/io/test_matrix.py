"""Orientation matrix files."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nanobragg_hybrid.base.errors import ConfigError, FileFormatError
from nanobragg_hybrid.formats.matrix import read_matrix, write_matrix

ORTHO = (
    *(0.01355031, -0.00648227, 0.00456041),
    *(0.00852153, 0.01223097, -0.00093178),
    *(-0.00464224, 0.00353058, 0.01160105),
)


def test_first_nine_numbers_of_a_mosflm_matrix(inputs: Path) -> None:
    assert read_matrix(inputs / "ortho.mat") == ORTHO


@pytest.mark.parametrize(
    "text",
    [
        "1 2 3 4 5 6 7 8 9",
        "1\n2\n3\n\n4 5 6\r\n7 8 9\n0 0 0\n",
        "\t1.0\f2 3 4e0 5 6 7 8 9 and what follows",
        "1 2 3 4 5 6 7 8 9x",
    ],
)
def test_layouts(tmp_path: Path, text: str) -> None:
    path = tmp_path / "A.mat"
    path.write_text(text)
    assert read_matrix(path) == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)


def test_columns_that_touch(tmp_path: Path) -> None:
    path = tmp_path / "A.mat"
    path.write_text("  0.01541749-10.00215984  0.5\n 1 2 3 4 5 6\n")
    assert read_matrix(path)[:3] == (0.01541749, -10.00215984, 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"A\.mat: got 0 numbers, need nine$"),
        ("1 2 3\n4 5 6\n7 8\n", r"A\.mat: got 8 numbers, need nine$"),
        ("1 2 3\n4 five 6\n7 8 9\n", r"A\.mat:2: number 5 of nine: got 'five', need a finite"),
        ("1 2 3\n4 5,6\n7 8 9\n", r"A\.mat:2: number 6 of nine: got '5,6', need a finite number$"),
        ("1 2 3\n4 5 6\n\n7 8 nan", r"A\.mat:4: number 9 of nine: got 'nan', need a finite"),
        ("1e999", r"A\.mat:1: number 1 of nine: got '1e999', need a finite number$"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "A.mat"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_matrix(path)


def test_round_trip_keeps_every_bit(tmp_path: Path) -> None:
    matrix = tuple(math.sin(n) * 10.0**-n for n in range(9))
    write_matrix(tmp_path / "A.mat", matrix)
    assert read_matrix(tmp_path / "A.mat") == matrix
    assert len((tmp_path / "A.mat").read_text().splitlines()) == 3


@pytest.mark.parametrize("matrix", [ORTHO[:8], (*ORTHO, 0.0), (*ORTHO[:8], math.nan)])
def test_only_nine_finite_numbers_are_written(tmp_path: Path, matrix: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match=r"^crystal\.orientation_matrix: "):
        write_matrix(tmp_path / "A.mat", matrix)
    assert not (tmp_path / "A.mat").exists()
