"""Lists of spots: reflection tables of DIALS, made by hand, and streams of CrystFEL."""

from __future__ import annotations

import builtins
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from geometry_files import STREAM

import nanobragg_hybrid as nb

msgpack = pytest.importorskip("msgpack", reason="msgpack is not installed (extra: test)")

PLACES = [(3.5, 4.25, 0.5), (10.0, 19.75, 0.5), (29.75, 0.5, 1.5)]
COLUMNS: dict[str, tuple[str, bytes]] = {
    "panel": ("std::size_t", struct.pack("<3Q", 0, 2, 1)),
    "xyzobs.px.value": ("vec3<double>", struct.pack("<9d", *sum(PLACES, ()))),
    "id": ("int", struct.pack("<3i", 0, 0, 1)),
    "miller_index": ("cctbx::miller::index<>", struct.pack("<9i", 1, -2, 3, 0, 0, 0, -4, 5, 6)),
    "intensity.sum.value": ("double", struct.pack("<3d", 100.0, 50.5, 7.0)),
    "intensity.sum.variance": ("double", struct.pack("<3d", 110.0, 60.5, 9.0)),
    "bbox": ("int6", struct.pack("<18i", *(2, 6, 3, 7, 0, 1, 8, 13, 18, 20, 0, 1), *range(6))),
    "flags": ("std::size_t", struct.pack("<3Q", 32, 32, 32)),
    "shoebox": ("Shoebox<>", b"of no interest"),
}


def table(rows: int = 3, version: int = 1, **changes: tuple[str, bytes] | None) -> bytes:
    """A table; `changes` are columns by name, with _ for a point, of which None leaves one out."""
    columns = dict(COLUMNS)
    for name, column in changes.items():
        key = next(key for key in COLUMNS if key.replace(".", "_") == name)
        del columns[key]
        if column is not None:
            columns[key] = column
    data = {name: [kind, [rows, values]] for name, (kind, values) in columns.items()}
    content = {"identifiers": {0: "abc"}, "nrows": rows, "data": data}
    packed: bytes = msgpack.packb(["dials::af::reflection_table", version, content])
    return packed


def read(folder: Path, data: bytes, **options: Any) -> nb.Spots:
    path = folder / "file"
    path.write_bytes(data)
    return nb.read_spots(path, **options)


def test_a_reflection_table(tmp_path: Path) -> None:
    spots = read(tmp_path, table())
    assert len(spots) == 3
    assert spots.panel.tolist() == [0, 2, 1]
    assert spots.fast_px.tolist() == [3.5, 10.0, 29.75]
    assert spots.slow_px.tolist() == [4.25, 19.75, 0.5]
    assert spots.image.tolist() == [0, 0, 1]
    assert spots.hkl is not None
    assert spots.hkl.tolist() == [[1, -2, 3], [0, 0, 0], [-4, 5, 6]]
    assert spots.is_indexed.tolist() == [True, False, True]
    assert spots.intensity.tolist() == [100.0, 50.5, 7.0]
    assert spots.variance.tolist() == [110.0, 60.5, 9.0]
    assert spots.bounds is not None
    assert spots.bounds[:2].tolist() == [[3, 7, 2, 6], [18, 20, 8, 13]]
    assert repr(spots) == f"<3 spots of {str(tmp_path / 'file')!r}, 2 indexed>"
    with pytest.raises(ValueError, match="read-only"):
        spots.panel[0] = 5
    assert read(tmp_path, table(), image=1).hkl.tolist() == [[-4, 5, 6]]  # type: ignore[union-attr]


def test_what_a_table_may_lack(tmp_path: Path) -> None:
    spots = read(
        tmp_path,
        table(miller_index=None, bbox=None, id=None, intensity_sum_value=None,
              intensity_sum_variance=None),
    )  # fmt: skip
    assert (spots.hkl, spots.bounds) == (None, None)
    assert not spots.is_indexed.any()
    assert spots.image.tolist() == [0, 0, 0]
    assert np.isnan(spots.intensity).all()
    assert np.isnan(spots.variance).all()


def test_boxes(tmp_path: Path) -> None:
    spots = read(tmp_path, table())
    boxes = spots.boxes([(20, 30)] * 3, half_width_px=3)
    assert boxes.tolist() == [[0, 1, 8, 0, 7], [2, 16, 20, 7, 14], [1, 0, 4, 26, 30]]
    middle = boxes[0, [1, 3]] + 3  # the spot's own pixel
    assert middle.tolist() == [int(spots.slow_px[0]), int(spots.fast_px[0])]
    assert spots.boxes([(20, 30)] * 3, half_width_px=0)[:, 2].tolist() == [5, 20, 1]
    panels = tuple(
        nb.Panel(f"p{n}", (100.0, 3.0 * n, 0.0), (0, 0, 1), (0, -1, 0), 30, 20, 0.1)
        for n in range(3)
    )
    experiment = nb.Experiment(detector=nb.Detector(panels=panels))
    for within in (experiment, experiment.detector):
        np.testing.assert_array_equal(spots.boxes(within, half_width_px=3), boxes)
    indexed = spots.where(spots.is_indexed)
    np.testing.assert_array_equal(
        indexed.boxes(experiment, half_width_px=3), boxes[spots.is_indexed]
    )
    with pytest.raises(nb.ConfigError, match=r"spot 1 at panel 2, slow 19\.75, fast 10, need one"):
        spots.boxes([(20, 30)] * 2)
    with pytest.raises(nb.ConfigError, match="half_width_px: got -1"):
        spots.boxes(experiment, half_width_px=-1)
    with pytest.raises(nb.ConfigError, match="chosen: got int64 of shape"):
        spots.where(np.array([1, 2]))


