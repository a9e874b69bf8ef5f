"""`-hkl` with a file of reflections or an atomic model: range of resolution, wavelength, cell."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from nanobragg_hybrid.base.errors import CommandLineError
from nanobragg_hybrid.base.units import m_to_angstrom
from nanobragg_hybrid.formats.any_structure_factors import (
    holds_model,
    read_structure_factors,
    structure_factors_from_model,
)
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.run.prepare import prepare

if TYPE_CHECKING:
    from nanobragg_hybrid.arguments.command import Command
    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.quirks import Quirks
    from nanobragg_hybrid.model.reflection_report import ReflectionReport

_MARGIN: Final = 0.95
"""Of d at the corner of the detector: spots and sources have a width."""
_LENGTHS_DIFFER: Final = 0.01
_ANGLES_DIFFER_DEG: Final = 1.0
_ANY_CELL: Final = (100.0, 100.0, 100.0)


def read_for_command(
    path: Path, command: Command, column: str | tuple[str, ...] | None = None
) -> StructureFactors:
    """The table of a file that gemmi reads; column: a label of its amplitudes or intensities, or a
    pair of labels.

    A model's amplitudes are those for the command's wavelength, down to -dmin, else to the corner
    of the detector.
    """
    if not holds_model(path):
        return read_structure_factors(path, default_f=command.default_f, column=column)  # type: ignore[arg-type]
    if column is not None:
        raise CommandLineError(f"--column: {path} is an atomic model, which has no columns")
    experiment = command.experiment
    d_min = experiment.sampling.dmin_angstrom or corner_spacing_angstrom(
        experiment, command.quirks, path
    )
    return structure_factors_from_model(
        path,
        d_min_angstrom=d_min,
        wavelength_angstrom=experiment.beam.wavelength_angstrom,
        default_f=command.default_f,
    )


def corner_spacing_angstrom(experiment: Experiment, quirks: Quirks, path: Path) -> float:
    """The d that the corner of the detector sees, a little less.

    Raises `CommandLineError` where no corner says it.
    """
    beam = experiment.beam
    if experiment.detector.curved or beam.sources is not None:
        what = "a curved detector" if experiment.detector.curved else "a source file"
        raise CommandLineError(f"{path}: is an atomic model, which with {what} needs -dmin")
    crystal = experiment.crystal
    if crystal.cell_angstrom is None and crystal.orientation_matrix is None:
        experiment = experiment.replace({"crystal.cell_angstrom": _ANY_CELL})
    plan = prepare(experiment, StructureFactors.constant(0.0), quirks=quirks).plan
    fast, slow = (np.array(plan.fast_axis), np.array(plan.slow_axis))
    corners = [
        np.array(plan.pix0_m) + plan.pixel_size_m * f * fast + plan.pixel_size_slow_m * s * slow
        for f in (0, plan.n_fast)
        for s in (0, plan.n_slow)
    ]
    cosines = [float(c @ np.array(plan.beam_direction) / np.linalg.norm(c)) for c in corners]
    widest = max(math.acos(max(-1.0, min(1.0, cosine))) for cosine in cosines)
    widest += max(plan.divergence_h_rad, plan.divergence_v_rad) / 2.0
    sine = math.sin(min(widest, math.pi) / 2.0)
    shortest = m_to_angstrom(plan.wavelength_m) * (1.0 - plan.dispersion_fraction / 2.0)
    if not (sine > 0.0 and shortest > 0.0):
        raise CommandLineError(f"{path}: is an atomic model, which for this set-up needs -dmin")
    return max(_MARGIN * shortest / (2.0 * sine), shortest / 2.0)


def experiment_with_cell(experiment: Experiment, report: ReflectionReport) -> Experiment:
    """The experiment with the report's cell."""
    return experiment.replace(
        {"crystal.cell_angstrom": report.cell_angstrom, "crystal.cell_deg": report.cell_deg}
    )


def cell_doubt(experiment: Experiment, report: ReflectionReport) -> str | None:
    """What to say if the crystal's cell is not that of its structure factors; None: it is."""
    crystal = experiment.crystal
    if crystal.orientation_matrix is not None:
        matrix = np.array(crystal.orientation_matrix).reshape(3, 3)
        vectors = np.linalg.inv(matrix / experiment.beam.wavelength_angstrom)
        lengths = np.linalg.norm(vectors, axis=1)
        pairs = ((1, 2), (0, 2), (0, 1))
        angles = np.degrees(
            [math.acos(vectors[i] @ vectors[j] / (lengths[i] * lengths[j])) for i, j in pairs]
        )
        flag = "-mat"
    else:
        lengths, angles = np.array(crystal.cell_angstrom), np.array(crystal.cell_deg)
        flag = "-cell"
    assert report.cell_angstrom is not None
    assert report.cell_deg is not None
    theirs = np.array(report.cell_angstrom)
    is_alike = (np.abs(lengths / theirs - 1.0) < _LENGTHS_DIFFER).all() and (
        np.abs(angles - np.array(report.cell_deg)) < _ANGLES_DIFFER_DEG
    ).all()
    if is_alike:
        return None
    shown = " ".join(f"{x:g}" for x in (*report.cell_angstrom, *report.cell_deg))
    other = " ".join(f"{x:.6g}" for x in (*lengths, *angles))
    return f"{report.source}: its cell is {shown}, but that of {flag} is {other}"
