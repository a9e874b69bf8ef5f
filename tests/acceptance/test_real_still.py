"""A real still of 64 panels, each where DIALS has it; `.ci/acceptance` fetches the image."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from positions import TO_SIMULATOR, five_pixels, laboratory_mm, plan_of
from recorded import GOLDEN

import nanobragg_hybrid as nb


@pytest.fixture(scope="module")
def panels() -> list[dict[str, Any]]:
    """The panels as DIALS reads them from the image: DIALS' frame, mm."""
    folder = Path(
        os.environ.get("NB_REAL_STILL_DIR", str(GOLDEN.parents[1] / "shared" / "real_still"))
    ).resolve()
    path = folder / "panels.json"
    if not path.is_file():
        pytest.skip(f"the real still needs panels.json in {folder} (set NB_REAL_STILL_DIR)")
    found: list[dict[str, Any]] = json.loads(path.read_text())["panels"]
    return found


@pytest.fixture(scope="module")
def still() -> nb.Experiment:
    """The experiment of the image's header."""
    name = os.environ.get("NB_REAL_STILL_CBF", "")
    if not name or not Path(name).is_file():
        pytest.skip("the real still needs its image: run .ci/acceptance (or set NB_REAL_STILL_CBF)")
    return nb.read_experiment(name)


def test_every_panel_is_where_dials_has_it(
    still: nb.Experiment, panels: list[dict[str, Any]]
) -> None:
    assert len(panels) == 64
    assert still.detector.panel_names == tuple(panel["name"] for panel in panels)
    worst_mm = worst_axis = 0.0
    for number, panel in enumerate(panels):
        found = (still.detector.panels or ())[number]
        assert [found.n_fast, found.n_slow] == panel["size_px"]
        assert [found.pixel_size_mm] * 2 == panel["pixel_mm"]
        for axis in ("fast", "slow"):
            expected = TO_SIMULATOR["dials"] @ panel[axis]
            worst_axis = max(
                worst_axis, float(np.abs(getattr(found, f"{axis}_axis") - expected).max())
            )
        plan = plan_of(still, number)
        for fast, slow in five_pixels(found.n_fast, found.n_slow):
            point = np.array(panel["origin_mm"]) + 0.11 * fast * np.array(panel["fast"])
            point += 0.11 * slow * np.array(panel["slow"])
            moved = laboratory_mm(plan, (fast, slow), "dials") - point
            worst_mm = max(worst_mm, float(np.abs(moved).max()))
    assert worst_axis < 1e-9
    assert worst_mm < 1e-6


def test_what_else_the_header_says(still: nb.Experiment) -> None:
    assert still.beam.wavelength_angstrom == 1.670421
    assert still.beam.direction == (1.0, 0.0, 0.0)
    assert still.goniometer == nb.Goniometer()
    assert still.crystal == nb.Crystal()
