"""Integer, PGM and noise images of a result (model 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nanobragg_hybrid.base.arrays import as_ndarray
from nanobragg_hybrid.model.result import SimulationResult
from nanobragg_hybrid.run.picture_parts import integer_rows, noise_rows, pgm_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
    pixels, scale_used = integer_rows(result, scale, adc_offset)(0, len(result.image_buffer))
    return IntegerImage(as_ndarray(pixels), scale_used)


def pgm_image(result: SimulationResult, scale: float | None = None) -> PgmImage:
    """The image in 256 levels: pixel * scale, truncated, at most 255.

    `scale` (> 0) is that of `Output` where None; without one there either, it follows from the rmsd
    of the image.  Raises `ConfigError`.
    """
    pixels, scale_used = pgm_rows(result, scale)(0, len(result.image_buffer))
    return PgmImage(as_ndarray(pixels), scale_used)


def noise_image(
    result: SimulationResult, seed: int | None = None, adc_offset: float | None = None
) -> NoiseImage:
    """The image as a photon counter would see it: Poisson deviates plus adc_offset (model 7.5).

    `seed` (32 bits) and `adc_offset` (counts) are those of `Output` where None.  The same result
    and seed give the same image, however often it is drawn.  Raises `ConfigError`.
    """
    used, draw = noise_rows(result, seed, adc_offset)
    pixels, photons, overloads = draw(0, len(result.image_buffer))
    return NoiseImage(as_ndarray(pixels), photons, overloads, used)
