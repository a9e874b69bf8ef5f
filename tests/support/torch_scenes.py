"""Small experiments in which every differentiable value of the torch engine has an effect.

All are a few pixels; their random crystals, directions and tables have fixed seeds.  The detectors
are small and far, so that the indices h, k, l of a whole image stay clear of the values where the
nearest reflection changes, and no step of a difference quotient crosses one.
"""

from __future__ import annotations

import math

import numpy as np
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.set_up.overrides import overridden_by

Scene = tuple[nb.Experiment, nb.StructureFactors, nb.Quirks]


def still() -> Scene:
    """A triclinic crystal, misset, in a diverging beam of two wavelengths; MOSFLM geometry."""
    experiment = nb.Experiment(
        beam=nb.Beam(
            wavelength_angstrom=1.1,
            polarization_kahn=0.6,
            divergence_h_mrad=2.0,
            divergence_h_steps=3,
            divergence_v_mrad=1.0,
            divergence_v_steps=2,
            dispersion_percent=0.5,
            dispersion_steps=2,
        ),
        crystal=nb.Crystal(
            cell_angstrom=(20, 23, 26),
            cell_deg=(75, 85, 95),
            misset_deg=(12, -31, 55),
            n_cells=(3, 4, 5),
            water_um=0.6,
        ),
        detector=nb.Detector(
            distance_mm=90,
            pixel_size_mm=0.9,
            n_fast=6,
            n_slow=7,
            beam_x_mm=6.0,
            beam_y_mm=-9.0,
            rotation_deg=(3, -2, 4),
            twotheta_deg=6,
        ),
        sampling=nb.Sampling(oversample=2),
    )
    return experiment, nb.StructureFactors.constant(100.0), nb.Quirks()


def rotation() -> Scene:
    """A matrix, a table, phi, mosaicity and a sensor; every vector given; spheres."""
    fast, slow = _tilted_axes(0.1, -0.2, 0.3)
    experiment = nb.Experiment(
        beam=nb.Beam(
            wavelength_angstrom=0.97,
            direction=(1.0, 0.02, -0.01),
            polarization_axis=(0.01, 0.1, 1.0),
            polarization_kahn=0.9,
        ),
        crystal=nb.Crystal(
            orientation_matrix=_matrix((22, 25, 29), (0.4, -0.3, 0.2), 0.97),
            misset_deg=(1, 2, 3),
            n_cells=(3, 4, 5),
            shape="round",
            shape_fudge=0.8,
            water_um=0.6,
            mosaic_spread_deg=0.6,
            mosaic_domains=3,
        ),
        goniometer=nb.Goniometer(
            spindle_axis=(0.1, -0.2, 1.0), phi_deg=4.0, osc_deg=1.5, phi_steps=3
        ),
        detector=nb.Detector(
            pivot="sample",
            fast_axis=fast,
            slow_axis=slow,
            normal_axis=(0.96, 0.0, -0.28),  # of length 1.0, so that it is not replaced
            twotheta_axis=(0.0, 0.6, 0.8),
            distance_mm=150,
            close_distance_mm=148,
            pixel_size_mm=0.2,
            n_fast=8,
            n_slow=6,
            beam_x_mm=-35.0,
            beam_y_mm=-2.0,
            rotation_deg=(2, 1, -3),
            twotheta_deg=5,
            sensor_thickness_um=320,
            sensor_attenuation_depth_um=250,
            sensor_layers=3,
        ),
        sampling=nb.Sampling(oversample=1, interpolate=False),
    )
    return experiment, _table((10, 10, 10), seed=1), nb.Quirks()


