"""C-PARITY-002 oversample_running_product."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import STILL, assert_differs, assert_same, off, picture

import nanobragg_hybrid as nb

ALL = {
    "sampling.oversample_thick": True,
    "sampling.oversample_polar": True,
    "sampling.oversample_omega": True,
}
OVERSAMPLE = 3
COARSE = STILL.replace(
    {
        "beam.polarization_kahn": 0.7,
        "beam.divergence_h_mrad": 8.0,
        "beam.divergence_h_steps": 3,
        "detector.convention": "xds",
        "detector.pixel_size_mm": 3.0,
        "detector.n_fast": 9,
        "detector.n_slow": 8,
        "sampling.oversample": OVERSAMPLE,
    }
)
SENSOR = {
    "detector.sensor_thickness_um": 300.0,
    "detector.sensor_attenuation_depth_um": 200.0,
    "detector.sensor_layers": 3,
}


def fine_sum(experiment: nb.Experiment, quirks: nb.Quirks) -> np.ndarray:
    """Each sub-pixel as a pixel of its own, and the photons of each big pixel added up."""
    detector = experiment.detector
    n_slow, n_fast = detector.shape
    fine = picture(
        experiment.replace(
            {
                "detector.pixel_size_mm": detector.pixel_size_mm / OVERSAMPLE,
                "detector.n_fast": n_fast * OVERSAMPLE,
                "detector.n_slow": n_slow * OVERSAMPLE,
                "sampling.oversample": 1,
                **dict.fromkeys(ALL, False),
                # the layers of a pixel lie in slightly different directions
                "sampling.oversample_polar": detector.sensor_layers is not None,
                "sampling.oversample_omega": detector.sensor_layers is not None,
            }
        ),
        quirks,
    )
    return fine.reshape(n_slow, OVERSAMPLE, n_fast, OVERSAMPLE).sum(axis=(1, 3))


@pytest.mark.parametrize("changes", [{}, SENSOR], ids=["surface", "sensor"])
def test_sub_pixels_are_pixels(changes: dict[str, object]) -> None:
    """Off: a pixel with every factor oversampled counts the photons of its sub-pixels.

    In the fine picture each factor belongs to a pixel, not to a step: one for each source and layer
    with the quirks polar_first_source and thick_last_layer off.
    """
    coarse = COARSE.replace({**ALL, **changes})
    if not changes:
        coarse = coarse.replace({"sampling.oversample_thick": False})  # nothing absorbs
    got = picture(coarse, off("oversample_running_product"))
    one_step = ("oversample_running_product", "polar_first_source", "thick_last_layer")
    need = fine_sum(coarse, off(*one_step))
    assert_same(got, need)
    assert_differs(picture(coarse), need, 0.5)


@pytest.mark.parametrize("name", ["oversample_omega", "oversample_polar"])
def test_running_product(name: str) -> None:
    """On: with two steps I = (t1 f1 + t2) f2; the first term has both factors."""
    pixel = COARSE.replace(
        {
            f"sampling.{name}": True,
            "beam.divergence_h_steps": None,
            "beam.divergence_h_mrad": None,
            "goniometer.phi_deg": 5.0,
            "goniometer.osc_deg": 1.0,
            "goniometer.phi_steps": 2,
            "sampling.oversample": 1,
        }
    )
    still = pixel.replace({"goniometer.osc_deg": None, "goniometer.phi_steps": None})
    first = picture(still)
    second = picture(still.replace({"goniometer.phi_deg": 5.5}))
    plain = {f"sampling.{name}": False}
    if name == "oversample_polar":
        bare = {**plain, "beam.polarization_correction": False}
    else:
        bare = {**plain, "detector.point_pixel": False}
    factor = picture(pixel.replace(plain)) / picture(pixel.replace(bare))
    if name == "oversample_omega":
        factor = solid_angles(pixel)
    assert_same(picture(pixel), (first * factor + second) / 2)


def solid_angles(experiment: nb.Experiment) -> np.ndarray:
    """pixel^2 close / R^3 at the centres of the pixels."""
    detector = experiment.detector
    n_slow, n_fast = detector.shape
    fast = (np.arange(n_fast) + 0.5 - n_fast / 2) * detector.pixel_size_mm
    slow = (np.arange(n_slow) + 0.5 - n_slow / 2) * detector.pixel_size_mm
    r = np.sqrt(fast**2 + slow[:, None] ** 2 + detector.distance_mm**2)
    return np.asarray(detector.pixel_size_mm**2 * detector.distance_mm / r**3)


def test_no_option_no_difference() -> None:
    assert picture(COARSE).tobytes() == picture(COARSE, off("oversample_running_product")).tobytes()
