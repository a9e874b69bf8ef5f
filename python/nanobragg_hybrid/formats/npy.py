"""NumPy's own files (.npy): an array of any type with its type and shape."""

from __future__ import annotations

import math
import os
import tokenize
from typing import TYPE_CHECKING, Any, Final

from nanobragg_hybrid.base.atomic import Destination, atomic_write
from nanobragg_hybrid.base.errors import FileFormatError
from nanobragg_hybrid.formats.text import file_size, open_binary

if TYPE_CHECKING:
    from numpy.typing import NDArray

NPY_START: Final = b"\x93NUMPY"


def write_npy(path: Destination, array: NDArray[Any]) -> None:
    """Writes an array, as `numpy.load` reads it.  Raises `FileAccessError`."""
    from numpy.lib import format as npy

    with atomic_write(path) as file:
        npy.write_array(file, array, allow_pickle=False)


def read_npy(path: str | os.PathLike[str]) -> NDArray[Any]:
    """An array of real numbers, shape (slow, fast) or (panel, slow, fast), not empty.

    Raises `FileAccessError`, and `FileFormatError` for another array or none.
    """
    import numpy as np
    from numpy.lib import format as npy

    with open_binary(path) as file:
        size = file_size(file)
        try:
            version = npy.read_magic(file)
            read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
            shape, is_fortran, dtype = read(file)
        except KeyError:
            raise FileFormatError(path, 0, "is a .npy file of an unknown version") from None
        except (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError):
            raise FileFormatError(path, 0, "is no .npy file, or its header is damaged") from None
        if dtype.kind not in "fiub" or len(shape) not in (2, 3) or min(shape) < 1:
            raise FileFormatError(
                path,
                0,
                f"has {dtype} of shape {shape}, need real numbers of shape (slow, fast) or "
                "(panel, slow, fast)",
            )
        needed, there = math.prod(shape) * dtype.itemsize, size - file.tell()
        if there != needed:
            raise FileFormatError(
                path, 0, f"{shape} of {dtype} need {needed} bytes, the file has {there}"
            )
        values = np.frombuffer(file.read(needed), dtype=dtype)
    return values.reshape(shape, order="F" if is_fortran else "C")
