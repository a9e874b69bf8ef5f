"""From counts to photons: what the user says of the read-out, or the experiment's response."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.fitting.coordinates import FLUENCE, SCALE
from nanobragg_hybrid.fitting.cut_off import NO_LIMITS, Limits
from nanobragg_hybrid.fitting.likelihoods import COUNTED, Array, Growth, Likelihood
from nanobragg_hybrid.fitting.options import checked, photons_variance
from nanobragg_hybrid.fitting.pixels import counts_of
from nanobragg_hybrid.fitting.stack import Stack
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.pixel_maps import bad_pixels, relative_gains
from nanobragg_hybrid.model.response import Response
from nanobragg_hybrid.model.validate import FINITE, POSITIVE

_LEFT_OUT: Final = {"gain": None, "adc_offset": None, "readout_variance": 0.0}


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
    tell nothing, None: none.  limits: between which counts can be.
    """

    counts: NDArray[Any]
    variance: Array
    gain: float | Array
    offset: float
    growth: Growth = COUNTED
    bad: NDArray[np.bool_] | None = None
    limits: Limits = NO_LIMITS


def checked_counts(
    measured: Measured,
    experiment: Experiment,
    response: Response | None,
    stack: Stack | None,
    names: tuple[str, ...],
    likelihood: Likelihood,
) -> Counts:
    """What is known of the counts of one image; `ConfigError`.

    experiment: of the image, or of the stack of panels.  names: of the fitted parameters.
    """
    shape = experiment.detector.shape
    if response is not None:
        return _by_response(measured, response, shape, stack, names, likelihood)
    gain: float = checked("gain", measured.gain, POSITIVE, "counts/photon")
    offset: float = checked("adc_offset", measured.adc_offset, FINITE, "counts")
    counts = counts_of(measured.data, shape)
    variance = photons_variance(measured.readout_variance, gain, shape)
    limits = Limits.of_type(counts.dtype, has_noise=bool(np.any(variance > 0.0)))
    return Counts(counts, variance, gain, offset, limits=limits)


def _by_response(
    measured: Measured,
    response: Response,
    shape: tuple[int, int],
    stack: Stack | None,
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
    gain = _gains(response, shape, stack)
    constant = response.read_noise**2 + response.rounding_variance
    variance = np.broadcast_to(np.asarray(constant / np.square(gain), dtype=np.float64), shape)
    offset = response.pedestal
    if response.rounding == "down" and response.rounding_variance > 0.0:
        offset -= 0.5
    square = response.frame_gain_error**2
    growth = Growth(1.0 + square if response.shot_noise else 0.0, square)
    return Counts(
        counts,
        variance,
        gain,
        offset,
        growth,
        _bad(response, shape, stack),
        Limits.of_response(response),
    )


def _gains(
    response: Response, shape: tuple[int, int], stack: Stack | None
) -> float | NDArray[np.float64]:
    """Counts per photon, of the stack's panels each its own; 1 where no panel is."""
    if stack is None:
        relative = relative_gains(response, shape)
        return response.gain if relative is None else response.gain * relative
    maps = [relative_gains(response.of_panel(n), own) for n, own in enumerate(stack.shapes)]
    known = [each for each in maps if each is not None]
    if not known:
        return response.gain
    gains: NDArray[np.float64] = response.gain * stack.stacked("gains", known)
    gains[gains == 0.0] = 1.0
    return gains


def _bad(
    response: Response, shape: tuple[int, int], stack: Stack | None
) -> NDArray[np.bool_] | None:
    """Dead and hot pixels, None: none."""
    if stack is None:
        blind = bad_pixels(response, shape)
        return None if blind is None else blind[0] | blind[1]
    maps = [bad_pixels(response.of_panel(n), own) for n, own in enumerate(stack.shapes)]
    known = [each[0] | each[1] for each in maps if each is not None]
    return stack.stacked("bad pixels", known) if known else None


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
