"""Integer, PGM and noise images of a result (model 8), whole or in blocks of rows.

The command writes files from blocks, as memory, without numpy; Python has whole arrays.  Both take
their pixels from the same three functions, `_integer_rows`, `_pgm_rows` and `_noise_rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.base.arrays import as_ndarray
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.engines.c import images
from nanobragg_hybrid.model.result import SimulationResult
from nanobragg_hybrid.model.validate import FINITE, INT32, POSITIVE, Rule, require_class

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.base.arrays import Buffer

    _Rows = Callable[[int, int], tuple[Buffer, float]]
    """Makes the pixels of rows, from the first number up to the second, and says the scale used."""
    _Draw = Callable[[int, int], tuple[Buffer, float, int]]
    """The same with noise: the pixels, the photons drawn, the overloads."""


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
    `ConfigError`, also for several panels, for which there is `integer_images`.
    """
    require_class("result", result, SimulationResult)
    pixels, scale_used = _integer_rows(result, scale, adc_offset)(0, len(result.image_buffer))
    return IntegerImage(as_ndarray(pixels), scale_used)


def pgm_image(result: SimulationResult, scale: float | None = None) -> PgmImage:
    """The image in 256 levels: pixel * scale, truncated, at most 255.

    `scale` (> 0) is that of `Output` where None; without one there either, it follows from the rmsd
    of the image.  Raises `ConfigError`, also for several panels: see `pgm_images`.
    """
    require_class("result", result, SimulationResult)
    pixels, scale_used = _pgm_rows(result, scale)(0, len(result.image_buffer))
    return PgmImage(as_ndarray(pixels), scale_used)


def noise_image(
    result: SimulationResult, seed: int | None = None, adc_offset: float | None = None
) -> NoiseImage:
    """The image as a photon counter would see it: Poisson deviates plus adc_offset (model 7.5).

    `seed` (32 bits) and `adc_offset` (counts) are those of `Output` where None.  The same result
    and seed give the same image, however often it is drawn.  Raises `ConfigError`, also for several
    panels: see `noise_images`.
    """
    require_class("result", result, SimulationResult)
    used, draw = _noise_rows(result, seed, adc_offset)
    pixels, photons, overloads = draw(0, len(result.image_buffer))
    return NoiseImage(as_ndarray(pixels), photons, overloads, used)


def integer_images(
    result: SimulationResult, scale: float | None = None, adc_offset: float | None = None
) -> tuple[IntegerImage, ...]:
    """`integer_image` of each panel, with one scale for all: without one, the brightest pixel of
    all panels becomes 55000."""
    require_class("result", result, SimulationResult)
    brightest = result.statistics.max
    made = []
    for panel in result.panels:
        rows = _integer_rows(panel, scale, adc_offset, brightest)
        pixels, scale_used = rows(0, len(panel.image_buffer))
        made.append(IntegerImage(as_ndarray(pixels), scale_used))
    return tuple(made)


def pgm_images(result: SimulationResult, scale: float | None = None) -> tuple[PgmImage, ...]:
    """`pgm_image` of each panel, with one scale for all: without one, by the rmsd of all pixels."""
    require_class("result", result, SimulationResult)
    made = []
    for panel in result.panels:
        pixels, scale_used = _pgm_rows(panel, scale, result)(0, len(panel.image_buffer))
        made.append(PgmImage(as_ndarray(pixels), scale_used))
    return tuple(made)


def noise_images(
    result: SimulationResult, seed: int | None = None, adc_offset: float | None = None
) -> tuple[NoiseImage, ...]:
    """`noise_image` of each panel, drawn one after the other from one stream of deviates.

    The first has the noise that its panel has alone; the others go on from there, so that no two
    panels have the same noise.
    """
    require_class("result", result, SimulationResult)
    made: list[NoiseImage] = []
    stream: images.NoiseStream | None = None
    for panel in result.panels:
        used, stream, draw = _noise_stream(panel, seed, adc_offset, stream)
        pixels, photons, overloads = draw(0, len(panel.image_buffer))
        made.append(NoiseImage(as_ndarray(pixels), photons, overloads, used))
    return tuple(made)


class ImageParts:
    """An integer or PGM image that need not be whole in memory.

    scale_used: counts or levels per unit of intensity.
    """

    def __init__(self, shape: tuple[int, ...], rows: _Rows) -> None:
        self.scale_used = rows(0, 1)[1]
        self._shape, self._rows = shape, rows

    def blocks(self) -> Iterator[Buffer]:
        """Computes the rows from the first to the last, in blocks (slow, fast) of some rows."""
        for first, end in _cuts(self._shape):
            yield self._rows(first, end)[0]


