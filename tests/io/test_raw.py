"""Raw float images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nanobragg_hybrid.base.errors import ConfigError, FileFormatError
from nanobragg_hybrid.formats.raw import read_raw, write_raw


def test_round_trip(tmp_path: Path) -> None:
    image = np.array([[0.5, -1.0, np.nan], [np.inf, 1e-45, 3.0]], dtype=np.float32)
    write_raw(tmp_path / "f.bin", image)
    assert (tmp_path / "f.bin").read_bytes() == image.tobytes()
    got = read_raw(tmp_path / "f.bin", (2, 3))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, image)


def test_rows_of_a_transposed_array_are_written_in_order(tmp_path: Path) -> None:
    image = np.arange(6, dtype=np.float32).reshape(2, 3).T
    write_raw(tmp_path / "f.bin", image)
    np.testing.assert_array_equal(read_raw(tmp_path / "f.bin", (3, 2)), image)


@pytest.mark.parametrize("shape", [(2, 4), (1, 3)])
def test_other_size(tmp_path: Path, shape: tuple[int, int]) -> None:
    write_raw(tmp_path / "f.bin", np.zeros((2, 3), dtype=np.float32))
    with pytest.raises(FileFormatError, match=r"f\.bin: .* floats need \d+ bytes, the file has 24"):
        read_raw(tmp_path / "f.bin", shape)


@pytest.mark.parametrize("bad", [np.zeros((2, 3)), np.zeros(6, dtype=np.float32)])
def test_only_float32_images_are_written(tmp_path: Path, bad: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="need a float32 image"):
        write_raw(tmp_path / "f.bin", bad)
    assert not (tmp_path / "f.bin").exists()
