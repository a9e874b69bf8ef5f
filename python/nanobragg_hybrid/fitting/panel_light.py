"""The light in fitted pixels of several panels that have a background or a point spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.eager.expected import is_light
from nanobragg_hybrid.engines.torch.panel_model import PanelModel
from nanobragg_hybrid.engines.torch.set_up.parameters import Parameter
from nanobragg_hybrid.fitting.forward import TorchForward, TorchLight
from nanobragg_hybrid.fitting.likelihoods import Array
from nanobragg_hybrid.fitting.pixels import FitPixels, Indices
from nanobragg_hybrid.fitting.stack import Stack


class _Part(NamedTuple):
    """The fitted pixels of one panel.

    panel: its number.  place: which of all fitted pixels they are.  forward, light: of the panel's
    own model.  names: of numbers of the background, and what they are called there.
    """

    panel: int
    place: Indices
    forward: TorchForward
    light: TorchLight
    names: Mapping[str, str]


class _Moving(NamedTuple):
    """Values of a panel's model; which of them move with the parameters of the fit; and how, shape
    (numbers that move, numbers of the parameters)."""

    values: dict[str, Array]
    names: tuple[str, ...]
    slopes: Array


class PanelsLight:
    """Spots, background and point spread of each panel, in the fitted pixels of a stack: both what
    a fit calls its forward model (`Forward`) and the light beside it (`Beside`).

    Light does not spread from one panel to another.
    """

    def __init__(self, model: PanelModel, pixels: FitPixels, stack: Stack) -> None:
        self.images = 0
        self.jacobians = 0
        self._model = model
        self._count = pixels.count
        self._shapes = {each.name: each.shape for each in model.parameters()}
        self._shapes.update({n: tuple(x.shape) for n, x in model.expected_initial().items()})
        self._parts: list[_Part] = []
        for n, alone in enumerate(model.models):
            place, own = of_panel(pixels, stack, n)
            if own.count == 0:
                continue
            light = TorchLight(alone, own)
            forward = TorchForward(alone, own, light)
            self._parts.append(_Part(n, place, forward, light, model.light_of_panel(n)))

    @property
    def has_background(self) -> bool:
        """Whether there is light beside the spots."""
        return any(part.light.has_background for part in self._parts)

    @property
    def source_count(self) -> int:
        """Pixels whose light arrives in fitted ones."""
        return sum(part.light.select.count for part in self._parts)

    def _tensors(self, values: Mapping[str, Array]) -> dict[str | Parameter, Tensor]:
        return {
            name: torch.from_numpy(value).reshape(self._shapes[name])
            for name, value in values.items()
            if not is_light(name)
        }

    def _of(self, part: _Part, values: Mapping[str, Array]) -> dict[str, Array]:
        """The values of a panel's own model."""
        alone = self._model.values_of_panel(part.panel, self._tensors(values))
        found = {str(name): value.detach().numpy().ravel() for name, value in alone.items()}
        found.update({own: values[name] for name, own in part.names.items() if name in values})
        return found

    def _moving(self, part: _Part, values: Mapping[str, Array], names: tuple[str, ...]) -> _Moving:
        """What of a panel's model moves with parameters of the fit."""
        placed = [name for name in names if not is_light(name)]
        alone, moved, columns = self._model.linearised(part.panel, self._tensors(values), placed)
        found = {str(name): value.detach().numpy().ravel() for name, value in alone.items()}
        found.update({own: values[name] for name, own in part.names.items() if name in values})
        own_names = [part.names[name] for name in names if name in part.names]
        rows = columns.shape[0] + sum(found[name].size for name in own_names)
        slopes = np.zeros((rows, sum(values[name].size for name in names)))
        row, column, taken = columns.shape[0], 0, 0
        for name in names:
            size = values[name].size
            to = slice(column, column + size)
            if not is_light(name):
                slopes[: columns.shape[0], to] = columns[:, taken : taken + size].numpy()
                taken += size
            elif name in part.names:
                slopes[row : row + size, to] = np.eye(size)
                row += size
            column += size
        return _Moving(found, (*map(str, moved), *own_names), slopes)

    def pixels(self, values: Mapping[str, Array]) -> Array:
        """Expected photons, shape (n,); see `Forward`."""
        self.images += 1
        signal = np.empty(self._count)
        for part in self._parts:
            signal[part.place] = part.forward.pixels(self._of(part, values))
        return signal

    def members(self, values: Sequence[Mapping[str, Array]]) -> Array:
        """The same for several values of the same names, shape (members, n)."""
        self.images += len(values)
        signal = np.empty((len(values), self._count))
        for part in self._parts:
            signal[:, part.place] = part.forward.members([self._of(part, one) for one in values])
        return signal

    def jacobian(self, values: Mapping[str, Array], names: tuple[str, ...]) -> tuple[Array, Array]:
        """The same as `pixels`, and derivatives by all numbers of `names`, shape (n, p)."""
        self.jacobians += 1
        signal = np.empty(self._count)
        columns = np.empty((sum(values[name].size for name in names), self._count))
        for part in self._parts:
            moving = self._moving(part, values, names)
            signal[part.place], own = part.forward.jacobian(moving.values, moving.names)
            columns[:, part.place] = moving.slopes.T @ own.T
        return signal, columns.T

    def light(self, values: Mapping[str, Array]) -> Array:
        """The light that is not in proportion to the fluence, shape (n,); see `Beside`."""
        found = np.empty(self._count)
        for part in self._parts:
            found[part.place] = part.light.light(self._of(part, values))
        return found

    def light_jacobian(self, values: Mapping[str, Array], names: tuple[str, ...]) -> Array:
        """Its derivatives by all numbers of `names`, shape (p, n)."""
        columns = np.zeros((sum(values[name].size for name in names), self._count))
        for part in self._parts:
            moving = self._moving(part, values, names)
            if moving.names:
                own = part.light.jacobian(moving.values, moving.names)
                columns[:, part.place] = moving.slopes.T @ own
        return columns


class PanelsBeside:
    """The light of `PanelsLight` beside its spots."""

    def __init__(self, light: PanelsLight) -> None:
        self._light = light

    def light(self, values: Mapping[str, Array]) -> Array:
        """Expected photons, shape (n,)."""
        return self._light.light(values)

    def jacobian(self, values: Mapping[str, Array], names: tuple[str, ...]) -> Array:
        """Their derivatives by all numbers of `names` in order, shape (p, n)."""
        return self._light.light_jacobian(values, names)


def of_panel(pixels: FitPixels, stack: Stack, number: int) -> tuple[Indices, FitPixels]:
    """Which of the fitted pixels of a stack are on a panel, and these, as counted on it."""
    on_panel = stack.panel(pixels.boxes[:, 0]) == number
    place = np.flatnonzero(on_panel[pixels.box])
    own = pixels.taken(place, on_panel)
    return place, own.moved(-int(stack.starts[number]))
