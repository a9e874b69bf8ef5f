"""What a fit may be told, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from nanobragg_hybrid.base.errors import ConfigError, Description, suggestion
from nanobragg_hybrid.fitting.coordinates import FARTHEST_TURN_DEG, Coordinates
from nanobragg_hybrid.fitting.likelihoods import Array
from nanobragg_hybrid.fitting.problem import Priors
from nanobragg_hybrid.model.validate import Rule

_PRIOR: Final = "(value, sigma), numbers or one for each of the parameter's, sigma > 0"


LARGEST_CONE_DEG: Final = 180.0
"""All orientations."""


def checked(name: str, value: object, rule: Rule, unit: str = "") -> Any:
    """The value as the rule stores it; `ConfigError`."""
    try:
        return rule.normalise(value)
    except ValueError:
        raise ConfigError(name, value, rule.text, unit) from None


def checked_turn(
    name: str, value: object, rule: Rule, largest_deg: float = FARTHEST_TURN_DEG
) -> float:
    """An angle, degrees, up to that which a fit can go from where it starts, or to another one;
    `ConfigError`."""
    angle: float = checked(name, value, rule, "deg")
    if angle > largest_deg:
        why = ", since no fit goes farther" if largest_deg == FARTHEST_TURN_DEG else ""
        raise ConfigError(name, value, f"at most {largest_deg:g}{why}", "deg")
    return angle


def for_each_image(name: str, given: Any, count: int, dimensions: int, *, one_for_all: bool) -> Any:
    """What each of several images is given, `count` of them in a list; `ConfigError`.

    given: a list or tuple with one for each image, or an array that has one dimension more than
    that of an image; with `one_for_all` anything else is that of every image.
    """
    rule = f"a list with one for each of {count} images"
    is_stack = isinstance(given, np.ndarray) and given.ndim == dimensions + 1
    if isinstance(given, list | tuple) or is_stack:
        if len(given) != count:
            raise ConfigError(name, Description(f"{len(given)} of them"), rule)
        return list(given)
    if not one_for_all:
        is_array = isinstance(given, np.ndarray)
        what = Description(f"an array of shape {given.shape}") if is_array else given
        raise ConfigError(name, what, rule)
    return [given] * count


def photons_variance(given: ArrayLike, gain: float, shape: tuple[int, int]) -> Array:
    """The read-out's variance in photons^2, shape (slow, fast), from counts^2."""
    array = _real_numbers(given)
    is_shaped = array is not None and array.shape in ((), shape)
    if array is None or not is_shaped or not np.all(np.isfinite(array) & (array >= 0.0)):
        is_number = array is None or array.ndim == 0
        value = given if is_number else Description(f"an array of shape {np.shape(given)}")
        rule = f"a finite number >= 0, or one for each pixel, shape {shape} (slow, fast)"
        raise ConfigError("readout_variance", value, rule, "counts^2")
    return np.broadcast_to(array / gain**2, shape)


def _real_numbers(given: object) -> Array | None:
    """A number or an array of real numbers as float64; None for anything else."""
    try:
        array = np.asarray(given)
    except (TypeError, ValueError, OverflowError):
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None


def checked_priors(priors: object, coordinates: Coordinates) -> Priors:
    """The priors of all numbers u, in order; `ConfigError`.

    What is known of a parameter of which there are several holds for each.
    """
    names = {block.name for block in coordinates.blocks}
    if priors is not None and not isinstance(priors, Mapping):
        raise ConfigError("priors", priors, f"a mapping from parameters to {_PRIOR}")
    given: Mapping[Any, Any] = priors or {}
    for name in given:
        if name not in names:
            rule = f"one of the parameters that are fitted{suggestion(name, names)}"
            raise ConfigError("priors", name, rule)
    values, sigmas = [np.zeros(0)], [np.zeros(0)]
    for block in coordinates.blocks:
        name = block.name
        size = block.numbers(block.start).size
        value, sigma = np.zeros(size), np.full(size, np.inf)
        if name in given:
            value, sigma = _prior(name, given[name], size)
        values.append(value)
        sigmas.append(sigma)
    return Priors(np.concatenate(values), np.concatenate(sigmas))


def _prior(name: str, prior: object, size: int) -> tuple[Array, Array]:
    field = f"priors[{name}]"
    if not isinstance(prior, tuple | list) or len(prior) != 2:
        raise ConfigError(field, prior, _PRIOR)
    value, sigma = (_real_numbers(part) for part in prior)
    if value is None or sigma is None:
        raise ConfigError(field, prior, _PRIOR)
    value, sigma = value.ravel(), sigma.ravel()
    if value.size not in (1, size) or sigma.size not in (1, size):
        raise ConfigError(field, prior, f"{_PRIOR} ({size})")
    if not np.isfinite(value).all() or not bool(np.all(sigma > 0.0)):
        raise ConfigError(field, prior, _PRIOR)
    return np.broadcast_to(value, size), np.broadcast_to(sigma, size)
