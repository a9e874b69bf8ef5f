"""What this process may have of the computer: memory, cores, threads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from nanobragg_hybrid.base.control_groups import cpu_quota_cores
from nanobragg_hybrid.base.errors import ResourceError

MOST_THREADS: Final = 1024
"""More are refused."""


def usable_cores() -> int:
    """The number of cores that this process may use.

    These are the processors of its affinity (hardware threads of one core count as many), or, on
    Linux, the CPU time that its control groups allow, in cores rounded up, if that is less.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = cpu_quota_cores()
    return cores if quota is None else min(cores, quota)


def default_threads() -> int:
    """The number of threads where none is given."""
    return min(usable_cores(), MOST_THREADS)


def available_memory_bytes() -> tuple[int | None, str]:
    """The most bytes this process can have, and what says so.

    That is the physical memory of this computer (None where the system does not say), or the limit
    of the process's address space (``ulimit -v``) if that is less.
    """
    physical, limit = physical_memory_bytes(), _address_space_bytes()
    if limit is None or (physical is not None and physical <= limit):
        return physical, "this computer has"
    return limit, "this process is limited (ulimit -v) to"


def _address_space_bytes() -> int | None:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def physical_memory_bytes() -> int | None:
    """Bytes of physical memory of this computer; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def require_memory(parts: Mapping[str, int], available: int | None = None) -> None:
    """Raises `ResourceError` if the parts together need more than the memory there is.

    `parts`: what is about to be allocated and its bytes, in the order to be named.  `available`:
    bytes to compare with; None: `available_memory_bytes` (no check where the system does not say).
    """
    says = "this computer has"
    if available is None:
        available, says = available_memory_bytes()
    needed = sum(parts.values())
    if available is None or needed <= available:
        return
    figures = ", ".join(f"{what} {count} bytes" for what, count in parts.items())
    raise ResourceError(f"need {needed} bytes of memory ({figures}), {says} {available} bytes")
