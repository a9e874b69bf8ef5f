"""Which frames of a series are whole, and what is to be done about the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final

from nanobragg_hybrid.base.errors import FileFormatError
from nanobragg_hybrid.base.host import default_threads
from nanobragg_hybrid.formats.series_files import (
    SeriesFiles,
    WholeFile,
    hash_of_file,
    read_manifest,
    remove_files,
)
from nanobragg_hybrid.run.series.settings import differs

_GROUPS_AT_A_TIME: Final = 1024


def begun_manifests(
    files: SeriesFiles,
) -> Iterator[tuple[Path, Mapping[str, Any], Iterator[WholeFile]]]:
    """Each manifest that is there and has a first line: of what series it says it is, its lines.

    Raises `FileFormatError` for a file that is no manifest.
    """
    for path in files.manifests():
        try:
            begun, lines = read_manifest(path)
        except FileFormatError as error:
            raise FileFormatError(path, error.line, f"{error.problem}: remove it") from None
        if begun is not None:
            yield path, begun, lines


def manifests_of(files: SeriesFiles, identity: Mapping[str, Any]) -> Iterator[Iterator[WholeFile]]:
    """The lines of each manifest that is there and has a first line.

    Raises `ConfigError` where one is of another series: it names what differs; and
    `FileFormatError` for a file that is no manifest.
    """
    for path, begun, lines in begun_manifests(files):
        if (difference := differs(identity, begun, path)) is not None:
            raise difference
        yield lines


class Whole:
    """The frames of a series that are whole, by number, and its files of data.

    images_per_file: of the files of data of one NXmx file; 0: each frame has a file of its own.
    frames: hash of each frame's file (of its pixels, on their way into a file of data).  data: hash
    of what functions of a frame returned.  data_files: hash of each file of data.  other: of the
    images and files of data that `verify` found changed, the number of a frame and the name.
    """

    def __init__(self, files: SeriesFiles, frames: int, images_per_file: int) -> None:
        self._files = files
        self._count = frames
        self.images_per_file = images_per_file
        self.frames: dict[int, str] = {}
        self.data: dict[int, str] = {}
        self.data_files: dict[int, str] = {}
        self.other: list[tuple[int, str]] = []

    def add(self, file: WholeFile) -> None:
        """Takes a line of a manifest for true."""
        if file.kind == "data_file":
            self.data_files[file.number] = file.sha256
        elif 0 <= file.number < self._count:
            self.frames[file.number] = file.sha256
            if file.data is not None:
                self.data[file.number] = file.data

    def read(self, identity: Mapping[str, Any]) -> None:
        """Takes the lines of all manifests for true.  Raises what `manifests_of` does."""
        for lines in manifests_of(self._files, identity):
            for line in lines:
                self.add(line)

    def has(self, number: int) -> bool:
        """Whether a frame is there, by what the manifests say."""
        if self.images_per_file and number // self.images_per_file in self.data_files:
            return True
        return number in self.frames

    def verify(self, numbers: Iterator[int], *, with_data: bool) -> int:
        """Looks at the files of these frames, several at a time; those that are missing or broken
        no longer count, and the latter are removed.  How many are whole.  The frames of a file of
        data come one after the other."""
        count = 0
        groups = ((which, list(group)) for which, group in groupby(numbers, self._file_of))
        with ThreadPoolExecutor(default_threads()) as pool:
            # So many at a time that their tasks take no memory to speak of.
            while some := list(islice(groups, _GROUPS_AT_A_TIME)):
                looks = pool.map(lambda group: self._look(*group, with_data=with_data), some)
                for (which, several), (is_joined, good, others) in zip(some, looks, strict=True):
                    count += len(good)
                    remove_files(others.values())
                    self.other += [(number, path.name) for number, path in others.items()]
                    if is_joined:
                        remove_files(self._files.image(number) for number in several)
                        continue
                    self.data_files.pop(which, None)
                    for number in several:
                        if number not in good:
                            self.frames.pop(number, None)
                            self.data.pop(number, None)
        return count

    def _look(
        self, which: int, several: list[int], *, with_data: bool
    ) -> tuple[bool, set[int], dict[int, Path]]:
        """Whether these frames are in their file of data, which of them are whole, and the files
        that are there and are not what was written.  It changes nothing, and waits for the disk and
        for hashes, which other threads do meanwhile."""
        others: dict[int, Path] = {}
        has_data = {n for n in several if not with_data or self._has_data(n)}
        path = self._files.data_file(which)
        if (known := self.data_files.get(which)) is not None:
            found = hash_of_file(path)
            if found == known and len(has_data) == len(several):
                return True, has_data, others
            if found not in (None, known):
                others[several[0]] = path
        good = set()
        for number in several:
            path, known = self._files.image(number), self.frames.get(number)
            found = None if known is None else hash_of_file(path)
            if found is not None and found == known and number in has_data:
                good.add(number)
            elif found not in (None, known) and not self.images_per_file:
                others[number] = path
        return False, good, others

    def _file_of(self, number: int) -> int:
        """The file of data of a frame; each its own where there are none."""
        return number // self.images_per_file if self.images_per_file else -1 - number

    def _has_data(self, number: int) -> bool:
        known = self.data.get(number)
        return known is not None and hash_of_file(self._files.data(number)) == known

    def images_in(self, which: int) -> range:
        """The frames of a file of data."""
        first = which * self.images_per_file
        return range(first, min(first + self.images_per_file, self._count))

    def is_ready(self, which: int) -> bool:
        """Whether all frames of a file of data are there, and the file is not."""
        return which not in self.data_files and all(n in self.frames for n in self.images_in(which))

    @property
    def file_count(self) -> int:
        """How many files of data there are in all."""
        return -(-self._count // self.images_per_file) if self.images_per_file else 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        if self.images_per_file:
            return len(self.data_files) == self.file_count
        return len(self.frames) == self._count

    def listed(self) -> Iterator[tuple[str, str]]:
        """Name and hash of each image or file of data, in their order."""
        if self.images_per_file:
            for which in range(self.file_count):
                yield self._files.data_file(which).name, self.data_files[which]
            return
        for number in range(self._count):
            yield self._files.image(number).name, self.frames[number]
