"""Integer, PGM and noise images (model 8)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nanobragg_hybrid import _core
from nanobragg_hybrid.c_engine import images
from nanobragg_hybrid.errors import ConfigError

WHOLE = (0, 3, 0, 1)


def _image(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32).reshape(2, 4)


def test_integer_image_rounds_half_up_and_clips() -> None:
    image = _image(0.0, 0.25, 0.5, -1.0, 65534.4, 65534.6, 1e9, math.nan)
    pixels, scale = images.integer_image(image, WHOLE, 1.0, 0.0, 0.0)
    assert scale == 1.0
    assert pixels.dtype == np.uint16
    # 65534.4 is 65534.3984375 as a float
    assert pixels.tolist() == [[0, 0, 1, 0], [65534, 65535, 65535, 0]]


def test_integer_image_rounds_the_sum_to_float_first() -> None:
    # 0.49999997 + 0.5 is below 1 as a double and 1 as a float
    image = _image(0.49999997, *[0.0] * 7)
    pixels, _ = images.integer_image(image, WHOLE, 1.0, 0.0, 0.0)
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
    pixels, scale_used = images.integer_image(image, WHOLE, scale, max_value, 40.0)
    assert scale_used == used
    assert pixels.ravel().tolist() == [min(65535, int(i * used + 40.0)) for i in range(8)]


def test_integer_image_is_zero_outside_the_region() -> None:
    image = _image(*[1.0] * 8)
    pixels, _ = images.integer_image(image, (1, 2, 1, 1), 1.0, 0.0, 40.0)
    assert pixels.tolist() == [[0, 0, 0, 0], [0, 41, 41, 0]]
    for empty in [(2, 1, 0, 1), (0, 3, 1, 0)]:
        assert not images.integer_image(image, empty, 1.0, 0.0, 40.0)[0].any()


def test_pgm_image_truncates_and_clips() -> None:
    image = _image(0.0, 0.99, 1.0, 2.5, 127.6, 255.0, 300.0, math.nan)
    pixels, scale = images.pgm_image(image, 1.0, 0.0, 0.0)
    assert scale == 1.0
    assert pixels.dtype == np.uint8
    assert pixels.ravel().tolist() == [0, 0, 1, 2, 127, 255, 255, 0]


@pytest.mark.parametrize(
    ("scale", "rmsd", "used"),
    [(2.0, 10.0, 2.0), (0.0, 10.0, 5.0), (0.0, 0.0, 7.0), (0.0, math.nan, 7.0)],
)
def test_pgm_scale(scale: float, rmsd: float, used: float) -> None:
    pixels, scale_used = images.pgm_image(_image(*range(8)), scale, rmsd, 7.0)
    assert scale_used == used
    assert pixels.ravel().tolist() == [int(i * used) for i in range(8)]


def test_noise_image_follows_the_stream_in_raster_order() -> None:
    image = _image(5.0, 5.0, 5.0, 5.0, 100.0, 70000.0, math.nan, 0.0)
    noise = images.noise_image(image, WHOLE, 40.0, _core.Random(), 7)
    assert noise.pixels.dtype == np.uint16
    assert noise.overloads == 1
    assert noise.pixels[1].tolist()[1:] == [65535, 0, 40]
    assert math.isnan(noise.photons)

    counts = images.noise_image(image, (0, 3, 0, 0), 0.0, _core.Random(), 7).pixels
    assert counts[0].tolist() == [n - 40 for n in noise.pixels[0].tolist()]
    assert not counts[1].any()


def test_noise_image_is_repeatable_and_depends_on_the_seed() -> None:
    image, state = _image(*[50.0] * 8), _core.Random()
    first = images.noise_image(image, WHOLE, 40.0, state, 7)
    again = images.noise_image(image, WHOLE, 40.0, state, 7)
    other = images.noise_image(image, WHOLE, 40.0, state, 8)
    assert np.array_equal(first.pixels, again.pixels)
    assert first.photons == float(first.pixels.sum(dtype=np.int64)) - 8 * 40.0
    assert not np.array_equal(first.pixels, other.pixels)


def test_noise_below_zero_keeps_the_low_bits() -> None:
    noise = images.noise_image(_image(*[0.0] * 8), WHOLE, -1.5, _core.Random(), 7)
    assert noise.pixels.tolist() == [[65535] * 4] * 2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_must_be_finite(bad: float) -> None:
    image = _image(*[0.0] * 8)
    with pytest.raises(ConfigError, match=r"^scale: got .*, need a finite value"):
        images.integer_image(image, WHOLE, bad, 0.0, 40.0)
    with pytest.raises(ConfigError, match=r"^adc_offset: got .*, need a finite value"):
        images.integer_image(image, WHOLE, 1.0, 0.0, bad)
    with pytest.raises(ConfigError, match=r"^scale: got .*, need a finite value"):
        images.pgm_image(image, bad, 1.0, 1.0)
    with pytest.raises(ConfigError, match=r"^adc_offset: got .*, need a finite value"):
        images.noise_image(image, WHOLE, bad, _core.Random(), 1)


@pytest.mark.parametrize("roi", [(-1, 3, 0, 1), (0, 4, 0, 1), (0, 3, -1, 1), (0, 3, 0, 2)])
def test_region_must_lie_inside(roi: tuple[int, int, int, int]) -> None:
    with pytest.raises(ConfigError, match=r"^roi\.(fast|slow)_max: got .*, need 0 to [13]$"):
        images.integer_image(_image(*[0.0] * 8), roi, 1.0, 0.0, 40.0)


def test_arrays_are_not_converted() -> None:
    doubles = np.zeros((2, 4))
    with pytest.raises(TypeError):
        images.pgm_image(doubles, 1.0, 1.0, 1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        images.pgm_image(np.zeros((4, 4), np.float32)[:, ::2], 1.0, 1.0, 1.0)
    with pytest.raises(ConfigError, match=r"^image: got 1 dimensions, need \(slow, fast\)"):
        images.pgm_image(np.zeros(8, np.float32), 1.0, 1.0, 1.0)


def test_random_state_must_be_one() -> None:
    with pytest.raises(TypeError, match="random_state"):
        images.noise_image(_image(*[0.0] * 8), WHOLE, 40.0, object(), 1)
