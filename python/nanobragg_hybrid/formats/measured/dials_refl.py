"""Reflection tables of DIALS (`.refl`): columns of numbers, packed by msgpack.

A table is a list of a name, a version and a map, whose `data` has for each column the name of its
type, and how many rows it has with their bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import FileFormatError, UnsupportedError, how_to_install
from nanobragg_hybrid.formats.text import read_bytes
from nanobragg_hybrid.model.spots import Spots

_NAME: Final = b"dials::af::reflection_table"
_VERSION: Final = 1
TYPES: Final[Mapping[str, tuple[str, int]]] = {
    "int": ("<i4", 1),
    "std::size_t": ("<u8", 1),
    "double": ("<f8", 1),
    "vec3<double>": ("<f8", 3),
    "int6": ("<i4", 6),
    "cctbx::miller::index<>": ("<i4", 3),
}
"""Of the columns that are read, and written: of a number, and how many a row has."""


def spots_of_refl(path: str | os.PathLike[str]) -> Spots:
    """The spots of a table.

    Raises `UnsupportedError` where msgpack is not installed, `FileAccessError`, `FileFormatError`.
    """
    try:
        import msgpack
    except ImportError:
        raise UnsupportedError(
            f"{os.fspath(path)}: a reflection table is read with msgpack, which is not installed: "
            f"{how_to_install('mx')}"
        ) from None
    try:
        content = msgpack.unpackb(read_bytes(path), raw=True, strict_map_key=False)
    except (msgpack.UnpackException, ValueError, TypeError, OverflowError, RecursionError) as error:
        text = " ".join(str(error).split()) or "it ends too early"
        raise FileFormatError(path, 0, f"is no reflection table that is whole: {text}") from None
    return _Table(path, content).spots()


class _Table:
    def __init__(self, path: str | os.PathLike[str], content: Any) -> None:
        self._path = path
        is_table = isinstance(content, list) and len(content) == 3 and content[0] == _NAME
        if not is_table or not isinstance(content[2], dict):
            raise FileFormatError(path, 0, "is no reflection table of DIALS")
        if content[1] != _VERSION:
            text = f"version: got {content[1]!r}, need {_VERSION}"
            raise FileFormatError(path, 0, text)
        rows, data = content[2].get(b"nrows"), content[2].get(b"data")
        if type(rows) is not int or not 0 <= rows < 2**31 or not isinstance(data, dict):
            raise FileFormatError(path, 0, "is no reflection table: it needs nrows and data")
        self._rows, self._data = rows, data

    def column(self, name: str, kind: str) -> NDArray[Any] | None:
        """A column, shape (n,) or (n, numbers); None if the table has none of that name."""
        column = self._data.get(name.encode())
        if column is None:
            return None
        dtype, width = TYPES[kind]
        try:
            found, (count, data) = column
            found = found.decode()
            values = np.frombuffer(data if found == kind else b"", dtype)
        except (TypeError, ValueError, AttributeError, UnicodeDecodeError):
            raise FileFormatError(self._path, 0, f"{name}: need a type and its values") from None
        if found != kind:
            raise FileFormatError(self._path, 0, f"{name}: got the type {found!r}, need {kind!r}")
        if count != self._rows or values.size != self._rows * width:
            text = f"{name}: got {values.size} numbers, need {width} for each of {self._rows} rows"
            raise FileFormatError(self._path, 0, text)
        return values.reshape(self._rows, width) if width > 1 else values

    def spots(self) -> Spots:
        """Where they were observed, or else where they were predicted."""
        places = self.column("xyzobs.px.value", "vec3<double>")
        if places is None:
            places = self.column("xyzcal.px", "vec3<double>")
        panel = self.column("panel", "std::size_t")
        if places is None or panel is None:
            missing = "panel" if panel is None else "xyzobs.px.value or xyzcal.px"
            raise FileFormatError(self._path, 0, f"has no column {missing}")
        if not np.isfinite(places).all():
            raise FileFormatError(self._path, 0, "xyzobs.px.value: need finite numbers")
        if panel.max(initial=0) >= 2**31:
            raise FileFormatError(self._path, 0, "panel: need numbers of panels")
        numbers = self.column("imageset_id", "int")
        if numbers is None:
            numbers = self.column("id", "int")
        image = np.zeros(self._rows, np.int64) if numbers is None else numbers.astype(np.int64)
        unknown = np.full(self._rows, np.nan)
        intensity = self.column("intensity.sum.value", "double")
        variance = self.column("intensity.sum.variance", "double")
        hkl = self.column("miller_index", "cctbx::miller::index<>")
        boxes = self.column("bbox", "int6")
        return Spots(
            path=os.fspath(self._path),
            panel=panel.astype(np.int64),
            fast_px=places[:, 0].copy(),
            slow_px=places[:, 1].copy(),
            image=image,
            hkl=None if hkl is None else hkl.astype(np.int32),
            intensity=unknown if intensity is None else intensity.copy(),
            variance=unknown.copy() if variance is None else variance.copy(),
            bounds=None if boxes is None else boxes[:, [2, 3, 0, 1]].astype(np.int64),
        )
