"""Files: every format is read by a `read_*` and written by a `write_*` function.

The `write_*` functions take a path or a binary file that is already open.  Files are written to a
temporary name and renamed when they are complete.  Anything wrong with a file is a
`FileAccessError` or a `FileFormatError` that names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanobragg_hybrid._lazy import lazy_names

if TYPE_CHECKING:
    from .atomic import AtomicFiles, Destination, atomic_write
    from .dump import read_dump, write_dump
    from .hkl import read_hkl, write_hkl
    from .matrix import read_matrix, write_matrix
    from .pgm import PgmImage, read_pgm, write_pgm
    from .png import write_png
    from .raw import read_raw, write_raw
    from .smv import SmvHeader, SmvImage, header_number, read_smv, write_mask, write_smv
    from .source_file import read_source_file, write_source_file
    from .text import read_bytes, read_text, write_text
    from .trace import read_trace, write_trace

__all__ = [
    "AtomicFiles",
    "Destination",
    "PgmImage",
    "SmvHeader",
    "SmvImage",
    "atomic_write",
    "header_number",
    "read_bytes",
    "read_dump",
    "read_hkl",
    "read_matrix",
    "read_pgm",
    "read_raw",
    "read_smv",
    "read_source_file",
    "read_text",
    "read_trace",
    "write_dump",
    "write_hkl",
    "write_mask",
    "write_matrix",
    "write_pgm",
    "write_png",
    "write_raw",
    "write_smv",
    "write_source_file",
    "write_text",
    "write_trace",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        ".atomic": "AtomicFiles Destination atomic_write",
        ".dump": "read_dump write_dump",
        ".hkl": "read_hkl write_hkl",
        ".matrix": "read_matrix write_matrix",
        ".pgm": "PgmImage read_pgm write_pgm",
        ".png": "write_png",
        ".raw": "read_raw write_raw",
        ".smv": "SmvHeader SmvImage header_number read_smv write_mask write_smv",
        ".source_file": "read_source_file write_source_file",
        ".text": "read_bytes read_text write_text",
        ".trace": "read_trace write_trace",
    },
)