def sources() -> Scene:
    """Listed sources, interpolated structure factors and the factors that go into every step."""
    experiment = nb.Experiment(
        beam=nb.Beam(
            wavelength_angstrom=1.0, polarization_kahn=-0.4, sources=_listed_sources("z", 1.0)
        ),
        crystal=nb.Crystal(
            cell_angstrom=(21, 24, 27),
            cell_deg=(80, 93, 99),
            misset_deg=(-20, 15, 40),
            n_cells=(3.4, 4.5, 2.6),
            shape="gauss",
            shape_fudge=5.0,
        ),
        goniometer=nb.Goniometer(phi_deg=-1.0, osc_deg=0.8, phi_steps=2),
        detector=nb.Detector(
            convention="adxv",
            distance_mm=160,
            pixel_size_mm=0.13,
            n_fast=6,
            n_slow=7,
            beam_x_mm=-17.0,
            beam_y_mm=20.0,
            sensor_thickness_um=300,
            sensor_layers=2,
        ),
        sampling=nb.Sampling(
            oversample=1,
            interpolate=True,
            oversample_thick=True,
            oversample_polar=True,
            oversample_omega=True,
        ),
    )
    # With the running product only the last steps would count.
    quirks = nb.Quirks.parse("nanobragg,-oversample_running_product")
    return experiment, _table((12, 12, 12), seed=2), quirks


def bent() -> Scene:
    """A curved detector with every vector given and listed sources; phi passes through 0."""
    fast, slow = _tilted_axes(-0.15, 0.1, 0.05)
    experiment = nb.Experiment(
        beam=nb.Beam(
            wavelength_angstrom=1.2,
            direction=(0.99, -0.03, 0.02),
            polarization_axis=(0.05, -0.1, 1.0),
            polarization_kahn=0.3,
            sources=_listed_sources("x", 1.2),
        ),
        crystal=nb.Crystal(
            cell_angstrom=(24, 26, 31),
            cell_deg=(90, 101, 90),
            orientation_matrix=_matrix((24, 26, 31), (-0.2, 0.5, 0.1), 1.2),
            n_cells=(4.0, 3.2, 5.0),
            shape="gauss_hkl",
            shape_fudge=0.2,
            water_um=0.6,
            mosaic_spread_deg=0.9,
            mosaic_domains=2,
        ),
        goniometer=nb.Goniometer(
            spindle_axis=(0.0, 0.3, 1.0), phi_deg=-0.5, osc_deg=1.5, phi_steps=3
        ),
        detector=nb.Detector(
            pivot="beam",
            fast_axis=fast,
            slow_axis=slow,
            normal_axis=(1.0, 0.0, 0.0),
            twotheta_axis=(0.0, 0.0, -1.0),
            distance_mm=140,
            pixel_size_mm=0.25,
            n_fast=7,
            n_slow=6,
            beam_x_mm=-13.0,
            beam_y_mm=19.0,
            rotation_deg=(-4, 3, 2),
            twotheta_deg=-7,
            curved=True,
            sensor_thickness_um=400,
            sensor_attenuation_depth_um=350,
            sensor_layers=2,
        ),
        sampling=nb.Sampling(oversample=2, interpolate=False),
    )
    return experiment, _table((9, 9, 9), seed=3), nb.Quirks()


def outside() -> Scene:
    """Reflections that no table lists, background, a sensor of unknown material; DIALS geometry."""
    experiment = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=0.9, divergence_v_mrad=1.5, divergence_v_steps=2),
        crystal=nb.Crystal(
            cell_angstrom=(19, 22, 28),
            cell_deg=(90, 90, 118),
            misset_deg=(40, 5, -60),
            n_cells=(3.3, 2.7, 4.0),
            water_um=0.15,
        ),
        detector=nb.Detector(
            convention="dials",
            close_distance_mm=120,
            pixel_size_mm=0.2,
            n_fast=6,
            n_slow=6,
            org_x_px=-119.0,
            org_y_px=51.0,
            rotation_deg=(1, 2, -3),
            twotheta_deg=4,
            sensor_thickness_um=450,
            sensor_layers=2,
        ),
        sampling=nb.Sampling(oversample=2, interpolate=False, oversample_polar=True),
    )
    return experiment, _table((3, 3, 3), seed=4), nb.Quirks()


