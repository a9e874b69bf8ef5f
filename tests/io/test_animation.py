"""Moving pictures, read again with Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nanobragg_hybrid as nb

IMAGES = [np.full((4, 6), n, np.float32) for n in (0.0, 25.0, 100.0)]


@pytest.mark.parametrize(("name", "kind"), [("a.gif", "GIF"), ("a.png", "PNG"), ("a.apng", "PNG")])
def test_frames_and_levels(name: str, kind: str, tmp_path: Path) -> None:
    nb.write_animation(tmp_path / name, IMAGES, frame_ms=200, brightest=100.0)
    with Image.open(tmp_path / name) as found:
        assert found.format == kind
        assert found.n_frames == 3
        assert found.size == (6, 4)
        levels = []
        for n in range(3):
            found.seek(n)
            assert found.info["duration"] == 200
            levels.append(np.asarray(found.convert("L"))[0, 0])
    assert levels == [255, 128, 0]  # the root: white, half, black
    again = tmp_path / f"again{Path(name).suffix}"
    nb.write_animation(again, IMAGES, frame_ms=200, brightest=100.0)
    assert again.read_bytes() == (tmp_path / name).read_bytes()


def test_brightest_is_common(tmp_path: Path) -> None:
    nb.write_animation(tmp_path / "a.png", [IMAGES[1], IMAGES[2], np.full((4, 6), np.nan)])
    with Image.open(tmp_path / "a.png") as found:
        seen = []
        for n in range(3):
            found.seek(n)
            seen.append(int(np.asarray(found.convert("L"))[0, 0]))
    assert seen == [128, 0, 255]
    nb.write_animation(tmp_path / "dark.png", [np.zeros((2, 2))])


@pytest.mark.parametrize(("name", "frame_ms"), [("a.gif", 10), ("a.png", 15)])
def test_times_are_kept(name: str, frame_ms: int, tmp_path: Path) -> None:
    nb.write_animation(tmp_path / name, IMAGES, frame_ms=frame_ms)
    with Image.open(tmp_path / name) as found:
        assert found.info["duration"] == frame_ms


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"images": []}, "images"),
        ({"images": [np.ones(3)]}, r"images\[0\]"),
        ({"images": [np.ones((2, 2)), np.ones((2, 3))]}, r"images\[1\]"),
        ({"images": [np.ones((2, 2), complex)]}, r"images\[0\]"),
        ({"frame_ms": 0}, "frame_ms"),
        ({"frame_ms": 5}, "frame_ms: got 5, need a multiple of 10 for a GIF, from 10"),
        ({"frame_ms": 15, "path": "A.GIF"}, "frame_ms: got 15, need a multiple of 10"),
        ({"brightest": 0.0}, "brightest"),
        ({"path": "a.mp4"}, "path"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], field: str, tmp_path: Path) -> None:
    given = {"path": "a.gif", "images": IMAGES, **arguments}
    with pytest.raises(nb.ConfigError, match=field):
        nb.write_animation(tmp_path / given.pop("path"), given.pop("images"), **given)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_output(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder.gif").mkdir()
    for path, problem in (
        (tmp_path / "file" / "f.gif", "Not a directory"),
        (tmp_path / "missing" / "f.gif", "No such file or directory"),
        (tmp_path / "folder.gif", "Is a directory"),
    ):
        with pytest.raises(nb.FileAccessError) as caught:
            nb.write_animation(path, IMAGES)
        assert str(caught.value) == f"{path}: {problem}"
