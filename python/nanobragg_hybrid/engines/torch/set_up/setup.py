"""Everything that does not depend on the pixel: model 2 to 5, decided once for a configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.units import angstrom_to_m, deg_to_rad, dmin_angstrom_to_m, mm_to_m
from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar, as_float, quotient
from nanobragg_hybrid.engines.torch.arithmetic.vectors import Vector
from nanobragg_hybrid.engines.torch.scenes.pixels import Roi, region_of_interest
from nanobragg_hybrid.engines.torch.scenes.scene import Choices
from nanobragg_hybrid.engines.torch.set_up.bounds import Counts, require_an_end
from nanobragg_hybrid.engines.torch.set_up.cell_doubts import cell_doubts
from nanobragg_hybrid.engines.torch.set_up.detector import DetectorGeometry, detector_geometry
from nanobragg_hybrid.engines.torch.set_up.inputs import Inputs
from nanobragg_hybrid.engines.torch.set_up.lattice import (
    CrystalSize,
    Lattice,
    crystal_size,
    lattice,
    misset_angles,
    recommended_oversample,
)
from nanobragg_hybrid.engines.torch.set_up.polarization_doubts import (
    PolarizationDoubts,
    polarization_doubts,
)
from nanobragg_hybrid.engines.torch.set_up.random_rotations import (
    RandomRotations,
    Shuffle,
    Stream,
    random_rotations,
)
from nanobragg_hybrid.engines.torch.set_up.sampling import Sampling, sampling_of
from nanobragg_hybrid.engines.torch.set_up.sources import (
    ImpossibleSources,
    SourceGrid,
    impossible_sources,
    source_count,
    source_grid,
)
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.resolved_plan import PlanWarning
from nanobragg_hybrid.model.structure_factors import StructureFactors


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """An experiment with everything discrete decided.

    phi_in_steps: the angle whose vectors each phi step uses (model 6.4), in steps from the start
    of the range, shape (phi steps,).
    first_loop_differs: the first phi loop of the run does not have the vectors its first step uses
    in all others.  phi_rad: the angle of each phi step, whatever vectors it uses.
    rotations: of the domains; None where the configuration gives them.
    """

    experiment: Experiment
    structure_factors: StructureFactors
    quirks: Quirks
    sampling: Sampling
    choices: Choices
    size: CrystalSize
    grid: SourceGrid
    rotations: RandomRotations | None
    roi: Roi
    wavelength_m: float
    misset: Vector
    phi_in_steps: NDArray[np.float64]
    first_loop_differs: bool
    phi_rad: NDArray[np.float64]
    recommended_oversample: int
    geometry: DetectorGeometry
    cell: Lattice
    interpolation_refused: bool
    polarization: PolarizationDoubts
    cell_doubts: frozenset[PlanWarning]
    impossible_sources: ImpossibleSources
    steps_in_all: int


def set_up(experiment: Experiment, structure_factors: StructureFactors, quirks: Quirks) -> Setup:
    """Decides everything that model 2 to 5 leave open.

    Raises `ConfigError`, and `ResourceError` before anything large is allocated.
    """
    inputs = Inputs(experiment, structure_factors, quirks)
    sampling = sampling_of(experiment, quirks)
    _require_something(inputs, sampling)
    geometry = detector_geometry(inputs)
    shuffle = Shuffle(drops_first=not quirks.first_deviate)
    misset = misset_angles(inputs, shuffle)
    wavelength = as_float(wavelength_m(inputs))
    doubts = cell_doubts(experiment, quirks, wavelength)
    cell = lattice(inputs, wavelength, misset)
    size = crystal_size(experiment, quirks, cell, geometry.beam)
    longer_edge = max(as_float(geometry.pixel), as_float(geometry.pixel_slow))
    recommended = recommended_oversample(
        cell, size.n_cells, wavelength, as_float(geometry.distance), longer_edge
    )
    given_oversample = experiment.sampling.oversample
    oversample = recommended if given_oversample is None else given_oversample
    Counts.of(experiment, quirks, sampling, oversample).require()
    # What follows allocates; missetting and mosaicity are drawn in this order (model 7.4).
    rotations = None
    if experiment.crystal.mosaic_rotations is None:
        rotations = random_rotations(
            Stream(shuffle, experiment.crystal.mosaic_seed), sampling.mosaic_domains
        )
    grid = source_grid(experiment, sampling)
    if source_count(experiment, grid) < 1:
        raise _empty_beam(experiment)
    impossible = impossible_sources(experiment, quirks, grid, sampling, geometry, wavelength)
    phi_in_steps, first_loop_differs, phi_rad = _phi_angles(experiment, sampling, quirks)
    choices = _choices(
        experiment, structure_factors, quirks, sampling, oversample, source_count(experiment, grid)
    )
    polarization = polarization_doubts(experiment, sampling, choices, geometry)
    if not quirks.polarization_unchecked:
        polarization.require_none(experiment)
    fast_min, fast_max, slow_min, slow_max = region_of_interest(experiment)
    pixels = max(fast_max - fast_min + 1, 0) * max(slow_max - slow_min + 1, 0)
    return Setup(
        cell_doubts=doubts,
        impossible_sources=impossible,
        steps_in_all=require_an_end(choices.steps, choices.layers, pixels),
        experiment=experiment,
        structure_factors=structure_factors,
        quirks=quirks,
        sampling=sampling,
        choices=choices,
        size=size,
        grid=grid,
        rotations=rotations,
        roi=region_of_interest(experiment),
        wavelength_m=wavelength,
        misset=misset,
        phi_in_steps=phi_in_steps,
        first_loop_differs=first_loop_differs,
        phi_rad=phi_rad,
        recommended_oversample=recommended,
        geometry=geometry,
        cell=cell,
        interpolation_refused=(
            experiment.sampling.interpolate is True and structure_factors.grid is None
        ),
        polarization=polarization,
    )


def _empty_beam(experiment: Experiment) -> ConfigError:
    """What to say where no grid point is inside the round beam."""
    beam = experiment.beam
    need = (
        "directions inside the round beam: a number of them needs its range (-divsteps: "
        "-divergence; -hdivsteps: -hdivrange; -vdivsteps: -vdivrange), or all of the square "
        "(-square_div)"
    )
    if beam.divergence_h_steps is not None:
        return ConfigError("beam.divergence_h_steps", beam.divergence_h_steps, need)
    if beam.divergence_v_steps is not None:
        return ConfigError("beam.divergence_v_steps", beam.divergence_v_steps, need)
    return ConfigError("beam.divergence_h_step_mrad", beam.divergence_h_step_mrad, need, "mrad")


def _require_something(inputs: Inputs, sampling: Sampling) -> None:
    """Raises `ConfigError` where the rules leave no phi step, no weight, no finite fluence, or less
    than no water."""
    goniometer, beam = inputs.experiment.goniometer, inputs.experiment.beam
    if sampling.phi.count < 1:
        raise ConfigError(
            "goniometer.phi_step_deg",
            goniometer.phi_step_deg,
            f"at least one step (an oscillation of {goniometer.osc_deg} deg has none)",
            "deg",
        )
    water_um = inputs.experiment.crystal.water_um
    if water_um < 0.0 and not inputs.quirks.water_background:
        rule = "a size >= 0 with the quirk water_background off"
        raise ConfigError("crystal.water_um", water_um, rule, "um")
    weights = [source.weight for source in beam.sources or ()]
    of_nodes = 1.0 if beam.spectrum is None else sum(beam.spectrum.node_weights)
    has_sum = 0.0 < sum(weights) * of_nodes < math.inf
    if weights and not inputs.quirks.source_weights_ignored and not has_sum:
        raise ConfigError("beam.sources", beam.sources, "a finite sum > 0")
    if not math.isfinite(as_float(fluence(inputs))):
        raise ConfigError(
            "beam.beam_size_mm", beam.beam_size_mm, "a size that gives a finite fluence", "mm"
        )


def wavelength_m(inputs: Inputs) -> Scalar:
    """lambda0, metres."""
    return angstrom_to_m(inputs.number("beam.wavelength_angstrom"))


def fluence_follows_flux(experiment: Experiment) -> bool:
    """Whether flux, exposure and beam size replace the fluence (model 2)."""
    beam = experiment.beam
    return beam.flux_photons_per_s != 0.0 and beam.exposure_s > 0.0 and beam.beam_size_mm >= 0.0


def fluence(inputs: Inputs) -> Scalar:
    """Photons per square metre, given or from the flux (model 2)."""
    beam = inputs.experiment.beam
    if not fluence_follows_flux(inputs.experiment):
        return inputs.number("beam.fluence_photons_per_m2")
    size = mm_to_m(beam.beam_size_mm)
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
    orientations = sampling.phi.count * sampling.mosaic_domains
    has_table = structure_factors.grid is not None
    has_sensor = sampling.layers.range > 0.0
    is_curved = experiment.detector.curved
    faces_sample = is_curved and not quirks.curved_flat_factors
    absorbed = sampling.layers.step * max(sampling.attenuation_per_m, 0.0)
    # A factor of exactly 0 needs complete polarization; a capture fraction of exactly 0 a sensor
    # that absorbs next to nothing, or all.
    searches_polarization = settings.dmin_angstrom > 0.0 or abs(beam.polarization_kahn) >= 1.0
    searches_capture = not 1e-12 < absorbed < 100.0
    # One sample has the same factors in both positions.
    samples_differ = not quirks.first_subpixel_factors and (
        oversample > 1 or sampling.layers.count > 1
    )
    oversample_thick = settings.oversample_thick and (has_sensor or quirks.no_sensor_is_black)
    oversample_polar = settings.oversample_polar and (
        beam.polarization_correction or quirks.nopolar_undone
    )
    weighs = oversample_thick or oversample_polar or settings.oversample_omega
    return Choices(
        oversample=oversample,
        layers=sampling.layers.count,
        source_count=n_sources,
        orientations=orientations,
        domains=sampling.mosaic_domains,
        domain_weights=_domain_weights(experiment),
        steps=n_sources * orientations * oversample * oversample,
        shape=experiment.crystal.shape,
        interpolate=has_table and _wants_interpolation(experiment),
        interpolation_switches_off=quirks.interpolation_latch,
        has_polarization=beam.polarization_correction,
        has_sensor=has_sensor,
        is_curved=is_curved and quirks.curved_detector_axes,
        is_sphere=is_curved and not quirks.curved_detector_axes,
        faces_sample=faces_sample,
        has_pixel_area=not (experiment.detector.point_pixel and quirks.point_pixel_area),
        is_oblique=not (experiment.detector.point_pixel or faces_sample),
        oversample_thick=oversample_thick,
        oversample_polar=oversample_polar,
        oversample_omega=settings.oversample_omega,
        # One layer, or one source, has the same factor in both positions if none is searched for.
        capture_per_layer=(
            has_sensor
            and not (oversample_thick or quirks.thick_last_layer)
            and (sampling.layers.count > 1 or searches_capture)
        ),
        polar_per_source=(
            beam.polarization_correction
            and not (oversample_polar or quirks.polar_first_source)
            and (n_sources > 1 or searches_polarization)
        ),
        capture_per_sample=samples_differ and has_sensor and not oversample_thick,
        polar_per_sample=(samples_differ and beam.polarization_correction and not oversample_polar),
        omega_per_sample=samples_differ and not settings.oversample_omega,
        water_sees_all_sources=not quirks.polar_first_source,
        water_sees_sub_pixels=samples_differ and oversample > 1,
        running_product=weighs and quirks.oversample_running_product,
        dmin_m=dmin_angstrom_to_m(settings.dmin_angstrom),
        searches_polarization=searches_polarization,
        searches_capture=searches_capture,
    )


def _domain_weights(experiment: Experiment) -> tuple[float, ...] | None:
    """Weights of given domains over their mean; None where all are alike."""
    rotations = experiment.crystal.mosaic_rotations
    if rotations is None or len(set(rotations.weights.tolist())) == 1:
        return None
    weights = rotations.weights
    return tuple((weights * len(weights) / weights.sum()).tolist())


def _wants_interpolation(experiment: Experiment) -> bool:
    asked = experiment.sampling.interpolate
    return min(experiment.crystal.n_cells) <= 2.0 if asked is None else asked


def _phi_angles(
    experiment: Experiment, sampling: Sampling, quirks: Quirks
) -> tuple[NDArray[np.float64], bool, NDArray[np.float64]]:
    """In steps, the angles whose vectors the phi steps use; whether the first loop differs; the
    angles, radians."""
    in_steps = np.arange(sampling.phi.count, dtype=np.float64)
    if sampling.phi.range > 0.0 and not quirks.phi_left_edge:
        in_steps += 0.5
    angles = as_float(deg_to_rad(experiment.goniometer.phi_deg)) + sampling.phi.step * in_steps
    turns = np.flatnonzero(angles != 0.0)
    if not quirks.phi_carryover or len(turns) in (0, len(angles)):
        return in_steps, False, angles
    # The last turning step at or before each step, the loop being closed to a ring.
    before = np.searchsorted(turns, np.arange(len(angles)), side="right") - 1
    return in_steps[turns[before]], bool(angles[0] == 0.0), angles
