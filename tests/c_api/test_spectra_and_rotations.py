"""nbh_beam.spectrum and nbh_crystal.mosaic_rotations: what the library refuses by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid import _core

EYE = np.eye(3).ravel().tolist()


def plan(
    spectrum: list[list[float]] | None = None,
    rotations: list[list[float]] | None = None,
    sources: list[list[float]] | None = None,
    **members: Any,
) -> _core.Plan:
    experiment = _core.Experiment()
    experiment.crystal.cell_length_angstrom = [50.0, 50.0, 50.0]
    experiment.crystal.cell_angle_rad = [math.pi / 2.0] * 3
    experiment.detector.n_fast = experiment.detector.n_slow = 2
    for name, value in members.items():
        part, member = name.split("__")
        setattr(getattr(experiment, part), member, value)
    if sources is not None:
        experiment.set_sources(np.array(sources))
    if spectrum is not None:
        experiment.set_spectrum(np.array(spectrum))
    if rotations is not None:
        experiment.set_mosaic_rotations(np.array(rotations))
    return _core.Plan(experiment, None, 0, 0, 0, 1.0)


TWO = [[1e-10, 1.0], [1.1e-10, 0.0]]
SOURCE = [-1.0, 0.0, 0.0, 1.0, _core.UNSET]


def test_accepted() -> None:
    made = plan(spectrum=TWO, sources=[SOURCE, SOURCE], beam__dispersion_fraction=-1.0)
    assert made.info()["source_count"] == 4
    made = plan(rotations=[[*EYE, 0.0], [*EYE, 2.0]], crystal__mosaic_spread_rad=-1.0)
    assert made.info()["mosaic_domains"] == 2
    assert made.info()["mosaic_spread_rad"] == 0.0


@for_each(
    "given, field, message",
    [
        ({"spectrum": [[0.0, 1.0]]}, "beam.spectrum", "got wavelength 0 of 0 m, need finite value"),
        ({"spectrum": [[math.inf, 1.0]]}, "beam.spectrum", "got wavelength 0 of inf m"),
        ({"spectrum": [TWO[0], [1e-10, -1.0]]}, "beam.spectrum", "got weight 1 of -1, need finite"),
        ({"spectrum": [TWO[1]]}, "beam.spectrum", "got weights whose sum is 0, need a finite sum"),
        ({"spectrum": np.zeros((0, 2))}, None, ""),
        (
            {"spectrum": TWO, "beam__dispersion_fraction": 0.1},
            "beam.spectrum",
            "got one beside beam.dispersion_fraction, need one of the two",
        ),
        (
            {"spectrum": TWO, "beam__dispersion_steps": 1},
            "beam.spectrum",
            "got one beside beam.dispersion_steps, need one of the two",
        ),
        (
            {"spectrum": TWO, "sources": [SOURCE, [*SOURCE[:4], 1e-10]]},
            "beam.spectrum",
            "got one beside the wavelength of beam.sources[1], need one of the two",
        ),
        (
            {"rotations": [[*EYE, 1.0], [*(-np.eye(3)).ravel(), 1.0]]},
            "crystal.mosaic_rotations",
            "got matrix 1, need proper rotations to 1e-06",
        ),
        (
            {"rotations": [[1.000002, *EYE[1:], 1.0]]},
            "crystal.mosaic_rotations",
            "got matrix 0, need proper rotations to 1e-06",
        ),
        ({"rotations": [[*EYE, -1.0]]}, "crystal.mosaic_rotations", "got weight 0 of -1, need fin"),
        ({"rotations": [[*EYE, 0.0]]}, "crystal.mosaic_rotations", "got weights whose sum is 0"),
        (
            {"rotations": [[*EYE, 1.0]], "crystal__mosaic_spread_rad": 0.0},
            "crystal.mosaic_rotations",
            "got some beside crystal.mosaic_spread_rad, need one of the two",
        ),
        (
            {"rotations": [[*EYE, 1.0]], "crystal__mosaic_domains": 1},
            "crystal.mosaic_rotations",
            "got some beside crystal.mosaic_domains, need one of the two",
        ),
    ],
)
def test_refused(given: dict[str, Any], field: str | None, message: str) -> None:
    if field is None:  # an empty array is no pointer
        assert plan(**given).info()["source_count"] == 1
        return
    with pytest.raises(_core.Error) as caught:
        plan(**given)
    assert caught.value.field == field
    assert caught.value.message.startswith(message)


def test_shapes() -> None:
    experiment = _core.Experiment()
    with pytest.raises(ValueError, match=r"a spectrum needs the shape \(n, 2\)"):
        experiment.set_spectrum(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"rotations need the shape \(n, 10\)"):
        experiment.set_mosaic_rotations(np.ones((2, 9)))
