"""Tables of two columns: what is read, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from for_each import for_each

import nanobragg_hybrid as nb

TABLE = ((0.0, 0.1, 0.25), (2.5, 1e3, -4.0))


@for_each("end", ["\n", "\r\n", "\r"])
@for_each("gap", [" ", "\t", ",", " , "])
def test_line_ends_and_gaps(end: str, gap: str, tmp_path: Path) -> None:
    path = tmp_path / "f"
    rows = [f"{x}{gap}{y}" for x, y in zip(*TABLE, strict=True)]
    text = end.join(["# stol F", "", rows[0] + "  # first", *rows[1:]])
    for ending in ("", end, end + end):
        path.write_bytes((text + ending).encode())
        assert nb.read_scattering_table(path) == TABLE


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "f"
    columns = ((1 / 3, 2 / 3, 0.1), (5e-324, -1e300, 3.0))
    nb.write_scattering_table(path, *columns)
    assert nb.read_scattering_table(path) == columns


@for_each(
    "text, problem",
    [
        ("1 2\n3\n", "2: got 1 words, need two numbers"),
        ("1 2 3\n", "1: got 3 words, need two numbers"),
        ("# a\n1 x\n", "2: value: got 'x', need a finite number"),
        ("nan 1\n", "1: abscissa: got 'nan', need a finite number"),
        ("1 1e999\n", "1: value: got '1e999', need a finite number"),
        ("0.1 1\n0.2 2\n0.10 3\n", "3: the abscissa 0.10 was there before, at line 1"),
        ("# nothing\n", " has no row of two numbers"),
    ],
)
def test_faults(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(nb.FileFormatError) as caught:
        nb.read_scattering_table(path)
    assert str(caught.value) == f"{path}:{problem}"


@for_each(
    "columns, field",
    [
        (((1.0, 2.0), (1.0,)), "values"),
        (((), ()), "values"),
        (((1.0, 1.0), (1.0, 2.0)), "abscissae"),
        (((1.0,), (float("nan"),)), "values"),
    ],
)
def test_columns_that_cannot_be_written(
    columns: tuple[tuple[float, ...], tuple[float, ...]], field: str, tmp_path: Path
) -> None:
    with pytest.raises(nb.ConfigError) as caught:
        nb.write_scattering_table(tmp_path / "f", *columns)
    assert caught.value.field == field
    assert not (tmp_path / "f").exists()
