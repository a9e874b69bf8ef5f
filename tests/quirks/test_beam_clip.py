"""C-PARITY-039 beam_clips_y_and_z."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from for_each import for_each
from pictures import CONSTANT, STILL, info, off, picture

import nanobragg_hybrid as nb

NAME = "beam_clips_y_and_z"
OFF = off(NAME)
SIZES_MM, BEAM_MM = (6e-5, 5e-5, 4e-5), 1.5e-5
LARGE = STILL.replace({"crystal.size_mm": SIZES_MM, "beam.beam_size_mm": BEAM_MM})
pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")


def towards(direction: tuple[float, ...]) -> dict[str, Any]:
    """A beam in this direction, onto a detector that faces it; CUSTOM's sample stays in place."""
    beam = np.array(direction) / np.linalg.norm(direction)
    fast = np.cross(beam, np.eye(3)[np.argmin(np.abs(beam))])
    fast /= np.linalg.norm(fast)
    return {
        "beam.direction": tuple(beam),
        "beam.polarization_axis": tuple(fast),
        "detector.fast_axis": tuple(fast),
        "detector.slow_axis": tuple(np.cross(beam, fast)),
        "detector.normal_axis": tuple(beam),
    }


def clipped_mm(experiment: nb.Experiment, quirks: nb.Quirks | None = None) -> np.ndarray:
    """The sizes that are rendered."""
    return 1e3 * np.array(info(experiment, quirks)["crystal_size_m"])


def told(experiment: nb.Experiment, quirks: nb.Quirks) -> list[str]:
    """The axes of which a result says that they are clipped."""
    warnings = nb.simulate(experiment, CONSTANT, quirks=quirks, threads=1).warnings
    return sorted(text[text.index("along ") + 6] for text in warnings if "larger than" in text)


@for_each("axis", [0, 1, 2])
def test_beams_along_an_axis(axis: int) -> None:
    """Off: the two other sizes are the beam's, and the picture is that of such a crystal."""
    for sign in (1.0, -1.0):
        direction = tuple(sign * float(n == axis) for n in range(3))
        experiment = LARGE.replace(towards(direction))
        need = [size if n == axis else BEAM_MM for n, size in enumerate(SIZES_MM)]
        assert clipped_mm(experiment, OFF) == pytest.approx(need, rel=1e-14)
        assert told(experiment, OFF) == [name for n, name in enumerate("abc") if n != axis]
        small = experiment.replace({"crystal.size_mm": tuple(need), "beam.beam_size_mm": 1.0})
        assert picture(experiment, OFF).tobytes() == picture(small).tobytes()


CONVENTIONS = {"mosflm": 0, "denzo": 0, "xds": 2, "adxv": 2, "dials": 2}


@for_each("convention, axis", CONVENTIONS.items())
def test_conventions(convention: str, axis: int) -> None:
    """Off: across each one's beam; MOSFLM's and DENZO's runs along x, where nothing changes."""
    experiment = LARGE.replace({"detector.convention": convention})
    need = [size if n == axis else BEAM_MM for n, size in enumerate(SIZES_MM)]
    assert clipped_mm(experiment, OFF) == pytest.approx(need, rel=1e-14)
    same = picture(experiment).tobytes() == picture(experiment, OFF).tobytes()
    assert same == (axis == 0)
    mattered = nb.simulate(experiment, CONSTANT, threads=1).quirks_that_mattered
    assert (NAME in mattered) == (axis != 0)


def test_shadows_are_no_longer_than_the_beam() -> None:
    """Off, in any direction: an edge that is cut shows the beam's size to it, and none shows more;
    an edge is never longer than it was."""
    directions = np.random.default_rng(4).normal(size=(40, 3))
    directions[:3] = [[1, 1, 0], [1, 1e-9, 0], [0, 1, 1e-3]]
    cut = 0
    for direction in directions:
        experiment = LARGE.replace(towards(tuple(direction)))
        beam = direction / np.linalg.norm(direction)
        sizes = clipped_mm(experiment, OFF)
        sines = np.linalg.norm(np.cross(np.eye(3), beam), axis=1)
        assert np.all(sizes * sines <= BEAM_MM * (1 + 1e-12))
        is_cut = sizes < np.array(SIZES_MM)
        assert np.allclose((sizes * sines)[is_cut], BEAM_MM, rtol=1e-12)
        assert np.allclose(sizes[~is_cut], np.array(SIZES_MM)[~is_cut], rtol=1e-14)
        cut += np.count_nonzero(is_cut)
    assert 80 < cut < 120


def test_on_y_and_z_are_clipped() -> None:
    """On: whatever the direction of the beam."""
    for direction in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.6, 0.0, 0.8)):
        experiment = LARGE.replace(towards(direction))
        need = (SIZES_MM[0], BEAM_MM, BEAM_MM)
        assert clipped_mm(experiment) == pytest.approx(need, rel=1e-14)
        assert told(experiment, nb.Quirks()) == ["b", "c"]


def test_what_the_beam_covers_is_left_alone() -> None:
    """Both positions: crystals inside the beam, a beam without a size, and numbers of cells."""
    xds = {"detector.convention": "xds"}
    for changes in (
        {"beam.beam_size_mm": 6e-5},
        {"beam.beam_size_mm": -1.0},
        {"crystal.size_mm": (None, None, None)},
    ):
        experiment = LARGE.replace({**xds, **changes})
        assert picture(experiment).tobytes() == picture(experiment, OFF).tobytes()
        assert told(experiment, OFF) == []
