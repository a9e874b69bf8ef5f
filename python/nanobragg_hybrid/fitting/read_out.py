"""From counts to photons: what the user says of the read-out, or the experiment's response."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.fitting.coordinates import FLUENCE, SCALE
from nanobragg_hybrid.fitting.likelihoods import COUNTED, Array, Growth, Likelihood
from nanobragg_hybrid.fitting.options import checked, photons_variance
from nanobragg_hybrid.fitting.pixels import counts_of
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.pixel_maps import bad_pixels, relative_gains
from nanobragg_hybrid.model.response import Response
from nanobragg_hybrid.model.validate import FINITE, POSITIVE

_LEFT_OUT: Final = {"gain": 1.0, "adc_offset": 0.0, "readout_variance": 0.0}


class Measured(NamedTuple):
    """What a user gives for one image, unchecked."""

    data: Any
    boxes: Any
    mask: Any
    gain: Any
    adc_offset: Any
    readout_variance: Any


class Counts(NamedTuple):
    """Data, shape (slow, fast), and what makes photons of them.

    variance: of the read-out, photons^2, shape (slow, fast).  gain: counts per photon, one or that
    of each pixel.  offset: counts.  growth: of the variance with the expectation.  bad: pixels that
    tell nothing, None: none.
    """

    counts: NDArray[Any]
    variance: Array
    gain: float | Array
    offset: float
    growth: Growth = COUNTED
    bad: NDArray[np.bool_] | None = None


def checked_counts(
    measured: Measured, experiment: Experiment, names: tuple[str, ...], likelihood: Likelihood
) -> Counts:
    """What is known of the counts of one image; `ConfigError`.  names: of the fitted parameters."""
    shape = experiment.detector.shape
    if experiment.response is not None:
        return _by_response(measured, experiment.response, shape, names, likelihood)
    gain: float = checked("gain", measured.gain, POSITIVE, "counts/photon")
    offset: float = checked("adc_offset", measured.adc_offset, FINITE, "counts")
    counts = counts_of(measured.data, shape)
    return Counts(counts, photons_variance(measured.readout_variance, gain, shape), gain, offset)


def _by_response(
    measured: Measured,
    response: Response,
    shape: tuple[int, int],
    names: tuple[str, ...],
    likelihood: Likelihood,
) -> Counts:
    """Photons that a pixel's own gain stands for (model 10.2 to 10.4)."""
    for name, nothing in _LEFT_OUT.items():
        given = getattr(measured, name)
        if np.ndim(given) > 0 or given != nothing:
            what = Description(f"an array of shape {np.shape(given)}") if np.ndim(given) else given
            raise ConfigError(name, what, "nothing: experiment.response says it")
    _require_likelihood(response, likelihood)
    if response.flicker > 0.0 and not {SCALE, FLUENCE} & set(names):
        rule = "0, or scale among the parameters: it is one factor for all pixels of an image"
        raise ConfigError("experiment.response.flicker", response.flicker, rule)
    counts = counts_of(measured.data, shape)
    relative = relative_gains(response, shape)
    gain = response.gain if relative is None else response.gain * relative
    constant = response.read_noise**2 + response.rounding_variance
    variance = np.broadcast_to(np.asarray(constant / np.square(gain), dtype=np.float64), shape)
    offset = response.pedestal
    if response.rounding == "down" and response.rounding_variance > 0.0:
        offset -= 0.5
    square = response.frame_gain_error**2
    growth = Growth(1.0 + square if response.shot_noise else 0.0, square)
    bad = None if np.isinf(response.most_counts) else counts >= response.most_counts
    blind = bad_pixels(response, shape)
    if blind is not None:
        blind_too = blind[0] | blind[1]
        bad = blind_too if bad is None else bad | blind_too
    return Counts(counts, variance, gain, offset, growth, bad)


def _require_likelihood(response: Response, likelihood: Likelihood) -> None:
    """Raises `ConfigError` for Poisson's of counts that are no photons and read-out noise."""
    if likelihood != "poisson":
        return
    why = None
    if not response.shot_noise:
        why = "the response has no shot noise"
    elif response.frame_gain_error > 0.0:
        why = f"the response has a frame_gain_error, {response.frame_gain_error:g}"
    if why is not None:
        raise ConfigError("likelihood", likelihood, f"gaussian, since {why}")
