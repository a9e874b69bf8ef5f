"""C-PARITY-022 solid_angle_over_steps and C-PARITY-023 rmsd_counts_masked."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pictures import CONSTANT, STILL, off

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.plan import Plan

DISTANCE_MM, N_FAST, N_SLOW = 60.0, 24, 20
FLAT = STILL.replace({"detector.convention": "xds"})


def statistics(experiment: nb.Experiment, quirks: nb.Quirks) -> nb.Statistics:
    return nb.simulate(experiment, CONSTANT, quirks=quirks, threads=1).statistics


def rectangle_sr(half_x: float, half_y: float, distance: float) -> float:
    """Solid angle of a rectangle seen from above its middle."""
    return 4 * math.atan(
        half_x * half_y / (distance * math.sqrt(half_x**2 + half_y**2 + distance**2))
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sampling.oversample": 3, "sampling.oversample_omega": True},
        {"goniometer.osc_deg": 1.0, "goniometer.phi_steps": 3},
        {"crystal.mosaic_spread_deg": 1.0, "crystal.mosaic_domains": 4},
        {"beam.dispersion_percent": 1.0, "beam.dispersion_steps": 5},
        {
            "detector.sensor_thickness_um": 1.0,
            "detector.sensor_layers": 4,
            "sampling.oversample": 2,
            "sampling.oversample_omega": True,
        },
    ],
)
def test_the_detectors_solid_angle(changes: dict[str, object]) -> None:
    experiment = FLAT.replace(changes)
    need = rectangle_sr(N_FAST / 2, N_SLOW / 2, DISTANCE_MM)
    got = statistics(experiment, off("solid_angle_over_steps")).solid_angle_sr
    assert got == pytest.approx(need, rel=2e-4)  # one value for each pixel: midpoint rule
    info = Plan(experiment, CONSTANT, nb.Quirks()).info()
    visits = info["oversample"] ** 2 * info["sensor_layers"]
    divided = got * visits / info["steps"]
    assert statistics(experiment, nb.Quirks()).solid_angle_sr == pytest.approx(divided, rel=1e-12)


def test_solid_angle_of_a_region() -> None:
    region = FLAT.replace({"sampling.roi": (12, 23, 10, 19), "goniometer.osc_deg": 1.0})
    quarter = rectangle_sr(N_FAST / 2, N_SLOW / 2, DISTANCE_MM) / 4
    got = statistics(region, off("solid_angle_over_steps")).solid_angle_sr
    assert got == pytest.approx(quarter, rel=2e-4)


MASK = np.random.default_rng(3).uniform(size=(N_SLOW, N_FAST)) < 0.7
MASKED = FLAT.replace({"detector.mask": nb.Mask(MASK)})


def test_rmsd_of_what_is_seen() -> None:
    quirks = off("rmsd_counts_masked")
    result = nb.simulate(MASKED, CONSTANT, quirks=quirks, threads=1)
    seen = result.image[MASK].astype(float)
    assert result.statistics.rmsd == pytest.approx(seen.std(ddof=1), rel=1e-12)
    assert result.statistics.mean == pytest.approx(seen.mean(), rel=1e-12)


def test_on_masked_pixels_count_as_zeros() -> None:
    result = nb.simulate(MASKED, CONSTANT, quirks=nb.Quirks(), threads=1)
    mean = result.image[MASK].astype(float).mean()
    need = math.sqrt(np.sum((result.image - mean) ** 2.0) / (MASK.size - 1))
    assert result.statistics.rmsd == pytest.approx(need, rel=1e-6)
    corrected = statistics(MASKED, off("rmsd_counts_masked"))
    assert corrected.rmsd != pytest.approx(need, rel=0.01)
    assert corrected.rms == result.statistics.rms


def test_pictures_are_scaled_with_what_is_seen() -> None:
    on, corrected = (
        nb.pgm_image(nb.simulate(MASKED, CONSTANT, quirks=quirks, threads=1))
        for quirks in (nb.Quirks(), off("rmsd_counts_masked"))
    )
    scale = 250.0 / (5.0 * statistics(MASKED, off("rmsd_counts_masked")).rmsd)
    assert corrected.scale_used == pytest.approx(scale, rel=1e-12)
    assert on.scale_used != pytest.approx(scale, rel=0.01)


def test_without_a_mask_no_difference() -> None:
    assert statistics(FLAT, off("rmsd_counts_masked")) == statistics(FLAT, nb.Quirks())
