"""Integer, PGM and noise images of a result: settings, defaults, checks (model 8)."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid import (
    ConfigError,
    Crystal,
    Detector,
    Experiment,
    Output,
    Sampling,
    SimulationResult,
    StructureFactors,
    integer_image,
    noise_image,
    pgm_image,
    simulate,
)
from nanobragg_hybrid.run import pictures

EXPERIMENT = Experiment(
    crystal=Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5)),
    detector=Detector(n_fast=24, n_slow=20, pixel_size_mm=1.0),
    sampling=Sampling(roi=(2, 20, 3, 19)),
    output=Output(noise_seed=7),
)


def _result(**output: Any) -> SimulationResult:
    experiment = EXPERIMENT.replace({f"output.{name}": value for name, value in output.items()})
    return simulate(experiment, StructureFactors.constant(100), threads=1)


def _expected_integers(result: SimulationResult, scale: float, adc: float) -> np.ndarray:
    values = result.image.astype(np.float64) * scale + adc
    counts = np.floor((np.clip(values, 0, 65535) + 0.5).astype(np.float32)).astype(np.uint16)
    inside = np.zeros_like(counts)
    inside[3:20, 2:21] = counts[3:20, 2:21]
    return inside


def test_integer_image_makes_the_brightest_pixel_55000() -> None:
    result = _result()
    image = integer_image(result)
    assert image.scale_used == 55000.0 / result.statistics.max
    assert image.pixels.max() == 55040
    assert np.array_equal(image.pixels, _expected_integers(result, image.scale_used, 40.0))


def test_integer_image_takes_its_settings_from_the_experiment() -> None:
    result = _result(intensity_scale=2.5, adc_offset=10)
    image = integer_image(result)
    assert image.scale_used == 2.5
    assert np.array_equal(image.pixels, _expected_integers(result, 2.5, 10.0))


def test_integer_image_takes_its_settings_from_the_call() -> None:
    result = _result(intensity_scale=2.5, adc_offset=10)
    image = integer_image(result, scale=3, adc_offset=0)
    assert image.scale_used == 3.0
    assert np.array_equal(image.pixels, _expected_integers(result, 3.0, 0.0))


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@for_each("pixels_at_a_time", [1, 24, 100, 1000])
@for_each("roi", [(2, 20, 3, 19), (None, None, None, None), (5, 4, 3, 2), (0, 3, 7, 7)])
def test_parts_are_the_whole_image(
    pixels_at_a_time: int, roi: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_PIXELS_AT_A_TIME", pixels_at_a_time)
    experiment = EXPERIMENT.replace({"sampling.roi": roi})
    result = simulate(experiment, StructureFactors.constant(100), threads=1)
    rows = max(1, pixels_at_a_time // 24)
    for whole, parts in (
        (integer_image(result), pictures.integer_image_parts(result)),
        (pgm_image(result), pictures.pgm_image_parts(result)),
    ):
        assert parts.scale_used == whole.scale_used
        for _ in range(2):  # as often as one likes
            blocks = list(parts.blocks())
            assert [len(block) for block in blocks[:-1]] == [rows] * ((20 - 1) // rows)
            assert np.concatenate(blocks).tobytes() == whole.pixels.tobytes()
    noise, drawn = noise_image(result), pictures.noise_image_parts(result)
    assert (drawn.photons, drawn.overloads, drawn.seed) == (0.0, 0, noise.seed)
    blocks = list(drawn.blocks())
    assert [len(block) for block in blocks[:-1]] == [rows] * ((20 - 1) // rows)
    assert np.concatenate(blocks).tobytes() == noise.pixels.tobytes()
    assert (drawn.photons, drawn.overloads) == (noise.photons, noise.overloads)


def test_pgm_image_scales_by_the_rmsd() -> None:
    result = _result()
    image = pgm_image(result)
    assert image.scale_used == 250.0 / (5.0 * result.statistics.rmsd)
    expected = np.minimum(result.image.astype(np.float64) * image.scale_used, 255.0)
    assert np.array_equal(image.pixels, expected.astype(np.uint8))


def test_pgm_image_takes_its_scale_from_the_experiment_or_the_call() -> None:
    result = _result(pgm_scale=0.02)
    assert pgm_image(result).scale_used == 0.02
    assert pgm_image(result, scale=0.5).scale_used == 0.5


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@pytest.mark.parametrize(("scale", "used"), [(None, 1.0), (2.5, 2.5)])
def test_dark_pgm_image_takes_the_integer_scale(scale: float | None, used: float) -> None:
    dark = simulate(
        EXPERIMENT.replace({"output.intensity_scale": scale}), StructureFactors.constant(0)
    )
    assert pgm_image(dark).scale_used == used
    assert integer_image(dark).scale_used == used


def test_single_pixel_pgm_takes_the_scale_of_the_brightest_pixel() -> None:
    result = _result()
    flat = dataclasses.replace(result, statistics=dataclasses.replace(result.statistics, rmsd=0.0))
    assert pgm_image(flat).scale_used == 55000.0 / result.statistics.max


def test_noise_image_is_the_same_for_the_same_seed() -> None:
    result = _result()
    first, second = noise_image(result), noise_image(result)
    assert first.seed == 7
    assert np.array_equal(first.pixels, second.pixels)
    assert first.photons == second.photons > 0
    other = noise_image(result, seed=8)
    assert other.seed == 8
    assert not np.array_equal(first.pixels, other.pixels)


def test_noise_image_counts_photons_and_overloads() -> None:
    result = _result()
    image = noise_image(result, adc_offset=0)
    assert image.photons == image.pixels.sum(dtype=np.int64)
    assert image.overloads == 0
    bright = noise_image(result, adc_offset=65536)
    assert bright.overloads == 19 * 17
    assert noise_image(result, adc_offset=10).pixels.min() == 0  # outside the region


def test_noise_image_needs_a_seed() -> None:
    result = _result()
    bare = dataclasses.replace(result, experiment=Experiment())
    with pytest.raises(ConfigError, match="seed: got None"):
        noise_image(bare)
    assert noise_image(bare, seed=1).seed == 1


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), "1"])
def test_other_scales_are_refused(scale: Any) -> None:
    result = _result()
    for image in (integer_image, pgm_image):
        with pytest.raises(ConfigError, match="scale: got"):
            image(result, scale=scale)


@pytest.mark.parametrize("adc_offset", [float("nan"), float("inf"), "1", True])
def test_other_offsets_are_refused(adc_offset: Any) -> None:
    result = _result()
    for image in (integer_image, noise_image):
        with pytest.raises(ConfigError, match="adc_offset: got"):
            image(result, adc_offset=adc_offset)


@pytest.mark.parametrize("seed", [2**31, -(2**31) - 1, 1.0, "1", True])
def test_other_seeds_are_refused(seed: Any) -> None:
    with pytest.raises(ConfigError, match="seed: got"):
        noise_image(_result(), seed=seed)
