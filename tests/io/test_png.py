"""PNG pictures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanobragg_hybrid.base.errors import ConfigError, FileAccessError, UnsupportedError
from nanobragg_hybrid.formats.png import write_png

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)
COLOUR = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize(("pixels", "mode"), [(GREY, "L"), (COLOUR, "RGB")])
def test_picture(tmp_path: Path, pixels: np.ndarray, mode: str) -> None:
    write_png(tmp_path / "i.png", pixels)
    with Image.open(tmp_path / "i.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", mode, (3, 2))
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UnsupportedError, match=r"nanobragg-hybrid\[png\]"):
        write_png(tmp_path / "i.png", GREY)
    assert not (tmp_path / "i.png").exists()


@pytest.mark.parametrize(
    "bad", [GREY.astype(float), GREY.ravel(), GREY[:0], COLOUR[..., :2], COLOUR[None]]
)
def test_other_arrays(tmp_path: Path, bad: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="need uint8"):
        write_png(tmp_path / "i.png", bad)
    assert not (tmp_path / "i.png").exists()


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match="No such file"):
        write_png(tmp_path / "missing" / "i.png", GREY)
