"""NumPy's own files (.npy): an array of any type with its type and shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nanobragg_hybrid.base.atomic import Destination, atomic_write

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write_npy(path: Destination, array: NDArray[Any]) -> None:
    """Writes an array, as `numpy.load` reads it.  Raises `FileAccessError`."""
    from numpy.lib import format as npy

    with atomic_write(path) as file:
        npy.write_array(file, array, allow_pickle=False)
