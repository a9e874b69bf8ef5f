"""HDF5 files, opened for reading with h5py: imported when it is needed, its errors made ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nanobragg_hybrid.base.errors import (
    FileFormatError,
    NanobraggError,
    UnsupportedError,
    how_to_install,
)
from nanobragg_hybrid.formats.text import open_binary

_HOW = f"which is not installed: {how_to_install('mx')}"


@contextmanager
def opened(path: str | os.PathLike[str], problem: str) -> Iterator[Any]:
    """The file, an `h5py.File`, which is closed at the end; its compressions are known where
    hdf5plugin is installed.

    What h5py and what is made of its values raise meanwhile becomes a `FileFormatError` of one line
    that begins with `problem`.  Raises `UnsupportedError` where h5py is not installed, or where
    hdf5plugin is not and pixels need it; `FileAccessError`.
    """
    try:
        import h5py
    except ImportError:
        raise UnsupportedError(
            f"{os.fspath(path)}: an HDF5 file is read with h5py, {_HOW}"
        ) from None
    has_plugins = True
    try:
        import hdf5plugin  # noqa: F401 (importing it makes its compressions known)
    except ImportError:
        has_plugins = False
    with open_binary(path):
        pass  # for the errors of a file that is not there
    try:
        with h5py.File(path, "r") as file:
            yield file
    except NanobraggError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError) as error:
        text = " ".join(str(error).split())
        if "filter" in text.lower() and not has_plugins:
            what = "its values are compressed in a way that needs hdf5plugin"
            raise UnsupportedError(f"{os.fspath(path)}: {what}, {_HOW}") from None
        raise FileFormatError(path, 0, f"{problem}: {text}") from None
