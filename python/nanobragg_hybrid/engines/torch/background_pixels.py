"""The background of some pixels, with the derivatives that a fit asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.engines.torch.eager.background import background_photons
from nanobragg_hybrid.engines.torch.eager.expected import is_light
from nanobragg_hybrid.engines.torch.model import ForwardModel
from nanobragg_hybrid.engines.torch.scenes.selection import Selection, chosen

_FLAT: Final = "background.flat_photons_per_pixel"
_MOVING: Final = ("background.", "beam.", "detector.")
"""How the names of numbers begin that a background depends on."""


class Parts(NamedTuple):
    """scattered: photons in proportion to the beam's fluence.  beside: the others.  Float64, shape
    (pixels,), or (numbers, pixels) for derivatives."""

    scattered: Tensor
    beside: Tensor


def moves_background(name: str) -> bool:
    """Whether a background may depend on a parameter."""
    return name.startswith(_MOVING)


class BackgroundPixels:
    """Photons beside the spots in some of the active pixels of a model (model 9).

    Raises `ConfigError` for an experiment without a background.
    """

    def __init__(self, model: ForwardModel, select: Selection) -> None:
        background = model.setup.experiment.background
        if background is None:
            raise ConfigError("config.background", None, "a background")
        self._model = model
        self._chosen = chosen(select, model.active_pixels, model.device)
        self._scattered = dataclasses.replace(background, radial=None, offsets=())
        self._beside = dataclasses.replace(background, scatterers=())
        self._initial = model.expected_initial()
        self._nothing = torch.zeros((), dtype=torch.float64, device=model.device)

    def parts(self, values: Mapping[str, Tensor]) -> Parts:
        """The photons; values: float64, by the names of `ForwardModel.parameters` and of
        `expected_initial`, of the right shapes."""
        light = {**self._initial, **{name: x for name, x in values.items() if is_light(name)}}
        scene = self._model.scene({name: x for name, x in values.items() if not is_light(name)})
        choices = self._model.setup.choices
        pixels = self._chosen.pixels
        without = {**light, _FLAT: self._nothing}
        scattered, _ = background_photons(self._scattered, scene, choices, pixels, without)
        beside, _ = background_photons(self._beside, scene, choices, pixels, light)
        return Parts(self._chosen.in_order(scattered), self._chosen.in_order(beside))

    def columns(self, values: Mapping[str, Tensor], names: Sequence[str]) -> Parts:
        """The derivatives by all numbers of `names`, one after the other.

        The gradient of a weighted sum of the photons is linear in the weights: its derivatives by
        these are the columns, in one backward pass each.
        """
        leaves = {
            name: values[name].detach().clone().requires_grad_()
            for name in names
            if moves_background(name)
        }
        if not leaves:
            count = sum(values[name].numel() for name in names)
            return Parts(*(part.new_zeros((count, *part.shape)) for part in self.parts(values)))
        with torch.enable_grad():
            parts = self.parts({**values, **leaves})
            weights = [torch.zeros_like(part).requires_grad_() for part in parts]
            products = [(part * weight).sum() for part, weight in zip(parts, weights, strict=True)]
            total = torch.stack(products).sum()
            found = torch.autograd.grad(
                total, list(leaves.values()), create_graph=True, allow_unused=True
            )
            gradients = dict(zip(leaves, found, strict=True))
        rows: list[list[Tensor]] = [[], []]
        for name in names:
            gradient = gradients.get(name)
            for n in range(values[name].numel()):
                if gradient is None or not gradient.requires_grad:
                    slopes: Sequence[Tensor | None] = (None, None)
                else:
                    slopes = torch.autograd.grad(
                        gradient.reshape(-1)[n], weights, retain_graph=True, allow_unused=True
                    )
                for own, slope, weight in zip(rows, slopes, weights, strict=True):
                    own.append(torch.zeros_like(weight) if slope is None else slope)
        scattered, beside = (torch.stack(own).detach() for own in rows)
        return Parts(scattered, beside)
