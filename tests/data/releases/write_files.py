"""Writes a file of each kind that programs read again, as the installed release writes it.

    python tests/data/releases/write_files.py FOLDER

Run it once for a release and keep the folder, named after the version: tests/unit/test_releases.py
reads it from then on.  The files of a release are never written again.
"""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import nanobragg_hybrid as nb

EXPERIMENT = nb.Experiment(
    beam=nb.Beam(
        wavelength_angstrom=0.9768,
        direction=(1.0, 0.125, -0.0625),
        polarization_axis=(0.0, 0.1, 1.0),
        polarization_kahn=-0.75,
        polarization_correction=False,
        divergence_h_mrad=1.5,
        divergence_v_mrad=0.7,
        divergence_h_steps=3,
        divergence_v_steps=5,
        divergence_h_step_mrad=0.8,
        divergence_v_step_mrad=0.3,
        divergence_shape="square",
        dispersion_percent=0.4,
        dispersion_steps=7,
        sources=(
            nb.Source((-10.0, 0.25, 0.125), 0.6, 9.7e-11),
            nb.Source((None, -0.1, None), -1.25, 0.0),
            nb.Source((-9.5, None, 0.3), 1e-3, None),
        ),
        fluence_photons_per_m2=1.5e24,
        flux_photons_per_s=1e12,
        exposure_s=0.3,
        beam_size_mm=-0.07,
    ),
    crystal=nb.Crystal(
        cell_angstrom=(78.3, 1 / 3 + 79, 38.1),
        cell_deg=(89.5, 101.25, 120.0),
        orientation_matrix=(0.011, -0.002, 0.003, 0.001, 0.0125, -0.004, -0.005, 0.002, 0.02),
        misset_deg=(12.5, -34.25, 5e-324),
        misset_random=True,
        misset_seed=2**31 - 1,
        n_cells=(5.0, 7.5, 1e17),
        size_mm=(0.02, None, 0.01),
        shape="gauss_hkl",
        shape_fudge=-1.3,
        mosaic_spread_deg=0.35,
        mosaic_domains=11,
        mosaic_seed=-(2**31),
        water_um=6.5,
    ),
    goniometer=nb.Goniometer(
        spindle_axis=(0.02, -0.01, 1.0),
        phi_deg=-17.25,
        osc_deg=0.1,
        phi_steps=4,
        phi_step_deg=0.03,
    ),
    detector=nb.Detector(
        convention="dials",
        pivot="sample",
        fast_axis=(0.01, 0.0, 1.0),
        slow_axis=(0.0, -1.0, 0.02),
        normal_axis=(1.0, 0.0, -0.0),
        twotheta_axis=(0.0, 0.5, 0.5),
        pix0_m=(0.1, -0.0012, 0.0034),
        distance_mm=123.4,
        close_distance_mm=120.0,
        pixel_size_mm=0.172,
        n_fast=6,
        n_slow=4,
        size_fast_mm=80.5,
        size_slow_mm=1e-300,
        beam_x_mm=0.61,
        beam_y_mm=-0.43,
        close_x_mm=0.52,
        close_y_mm=0.33,
        org_x_px=3.25,
        org_y_px=-2.5,
        rotation_deg=(1.0, -2.0, 0.5),
        twotheta_deg=15.0,
        curved=True,
        point_pixel=True,
        sensor_thickness_um=320.0,
        sensor_attenuation_depth_um=220.5,
        sensor_layers=3,
        mask=nb.Mask([[1, 0, 1, 1, 1, 0], [1] * 6, [0, 0, 0, 1, 1, 0], [1, 1, 0, 1, 0, 1]]),
    ),
    sampling=nb.Sampling(
        oversample=2,
        oversample_thick=True,
        oversample_polar=True,
        oversample_omega=True,
        interpolate=False,
        roi=(0, None, -1, 2),
        dmin_angstrom=1.9,
    ),
    output=nb.Output(adc_offset=-12.5, intensity_scale=1.25, pgm_scale=0.02, noise_seed=4321),
)
"""Every field differs from its default, so that one that gets lost is noticed."""