def corrected() -> Scene:
    """Every quirk off: XDS with a spindle axis, a near point and a pivot of its own; weights."""
    experiment = nb.Experiment(
        beam=nb.Beam(
            wavelength_angstrom=1.3, polarization_kahn=0.5, sources=_listed_sources("z", None)
        ),
        crystal=nb.Crystal(
            cell_angstrom=(18, 21, 25),
            cell_deg=(83, 97, 101),
            misset_random=True,
            misset_seed=3,
            n_cells=(3, 4, 3),
            water_um=0.03,
            mosaic_spread_deg=0.7,
            mosaic_domains=2,
        ),
        goniometer=nb.Goniometer(
            spindle_axis=(1.0, 0.2, -0.1), phi_deg=2.0, osc_deg=1.0, phi_steps=2
        ),
        detector=nb.Detector(
            convention="xds",
            pivot="beam",
            distance_mm=110,
            pixel_size_mm=0.8,
            n_fast=6,
            n_slow=5,
            close_x_mm=14.0,
            rotation_deg=(2, 3, -1),
            twotheta_deg=5,
            sensor_thickness_um=300,
            sensor_layers=2,
        ),
        sampling=nb.Sampling(oversample=2),
    )
    return experiment, nb.StructureFactors.constant(100.0), nb.Quirks.none()


def spherical() -> Scene:
    """Every quirk off: a curved ADXV detector by its XDS origin, turned about the sample."""
    experiment = nb.Experiment(
        beam=nb.Beam(
            wavelength_angstrom=0.95,
            direction=(0.02, -0.01, 1.0),
            polarization_axis=(1.0, 0.1, 0.05),
            polarization_kahn=-0.6,
            sources=_listed_sources("z", 0.95),
        ),
        crystal=nb.Crystal(
            cell_angstrom=(19, 20, 24),
            cell_deg=(84, 90, 108),
            misset_deg=(9, 44, -70),
            n_cells=(3, 3, 4),
        ),
        detector=nb.Detector(
            convention="adxv",
            pivot="sample",
            distance_mm=95,
            pixel_size_mm=0.7,
            n_fast=5,
            n_slow=6,
            org_x_px=-8.0,
            org_y_px=17.0,
            rotation_deg=(-2, 1, 5),
            twotheta_deg=-3,
            curved=True,
        ),
        sampling=nb.Sampling(oversample=1),
    )
    return experiment, nb.StructureFactors.constant(100.0), nb.Quirks.none()


def by_beam() -> Scene:
    """DIALS by a beam centre although it turns about the sample, whose beam is no normal."""
    experiment = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.05, direction=(0.03, 0.02, 1.0)),
        crystal=nb.Crystal(cell_angstrom=(21, 22, 23), misset_deg=(33, -14, 8), n_cells=(3, 4, 3)),
        detector=nb.Detector(
            convention="dials",
            close_distance_mm=100,
            pixel_size_mm=0.9,
            n_fast=6,
            n_slow=5,
            beam_y_mm=13.0,
            rotation_deg=(3, -4, 1),
            twotheta_deg=4,
        ),
        sampling=nb.Sampling(oversample=1),
    )
    quirks = nb.Quirks.parse("nanobragg,-near_point_ignored,-custom_convention_switch")
    return experiment, nb.StructureFactors.constant(100.0), quirks


def by_near_point() -> Scene:
    """The custom convention, where a near point stands in for the beam centre; XDS's otherwise."""
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(23, 20, 22), misset_deg=(-13, 24, 51), n_cells=(4, 3, 3)),
        detector=nb.Detector(
            convention="custom",
            distance_mm=105,
            pixel_size_mm=0.9,
            n_fast=5,
            n_slow=6,
            close_x_mm=15.0,
            close_y_mm=-6.0,
            rotation_deg=(-1, 2, 3),
        ),
        sampling=nb.Sampling(oversample=1),
    )
    return experiment, nb.StructureFactors.constant(100.0), nb.Quirks()


