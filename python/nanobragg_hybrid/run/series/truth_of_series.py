"""The truth beside the frames of a series: reflections as HDF5 and for DIALS, the true crystals."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from typing import TYPE_CHECKING

from nanobragg_hybrid.base.errors import UnsupportedError, how_to_install
from nanobragg_hybrid.formats.series_files import hash_of_file, read_whole
from nanobragg_hybrid.formats.truth_hdf5 import TruthWriter, read_truth
from nanobragg_hybrid.model.reflection_truth import ReflectionTruth
from nanobragg_hybrid.model.series_kinds import ParameterGrid, RotationWedge
from nanobragg_hybrid.run.series.settings import Settings
from nanobragg_hybrid.run.truth_files import write_experiments, write_truth

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_libraries() -> None:
    """Raises `UnsupportedError` for libraries that the files of the truth need."""
    for name in ("h5py", "msgpack"):
        if find_spec(name) is None:
            raise UnsupportedError(f"truth needs {name}: {how_to_install('mx')}")


def write_truth_of_series(settings: Settings, data: Mapping[int, str]) -> list[tuple[str, str]]:
    """Writes the files of the truth; their names and hashes.

    data: hash of what the worker has written of each frame, whose last part is its truth.  A grid
    has no files for DIALS, whose frames neither follow each other nor are of one crystal.
    Raises `FileAccessError`, and what `write_experiments` does.
    """
    series, files = settings.series, settings.files
    paths = [files.truth(".h5")]
    with TruthWriter(paths[0]) as writer:
        for number in range(series.frames):
            content = read_whole(files.data(number), data[number])
            truth: ReflectionTruth = pickle.loads(content)[-1]
            writer.add(truth)
    if not isinstance(series.kind, ParameterGrid):
        experiments = [series.frame(number).experiment for number in range(series.frames)]
        is_scan = isinstance(series.kind, RotationWedge)
        template = files.name if is_scan and not files.is_one else None
        paths += [files.truth(".expt"), files.truth(".refl")]
        write_experiments(paths[1], experiments, quirks=settings.quirks, template=template)
        whole = read_truth(paths[0])
        write_truth(paths[2], whole, experiments=experiments, quirks=settings.quirks)
    return [(path.name, hash_of_file(path) or "") for path in paths]
