"""Tables of reflections (`ReflectionTruth`) as HDF5: documented columns, the same bytes each time.

/reflections has a data set for each column, /frames one for each column of frames and `row_stop`
(where the rows of each frame end), /pixels the pixels of all rows one after the other, of which
the column pixel_count says how many each row has.  Attributes have the units; those of the file
the shapes of the panels, and the provenance as JSON.  Needs h5py.
"""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nanobragg_hybrid.base.atomic import access_errors, atomic_write
from nanobragg_hybrid.base.errors import (
    ConfigError,
    FileFormatError,
    UnsupportedError,
    how_to_install,
)
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.formats.text import open_binary
from nanobragg_hybrid.model.reflection_truth import COLUMNS, FRAME_COLUMNS, ReflectionTruth
from nanobragg_hybrid.model.validate import require_class

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

_FORMAT: Final = "nanobragg_hybrid reflection truth"
_VERSION: Final = 1
_CHUNK: Final = 4096
_OPTIONS: Final = {"libver": ("earliest", "v110")}
_GROUPS: Final[dict[str, dict[str, tuple[str, tuple[int, ...], str]]]] = {
    "reflections": COLUMNS,
    "frames": {**FRAME_COLUMNS, "row_stop": ("<i8", (), "")},
    "pixels": {"number": ("<i8", (), "px"), "photons": ("<f4", (), "photon")},
}
_FINITE: Final = (
    "fast_px",
    "slow_px",
    "phi_deg",
    "photons",
    "background_photons",
    "overlap_photons",
    "peak_photons",
    "pixel_photons",
)
"""Columns that have a number in each row."""


class TruthWriter:
    """Writes the tables of a series, frame after frame, without keeping them in memory.

    path: the file, which is there as a whole once `close`, or the end of a with statement, has been
    reached; until then it is ``.NAME.partial`` beside it, which the next writer begins anew.
    Frames are added in rising order of their numbers, each once, so that the bytes depend on the
    tables and on how they are parted alone.  The provenance is that of the first one.

    Raises `UnsupportedError` without h5py, `FileAccessError`, `ConfigError`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        h5py = _h5py(path)
        with access_errors(path):
            target = Path(path)
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._target = target
            self._partial = target.with_name(f".{target.name}.partial")
            self._partial.open("wb").close()  # whose errors are those of the system
            self._file = h5py.File(self._partial, "w", **_OPTIONS)
            self._tables = _Tables(self._file)

    def add(self, truth: ReflectionTruth) -> None:
        """Appends the rows of one or more frames.  Raises `ConfigError` for a frame that does not
        follow, rows that are not sorted by frame, and another detector."""
        require_class("truth", truth, ReflectionTruth)
        with access_errors(self._target):
            self._tables.add(truth)

    def close(self) -> None:
        """Gives the file its name.  Raises `ConfigError` if no frame was added."""
        if not self._file:
            return
        if self._tables.shapes is None:
            self._discard()
            raise ConfigError("truth", "no frame", "at least one")
        with access_errors(self._target):
            self._file.close()
            self._partial.replace(self._target)

    def __enter__(self) -> TruthWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._discard()

    def _discard(self) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)


class _Tables:
    """The groups of a file, which grow."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.shapes: tuple[tuple[int, int], ...] | None = None
        self._last = -1
        self._rows = 0
        for group, columns in _GROUPS.items():
            made = file.create_group(group)
            for name, (kind, shape, unit) in columns.items():
                data = made.create_dataset(
                    name,
                    (0, *shape),
                    kind,
                    maxshape=(None, *shape),
                    chunks=(_CHUNK, *shape),
                    compression="gzip",
                    shuffle=True,
                    track_times=False,
                )
                if unit:
                    data.attrs["units"] = unit

    def add(self, truth: ReflectionTruth) -> None:
        if self.shapes is None:
            self.shapes = truth.shapes
            attributes = self._file.attrs
            attributes["format"] = _FORMAT
            attributes["version"] = _VERSION
            attributes["panel_shapes"] = np.array(truth.shapes, "<i8")
            text = json.dumps(dict(truth.provenance), sort_keys=True)
            attributes["provenance"] = np.bytes_(text.encode("utf-8"))
        if truth.shapes != self.shapes:
            raise ConfigError("truth.shapes", truth.shapes, f"{self.shapes}, as before")
        frames = truth.frames.tolist()
        if not frames or frames != sorted(set(frames)) or frames[0] <= self._last:
            raise ConfigError("truth.frames", frames, f"rising numbers above {self._last}")
        if (np.diff(truth.frame_start) < 0).any():
            raise ConfigError("truth.frame_start", "other", "rows in the order of frames")
        stops = np.searchsorted(truth.frame_start, truth.frames, side="right")
        self._append("reflections", {name: getattr(truth, name) for name in COLUMNS})
        of_frames: dict[str, NDArray[Any]] = {name: getattr(truth, name) for name in FRAME_COLUMNS}
        self._append("frames", {**of_frames, "row_stop": self._rows + stops})
        pixels: dict[str, NDArray[Any]] = {
            "number": truth.pixel_number,
            "photons": truth.pixel_photons,
        }
        self._append("pixels", pixels)
        self._last = frames[-1]
        self._rows += len(truth)

    def _append(self, group: str, values: dict[str, NDArray[Any]]) -> None:
        for name, array in values.items():
            data = self._file[group][name]
            begin = data.shape[0]
            data.resize(begin + len(array), axis=0)
            data[begin:] = array


