"""Images written in blocks of rows."""

from __future__ import annotations

import io

import numpy as np
import pytest

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.formats.pgm import write_pgm, write_pgm_blocks
from nanobragg_hybrid.formats.rows import write_rows

PIXELS = np.arange(35, dtype=np.uint16).reshape(7, 5)


@pytest.mark.parametrize("cuts", [[], [1], [3, 3], [1, 2, 3, 4, 5, 6]])
def test_blocks_make_the_bytes_of_the_whole(cuts: list[int]) -> None:
    file = io.BytesIO()
    write_rows(file, np.split(PIXELS, cuts), "uint16", (7, 5))
    assert file.getvalue() == PIXELS.tobytes()


def test_rows_that_are_not_contiguous() -> None:
    file = io.BytesIO()
    write_rows(file, [PIXELS[:, ::2]], "uint16", (7, 3))
    assert file.getvalue() == PIXELS[:, ::2].tobytes()


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([PIXELS[:6]], r"^pixels: got '6 rows', need 7 rows$"),
        ([PIXELS, PIXELS[:1]], r"^pixels: got '8 rows', need 7 rows$"),
        ([PIXELS[:, :4]], r"^pixels: got 'uint16 \(7, 4\)', need uint16 rows of 5$"),
        ([PIXELS.astype(np.uint8)], r"^pixels: got 'uint8 \(7, 5\)', need uint16 rows of 5$"),
        ([PIXELS[0]], r"^pixels: got 'uint16 \(5,\)', need uint16 rows of 5$"),
    ],
)
def test_blocks_that_make_another_image(blocks: list[np.ndarray], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write_rows(io.BytesIO(), blocks, "uint16", (7, 5))


def test_pgm_in_blocks() -> None:
    whole, parts = io.BytesIO(), io.BytesIO()
    levels = PIXELS.astype(np.uint8)
    write_pgm(whole, levels, 0.5)
    write_pgm_blocks(parts, iter([levels[:3], levels[3:]]), levels.shape, 0.5)
    assert parts.getvalue() == whole.getvalue()
