"""Lists of spots: reflection tables of DIALS, streams of CrystFEL."""

from __future__ import annotations

import os
import re
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, FileFormatError
from nanobragg_hybrid.formats.file_kinds import START_BYTES, refuse_other_kind
from nanobragg_hybrid.formats.geometry.crystfel_geom import places_of_panels
from nanobragg_hybrid.formats.geometry.crystfel_stream import (
    STREAM_START,
    chunks_of_stream,
    geometry_of_stream,
)
from nanobragg_hybrid.formats.measured.dials_refl import spots_of_refl
from nanobragg_hybrid.formats.text import open_binary
from nanobragg_hybrid.model.spots import Spots
from nanobragg_hybrid.model.validate import Integer

_Path = str | os.PathLike[str]
_REFL: Final = re.compile(rb"[\x90-\x9f].{0,5}dials::af::reflection_table", re.DOTALL)
_NEEDED: Final = "a DIALS reflection table (.refl) or a CrystFEL stream"


def read_spots(path: _Path, *, image: int | None = None, crystal: int | None = None) -> Spots:
    """The spots of a list: a reflection table of DIALS (needs msgpack) or a stream of CrystFEL.

    image: those of one image, counted from 0; None: of all, whose numbers `Spots.image` has.
    crystal: of a stream, the predicted reflections of this crystal of each image, counted from 0;
    None: the peaks, which are not indexed.

    Both programs count pixels as `Spots` does: 0.5 is the middle of a panel's first pixel.
    Positions of a table are the observed ones, or else predictions.  In a stream, those in the
    array of all data become those on their panels, in the order of its geometry file.

    Raises `FileAccessError`, `FileFormatError`, `UnsupportedError` without msgpack, `ConfigError`
    for an image or a crystal that there is not.
    """
    for name, number in (("image", image), ("crystal", crystal)):
        rule = Integer(at_least=0)
        try:
            if number is not None:
                rule.normalise(number)
        except ValueError:
            raise ConfigError(name, number, f"{rule.text}, or None") from None
    with open_binary(path) as file:
        start = file.read(START_BYTES)
    if _REFL.match(start):
        if crystal is not None:
            raise ConfigError("crystal", crystal, "None for a reflection table of DIALS")
        spots = spots_of_refl(path)
        if image is None:
            return spots
        chosen = spots.image == image
        if not chosen.any():
            raise ConfigError("image", image, "the number of an image with spots")
        return spots.where(chosen)
    if start.startswith(STREAM_START.encode()):
        return _of_stream(path, image, crystal)
    refuse_other_kind(path, start, _NEEDED)
    raise FileFormatError(path, 0, f"is of no kind that is known, need {_NEEDED}")


def _of_stream(path: _Path, image: int | None, crystal: int | None) -> Spots:
    text, line = geometry_of_stream(path)
    places = places_of_panels(path, text, first_line=line)
    numbers: list[NDArray[np.float64]] = [np.zeros((0, 4))]
    hkl: list[NDArray[np.int32]] = [np.zeros((0, 3), np.int32)]
    names: list[str] = []
    images: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    count = crystals = 0
    for chunk in chunks_of_stream(path, with_reflections=crystal is not None):
        count += 1
        if image is not None and count - 1 != image:
            continue
        if crystal is None:
            fs, ss, _, intensity = chunk.peaks.T
            rows = np.stack([intensity, np.full(intensity.size, np.nan), fs, ss], axis=1)
            names.extend(chunk.peak_panels)
        elif crystal < len(chunk.reflections):
            own = chunk.reflections[crystal]
            rows = own.numbers
            hkl.append(own.hkl)
            names.extend(own.panels)
            crystals += 1
        else:
            continue
        numbers.append(rows)
        images.append(np.full(len(rows), count - 1, np.int64))
    if image is not None and image >= count:
        raise ConfigError("image", image, f"one of the {count} images of the stream, from 0")
    if crystal is not None and not crystals:
        raise ConfigError("crystal", crystal, "a crystal that an image has, from 0")
    table = np.concatenate(numbers)
    panel, first = _on_panels(path, names, places)
    if not np.isfinite(table[:, 2:]).all():
        raise FileFormatError(path, 0, "fs/px and ss/px: need finite numbers")
    sigma: Any = table[:, 1]
    return Spots(
        path=os.fspath(path),
        panel=panel,
        fast_px=table[:, 2] - first[:, 0],
        slow_px=table[:, 3] - first[:, 1],
        image=np.concatenate(images),
        hkl=None if crystal is None else np.concatenate(hkl),
        intensity=table[:, 0].copy(),
        variance=sigma * sigma,
        bounds=None,
    )


def _on_panels(
    path: _Path, names: list[str], places: dict[str, tuple[int, float, float]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The number of each one's panel, and fs and ss of that panel's first pixel."""
    if len(places) == 1:  # old streams do not name the panel
        names = [name or next(iter(places)) for name in names]
    unknown = sorted(set(names) - places.keys())
    if unknown:
        text = f"a spot on the panel {unknown[0]!r}, which the geometry file does not have"
        raise FileFormatError(path, 0, text)
    rows = np.array([places[name] for name in names], dtype=np.float64).reshape(-1, 3)
    return rows[:, 0].astype(np.int64), rows[:, 1:]
