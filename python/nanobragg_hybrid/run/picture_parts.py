"""Integer, PGM and noise images (model 8) as memory that files are written from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.model.result import SimulationResult
from nanobragg_hybrid.model.validate import FINITE, INT32, POSITIVE, Rule

if TYPE_CHECKING:
    from nanobragg_hybrid.base.arrays import Buffer

    _Rows = Callable[[int, int], tuple[Buffer, float]]
    """Makes the pixels of rows, from the first number up to the second, and says the scale used."""
    _Draw = Callable[[int, int], tuple[Buffer, float, int]]
    """The same with noise: the pixels, the photons drawn, the overloads."""


class ImageParts(NamedTuple):
    """An integer or PGM image that need not be whole in memory.

    scale_used: counts or levels per unit of intensity.  blocks: called, computes the image's rows
    from the first to the last, in blocks (slow, fast) of some rows each.
    """

    scale_used: float
    blocks: Callable[[], Iterator[Buffer]]


class NoiseParts:
    """An image with Poisson noise that need not be whole in memory.

    photons, overloads: as in `images.NoiseImage`, of the rows drawn so far.  seed: the seed used.
    """

    def __init__(self, result: SimulationResult) -> None:
        self.photons = 0.0
        self.overloads = 0
        self.seed, self._draw = noise_rows(result, None, None)
        self._shape = result.image_buffer.shape

    def blocks(self) -> Iterator[Buffer]:
        """Draws the rows, once, from the first to the last, some at a time."""
        for first, end in _cuts(self._shape):
            pixels, photons, overloads = self._draw(first, end)
            self.photons += photons
            self.overloads += overloads
            yield pixels


def integer_image_parts(result: SimulationResult) -> ImageParts:
    """The pixels of `images.integer_image` in parts.  Raises as that does."""
    return _in_parts(result, integer_rows(result, None, None))


def pgm_image_parts(result: SimulationResult) -> ImageParts:
    """The pixels of `images.pgm_image` in parts.  Raises as that does."""
    return _in_parts(result, pgm_rows(result, None))


def noise_image_parts(result: SimulationResult) -> NoiseParts:
    """The pixels of `images.noise_image` in parts.  Raises as that does."""
    return NoiseParts(result)


_PIXELS_AT_A_TIME: Final = 2**16


def _in_parts(result: SimulationResult, rows: _Rows) -> ImageParts:
    def blocks() -> Iterator[Buffer]:
        for first, end in _cuts(result.image_buffer.shape):
            yield rows(first, end)[0]

    return ImageParts(rows(0, 1)[1], blocks)


def _cuts(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """The first row of each block and the first behind it."""
    n_slow, n_fast = shape
    step = max(1, _PIXELS_AT_A_TIME // n_fast)
    return ((first, min(first + step, n_slow)) for first in range(0, n_slow, step))


def _roi(result: SimulationResult, first: int, end: int) -> tuple[int, int, int, int]:
    """The region of interest as a block of rows counts."""
    fast_min, fast_max, slow_min, slow_max = result.geometry.roi
    return fast_min, fast_max, max(slow_min, first) - first, min(slow_max + 1, end) - 1 - first


def integer_rows(result: SimulationResult, scale: float | None, adc_offset: float | None) -> _Rows:
    """The rows of `images.integer_image`.  Raises as that does."""
    from nanobragg_hybrid.engines.c import images

    scale, adc_offset = _intensity_scale(result, scale), _adc_offset(result, adc_offset)
    image = result.image_buffer

    def rows(first: int, end: int) -> tuple[Buffer, float]:
        return images.integer_image(
            image[first:end],
            _roi(result, first, end),
            scale=scale,
            max_value=result.statistics.max,
            adc_offset=adc_offset,
        )

    return rows


def pgm_rows(result: SimulationResult, scale: float | None) -> _Rows:
    """The rows of `images.pgm_image`.  Raises as that does."""
    from nanobragg_hybrid.engines.c import images

    scale = _checked("scale", scale, POSITIVE, result.experiment.output.pgm_scale, 0.0)
    image, brightest = result.image_buffer, result.statistics.max
    integer_scale = _intensity_scale(result, None)
    if integer_scale <= 0.0:
        integer_scale = 55000.0 / brightest if brightest > 0.0 else 1.0

    def rows(first: int, end: int) -> tuple[Buffer, float]:
        return images.pgm_image(
            image[first:end],
            scale=scale,
            rmsd=result.statistics.rmsd,
            integer_scale=integer_scale,
        )

    return rows


def noise_rows(
    result: SimulationResult, seed: int | None, adc_offset: float | None
) -> tuple[int, _Draw]:
    """The seed used, and what draws the rows of `images.noise_image`, asked for in their order.

    Raises as that does.
    """
    from nanobragg_hybrid.engines.c import images

    own_seed = result.experiment.output.noise_seed
    used = _checked("seed", seed, INT32, own_seed, None)
    if used is None:
        raise ConfigError("seed", None, "a seed here or in output.noise_seed")
    offset = _adc_offset(result, adc_offset)
    stream = images.NoiseStream(_random_state(result), used)
    image = result.image_buffer

    def draw(first: int, end: int) -> tuple[Buffer, float, int]:
        return stream.draw(image[first:end], _roi(result, first, end), offset)

    return used, draw


def _random_state(result: SimulationResult) -> object:
    """The random generator after set-up; an engine that has none of its own leaves it to ours."""
    if result.random_state is not None:
        return result.random_state
    from nanobragg_hybrid.engines.c import images

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
