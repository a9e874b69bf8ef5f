"""The files of a series: their names, and the manifest, which says which of them are whole.

The manifest is text, a JSON object a line: first what the series is, then a line for each file that
is whole, with its hash.  Lines are only ever added, so a process that is killed leaves at most one
that is torn, which does not count.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

from nanobragg_hybrid.base.atomic import access_errors, atomic_write, check_path
from nanobragg_hybrid.base.errors import ConfigError, FileAccessError, FileFormatError
from nanobragg_hybrid.formats.images.names import checked_format
from nanobragg_hybrid.formats.text import open_binary, read_bytes
from nanobragg_hybrid.model.result import ImageFormat

FORMAT: Final = "nanobragg-hybrid series manifest"
_BEGINS: Final = f'{{"format":"{FORMAT}",'.replace(" ", "").encode()
"""The first line of a manifest begins like this, without its spaces."""
SUMMARY_FORMAT: Final = "nanobragg-hybrid series of files"
SCHEMA_VERSION: Final = 1
OTHER_FILE: Final = (
    "is not what this series has under that name (it is damaged, or another file); nothing is "
    "overwritten: move it away, and resume makes it again"
)
_AT_A_TIME: Final = 2**20
_SYNCED_EVERY_S: Final = 1.0


class SeriesFiles(NamedTuple):
    """Where the files of a series are.

    folder: of all of them.  before, digits, after: the name of an image: its number, from 1, stands
    in the middle; digits 0: one NXmx file over files of data.  stem: what the others begin with.
    """

    folder: Path
    before: str
    digits: int
    after: str
    format: ImageFormat

    @classmethod
    def of(cls, out: object, given: object, frames: int) -> SeriesFiles:
        """From a name with a ``#`` for each digit.  Raises `ConfigError`, `FileAccessError`."""
        check_path(out, "out")
        path = Path(os.fspath(cast("str | os.PathLike[str]", out)))
        chosen = checked_format(path.with_name(path.name.replace("#", "0")), given)
        parts = re.split("(#+)", path.name)
        if len(parts) == 1 and chosen == "nxmx":
            return cls(path.parent, path.name, 0, "", chosen)
        if len(parts) != 3:
            rule = "a name with a # for each digit of an image's number, as in x_####.cbf"
            if chosen == "nxmx":
                rule += "; or one without, of the file that leads to all images"
            raise ConfigError("out", os.fspath(path), rule)
        before, middle, after = parts
        if len(str(frames)) > len(middle):
            rule = f"{len(str(frames))} times # for {frames} frames"
            raise ConfigError("out", os.fspath(path), rule)
        return cls(path.parent, before, len(middle), after, chosen)

    @property
    def is_one(self) -> bool:
        """Whether all images are behind one NXmx file."""
        return self.digits == 0

    @property
    def name(self) -> str:
        """The name, with a # for each digit."""
        return f"{self.before}{'#' * self.digits}{self.after}"

    @property
    def stem(self) -> str:
        """What the names of the other files begin with."""
        if self.is_one:
            return Path(self.before).stem.removesuffix("_master") or "series"
        return self.before.rstrip("_-.") or "series"

    @property
    def path(self) -> Path:
        """The NXmx file that leads to all images."""
        return self.folder / self.before

    @property
    def parts(self) -> Path:
        """The folder of what is not an image: parts of data files, data of frames."""
        return self.folder / f"{self.stem}_parts"

    @property
    def summary(self) -> Path:
        """What says recipe, version and hashes once the series is whole."""
        return self.folder / f"{self.stem}_series.json"

    def truth(self, ending: str) -> Path:
        """A file of the truth beside the frames."""
        return self.folder / f"{self.stem}_truth{ending}"

    def unfinished(self, shard: tuple[int, int] | None) -> Path:
        """The folder where a run writes files of the truth until all of them are whole."""
        return self.parts / f"truth{_of_shard(shard)}"

    def image(self, number: int) -> Path:
        """The image of a frame, or its pixels on their way into a file of data."""
        if self.is_one:
            return self.parts / f"{number + 1:07d}.pixels"
        return self.folder / f"{self.before}{number + 1:0{self.digits}d}{self.after}"

    def data(self, number: int) -> Path:
        """What functions of a frame returned."""
        return self.parts / f"{number + 1:07d}.data"

    def data_file(self, which: int) -> Path:
        """A file of data of the NXmx file."""
        return self.folder / f"{self.stem}_data_{which + 1:06d}.h5"

    def structure_factors(self, shard: tuple[int, int] | None) -> Path:
        """Where workers find the structure factors while the series is rendered."""
        return self.folder / f"{self.stem}_structure_factors{_of_shard(shard)}.pickle"

    def manifest(self, shard: tuple[int, int] | None) -> Path:
        """The manifest of a run."""
        return self.folder / f"{self.stem}_manifest{_of_shard(shard)}.jsonl"

    def manifests(self) -> list[Path]:
        """Those that are there, of all runs."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if self._is_manifest(path.name))

    def shards(self) -> Iterator[tuple[Path, int]]:
        """The manifests of shards that are there, and of how many shards each says it is."""
        for path in self.manifests():
            found = self._is_manifest(path.name)
            if found is not None and found[1] is not None:
                yield path, int(found[1])

    def _is_manifest(self, name: str) -> re.Match[str] | None:
        pattern = re.escape(f"{self.stem}_manifest") + r"(?:-\d+of(\d+))?\.jsonl"
        return re.fullmatch(pattern, name)


def _of_shard(shard: tuple[int, int] | None) -> str:
    return "" if shard is None else f"-{shard[0]}of{shard[1]}"


class WholeFile(NamedTuple):
    """A line of a manifest.

    kind: "frame" or "data_file"; number: which, from 0.  sha256: of the file; data: of what the
    functions of a frame returned; None: there are none.
    """

    kind: str
    number: int
    sha256: str
    data: str | None = None


class ManifestWriter:
    """Adds lines to a manifest.

    A process that is killed loses none of them.  They are on the disk a second later at most: a
    computer that stops loses those of that second, and what they are about is made again.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        with access_errors(path):
            self._synced = time.monotonic()
            self._file = path.open("ab+")
            self._file.seek(0)
            if not self._file.readline().endswith(b"\n"):  # it is new, or all of it is torn
                self._file.truncate(0)
                head = {"format": FORMAT, "schema_version": SCHEMA_VERSION, "identity": identity}
                self._write([head])
            else:
                self._file.seek(-1, os.SEEK_END)
                if self._file.read(1) != b"\n":  # a torn line ends here
                    self._file.write(b"\n")

    def add(self, files: Iterable[WholeFile]) -> None:
        """Adds lines.  Raises `FileAccessError`."""
        with access_errors(self.path):
            self._write(
                {file.kind: file.number, "sha256": file.sha256}
                | ({} if file.data is None else {"data": file.data})
                for file in files
            )

    def close(self) -> None:
        """Lets go of the file, all of which is on the disk then."""
        with access_errors(self.path):
            os.fsync(self._file.fileno())
            self._file.close()

    def _write(self, lines: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        self._file.write(text.encode("utf-8"))
        self._file.flush()
        if time.monotonic() - self._synced > _SYNCED_EVERY_S:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()


def read_manifest(path: Path) -> tuple[Mapping[str, Any] | None, Iterator[WholeFile]]:
    """What the series of a manifest is, and its lines; lines that are torn are passed over.

    None: not even the first line has an end.  Raises `FileAccessError`, and `FileFormatError` for a
    file that is no manifest, as one whose first line says nothing.
    """
    with open_binary(path) as file:
        first = file.readline()
    if not first.endswith(b"\n"):
        if not (begun := first.replace(b" ", b"")).startswith(_BEGINS[: len(begun)]):
            raise FileFormatError(path, 1, "is no manifest of a series")
        return None, iter(())
    lines = _lines(path)
    head = next(lines, None)
    if head is None or _parsed(first) is None:
        raise FileFormatError(path, 1, "is no manifest of a series")
    if head.get("format") != FORMAT or not isinstance(head.get("identity"), dict):
        raise FileFormatError(path, 1, "is no manifest of a series")
    if head.get("schema_version") != SCHEMA_VERSION:
        raise FileFormatError(path, 1, f"is of another version than {SCHEMA_VERSION}")
    return head["identity"], _files(lines)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with open_binary(path) as file:
        for line in file:
            if line.endswith(b"\n") and (data := _parsed(line)) is not None:
                yield data


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The object of a line; None: there is none."""
    with contextlib.suppress(ValueError):
        data = json.loads(line)
        if isinstance(data, dict):
            return data
    return None


def _files(lines: Iterator[dict[str, Any]]) -> Iterator[WholeFile]:
    for line in lines:
        for kind in ("frame", "data_file"):
            number, sha256, data = line.get(kind), line.get("sha256"), line.get("data")
            is_good = isinstance(sha256, str) and (data is None or isinstance(data, str))
            if type(number) is int and is_good:
                yield WholeFile(kind, number, str(sha256), data)


def hash_of_file(path: Path) -> str | None:
    """SHA-256 of a file, hexadecimal; None: there is no such file."""
    if not path.is_file():
        return None
    found = hashlib.sha256()
    with open_binary(path) as file:
        while part := file.read(_AT_A_TIME):
            found.update(part)
    return found.hexdigest()


def write_whole(path: Path, content: bytes | memoryview) -> str:
    """Writes a file, as a whole or not at all; its SHA-256.  Raises `FileAccessError`."""
    with atomic_write(path) as file:
        file.write(content)
    return hashlib.sha256(content).hexdigest()


def write_beside_others(path: Path, content: bytes | memoryview) -> str:
    """The same, but a file of another content that is there is left alone: `FileAccessError`."""
    sha256 = hashlib.sha256(content).hexdigest()
    if (known := hash_of_file(path)) == sha256:
        return sha256
    if known is not None:
        raise FileAccessError(path, OTHER_FILE)
    return write_whole(path, content)


def put_in_place(made: Path, path: Path, ours: str | None = None) -> str:
    """Gives a file that is whole its name; its SHA-256.  A file of another content that is there,
    and has not the hash `ours`, is left alone, and the one that was made removed:
    `FileAccessError`."""
    with access_errors(path):
        sha256, known = hash_of_file(made) or "", hash_of_file(path)
        if known in (None, sha256, ours):
            made.replace(path)
            return sha256
        made.unlink()
    raise FileAccessError(path, OTHER_FILE)


def read_whole(path: Path, sha256: str) -> bytes:
    """The content of a file that has this hash.

    Raises `FileAccessError`, also for another content.
    """
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise FileAccessError(path, "is not what was written there")
    return content


def write_summary(
    path: Path, identity: Mapping[str, Any], files: Iterable[tuple[str, str]]
) -> None:
    """Writes what a series is, and name and hash of each of its files in their order."""
    with atomic_write(path) as file:
        _write_json(file, identity, files)


def _write_json(
    file: BinaryIO, identity: Mapping[str, Any], files: Iterable[tuple[str, str]]
) -> None:
    said = {"format": SUMMARY_FORMAT, "schema_version": SCHEMA_VERSION, "identity": identity}
    head = json.dumps(said, indent=1)
    file.write(head.removesuffix("\n}").encode("utf-8"))
    file.write(b',\n "files": [')
    for n, (name, sha256) in enumerate(files):
        line = json.dumps([name, sha256])
        file.write(f"{',' if n else ''}\n  {line}".encode())
    file.write(b"\n ]\n}\n")


def read_summary(path: Path) -> tuple[Mapping[str, Any], dict[str, str]] | None:
    """What series a summary is of, and the hash of each of its files by name; None where the file
    is no summary.  Raises `FileAccessError`."""
    try:
        said = json.loads(read_bytes(path))
        if said["format"] != SUMMARY_FORMAT or not isinstance(said["identity"], dict):
            return None
        return said["identity"], {str(name): str(sha256) for name, sha256 in said["files"]}
    except (ValueError, TypeError, KeyError):
        return None


def first_of(paths: Iterable[Path]) -> Path | None:
    """The first of them that is there."""
    names: dict[Path, frozenset[str]] = {}
    for path in paths:
        folder = path.parent
        if folder not in names:
            with access_errors(folder):
                found = folder.iterdir() if folder.is_dir() else ()
                names[folder] = frozenset(each.name for each in found)
        if path.name in names[folder]:
            return path
    return None


def make_folder(folder: Path, *, needed: bool = True) -> None:
    """Makes a folder that is not there, if it is needed.  Raises `FileAccessError`."""
    if needed:
        with access_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)


def remove_files(paths: Iterable[Path], folder: Path | None = None) -> None:
    """Removes files that are there, and a folder if it is empty."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
    if folder is not None:
        with contextlib.suppress(OSError):
            folder.rmdir()
