"""Images in every format through DIALS, from import to integration, where DIALS is installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dials_crystals import cell_lengths
from dials_series import (
    CELL,
    IMAGES,
    ONLY_IN_FULL,
    PEDESTAL,
    dials,
    experiment,
    structure_factors,
)
from for_each import for_each
from positions import TO_SIMULATOR, five_pixels, laboratory_mm, plan_of
from real_still import panels_of_the_real_still

import nanobragg_hybrid as nb

pytestmark = pytest.mark.skipif(
    not os.environ.get("NB_DIALS_SERIES") or shutil.which("dials.import") is None,
    reason="frames for DIALS need its programs: run .ci/acceptance where they are installed",
)
pytest.importorskip("hdf5plugin", reason="hdf5plugin is not installed (extra: mx)")


@pytest.fixture(scope="module")
def frames() -> list[nb.SimulationResult]:
    table = structure_factors()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)
        return [nb.simulate(experiment(number), table) for number in range(IMAGES)]


def numbered(ending: str, form: Any) -> Callable[[Path, list[nb.SimulationResult]], str]:
    """A file for each image."""

    def write(folder: Path, frames: list[nb.SimulationResult]) -> str:
        for number, frame in enumerate(frames):
            frame.save(folder / f"noise_{number + 1:03d}{ending}", format=form, pixels="noise")
        return f"template=noise_###{ending}"

    return write


def series(folder: Path, frames: list[nb.SimulationResult]) -> str:
    """One file over files of five images."""
    with nb.NXmxSeriesWriter(
        folder / "noise.h5", experiment(), IMAGES, images_per_file=5, pedestal=PEDESTAL
    ) as writer:
        for number, frame in enumerate(frames):
            writer.add(number, nb.noise_image(frame).pixels)
    return "noise.h5"


FORMATS: dict[str, tuple[Callable[[Path, list[nb.SimulationResult]], str], float]] = {
    "smv-adsc": (numbered(".img", "smv-adsc"), 95.0),
    "cbf": (numbered(".cbf", "cbf"), 85.0),
    "nxmx": (series, 85.0),
}
"""How a series is written, and how many of the spots, %, have to be indexed."""


def geometry_of(folder: Path, wanted: nb.Experiment, name: str = "imported.expt") -> None:
    """Beam, detector, rotation as DIALS has imported them are those of the experiment."""
    found = json.loads((folder / name).read_text())
    assert found["beam"][0]["wavelength"] == pytest.approx(1.0, rel=1e-12)
    assert found["beam"][0]["direction"] == pytest.approx((0.0, 0.0, 1.0), abs=1e-12)
    group = found["detector"][0]
    panels = group["panels"]
    places = placed(group.get("hierarchy", {}), np.eye(3), np.zeros(3))
    places = places or {0: (np.eye(3), np.zeros(3))}
    assert len(panels) == len(wanted.detector.shapes)
    for number, panel in enumerate(panels):
        turn, origin = places[number]
        plan = plan_of(wanted, number)
        assert panel["image_size"] == [plan.n_fast, plan.n_slow]
        for fast, slow in five_pixels(plan.n_fast, plan.n_slow):
            point = np.array(panel["origin"])
            point += fast * panel["pixel_size"][0] * np.array(panel["fast_axis"])
            point += slow * panel["pixel_size"][1] * np.array(panel["slow_axis"])
            expected = laboratory_mm(plan, (fast, slow), "dials")
            assert np.abs(origin + turn @ point - expected).max() < 1e-6
    goniometer = found["goniometer"][0]
    (axis,) = goniometer.get("axes", [goniometer.get("rotation_axis")])
    assert axis == pytest.approx((1.0, 0.0, 0.0), abs=1e-12)
    assert found["scan"][0]["oscillation"] == pytest.approx((10.0, 0.5), abs=1e-9)


def placed(group: Any, turn: Any, origin: Any) -> dict[int, Any]:
    """The frame that the vectors of each panel are in."""
    found = {}
    for child in group.get("children", []):
        if "panel" in child:
            found[child["panel"]] = turn, origin
            continue
        fast, slow = np.array(child["fast_axis"]), np.array(child["slow_axis"])
        own = np.stack([fast, slow, np.cross(fast, slow)], axis=1)
        found |= placed(child, turn @ own, origin + turn @ np.array(child["origin"]))
    return found


SIZE: dict[str, Any] = {"distance_mm": 120, "pixel_size_mm": 0.4, "n_fast": 320, "n_slow": 300}
DETECTORS = {
    "off-centre": nb.Detector(**SIZE, beam_x_mm=50, beam_y_mm=60),
    "tilted": nb.Detector(**SIZE, rotation_deg=(2, 3, 5)),
    "two-theta": nb.Detector(**SIZE, twotheta_deg=12),
    "four panels": nb.Detector(
        panels=tuple(
            nb.Panel(
                name=f"row{row}",
                origin_mm=(100.0 + row, 15.0 - 16.0 * row, -20.0 + row),
                fast_axis=(0.0, 0.01 * row, 1.0),
                slow_axis=(0.0, -1.0, 0.01 * row),
                n_fast=100 + row,
                n_slow=38 - row,
                pixel_size_mm=0.4,
            )
            for row in range(4)
        )
    ),
}


@for_each(
    "name, ending, form",
    [
        *((name, ".cbf", "cbf") for name in DETECTORS if name != "four panels"),
        *((name, ".h5", "nxmx") for name in DETECTORS),
        ("off-centre", ".img", "smv-adsc"),
    ],
)
def test_dials_finds_the_geometry(name: str, ending: str, form: Any, tmp_path: Path) -> None:
    folder = tmp_path / f"{name} {form}"
    folder.mkdir()
    made = experiment().replace({"detector": DETECTORS[name]})
    images = [np.full(shape, 3, np.int32) for shape in made.detector.shapes]
    nb.write_image(folder / f"image_001{ending}", images, experiment=made, format=form)
    dials("dials.import", folder, f"image_001{ending}")
    geometry_of(folder, made)


def many_panels() -> nb.Detector:
    """The 64 panels of a real detector."""
    panels = [
        nb.Panel(
            name=panel["name"],
            origin_mm=TO_SIMULATOR["dials"] @ panel["origin_mm"],
            fast_axis=TO_SIMULATOR["dials"] @ panel["fast"],
            slow_axis=TO_SIMULATOR["dials"] @ panel["slow"],
            n_fast=panel["size_px"][0],
            n_slow=panel["size_px"][1],
            pixel_size_mm=panel["pixel_mm"][0],
        )
        for panel in panels_of_the_real_still()
    ]
    assert len(panels) == 64
    return nb.Detector(panels=tuple(panels))


@pytest.mark.parametrize(
    "detector", [lambda: DETECTORS["four panels"], many_panels], ids=["4", "64"]
)
def test_the_panels_of_a_series(detector: Callable[[], nb.Detector], tmp_path: Path) -> None:
    """In NXmx as DIALS imports it, and in the truth's experiments, which DIALS opens."""
    made = experiment().replace(
        {
            "detector": detector(),
            "crystal.n_cells": (5, 5, 5),
            "crystal.shape": "gauss",
            "crystal.mosaic_domains": 1,
            "crystal.mosaic_spread_deg": 0.0,
            "goniometer.phi_steps": 1,
            "output.noise_seed": None,
            "response": nb.Response(seed=1),
        }
    )
    factors = nb.StructureFactors.constant(100.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)
        nb.simulate_series(
            made, factors, frames=3, out=tmp_path / "run.h5", images_per_file=2, truth=True
        )
    dials("dials.import", tmp_path, "run.h5")
    geometry_of(tmp_path, made)
    geometry_of(tmp_path, made, "run_truth.expt")
    shown = dials("dials.show", tmp_path, "run_truth.expt")
    assert shown.count("pixel_size:") == len(made.detector.shapes)


