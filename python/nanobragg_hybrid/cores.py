"""How many threads to start."""

from __future__ import annotations

import os
from typing import Final

MOST_THREADS: Final = 1024
"""More are refused."""


def usable_cores() -> int:
    """The number of cores that this process may use.

    These are the processors of its affinity (hardware threads of one core count as many), or, on
    Linux, the CPU time that its control groups allow, in cores rounded up, if that is less.
    """
    from .io.cpu_quota import cpu_quota_cores

    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = cpu_quota_cores()
    return cores if quota is None else min(cores, quota)


def default_threads() -> int:
    """The number of threads where none is given."""
    return min(usable_cores(), MOST_THREADS)
