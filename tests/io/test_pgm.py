"""PGM images."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from nanobragg_hybrid.base.errors import ConfigError, FileFormatError
from nanobragg_hybrid.formats.pgm import read_pgm, write_pgm

PIXELS = np.arange(6, dtype=np.uint8).reshape(2, 3)


def test_bytes(tmp_path: Path) -> None:
    write_pgm(tmp_path / "i.pgm", PIXELS, 0.0181649)
    need = b"P5\n3 2\n# pixels scaled by 0.0181649\n255\n\0\1\2\3\4\5"
    assert (tmp_path / "i.pgm").read_bytes() == need


@pytest.mark.parametrize(
    ("scale", "text"), [(1.0, "1"), (1.5e-7, "1.5e-07"), (1234567.0, "1.23457e+06")]
)
def test_scale_is_written_as_c_does(tmp_path: Path, scale: float, text: str) -> None:
    write_pgm(tmp_path / "i.pgm", PIXELS, scale)
    assert f"scaled by {text}\n".encode() in (tmp_path / "i.pgm").read_bytes()


def test_recorded_image(tmp_path: Path, inputs: Path) -> None:
    """The dark case: black, scale 1."""
    recorded = json.loads((inputs.parent / "cases.json").read_text())["dark"]
    write_pgm(tmp_path / "i.pgm", np.zeros(recorded["shape"], dtype=np.uint8), 1.0)
    data = (tmp_path / "i.pgm").read_bytes()
    assert hashlib.sha256(data).hexdigest() == recorded["files"]["image.pgm"]["sha256"]


def test_round_trip(tmp_path: Path) -> None:
    write_pgm(tmp_path / "i.pgm", PIXELS, 0.25)
    image = read_pgm(tmp_path / "i.pgm")
    assert image.scale == 0.25
    np.testing.assert_array_equal(image.pixels, PIXELS)


def test_other_writers_headers(tmp_path: Path) -> None:
    (tmp_path / "i.pgm").write_bytes(b"P5 # made by hand\n3\t2 255\n\0\1\2\3\4\5")
    image = read_pgm(tmp_path / "i.pgm")
    assert image.scale is None
    np.testing.assert_array_equal(image.pixels, PIXELS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin like a binary PGM"),
        (b"P2\n3 2\n255\n0 1 2 3 4 5", "is a picture of the PNM family, need a binary PGM"),
        (b"P5\n3 2\n65535\n" + b"\0" * 12, "largest value: got 65535, need 255"),
        (b"P5\n3 2\n255\n\0\1\2\3\4", "truncated: 3 x 2 pixels need 6 bytes, the file has 5"),
        (b"P5\n999999999 999999999\n255\n\0", "truncated: .* need 999999998000000001 bytes"),
    ],
)
def test_faults(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "i.pgm").write_bytes(data)
    with pytest.raises(FileFormatError, match=message):
        read_pgm(tmp_path / "i.pgm")


@pytest.mark.parametrize("bad", [PIXELS.astype(np.uint16), PIXELS.ravel()])
def test_only_uint8_images_are_written(tmp_path: Path, bad: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="need a uint8 image"):
        write_pgm(tmp_path / "i.pgm", bad, 1.0)
    assert not (tmp_path / "i.pgm").exists()
