"""The orientation that DIALS finds, of stills and of a rotation, against that of the truth."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dials_crystals import cell_lengths, cell_vectors, images_of, turn_deg
from dials_series import CELL, IMAGES, dials, structure_factors
from for_each import for_each

import nanobragg_hybrid as nb

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("NB_DIALS_SERIES") or shutil.which("dials.import") is None,
        reason="frames for DIALS need its programs: run .ci/acceptance where they are installed",
    ),
    pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning"),
]
pytest.importorskip("hdf5plugin", reason="hdf5plugin is not installed (extra: mx)")
pytest.importorskip("msgpack", reason="msgpack is not installed (extra: mx)")

STILLS = 6
OSC_DEG, PHI_STEPS = 0.5, 10
SYMMETRY = (
    f"known_symmetry.unit_cell={','.join(map(str, (*CELL, 90, 90, 90)))}",
    "known_symmetry.space_group=P422",
)
FIXED = ("beam.fix=all", "detector.fix=all")

STILL = nb.Experiment(
    beam=nb.Beam(wavelength_angstrom=1.0, fluence_photons_per_m2=1e29),
    crystal=nb.Crystal(cell_angstrom=CELL, n_cells=(12, 12, 12), shape="gauss"),
    detector=nb.Detector(distance_mm=120, pixel_size_mm=0.1, n_fast=1280, n_slow=1280),
    sampling=nb.Sampling(oversample=1),
    background=nb.Background(flat_photons_per_pixel=1.0),
    response=nb.Response(seed=1),
)
TURNING = STILL.replace(
    {
        "crystal.misset_deg": (12, 34, 56),
        "crystal.n_cells": (9, 9, 9),
        "detector": nb.Detector(distance_mm=120, pixel_size_mm=0.2, n_fast=640, n_slow=640),
        "goniometer": nb.Goniometer(phi_deg=10.0, osc_deg=OSC_DEG, phi_steps=PHI_STEPS),
    }
)


def stills(folder: Path, table: nb.StructureFactors) -> Path:
    """Stills that DIALS has indexed one by one.  stills.indexer=sequences, as its indexer of stills
    does not run where Debian's package lacks a module; the grid search is three times as fast as
    the default method and finds the same."""
    series = nb.Series.stills(STILL, STILLS, seed=1)
    nb.simulate_series(series, table, out=folder / "run.h5", truth=True)
    dials("dials.import", folder, "run.h5")
    dials("dials.find_spots", folder, "imported.expt", "nproc=1")
    own = ("stills.indexer=sequences", "joint_indexing=False", "detector.fix=all")
    method = "indexing.method=real_space_grid_search"
    dials("dials.index", folder, "imported.expt", "strong.refl", *SYMMETRY, *own, method)
    return folder


def rotation(folder: Path, table: nb.StructureFactors, *, left_edge: bool) -> Path:
    """A rotation that DIALS has refined, with everything known but the orientation; max_refine, the
    orientations that it tries, saves two thirds of the time."""
    quirks = nb.Quirks(phi_left_edge=left_edge)
    series = nb.Series.rotation(TURNING, IMAGES)
    nb.simulate_series(series, table, out=folder / "run.h5", quirks=quirks)
    nb.write_experiments(folder / "run_truth.expt", [series.frame(0).experiment], quirks=quirks)
    dials("dials.import", folder, "run.h5")
    dials("dials.find_spots", folder, "imported.expt", "nproc=1")
    words = (*SYMMETRY, *FIXED, "max_refine=5")
    dials("dials.index", folder, "imported.expt", "strong.refl", *words)
    dials("dials.refine", folder, "indexed.expt", "indexed.refl", *FIXED, "scan_varying=False")
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: Any) -> Iterator[dict[str, Future[Path]]]:
    """Folders with the truth and what DIALS found, two runs at a time."""
    table = structure_factors()
    folder = tmp_path_factory.mktemp
    with ThreadPoolExecutor(2) as pool:
        yield {
            "stills": pool.submit(stills, folder("stills"), table),
            "on": pool.submit(rotation, folder("on"), table, left_edge=True),
            "off": pool.submit(rotation, folder("off"), table, left_edge=False),
        }


def test_stills_in_random_orientations(runs: dict[str, Future[Path]]) -> None:
    folder = runs["stills"].result()
    true = cell_vectors(folder / "run_truth.expt")
    assert len(true) == STILLS
    found = zip(
        images_of(folder / "indexed.expt"), cell_vectors(folder / "indexed.expt"), strict=True
    )
    turns = {image: float(np.linalg.norm(turn_deg(axes, true[image]))) for image, axes in found}
    assert len(turns) >= STILLS - 1
    assert sum(turn < 0.02 for turn in turns.values()) >= STILLS - 1, turns
    # of another still's orientation nothing is as near
    others = [np.linalg.norm(turn_deg(true[n], true[n - 1])) for n in range(STILLS)]
    assert min(others) > 1.0


@for_each("quirk, about_spindle_deg", [("off", 0.0), ("on", -OSC_DEG / (2 * PHI_STEPS))])
def test_orientation_of_a_rotation(
    quirk: str, about_spindle_deg: float, runs: dict[str, Future[Path]]
) -> None:
    """With left edges the crystal is half a step behind what the header says."""
    folder = runs[quirk].result()
    (true,) = cell_vectors(folder / "run_truth.expt")
    turn = turn_deg(cell_vectors(folder / "refined.expt")[0], true)
    expected = about_spindle_deg * np.array([1.0, 0.0, 0.0])  # DIALS' x is the spindle
    assert np.linalg.norm(turn - expected) < 0.005
    assert cell_lengths(folder / "refined.expt") == pytest.approx(sorted(CELL), abs=0.01)
