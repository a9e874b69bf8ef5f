"""Trace files."""

from __future__ import annotations

from pathlib import Path

import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.formats.trace_text import TraceText


def test_lines_of_a_log_are_found(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_text("starting\nTRACE_C: fast 3\nTRACE_C: polar 0.5\ndone\n")
    assert nb.read_trace(path) == [TraceText("C", {"fast": (3.0,), "polar": (0.5,)})]


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(nb.FileAccessError, match="missing"):
        nb.read_trace(tmp_path / "missing")
    (tmp_path / "bad").write_text("TRACE_C: polar a\n")
    with pytest.raises(nb.FileFormatError, match=r"bad:1: polar: got 'a', need numbers"):
        nb.read_trace(tmp_path / "bad")
    (tmp_path / "binary").write_bytes(b"\x00\x01")
    with pytest.raises(nb.FileFormatError, match="is no text"):
        nb.read_trace(tmp_path / "binary")
