"""Everything that does not depend on the pixel: model 2 to 5, decided once for a configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.config import Experiment
from nanobragg_hybrid.constants import INT32_MAX
from nanobragg_hybrid.errors import ConfigError, Description
from nanobragg_hybrid.quirks import Quirks
from nanobragg_hybrid.structure_factors import StructureFactors
from nanobragg_hybrid.units import dmin_angstrom_to_m

from .detector import DetectorGeometry, detector_geometry
from .inputs import Inputs
from .lattice import (
    CrystalSize,
    Lattice,
    crystal_size,
    lattice,
    misset_angles,
    recommended_oversample,
)
from .random_rotations import RandomRotations, Shuffle, Stream, random_rotations
from .sampling import Sampling, sampling_of
from .scalars import Scalar, as_float, quotient, radians
from .scene import Choices
from .source_grid import SourceGrid, source_count, source_grid
from .support import require_supported
from .vectors import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """An experiment with everything discrete decided.

    phi_source: which phi step's vectors each phi step uses (model 6.4), shape (phi steps,).
    first_loop_differs: the first phi loop of the run does not have the vectors its first step uses
    in all others.
    """

    experiment: Experiment
    structure_factors: StructureFactors
    quirks: Quirks
    sampling: Sampling
    choices: Choices
    size: CrystalSize
    grid: SourceGrid
    rotations: RandomRotations
    misset: Vector
    phi_source: NDArray[np.int64]
    first_loop_differs: bool
    recommended_oversample: int
    geometry: DetectorGeometry
    cell: Lattice
    interpolation_refused: bool


def set_up(experiment: Experiment, structure_factors: StructureFactors, quirks: Quirks) -> Setup:
    """Decides everything that model 2 to 5 leave open.

    Raises `ConfigError` and `UnsupportedError`.
    """
    require_supported(quirks)
    inputs = Inputs(experiment, structure_factors, quirks)
    sampling = sampling_of(experiment)
    _require_something(inputs, sampling)
    geometry = detector_geometry(inputs)
    shuffle = Shuffle()
    misset = misset_angles(inputs, shuffle)
    rotations = random_rotations(
        Stream(shuffle, experiment.crystal.mosaic_seed), sampling.mosaic_domains
    )
    wavelength = as_float(wavelength_m(inputs))
    cell = lattice(inputs, wavelength, misset)
    size = crystal_size(experiment, cell)
    recommended = recommended_oversample(
        cell, size.n_cells, wavelength, as_float(geometry.distance), as_float(geometry.pixel)
    )
    given_oversample = experiment.sampling.oversample
    oversample = recommended if given_oversample is None else given_oversample
    grid = source_grid(experiment, sampling)
    phi_source, first_loop_differs = _phi_sources(experiment, sampling, quirks)
    choices = _choices(
        experiment, structure_factors, quirks, sampling, oversample, source_count(experiment, grid)
    )
    return Setup(
        experiment=experiment,
        structure_factors=structure_factors,
        quirks=quirks,
        sampling=sampling,
        choices=choices,
        size=size,
        grid=grid,
        rotations=rotations,
        misset=misset,
        phi_source=phi_source,
        first_loop_differs=first_loop_differs,
        recommended_oversample=recommended,
        geometry=geometry,
        cell=cell,
        interpolation_refused=(
            experiment.sampling.interpolate is True and structure_factors.grid is None
        ),
    )


def _require_something(inputs: Inputs, sampling: Sampling) -> None:
    """Raises `ConfigError` where the rules leave no phi step or no finite fluence."""
    goniometer, beam = inputs.experiment.goniometer, inputs.experiment.beam
    if sampling.phi.count < 1:
        raise ConfigError(
            "goniometer.phi_step_deg",
            goniometer.phi_step_deg,
            f"at least one step (an oscillation of {goniometer.osc_deg} deg has none)",
            "deg",
        )
    if not math.isfinite(as_float(fluence(inputs))):
        raise ConfigError(
            "beam.beam_size_mm", beam.beam_size_mm, "a size that gives a finite fluence", "mm"
        )


def wavelength_m(inputs: Inputs) -> Scalar:
    """lambda0, metres."""
    return inputs.number("beam.wavelength_angstrom") / 1.0e10


def fluence_follows_flux(experiment: Experiment) -> bool:
    """Whether flux, exposure and beam size replace the fluence (model 2)."""
    beam = experiment.beam
    return beam.flux_photons_per_s != 0.0 and beam.exposure_s > 0.0 and beam.beam_size_mm >= 0.0


def fluence(inputs: Inputs) -> Scalar:
    """Photons per square metre, given or from the flux (model 2)."""
    beam = inputs.experiment.beam
    if not fluence_follows_flux(inputs.experiment):
        return inputs.number("beam.fluence_photons_per_m2")
    size = beam.beam_size_mm / 1000.0
    return quotient(quotient(beam.flux_photons_per_s * beam.exposure_s, size), size)


def _choices(
    experiment: Experiment,
    structure_factors: StructureFactors,
    quirks: Quirks,
    sampling: Sampling,
    oversample: int,
    n_sources: int,
) -> Choices:
    settings, beam = experiment.sampling, experiment.beam
    steps = n_sources * sampling.mosaic_domains * sampling.phi.count * oversample * oversample
    if steps > INT32_MAX:
        raise ConfigError(
            "experiment",
            Description("a combination of values"),
            f"a product of at most {INT32_MAX} steps ({n_sources} sources * "
            f"{sampling.mosaic_domains} mosaic domains * {sampling.phi.count} phi steps * "
            f"{oversample} * {oversample} sub-pixels)",
        )
    has_table = structure_factors.grid is not None
    absorbed = sampling.layers.step * max(sampling.attenuation_per_m, 0.0)
    weighs = settings.oversample_thick or settings.oversample_polar or settings.oversample_omega
    return Choices(
        oversample=oversample,
        layers=sampling.layers.count,
        source_count=n_sources,
        orientations=sampling.phi.count * sampling.mosaic_domains,
        domains=sampling.mosaic_domains,
        steps=steps,
        shape=experiment.crystal.shape,
        interpolate=has_table and _wants_interpolation(experiment),
        has_polarization=beam.polarization_correction,
        has_sensor=sampling.layers.range > 0.0,
        is_curved=experiment.detector.curved,
        is_point_pixel=experiment.detector.point_pixel,
        oversample_thick=settings.oversample_thick,
        oversample_polar=settings.oversample_polar,
        oversample_omega=settings.oversample_omega,
        running_product=weighs and quirks.oversample_running_product,
        skips_zero=experiment.crystal.water_um == 0.0,
        is_table_finite=(
            structure_factors.grid is None or bool(np.isfinite(structure_factors.grid).all())
        ),
        dmin_m=dmin_angstrom_to_m(settings.dmin_angstrom),
        # A factor of exactly 0 needs complete polarization.
        searches_polarization=settings.dmin_angstrom > 0.0 or abs(beam.polarization_kahn) >= 1.0,
        # A capture fraction of exactly 0 needs a sensor that absorbs next to nothing, or all.
        searches_capture=not 1e-12 < absorbed < 100.0,
    )


def _wants_interpolation(experiment: Experiment) -> bool:
    asked = experiment.sampling.interpolate
    return min(experiment.crystal.n_cells) <= 2.0 if asked is None else asked


def _phi_angles(sampling: Sampling, phi_rad: float) -> NDArray[np.float64]:
    return phi_rad + sampling.phi.step * np.arange(sampling.phi.count, dtype=np.float64)


def _phi_sources(
    experiment: Experiment, sampling: Sampling, quirks: Quirks
) -> tuple[NDArray[np.int64], bool]:
    """Which phi step's vectors every phi step uses, and whether the first loop differs."""
    angles = _phi_angles(sampling, as_float(radians(experiment.goniometer.phi_deg)))
    own = np.arange(len(angles))
    turns = np.flatnonzero(angles != 0.0)
    if not quirks.phi_carryover or len(turns) in (0, len(angles)):
        return own, False
    # The last turning step at or before each step, the loop being closed to a ring.
    before = np.searchsorted(turns, own, side="right") - 1
    return turns[before], bool(angles[0] == 0.0)
