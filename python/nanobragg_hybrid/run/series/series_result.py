"""What a run of a series has done."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanobragg_hybrid.base.errors import ConfigError, FileAccessError
from nanobragg_hybrid.formats.series_files import SeriesFiles, read_whole
from nanobragg_hybrid.formats.truth_hdf5 import read_truth
from nanobragg_hybrid.model.reflection_truth import ReflectionTruth
from nanobragg_hybrid.model.series import Series


@dataclass(frozen=True)
class SeriesResult:
    """What a run of a series has done.

    series: the recipe.  files: where its files are.  rendered: how many frames this run rendered;
    kept: how many were whole already.  is_complete: whether all frames of the series are there,
    those of other shards too; then `summary` has recipe, version and hashes, and of an NXmx series
    the file that leads to all images is there.  warnings: each kind of warning once.
    """

    series: Series
    files: SeriesFiles
    rendered: int
    kept: int
    is_complete: bool
    warnings: tuple[str, ...]
    _data: tuple[tuple[int, str], ...] = field(default=(), repr=False)
    _functions: int = field(default=0, repr=False)
    _has_truth: bool = field(default=False, repr=False)

    @property
    def summary(self) -> Path:
        """The JSON file with what the series is, and the name and hash of each of its files."""
        return self.files.summary

    def truth(self) -> ReflectionTruth:
        """The reflections of all frames.

        Raises `ConfigError` for a series without truth, `FileAccessError` where it is not complete,
        and what `read_truth` raises.
        """
        path = self.files.truth(".h5")
        if not self._has_truth:
            rule = (
                f"True, with which simulate_series (the command: --truth) also writes {path.name}"
            )
            raise ConfigError("truth", False, rule)
        if not self.is_complete and not path.exists():
            raise FileAccessError(
                path, "it is written when all frames are there, and those of other shards are not"
            )
        return read_truth(path)

    def images(self) -> Iterator[Path]:
        """The files of the images in their order; of one NXmx file itself."""
        if self.files.is_one:
            yield self.files.path
            return
        for number in range(self.series.frames):
            yield self.files.image(number)

    def data(self) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Number of each frame, and what the functions `per_frame` returned for it, in the order of
        frames; read from files as it is asked for."""
        for number, sha256 in self._data:
            found = pickle.loads(read_whole(self.files.data(number), sha256))
            yield number, found[: self._functions]
