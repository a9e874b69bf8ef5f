"""Pages of images: what they hold is what was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from for_each import for_each
from viewer_pages import images_of

import nanobragg_hybrid as nb
from nanobragg_hybrid.formats import viewer_page as module
from nanobragg_hybrid.formats.image_panels import read_image_panels
from nanobragg_hybrid.formats.npy import read_npy, write_npy
from nanobragg_hybrid.formats.smv import SmvHeader
from nanobragg_hybrid.formats.viewer_page import ViewedImage, ViewedPanel, viewer_page

RANDOM = np.random.default_rng(3)


def _page(pixels: object) -> str:
    return viewer_page([ViewedImage("a", (ViewedPanel(pixels),))], "a")  # type: ignore[arg-type]


@for_each(
    "given,held",
    [
        (np.float32([[1.5, np.nan, np.inf], [-0.0, 1e-40, 3e38]]), "float32"),
        (RANDOM.normal(size=(5, 4)), "float64"),
        (np.float16([[1.5, 2.5]]), "float32"),
        (np.array([[1.5, 2.5]], ">f8"), "float64"),
        (np.array([[1.5, 2.5]], ">f4"), "float32"),
        (np.int8([[-1, 127]]), "int8"),
        (np.uint16([[0, 65535]]), "uint16"),
        (np.array([[0, 65535]], ">u2"), "uint16"),
        (np.int32([[-(2**31), 5]]), "int32"),
        (np.uint32([[2**32 - 1, 5]]), "uint32"),
        (np.int64([[-2, 2**31 - 1]]), "int32"),
        (np.int64([[0, 2**32 - 1]]), "uint32"),
        (np.int64([[-1, 2**53]]), "float64"),
        (np.uint64([[1, 200]]), "uint8"),
        (np.array([[True, False]]), "uint8"),
        (RANDOM.integers(0, 9, (6, 8))[::2, ::-2], "uint8"),
    ],
    ids=lambda row: f"{row[0].dtype} {row[1]}",
)
def test_pixels_have_their_values(given: np.ndarray, held: str) -> None:
    (image,) = images_of(_page(given))
    (panel,) = image["panels"]
    assert panel["type"] == held
    assert np.array_equal(panel["pixels"], given, equal_nan=given.dtype.kind == "f")
    if given.dtype == np.float32:
        assert panel["pixels"].tobytes() == given.tobytes()


@for_each(
    "given,problem",
    [
        (np.zeros((2, 0)), r"pixels: got .shape \(2, 0\)., need"),
        (np.zeros(3), "need .slow, fast., not empty"),
        (np.zeros((2, 2), complex), "got .*complex128.*, need real numbers"),
        (np.array([["a"]]), "need real numbers"),
        (np.int64([[2**53 + 1]]), "need whole numbers up to 2.53"),
        (np.int64([[-(2**53) - 1]]), "need whole numbers up to 2.53"),
        (np.array([[np.longdouble(1) + np.finfo(np.longdouble).eps]]), "need numbers that float64"),
    ],
    ids=lambda row: row[1],
)
def test_pixels_that_no_page_holds(given: np.ndarray, problem: str) -> None:
    with pytest.raises(nb.ConfigError, match=problem):
        _page(given)


def test_a_page_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 400)
    assert images_of(_page(np.ones((10, 10), np.float32)))
    with pytest.raises(nb.ConfigError, match="images: got '404 bytes of pixels', need"):
        _page(np.ones((1, 101), np.float32))


def test_names_are_text() -> None:
    """A file's name is no markup."""
    name = '</script><b onclick="x">'
    page = viewer_page([ViewedImage(name, (ViewedPanel(np.ones((1, 1))),), note=name)], name)
    assert name not in page
    (image,) = images_of(page)
    assert (image["name"], image["note"]) == (name, name)


def test_npy(tmp_path: Path) -> None:
    for number, array in enumerate(
        (
            RANDOM.normal(size=(3, 4)).astype(np.float32),
            RANDOM.integers(0, 99, (2, 3, 4)),
            np.asfortranarray(RANDOM.normal(size=(3, 4))),
            np.array([[1, 2]], ">i2"),
        )
    ):
        path = tmp_path / f"{number}.npy"
        write_npy(path, array)
        read = read_npy(path)
        assert read.dtype == array.dtype
        assert np.array_equal(read, array)
        panels = read_image_panels(path).panels
        assert len(panels) == (array.shape[0] if array.ndim == 3 else 1)
        assert np.array_equal(panels[-1], array[-1] if array.ndim == 3 else array)


@for_each(
    "change,problem",
    [
        (lambda data: data[:-1], r"\(2, 3\) of float64 need 48 bytes, the file has 47"),
        (lambda data: data + b"x", "the file has 49"),
        (lambda data: data[:20], "is no .npy file, or its header is damaged"),
        (lambda data: data.replace(b"'descr'", b"'decsr'"), "header is damaged"),
        (lambda data: data.replace(b"(2, 3)", b"(6, ) "), r"has float64 of shape \(6,\), need"),
        (lambda data: data.replace(b"(2, 3)", b"(0, 3)"), r"shape \(0, 3\), need"),
        (lambda data: data.replace(b"'<f8'", b"'<c8'"), "has complex64"),
        (lambda data: data.replace(b"'<f8'", b"'|O' "), "has object"),
        (lambda data: data[:6] + b"\x07" + data[7:], "unknown version"),
    ],
    ids=lambda row: row[1],
)
def test_damaged_npy(change: object, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    write_npy(path, np.ones((2, 3)))
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(nb.FileFormatError, match=problem):
        read_npy(path)


def test_smv_keeps_its_type(tmp_path: Path) -> None:
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(50, 60, 70)), detector=nb.Detector(n_fast=6, n_slow=4)
    )
    result = nb.simulate(experiment, nb.StructureFactors.constant(10.0))
    path = tmp_path / "a.img"
    image = nb.integer_image(result).pixels
    nb.write_smv(path, image, SmvHeader.from_plan(result.plan))
    found = read_image_panels(path)
    assert found.unit == "counts"
    assert found.panels[0].dtype == np.uint16
    assert np.array_equal(found.panels[0], image)