WITH_REFLECTIONS = STREAM.replace(
    b"   h    k    l          I   sigma(I)\n",
    b"   h    k    l          I   sigma(I)       peak background  fs/px  ss/px panel\n"
    b"   1   -2    3     500.25      20.0      90.0       1.5   12.5   30.25 p1\n"
    b"   0    0    4      -3.0       2.0       5.0       1.5    2.5    3.5 p0\n",
)


def test_a_stream(tmp_path: Path) -> None:
    spots = read(tmp_path, STREAM)
    assert spots.panel.tolist() == [0, 1]
    assert spots.fast_px.tolist() == [3.5, 4.5]
    assert spots.slow_px.tolist() == [10.25, 5.75]  # p1 begins at ss 20
    assert spots.image.tolist() == [0, 0]
    assert spots.intensity.tolist() == [800.0, 100.0]
    assert spots.hkl is None
    spots = read(tmp_path, WITH_REFLECTIONS, crystal=0)
    assert spots.image.tolist() == [1, 1]
    assert spots.hkl is not None
    assert spots.hkl.tolist() == [[1, -2, 3], [0, 0, 4]]
    assert spots.panel.tolist() == [1, 0]
    assert (spots.fast_px.tolist(), spots.slow_px.tolist()) == ([12.5, 2.5], [10.25, 3.5])
    assert spots.variance.tolist() == [400.0, 4.0]
    assert len(read(tmp_path, WITH_REFLECTIONS, crystal=1)) == 0
    assert len(read(tmp_path, STREAM, image=1)) == 0
    # what was there before reads the same
    with pytest.warns(nb.NanobraggWarning):
        images = nb.read_stream(tmp_path / "file")
    assert [len(each.experiments) for each in images] == [0, 2]


@for_each(
    "data, message",
    [
        (table()[:-5], "is no reflection table that is whole"),
        (table() + b"x", "is no reflection table that is whole"),
        (table(version=2), "version: got 2, need 1"),
        (table(rows=4), "got 9 numbers, need 3 for each of 4 rows"),
        (table(panel=None), "has no column panel"),
        (table(xyzobs_px_value=None), "has no column xyzobs.px.value or xyzcal.px"),
        (table(panel=("int", bytes(12))), "panel: got the type 'int', need 'std::size_t'"),
        (table(panel=("std::size_t", bytes(7))), "panel: need a type and its values"),
        (table(panel=("std::size_t", b"\xff" * 24)), "panel: need numbers of panels"),
        (
            table(xyzobs_px_value=("vec3<double>", struct.pack("<9d", *[np.nan] * 9))),
            "xyzobs.px.value: need finite numbers",
        ),
        (b"\x93\xbbdials::af::reflection_table\x01\x05", "is no reflection table of DIALS"),
        (STREAM[:300], "ends before '----- End geometry file'"),
        (
            WITH_REFLECTIONS.replace(b"30.25 p1", b"30.25 q7"),
            "a spot on the panel 'q7', which the geometry file does not have",
        ),
        (WITH_REFLECTIONS.replace(b"500.25", b"5x"), "need a reflection: h, k, l, I, sigma"),
        (WITH_REFLECTIONS.replace(b"ss/px panel", b"other"), "need columns of reflections with ss"),
        (b"MTZ " + bytes(76), "is an MTZ file, need a DIALS reflection table"),
        (b"nothing", "is of no kind that is known, need a DIALS reflection table"),
    ],
    ids=lambda row: row[1],
)
def test_broken_lists(tmp_path: Path, data: bytes, message: str) -> None:
    options = {"crystal": 0} if data.startswith(b"CrystFEL") else {}
    with pytest.raises(nb.FileFormatError) as caught:
        read(tmp_path, data, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@for_each(
    "data, options, message",
    [
        (table(), {"image": 2}, "image: got 2, need the number of an image with spots"),
        (table(), {"crystal": 0}, "crystal: got 0, need None for a reflection table"),
        (STREAM, {"image": 2}, "image: got 2, need one of the 2 images of the stream, from 0"),
        (STREAM, {"crystal": "a"}, "crystal: got 'a', need an integer >= 0, or None"),
        (WITH_REFLECTIONS, {"crystal": 5}, "crystal: got 5, need a crystal that an image has"),
    ],
    ids=lambda row: row[2],
)
def test_what_there_is_not(
    tmp_path: Path, data: bytes, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(nb.ConfigError) as caught:
        read(tmp_path, data, **options)
    assert message in str(caught.value)


def test_without_msgpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "msgpack":
            raise ImportError(name)
        return real_import(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(nb.UnsupportedError, match=r"msgpack.*nanobragg-hybrid\[mx\]"):
        read(tmp_path, table())