class NoiseParts:
    """An image with Poisson noise that need not be whole in memory.

    photons, overloads: as in `NoiseImage`, of the rows drawn so far.  seed: the seed used.
    """

    def __init__(self, result: SimulationResult) -> None:
        self.photons = 0.0
        self.overloads = 0
        self.seed, self._draw = _noise_rows(result, None, None)
        self._shape = result.image_buffer.shape

    def blocks(self) -> Iterator[Buffer]:
        """Draws the rows, once, from the first to the last, some at a time."""
        for first, end in _cuts(self._shape):
            pixels, photons, overloads = self._draw(first, end)
            self.photons += photons
            self.overloads += overloads
            yield pixels


def integer_image_parts(result: SimulationResult) -> ImageParts:
    """The pixels of `integer_image` in parts.  Raises as that does."""
    return ImageParts(result.image_buffer.shape, _integer_rows(result, None, None))


def pgm_image_parts(result: SimulationResult) -> ImageParts:
    """The pixels of `pgm_image` in parts.  Raises as that does."""
    return ImageParts(result.image_buffer.shape, _pgm_rows(result, None))


def noise_image_parts(result: SimulationResult) -> NoiseParts:
    """The pixels of `noise_image` in parts.  Raises as that does."""
    return NoiseParts(result)


_PIXELS_AT_A_TIME: Final = 2**16


def _cuts(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """The first row of each block and the first behind it."""
    n_slow, n_fast = shape
    step = max(1, _PIXELS_AT_A_TIME // n_fast)
    return ((first, min(first + step, n_slow)) for first in range(0, n_slow, step))


def _roi(result: SimulationResult, first: int, end: int) -> tuple[int, int, int, int]:
    """The region of interest as a block of rows counts."""
    fast_min, fast_max, slow_min, slow_max = result.plan.roi
    return fast_min, fast_max, max(slow_min, first) - first, min(slow_max + 1, end) - 1 - first


def _integer_rows(
    result: SimulationResult,
    scale: float | None,
    adc_offset: float | None,
    brightest: float | None = None,
) -> _Rows:
    """The rows of `integer_image`; brightest: the pixel that becomes 55000, this image's if None.

    Raises as that does."""
    scale, adc_offset = _intensity_scale(result, scale), _adc_offset(result, adc_offset)
    image = result.image_buffer
    max_value = result.statistics.max if brightest is None else brightest

    def rows(first: int, end: int) -> tuple[Buffer, float]:
        return images.integer_image(
            image[first:end],
            _roi(result, first, end),
            scale=scale,
            max_value=max_value,
            adc_offset=adc_offset,
        )

    return rows


def _pgm_rows(
    result: SimulationResult, scale: float | None, of: SimulationResult | None = None
) -> _Rows:
    """The rows of `pgm_image`; of: whose statistics count, this image's if None.

    Raises as that does."""
    statistics = result.statistics if of is None else of.statistics
    scale = _checked("scale", scale, POSITIVE, result.experiment.output.pgm_scale, 0.0)
    image, brightest = result.image_buffer, statistics.max
    integer_scale = _intensity_scale(result, None)
    if integer_scale <= 0.0:
        integer_scale = 55000.0 / brightest if brightest > 0.0 else 1.0

    def rows(first: int, end: int) -> tuple[Buffer, float]:
        return images.pgm_image(
            image[first:end],
            scale=scale,
            rmsd=statistics.rmsd,
            integer_scale=integer_scale,
        )

    return rows


def _noise_rows(
    result: SimulationResult, seed: int | None, adc_offset: float | None
) -> tuple[int, _Draw]:
    """The seed used, and what draws the rows of `noise_image`, asked for in their order.

    Raises as that does.
    """
    used, _, draw = _noise_stream(result, seed, adc_offset, None)
    return used, draw


def _noise_stream(
    result: SimulationResult,
    seed: int | None,
    adc_offset: float | None,
    stream: images.NoiseStream | None,
) -> tuple[int, images.NoiseStream, _Draw]:
    """The same and the stream it draws from, a new one if None."""
    own_seed = result.experiment.output.noise_seed
    used = _checked("seed", seed, INT32, own_seed, None)
    if used is None:
        raise ConfigError("seed", None, "a seed here or in output.noise_seed")
    offset = _adc_offset(result, adc_offset)
    image = result.image_buffer
    own = images.NoiseStream(_random_state(result), used) if stream is None else stream

    def draw(first: int, end: int) -> tuple[Buffer, float, int]:
        return own.draw(image[first:end], _roi(result, first, end), offset)

    return used, own, draw


def _random_state(result: SimulationResult) -> object:
    """The random generator after set-up; an engine that has none of its own leaves it to ours."""
    if result.random_state is not None:
        return result.random_state
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
