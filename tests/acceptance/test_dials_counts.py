"""Frames of each preset with background and noise, as DIALS sees them: gain, spots, cell.

`.ci/acceptance` runs it where DIALS is installed (it sets NB_DIALS_SERIES), for one preset
only with `--brief`.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from dials_series import ONLY_IN_FULL
from numpy.typing import NDArray

import nanobragg_hybrid as nb
from nanobragg_hybrid.formats.smv import SmvHeader
from nanobragg_hybrid.model.pixel_maps import bad_pixels, relative_gains

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("NB_DIALS_SERIES") or shutil.which("dials.import") is None,
        reason="frames for DIALS need its programs: run .ci/acceptance where they are installed",
    ),
    pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning"),
]

CELL = (50.0, 60.0, 70.0)
FRAMES = 5
FLAT_PHOTONS = 100.0
LEAST_INDEXED_PERCENT = 85.0
FACTORS = nb.StructureFactors.from_grid(
    np.random.default_rng(3).rayleigh(100.0, (61, 61, 61)), (-30, -30, -30), default_f=0.0
)


class Preset(NamedTuple):
    """response; scale: what its counts are multiplied by in a file of whole numbers."""

    response: nb.Response
    scale: float = 1.0


PRESETS = {
    "pilatus": Preset(nb.pilatus_response(seed=1)),
    "eiger": Preset(nb.eiger_response(seed=1)),
    "ccd": Preset(nb.ccd_response(seed=1)),
    "jungfrau": Preset(nb.jungfrau_response(seed=1), 20.0),
    "cspad": Preset(nb.cspad_response(seed=1)),
}

IN_PRESETS = pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=() if each == "cspad" else ONLY_IN_FULL) for each in PRESETS],
)
"""The brief run has the one with a pedestal, a map of gains, dead pixels and flicker."""


@functools.cache
def _results(name: str, *, bright: bool) -> tuple[nb.SimulationResult, ...]:
    """bright: spots some pixels wide that stand out; else the background is nearly all."""
    cells = 6 if bright else 14
    fluence, volume_mm3 = (1e28, 2e-14) if bright else (1e25, 1e-12)
    scene = nb.Experiment(
        beam=nb.Beam(fluence_photons_per_m2=fluence),
        crystal=nb.Crystal(
            cell_angstrom=CELL,
            misset_deg=(12, 34, 56),
            n_cells=(cells, cells, cells),
            shape="gauss",
        ),
        detector=nb.Detector(n_fast=320, n_slow=320, pixel_size_mm=0.172, distance_mm=90.0),
        sampling=nb.Sampling(oversample=1),
        background=nb.Background(
            scatterers=(nb.Scatterer((0.0, 0.5), (6.0, 3.0), volume_mm3),),
            flat_photons_per_pixel=30.0 if bright else FLAT_PHOTONS,
        ),
        response=PRESETS[name].response,
    )
    results = []
    for frame in range(FRAMES):
        own = scene.replace(
            {
                "goniometer.phi_deg": float(frame),
                "goniometer.osc_deg": 1.0,
                "goniometer.phi_steps": 10,
            }
        )
        results.append(nb.simulate(own, FACTORS, frame=frame))
    return tuple(results)


def _pixels(result: nb.SimulationResult, preset: Preset) -> NDArray[np.uint16]:
    """The frame as a detector's own software gives it away: pedestal and map of gains taken off, in
    place of a dead pixel its neighbour.  SMV holds whole numbers of 16 bits, 0 to 65535."""
    assert result.counts is not None
    counts = (result.counts.astype(float) - preset.response.pedestal) * preset.scale
    gains = relative_gains(preset.response, counts.shape)
    if gains is not None:
        counts /= gains
    bad = bad_pixels(preset.response, counts.shape)
    if bad is not None:
        counts = np.where(bad[0], np.roll(counts, 1, axis=1), counts)
    return np.clip(np.rint(counts), 0, 65535).astype(np.uint16)


def _run(folder: Path, *words: str) -> str:
    """What a program of DIALS prints; it has its own Python, not the one of an environment."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") and name != "VIRTUAL_ENV"
    }
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def _imported(folder: Path, name: str, *, bright: bool) -> None:
    """The series, written into a new folder and imported by DIALS."""
    folder.mkdir()
    for number, result in enumerate(_results(name, bright=bright), 1):
        header = SmvHeader.from_plan(result.plan, result.experiment)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = _pixels(result, PRESETS[name])
            nb.write_smv(folder / f"frame_{number:03d}.img", pixels, header)
    _run(folder, "dials.import", "template=frame_###.img")


@IN_PRESETS
def test_gain(name: str, tmp_path: Path) -> None:
    """DIALS measures variance over mean of neighbouring pixels: the gain, and read-out noise, of
    which there is little at so many photons."""
    preset = PRESETS[name]
    _imported(tmp_path / name, name, bright=False)
    said = _run(tmp_path / name, "dials.estimate_gain", "imported.expt", f"max_images={FRAMES}")
    found = re.search(r"Estimated gain: ([0-9.]+)", said)
    assert found, said
    assert float(found[1]) == pytest.approx(preset.scale * preset.response.gain, rel=0.05)


@IN_PRESETS
def test_found_and_indexed(name: str, tmp_path: Path) -> None:
    preset, folder = PRESETS[name], tmp_path / name
    _imported(folder, name, bright=True)
    gain = preset.scale * preset.response.gain
    _run(folder, "dials.find_spots", "imported.expt", f"gain={gain}", "nproc=1")
    cell = f"unit_cell={','.join(map(str, (*CELL, 90.0, 90.0, 90.0)))}"
    words = ("space_group=P1", cell, "n_macro_cycles=2", "detector.fix=distance")
    _run(folder, "dials.index", "imported.expt", "strong.refl", *words)
    log = (folder / "dials.index.log").read_text()
    rows = re.findall(r"\|\s*0\s*\|\s*(\d+)\s*\|\s*(\d+)\s*\|", log)
    assert rows, log[-3000:]
    indexed, left = map(int, rows[-1])
    assert indexed > 800
    assert indexed > 0.01 * LEAST_INDEXED_PERCENT * (indexed + left)
    experiment: Any = nb.read_experiment(folder / "indexed.expt").with_cell()
    assert experiment.crystal.cell_angstrom == pytest.approx(CELL, rel=5e-3)
