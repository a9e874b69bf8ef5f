"""C-PARITY-006 water_background."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pictures import STILL, assert_differs, assert_same, off, picture

import nanobragg_hybrid as nb

R_E_SQR_M2 = 7.94079248018965e-30
AVOGADRO = 6.02214179e23
DARK = nb.StructureFactors.constant(0.0)
WATER_UM, FLUENCE, DISTANCE_MM = 30.0, 1e20, 60.0
WET = STILL.replace(
    {
        "crystal.water_um": WATER_UM,
        "beam.fluence_photons_per_m2": FLUENCE,
        "beam.polarization_correction": False,
        "detector.convention": "xds",
    }
)
RENDERINGS = [
    {},
    {"sampling.oversample": 3},
    {"goniometer.osc_deg": 1.0, "goniometer.phi_steps": 4},
    {"crystal.mosaic_spread_deg": 0.5, "crystal.mosaic_domains": 3},
    {"beam.divergence_h_mrad": 1.0, "beam.divergence_h_steps": 3},
]


def positions_mm(first_of: int = 1) -> np.ndarray:
    """Centres of the first of n x n sub-pixels of each pixel, shape (slow, fast, 3)."""
    n_slow, n_fast = WET.detector.shape
    fast, slow = np.arange(n_fast) + 0.5 / first_of, np.arange(n_slow) + 0.5 / first_of
    place = np.zeros((n_slow, n_fast, 3))
    place[..., 0] = fast - n_fast / 2
    place[..., 1] = (slow - n_slow / 2)[:, None]
    place[..., 2] = DISTANCE_MM
    return place


def photons(first_of: int = 1) -> np.ndarray:
    """Of all molecules of the drop, into each pixel: (drop's electrons^2) r_e^2 fluence omega."""
    cm3 = (WATER_UM * 1e-4) ** 3
    molecules = cm3 * 1.0 / 18.0 * AVOGADRO  # 1 g a cm^3, 18 g a mol
    r = np.linalg.norm(positions_mm(first_of), axis=-1)
    omega = 1.0**2 * DISTANCE_MM / r**3
    return np.asarray(2.57**2 * molecules * R_E_SQR_M2 * FLUENCE * omega)


@pytest.mark.parametrize("changes", RENDERINGS)
def test_photons_counted_by_hand(changes: dict[str, object]) -> None:
    """However the picture is sampled."""
    experiment = WET.replace(changes)
    need = photons(experiment.sampling.oversample or 1)
    assert_same(picture(experiment, off("water_background"), DARK), need, 1e-12)


def test_every_sub_pixel_of_the_water_counts() -> None:
    """With first_subpixel_factors off: the photons of a finer detector's pixels, whatever the
    options and the layers."""
    polarized = WET.replace({"beam.polarization_correction": True, "beam.polarization_kahn": 0.8})
    fine = polarized.replace(
        {"detector.pixel_size_mm": 1.0 / 3, "detector.n_fast": 72, "detector.n_slow": 60}
    )
    sensor = {"detector.sensor_thickness_um": 300.0, "detector.sensor_layers": 3}
    quirks = off("water_background", "first_subpixel_factors")
    for changes in ({}, sensor):
        parts = picture(fine.replace(changes), quirks, DARK).reshape(20, 3, 24, 3)
        need = parts.sum(axis=(1, 3))
        for option in ({}, {"sampling.oversample_omega": True}):
            coarse = polarized.replace({"sampling.oversample": 3, **changes, **option})
            assert_same(picture(coarse, quirks, DARK), need, 1e-12)
            on = picture(coarse, off("water_background"), DARK)
            assert_differs(on, need, 1e-3)


@pytest.mark.parametrize("changes", RENDERINGS)
def test_on_it_is_scaled_twice_and_divided_by_the_steps(changes: dict[str, object]) -> None:
    experiment = WET.replace(changes)
    steps = math.prod(
        (
            experiment.goniometer.phi_steps or 1,
            experiment.crystal.mosaic_domains or 1,
            experiment.beam.divergence_h_steps or 1,
            (experiment.sampling.oversample or 1) ** 2,
        )
    )
    need = photons(experiment.sampling.oversample or 1) * R_E_SQR_M2 * FLUENCE / steps
    assert_same(picture(experiment, None, DARK), need, 1e-12)


def test_polarization() -> None:
    kahn = 0.8
    polarized = WET.replace({"beam.polarization_correction": True, "beam.polarization_kahn": kahn})
    d = positions_mm() / np.linalg.norm(positions_mm(), axis=-1, keepdims=True)
    # a field along x or y scatters its square less the square of its part along d
    along_x, along_y = 1 - d[..., 0] ** 2, 1 - d[..., 1] ** 2
    need = photons() * ((1 + kahn) / 2 * along_x + (1 - kahn) / 2 * along_y)
    assert_same(picture(polarized, off("water_background"), DARK), need, 1e-12)


@pytest.mark.parametrize("option", [False, True])
def test_polarization_of_several_sources(option: bool) -> None:
    """With polar_first_source off, the mean over the sources, weighted as they are."""
    sources = (nb.Source((0.0, 2.0, -10.0), 1.0), nb.Source((1.0, -3.0, -10.0), 3.0))
    many = WET.replace(
        {
            "beam.polarization_correction": True,
            "beam.polarization_kahn": 0.8,
            "beam.sources": sources,
            "sampling.oversample_polar": option,
        }
    )
    alone = [
        picture(many.replace({"beam.sources": (source,)}), off("water_background"), DARK)
        for source in sources
    ]
    both = off("water_background", "polar_first_source")
    assert_same(picture(many, both, DARK), np.mean(alone, axis=0), 1e-12)
    assert_same(picture(many, off("water_background"), DARK), alone[0], 1e-12)
    weighted = off("water_background", "polar_first_source", "source_weights_ignored")
    assert_same(picture(many, weighted, DARK), 0.25 * alone[0] + 0.75 * alone[1], 1e-12)


@pytest.mark.parametrize("option", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
def test_the_whole_sensor_captures(layers: int, option: bool) -> None:
    sensor = WET.replace(
        {
            "detector.sensor_thickness_um": 300.0,
            "detector.sensor_attenuation_depth_um": 200.0,
            "detector.sensor_layers": layers,
            "sampling.oversample_thick": option,
        }
    )
    r = np.linalg.norm(positions_mm(), axis=-1)
    need = photons() * (1 - np.exp(-300.0 / 200.0 * r / DISTANCE_MM))
    quirks = off("water_background", "layer_overshoot", "oversample_running_product")
    assert_same(picture(sensor, quirks, DARK), need, 1e-12)


def test_it_is_added_to_the_reflections() -> None:
    dry = WET.replace({"crystal.water_um": 0.0})
    assert_same(picture(WET, off("water_background")), picture(dry) + photons(), 1e-12)


def test_the_old_background_keeps_its_factors_beside_corrected_ones() -> None:
    """006 on with 003, 004 and 036 off: still the last layer's capture, the first polarization and
    the first sub-pixel's solid angle."""
    sensor = WET.replace(
        {
            "beam.polarization_correction": True,
            "beam.divergence_h_mrad": 60.0,
            "beam.divergence_h_steps": 3,
            "detector.sensor_thickness_um": 300.0,
            "detector.sensor_layers": 3,
            "sampling.oversample": 2,
        }
    )
    need = picture(sensor, None, DARK)
    corrected = ("thick_last_layer", "polar_first_source", "first_subpixel_factors")
    for names in (corrected[:2], corrected[2:], corrected):
        assert_same(picture(sensor, off(*names), DARK), need, 1e-12)


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@pytest.mark.parametrize("backend", ["c", "torch"])
def test_below_0_the_background_is_subtracted_with_the_quirk_on_only(backend: str) -> None:
    """What comes out is no number of photons, so only nanoBragg's picture has it."""
    if backend == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    less = WET.replace({"crystal.water_um": -WATER_UM})
    wet, dry = (
        nb.simulate(experiment, DARK, backend=backend).image.astype(float)
        for experiment in (WET, less)
    )
    assert np.all(wet > 0.0)
    assert np.array_equal(dry, -wet)
    rule = (
        r"^crystal\.water_um: got -30\.0 um, need a size >= 0 with the quirk water_background off"
    )
    with pytest.raises(nb.ConfigError, match=rule):
        nb.prepare(less, DARK, backend=backend, quirks=off("water_background"))
    nb.prepare(less, DARK, backend=backend, quirks=off("polar_first_source"))
    nb.prepare(WET, DARK, backend=backend, quirks=off("water_background"))
