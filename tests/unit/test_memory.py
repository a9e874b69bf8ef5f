"""Whether something fits into memory."""

from __future__ import annotations

import os
import resource

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


def test_physical_memory_is_the_default_limit() -> None:
    available = host.physical_memory_bytes()
    assert available == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    host.require_memory({"image": available})
    with pytest.raises(ResourceError, match=f"need {available + 1} bytes.*this computer has"):
        host.require_memory({"image": available + 1})


def test_a_smaller_address_space_is_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1000, 2000))
    host.require_memory({"image": 1000})
    with pytest.raises(ResourceError) as caught:
        host.require_memory({"image": 1001})
    assert str(caught.value) == (
        "need 1001 bytes of memory (image 1001 bytes), "
        "this process is limited (ulimit -v) to 1000 bytes"
    )


@pytest.mark.parametrize("limit", [2**62, resource.RLIM_INFINITY])
def test_a_larger_address_space_is_none(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert host.available_memory_bytes() == (host.physical_memory_bytes(), "this computer has")


def test_nothing_is_refused_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert host.physical_memory_bytes() is None
    host.require_memory({"image": 2**100})
