"""Configuration to C structs and C errors back to the configuration."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nanobragg_hybrid import _core
from nanobragg_hybrid.base import units
from nanobragg_hybrid.base.errors import (
    BackendError,
    ConfigError,
    RenderCancelled,
    ResourceError,
    UnsupportedError,
)
from nanobragg_hybrid.engines.c import bridge
from nanobragg_hybrid.engines.c.plan import Plan
from nanobragg_hybrid.model.beam import Beam, Source
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.detector import Detector
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.goniometer import Goniometer
from nanobragg_hybrid.model.mask import Mask
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.sampling import Sampling
from nanobragg_hybrid.model.structure_factors import StructureFactors

CELL = Crystal(cell_angstrom=(70.0, 80.0, 90.0), cell_deg=(75.0, 85.0, 95.0))
F100 = StructureFactors.constant(100.0)


def _core_of(**parts: Any) -> _core.Experiment:
    return bridge.to_core(Experiment(**parts), Quirks())


def test_conversions_are_those_of_the_model() -> None:
    core = _core_of(
        beam=Beam(
            wavelength_angstrom=0.97,
            divergence_h_mrad=0.3,
            divergence_v_step_mrad=0.7,
            dispersion_percent=0.3,
            beam_size_mm=0.07,
        ),
        crystal=Crystal(
            cell_angstrom=(70.1, 80.2, 90.3),
            cell_deg=(75.1, 85.2, 95.3),
            misset_deg=(1.1, 2.2, 3.3),
            size_mm=(0.03, None, 0.07),
            mosaic_spread_deg=0.7,
            water_um=7.0,
        ),
        goniometer=Goniometer(phi_deg=33.3, osc_deg=0.1, phi_step_deg=0.03),
        detector=Detector(
            distance_mm=123.4,
            pixel_size_mm=0.172,
            beam_x_mm=1.1,
            rotation_deg=(1.1, 2.2, 3.3),
            twotheta_deg=7.7,
            sensor_thickness_um=450.0,
            sensor_attenuation_depth_um=234.0,
        ),
        sampling=Sampling(dmin_angstrom=1.7),
    )
    rtd = 180.0 * 0.31830988618379067154
    assert core.beam.wavelength_m == 0.97 / 1.0e10
    assert core.beam.divergence_h_rad == 0.3 / 1000.0
    assert core.beam.divergence_v_step_rad == 0.7 / 1000.0
    assert core.beam.divergence_v_rad == _core.UNSET
    assert core.beam.dispersion_fraction == 0.3 / 100.0
    assert core.beam.beam_size_m == 0.07 / 1000.0
    assert core.crystal.cell_length_angstrom == [70.1, 80.2, 90.3]
    assert core.crystal.cell_angle_rad == [75.1 / rtd, 85.2 / rtd, 95.3 / rtd]
    assert core.crystal.misset_rad == [1.1 / rtd, 2.2 / rtd, 3.3 / rtd]
    assert core.crystal.size_m == [0.03 / 1000.0, _core.UNSET, 0.07 / 1000.0]
    assert core.crystal.mosaic_spread_rad == 0.7 / rtd
    assert core.crystal.water_size_m == 7.0 / 1e6
    assert core.goniometer.phi_rad == 33.3 / rtd
    assert core.goniometer.osc_rad == 0.1 / rtd
    assert core.goniometer.phi_step_rad == 0.03 / rtd
    assert core.detector.distance_m == 123.4 / 1000.0
    assert core.detector.pixel_size_m == 0.172 / 1000.0
    assert core.detector.beam_x_m == 1.1 / 1000.0
    assert core.detector.beam_y_m == _core.UNSET
    assert core.detector.rotation_rad == [1.1 / rtd, 2.2 / rtd, 3.3 / rtd]
    assert core.detector.twotheta_rad == 7.7 / rtd
    assert core.detector.sensor_thickness_m == 450.0 * 1e-6
    assert core.detector.sensor_attenuation_per_m == 1.0 / (234.0 * 1e-6)
    assert core.sampling.dmin_m == 1.7 * 1e-10
    assert rtd == units.RTD


def test_not_given() -> None:
    core = _core_of(
        beam=Beam(dispersion_percent=None),
        detector=Detector(sensor_thickness_um=None),
        sampling=Sampling(roi=(None, 5, 2, None)),
    )
    assert core.beam.dispersion_fraction == -1.0
    assert core.detector.sensor_thickness_m == -1.0
    roi = core.sampling
    assert (roi.roi_fast_min, roi.roi_fast_max) == (_core.UNSET_INT, 5)
    assert (roi.roi_slow_min, roi.roi_slow_max) == (2, _core.UNSET_INT)
    assert core.crystal.mosaic_spread_rad == _core.UNSET
    assert core.crystal.cell_length_angstrom[0] == _core.UNSET
    assert core.sampling.interpolate == _core.UNSET_INT


def test_switches_and_words() -> None:
    core = _core_of(
        beam=Beam(polarization_correction=False, divergence_shape="square"),
        crystal=Crystal(shape="tophat_hkl", misset_random=True, misset_seed=5, mosaic_seed=-7),
        detector=Detector(
            convention="dials",
            pivot="sample",
            curved=True,
            sensor_attenuation_depth_um=math.inf,
        ),
        sampling=Sampling(interpolate=False, oversample_omega=True),
    )
    assert core.beam.polarization_off == core.beam.divergence_square == 1
    assert (core.crystal.shape, core.crystal.misset_random) == (5, 1)
    assert (core.crystal.misset_seed, core.crystal.mosaic_seed) == (5, -7)
    assert (core.detector.convention, core.detector.pivot, core.detector.curved) == (5, 0, 1)
    assert core.detector.sensor_attenuation_per_m == 0.0
    assert (core.sampling.interpolate, core.sampling.oversample_omega) == (0, 1)
    assert bridge.to_core(Experiment(), Quirks.nanobragg_fixed()).quirks & 0x3FFFFFF == 0x37FFFFC


def test_sources_reach_the_plan() -> None:
    beam = Beam(
        sources=(
            Source((3.0, 4.0, 0.0), 2.0, 1.5e-10),
            Source((None, 0.0, 0.0), 0.5, None),
        )
    )
    plan = Plan(Experiment(beam=beam, crystal=CELL), F100, Quirks())
    assert plan.sources().tolist() == [
        [0.6, 0.8, 0.0, 2.0, 1.5e-10],
        [-1.0, 0.0, 0.0, 0.5, 1e-10],
    ]


def test_mask_reaches_the_plan() -> None:
    values = np.arange(12).reshape(3, 4) % 3 != 0
    detector = Detector(n_fast=4, n_slow=3, mask=Mask(values))
    plan = Plan(Experiment(crystal=CELL, detector=detector), F100, Quirks())
    image, _, omega_sum = plan.render(1, None, False)
    assert np.array_equal(image > 0.0, values)
    statistics = plan.statistics(image, omega_sum)
    assert (statistics.pixels, statistics.pixels_in_roi) == (8, 12)


def test_too_small_a_mask_names_both_sizes() -> None:
    core = _core_of(crystal=CELL, detector=Detector(n_fast=4, n_slow=3))
    core.set_mask(np.ones((2, 4), np.uint8))
    with pytest.raises(_core.Error) as caught:
        _core.Plan(core, None, 0, 0, 0, 1.0)
    translated = bridge.to_exception(caught.value, Experiment())
    assert isinstance(translated, ConfigError)
    assert translated.field == "detector.mask"
    assert translated.rule == "4 x 3 = 12, one for each pixel"
    core.set_mask(np.ones((3, 4), np.uint8))
    assert _core.Plan(core, None, 0, 0, 0, 1.0).info()["n_fast"] == 4


@pytest.mark.parametrize("rows", [np.zeros((2, 4)), np.zeros(5)])
def test_sources_have_five_columns(rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match="shape"):
        _core.Experiment().set_sources(rows)


def test_vectors_have_their_length() -> None:
    core = _core.Experiment()
    core.beam.direction = (0.0, 0.0, 1.0)
    assert core.beam.direction == [0.0, 0.0, 1.0]
    with pytest.raises(TypeError):
        core.beam.direction = (0.0, 1.0)


def test_blame_names_the_field_the_value_and_the_unit() -> None:
    # so small that it becomes 0 in metres: only the C library can see it
    experiment = Experiment(crystal=CELL, beam=Beam(wavelength_angstrom=5e-324))
    with pytest.raises(ConfigError) as caught:
        Plan(experiment, F100, Quirks())
    assert str(caught.value) == (
        "beam.wavelength_angstrom: got 5e-324 angstrom, need a finite value > 0"
    )


def test_blame_without_a_cell() -> None:
    with pytest.raises(ConfigError, match=r"^crystal\.cell_angstrom: got None, need a cell or"):
        Plan(Experiment(), F100, Quirks())


def test_blame_for_too_many_steps() -> None:
    experiment = Experiment(crystal=CELL, sampling=Sampling(oversample=50000))
    with pytest.raises(ConfigError, match=r"50000 \* 50000 sub-pixels\)$") as caught:
        Plan(experiment, F100, Quirks())
    assert caught.value.rule.startswith("a product of at most 2147483647 steps (")


def _error(ffi: Any, status: int, field: str = "", message: str = "it") -> Any:
    error = _core.Error(message)
    error.status, error.field, error.message, error.line = status, field, message, 0
    return error


def test_each_status_has_its_exception(ffi: Any) -> None:
    expected = {
        "NBH_INVALID": ConfigError,
        "NBH_OUT_OF_MEMORY": ResourceError,
        "NBH_TOO_LARGE": ConfigError,
        "NBH_FILE_FORMAT": BackendError,
        "NBH_STRUCT_SIZE": BackendError,
        "NBH_NOT_IMPLEMENTED": UnsupportedError,
        "NBH_NOT_SETTLED": BackendError,
        "NBH_CANCELLED": RenderCancelled,
    }
    numbers = dict(ffi.typeof("nbh_status").relements)
    assert numbers.pop("NBH_OK") == 0
    assert numbers.keys() == expected.keys()
    for name, number in numbers.items():
        translated = bridge.to_exception(_error(ffi, number))
        assert type(translated) is expected[name]
        assert "it" in str(translated)


def test_fields_the_user_does_not_know_keep_the_message(ffi: Any) -> None:
    error = _error(ffi, 1, "threads", "got 0, need 1 to 1024")
    assert str(bridge.to_exception(error, Experiment())) == "threads: got 0, need 1 to 1024"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("NBH_INVALID", "capacity: got this, need something else: too odd"),
        ("NBH_TOO_LARGE", "capacity: got too much, need less: too odd"),
    ],
)
def test_messages_of_another_form_are_kept(ffi: Any, status: str, expected: str) -> None:
    error = _error(ffi, ffi.typeof("nbh_status").relements[status], "capacity", "too odd")
    assert str(bridge.to_exception(error, Experiment())) == expected


def test_memory_errors_become_resource_errors() -> None:
    with pytest.raises(ResourceError, match="64 PiB"), bridge.translated_errors():
        raise MemoryError("64 PiB")


def test_random_missetting_takes_a_seed_from_the_clock() -> None:
    experiment = Experiment(crystal=Crystal(cell_angstrom=(50.0, 50.0, 50.0), misset_random=True))
    assert Plan(experiment, F100, Quirks()).experiment.crystal.misset_seed is not None
    seeded = experiment.replace({"crystal.misset_seed": 3})
    assert Plan(seeded, F100, Quirks()).experiment is seeded
