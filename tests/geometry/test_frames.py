"""Frames of other programs: every conversion is a rotation and exact, and the table says so."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

import numpy as np
from for_each import for_each
from positions import TO_SIMULATOR

from nanobragg_hybrid.formats.geometry import frames
from nanobragg_hybrid.formats.geometry.frames import FRAMES, from_simulator, to_simulator
from nanobragg_hybrid.formats.geometry.vectors import (
    is_rotation,
    near_point,
    product,
    reciprocal,
    rotation,
    unit,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"
VECTORS = [tuple(row) for row in np.random.default_rng(7).normal(size=(20, 3)).tolist()]


def test_every_frame_is_in_the_other_table() -> None:
    assert set(FRAMES) == set(TO_SIMULATOR)


@for_each("frame", FRAMES)
def test_there_and_back_gives_the_same_bits(frame: frames.Frame) -> None:
    for vector in VECTORS:
        assert from_simulator(frame, to_simulator(frame, vector)) == vector
        assert to_simulator(frame, from_simulator(frame, vector)) == vector


@for_each("frame", FRAMES)
def test_each_is_the_rotation_of_the_other_table(frame: frames.Frame) -> None:
    matrix = TO_SIMULATOR[frame]
    assert np.linalg.det(matrix) == 1.0
    for vector in VECTORS:
        assert np.array_equal(to_simulator(frame, vector), matrix @ vector)


@for_each(
    "frame, travels, spindle",
    [
        ("mosflm", (1, 0, 0), (0, 0, 1)),
        ("dials", (0, 0, -1), (1, 0, 0)),
        ("xds", (0, 0, 1), (1, 0, 0)),
        ("nexus", (0, 0, 1), (-1, 0, 0)),
        ("crystfel", (0, 0, 1), (-1, 0, 0)),
    ],
)
def test_the_beam_travels_along_x(
    frame: frames.Frame,
    travels: tuple[float, float, float],
    spindle: tuple[float, float, float],
) -> None:
    assert to_simulator(frame, travels) == (1.0, 0.0, 0.0)
    assert to_simulator(frame, spindle) == (0.0, 0.0, 1.0)
    assert str(to_simulator(frame, (0.0, 0.0, 0.0))) == "(0.0, 0.0, 0.0)"  # without signs


@for_each("text", [frames.__doc__, (DOCS / "geometry.md").read_text()])
def test_page_and_module_have_the_same_table(text: str) -> None:
    lines = text.replace("\N{MINUS SIGN}", "-").splitlines()
    begin = next(n for n, line in enumerate(lines) if "simulator's x" in line)
    table = takewhile(lambda line: line.startswith("|"), lines[begin:])
    rows = [line for line in table if not line.startswith("|-")]
    signs = {"x": (0, 1), "y": (1, 1), "z": (2, 1), "-x": (0, -1), "-y": (1, -1), "-z": (2, -1)}
    names = {"MOSFLM": "mosflm", "DIALS, imgCIF": "dials", "NeXus (McStas)": "nexus"}
    names.update({"XDS": "xds", "CrystFEL": "crystfel"})
    found = set()
    for row in rows[1:]:
        name, x, y, z, beam = (cell.strip() for cell in row.strip("|").split("|"))
        frame = names[name]
        found.add(frame)
        for place, word in enumerate((x, y, z)):
            axis, sign = signs[word]
            expected = [0.0, 0.0, 0.0]
            expected[axis] = sign
            assert TO_SIMULATOR[frame][place].tolist() == expected
        along, sign = signs[beam.removeprefix("+")]
        assert TO_SIMULATOR[frame][0][along] == sign
    assert found == set(FRAMES)


def test_rotations_and_cells() -> None:
    turn = rotation((0.0, 0.0, 2.0), 90.0)
    assert np.allclose(turn, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15)
    both = product(rotation((1.0, 0.0, 0.0), 30.0), rotation((0.0, 1.0, 0.0), 20.0))
    assert is_rotation(both)
    assert not is_rotation(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)))
    assert not is_rotation(((1.001, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    rows = reciprocal((40.0, 1.0, 2.0), (-1.5, 50.0, 0.5), (3.0, -2.0, 60.0))
    expected = np.linalg.inv([[40, 1, 2], [-1.5, 50, 0.5], [3, -2, 60]]).T
    assert np.allclose(rows, expected, rtol=1e-14)
    assert reciprocal((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0, 0.0)) is None


def test_the_near_point_of_a_plane_whose_axes_are_not_quite_perpendicular() -> None:
    fast, slow = unit((1.0, 2.0, 0.1)), unit((-2.0, 1.0, 0.0005))
    along_fast, along_slow, distance = near_point((3.0, -4.0, 50.0), fast, slow)
    normal = np.cross(fast, slow)
    normal /= np.linalg.norm(normal)
    rebuilt = distance * normal - along_fast * np.array(fast) - along_slow * np.array(slow)
    assert np.allclose(rebuilt, (3.0, -4.0, 50.0), atol=1e-12)
