"""What compiled code does beside the engines: structure-factor text and dumps, pixels of CBF files,
random deviates.

A dump's plane is little-endian doubles in k and l, with one row and one column more than the table
has.  Only this module, `native_scene` and `engines.c` import the compiled extension.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from nanobragg_hybrid.base.errors import NOT_BUILT, ConfigError, FileFormatError

try:
    from nanobragg_hybrid import _core
except ImportError as error:
    error.add_note(NOT_BUILT)
    raise
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.base.interruptible import interruptible

if TYPE_CHECKING:
    from nanobragg_hybrid.base.arrays import Array, Buffer


class NormalStream(Protocol):
    """Normal deviates of a stream, of one thread."""

    def draw(self, deviates: Array) -> None:
        """Puts the next ones into memory, float64 in C order."""


class PhotonStream(Protocol):
    """Numbers of photons of one pixel after the other, of one thread."""

    def draw(self, mean: Array, photons: Array) -> None:
        """Puts those of the next pixels into memory that is not that of `mean`, float64 in C
        order."""


class HklText(NamedTuple):
    """A parsed text.

    `grid` is float64 (nh, nk, nl), read-only, and starts at the indices `hkl_min`.  `reflections`
    are those in the text, as the first of its two passes counts them; `filled` of them went into
    the table.  Lines are one-based, 0 where there is none.
    """

    grid: Buffer
    hkl_min: tuple[int, int, int]
    reflections: int
    filled: int
    fractional: int  # indices that are not whole numbers
    stopped_at_line: int  # of the word that ended the first pass
    filling_stopped_at_line: int  # of the word that ended the second
    repeated: int  # amplitudes that took the place of another one of the same reflection
    first_repeated: tuple[int, int, int]
    first_repeated_line: int


def parse_hkl_text(
    data: bytes, *, stream: bool, default_f: float, path: str | os.PathLike[str]
) -> HklText:
    """Parses h k l F into a dense table; what is not listed is `default_f`.

    `stream` takes four numbers at a time whatever the lines (quirk hkl_stream), otherwise each line
    holds one reflection.  `path` is for messages only.

    Raises `FileFormatError` with the line, `ConfigError` for a default_f that is not finite, and
    `ResourceError` before allocating a table that does not fit into memory.
    """
    if not math.isfinite(default_f):
        raise ConfigError("structure_factors.default_f", default_f, "a finite value")
    name = os.fspath(path)
    try:
        bounds = interruptible(lambda: _core.hkl_scan(data, stream), len(data))
        elements = math.prod(bounds[f"{n}_max"] - bounds[f"{n}_min"] + 1 for n in "hkl")
        require_memory({f"text of {name}": len(data), "structure factor table": 8 * elements})
        grid, filled, filling_stopped, repeats = interruptible(
            lambda: _core.hkl_fill(data, stream, bounds, float(default_f)),
            len(data) + 8 * elements,
        )
    except _core.Error as error:
        raise FileFormatError(path, error.line, error.message) from None
    return HklText(
        grid=grid.toreadonly(),
        hkl_min=(bounds["h_min"], bounds["k_min"], bounds["l_min"]),
        reflections=bounds["reflections"],
        filled=filled,
        fractional=bounds["fractional"],
        stopped_at_line=bounds["stopped_at_line"],
        filling_stopped_at_line=filling_stopped,
        repeated=repeats["count"],
        first_repeated=tuple(repeats["first"]),
        first_repeated_line=repeats["first_line"],
    )


def new_table(shape: tuple[int, int, int]) -> Buffer:
    """Memory for a table, float64 of a shape (h, k, l), with any content."""
    return _core.new_table(shape)


def read_plane(data: bytes | memoryview, table: Buffer, h: int) -> bool:
    """Fills plane `h` of a table; False if one of its values is not finite."""
    return interruptible(lambda: _core.read_dump_plane(data, table, h), len(data))


def write_plane(table: Array, h: int, data: bytearray) -> None:
    """Puts plane `h` of a table into bytes, whose padding stays as it is."""
    interruptible(lambda: _core.write_dump_plane(table, h, data), len(data))


def byte_offset(pixels: Array) -> bytes | None:
    """Pixels, int32, compressed by byte offsets; None: neighbours differ by 2^31 or more."""
    try:
        return _core.byte_offset(pixels)
    except _core.Error:
        return None


def normal_stream(key: tuple[int, int], counter: tuple[int, int, int, int]) -> NormalStream:
    """The deviates of numpy's `standard_normal` on Philox with this key and counter."""
    return _core.NormalStream(key, counter)


def photon_stream(
    key: tuple[int, int],
    small: tuple[int, int, int, int],
    large: tuple[int, int, int, int],
    distribution: Array,
    guide: Array,
) -> PhotonStream:
    """Photons (model 10.4).  small, large: counters of the numbers for means below 64, and from 64.

    distribution: float64, a row for each eighth of a photon below 64: the probability of at most k
    photons, at last infinity.  guide: uint8, 256 for each row: where the search for n/256 begins.
    """
    return _core.PhotonStream(key, small, large, distribution, guide)