@ONLY_IN_FULL
@pytest.mark.parametrize("name", FORMATS)
def test_a_series_from_import_to_integration(
    name: str, frames: list[nb.SimulationResult], tmp_path: Path
) -> None:
    write, least = FORMATS[name]
    folder = tmp_path / name
    folder.mkdir()
    dials("dials.import", folder, write(folder, frames))
    geometry_of(folder, experiment())
    dials("dials.find_spots", folder, "imported.expt", "nproc=1")
    dials("dials.index", folder, "imported.expt", "strong.refl")
    indexed, others = spots((folder / "dials.index.log").read_text())
    assert indexed > 1000
    assert 100.0 * indexed / (indexed + others) > least
    dials("dials.refine", folder, "indexed.expt", "indexed.refl")
    assert cell_lengths(folder / "refined.expt") == pytest.approx(sorted(CELL), abs=0.01)
    (panel,) = json.loads((folder / "refined.expt").read_text())["detector"][0]["panels"]
    assert abs(panel["origin"][2]) == pytest.approx(120.0, abs=0.2)
    dials("dials.integrate", folder, "refined.expt", "refined.refl", "nproc=1")
    assert (folder / "integrated.refl").stat().st_size > 100_000


def spots(log: str) -> tuple[int, int]:
    """How many spots are indexed and how many are not, after the last step."""
    rows = re.findall(r"\|\s*0\s*\|\s*(\d+)\s*\|\s*(\d+)\s*\|\s*[\d.]+\s*%?\s*\|", log)
    assert rows, log[-2000:]
    return int(rows[-1][0]), int(rows[-1][1])
