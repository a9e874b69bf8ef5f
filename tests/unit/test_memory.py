"""Whether something fits into memory."""

from __future__ import annotations

import os

import pytest

from nanobragg_hybrid import ResourceError, memory


def test_parts_that_just_fit_are_accepted() -> None:
    memory.require_memory({"image": 60, "table": 40}, available=100)


def test_parts_that_do_not_fit_are_named_with_their_bytes() -> None:
    with pytest.raises(ResourceError) as caught:
        memory.require_memory({"image": 60, "table": 41}, available=100)
    assert str(caught.value) == (
        "need 101 bytes of memory (image 60 bytes, table 41 bytes), this computer has 100 bytes"
    )


def test_physical_memory_is_the_default_limit() -> None:
    available = memory.physical_memory_bytes()
    assert available == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    memory.require_bytes(available, "image")
    with pytest.raises(ResourceError, match=f"need {available + 1} bytes"):
        memory.require_bytes(available + 1, "image")


def test_nothing_is_refused_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert memory.physical_memory_bytes() is None
    memory.require_bytes(2**100, "image")
