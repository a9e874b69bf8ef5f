"""Reflection tables of DIALS (`.refl`), written: columns of numbers, packed by msgpack.

`formats/measured/dials_refl.py` says how a table is made up, and reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from nanobragg_hybrid.base.errors import UnsupportedError, how_to_install

_KINDS: Final[Mapping[str, str]] = {
    "int": "<i4",
    "std::size_t": "<u8",
    "double": "<f8",
    "bool": "|b1",
    "vec3<double>": "<f8",
    "int6": "<i4",
    "cctbx::miller::index<>": "<i4",
}


def refl_of(columns: Mapping[str, tuple[str, Any]], identifiers: Sequence[str]) -> bytes:
    """The bytes of a table.  columns: DIALS' name of a type, and an array of n rows.  identifiers:
    of the experiments that the column id counts.

    Raises `UnsupportedError` without msgpack.
    """
    try:
        import msgpack
    except ImportError:
        raise UnsupportedError(
            "a reflection table is written with msgpack, which is not installed: "
            f"{how_to_install('mx')}"
        ) from None
    data = {}
    rows = 0
    for name in sorted(columns):
        kind, values = columns[name]
        array = np.ascontiguousarray(values, _KINDS[kind])
        rows = len(array)
        data[name] = [kind, [rows, array.tobytes()]]
    table = {"identifiers": dict(enumerate(identifiers)), "nrows": rows, "data": data}
    packed: bytes = msgpack.packb(["dials::af::reflection_table", 1, table], use_bin_type=True)
    return packed
