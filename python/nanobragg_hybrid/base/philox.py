"""Streams of random numbers that depend on what they are for and on nothing else (model 10.4).

Philox is a counter-based generator: number n of a key is a function of both (Salmon, Moraes, Dror
and Shaw, 2011, doi 10.1145/2063384.2063405).  Seed and frame are the key, panel and purpose the
upper half of the counter, so that streams never meet, whoever draws from them and in which order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import numpy as np

    from nanobragg_hybrid.base.native import NormalStream

Purpose = Literal[
    "gain map",
    "bad pixels",
    "flicker",
    "photons",
    "large means",
    "frame gains",
    "read-out",
    "orientation",
    "pulse energy",
    "crystal size",
    "spectrum",
    "mosaic domains",
    "classic noise",
]
"""What numbers are drawn for."""

_NUMBERS: Final[dict[Purpose, int]] = {
    "gain map": 1,
    "bad pixels": 2,
    "flicker": 3,
    "photons": 4,
    "large means": 5,
    "frame gains": 6,
    "read-out": 7,
    "orientation": 8,
    "pulse energy": 9,
    "crystal size": 10,
    "spectrum": 11,
    "mosaic domains": 12,
    "classic noise": 13,
}


def key(seed: int, frame: int) -> tuple[int, int]:
    """The key of all streams of a frame."""
    return seed, frame


def counter(panel: int, purpose: Purpose) -> tuple[int, int, int, int]:
    """Where a stream begins, the lowest word first."""
    return 0, 0, panel, _NUMBERS[purpose]


def stream(seed: int, frame: int, panel: int, purpose: Purpose) -> np.random.Generator:
    """The stream of these numbers, all >= 0, from its beginning."""
    import numpy as np

    start = np.array(counter(panel, purpose), dtype=np.uint64)
    words = np.array(key(seed, frame), dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=words, counter=start))


def normals(seed: int, frame: int, panel: int, purpose: Purpose) -> NormalStream:
    """The normal deviates of that stream, faster: the bits of its `standard_normal` where both have
    the same C library's exp and log1p."""
    from nanobragg_hybrid.base.native import normal_stream

    return normal_stream(key(seed, frame), counter(panel, purpose))
