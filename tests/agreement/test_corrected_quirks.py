"""Quirks of the kernel and of the sampling, on and off: the torch engine against the C engine."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
import with_torch  # noqa: F401 (skips this module where there is no torch)
from for_each import for_each

import nanobragg_hybrid as nb
from agreement import compare, relative_l2

# Relative L2 before rounding; measured: at most 4e-14 in all of this file.
ORDINARY = 1e-13
CURVED = 1e-12  # sines of angles there are right to a rounding only
LEAST_EFFECT = 1e-4  # relative L2 between the positions: the experiments are made for their quirk

SMALL = nb.Experiment(
    beam=nb.Beam(polarization_kahn=0.7, fluence_photons_per_m2=4e29),
    crystal=nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(3, 4, 5), misset_deg=(10, 25, 30)),
    detector=nb.Detector(n_fast=12, n_slow=10, pixel_size_mm=2.0),
    sampling=nb.Sampling(oversample=1, interpolate=False),
)
FACTORS = nb.StructureFactors.from_grid(
    np.random.default_rng(0).uniform(10, 100, (11, 11, 11)), (-5, -5, -5), 20.0
)
SOURCES = (
    nb.Source((-10.0, 0.5, 0.1), 0.5, 1.0e-10),
    nb.Source((-10.0, -1.5, 0.7), 3.0, 1.05e-10),
    nb.Source((-10.0, 0.2, -0.9), 1.25, 0.97e-10),
)
SENSOR = {
    "detector.sensor_thickness_um": 450.0,
    "detector.sensor_attenuation_depth_um": 200.0,
    "detector.sensor_layers": 3,
}
ALL_OPTIONS = {
    "sampling.oversample_thick": True,
    "sampling.oversample_polar": True,
    "sampling.oversample_omega": True,
}
ROTATED = {
    "detector.convention": "dials",
    "detector.rotation_deg": (5.0, -12.0, 3.0),
    "detector.twotheta_deg": 20.0,
    "sampling.oversample": 2,
}
SCAN = {"goniometer.osc_deg": 2.0, "goniometer.phi_steps": 4}
MOSAIC = {"crystal.mosaic_spread_deg": 1.0, "crystal.mosaic_domains": 3}
DIVERGENCE = {"beam.divergence_h_mrad": 60.0, "beam.divergence_h_steps": 3}
LISTED = {"beam.sources": SOURCES}
WATER = {"crystal.water_um": 0.005}  # about as bright as the reflections

ROWS: dict[str, list[dict[str, object]]] = {
    "thick_last_layer": [
        SENSOR,
        {**SENSOR, **ROTATED, **DIVERGENCE, **SCAN},
        {**SENSOR, **WATER, "detector.curved": True},
    ],
    "polar_first_source": [
        DIVERGENCE,
        {**LISTED, **SENSOR, "sampling.oversample": 2, "sampling.dmin_angstrom": 4.0},
        {**LISTED, **WATER, "detector.curved": True},
    ],
    "interpolation_latch": [
        {"sampling.interpolate": True},
        {"sampling.interpolate": True, **ROTATED, **SCAN, **MOSAIC, "crystal.shape": "gauss"},
    ],
    "water_background": [
        WATER,
        {**WATER, **SENSOR, **LISTED, **SCAN, "sampling.oversample": 2},
        {**WATER, **SENSOR, **ROTATED, **DIVERGENCE, **ALL_OPTIONS},
    ],
    "layer_overshoot": [
        {**SENSOR, "detector.sensor_layers": 1},
        {**SENSOR, **ROTATED, "detector.sensor_attenuation_depth_um": None},
        {**SENSOR, "sampling.oversample_thick": True, "detector.sensor_layers": 4},
    ],
    "curved_detector_axes": [
        {"detector.curved": True},
        {"detector.curved": True, **ROTATED, **SENSOR, **DIVERGENCE},
        {"detector.curved": True, "detector.convention": "xds", "detector.distance_mm": 33.0},
    ],
    "source_weights_ignored": [
        LISTED,
        {**LISTED, **SENSOR, **SCAN, **ALL_OPTIONS, "sampling.oversample": 2},
        {**LISTED, "sampling.dmin_angstrom": 4.0, "beam.polarization_correction": False},
    ],
    "no_sensor_is_black": [
        {"sampling.oversample_thick": True},
        {**SENSOR, **LISTED, "detector.sensor_attenuation_depth_um": float("inf")},
        {**ALL_OPTIONS, **ROTATED, "detector.sensor_attenuation_depth_um": float("inf")},
    ],
    "nopolar_undone": [
        {"beam.polarization_correction": False, "sampling.oversample_polar": True},
        {**ALL_OPTIONS, **SENSOR, **LISTED, "beam.polarization_correction": False},
        {
            **ROTATED,
            **SCAN,
            "sampling.oversample_polar": True,
            "beam.polarization_correction": False,
        },
    ],
    "first_subpixel_factors": [
        {"sampling.oversample": 3},
        {**SENSOR, **LISTED, **WATER, "sampling.oversample": 2, "sampling.dmin_angstrom": 4.0},
        {**ROTATED, **SENSOR, **DIVERGENCE, **WATER, "sampling.oversample_omega": True},
    ],
    "phi_left_edge": [
        SCAN,
        {**SCAN, **ROTATED, **MOSAIC, "goniometer.phi_deg": -0.25},  # a middle is at 0
        {**SCAN, "goniometer.phi_deg": -1.0, "goniometer.phi_step_deg": 0.7},
    ],
}
CASES = [(name, number) for name, changes in ROWS.items() for number in range(len(changes))]


def off(*names: str) -> nb.Quirks:
    return dataclasses.replace(nb.Quirks(), **dict.fromkeys(names, False))


@cache
def rendered(name: str, number: int, quirks: nb.Quirks, backend: str) -> nb.SimulationResult:
    experiment = SMALL.replace(ROWS[name][number])
    return nb.simulate(experiment, FACTORS, quirks=quirks, backend=backend, unrounded=True)


def values(name: str, number: int, quirks: nb.Quirks, backend: str) -> np.ndarray:
    unrounded = rendered(name, number, quirks, backend).unrounded
    assert unrounded is not None
    return unrounded


def positions(name: str) -> dict[str, nb.Quirks]:
    """A row alone in both positions, and among the other rows off."""
    others = [other for other in ROWS if other != name]
    return {
        "on": nb.Quirks(),
        "off": off(name),
        "all off": off(*ROWS),
        "on alone": off(*others),
        "without running product": off(name, "oversample_running_product"),
    }


POSITIONS = tuple(positions("water_background"))


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@for_each("position", POSITIONS)
@pytest.mark.parametrize(("name", "number"), CASES)
def test_the_engines_agree(name: str, number: int, position: str) -> None:
    """Before rounding, and the pixels: 99.99 of 100 identical, none further than a neighbour."""
    quirks = positions(name)[position]
    need, got = (values(name, number, quirks, backend) for backend in ("c", "torch"))
    if name == "no_sensor_is_black" and quirks.no_sensor_is_black:
        assert not np.any(need)
        assert not np.any(got)
        return
    assert np.count_nonzero(need) > need.size // 4
    limit = CURVED if ROWS[name][number].get("detector.curved") else ORDINARY
    assert relative_l2(got, need) <= limit
    figures = compare(got, rendered(name, number, quirks, "c").image)
    assert figures.identical >= 0.9999
    assert figures.max_ulp <= 1


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@for_each("backend", ["c", "torch"])
@for_each("name, number", CASES)
def test_the_quirk_matters_here(name: str, number: int, backend: str) -> None:
    on = values(name, number, nb.Quirks(), backend)
    assert relative_l2(values(name, number, off(name), backend), on) > LEAST_EFFECT
    assert name in rendered(name, number, nb.Quirks(), backend).quirks_that_mattered


MASK = nb.Mask(np.random.default_rng(3).uniform(size=(10, 12)) < 0.7)


@pytest.mark.parametrize("name", ["solid_angle_over_steps", "rmsd_counts_masked"])
@pytest.mark.parametrize(
    "changes",
    [
        {**DIVERGENCE, **SCAN, "detector.mask": MASK},
        {**SENSOR, **SCAN, **ROTATED, "sampling.roi": (2, 9, 1, 7), "detector.mask": MASK},
        {**ALL_OPTIONS, **SENSOR, **SCAN, "sampling.oversample": 3, "detector.mask": MASK},
    ],
    ids=["flat", "rotated", "options"],
)
def test_statistics(changes: dict[str, object], name: str) -> None:
    """Every figure to the rounding of a sum in another order, in both positions."""
    experiment = SMALL.replace(changes)
    changed = []
    for quirks in (nb.Quirks(), off(name)):
        need, got = (
            dataclasses.asdict(
                nb.simulate(experiment, FACTORS, quirks=quirks, backend=b).statistics
            )
            for b in ("c", "torch")
        )
        assert got == pytest.approx(need, rel=1e-12)
        changed.append(got)
    figure = "rmsd" if name == "rmsd_counts_masked" else "solid_angle_sr"
    assert {key for key in need if changed[0][key] != changed[1][key]} == {figure}


@pytest.mark.parametrize("weights", [(1.0, -1.0), (1e308, 1.5e308)])
def test_weights_need_a_sum(weights: tuple[float, float]) -> None:
    """The same words from both engines; with the quirk on they are not looked at."""
    sources = tuple(nb.Source((-1.0, 0.1 * n, 0.0), weight) for n, weight in enumerate(weights))
    experiment = SMALL.replace({"beam.sources": sources})
    rule = r"beam\.sources: .* need a finite sum > 0"
    messages = []
    for backend in ("c", "torch"):
        with pytest.raises(nb.ConfigError, match=rule) as caught:
            nb.simulate(experiment, FACTORS, quirks=off("source_weights_ignored"), backend=backend)
        messages.append(str(caught.value))
        nb.simulate(experiment, FACTORS, backend=backend)
    assert messages[0] == messages[1]
