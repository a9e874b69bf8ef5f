"""gemmi, which reads crystallographic files: imported when it is needed, its errors made ours."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from nanobragg_hybrid.base.errors import (
    FileFormatError,
    NanobraggError,
    UnsupportedError,
    how_to_install,
)

_LINE: Final = re.compile(r"\bline (\d+)|^[^:\s]*:(\d+):")
_LONGEST: Final = 160  # characters of somebody else's message


def require_gemmi(purpose: str) -> None:
    """Raises `UnsupportedError` if gemmi is not installed; `purpose` begins the message."""
    try:
        import gemmi  # noqa: F401
    except ImportError:
        raise UnsupportedError(f"{purpose} needs gemmi: {how_to_install('mx')}") from None


@contextmanager
def gemmi_errors(path: str | os.PathLike[str], problem: str) -> Iterator[None]:
    """What gemmi raises becomes a `FileFormatError` of one line that begins with `problem`.

    gemmi raises whatever C++ or Python has, a `UnicodeDecodeError` for a word of its own message
    among them.
    """
    try:
        yield
    except (NanobraggError, OSError):
        raise
    except Exception as error:
        text = str(error)
        found = _LINE.search(text)
        line = int(found[1] or found[2]) if found else 0
        words = " ".join(text.removesuffix(os.fspath(path)).split()).rstrip(" :")
        words = "".join(c if c.isprintable() else "?" for c in words)[:_LONGEST]
        raise FileFormatError(path, line, f"{problem}: {words}") from None
