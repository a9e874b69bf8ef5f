"""Whether something fits into this computer's memory, asked before it is allocated."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .errors import ResourceError


def physical_memory_bytes() -> int | None:
    """Bytes of physical memory of this computer; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def require_memory(parts: Mapping[str, int], available: int | None = None) -> None:
    """Raises `ResourceError` if the parts together need more than the memory there is.

    `parts`: what is about to be allocated and its bytes, in the order to be named.  `available`:
    bytes to compare with; None: the physical memory (no check where the system does not say).
    """
    if available is None:
        available = physical_memory_bytes()
    needed = sum(parts.values())
    if available is None or needed <= available:
        return
    figures = ", ".join(f"{what} {count} bytes" for what, count in parts.items())
    raise ResourceError(
        f"need {needed} bytes of memory ({figures}), this computer has {available} bytes"
    )


def require_bytes(count: int, what: str) -> None:
    """`require_memory` for a single part."""
    require_memory({what: count})
