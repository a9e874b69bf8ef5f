"""Expected counts: background, point spread and gain, by torch's operators (model 9, 10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import ConfigError, Description, suggestion
from nanobragg_hybrid.base.units import m_to_um
from nanobragg_hybrid.engines.torch.background import background_numbers, background_photons
from nanobragg_hybrid.engines.torch.pixels import ActivePixels
from nanobragg_hybrid.engines.torch.point_spread import spread
from nanobragg_hybrid.engines.torch.scalars import as_float
from nanobragg_hybrid.engines.torch.scene import Choices, Scene
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.pixel_maps import relative_gains

_PARTS = ("background.", "response.")
_FWHM = "response.point_spread.gaussian_fwhm_um"
_FIBRE = "response.point_spread.fibre_radius_um"


class Expected(NamedTuple):
    """counts: float64, shape (slow, fast), above the pedestal, before noise.  background: photons,
    of the same shape, or None.  outside: see `background_photons`."""

    counts: Tensor
    background: Tensor | None
    outside: tuple[int, ...]


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
    """Every number of `light_numbers` as a float64 tensor: as given, or the experiment's own.

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
        if tuple(value.shape) != shape:
            raise ConfigError(field, Description(f"shape {tuple(value.shape)}"), f"shape {shape}")
        if value.device != found[name].device:
            raise ConfigError(field, Description(f"a tensor on {value.device}"), f"one on {device}")
        found[name] = value.to(torch.float64)
    return found


def expected_counts(
    experiment: Experiment,
    scene: Scene,
    choices: Choices,
    active: ActivePixels,
    image: Tensor,
    values: Mapping[str, Tensor],
) -> Expected:
    """The expected counts of one panel, whose Bragg image is given; values: `light_values`."""
    light = image.to(torch.float64)
    background: Tensor | None = None
    outside: tuple[int, ...] = ()
    if experiment.background is not None:
        photons, outside = background_photons(experiment.background, scene, choices, active, values)
        background = active.image(photons)
        light = light + background
    response = experiment.response
    if response is not None:
        if response.point_spread is not None:
            edges = (as_float(scene.pixel), as_float(scene.pixel_slow))
            pixel_um = m_to_um(edges[0]), m_to_um(edges[1])
            fwhm, fibre = values.get(_FWHM), values.get(_FIBRE)
            light = spread(light, response.point_spread, pixel_um, fwhm, fibre)
            if active.count < light.numel():
                ones = torch.ones(active.count, dtype=torch.float64, device=light.device)
                light = light * active.image(ones)
        gains = relative_gains(response, experiment.detector.shape)
        if gains is not None:
            light = light * torch.from_numpy(gains).to(light.device)
        light = light * values["response.gain"]
    return Expected(light, background, outside)
