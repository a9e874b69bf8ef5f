"""How many photons a rotation all the way through a reflection gives: Darwin's formula.

While the spindle turns at a constant rate, the volume of reciprocal space that light from a solid
angle passes through is known, and with it the integral of the squared lattice factor, which depends
on the crystal's shape alone (model 6.5).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, assert_never

import numpy as np

from nanobragg_hybrid.base.constants import R_E_SQR_M2
from nanobragg_hybrid.base.units import m_to_angstrom
from nanobragg_hybrid.engines.c.engine import CRun
from nanobragg_hybrid.model.conventions import Shape
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def full_photons(
    run: CRun,
    experiment: Experiment,
    quirks: Quirks,
    hkl: NDArray[np.int32],
    fast_px: Floats,
    slow_px: Floats,
) -> Floats:
    """Photons of each reflection, shape (n,), at the frame's photons for each radian; NaN without
    an oscillation.

    hkl: shape (n, 3).  fast_px, slow_px: where its light is, from the panel's corner, shape (n,).
    """
    plan = run.plan
    turned_rad = abs(plan.phi_steps * plan.phi_step_rad)
    if plan.osc_rad == 0.0 or turned_rad == 0.0:
        return np.full(len(hkl), np.nan)
    directions = _directions(run, fast_px, slow_px, curved=experiment.detector.curved)
    sources = run.c_plan.sources()
    weights = sources[:, 3] if _weights_count(experiment, quirks) else np.ones(len(sources))
    weights = weights / weights.sum()
    spindle = np.array(plan.spindle_axis)
    axis = np.array(plan.polarization_axis)
    rate = np.zeros(len(hkl))
    for (x, y, z, _, wavelength_m), weight in zip(sources, weights, strict=True):
        incident = -np.array([x, y, z])
        speed = np.abs(np.cross(directions, incident) @ spindle)
        with np.errstate(divide="ignore"):
            each = m_to_angstrom(wavelength_m) ** 3 / speed
        if experiment.beam.polarization_correction:
            each = each * _polarization(experiment, incident, axis, directions)
        rate += weight * each
    amplitudes = run.c_plan.structure_factors(hkl.astype(np.float64))
    crystal = experiment.crystal
    volume = plan.cell_volume_angstrom3
    integral = shape_integral(crystal.shape, plan.n_cells, crystal.shape_fudge, volume)
    per_radian = R_E_SQR_M2 * plan.fluence_photons_per_m2 / turned_rad
    captured = _captured(plan, quirks, experiment, directions)
    if experiment.detector.point_pixel:  # other solid angles (model 6.2)
        captured = captured / np.abs(directions @ np.array(plan.normal_axis))
        if quirks.point_pixel_area:
            captured = captured / (plan.pixel_size_m * plan.pixel_size_slow_m)
    light: Floats = per_radian * amplitudes**2 * rate * integral / volume * captured
    return light


def shape_integral(
    shape: Shape, n_cells: tuple[float, float, float], fudge: float, volume_angstrom3: float
) -> float:
    """The integral of the squared lattice factor over h, k, l around a reflection (model 6.5)."""
    product = math.prod(n_cells)
    gaussian = (0.63 * math.pi / (2.0 * fudge)) ** 1.5
    sphere = 4.0 / 3.0 * math.pi * (0.3969 / fudge) ** 1.5
    match shape:
        case "square":
            return math.prod(_interference_integral(n) for n in n_cells)
        case "round":
            return float(product * 0.723601254558268**2 * _sphere_integral(n_cells, fudge))
        case "gauss":
            return float(volume_angstrom3 / product * gaussian)
        case "gauss_hkl":
            return float(product * gaussian)
        case "tophat":
            return float(volume_angstrom3 / product * sphere)
        case "tophat_hkl":
            return float(product * sphere)
    assert_never(shape)


def _sphere_integral(n_cells: tuple[float, float, float], fudge: float) -> float:
    """Of the squared transform of a sphere of diameter 1 over a box of n_cells: 6 / pi in all
    space, less its tails outside, 9 / (2 (pi t)^4) on average, which surfaces of the box give."""
    halves = 0.5 * math.sqrt(fudge) * np.array(n_cells)
    nodes, weights = np.polynomial.legendre.leggauss(32)
    outside = 0.0
    for i in range(3):
        a, b, c = np.roll(halves, -i)
        sqr = a**2 + np.add.outer((b * nodes) ** 2, (c * nodes) ** 2)
        outside += 2.0 * a * b * c * float(weights @ sqr**-2.0 @ weights)
    return float((6.0 / math.pi - 4.5 / math.pi**4 * outside) / fudge**1.5)


def _interference_integral(n: float) -> float:
    """Of (sin(pi n h) / sin(pi h))^2 from -1/2 to 1/2: n for whole numbers."""
    if n <= 1.0:
        return 1.0
    if n == math.floor(n):
        return n
    count = 64 * math.ceil(n)
    h = (np.arange(count) + 0.5) / (2.0 * count)
    return float(np.mean((np.sin(math.pi * n * h) / np.sin(math.pi * h)) ** 2))


def _directions(run: CRun, fast_px: Floats, slow_px: Floats, *, curved: bool) -> Floats:
    """Unit vectors from the sample to places of the panel, shape (n, 3) (model 6.2); on a curved
    one to the first sample of their pixels."""
    plan = run.plan
    if curved:
        pixels = zip(fast_px.astype(int).tolist(), slow_px.astype(int).tolist(), strict=True)
        firsts = [run.c_plan.trace(fast, slow)["first"]["diffracted"] for fast, slow in pixels]
        return np.array(firsts).reshape(-1, 3)
    fast, slow = np.array(plan.fast_axis), np.array(plan.slow_axis)
    places = np.array(plan.pix0_m) + np.outer(fast_px * plan.pixel_size_m, fast)
    places = places + np.outer(slow_px * plan.pixel_size_slow_m, slow)
    directions: Floats = places / np.linalg.norm(places, axis=1)[:, None]
    return directions


def _polarization(
    experiment: Experiment, incident: Floats, axis: Floats, directions: Floats
) -> Floats:
    """The factor of model 6.6."""
    kahn = experiment.beam.polarization_kahn
    cosine_sqr = (directions @ incident) ** 2
    if kahn == 0.0:
        unpolarized: Floats = 0.5 * (1.0 + cosine_sqr)
        return unpolarized
    b = np.cross(axis, incident)
    b /= np.linalg.norm(b)
    e = np.cross(incident, b)
    psi = -np.arctan2(directions @ b, directions @ e)
    factor: Floats = 0.5 * (1.0 + cosine_sqr - kahn * np.cos(2.0 * psi) * (1.0 - cosine_sqr))
    return factor


def _captured(
    plan: ResolvedPlan, quirks: Quirks, experiment: Experiment, directions: Floats
) -> Floats:
    """Which fraction of the light the sensor's layers add up to (model 6.2, 6.8)."""
    if plan.sensor_thickness_m <= 0.0:
        return np.ones(len(directions))
    obliquity = directions @ np.array(plan.normal_axis)
    depth = plan.sensor_layer_step_m * plan.sensor_attenuation_per_m
    layers = plan.sensor_layers
    if quirks.thick_last_layer and not experiment.sampling.oversample_thick:
        last = np.exp(-(layers - 1) * depth / obliquity) - np.exp(-layers * depth / obliquity)
        return np.asarray(layers * last)
    return np.asarray(1.0 - np.exp(-layers * depth / obliquity))


def _weights_count(experiment: Experiment, quirks: Quirks) -> bool:
    """Whether sources have weights (model 5.2)."""
    return experiment.beam.spectrum is not None or not quirks.source_weights_ignored
