"""The CPU time that Linux control groups (containers) leave to this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def cpu_quota_cores(root: Path = Path("/")) -> int | None:
    """The limit of this process's CPU time in cores, rounded up; None where there is none.

    Every control group above the process's own counts, too, as far as it can be seen: the smallest
    limit is the one.  Both hierarchies are known: ``cpu.max`` of version 2, ``cpu.cfs_quota_us`` of
    version 1.  What cannot be read or understood limits nothing.  `root`: where ``proc`` and
    ``sys`` are.
    """
    limits = [
        max(1, -(-quota // period))
        for folder, version in _groups(root)
        for quota, period in _limit(folder, version)
    ]
    return min(limits, default=None)


def _groups(root: Path) -> Iterator[tuple[Path, int]]:
    """The folders of the process's control groups that limit CPU time, and their version."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        fields = line.split(":", 2)
        if len(fields) != 3:
            continue
        _, controllers, name = fields
        version = 1 if controllers else 2
        if version == 1 and "cpu" not in controllers.split(","):
            continue
        mounted = root / ("sys/fs/cgroup/cpu" if version == 1 else "sys/fs/cgroup")
        own = PurePosixPath(name.lstrip("/"))
        for group in (own, *own.parents):
            yield mounted / group, version


def _limit(folder: Path, version: int) -> Iterator[tuple[int, int]]:
    """Microseconds of CPU time in a period of so many microseconds, if a group limits it."""
    if version == 2:
        words = _read(folder / "cpu.max").split()
    else:
        words = [
            *_read(folder / "cpu.cfs_quota_us").split(),
            *_read(folder / "cpu.cfs_period_us").split(),
        ]
    # without a limit the first is "max" or -1
    if len(words) == 2 and all(word.isdecimal() and int(word) > 0 for word in words):
        yield int(words[0]), int(words[1])


def _read(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
