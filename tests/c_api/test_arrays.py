"""What the binding takes and gives as arrays: memory of an exact type in C order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid import _core
from nanobragg_hybrid.base.native import new_table, read_plane, write_plane

ROI = (0, 2, 0, 1)
IMAGE = np.arange(6, dtype=np.float32).reshape(2, 3)


def _counts(image: Any) -> list[list[int]]:
    pixels, _ = _core.integer_image(image, ROI, 1.0, 5.0, 0.0)
    rows: list[list[int]] = np.asarray(pixels).tolist()
    return rows


@for_each(
    "image",
    [
        IMAGE,
        memoryview(IMAGE),
        memoryview(IMAGE).toreadonly(),
        memoryview(bytearray(IMAGE.tobytes())).cast("f", (2, 3)),
        np.vstack([IMAGE, IMAGE])[2:],
    ],
)
def test_anything_with_a_buffer_is_taken(image: Any) -> None:
    assert _counts(image) == [[0, 1, 2], [3, 4, 5]]


@for_each(
    "image",
    [
        IMAGE.astype(np.float64),
        IMAGE.astype(">f4"),
        IMAGE.view(np.int32),
        np.asfortranarray(IMAGE),
        np.hstack([IMAGE, IMAGE])[:, ::2],
        IMAGE.tobytes(),
        IMAGE.tolist(),
        np.zeros((2, 3), "datetime64[s]"),
        None,
    ],
)
def test_nothing_is_converted(image: Any) -> None:
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _counts(image)


def test_what_is_given_is_memory_of_a_shape() -> None:
    pixels, _ = _core.integer_image(IMAGE, ROI, 1.0, 5.0, 0.0)
    assert isinstance(pixels, memoryview)
    assert (pixels.format, pixels.shape, pixels.c_contiguous) == ("H", (2, 3), True)
    array = np.asarray(pixels)
    assert (array.dtype, array.flags.writeable) == (np.uint16, True)
    array[0, 0] = 9
    assert pixels[0, 0] == 9
    del pixels
    assert array.tolist() == [[9, 1, 2], [3, 4, 5]]


def test_new_memory() -> None:
    table = new_table((2, 3, 4))
    assert (table.format, table.shape, table.nbytes) == ("d", (2, 3, 4), 192)
    assert new_table((2, 0, 4)).nbytes == 0
    large = np.asarray(new_table((3, 1024, 1024)))  # large pages
    large[...] = 1.0
    assert large.sum() == 3 * 2**20


def test_more_memory_than_there_can_be() -> None:
    with pytest.raises(MemoryError):
        new_table((2**31, 2**31, 2**31))


def test_a_plane_there_and_back() -> None:
    table = np.random.default_rng(1).normal(size=(3, 2, 4))
    data = bytearray(8 * 3 * 5)
    write_plane(memoryview(table), 1, data)
    padded = np.frombuffer(data, "<f8").reshape(3, 5)
    assert np.array_equal(padded[:2, :4], table[1])
    assert not padded[2].any()
    assert not padded[:, 4].any()
    again = new_table((1, 2, 4))
    assert read_plane(data, again, 0)
    assert np.array_equal(np.asarray(again)[0], table[1])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_plane_that_is_not_finite(value: float) -> None:
    padded = np.zeros((3, 5))
    padded[2, 4] = value  # in the padding
    table = new_table((1, 2, 4))
    assert read_plane(padded.tobytes(), table, 0)
    padded[0, 3] = value
    assert not read_plane(padded.tobytes(), table, 0)
    assert np.array_equal(np.asarray(table)[0], padded[:2, :4], equal_nan=True)


@pytest.mark.parametrize(
    ("shape", "h", "size", "message"),
    [
        ((1, 2, 4), 1, 120, "table"),
        ((1, 2, 4), -1, 120, "table"),
        ((1, 2, 4), 0, 119, "data"),
        ((1, 2, 4), 0, 128, "data"),
    ],
)
def test_planes_that_do_not_fit(
    shape: tuple[int, int, int], h: int, size: int, message: str
) -> None:
    with pytest.raises(_core.Error, match=f"^{message}: got another"):
        read_plane(bytes(size), new_table(shape), h)
    with pytest.raises(_core.Error, match=f"^{message}: got another"):
        write_plane(new_table(shape), h, bytearray(size))


def test_memory_that_may_not_be_written_to() -> None:
    table = new_table((1, 2, 4))
    with pytest.raises(BufferError, match="may not be written to"):
        read_plane(bytes(120), table.toreadonly(), 0)
