"""The C functions of nbh.h in Python, through cffi, as the header declares them.

    ffi, lib = load()
    lib.nbh_sincg(0.1, 5.0)

Needs the extra `cffi`.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from nanobragg_hybrid import _core
from nanobragg_hybrid.base.errors import how_to_install
from nanobragg_hybrid.engines.c.libnbh import get_library

_MARKERS = re.compile(
    r"/\* cffi reads from here[ -]*\*/(.*)/\* cffi reads to here[ -]*\*/", re.DOTALL
)


def declarations() -> str:
    """The part of nbh.h that cffi reads: plain C declarations."""
    match = _MARKERS.search(_core.header_text())
    if match is None:
        raise ValueError("nbh.h lacks the two comments between which cffi reads")
    lines = [
        line
        for line in match[1].splitlines()
        if not line.startswith("#") or line.startswith("#define NBH_QUIRK")
    ]
    return "\n".join(lines).replace("NBH_API ", "")


@functools.cache
def load() -> tuple[Any, Any]:
    """(ffi, lib): cffi's type factory, and the loaded libnbh with one attribute for each function.

    Raises ImportError with the cure if cffi is not installed.
    """
    try:
        from cffi import FFI
    except ImportError as error:
        error.add_note(f"cffi is not installed: {how_to_install('cffi')}")
        raise
    ffi = FFI()
    ffi.cdef(declarations())
    return ffi, ffi.dlopen(str(get_library()))
