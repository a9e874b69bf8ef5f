"""The pixels of NXmx files (HDF5): one frame of the detector's modules, and their pixel masks.

Modules of one detector are parts of its array; detectors have an array each.  Reading needs h5py,
and hdf5plugin for compressions that HDF5 itself does not have, as bitshuffle with LZ4.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, FileFormatError
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.formats.geometry.nxmx import groups_of, text_of
from nanobragg_hybrid.formats.hdf5_file import opened

_LARGEST = 2**31 - 1


class ModulePixels(NamedTuple):
    """A module's name and pixels, shape (slow, fast), and which of them its pixel mask allows."""

    name: str
    pixels: NDArray[Any]
    mask: NDArray[np.bool_] | None


def nxmx_pixels(path: str | os.PathLike[str], frame: int) -> tuple[list[ModulePixels], int]:
    """The modules of a frame, and how many frames there are.

    Raises `UnsupportedError` where h5py is not installed, `FileAccessError`, `FileFormatError`,
    `ConfigError` (``frame``) for a frame that there is not.
    """
    with opened(path, "its pixels cannot be read") as file:
        return _Reader(path, file, frame).modules()


class _Data:
    """The frames of a detector: one dataset, or several one after the other."""

    def __init__(self, parts: list[Any], rank: int) -> None:
        self.parts = parts
        self.has_frames = parts[0].ndim > rank
        self.frames = sum(int(part.shape[0]) for part in parts) if self.has_frames else 1
        self.shape = tuple(parts[0].shape[int(self.has_frames) :])

    def read(self, frame: int, where: tuple[slice, ...]) -> NDArray[Any]:
        """A part of a frame."""
        if not self.has_frames:
            return np.asarray(self.parts[0][where])
        for part in self.parts:
            if frame < part.shape[0]:
                return np.asarray(part[(frame, *where)])
            frame -= int(part.shape[0])
        raise IndexError("frame")


class _Reader:
    def __init__(self, path: str | os.PathLike[str], file: Any, frame: int) -> None:
        self._path, self._file, self._frame = path, file, frame

    def refuse(self, where: str, rule: str) -> NoReturn:
        """Raises `FileFormatError`."""
        raise FileFormatError(self._path, 0, f"{where}: need {rule}")

    def modules(self) -> tuple[list[ModulePixels], int]:
        """All of the first entry, in the order of the geometry's."""
        entries = [
            group
            for group in groups_of(self._file, "NXentry")
            if text_of(group.get("definition")) == "NXmx"
        ]
        if not entries:
            raise FileFormatError(self._path, 0, "has no entry with the definition NXmx")
        instruments = list(groups_of(entries[0], "NXinstrument"))
        if not instruments:
            self.refuse(entries[0].name, "an NXinstrument")
        detectors = list(groups_of(instruments[0], "NXdetector"))
        found: list[ModulePixels] = []
        frames: set[int] = set()
        for detector in detectors:
            modules = list(groups_of(detector, "NXdetector_module"))
            for module in modules:
                data, origin, size = self._place(entries[0], detector, module, len(detectors))
                frames.add(data.frames)
                if len(frames) > 1:
                    self.refuse(detector.name, "as many frames as the other detectors have")
                name = (detector if len(modules) == 1 else module).name.rpartition("/")[2]
                found.append(self._module(name, detector, data, origin, size))
        if not found:
            self.refuse(instruments[0].name, "an NXdetector with an NXdetector_module")
        return found, frames.pop()

    def _whole(self, module: Any, name: str) -> list[int]:
        if name not in module:
            self.refuse(module.name, name)
        dataset = module[name]
        values = np.asarray(dataset[()]).ravel() if dataset.size <= 8 else np.zeros(0)
        if values.dtype.kind not in "iuf" or not 2 <= values.size <= 3:
            self.refuse(dataset.name, "two or three whole numbers, slow and fast the last ones")
        if not ((values >= 0) & (values <= _LARGEST) & (values == np.trunc(values))).all():
            self.refuse(dataset.name, "whole numbers >= 0")
        return [int(value) for value in values.tolist()]

    def _place(
        self, entry: Any, detector: Any, module: Any, detectors: int
    ) -> tuple[_Data, list[int], list[int]]:
        """The data that a module is a part of, and which part: its first element, and its size."""
        size = self._whole(module, "data_size")
        origin = self._whole(module, "data_origin") if "data_origin" in module else [0] * len(size)
        if len(origin) != len(size) or min(size) < 1 or size[:-2] not in ([], [1]):
            self.refuse(module.name, "data_origin and data_size of one plane of slow and fast")
        data = _Data(self._parts(entry, detector, detectors), len(size))
        ends = [start + count for start, count in zip(origin, size, strict=True)]
        if len(data.shape) != len(size) or any(
            end > length for end, length in zip(ends, data.shape, strict=True)
        ):
            rule = f"a part of the data, whose shape is {' x '.join(map(str, data.shape))}"
            self.refuse(module.name, rule)
        return data, origin, size

    def _parts(self, entry: Any, detector: Any, detectors: int) -> list[Any]:
        """The datasets with a detector's frames."""
        if "data" in detector and hasattr(detector["data"], "shape"):
            return [detector["data"]]
        if detectors > 1:
            self.refuse(detector.name, "its own data, since there are several detectors")
        for group in groups_of(entry, "NXdata"):
            signal = text_of(group.attrs.get("signal"))
            if signal and signal in group:
                return [group[signal]]
            numbered = sorted(name for name in group if name.startswith("data_"))
            if numbered:
                return [self._linked(group, name) for name in numbered]
            if "data" in group:
                return [group["data"]]
        raise FileFormatError(self._path, 0, f"{entry.name}: need an NXdata with the frames")

    def _linked(self, group: Any, name: str) -> Any:
        """A dataset, which may be a link to another file."""
        try:
            return group[name]
        except (KeyError, OSError):  # what it links to is not there
            target = getattr(group.get(name, getlink=True), "filename", "")
            what = f"a link to the file {target}" if target else "a link"
            text = f"{group.name}/{name} is {what}, which is missing or has no such data"
            raise FileFormatError(self._path, 0, text) from None

    def _module(
        self, name: str, detector: Any, data: _Data, origin: list[int], size: list[int]
    ) -> ModulePixels:
        if not self._frame < data.frames:
            raise ConfigError("frame", self._frame, f"a number from 0 to {data.frames - 1}")
        where = tuple(slice(a, a + n) for a, n in zip(origin, size, strict=True))
        shape = size[-2], size[-1]
        count = shape[0] * shape[1]
        require_memory({"pixels of a module": 2 * count * int(data.parts[0].dtype.itemsize)})
        pixels = data.read(self._frame, where).reshape(shape)
        if pixels.dtype.kind not in "iuf":
            self.refuse(data.parts[0].name, f"real numbers, not {pixels.dtype}")
        mask = None
        if "pixel_mask" in detector:
            dataset = detector["pixel_mask"]
            if tuple(dataset.shape) != data.shape:
                rule = f"the shape of the data, {' x '.join(map(str, data.shape))}"
                self.refuse(dataset.name, rule)
            require_memory({"mask of a module": 2 * count * int(dataset.dtype.itemsize)})
            mask = np.asarray(dataset[where]).reshape(shape) == 0
        return ModulePixels(name, pixels, mask)
