"""Whole files as bytes or text."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from nanobragg_hybrid.base import host
from nanobragg_hybrid.base.errors import FileAccessError, FileFormatError, ResourceError
from nanobragg_hybrid.formats.text import read_bytes, read_text, write_text


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "text"
    write_text(path, "ångström\r\nh k l\n")
    assert path.read_bytes() == "ångström\r\nh k l\n".encode()
    assert read_text(path) == "ångström\r\nh k l\n"
    assert read_bytes(path) == path.read_bytes()


def test_text_of_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"first\nse\xffcond\n")
    with pytest.raises(FileFormatError, match=r"text:2: is no utf-8 text$"):
        read_text(path)
    assert read_text(path, encoding="latin-1") == "first\nse\xffcond\n"


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match=r"missing: No such file or directory$"):
        read_bytes(tmp_path / "missing")


@pytest.mark.parametrize("name", [".", "/dev/zero"])
def test_what_is_no_file(name: str) -> None:
    with pytest.raises(FileAccessError, match=r"(is not a regular file|Is a directory)$"):
        read_bytes(name)


def test_pipe_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"1 2 3 4\n",))
    writer.start()
    assert read_bytes(path) == b"1 2 3 4\n"
    writer.join()


def test_file_larger_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"0123456789")
    monkeypatch.setattr(host, "physical_memory_bytes", lambda: 10)
    assert read_bytes(path) == b"0123456789"
    monkeypatch.setattr(host, "physical_memory_bytes", lambda: 9)
    with pytest.raises(ResourceError, match="10 bytes"):
        read_bytes(path)


def test_zero_byte_is_in_no_text(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"1 2\n3 \0 4\n")
    assert read_bytes(path) == b"1 2\n3 \0 4\n"
    for encoding in ("utf-8", "latin-1"):
        with pytest.raises(FileFormatError, match=r"text:2: is no text: it has a byte of value 0"):
            read_text(path, encoding=encoding)