def write_truth_hdf5(path: str | os.PathLike[str], truth: ReflectionTruth) -> None:
    """Writes a table, its rows sorted by frame.  Raises what `TruthWriter` does."""
    h5py = _h5py(path)
    memory = io.BytesIO()
    with h5py.File(memory, "w", **_OPTIONS) as file:
        _Tables(file).add(truth.rows(np.argsort(truth.frame_start, kind="stable")))
    with atomic_write(path) as out:
        out.write(memory.getbuffer())


def read_truth(path: str | os.PathLike[str]) -> ReflectionTruth:
    """The reflections of a file that `write_truth` or `TruthWriter` wrote (HDF5; needs h5py).

    Raises `UnsupportedError` without h5py, `FileAccessError`, `FileFormatError`.
    """
    h5py = _h5py(path)
    with open_binary(path):
        pass  # for the errors of a file that is not there
    try:
        with h5py.File(path, "r") as file:
            return _read(path, file)
    except ConfigError as error:
        raise FileFormatError(path, 0, str(error)) from None
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        if isinstance(error, FileFormatError):
            raise
        text = " ".join(str(error).split())
        raise FileFormatError(path, 0, f"is no HDF5 file that can be read: {text}") from None


def _read(path: str | os.PathLike[str], file: Any) -> ReflectionTruth:
    found = file.attrs.get("format")
    if found != _FORMAT or file.attrs.get("version") != _VERSION:
        version = file.attrs.get("version")
        text = f"is no {_FORMAT} of version {_VERSION}: it has {found!r}, {version!r}"
        raise FileFormatError(path, 0, text)
    fields: dict[str, Any] = {}
    needed = sum(file[group][name].nbytes for group, names in _GROUPS.items() for name in names)
    require_memory({f"content of {os.fspath(path)}": int(needed)})
    for group, columns in _GROUPS.items():
        for name, (kind, _, _) in columns.items():
            array = np.asarray(file[group][name][()], np.dtype(kind))
            fields[f"pixel_{name}" if group == "pixels" else name] = array
    starts = np.cumsum(fields["pixel_count"], dtype=np.int64)
    row_stop = np.concatenate([[0], fields.pop("row_stop")])
    rows = len(fields["hkl"])
    if (np.diff(row_stop) < 0).any() or row_stop[-1] != rows:
        text = f"frames/row_stop: need numbers that ascend to the number of rows, {rows}"
        raise FileFormatError(path, 0, text)
    for name in _FINITE:
        if not np.isfinite(fields[name]).all():
            raise FileFormatError(path, 0, f"{name}: need finite numbers")
    shapes = np.asarray(file.attrs["panel_shapes"])
    if shapes.ndim != 2 or shapes.shape[1] != 2 or (shapes < 1).any():
        raise FileFormatError(path, 0, "panel_shapes: need two numbers >= 1 for each panel")
    numbers = fields["pixel_number"]
    pixels = np.array([slow * fast for slow, fast in shapes.tolist()])
    panel = fields["panel"]
    if ((panel < 0) | (panel >= len(shapes))).any():
        raise FileFormatError(path, 0, f"panel: need 0 to {len(shapes) - 1}")
    if len(numbers) == (starts[-1] if starts.size else 0):
        most = np.repeat(pixels[panel], fields["pixel_count"])
        if ((numbers < 0) | (numbers >= most)).any():
            raise FileFormatError(path, 0, "pixels/number: need numbers of pixels of the panels")
    if fields["bounds"].shape == (len(panel), 4):
        starts_px, stops_px = fields["bounds"][:, ::2], fields["bounds"][:, 1::2]
        if ((starts_px < 0) | (starts_px > stops_px) | (stops_px > shapes[panel])).any():
            raise FileFormatError(path, 0, "bounds: need boxes of pixels of the panels")
    return ReflectionTruth(
        **fields,
        pixel_start=np.concatenate([[0], starts]),
        shapes=tuple((slow, fast) for slow, fast in shapes.tolist()),
        provenance=json.loads(bytes(file.attrs["provenance"])),
    )


def _h5py(path: object) -> Any:
    try:
        import h5py
    except ImportError:
        raise UnsupportedError(
            f"{path}: a table of reflections is HDF5, which needs h5py: {how_to_install('mx')}"
        ) from None
    return h5py
