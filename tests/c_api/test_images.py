"""Integer, PGM and noise images (model 8)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest

from nanobragg_hybrid import _core
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.engines.c import images

WHOLE = (0, 3, 0, 1)


def integer_image(*args: Any) -> tuple[np.ndarray, float]:
    pixels, scale = images.integer_image(*args)
    return np.asarray(pixels), scale


def pgm_image(*args: Any) -> tuple[np.ndarray, float]:
    pixels, scale = images.pgm_image(*args)
    return np.asarray(pixels), scale


class Noise(NamedTuple):
    pixels: np.ndarray
    photons: float
    overloads: int


def noise_image(*args: Any) -> Noise:
    pixels, photons, overloads = images.noise_image(*args)
    return Noise(np.asarray(pixels), photons, overloads)


def _image(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32).reshape(2, 4)


def test_integer_image_rounds_half_up_and_clips() -> None:
    image = _image(0.0, 0.25, 0.5, -1.0, 65534.4, 65534.6, 1e9, math.nan)
    pixels, scale = integer_image(image, WHOLE, 1.0, 0.0, 0.0)
    assert scale == 1.0
    assert pixels.dtype == np.uint16
    # 65534.4 is 65534.3984375 as a float
    assert pixels.tolist() == [[0, 0, 1, 0], [65534, 65535, 65535, 0]]


def test_integer_image_rounds_the_sum_to_float_first() -> None:
    # 0.49999997 + 0.5 is below 1 as a double and 1 as a float
    image = _image(0.49999997, *[0.0] * 7)
    pixels, _ = integer_image(image, WHOLE, 1.0, 0.0, 0.0)
    assert float(image[0, 0]) + 0.5 < 1.0
    assert pixels[0, 0] == 1


@pytest.mark.parametrize(
    ("scale", "max_value", "used"),
    [
        (2.0, 10.0, 2.0),
        (0.0, 10.0, 5500.0),
        (-1.0, 10.0, 5500.0),
        (0.0, 0.0, 1.0),
        (0.0, -3.0, 1.0),
    ],
)
def test_integer_scale(scale: float, max_value: float, used: float) -> None:
    image = _image(*range(8))
    pixels, scale_used = integer_image(image, WHOLE, scale, max_value, 40.0)
    assert scale_used == used
    assert pixels.ravel().tolist() == [min(65535, int(i * used + 40.0)) for i in range(8)]


def test_integer_image_is_zero_outside_the_region() -> None:
    image = _image(*[1.0] * 8)
    pixels, _ = integer_image(image, (1, 2, 1, 1), 1.0, 0.0, 40.0)
    assert pixels.tolist() == [[0, 0, 0, 0], [0, 41, 41, 0]]
    for empty in [(2, 1, 0, 1), (0, 3, 1, 0)]:
        assert not integer_image(image, empty, 1.0, 0.0, 40.0)[0].any()


def test_pgm_image_truncates_and_clips() -> None:
    image = _image(0.0, 0.99, 1.0, 2.5, 127.6, 255.0, 300.0, math.nan)
    pixels, scale = pgm_image(image, 1.0, 0.0, 0.0)
    assert scale == 1.0
    assert pixels.dtype == np.uint8
    assert pixels.ravel().tolist() == [0, 0, 1, 2, 127, 255, 255, 0]


@pytest.mark.parametrize(
    ("scale", "rmsd", "used"),
    [(2.0, 10.0, 2.0), (0.0, 10.0, 5.0), (0.0, 0.0, 7.0), (0.0, math.nan, 7.0)],
)
def test_pgm_scale(scale: float, rmsd: float, used: float) -> None:
    pixels, scale_used = pgm_image(_image(*range(8)), scale, rmsd, 7.0)
    assert scale_used == used
    assert pixels.ravel().tolist() == [int(i * used) for i in range(8)]


def test_noise_image_follows_the_stream_in_raster_order() -> None:
    image = _image(5.0, 5.0, 5.0, 5.0, 100.0, 70000.0, math.nan, 0.0)
    noise = noise_image(image, WHOLE, 40.0, _core.Random(), 7)
    assert noise.pixels.dtype == np.uint16
    assert noise.overloads == 1
    assert noise.pixels[1].tolist()[1:] == [65535, 0, 40]
    assert math.isnan(noise.photons)

    counts = noise_image(image, (0, 3, 0, 0), 0.0, _core.Random(), 7).pixels
    assert counts[0].tolist() == [n - 40 for n in noise.pixels[0].tolist()]
    assert not counts[1].any()


@pytest.mark.parametrize("width", [1, 255, 256, 257, 600])
def test_noise_image_draws_pixel_by_pixel(ffi: Any, lib: Any, width: int) -> None:
    """What is prepared in blocks or remembered gives the deviates of one call after the other."""
    rng = np.random.default_rng(width)
    means = (10.0 ** rng.uniform(-2.0, 7.0, size=(3, width))).astype(np.float32)
    means[0, rng.random(width) < 0.3] = 0.0
    means[1, rng.random(width) < 0.3] = np.float32(30.0)
    means[2, -1] = math.nan
    state, seed = ffi.new("nbh_random *"), ffi.new("int32_t *", -11)
    lib.nbh_random_init(state)
    single = [lib.nbh_poisson_deviate(state, seed, mean) for mean in means.ravel().tolist()]
    assert math.isnan(single.pop())
    random = _core.Random()
    buffer, photons, _, last_seed = _core.noise_image(means, (0, width - 1, 0, 2), 0.0, random, -11)
    pixels = np.asarray(buffer)
    assert pixels.ravel().tolist() == [int(min(count, 65535.0)) for count in single] + [0]
    assert math.isnan(photons)
    assert last_seed == seed[0]
    _, _, _, goes_on = _core.noise_image(means, (0, width - 1, 0, 2), 0.0, random, last_seed)
    for mean in means.ravel().tolist():
        lib.nbh_poisson_deviate(state, seed, mean)
    assert goes_on == seed[0]


@pytest.mark.parametrize("width", [1, 2, 3, 7, 8, 33])
def test_vectorised_images_follow_the_rule(width: int) -> None:
    """Widths that fill registers and that leave pixels over; a region that starts anywhere."""
    rng = np.random.default_rng(width)
    special = [math.nan, math.inf, -math.inf, -0.0, 0.5, 65535.0, 65534.504, 1e-45, 3e9, -3e9, -3.5]
    image = rng.uniform(-1e5, 1e5, size=(9, width)).astype(np.float32)
    image[rng.random(image.shape) < 0.3] = np.float32(rng.choice(special))
    image.ravel()[: len(special)] = special[: image.size]
    roi = (width // 3, width - 1, 1, 7)

    def integer(pixel: float) -> int:
        x = pixel * 0.7 + 40.0
        x = 65535.0 if x > 65535.0 else x
        x = 0.0 if x < 0.0 or math.isnan(x) else x
        return int(np.float32(x + 0.5))

    def level(pixel: float) -> int:
        x = min(pixel * 0.7, 255.0) if not math.isnan(pixel) else math.nan
        return int(x) % 256 if x > -2147483649.0 else 0

    pixels, _ = integer_image(image, roi, 0.7, 0.0, 40.0)
    inside = np.zeros(image.shape, dtype=bool)
    inside[1:8, width // 3 :] = True
    need = [integer(float(p)) if i else 0 for p, i in zip(image.flat, inside.flat, strict=True)]
    assert pixels.ravel().tolist() == need
    levels, _ = pgm_image(image, 0.7, 0.0, 0.0)
    assert levels.ravel().tolist() == [level(float(p)) for p in image.flat]


def test_noise_image_is_repeatable_and_depends_on_the_seed() -> None:
    image, state = _image(*[50.0] * 8), _core.Random()
    first = noise_image(image, WHOLE, 40.0, state, 7)
    again = noise_image(image, WHOLE, 40.0, state, 7)
    other = noise_image(image, WHOLE, 40.0, state, 8)
    assert np.array_equal(first.pixels, again.pixels)
    assert first.photons == float(first.pixels.sum(dtype=np.int64)) - 8 * 40.0
    assert not np.array_equal(first.pixels, other.pixels)


def test_noise_below_zero_keeps_the_low_bits() -> None:
    noise = noise_image(_image(*[0.0] * 8), WHOLE, -1.5, _core.Random(), 7)
    assert noise.pixels.tolist() == [[65535] * 4] * 2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_must_be_finite(bad: float) -> None:
    image = _image(*[0.0] * 8)
    with pytest.raises(ConfigError, match=r"^scale: got .*, need a finite value"):
        integer_image(image, WHOLE, bad, 0.0, 40.0)
    with pytest.raises(ConfigError, match=r"^adc_offset: got .*, need a finite value"):
        integer_image(image, WHOLE, 1.0, 0.0, bad)
    with pytest.raises(ConfigError, match=r"^scale: got .*, need a finite value"):
        pgm_image(image, bad, 1.0, 1.0)
    with pytest.raises(ConfigError, match=r"^adc_offset: got .*, need a finite value"):
        noise_image(image, WHOLE, bad, _core.Random(), 1)


@pytest.mark.parametrize("roi", [(-1, 3, 0, 1), (0, 4, 0, 1), (0, 3, -1, 1), (0, 3, 0, 2)])
def test_region_must_lie_inside(roi: tuple[int, int, int, int]) -> None:
    with pytest.raises(ConfigError, match=r"^roi\.(fast|slow)_max: got .*, need 0 to [13]$"):
        integer_image(_image(*[0.0] * 8), roi, 1.0, 0.0, 40.0)


def test_arrays_are_not_converted() -> None:
    doubles = np.zeros((2, 4))
    with pytest.raises(TypeError):
        pgm_image(doubles, 1.0, 1.0, 1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        pgm_image(np.zeros((4, 4), np.float32)[:, ::2], 1.0, 1.0, 1.0)
    with pytest.raises(ConfigError, match=r"^image: got 1 dimensions, need \(slow, fast\)"):
        pgm_image(np.zeros(8, np.float32), 1.0, 1.0, 1.0)


def test_random_state_must_be_one() -> None:
    with pytest.raises(TypeError, match="random_state"):
        noise_image(_image(*[0.0] * 8), WHOLE, 40.0, object(), 1)
