"""What renders frames: functions that a task names, in whatever process or thread they run.

A task brings its settings along, as bytes.  A process keeps those of the last series, and the
structure factors of the last, so that both are unpickled once.
"""

from __future__ import annotations

import io
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, Generic, NamedTuple, TypeVar

from nanobragg_hybrid.formats.series_files import read_whole, write_beside_others, write_whole
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.run.image_files import images_of_result, write_result
from nanobragg_hybrid.run.prepare import prepared
from nanobragg_hybrid.run.series.kept_background import KeepsBackground
from nanobragg_hybrid.run.series.settings import Settings, description, has_data
from nanobragg_hybrid.run.truth import predict_reflections

_KEPT: Final = 2
"""Series, and tables of structure factors, that a process keeps."""
_MOST_OF_HEAP: Final = 2**25 - 2**13
"""The largest block, bytes, whose release makes glibc's malloc take others from its heap."""

Kept = TypeVar("Kept")


class Done(NamedTuple):
    """What is told of a frame, or of a file of data, that is whole.

    sha256: of its file; data: of what the functions of the frame returned; notes: warnings.
    """

    number: int
    sha256: str
    data: str | None = None
    notes: tuple[str, ...] = ()


class _Recent(Generic[Kept]):
    """The things used last, each made once however many threads ask for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._things: OrderedDict[str, Kept] = OrderedDict()

    def get(self, key: str, make: Callable[[], Kept]) -> Kept:
        with self._lock:
            if key not in self._things:
                self._things[key] = make()
                while len(self._things) > _KEPT:
                    self._things.popitem(last=False)
            self._things.move_to_end(key)
            return self._things[key]


class _Series:
    """Settings, and what is made of them once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine: Any = KeepsBackground(settings.engine)
        files = settings.files
        self.frame = (
            description(settings.series, settings.pixels, settings.quirks, settings.material)
            if files.is_one
            else None
        )


_SERIES: Final[_Recent[_Series]] = _Recent()
_TABLES: Final[_Recent[StructureFactors]] = _Recent()


def keep_factors(key: str, table: StructureFactors) -> None:
    """Puts structure factors where `render_frame` of this process finds them."""
    _TABLES.get(key, lambda: table)


def render_frame(settings: bytes, key: str, number: int) -> Done:
    """Renders and writes a frame.  settings: a pickle of `Settings`; key: what they are kept by."""
    known = _known(settings, key)
    use = known.settings
    experiment = use.series.frame(number).experiment
    table = _factors(use)
    run = prepared(experiment, table, known.engine, use.quirks)
    result = run.render_quietly(threads=use.threads, frame=number)
    data = None
    if has_data(use):
        found = tuple(function(number, experiment, result) for function in use.per_frame)
        if use.truth:
            truth = predict_reflections(
                experiment, table, quirks=use.quirks, threads=use.threads, frame=number
            )
            found = (*found, truth)
        data = write_whole(use.files.data(number), pickle.dumps(found, protocol=5))
    if known.frame is not None:
        from nanobragg_hybrid.formats.images import nxmx

        images, notes = images_of_result(result, use.pixels, "nxmx", known.frame.bad)
        content: Any = nxmx.compressed_chunk(nxmx.stored_pixels(known.frame, images))
    else:
        memory = io.BytesIO()
        notes = write_result(memory, result, use.files.format, use.pixels, use.material)
        content = memory.getbuffer()
    # On their way into a file of data pixels have a folder of their own.
    write = write_beside_others if known.frame is None else write_whole
    sha256 = write(use.files.image(number), content)
    return Done(number, sha256, data, (*result.warnings, *notes))


def join_frames(settings: bytes, key: str, which: int, parts: tuple[str, ...]) -> Done:
    """Makes a file of data of pixels that are there.  parts: their hashes."""
    from nanobragg_hybrid.formats.images import nxmx

    known = _known(settings, key)
    use = known.settings
    assert known.frame is not None
    first = which * use.images_per_file
    chunks = [read_whole(use.files.image(first + n), sha256) for n, sha256 in enumerate(parts)]
    panels = [(panel.n_slow, panel.n_fast) for panel in known.frame.content.panels]
    shape = sum(size[0] for size in panels), max(size[1] for size in panels)
    memory = io.BytesIO()
    nxmx.write_data_file(memory, chunks, shape, stored_type(use), use.identity_hash)
    return Done(which, write_beside_others(use.files.data_file(which), memory.getbuffer()))


def stored_type(use: Settings) -> Any:
    """The type of pixels in one NXmx file."""
    import numpy as np

    return np.dtype("float32" if use.pixels == "photons" or _has_floats(use) else "int32")


def _has_floats(use: Settings) -> bool:
    response = use.series.experiment.response
    return use.pixels == "counts" and response is not None and not response.is_rounded


def _known(settings: bytes, key: str) -> _Series:
    def make() -> _Series:
        _keep_memory_of_frames()
        found: Settings = pickle.loads(settings)
        return _Series(found)

    return _SERIES.get(key, make)


def _keep_memory_of_frames() -> None:
    """Lets the memory of one frame be that of the next.

    Pages that the system hands out anew cost a seventh of what a frame costs beside its kernel.  By
    the size of the largest block that it gave back to the system glibc chooses how much it does
    not give back: twice as much.  One block that nobody writes to is enough; other C libraries
    make nothing of it.
    """
    import numpy as np

    np.empty(_MOST_OF_HEAP, dtype=np.uint8)


def _factors(use: Settings) -> StructureFactors:
    def make() -> StructureFactors:
        if use.factors is not None:
            return use.factors
        assert use.factors_path is not None
        found: StructureFactors = pickle.loads(read_whole(use.factors_path, use.factors_file_hash))
        return found

    return _TABLES.get(use.factors_hash, make)
