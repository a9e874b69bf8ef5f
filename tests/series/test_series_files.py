"""Names of the files of a series, and its manifest, torn lines included."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from nanobragg_hybrid.formats.series_files import (
    ManifestWriter,
    SeriesFiles,
    WholeFile,
    first_of,
    hash_of_file,
    read_manifest,
    read_whole,
    write_summary,
    write_whole,
)

LINES = [WholeFile("frame", 3, "a" * 64), WholeFile("frame", 0, "b" * 64, "c" * 64)]


def test_names(tmp_path: Path) -> None:
    files = SeriesFiles.of(tmp_path / "lyso_####.cbf", None, 9999)
    assert (files.format, files.name, files.stem) == ("cbf", "lyso_####.cbf", "lyso")
    assert files.image(0) == tmp_path / "lyso_0001.cbf"
    assert files.image(9998) == tmp_path / "lyso_9999.cbf"
    assert files.manifest(None).name == "lyso_manifest.jsonl"
    assert files.manifest((2, 8)).name == "lyso_manifest-2of8.jsonl"
    one = SeriesFiles.of(tmp_path / "run_master.h5", None, 10)
    assert (one.is_one, one.stem, one.path.name) == (True, "run", "run_master.h5")
    assert one.data_file(1).name == "run_data_000002.h5"
    assert SeriesFiles.of("###.img", "smv-adsc", 3).stem == "series"
    assert SeriesFiles.of("x_#.h5", None, 3).is_one is False


@for_each(
    "out, given, frames, field",
    [
        (3, None, 1, "out"),
        ("x.cbf", None, 1, "out"),
        ("x_##.cbf", None, 100, "out"),
        ("x_#_#.cbf", None, 5, "out"),
        ("x_##.cbf", "nxmx", 5, "path"),
        ("x_##.dat", None, 5, "path"),
        ("x_##.cbf", "mar", 5, "format"),
    ],
)
def test_names_that_are_none(out: Any, given: Any, frames: int, field: str) -> None:
    with pytest.raises(nb.ConfigError) as error:
        SeriesFiles.of(out, given, frames)
    assert error.value.field == field


def test_a_manifest_gives_back_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    for line in LINES:  # each of a writer of its own
        writer = ManifestWriter(path, {"a": 1})
        writer.add([line])
        writer.close()
    identity, lines = read_manifest(path)
    assert identity == {"a": 1}
    assert list(lines) == LINES


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_a_torn_last_line_does_not_count(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "m.jsonl"
    writer = ManifestWriter(path, {"a": 1})
    writer.add(LINES)
    writer.close()
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(read_manifest(path)[1]) == LINES[:1]
    writer = ManifestWriter(path, {"a": 1})
    writer.add([WholeFile("data_file", 7, "d" * 64)])
    writer.close()
    found = list(read_manifest(path)[1])
    # What was cut off may have been the end of the line alone.
    assert found == [LINES[0], *LINES[1:] * (cut == 1), WholeFile("data_file", 7, "d" * 64)]


def test_a_torn_first_line_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"format": "nano')
    assert read_manifest(path)[0] is None
    writer = ManifestWriter(path, {"a": 1})
    writer.add(LINES)
    writer.close()
    identity, lines = read_manifest(path)
    assert identity == {"a": 1}
    assert list(lines) == LINES


@for_each(
    "text",
    [
        "\n",
        "x\n",
        "[1]\n",
        '\n{"format": "nanobragg-hybrid series manifest", "schema_version": 1, "identity": {}}\n',
        '{"format": "something else"}\n',
        '{"format": "nanobragg-hybrid series manifest", "schema_version": 1, "identity": 3}\n',
        '{"format": "nanobragg-hybrid series manifest", "schema_version": 2, "identity": {}}\n',
    ],
)
def test_a_file_that_is_no_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.jsonl").write_text(text)
    with pytest.raises(nb.FileFormatError):
        read_manifest(tmp_path / "m.jsonl")


def test_a_file_of_somebody_else_without_a_line_end(tmp_path: Path) -> None:
    """It is no manifest whose first line was torn."""
    path = tmp_path / "m.jsonl"
    path.write_text("my precious notes")
    with pytest.raises(nb.FileFormatError):
        read_manifest(path)
    ManifestWriter(path.with_name("own.jsonl"), {"a": 1}).close()
    whole = path.with_name("own.jsonl").read_bytes()
    for length in (0, 1, 20, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert read_manifest(path)[0] is None


def test_lines_that_say_nothing_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    writer = ManifestWriter(path, {"a": 1})
    writer.add(LINES)
    writer.close()
    odd = ['{"frame": "1", "sha256": "a"}', '{"frame": 1}', "[1]", "x", '{"frame": 1, "sha256": 2}']
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in odd)
    assert list(read_manifest(path)[1]) == LINES


def test_content_is_known_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert hash_of_file(path) is None
    sha256 = write_whole(path, b"abc")
    assert sha256 == hashlib.sha256(b"abc").hexdigest() == hash_of_file(path)
    assert read_whole(path, sha256) == b"abc"
    path.write_bytes(b"abd")
    assert hash_of_file(path) != sha256
    with pytest.raises(nb.FileAccessError, match="is not what was written there"):
        read_whole(path, sha256)


def test_the_first_of_some_files_that_is_there(tmp_path: Path) -> None:
    paths = [tmp_path / "none" / "b", tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    assert first_of(paths) is None
    for name in "cb":
        (tmp_path / name).touch()
    assert first_of(paths) == tmp_path / "b"


def test_the_summary_is_json(tmp_path: Path) -> None:
    write_summary(tmp_path / "s.json", {"recipe": {"a": [1]}}, [("x_1.cbf", "a"), ("x_2.cbf", "b")])
    data = json.loads((tmp_path / "s.json").read_text())
    assert data["identity"] == {"recipe": {"a": [1]}}
    assert data["files"] == [["x_1.cbf", "a"], ["x_2.cbf", "b"]]
