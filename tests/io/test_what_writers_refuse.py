"""What is no image, no matrix, no table: writers say so, and write no file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from nanobragg_hybrid.formats.animation import write_animation
from nanobragg_hybrid.formats.images import tiff
from nanobragg_hybrid.formats.matrix import read_matrix, write_matrix
from nanobragg_hybrid.formats.npy import read_npy, write_npy
from nanobragg_hybrid.formats.pgm import write_pgm
from nanobragg_hybrid.formats.smv import read_smv, write_mask
from nanobragg_hybrid.formats.source_file import write_source_file
from nanobragg_hybrid.formats.trace_text import write_trace

LEVELS = np.arange(6, dtype=np.uint8).reshape(2, 3)
MASKED: Any = np.ma.masked_array(LEVELS, mask=LEVELS == 4)  # type: ignore[no-untyped-call]
NINE = (1.0, 0.25, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1e-300)
UNMASKED = "an array without a mask: drop these elements, or fill them"
MATRIX = "crystal.orientation_matrix: got "
Writer = Callable[[Path, Any], object]


def pgm(path: Path, pixels: Any) -> None:
    write_pgm(path, pixels, 1.0)


REFUSED: dict[str, tuple[Writer, Any, str]] = {
    "no array": (
        pgm,
        [[1, 2], [3, 4]],
        "pixels: got [[1, 2], [3, 4]], need an array, a uint8 image (slow, fast)",
    ),
    "another type": (
        pgm,
        LEVELS.astype(np.int16),
        "pixels: got 'int16 (2, 3)', need a uint8 image (slow, fast)",
    ),
    "one row": (pgm, LEVELS[0], "pixels: got 'uint8 (3,)', need a uint8 image (slow, fast)"),
    "masked": (
        pgm,
        MASKED,
        "pixels: got a masked array (1 elements are masked), need " + UNMASKED,
    ),
    "mask of bytes": (
        write_mask,
        LEVELS,
        "mask.values: got 'uint8 (2, 3)', need booleans (slow, fast)",
    ),
    "row of a mask": (
        write_mask,
        LEVELS[0] > 1,
        "mask.values: got 'bool (3,)', need booleans (slow, fast)",
    ),
    "eight numbers": (
        write_matrix,
        NINE[:8],
        MATRIX + "(1.0, 0.25, 0.0, 0.0, 1.0, 0.0, ...), need nine finite numbers",
    ),
    "infinite": (
        write_matrix,
        (float("inf"), *NINE[:0:-1]),
        MATRIX + "(inf, 1e-300, 0.0, 0.0, 0.0, 1.0, ...), need nine finite numbers",
    ),
    "sources as text": (
        write_source_file,
        "0 0 1",
        "sources: got '0 0 1', need objects of class Source",
    ),
    "one number": (write_source_file, 3.0, "sources: got 3.0, need objects of class Source"),
    "trace as text": (
        write_trace,
        "TRACE_C: q 1",
        "traces: got 'TRACE_C: q 1', need an object of class Trace, or several",
    ),
    "tag": (
        lambda path, tag: write_trace(path, [], tag),
        7,
        "tag: got 7, need a word, or None",
    ),
}


@for_each("writer, given, message", REFUSED.values(), ids=lambda row: row[2])
def test_refused(writer: Writer, given: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(nb.ConfigError) as caught:
        writer(tmp_path / "file", given)
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_a_mask_that_hides_nothing_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    pgm(path, np.ma.masked_array(LEVELS, mask=False))  # type: ignore[no-untyped-call]
    plain = tmp_path / "b.pgm"
    pgm(plain, LEVELS)
    assert path.read_bytes() == plain.read_bytes()


def test_a_matrix_comes_back(tmp_path: Path) -> None:
    write_matrix(tmp_path / "a.mat", NINE)
    assert read_matrix(tmp_path / "a.mat") == NINE


def test_a_mask_comes_back(tmp_path: Path) -> None:
    write_mask(tmp_path / "mask.img", LEVELS > 2)
    assert np.array_equal(read_smv(tmp_path / "mask.img").pixels, LEVELS > 2)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: nb.write_png(path, LEVELS), "writing PNG needs Pillow: "),
        (lambda path: write_animation(path, [LEVELS]), "writing an animation needs Pillow: "),
    ],
    ids=["png", "animation"],
)
def test_without_pillow(
    write: Callable[[Path], object],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(nb.UnsupportedError) as caught:
        write(tmp_path / "picture.png")
    assert str(caught.value).startswith(message)
    assert "nanobragg-hybrid[png]" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_tiff_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "_MOST_BYTES", 12)
    path = tmp_path / "a.tif"
    with pytest.raises(nb.ConfigError) as caught:
        tiff.write_tiff(path, [LEVELS, LEVELS, LEVELS[:1]])
    assert str(caught.value) == "pixels: got '15 bytes', need less than 4 GiB for TIFF"
    assert not path.exists()
    tiff.write_tiff(path, [LEVELS, LEVELS + 10])
    image = nb.read_image(path, frame=1)
    assert np.array_equal(image.panels[0], LEVELS + 10)


def test_npy_of_a_later_version(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    write_npy(path, LEVELS)
    data = path.read_bytes()
    assert np.array_equal(read_npy(path), LEVELS)
    path.write_bytes(data[:6] + b"\3" + data[7:])
    with pytest.raises(nb.FileFormatError) as caught:
        read_npy(path)
    assert str(caught.value) == f"{path}: is a .npy file of an unknown version"
