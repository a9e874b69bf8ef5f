"""Integer, PGM and noise images of a rendered image (model 8), computed in C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanobragg_hybrid import _core
from nanobragg_hybrid.base.arrays import as_buffer
from nanobragg_hybrid.engines.c.bridge import mask_bytes, to_core, translated_errors
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors

if TYPE_CHECKING:
    from nanobragg_hybrid.base.arrays import Array, Buffer
    from nanobragg_hybrid.model.mask import Mask

Roi = tuple[int, int, int, int]
"""Inclusive bounds fast_min, fast_max, slow_min, slow_max; a reversed range is empty."""


def odd_pixels(image: Array, roi: Roi, mask: Mask | None) -> dict[str, int]:
    """How many pixels of `roi` that the mask keeps are NaN, infinite or below 0, and where the
    first ones are: the members of the C header's `nbh_odd_pixels`.

    image: float32, shape (slow, fast).
    """
    with translated_errors():
        return _core.odd_pixels(as_buffer(image), roi, None if mask is None else mask_bytes(mask))


def integer_image(
    image: Array, roi: Roi, scale: float, max_value: float, adc_offset: float
) -> tuple[Buffer, float]:
    """The 16-bit image, shape (slow, fast), and the scale used.

    A `scale` <= 0 becomes 55000/`max_value`, or 1 if that is not positive.  Pixels outside `roi`
    are 0.  Raises `ConfigError` for a scale or offset that is not finite, or a region outside.
    """
    with translated_errors():
        return _core.integer_image(image, roi, scale, max_value, adc_offset)


def pgm_image(
    image: Array, scale: float, rmsd: float, integer_scale: float
) -> tuple[Buffer, float]:
    """The 8-bit image, shape (slow, fast), and the scale used.

    A `scale` <= 0 becomes 250/(5 `rmsd`), or `integer_scale` if the rmsd is not positive.  Raises
    `ConfigError` for a scale that is not finite.
    """
    with translated_errors():
        return _core.pgm_image(image, scale, rmsd, integer_scale)


def noise_image(
    image: Array, roi: Roi, adc_offset: float, random_state: object, seed: int
) -> tuple[Buffer, float, int]:
    """The 16-bit image with photon-counting noise (model 7.5), shape (slow, fast); the photons
    before clipping; how many pixels were clipped.

    The same arguments give the same image.  Raises as `NoiseStream.draw`.
    """
    return NoiseStream(random_state, seed).draw(image, roi, adc_offset)


class NoiseStream:
    """Photon-counting noise for the rows of an image, from the first to the last.

    `random_state` is that of the rendered plan and stays as it is; `seed` is the number that the
    user gives, of 32 bits.
    """

    def __init__(self, random_state: object, seed: int) -> None:
        if not isinstance(random_state, _core.Random):
            raise TypeError("random_state is not one of the C engine's results")
        self._random = random_state.copy()
        # -seed starts the stream; -INT32_MIN wraps as a C int does.
        self._seed = (-seed + 2**31) % 2**32 - 2**31

    def draw(self, rows: Array, roi: Roi, adc_offset: float) -> tuple[Buffer, float, int]:
        """What `noise_image` has, of the next rows; `roi` counts from the first of them.

        Raises `ConfigError` for an offset that is not finite, or a region outside.
        """
        with translated_errors():
            pixels, photons, overloads, self._seed = _core.noise_image(
                rows, roi, adc_offset, self._random, self._seed
            )
        return pixels, photons, overloads


def random_state(experiment: Experiment, quirks: Quirks) -> object:
    """The random generator after the set-up of an experiment, whatever engine rendered it.

    Raises what `simulate` raises for an experiment that cannot be rendered.
    """
    table = StructureFactors.constant(0.0)
    with translated_errors(experiment):
        plan = _core.Plan(to_core(experiment, quirks), None, *table.hkl_min, table.default_f)
        return plan.random_state()
