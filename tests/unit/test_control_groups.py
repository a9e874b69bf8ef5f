"""Limits of CPU time and memory in made-up control groups."""

from __future__ import annotations

from pathlib import Path

import pytest
from for_each import for_each

from nanobragg_hybrid.base.control_groups import cpu_quota_cores, memory_limit_bytes


def system(root: Path, groups: str, files: dict[str, str]) -> Path:
    """A folder like /, with what /proc/self/cgroup says and the files below /sys/fs/cgroup."""
    for name, text in {
        "proc/self/cgroup": groups,
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@for_each(
    "text, cores",
    [
        ("200000 100000\n", 2),
        ("200001 100000\n", 3),
        ("150000 100000\n", 2),
        ("5000 100000\n", 1),
        ("6400000 100000\n", 64),
        ("max 100000\n", None),
        ("", None),
        ("200000\n", None),
        ("200000 0\n", None),
        ("0 100000\n", None),
        ("-1 100000\n", None),
        ("2e5 100000\n", None),
        ("9" * 19 + " 100000\n", 10**14),
        ("9" * 20 + " 100000\n", None),
        ("9" * 5000 + " 100000\n", None),
        ("ü", None),
    ],
)
def test_version_2(tmp_path: Path, text: str, cores: int | None) -> None:
    assert cpu_quota_cores(system(tmp_path, "0::/\n", {"cpu.max": text})) == cores


@for_each(
    "quota, period, cores",
    [
        ("250000\n", "100000\n", 3),
        ("50000\n", "100000\n", 1),
        ("-1\n", "100000\n", None),
        ("250000\n", "", None),
        ("", "100000\n", None),
    ],
)
def test_version_1(tmp_path: Path, quota: str, period: str, cores: int | None) -> None:
    groups = "5:memory:/other\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"
    files = {
        "cpu/docker/abc/cpu.cfs_quota_us": quota,
        "cpu/docker/abc/cpu.cfs_period_us": period,
        "memory/other/cpu.max": "100000 100000",
    }
    assert cpu_quota_cores(system(tmp_path, groups, files)) == cores


def test_the_smallest_limit_of_all_groups_counts(tmp_path: Path) -> None:
    files = {
        "user.slice/cpu.max": "300000 100000",
        "user.slice/mine.scope/cpu.max": "800000 100000",
        "other.slice/cpu.max": "100000 100000",
    }
    root = system(tmp_path, "0::/user.slice/mine.scope\n", files)
    assert cpu_quota_cores(root) == 3
    (root / "sys/fs/cgroup/user.slice/mine.scope/cpu.max").write_text("100000 50000")
    assert cpu_quota_cores(root) == 2


def test_a_group_that_cannot_be_seen_leaves_those_above(tmp_path: Path) -> None:
    """A container whose /proc names the group as the host knows it."""
    files = {"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}
    assert cpu_quota_cores(system(tmp_path, "4:cpu:/docker/abc\n0::/docker/abc\n", files)) == 4


@pytest.mark.parametrize("groups", ["", "nonsense\n", "0:/\n", "4:pids:/\n", "4:cpuset:/\n"])
def test_no_group_of_that_kind(tmp_path: Path, groups: str) -> None:
    files = {
        "cpu.max": "100000 100000",
        "cpu/cpu.cfs_quota_us": "1",
        "cpu/cpu.cfs_period_us": "1",
        "memory.max": "4096",
        "memory/memory.limit_in_bytes": "4096",
    }
    root = system(tmp_path, groups, files)
    assert cpu_quota_cores(root) is None
    assert memory_limit_bytes(root) is None


@pytest.mark.parametrize("groups", ["4:memory:/\n", "4:cpu:/\n"])
def test_each_limit_has_its_controller(tmp_path: Path, groups: str) -> None:
    files = {
        "cpu/cpu.cfs_quota_us": "100000",
        "cpu/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": "4096",
    }
    root = system(tmp_path, groups, files)
    assert cpu_quota_cores(root) == (1 if "cpu" in groups else None)
    assert memory_limit_bytes(root) == (4096 if "memory" in groups else None)


MEMORY_TEXTS = [
    ("536870912\n", 536870912),
    ("4096", 4096),
    ("1\n", 1),
    (f"{2**62 - 1}\n", 2**62 - 1),
    (f"{2**62}\n", None),
    (f"{2**63 - 4096}\n", None),
    (f"{2**63 - 65536}\n", None),
    (f"{2**64 - 1}\n", None),
    ("9" * 5000, None),
    ("max\n", None),
    ("-1\n", None),
    ("0\n", None),
    ("", None),
    ("\n", None),
    ("4096 4096\n", None),
    ("4e9\n", None),
    ("4096.0\n", None),
    ("4K\n", None),
    ("\u0664\u0660", None),
    ("ü", None),
]


@for_each("text, limit", MEMORY_TEXTS)
def test_memory_of_version_2(tmp_path: Path, text: str, limit: int | None) -> None:
    assert memory_limit_bytes(system(tmp_path, "0::/\n", {"memory.max": text})) == limit


@for_each("text, limit", MEMORY_TEXTS)
def test_memory_of_version_1(tmp_path: Path, text: str, limit: int | None) -> None:
    groups = "5:hugetlb,memory:/docker/abc\n3:cpu,cpuacct:/other\n0::/docker/abc\n"
    files = {
        "memory/docker/abc/memory.limit_in_bytes": text,
        "memory/docker/abc/memory.soft_limit_in_bytes": "2048",
        "memory/other/memory.limit_in_bytes": "1024",
    }
    assert memory_limit_bytes(system(tmp_path, groups, files)) == limit


def test_the_least_memory_of_all_groups_counts(tmp_path: Path) -> None:
    files = {
        "a.slice/memory.max": "5000",
        "a.slice/b.slice/memory.max": "max",
        "a.slice/b.slice/c.scope/memory.max": "9000",
        "a.slice/b.slice/c.scope/below/memory.max": "100",
        "a.slice/other.slice/memory.max": "100",
    }
    root = system(tmp_path, "0::/a.slice/b.slice/c.scope\n", files)
    assert memory_limit_bytes(root) == 5000
    for group, limit in (("a.slice/b.slice", 4999), ("a.slice/b.slice/c.scope", 4998)):
        (root / "sys/fs/cgroup" / group / "memory.max").write_text(str(limit))
        assert memory_limit_bytes(root) == limit


def test_both_hierarchies_at_once(tmp_path: Path) -> None:
    groups = "4:memory:/old\n0::/new\n"
    files = {"memory/old/memory.limit_in_bytes": "8192", "new/memory.max": "16384"}
    root = system(tmp_path, groups, files)
    assert memory_limit_bytes(root) == 8192
    (root / "sys/fs/cgroup/new/memory.max").write_text("4096")
    assert memory_limit_bytes(root) == 4096


def test_memory_of_a_group_that_cannot_be_seen_leaves_those_above(tmp_path: Path) -> None:
    """A container whose /proc names the group as the host knows it."""
    files = {"memory/memory.limit_in_bytes": "8192", "memory.max": "16384"}
    assert memory_limit_bytes(system(tmp_path, "4:memory:/docker/abc\n", files)) == 8192
    assert memory_limit_bytes(system(tmp_path, "0::/docker/abc\n", files)) == 16384


def test_memory_high_refuses_nothing(tmp_path: Path) -> None:
    files = {"memory.high": "4096", "memory.max": "8192", "memory.low": "1", "memory.min": "1"}
    assert memory_limit_bytes(system(tmp_path, "0::/\n", files)) == 8192


def test_a_folder_instead_of_a_file_limits_nothing(tmp_path: Path) -> None:
    root = system(tmp_path, "0::/\n", {"memory.max/file": "1", "cpu.max/file": "1"})
    assert memory_limit_bytes(root) is None
    assert cpu_quota_cores(root) is None


def test_a_system_without_control_groups(tmp_path: Path) -> None:
    assert cpu_quota_cores(tmp_path) is None
    assert memory_limit_bytes(tmp_path) is None


def test_this_system() -> None:
    cores, memory = cpu_quota_cores(), memory_limit_bytes()
    assert cores is None or cores >= 1
    assert memory is None or memory >= 2**20
