"""Why a value has no effect in a set-up, and what to use instead; None where it has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nanobragg_hybrid.engines.torch.detector import ORIGIN
from nanobragg_hybrid.engines.torch.placement import normal_is_recomputed
from nanobragg_hybrid.engines.torch.setup import Setup
from nanobragg_hybrid.engines.torch.sources import WAVELENGTHS

Obstacle = Callable[[Setup], str | None]


def unless(has_effect: Callable[[Setup], bool], why: str) -> Obstacle:
    """`why`, where a value has no effect."""
    return lambda setup: None if has_effect(setup) else why


def _is_given(setup: Setup, name: str) -> bool:
    part, field = name.split(".")
    value: Any = getattr(getattr(setup.experiment, part), field)
    return value is not None


def given(name: str) -> Obstacle:
    """For a value of which only the configuration's own number counts."""
    return unless(
        lambda setup: _is_given(setup, name), "the configuration does not give it: give it there"
    )


def listed(setup: Setup) -> str | None:
    return None if setup.experiment.beam.sources is not None else "no sources are listed"


def wavelength(setup: Setup) -> str | None:
    crystal, sampling = setup.experiment.crystal, setup.experiment.sampling
    own = [source.wavelength_m is not None for source in setup.experiment.beam.sources or ()]
    if own and all(own) and crystal.cell_angstrom is not None:
        return f"every source has its own: use {WAVELENGTHS}"
    is_scale_free = crystal.shape not in ("gauss", "tophat") and sampling.dmin_angstrom == 0.0
    if crystal.cell_angstrom is None and not any(own) and is_scale_free:
        return "the orientation matrix is in proportion to it: use crystal.orientation_matrix"
    return None


def polarization_axis(setup: Setup) -> str | None:
    sampling = setup.sampling
    spreads = max(sampling.divergence_h.count, sampling.divergence_v.count) > 1
    is_used = setup.choices.has_polarization or (spreads and setup.experiment.beam.sources is None)
    missing = given("beam.polarization_axis")(setup)
    return missing if is_used else "there is neither polarization correction nor divergence"


def weight(setup: Setup) -> str | None:
    if setup.experiment.beam.sources is None:
        return listed(setup)
    if setup.quirks.source_weights_ignored:
        return "the quirk source_weights_ignored is on"
    if setup.choices.source_count == 1:
        return "there is only one source: use beam.fluence_photons_per_m2"
    return None


def cell_angle(setup: Setup) -> str | None:
    if _is_given(setup, "crystal.orientation_matrix"):
        return "the matrix has the angles: use crystal.orientation_matrix"
    return given("crystal.cell_angstrom")(setup)


def oscillation(setup: Setup) -> str | None:
    if setup.sampling.phi.rule == "as given":
        return given("goniometer.osc_deg")(setup) or "phi_step_deg says where the steps are"
    return given("goniometer.osc_deg")(setup)


def normal(setup: Setup) -> str | None:
    if normal_is_recomputed(setup.experiment):
        return "it is no unit vector, so fast x slow replaces it: use those axes"
    return given("detector.normal_axis")(setup)


def distance(setup: Setup) -> str | None:
    if _is_given(setup, "detector.close_distance_mm"):
        return "the close distance decides: use detector.close_distance_mm"
    return close_distance(setup)


def close_distance(setup: Setup) -> str | None:
    if setup.geometry.placement.point == "corner":
        return f"pix0_m says where the detector is: use {ORIGIN}"
    return None


def other_centre(name: str) -> Obstacle:
    """For a number that may say where a point of the detector is."""

    def obstacle(setup: Setup) -> str | None:
        paths = setup.geometry.placement.paths
        if name in paths:
            return None
        if not paths:
            return close_distance(setup)
        instead = " and ".join(paths)
        return f"with this convention, pivot and centre other numbers count: use {instead}"

    return obstacle


def thickness(setup: Setup) -> str | None:
    if not setup.choices.has_sensor:
        return "there is no sensor"
    return None if setup.sampling.layers.range_given else "the configuration does not give it"
