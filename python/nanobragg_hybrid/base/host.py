"""What this process may have of the computer: memory, cores, threads."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from nanobragg_hybrid.base.control_groups import cpu_quota_cores, memory_limit_bytes
from nanobragg_hybrid.base.errors import ResourceError

MOST_THREADS: Final = 1024
"""More are refused."""
_LARGE_TABLE_BYTES: Final = 2**26
_SPARSE: Final = 1000  # elements of a table for each reflection


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
    """The most bytes this process can have, and what says so: None where nothing does.

    That is the smallest of the physical memory of this computer, the limits of the process's
    address space (``ulimit -v``) and data (``ulimit -d``), and, on Linux, the limits of its control
    groups (containers).
    """
    address_space, data = _process_limits_bytes()
    limits = (
        (physical_memory_bytes(), "this computer has"),
        (address_space, "this process is limited (ulimit -v) to"),
        (data, "this process is limited (ulimit -d) to"),
        (memory_limit_bytes(), "this container is limited to"),
    )
    smallest = limits[0]
    for limit in limits[1:]:
        if limit[0] is not None and (smallest[0] is None or limit[0] < smallest[0]):
            smallest = limit
    return smallest


def _process_limits_bytes() -> tuple[int | None, int | None]:
    """The limits of address space and data; None where there is none."""
    if sys.platform == "win32":
        return None, None
    try:
        import resource
    except ImportError:  # no POSIX system either
        return None, None

    def limit(which: int) -> int | None:
        soft = resource.getrlimit(which)[0]
        return None if soft == resource.RLIM_INFINITY else soft

    return limit(resource.RLIMIT_AS), limit(resource.RLIMIT_DATA)


def physical_memory_bytes() -> int | None:
    """Bytes of physical memory of this computer; None where the system does not say."""
    if sys.platform == "win32":
        import ctypes

        status = (ctypes.c_uint64 * 8)(64)  # MEMORYSTATUSEX: its own size, then ullTotalPhys
        known = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return status[1] if known else None
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
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


def sparse_table_text(reflections: int, shape: Sequence[int]) -> str | None:
    """What to say of a large table of structure factors that a few reflections span; None: nothing.

    A single wrong index makes such a table.
    """
    elements = math.prod(shape)
    if 8 * elements < _LARGE_TABLE_BYTES or elements < _SPARSE * reflections:
        return None
    size = " x ".join(str(count) for count in shape)
    listed = "1 reflection spans" if reflections == 1 else f"{reflections} reflections span"
    return (
        f"{listed} a table of {size} structure factors, {8 * elements} bytes of memory and of "
        "every dump: is an index wrong?"
    )
