"""Whether something fits into memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from nanobragg_hybrid import ResourceError
from nanobragg_hybrid.base import host


def test_parts_that_just_fit_are_accepted() -> None:
    host.require_memory({"image": 60, "table": 40}, available=100)


def test_parts_that_do_not_fit_are_named_with_their_bytes() -> None:
    with pytest.raises(ResourceError) as caught:
        host.require_memory({"image": 60, "table": 41}, available=100)
    assert str(caught.value) == (
        "need 101 bytes of memory (image 60 bytes, table 41 bytes), this computer has 100 bytes"
    )


NAMES = {
    "physical": "this computer has",
    "address space": "this process is limited (ulimit -v) to",
    "data": "this process is limited (ulimit -d) to",
    "container": "this container is limited to",
}


def set_limits(monkeypatch: pytest.MonkeyPatch, limits: dict[str, int]) -> None:
    """Limits by their names above; those not named are not there."""
    soft = {
        resource.RLIMIT_AS: limits.get("address space", resource.RLIM_INFINITY),
        resource.RLIMIT_DATA: limits.get("data", resource.RLIM_INFINITY),
    }
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft[which], resource.RLIM_INFINITY))
    monkeypatch.setattr(host, "physical_memory_bytes", lambda: limits.get("physical"))
    monkeypatch.setattr(host, "memory_limit_bytes", lambda: limits.get("container"))


def test_physical_memory_is_the_default_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    available = host.physical_memory_bytes()
    assert available == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    set_limits(monkeypatch, {"physical": available})
    host.require_memory({"image": available})
    with pytest.raises(ResourceError, match=f"need {available + 1} bytes.*this computer has"):
        host.require_memory({"image": available + 1})


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_limit_counts_and_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, {**dict.fromkeys(NAMES, 1001), name: 1000})
    host.require_memory({"image": 1000})
    with pytest.raises(ResourceError) as caught:
        host.require_memory({"image": 1001})
    assert str(caught.value) == (
        f"need 1001 bytes of memory (image 1001 bytes), {NAMES[name]} 1000 bytes"
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_limit_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, {name: 1000})
    assert host.available_memory_bytes() == (1000, NAMES[name])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "physical"])
def test_limits_beyond_the_physical_memory_are_none(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in (1000, 1001, 2**62):
        set_limits(monkeypatch, {"physical": 1000, name: limit})
        assert host.available_memory_bytes() == (1000, "this computer has")


def test_a_limit_of_the_process_comes_before_an_equal_one_of_its_container(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_limits(monkeypatch, {"data": 1000, "container": 1000})
    assert host.available_memory_bytes() == (1000, NAMES["data"])


def test_a_real_limit_of_this_process() -> None:
    """In a process of its own, because it cannot be taken back."""
    code = (
        "import resource, sys; from nanobragg_hybrid.base import host\n"
        "host.physical_memory_bytes = host.memory_limit_bytes = lambda: None\n"
        "resource.setrlimit(resource.RLIMIT_{}, (2**40, resource.RLIM_INFINITY))\n"
        "print(*host.available_memory_bytes())"
    )
    for which, name in (("AS", "address space"), ("DATA", "data")):
        done = subprocess.run(
            [sys.executable, "-c", code.format(which)], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{2**40} {NAMES[name]}\n"


def test_nothing_is_refused_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert host.physical_memory_bytes() is None
    set_limits(monkeypatch, {})
    host.require_memory({"image": 2**100})


def test_systems_without_limits_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, {"physical": 1001, "address space": 999, "container": 1000})
    monkeypatch.setitem(sys.modules, "resource", None)
    assert host.available_memory_bytes() == (1000, NAMES["container"])