CORRECTED = nb.Quirks.parse(
    "nanobragg,-phi_carryover,-oversample_running_product,-thick_last_layer,-polar_first_source,"
    "-interpolation_latch,-water_background,-layer_overshoot,-curved_detector_axes,"
    "-source_weights_ignored,-phi_left_edge"
)
"""Everything that acts in the kernel, and the steps of phi and of the sensor, corrected."""


def sphere() -> Scene:
    """`bent` without its quirks: a spherical detector, weighted sources, little water."""
    experiment, factors, _ = bent()
    changes = {"crystal.water_um": 0.006, "detector.beam_x_mm": -16.0}
    return experiment.replace(changes), factors, CORRECTED


def weighted() -> Scene:
    """`sources` without its quirks and options, with water.  Of its two phi steps one is
    interpolated, the other is outside of what can be."""
    experiment, _, _ = sources()
    changes = {
        "crystal.misset_deg": (-18.0, 51.0, -37.0),
        "crystal.water_um": 0.006,
        "goniometer.phi_deg": -4.0,
        "goniometer.osc_deg": 30.0,
        "detector.pixel_size_mm": 0.05,
        "sampling.oversample_thick": False,
        "sampling.oversample_polar": False,
        "sampling.oversample_omega": False,
    }
    return experiment.replace(changes), _table((12, 12, 12), seed=2), CORRECTED


def spectral() -> Scene:
    """A diverging beam with a spectrum; domains that are given, all of the same weight; phi."""
    experiment, factors, quirks = still()
    changes = {
        "beam.dispersion_percent": 0.0,
        "beam.dispersion_steps": None,
        "beam.spectrum": nb.Spectrum(
            wavelengths_angstrom=(1.096, 1.1, 1.105), weights=(0.5, 1.0, 0.8)
        ),
        "crystal.mosaic_rotations": nb.Rotations.from_vectors(_TURNS),
        "goniometer.phi_deg": 2.0,
        "goniometer.osc_deg": 1.0,
        "goniometer.phi_steps": 2,
    }
    return experiment.replace(changes), factors, quirks


def spectra_of_sources() -> Scene:
    """Every quirk off: listed directions, of which one is left open, with weights and a spectrum;
    domains with weights."""
    directions = tuple(
        nb.Source(source.position if n else (None, None, None), source.weight)
        for n, source in enumerate(_listed_sources("x", None))
    )
    experiment = nb.Experiment(
        beam=nb.Beam(
            wavelength_angstrom=1.0,
            polarization_kahn=0.4,
            sources=directions,
            spectrum=nb.Spectrum(energies_ev=(12350.0, 12420.0), weights=(1.0, 0.6)),
        ),
        crystal=nb.Crystal(
            cell_angstrom=(20, 24, 27),
            cell_deg=(81, 94, 99),
            misset_deg=(-21, 14, 62),
            n_cells=(3, 4, 3),
            mosaic_rotations=nb.Rotations.from_vectors(_TURNS, (0.7, 1.0, 0.2)),
        ),
        goniometer=nb.Goniometer(phi_deg=1.0),
        detector=nb.Detector(
            distance_mm=100,
            pixel_size_mm=0.8,
            n_fast=6,
            n_slow=5,
            beam_x_mm=7.0,
            beam_y_mm=-8.0,
            rotation_deg=(1, -2, 3),
        ),
        sampling=nb.Sampling(oversample=2),
    )
    return experiment, nb.StructureFactors.constant(100.0), nb.Quirks.none()


def oblong() -> Scene:
    """Pixels that are not square, with sub-pixels, seen at an angle."""
    experiment, factors, quirks = still()
    return experiment.replace({"detector.pixel_size_mm": (0.9, 0.8)}), factors, quirks


