"""Expected counts: background, point spread and gain, by torch's operators (model 9, 10)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import ConfigError, Description, suggestion
from nanobragg_hybrid.base.units import m_to_um
from nanobragg_hybrid.engines.torch.eager.background import background_numbers, background_photons
from nanobragg_hybrid.engines.torch.eager.point_spread import spread
from nanobragg_hybrid.engines.torch.scenes.pixels import ActivePixels, Roi
from nanobragg_hybrid.engines.torch.scenes.scene import Choices, Scene
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.pixel_maps import relative_gains

_PARTS = ("background.", "response.")
_FWHM = "response.point_spread.gaussian_fwhm_um"
_FIBRE = "response.point_spread.fibre_radius_um"


def is_light(name: object) -> bool:
    """Whether a value's name is one of background and response."""
    return isinstance(name, str) and name.startswith(_PARTS)


def light_numbers(experiment: Experiment) -> dict[str, float | tuple[float, ...]]:
    """The numbers of background and response that expected counts are differentiable in."""
    found: dict[str, float | tuple[float, ...]] = {}
    if experiment.background is not None:
        found.update(background_numbers(experiment.background))
    response = experiment.response
    if response is not None:
        found["response.gain"] = response.gain
        if response.point_spread is not None:
            if response.point_spread.gaussian_fwhm_um > 0.0:
                found[_FWHM] = response.point_spread.gaussian_fwhm_um
            if response.point_spread.fibre_radius_um > 0.0:
                found[_FIBRE] = response.point_spread.fibre_radius_um
    return found


def light_values(
    experiment: Experiment, values: Mapping[str, Any], device: torch.device
) -> dict[str, Tensor]:
    """Every number of `light_numbers` as a float64 tensor: as given, which may have a batch
    dimension in front, or the experiment's own.

    Raises `ConfigError` for a name that is none, and for a wrong type, shape or device.
    """
    numbers = light_numbers(experiment)
    found = {
        name: torch.tensor(value, dtype=torch.float64, device=device)
        for name, value in numbers.items()
    }
    for name, value in values.items():
        field = f"values[{name}]"
        if name not in numbers:
            rule = f"a name of expected_initial(){suggestion(name, numbers)}"
            raise ConfigError("values", name, rule)
        if not isinstance(value, Tensor) or not value.dtype.is_floating_point:
            raise ConfigError(field, Description(str(type(value))), "a tensor of real numbers")
        shape = tuple(found[name].shape)
        extra = value.dim() - len(shape)
        if extra not in (0, 1) or tuple(value.shape[extra:]) != shape:
            rule = f"shape {shape}, or that with a batch dimension in front"
            raise ConfigError(field, Description(f"shape {tuple(value.shape)}"), rule)
        if value.device != found[name].device:
            raise ConfigError(field, Description(f"a tensor on {value.device}"), f"one on {device}")
        found[name] = value.to(torch.float64)
    return found


def batched_light(experiment: Experiment, light: Mapping[str, Tensor]) -> dict[str, int]:
    """Of the values that have a batch dimension, its length."""
    numbers = light_numbers(experiment)
    dims = {name: 1 if isinstance(value, tuple) else 0 for name, value in numbers.items()}
    return {name: len(value) for name, value in light.items() if value.dim() > dims[name]}


def source_region(experiment: Experiment, roi: Roi, pixel_um: float) -> Roi:
    """The region whose light spreads into a region of interest, both inclusive."""
    response = experiment.response
    fast_min, fast_max, slow_min, slow_max = roi
    if response is None or response.point_spread is None or fast_max < fast_min:
        return roi
    given = response.point_spread
    reach = 0
    if given.gaussian_fwhm_um > 0.0:
        reach += math.ceil(given.gaussian_reach_um / pixel_um)
    if given.fibre_radius_um > 0.0:
        reach += math.ceil(given.fibre_reach_um / pixel_um)
    n_slow, n_fast = experiment.detector.shape
    return (
        max(fast_min - reach, 0),
        min(fast_max + reach, n_fast - 1),
        max(slow_min - reach, 0),
        min(slow_max + reach, n_slow - 1),
    )


def expected_counts(
    experiment: Experiment,
    scene: Scene,
    choices: Choices,
    source: ActivePixels,
    active: ActivePixels,
    image: Tensor,
    values: Mapping[str, Tensor],
) -> Tensor:
    """The expected counts of one panel, float64, shape (slow, fast), above the pedestal, before
    noise.

    image: the Bragg image of the pixels `source`, whose light spreads into the active ones, of
    which the scene is; values: `light_values`, without batch.
    """
    light = image.to(torch.float64)
    if experiment.background is not None:
        photons, _ = background_photons(experiment.background, scene, choices, source, values)
        light = light + source.image(photons)
    response = experiment.response
    if response is None:
        return light
    if response.point_spread is not None and source.count > 0:
        pixel_um = m_to_um(scene.pixel)
        fwhm, fibre = values.get(_FWHM), values.get(_FIBRE)
        fast_min, fast_max, slow_min, slow_max = source.roi
        rectangle = light[slow_min : slow_max + 1, fast_min : fast_max + 1]
        rectangle = spread(rectangle, response.point_spread, pixel_um, fwhm, fibre)
        n_slow, n_fast = light.shape
        margins = (fast_min, n_fast - 1 - fast_max, slow_min, n_slow - 1 - slow_max)
        light = torch.nn.functional.pad(rectangle, margins)
        if active.count < light.numel():
            ones = torch.ones(active.count, dtype=torch.float64, device=light.device)
            light = light * active.image(ones)
    gains = relative_gains(response, experiment.detector.shape)
    if gains is not None:
        light = light * torch.from_numpy(gains).to(light.device)
    return light * values["response.gain"]
