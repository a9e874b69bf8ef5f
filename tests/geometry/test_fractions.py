"""Numbers of pixels and images are whole: 20.5 of them are refused, 20.0 are 20."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from for_each import for_each
from geometry_files import GEOM, IMGCIF, XDS_INP, XPARM, expt, nxmx, panel

import nanobragg_hybrid as nb


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


def dials(**changes: object) -> bytes:
    return json.dumps(expt(detector=[{"panels": [panel(**changes)]}])).encode()


SEGMENT = b"SEGMENT= 1 30 1 20\n"
RECTANGLE = b"UNTRUSTED_RECTANGLE= 4 8 0 6"
OF_XPARM = b"1         1        30         1        20"
PIXELS = b"1        30        20    0.500000"
FILES: list[tuple[str, bytes, bytes, bytes, str]] = [
    # what it is, a file, what stands there, a whole number like 20.0, a fraction, what is said
    ("XDS.INP", XDS_INP, RECTANGLE, b"= 4.0 8 0 6", "= 4.5 8 0 6"),
    ("XDS.INP", XDS_INP + SEGMENT, SEGMENT, b"= 1 30.0 1 20", "= 1 29.5 1 20"),
    ("XDS.INP", XDS_INP, b"DATA_RANGE=5 8", b"=5.0 8", "=5 8.5"),
    ("XPARM.XDS", XPARM, OF_XPARM, b"1  1  30.0  1  20", "1  1  29.5  1  20"),
    ("XPARM.XDS", XPARM, PIXELS, b"1.0 30.0 20 0.5", "1 30.5 20 0.5"),
    ("XPARM.XDS", XPARM, b"     3       10.0000", b" 3.0 10.0", " 3.5 10.0"),
    ("two.geom", GEOM, b"bad0/max_fs = 4", b"bad0/max_fs = 4.0", "bad0/max_fs = 4.5"),
    ("a.cbf", IMGCIF, b"ARRAY1 2 20 2 inc", b"ARRAY1 2 20 2.0 inc", "ARRAY1 2 20 2.5 inc"),
]  # fmt: skip
MESSAGES = [
    ":11: UNTRUSTED_RECTANGLE: got '4.5 8 0 6', need 4 whole numbers",
    ":23: SEGMENT: got '1 29.5 1 20', need 4 whole numbers",
    ":19: DATA_RANGE: got '5 8.5', need 2 whole numbers",
    ":13: got '1 29.5 1 20', need whole numbers",
    ":8: got '1 30.5 20', need whole numbers",
    ":2: got '3.5', need whole numbers",
    ":29: bad0/max_fs: got '4.5', need a whole number",
    ": _array_structure_list ARRAY1.precedence: got '1 2.5', need 1 (fast) and 2 (slow)",
]


def read(path: Path, data: bytes) -> nb.Experiment:
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*groups of panels that move together")
        return nb.read_experiment(path, image=3 if path.name == "XPARM.XDS" else None)


@for_each("file, message", zip(FILES, MESSAGES, strict=True), ids=lambda row: row[1])
def test_in_text(file: tuple[str, bytes, bytes, bytes, str], message: str, tmp_path: Path) -> None:
    name, data, old, whole, fraction = file
    begin = old.partition(b"=")[0] if whole.startswith(b"=") else b""
    path = tmp_path / name
    image = 5 if name == "XDS.INP" else None
    if image is not None:
        path.write_bytes(data)
        expected = nb.read_experiment(path, image=image)
        path.write_bytes(replaced(data, old, begin + whole))
        assert nb.read_experiment(path, image=image) == expected
    else:
        expected = read(path, data)
        assert read(path, replaced(data, old, begin + whole)) == expected
    path.write_bytes(replaced(data, old, begin + fraction.encode()))
    with pytest.raises(nb.FileFormatError) as caught:
        nb.read_experiment(path, image=image)
    assert str(caught.value) == f"{path}{message}"


def test_in_dials(tmp_path: Path) -> None:
    path = tmp_path / "a.expt"
    path.write_bytes(dials(mask=[[1, 2, 3, 4]]))
    expected = nb.read_experiment(path, image=1)
    path.write_bytes(dials(image_size=[30.0, 20.0], mask=[[1.0, 2.0, 3.0, 4.0]]))
    assert nb.read_experiment(path, image=1) == expected
    for changes, message in (
        ({"image_size": [30.5, 20]}, "image_size: got [30.5, 20], need two whole numbers >= 1"),
        ({"mask": [[1, 2, 3.5, 4]]}, "mask[0]: got [1, 2, 3.5, 4], need 4 whole numbers"),
    ):
        path.write_bytes(dials(**changes))
        with pytest.raises(nb.FileFormatError) as caught:
            nb.read_experiment(path, image=1)
        assert message in str(caught.value), str(caught.value)


@for_each(
    "name, value, whole, message",
    [
        ("data_size", [20.5, 30.0], [20.0, 30.0], "need the numbers of slow and fast pixels, >= 1"),
        ("data_origin", [0.5, 0.0], [0.0, 0.0], "need the slow and the fast number of a pixel"),
    ],
)
def test_in_nxmx(
    name: str, value: list[float], whole: list[float], message: str, tmp_path: Path
) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed (extra: mx)")
    path = tmp_path / "a.nxs"
    place = f"/entry/instrument/eiger/module0/{name}"
    path.write_bytes(nxmx(sensor_thickness=None))
    expected = nb.read_experiment(path, image=1)
    with h5py.File(path, "r+") as file:
        del file[place]
        file[place] = np.array(whole)
    assert nb.read_experiment(path, image=1) == expected
    with h5py.File(path, "r+") as file:
        file[place][...] = value
    with pytest.raises(nb.FileFormatError) as caught:
        nb.read_experiment(path, image=1)
    assert str(caught.value) == f"{path}: {place}: {message}"
