"""Limits of CPU time in made-up control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanobragg_hybrid.base.control_groups import cpu_quota_cores


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


@pytest.mark.parametrize(
    ("text", "cores"),
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
        ("ü", None),
    ],
)
def test_version_2(tmp_path: Path, text: str, cores: int | None) -> None:
    assert cpu_quota_cores(system(tmp_path, "0::/\n", {"cpu.max": text})) == cores


@pytest.mark.parametrize(
    ("quota", "period", "cores"),
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


@pytest.mark.parametrize("groups", ["", "nonsense\n", "0:/\n", "4:memory:/\n", "4:cpuset:/\n"])
def test_no_group_of_that_kind(tmp_path: Path, groups: str) -> None:
    files = {"cpu.max": "100000 100000", "cpu/cpu.cfs_quota_us": "1", "cpu/cpu.cfs_period_us": "1"}
    assert cpu_quota_cores(system(tmp_path, groups, files)) is None


def test_a_system_without_control_groups(tmp_path: Path) -> None:
    assert cpu_quota_cores(tmp_path) is None


def test_this_system() -> None:
    cores = cpu_quota_cores()
    assert cores is None or cores >= 1
