"""Laboratory frames of other programs, and the one place where they are converted.

All frames are right-handed.  The simulator's is that of its MOSFLM convention (model 3): x along
the beam, z along the spindle of an ordinary beamline.  In other programs the same directions are

| program            | simulator's x | simulator's y | simulator's z | beam travels along |
|--------------------|---------------|---------------|---------------|--------------------|
| MOSFLM             | x             | y             | z             | +x                 |
| DIALS, imgCIF      | -z            | y             | x             | -z                 |
| NeXus (McStas)     | z             | y             | -x            | +z                 |
| XDS                | z             | -y            | x             | +z                 |
| CrystFEL           | z             | y             | -x            | +z                 |

XDS has no frame of its own, but one that XDS.INP chooses: its row is for the usual choice, a beam
along +z and a spindle along +x, and maps every other choice as rigidly.  A conversion changes signs
and order alone: it is exact, and there and back gives the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from nanobragg_hybrid.formats.geometry.vectors import Vector, three

Frame = Literal["mosflm", "dials", "nexus", "xds", "crystfel"]

_AXES: Final[Mapping[Frame, tuple[tuple[int, int], ...]]] = MappingProxyType(
    {
        "mosflm": ((0, 1), (1, 1), (2, 1)),
        "dials": ((2, -1), (1, 1), (0, 1)),
        "nexus": ((2, 1), (1, 1), (0, -1)),
        "xds": ((2, 1), (1, -1), (0, 1)),
        "crystfel": ((2, 1), (1, 1), (0, -1)),
    }
)
"""For each of the simulator's axes: the number of the program's axis, and its sign."""

FRAMES: Final[tuple[Frame, ...]] = tuple(_AXES)


def to_simulator(frame: Frame, vector: Vector) -> Vector:
    """A vector of a program's frame in the simulator's."""
    return three([sign * vector[axis] for axis, sign in _AXES[frame]])


def from_simulator(frame: Frame, vector: Vector) -> Vector:
    """A vector of the simulator's frame in a program's."""
    result = [0.0, 0.0, 0.0]
    for value, (axis, sign) in zip(vector, _AXES[frame], strict=True):
        result[axis] = sign * value
    return three(result)