RUN = nb.SavedRun(
    EXPERIMENT.replace(
        {
            "beam.dispersion_percent": None,
            "detector.sensor_thickness_um": None,
            "detector.sensor_attenuation_depth_um": math.inf,
            "sampling.interpolate": True,
        }
    ),
    dataclasses.replace(
        nb.Quirks.none(), phi_carryover=True, water_background=True, header_overflow=True
    ),
)
"""The values that the other file cannot have at the same time."""

ARGS = (
    "-cell 70 80 90 75 85 95 -default_F 100 -lambda 1 -distance 100 -detpixels 16 -pixel 0.4 "
    "-N 5 -misset 10 20 30 -phi 0 -osc 1 -phisteps 2 -seed 7 -misset_seed 8"
)
"""A φ step of exactly 0, so that the quirk phi_carryover makes a difference; seeds not from the
clock."""

WITHOUT = "nanobragg,-phi_carryover"
PIXEL = "--pixel 9 5"
TWO_TRACES = f"--compare c c --quirks-b {WITHOUT} {PIXEL} --outdir ."
TWO_IMAGES = f"--a c --b c --quirks-b {WITHOUT} --threads 1 --no-pictures"
SUITE = f"{ARGS}\n{ARGS} -phi 5\n-cell 70 80\n"
REFLECTIONS = "0 0 1 10.5\n1 2 3 20\n-1 0 2 5.25\n"
DIFFERS = 3
"""Exit status of the commands that compare."""


def main(folder: Path) -> None:
    """Writes the files into `folder`, which exists."""
    EXPERIMENT.save(folder / "experiment.json")
    RUN.experiment.save(folder / "run.json", quirks=RUN.quirks)
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        printed = {
            "trace.txt": command(here, f"nb-trace {PIXEL} --phi -- {ARGS}"),
            "traces.json": command(here, f"nb-trace {PIXEL} --phi --format json -- {ARGS}"),
            "image_comparison.json": command(
                here, f"nb-compare {TWO_IMAGES} --json -- {ARGS}", DIFFERS
            ),
        }
        command(here, f"nb-trace {TWO_TRACES} -- {ARGS}", DIFFERS)
        [metrics] = [p for p in here.glob("**/metrics.json") if "nb-compare" not in p.parent.name]
        printed["trace_comparison.json"] = metrics.read_text()

        (here / "commands.txt").write_text(SUITE)
        command(here, f"nb-compare --suite commands.txt {TWO_IMAGES}", None)
        (suite,) = here.glob("**/suite.json")
        printed["comparison_suite.json"] = suite.read_text()

        (here / "few.hkl").write_text(REFLECTIONS)
        factors = nb.StructureFactors.from_grid(np.full((3, 3, 3), 5.5), (-1, 0, 1))
        nb.write_dump(here / "few.bin", factors)
        command(here, "nb-compare-hkl --hkl few.hkl --fdump few.bin --metrics hkl.json", DIFFERS)
        printed["structure_factor_comparison.json"] = (here / "hkl.json").read_text()
    for file, text in printed.items():
        (folder / file).write_text(without_clock(text))


def without_clock(text: str) -> str:
    """A JSON text with the same time stamp and seconds for everybody."""
    text = re.sub(r'("started"): "[^"]*"', r'\1: "2026-01-01T00:00:00Z"', text)
    return re.sub(r'("seconds(?:_[ab])?"|"runtime_ratio"): [\d.e-]+', r"\1: 0.5", text)


def command(folder: Path, words: str, status: int | None = 0) -> str:
    """What a command of this installation prints; it has to end with `status` (None: any)."""
    name, *others = words.split()
    program = [str(Path(sys.executable).with_name(name)), *others]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
    if status is not None and done.returncode != status:
        sys.exit(f"{words}: exit status {done.returncode}, need {status}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit(f"usage: {sys.argv[0]} FOLDER")
    main(Path(sys.argv[1]))
