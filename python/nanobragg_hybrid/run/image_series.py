"""A rotation series as one NXmx file over files of data."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nanobragg_hybrid.base.atomic import check_path
from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.formats.images import nxmx
from nanobragg_hybrid.formats.images.frame import SensorMaterial
from nanobragg_hybrid.formats.images.names import checked_format
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.validate import require_class
from nanobragg_hybrid.run import image_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from nanobragg_hybrid.model.result import SimulationResult

_MOST_IMAGES: Final = 10**6


class NXmxSeriesWriter:
    """Writes a series: a master file with everything but the pixels, and files of data beside it.

    path: of the master file, ``NAME.h5``; the data are in ``NAME_data_000001.h5`` and so on, with
    `images_per_file` images each (the last one may have fewer).  experiment: of the first image;
    each of the others begins where the one before ends, a still is the same again.  images: their
    number.  pedestal, gain, saturation, sensor_material, quirks: as in `write_image`; a
    response of the experiment says what is not given.  dtype: "int32" (whole numbers, without the
    pedestal) or "float32".

    Images may be added in any order, and are kept, compressed, until the file of data that they
    belong to has all of its images; it is there as a whole or not at all.  A writer of the same
    series goes on where another one ended: `missing` has the numbers that are still to be added.
    Several processes may write one series at a time, each the images of other files of data.
    `close`, or the end of a with statement, writes the master file, when no image is missing.  The
    bytes of all files depend on the images alone.

    Raises `ConfigError`, `UnsupportedError` and `FileAccessError` as `write_image` does, and
    `FileFormatError` where a file of data is there that is not of this series.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        experiment: Experiment,
        images: int,
        *,
        images_per_file: int = 100,
        dtype: str = "int32",
        pedestal: float | None = None,
        gain: float | None = None,
        saturation: float | None = None,
        sensor_material: SensorMaterial = "Si",
        quirks: Quirks | None = None,
    ) -> None:
        import numpy as np

        check_path(path)
        checked_format(path, "nxmx")
        require_class("experiment", experiment, Experiment)
        for name, value in (("images", images), ("images_per_file", images_per_file)):
            if type(value) is not int or not 1 <= value <= _MOST_IMAGES:
                raise ConfigError(name, value, f"an integer 1 to {_MOST_IMAGES}")
        if dtype not in ("int32", "float32"):
            raise ConfigError("dtype", dtype, "'int32' or 'float32'")
        self._path = Path(path)
        self._dtype = np.dtype(dtype)
        self._frame = image_files.described_series(
            experiment, quirks_or_all(quirks), pedestal, gain, saturation, sensor_material
        )
        nxmx.check_nxmx(self._frame)
        shapes = [(panel.n_slow, panel.n_fast) for panel in self._frame.content.panels]
        self._shape = sum(shape[0] for shape in shapes), max(shape[1] for shape in shapes)
        self._images, self._per_file = images, images_per_file
        self._identity = self._hashed()
        self._waiting: dict[int, dict[int, bytes]] = {}
        self._done: set[int] = set()
        self._look()

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers of images, from 0, that are still to be added, here or by other processes
        that write the same series."""
        self._look()
        return tuple(
            number
            for number in range(self._images)
            if number // self._per_file not in self._done
            and number not in self._waiting.get(number // self._per_file, {})
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of data, in the order of their images, whether they are there or not."""
        return tuple(self._path.with_name(data_file.name) for data_file in self._data_files())

    def add(
        self, number: int, source: SimulationResult | NDArray[Any] | Sequence[NDArray[Any]]
    ) -> None:
        """Adds image `number`, from 0: a result, of which the counts are taken, or an array (slow,
        fast), of several panels one of each.

        One that is there already is an error.
        """
        if type(number) is not int or not 0 <= number < self._images:
            raise ConfigError("number", number, f"an integer 0 to {self._images - 1}")
        which = number // self._per_file
        waiting = self._waiting.setdefault(which, {})
        if which in self._done or number in waiting:
            raise ConfigError("number", number, "an image that is not there yet (see missing)")
        arrays = image_files.checked_images(self._frame, source)
        pixels = nxmx.stored_pixels(self._frame, arrays)
        if pixels.dtype != self._dtype:
            rule = "whole numbers" if self._dtype.kind == "i" else "float32"
            raise ConfigError("source", Description(str(arrays[0].dtype)), rule)
        waiting[number] = nxmx.compressed_chunk(pixels)
        data_file = self._data_files()[which]
        if len(waiting) == data_file.images:
            first = which * self._per_file
            nxmx.write_data_file(
                self._path.with_name(data_file.name),
                [waiting[first + n] for n in range(data_file.images)],
                self._shape,
                self._dtype,
                self._identity,
            )
            del self._waiting[which]
            self._done.add(which)

    def close(self) -> None:
        """Writes the master file.  Raises `ConfigError` (``missing``) where images are missing."""
        missing = self.missing
        if missing:
            shown = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
            raise ConfigError("missing", Description(shown), "all images added")
        nxmx.write_master(self._path, self._frame, self._data_files(), self._dtype)
        image_files.warn_of(self._path, nxmx.notes_of(self._frame), 2)

    def __enter__(self) -> NXmxSeriesWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()

    def _look(self) -> None:
        """Finds files of data that are there, which other writers of the series have written."""
        for number, data_file in enumerate(self._data_files()):
            path = self._path.with_name(data_file.name)
            if number not in self._done and nxmx.has_data_file(
                path, data_file.images, self._identity
            ):
                self._done.add(number)
                self._waiting.pop(number, None)

    def _data_files(self) -> list[nxmx.DataFile]:
        stem = self._path.stem.removesuffix("_master")
        return [
            nxmx.DataFile(f"{stem}_data_{n + 1:06d}.h5", min(self._per_file, self._images - first))
            for n, first in enumerate(range(0, self._images, self._per_file))
        ]

    def _hashed(self) -> str:
        """What tells this series from another one: everything that is said of its images."""
        frame = self._frame._replace(bad=())
        said = (frame, self._images, self._per_file, self._dtype.name)
        return hashlib.sha256(repr(said).encode("utf-8")).hexdigest()
