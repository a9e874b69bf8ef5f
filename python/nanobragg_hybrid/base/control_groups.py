"""The CPU time and the memory that Linux control groups (containers) leave to this process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_FILES: Final[Mapping[tuple[str, int], tuple[str, ...]]] = {
    ("cpu", 1): ("cpu.cfs_quota_us", "cpu.cfs_period_us"),
    ("cpu", 2): ("cpu.max",),
    ("memory", 1): ("memory.limit_in_bytes",),
    ("memory", 2): ("memory.max",),
}
"""The files with the limits of a controller, by its name and the version of the hierarchy."""

_NO_LIMIT_BYTES: Final = 2**62
"""So many bytes or more are no limit: version 1 says "none" with the last page below 2^63."""


def cpu_quota_cores(root: Path = Path("/")) -> int | None:
    """The limit of this process's CPU time in cores, rounded up; None where there is none.

    Every control group above the process's own counts, too, as far as it can be seen: the smallest
    limit is the one.  Both hierarchies are known: ``cpu.max`` of version 2, ``cpu.cfs_quota_us`` of
    version 1.  What cannot be read or understood limits nothing.  `root`: where ``proc`` and
    ``sys`` are.
    """
    cores = [max(1, -(-quota // period)) for quota, period in _limits(root, "cpu", 2)]
    return min(cores, default=None)


def memory_limit_bytes(root: Path = Path("/")) -> int | None:
    """The limit of this process's memory in bytes; None where there is none.

    Groups and hierarchies as in `cpu_quota_cores`: ``memory.max`` of version 2,
    ``memory.limit_in_bytes`` of version 1.  ``memory.high`` does not count: beyond it a process
    becomes slow, and is refused nothing.
    """
    limits = [limit for (limit,) in _limits(root, "memory", 1) if limit < _NO_LIMIT_BYTES]
    return min(limits, default=None)


def _limits(root: Path, controller: str, length: int) -> Iterator[list[int]]:
    """The `length` positive numbers that limit each group of the process, where it is limited."""
    for folder, version in _groups(root, controller):
        words: list[str] = []
        for name in _FILES[controller, version]:
            words += _read(f"{folder}/{name}").split()
        # without a limit the first is "max" or -1; no number has more than 19 digits
        if len(words) == length and all(word.isdecimal() and len(word) < 20 for word in words):
            numbers = [int(word) for word in words]
            if all(numbers):
                yield numbers


def _groups(root: Path, controller: str) -> Iterator[tuple[str, int]]:
    """The folders of the process's own group and of all above it, and the hierarchy's version."""
    for line in _read(f"{root}/proc/self/cgroup").splitlines():
        fields = line.split(":", 2)
        if len(fields) != 3:
            continue
        _, controllers, name = fields
        version = 1 if controllers else 2
        if version == 1 and controller not in controllers.split(","):
            continue
        mounted = f"{root}/sys/fs/cgroup" + (f"/{controller}" if version == 1 else "")
        names = [part for part in name.split("/") if part]
        for depth in range(len(names), -1, -1):
            yield "/".join((mounted, *names[:depth])), version


def _read(path: str) -> str:
    """The text of a file of at most 64 KiB; empty if it cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY)  # in a third of the time of Path.read_text
    except OSError:
        return ""
    try:
        return os.read(file, 2**16).decode("ascii", errors="replace")
    except OSError:
        return ""
    finally:
        os.close(file)
