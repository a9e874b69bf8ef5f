"""What a detector's pixels are by themselves, the same in every frame of a seed (model 10)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.philox import stream
from nanobragg_hybrid.model.response import Response

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def relative_gains(response: Response, shape: tuple[int, int]) -> NDArray[np.float64] | None:
    """Gain of each pixel over the mean gain, float64, shape (slow, fast); None: all are 1.

    Log-normal with mean 1 and standard deviation `gain_error`, so that no gain is below 0 (model
    10.2).
    """
    if response.gain_error == 0.0:
        return None
    import numpy as np

    variance = math.log1p(response.gain_error**2)
    gains = stream(response.seed, 0, response.panel, "gain map").standard_normal(shape)
    gains *= math.sqrt(variance)
    gains -= 0.5 * variance
    return np.exp(gains, out=gains)


def bad_pixels(
    response: Response, shape: tuple[int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Which pixels are dead and which are hot, shape (slow, fast); None: none is either.

    One that is both is dead.  Raises `ConfigError` for a pixel that the detector does not have.
    """
    fractions = response.dead_fraction, response.hot_fraction
    listed = response.dead_pixels, response.hot_pixels
    if not any(fractions) and not any(listed):
        return None
    import numpy as np

    dead, hot = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    if any(fractions):
        drawn = stream(response.seed, 0, response.panel, "bad pixels").random(shape)
        dead |= drawn < fractions[0]
        hot |= drawn >= 1.0 - fractions[1]
    for name, pixels, which in (("dead", listed[0], dead), ("hot", listed[1], hot)):
        for n, (fast, slow) in enumerate(pixels):
            if fast >= shape[1] or slow >= shape[0]:
                rule = f"(fast, slow) of the detector's {shape[1]} x {shape[0]} pixels"
                raise ConfigError(f"response.{name}_pixels[{n}]", (fast, slow), rule)
            which[slow, fast] = True
    return dead, hot & ~dead
