"""C-PARITY-037 polarization_unchecked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from pictures import CONSTANT, STILL, off, picture

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.registry import make_engine

NAME = "polarization_unchecked"
OFF = off(NAME)
FACTOR = "the Kahn factor of the polarization is not -1 to 1"
AXIS = "the polarization axis lies along the beam"
NO_POLARIZATION = {"beam.polarization_correction": False}
pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")


def along(sine: float) -> dict[str, Any]:
    """A polarization axis at an angle to MOSFLM's beam, which runs along x."""
    return {"beam.polarization_axis": (math.sqrt(1.0 - sine * sine), sine, 0.0)}


POLAR = {"beam.polarization_kahn": 0.9}
DIVERGENT = {"beam.divergence_v_mrad": 20.0, "beam.divergence_v_steps": 3}
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"beam.polarization_kahn": 3.0}, "beam.polarization_kahn: got 3.0, need -1 to 1", FACTOR),
    ({"beam.polarization_kahn": -1.0000001}, "beam.polarization_kahn", FACTOR),
    (POLAR | along(0.0), "beam.polarization_axis", AXIS),
    (POLAR | {"beam.polarization_axis": (-7.0, 0.0, 0.0)}, "beam.polarization_axis", AXIS),
    (POLAR | along(9e-7), "beam.polarization_axis", AXIS),
    (POLAR | {"beam.direction": (0.0, 0.0, 1.0)}, "beam.direction", AXIS),
    (POLAR | {"beam.sources": (nb.Source(), nb.Source((0.0, 0.0, -3.0)))}, "beam.sources", AXIS),
    (NO_POLARIZATION | DIVERGENT | along(0.0), "beam.polarization_axis", AXIS),
    (
        NO_POLARIZATION | {"beam.polarization_kahn": 3.0, "sampling.oversample_polar": True},
        "beam.polarization_kahn",
        FACTOR,
    ),
]
ACCEPTED: list[dict[str, Any]] = [
    {"beam.polarization_kahn": 1.0},
    {"beam.polarization_kahn": -1.0},
    POLAR | along(1.1e-6),
    POLAR | {"beam.sources": (nb.Source((-1.0, 0.0, 0.0)), nb.Source((0.0, 1e-5, -3.0)))},
    along(0.0),  # nothing is polarized, and nothing turns
    NO_POLARIZATION | {"beam.polarization_kahn": 3.0} | along(0.0),
]


@pytest.fixture(params=["c", "torch"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "torch":
        pytest.importorskip("torch", reason="there is no torch")
    return name


def rendered(changes: dict[str, Any], quirks: nb.Quirks, backend: str) -> nb.SimulationResult:
    return nb.simulate(STILL.replace(changes), CONSTANT, quirks=quirks, backend=backend, threads=1)


def doubts(result: nb.SimulationResult) -> list[str]:
    """What it says about the polarization."""
    return [text for text in result.warnings if "polarization" in text]


@for_each("changes, words, told", REFUSED)
def test_refused(changes: dict[str, Any], words: str, told: str, backend: str) -> None:
    """Off: an error that names field and rule; on: the picture, and a warning."""
    with pytest.raises(nb.ConfigError) as caught:
        rendered(changes, OFF, backend)
    assert str(caught.value).startswith(words)
    rule = "need -1 to 1" if told == FACTOR else "beam and polarization axis in different"
    assert rule in str(caught.value)
    assert "while polarization_unchecked is off" in str(caught.value)
    result = rendered(changes, nb.Quirks(), backend)
    assert len(doubts(result)) == 1
    assert doubts(result)[0].startswith(told)
    assert NAME in result.quirks_that_mattered


@for_each("changes", ACCEPTED)
def test_accepted(changes: dict[str, Any], backend: str) -> None:
    """Neither an error nor a warning, and both positions alike."""
    results = [rendered(changes, quirks, backend) for quirks in (nb.Quirks(), OFF)]
    assert results[0].image.tobytes() == results[1].image.tobytes()
    for result in results:
        assert doubts(result) == []
        assert NAME not in result.quirks_that_mattered


def test_both_engines_say_the_same() -> None:
    pytest.importorskip("torch", reason="there is no torch")
    for changes, _, _ in REFUSED:
        messages = []
        for name in ("c", "torch"):
            with pytest.raises(nb.ConfigError) as caught:
                make_engine(name).prepare(STILL.replace(changes), CONSTANT, OFF)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]


def test_nopolar_that_stands_needs_no_rule() -> None:
    """nopolar_undone off: oversample_polar beside nopolar polarizes nothing."""
    changes = NO_POLARIZATION | {"beam.polarization_kahn": 3.0, "sampling.oversample_polar": True}
    assert np.any(picture(STILL.replace(changes), off(NAME, "nopolar_undone")))


def test_why_a_factor_beyond_1_is_wrong() -> None:
    """A fraction of the light that is more than all of it: pixels below 0."""
    close = STILL.replace({"detector.distance_mm": 5.0, "crystal.n_cells": (1.0, 1.0, 1.0)})
    assert picture(close.replace({"beam.polarization_kahn": 1.0})).min() >= 0.0
    assert picture(close.replace({"beam.polarization_kahn": 3.0})).min() < 0.0


def test_why_an_axis_along_the_beam_is_wrong() -> None:
    """The picture of no beam: it has the same factor all around, as if all were polarized along
    where each pixel is."""
    ring = STILL.replace(
        POLAR | along(0.0) | {"crystal.n_cells": (1.0, 1.0, 1.0), "detector.distance_mm": 10.0}
    )
    factor = picture(ring) / picture(ring.replace(NO_POLARIZATION))
    position = np.arange(24) + 0.5 - 12, np.arange(20)[:, None] + 0.5 - 10
    across = position[0] ** 2 + position[1] ** 2
    sine_sqr = across / (across + 100.0)
    assert np.allclose(factor, 0.5 * (2.0 - sine_sqr - 0.9 * sine_sqr), rtol=1e-9)