def oblong_sphere() -> Scene:
    """The same on a sphere around the crystal."""
    experiment, factors, quirks = sphere()
    return experiment.replace({"detector.pixel_size_mm": (0.25, 0.22)}), factors, quirks


_TURNS = ((0.3, -0.2, 0.5), (-0.6, 0.1, 0.2), (0.1, 0.7, -0.3))
"""Degrees."""


SCENES = {
    "still": still,
    "rotation": rotation,
    "sources": sources,
    "bent": bent,
    "outside": outside,
    "corrected": corrected,
    "spherical": spherical,
    "by_beam": by_beam,
    "by_near_point": by_near_point,
    "sphere": sphere,
    "weighted": weighted,
    "spectral": spectral,
    "spectra_of_sources": spectra_of_sources,
    "oblong": oblong,
    "oblong_sphere": oblong_sphere,
}


def values_of(model: ForwardModel) -> dict[str, torch.Tensor]:
    """A tensor for every parameter of the model, at the configured or the derived value."""
    return {each.name: model.initial(each.name) for each in model.parameters()}


def together(model: ForwardModel) -> dict[str, torch.Tensor]:
    """The same but for those that leave another one without effect: what may be given together."""
    values = values_of(model)
    for name in list(values):
        while (decides := overridden_by(name, values, model.setup)) is not None:
            del values[decides]
    return values


def projection(shape: tuple[int, ...], seed: int = 7) -> torch.Tensor:
    """Random weights of the pixels, in [0.5, 1.5)."""
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + torch.rand(shape, dtype=torch.float64, generator=generator)


def _table(size: tuple[int, int, int], seed: int) -> nb.StructureFactors:
    """Random amplitudes for indices around 0."""
    amplitudes = np.random.default_rng(seed).uniform(20.0, 150.0, size)
    first = (-(size[0] // 2), -(size[1] // 2), -(size[2] // 2))
    return nb.StructureFactors.from_grid(amplitudes, first, default_f=30.0)


def _listed_sources(along: str, wavelength_angstrom: float | None) -> tuple[nb.Source, ...]:
    """Three sources upstream of a beam along x or z; without wavelength: one leaves it open."""
    positions = [(-10.0, 0.02, -0.01), (-9.0, -0.03, 0.02), (-11.0, 0.01, 0.03)]
    if along == "z":
        positions = [(y, z, x) for x, y, z in positions]
    metres = 1e-10 * (wavelength_angstrom or 1.0)
    return tuple(
        nb.Source(position, weight, factor * metres if wavelength_angstrom or n else None)
        for n, (position, weight, factor) in enumerate(
            zip(positions, (1.0, 0.5, 2.0), (1.0, 1.004, 0.997), strict=True)
        )
    )


def _tilted_axes(
    x: float, y: float, z: float
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """fast and slow of MOSFLM, turned a little."""
    turn = _rotation(x, y, z)
    fast, slow = (turn @ np.array(axis) for axis in ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0)))
    return (fast[0], fast[1], fast[2]), (slow[0], slow[1], slow[2])


def _matrix(
    cell: tuple[float, float, float], turn: tuple[float, float, float], wavelength: float
) -> tuple[float, ...]:
    """Orientation matrix, times the wavelength in angstrom, of a slightly sheared cell."""
    sheared = np.diag(wavelength / np.array(cell)) + 1e-3 * np.triu(np.ones((3, 3)), 1)
    return tuple(float(x) for x in (_rotation(*turn) @ sheared).ravel())


def _rotation(x: float, y: float, z: float) -> np.ndarray:
    """A rotation matrix from three angles in radians."""
    (cx, sx), (cy, sy), (cz, sz) = ((math.cos(a), math.sin(a)) for a in (x, y, z))
    matrix: np.ndarray = (
        np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    )
    return matrix
