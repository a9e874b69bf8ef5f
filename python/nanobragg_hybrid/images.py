"""Integer, PGM and noise images of a result (model 8)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .config.validate import FINITE, INT32, POSITIVE, Rule
from .errors import ConfigError
from .result import SimulationResult


class IntegerImage(NamedTuple):
    """pixels: uint16, shape (slow, fast).  scale_used: counts per unit of intensity."""

    pixels: NDArray[np.uint16]
    scale_used: float


class PgmImage(NamedTuple):
    """pixels: uint8, shape (slow, fast).  scale_used: levels per unit of intensity."""

    pixels: NDArray[np.uint8]
    scale_used: float


class NoiseImage(NamedTuple):
    """pixels: uint16, shape (slow, fast), with Poisson noise.

    photons: sum of the drawn photons.  overloads: pixels that did not fit into 16 bits.  seed: the
    seed that was used.
    """

    pixels: NDArray[np.uint16]
    photons: float
    overloads: int
    seed: int


def integer_image(
    result: SimulationResult, scale: float | None = None, adc_offset: float | None = None
) -> IntegerImage:
    """The image in integers: pixel * scale + adc_offset, rounded, clipped to 16 bits.

    `scale` (> 0) and `adc_offset` (counts) are those of `Output` where None; without a scale there
    either, the brightest pixel becomes 55000.  Outside the region of interest it is 0.  Raises
    `ConfigError`.
    """
    from .c_engine import images

    pixels, scale_used = images.integer_image(
        result.image,
        result.geometry.roi,
        scale=_intensity_scale(result, scale),
        max_value=result.statistics.max,
        adc_offset=_adc_offset(result, adc_offset),
    )
    return IntegerImage(pixels, scale_used)


def pgm_image(result: SimulationResult, scale: float | None = None) -> PgmImage:
    """The image in 256 levels: pixel * scale, truncated, at most 255.

    `scale` (> 0) is that of `Output` where None; without one there either, it follows from the rmsd
    of the image.  Raises `ConfigError`.
    """
    from .c_engine import images

    brightest = result.statistics.max
    integer_scale = _intensity_scale(result, None)
    if integer_scale <= 0.0:
        integer_scale = 55000.0 / brightest if brightest > 0.0 else 1.0
    pixels, scale_used = images.pgm_image(
        result.image,
        scale=_checked("scale", scale, POSITIVE, result.experiment.output.pgm_scale, 0.0),
        rmsd=result.statistics.rmsd,
        integer_scale=integer_scale,
    )
    return PgmImage(pixels, scale_used)


def noise_image(
    result: SimulationResult, seed: int | None = None, adc_offset: float | None = None
) -> NoiseImage:
    """The image as a photon counter would see it: Poisson deviates plus adc_offset (model 7.5).

    `seed` (32 bits) and `adc_offset` (counts) are those of `Output` where None.  The same result
    and seed give the same image, however often it is drawn.  Raises `ConfigError`.
    """
    from .c_engine import images

    own_seed = result.experiment.output.noise_seed
    used = _checked("seed", seed, INT32, own_seed, None)
    if used is None:
        raise ConfigError("seed", None, "a seed here or in output.noise_seed")
    pixels, photons, overloads = images.noise_image(
        result.image,
        result.geometry.roi,
        adc_offset=_adc_offset(result, adc_offset),
        random_state=_random_state(result),
        seed=used,
    )
    return NoiseImage(pixels, photons, overloads, used)


def _random_state(result: SimulationResult) -> object:
    """The random generator after set-up; an engine that has none of its own leaves it to ours."""
    if result.random_state is not None:
        return result.random_state
    from .c_engine import images

    return images.random_state(result.experiment, result.quirks)


def _intensity_scale(result: SimulationResult, given: float | None) -> float:
    """The scale of the integer image; 0: by the brightest pixel."""
    scale: float = _checked("scale", given, POSITIVE, result.experiment.output.intensity_scale, 0.0)
    return scale


def _adc_offset(result: SimulationResult, given: float | None) -> float:
    offset: float = _checked("adc_offset", given, FINITE, result.experiment.output.adc_offset, 0.0)
    return offset


def _checked(name: str, given: object, rule: Rule, configured: Any, otherwise: Any) -> Any:
    """What was given, if it obeys its rule; else what is configured; else the last resort."""
    if given is None:
        return otherwise if configured is None else configured
    try:
        return rule.normalise(given)
    except ValueError:
        raise ConfigError(name, given, rule.text) from None
