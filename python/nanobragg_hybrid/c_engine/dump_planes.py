"""Planes of a binary dump of structure factors, converted in C.

A plane's bytes are little-endian doubles in k and l, with one row and one column more than the
table has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanobragg_hybrid import _core

if TYPE_CHECKING:
    from nanobragg_hybrid.arrays import Array, Buffer


def new_table(shape: tuple[int, int, int]) -> Buffer:
    """Memory for a table, float64 of a shape (h, k, l), with any content."""
    return _core.new_table(shape)


def read_plane(data: bytes | memoryview, table: Buffer, h: int) -> bool:
    """Fills plane `h` of a table; False if one of its values is not finite."""
    return _core.read_dump_plane(data, table, h)


def write_plane(table: Array, h: int, data: bytearray) -> None:
    """Puts plane `h` of a table into bytes, whose padding stays as it is."""
    _core.write_dump_plane(table, h, data)
