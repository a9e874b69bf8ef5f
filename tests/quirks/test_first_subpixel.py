"""C-PARITY-036 first_subpixel_factors."""

from __future__ import annotations

import numpy as np
import pytest
from for_each import for_each
from pictures import CONSTANT, STILL, assert_differs, assert_same, info, off, picture

import nanobragg_hybrid as nb

NAME = "first_subpixel_factors"
pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
OVERSAMPLE = 3
OPTIONS = ("oversample_thick", "oversample_polar", "oversample_omega")
R_E_SQR_M2 = 7.94079248018965e-30
SENSOR = {
    "detector.sensor_thickness_um": 300.0,
    "detector.sensor_attenuation_depth_um": 200.0,
    "detector.sensor_layers": 3,
}
CLOSE = STILL.replace(
    {
        "beam.polarization_kahn": 0.7,
        "detector.convention": "xds",
        "detector.distance_mm": 12.0,
        "detector.pixel_size_mm": 3.0,
        "detector.n_fast": 9,
        "detector.n_slow": 8,
        "sampling.oversample": OVERSAMPLE,
    }
)
"""Big pixels close by: the directions within a pixel differ by up to 15 degrees."""
SCENES: dict[str, dict[str, object]] = {
    "surface": {},
    "sensor": SENSOR,
    "sources": {
        "beam.sources": (nb.Source((0.0, 2.0, -10.0), 1.0), nb.Source((1.0, -3.0, -10.0), 3.0))
    },
    "cut": {
        "beam.divergence_h_mrad": 300.0,
        "beam.divergence_h_steps": 3,
        "sampling.dmin_angstrom": 1.6,
    },
    "curved": {"detector.curved": True, "detector.distance_mm": 20.0},
    "point": {"detector.point_pixel": True},
    "scan": {"goniometer.osc_deg": 2.0, "goniometer.phi_steps": 2, "goniometer.phi_deg": 7.0},
}
OTHERS = ("thick_last_layer", "polar_first_source", "source_weights_ignored")


def fine_sum(experiment: nb.Experiment, quirks: nb.Quirks) -> np.ndarray:
    """Each sub-pixel as a pixel of its own, and the photons of each big pixel added up.

    A point pixel's solid angle knows no size, so that its photons are the mean.
    """
    detector = experiment.detector
    n_slow, n_fast = detector.shape
    assert detector.pixel_size_mm is not None
    fine = picture(
        experiment.replace(
            {
                "detector.pixel_size_mm": detector.pixel_size_mm / OVERSAMPLE,
                "detector.n_fast": n_fast * OVERSAMPLE,
                "detector.n_slow": n_slow * OVERSAMPLE,
                "sampling.oversample": 1,
            }
        ),
        quirks,
    )
    parts = fine.reshape(n_slow, OVERSAMPLE, n_fast, OVERSAMPLE)
    return parts.mean(axis=(1, 3)) if detector.point_pixel else parts.sum(axis=(1, 3))


@pytest.mark.parametrize("scene", SCENES)
def test_sub_pixels_are_pixels(scene: str) -> None:
    """Off: a pixel counts the photons of its sub-pixels, with and beside the quirks that say which
    layer's and which source's factors those are; on, it counts others."""
    experiment = CLOSE.replace(SCENES[scene])
    for others in ((), OTHERS, *((name,) for name in OTHERS)):
        # the curved detector's own quirk bends by coordinates that a size does not scale
        quirks = off(NAME, "curved_detector_axes", *others)
        need = fine_sum(experiment, quirks)
        assert_same(picture(experiment, quirks), need)
        assert_differs(picture(experiment, off("curved_detector_axes", *others)), need, 0.01)


