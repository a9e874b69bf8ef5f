"""Images of any kind as floats."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import GOLDEN, INPUTS, image

import nanobragg_hybrid as nb
from nanobragg_hybrid.formats.any_image import read_archived_image, read_image
from nanobragg_hybrid.formats.smv import SmvHeader

PIXELS = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "image.bin"
    nb.write_raw(path, PIXELS)
    return path


def test_raw_floats(raw: Path) -> None:
    assert np.array_equal(read_image(raw, (2, 3)), PIXELS)
    assert np.array_equal(read_image(raw, like=(2, 3)), PIXELS)
    with pytest.raises(nb.FileFormatError, match="24 bytes are no square image"):
        read_image(raw)
    with pytest.raises(nb.FileFormatError, match="24 bytes are no square image"):
        read_image(raw, like=(4, 3))
    with pytest.raises(nb.FileFormatError, match="3 x 4 floats need 48 bytes, the file has 24"):
        read_image(raw, (4, 3))


def test_raw_floats_are_square_if_nothing_is_said(tmp_path: Path) -> None:
    square = image("images", "triclinic")
    nb.write_raw(tmp_path / "image.bin", square)
    assert np.array_equal(read_image(tmp_path / "image.bin", like=(2, 3)), square)
    (tmp_path / "empty").touch()
    with pytest.raises(nb.FileFormatError, match="0 bytes are no square image"):
        read_image(tmp_path / "empty")


def test_smv_and_pgm(tmp_path: Path) -> None:
    got = read_image(INPUTS / "donor.img", (1, 1))
    assert got.dtype == np.float32
    assert np.array_equal(got, nb.read_smv(INPUTS / "donor.img").pixels)
    nb.write_pgm(tmp_path / "image.pgm", PIXELS.astype(np.uint8), 2.0)
    assert read_image(tmp_path / "image.pgm").tolist() == (PIXELS / 2.0).tolist()


@pytest.mark.filterwarnings("error")
def test_an_image_has_the_type_and_the_byte_order_of_its_header(tmp_path: Path) -> None:
    lines = ("HEADER_BYTES=512;", "SIZE1=3;", "SIZE2=2;", "TYPE=long;", "BYTE_ORDER=big_endian;")
    header = "\n".join(["{", *lines, "}\f"]).encode().ljust(512)
    (tmp_path / "i.img").write_bytes(header + (1000000.0 * PIXELS).astype(">i4").tobytes())
    assert np.array_equal(read_image(tmp_path / "i.img"), 1000000.0 * PIXELS)


KINDS = [
    name.removeprefix("write_")
    for name in nb.__all__
    if name.startswith("write_")
    and (given := inspect.signature(getattr(nb, name)).parameters.get("pixels")) is not None
    and given.default is inspect.Parameter.empty
]
"""Formats of images."""


@pytest.mark.parametrize("kind", [kind for kind in KINDS if f"read_{kind}" in nb.__all__])
def test_every_kind_that_is_read_is_recognised(kind: str, tmp_path: Path) -> None:
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(10, 10, 10)), detector=nb.Detector(n_fast=3, n_slow=2)
    )
    plan = nb.simulate(experiment, nb.StructureFactors.constant(1.0)).plan
    number_type = {"pgm": np.uint8, "smv": np.uint16}.get(kind, np.float32)
    more: dict[str, tuple[Any, ...]] = {"pgm": (1.0,), "smv": (SmvHeader.from_plan(plan),)}
    write = getattr(nb, f"write_{kind}")
    write(tmp_path / "image", PIXELS.astype(number_type), *more.get(kind, ()))
    assert np.array_equal(read_image(tmp_path / "image", (2, 3)), PIXELS)


def test_files_that_are_no_images(tmp_path: Path) -> None:
    with pytest.raises(nb.FileAccessError, match="nowhere"):
        read_image(tmp_path / "nowhere")
    for start, message in ((b"{\ngarbage", "SMV"), (b"P5 x", "PGM"), (b"short", "no square image")):
        (tmp_path / "garbage").write_bytes(start)
        with pytest.raises(nb.FileFormatError, match=message):
            read_image(tmp_path / "garbage")


def test_archives(tmp_path: Path) -> None:
    archive = GOLDEN / "images.npz"
    assert np.array_equal(read_archived_image(archive, "cubic"), image("images", "cubic"))
    with pytest.raises(nb.FileFormatError, match="has no image 'nothing'"):
        read_archived_image(archive, "nothing")
    np.savez(tmp_path / "doubles.npz", x=np.zeros((2, 2)))
    with pytest.raises(nb.FileFormatError, match="x: got float64"):
        read_archived_image(tmp_path / "doubles.npz", "x")
    for content in (b"", b"garbage", b"PK\x03\x04 broken", b"\x80\x04N."):
        (tmp_path / "garbage.npz").write_bytes(content)
        with pytest.raises(nb.FileFormatError, match="is no archive of numpy arrays"):
            read_archived_image(tmp_path / "garbage.npz", "x")
    np.save(tmp_path / "single.npy", np.zeros(3, np.float32))
    with pytest.raises(nb.FileFormatError, match="is no archive of numpy arrays"):
        read_archived_image(tmp_path / "single.npy", "x")
    with pytest.raises(nb.FileAccessError, match="nowhere"):
        read_archived_image(tmp_path / "nowhere.npz", "x")
