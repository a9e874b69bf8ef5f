"""The truth beside the frames of a series: reflections as HDF5 and for DIALS, the true crystals."""

from __future__ import annotations

import pickle
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from nanobragg_hybrid.base.errors import UnsupportedError, how_to_install
from nanobragg_hybrid.formats.series_files import (
    make_folder,
    put_in_place,
    read_whole,
    remove_files,
)
from nanobragg_hybrid.formats.truth_hdf5 import TruthWriter
from nanobragg_hybrid.model.reflection_truth import ReflectionTruth
from nanobragg_hybrid.model.series_kinds import ParameterGrid, RotationWedge
from nanobragg_hybrid.run.experiment_files import content_of
from nanobragg_hybrid.run.series.settings import Settings
from nanobragg_hybrid.run.truth_dials import TruthForDials
from nanobragg_hybrid.run.truth_files import write_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.series import Series

_ENDINGS: Final = (".h5", ".expt", ".refl")

_BYTES_AT_A_TIME: Final = 2**23
"""Of the truth of frames that are in memory together, more or less."""


def check_libraries() -> None:
    """Raises `UnsupportedError` for libraries that the files of the truth need."""
    for name in ("h5py", "msgpack"):
        if find_spec(name) is None:
            raise UnsupportedError(f"truth needs {name}: {how_to_install('mx')}")


def write_truth_of_series(
    settings: Settings,
    data: Mapping[int, str],
    whole: Mapping[str, str],
    shard: tuple[int, int] | None,
) -> list[tuple[str, str]]:
    """Writes the files of the truth; their names and hashes.

    data: hash of what the worker has written of each frame, whose last part is its truth.  whole:
    hashes of files that are there already, by name.  shard: who writes; several may come to their
    end at the same time, and write the same.  A grid has no files for DIALS, whose frames
    neither follow each other nor are of one crystal.
    Raises `FileAccessError`, also where one of the names has a file of another content, which is
    left alone, and what `write_experiments` does.
    """
    series, files = settings.series, settings.files
    is_grid = isinstance(series.kind, ParameterGrid)
    names = [files.truth(ending).name for ending in ((".h5",) if is_grid else _ENDINGS)]
    if whole.keys() >= set(names):
        return [(name, whole[name]) for name in names]
    # They get their names when all of them are whole.
    folder = files.unfinished(shard)
    make_folder(folder)
    paths = [folder / name for name in names]
    with ExitStack() as stack:
        stack.callback(remove_files, paths, folder)
        _write(settings, data, paths)
        return [
            (path.name, put_in_place(path, files.folder / path.name, whole.get(path.name)))
            for path in paths
        ]


def _write(settings: Settings, data: Mapping[int, str], paths: Sequence[Path]) -> None:
    """Writes the table, and for DIALS experiments and reflections, if they have paths."""
    series, files = settings.series, settings.files
    is_scan = isinstance(series.kind, RotationWedge)
    with ExitStack() as stack:
        for_dials = None
        if len(paths) > 1:
            template = files.name if is_scan and not files.is_one else None
            frames, final = _experiments(series), files.truth(".expt")
            write_frames(paths[1], frames, settings.quirks, template, final)
            for_dials = stack.enter_context(TruthForDials(paths[2], turns=is_scan))
        with TruthWriter(paths[0]) as writer:
            for several in _some_frames(settings, data):
                for truth in several:
                    writer.add(truth)
                if for_dials is not None:
                    numbers = [int(truth.frames[0]) for truth in several]
                    contents = (
                        content_of(series.frame(number).experiment, settings.quirks)
                        for number in (numbers[:1] if is_scan else numbers)
                    )
                    for_dials.add(ReflectionTruth.joined(several), list(contents))
        if for_dials is not None:
            for_dials.write()


def _experiments(series: Series) -> Iterator[Experiment]:
    return (series.frame(number).experiment for number in range(series.frames))


def _some_frames(settings: Settings, data: Mapping[int, str]) -> Iterator[list[ReflectionTruth]]:
    """The truth of all frames in their order, so much of it at a time as fits into little memory,
    and at least one frame."""
    several: list[ReflectionTruth] = []
    size = 0
    for number in range(settings.series.frames):
        content = read_whole(settings.files.data(number), data[number])
        truth: ReflectionTruth = pickle.loads(content)[-1]
        if several and size + len(content) > _BYTES_AT_A_TIME:
            yield several
            several, size = [], 0
        several.append(truth)
        size += len(content)
    yield several