def directions(experiment: nb.Experiment, depth_mm: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Of all sub-pixels at a depth: length in mm and its cosine with the normal; the shape is
    (slow, sub slow, fast, sub fast).  XDS' detector, centred."""
    detector = experiment.detector
    n_slow, n_fast = detector.shape
    assert detector.pixel_size_mm is not None
    step = detector.pixel_size_mm / OVERSAMPLE
    fast = step * (np.arange(n_fast * OVERSAMPLE) + 0.5 - n_fast * OVERSAMPLE / 2)
    slow = step * (np.arange(n_slow * OVERSAMPLE) + 0.5 - n_slow * OVERSAMPLE / 2)
    far = detector.distance_mm + depth_mm
    r = np.sqrt(fast**2 + slow[:, None] ** 2 + far**2)
    r = r.reshape(n_slow, OVERSAMPLE, n_fast, OVERSAMPLE)
    return r, far / r


UNIFORM = CLOSE.replace({"crystal.n_cells": (1.0, 1.0, 1.0)})
"""One cell scatters alike in all directions; no beam is polarized across."""


def expected(experiment: nb.Experiment, *, last_layer: bool, first: bool) -> np.ndarray:
    """F^2 r_e^2 fluence times solid angle, polarization and capture, written down.

    first: of a pixel's first sub-pixel of the first layer; the capture fraction of the last layer.
    """
    detector = experiment.detector
    assert detector.pixel_size_mm is not None
    pixel, kahn = detector.pixel_size_mm, experiment.beam.polarization_kahn
    layers = detector.sensor_layers or 1
    step = 300.0 / layers
    total: float | np.ndarray = 0.0
    for layer in range(layers):
        depth = 0.0 if first or not detector.sensor_thickness_um else layer * step * 1e-3
        r, cosine = directions(experiment, depth)
        assert kahn == 0.0
        omega = pixel**2 * detector.distance_mm / r**3
        polar = (1 + cosine**2) / 2
        capture: float | np.ndarray = 1.0
        if detector.sensor_thickness_um:
            counted = layers - 1 if last_layer else layer
            below = counted * step * 1e-3
            cosine = directions(experiment, below)[1]
            top, bottom = counted * step / 200.0, (counted + 1) * step / 200.0
            capture = np.exp(-top / cosine) - np.exp(-bottom / cosine)
        factor = omega * polar * capture
        total = total + (factor[:, 0, :, 0] if first else factor.mean(axis=(1, 3)))
    fluence = experiment.beam.fluence_photons_per_m2
    return np.asarray(1e4 * R_E_SQR_M2 * fluence * total)


@pytest.mark.parametrize("changes", [{}, SENSOR], ids=["surface", "sensor"])
def test_a_uniform_scatterer(changes: dict[str, object]) -> None:
    """Both positions as formulas, with the last layer's capture fraction and with each layer's."""
    experiment = UNIFORM.replace({"beam.polarization_kahn": 0.0, **changes})
    beside = ("layer_overshoot", "interpolation_latch")
    for others, last_layer in (((), True), (("thick_last_layer",), False)):
        for name, first in (((), True), ((NAME,), False)):
            got = picture(experiment, off(*name, *others, *beside))
            assert_same(got, expected(experiment, last_layer=last_layer, first=first), 1e-12)


def test_a_pixel_has_the_solid_angle_of_a_square() -> None:
    """4 atan(a^2 / (h sqrt(2 a^2 + h^2))) for a half edge a at a height h; the mean over 40 x 40
    sub-pixels is off by less than the square of their size.  The first sub-pixel of them is not
    that."""
    half, height, fluence = 6.0, 12.0, 1e20
    one = UNIFORM.replace(
        {
            "beam.polarization_correction": False,
            "beam.fluence_photons_per_m2": fluence,
            "detector.pixel_size_mm": 2 * half,
            "detector.n_fast": 1,
            "detector.n_slow": 1,
            "sampling.oversample": 40,
        }
    )
    angle = 4 * np.arctan(half**2 / (height * np.sqrt(2 * half**2 + height**2)))
    need = 1e4 * R_E_SQR_M2 * fluence * angle
    assert picture(one, off(NAME)).item() == pytest.approx(need, rel=(0.3 / height) ** 2)
    assert picture(one).item() < 0.7 * need


@for_each("scene", SCENES)
def test_options_have_nothing_to_add(scene: str) -> None:
    """Off, and without the running product, an option asks for what is done anyhow."""
    options = OPTIONS if scene == "sensor" else OPTIONS[1:]  # nothing captures
    quirks = off(NAME, "oversample_running_product", *OTHERS)
    experiment = CLOSE.replace(SCENES[scene])
    need = picture(experiment, quirks)
    for given in (*((option,) for option in options), options):
        changes = {f"sampling.{option}": True for option in given}
        assert_same(picture(experiment.replace(changes), quirks), need, 1e-12)


def test_an_option_keeps_its_running_product() -> None:
    """Off, -oversample_omega with the running product: that of the solid angles alone, whose terms
    have their own polarization."""
    pixel = UNIFORM.replace({"beam.polarization_kahn": 0.0, "sampling.oversample_omega": True})
    r, cosine = directions(pixel)
    polar = (1 + cosine**2) / 2
    omega = 3.0**2 * 12.0 / r**3
    total = np.zeros(pixel.detector.shape)
    for place in np.ndindex(OVERSAMPLE, OVERSAMPLE):
        slow, fast = place
        at = np.s_[:, slow, :, fast]
        total = (total + 1e4 * polar[at]) * omega[at]
    need = R_E_SQR_M2 * pixel.beam.fluence_photons_per_m2 * total / OVERSAMPLE**2
    assert_same(picture(pixel, off(NAME, "interpolation_latch")), need, 1e-12)


def test_the_first_source_is_the_sub_pixels_own() -> None:
    """Off beside polar_first_source: the factor of the first source that dmin leaves there."""
    sources = (nb.Source((0.0, 8.0, -10.0)), nb.Source((0.0, -8.0, -10.0)))
    two = CLOSE.replace({"beam.sources": sources, "sampling.dmin_angstrom": 1.6})
    bare = two.replace({"beam.polarization_correction": False})
    one_by_one = [
        two.replace({"beam.sources": (source,), "sampling.oversample": 1}) for source in sources
    ]
    lit = [picture(fine(each), off(NAME)) > 0.0 for each in one_by_one]
    assert np.any(~lit[0] & lit[1])  # there the second is the first
    factors = []
    for each in one_by_one:
        plain = fine(each).replace({"sampling.dmin_angstrom": 0.0})
        unpolarized = plain.replace({"beam.polarization_correction": False})
        factors.append(picture(plain, off(NAME)) / picture(unpolarized, off(NAME)))
    first = np.where(lit[0], factors[0], factors[1])
    photons = picture(fine(bare.replace({"sampling.oversample": 1})), off(NAME)) * first
    n_slow, n_fast = two.detector.shape
    need = photons.reshape(n_slow, OVERSAMPLE, n_fast, OVERSAMPLE).sum(axis=(1, 3))
    assert_same(picture(two, off(NAME)), need)


def fine(experiment: nb.Experiment) -> nb.Experiment:
    """With a pixel for each sub-pixel."""
    n_slow, n_fast = experiment.detector.shape
    return experiment.replace(
        {
            "detector.pixel_size_mm": 3.0 / OVERSAMPLE,
            "detector.n_fast": n_fast * OVERSAMPLE,
            "detector.n_slow": n_slow * OVERSAMPLE,
        }
    )


def test_the_reported_solid_angle_is_the_pixels() -> None:
    """Off: the mean over all sub-pixels, as the photons have it."""
    r, _ = directions(CLOSE)
    omega = 9.0 * 12.0 / r**3
    for quirks, need in (
        (off(NAME), omega.mean(axis=(1, 3)).sum()),
        (nb.Quirks(), omega[:, 0, :, 0].sum()),
    ):
        found = nb.simulate(CLOSE, CONSTANT, quirks=quirks).statistics.solid_angle_sr
        assert found == pytest.approx(need, rel=1e-12)


def test_one_sample_no_difference() -> None:
    """One sub-pixel of one layer; two layers are two samples."""
    one = CLOSE.replace({"sampling.oversample": 1})
    assert picture(one).tobytes() == picture(one, off(NAME)).tobytes()
    layers = one.replace({**SENSOR, "detector.sensor_layers": 2})
    assert info(layers)["sensor_layers"] == 2
    assert_differs(picture(layers), picture(layers, off(NAME)), 1e-3)
