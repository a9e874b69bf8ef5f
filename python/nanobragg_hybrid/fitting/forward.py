"""The torch engine's model, asked for the fitted pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.model import ForwardModel
from nanobragg_hybrid.engines.torch.parameters import Parameter
from nanobragg_hybrid.engines.torch.selection import Selection
from nanobragg_hybrid.fitting.blocks import Known
from nanobragg_hybrid.fitting.likelihoods import Array
from nanobragg_hybrid.fitting.pixels import FitPixels

_BATCH_NUMBERS: Final = 2**23
"""Pixels of a batch, 64 MiB."""


class TorchModel:
    """What the model says of its parameters."""

    def __init__(self, model: ForwardModel) -> None:
        self._model = model
        self._parameters = {each.name: each for each in model.parameters()}

    def known(self, name: str) -> Known:
        """A parameter with its value; `ConfigError` for one that is not active."""
        value = self._model.initial(name).numpy().ravel()
        parameter = self._parameters[name]
        return Known(parameter.unit, parameter.shape, value)


class TorchForward:
    """The signal of some pixels; counts what it is asked for.

    images: values of all pixels, by `pixels` or `members`.  jacobians: calls of `jacobian`.
    """

    def __init__(self, model: ForwardModel, pixels: FitPixels) -> None:
        self.images = 0
        self.jacobians = 0
        self._model = model
        self._shapes = {each.name: each.shape for each in model.parameters()}
        self._select = Selection.pixels(np.stack([pixels.slow, pixels.fast], axis=1))

    def _tensors(self, values: Mapping[str, Array]) -> dict[str | Parameter, Tensor]:
        return {
            name: torch.from_numpy(value).reshape(self._shapes[name])
            for name, value in values.items()
        }

    def pixels(self, values: Mapping[str, Array]) -> Array:
        """Expected photons, shape (n,)."""
        self.images += 1
        pixels: Array = self._model.pixels(self._tensors(values), self._select).numpy()
        return pixels

    def members(self, values: Sequence[Mapping[str, Array]]) -> Array:
        """The same for several values of the same names, shape (members, n): in batches, which
        share what does not change, as many at a time as fit into some memory."""
        self.images += len(values)
        at_a_time = max(1, _BATCH_NUMBERS // max(self._select.count, 1))
        rows = [
            self._batch(values[start : start + at_a_time])
            for start in range(0, len(values), at_a_time)
        ]
        return np.concatenate(rows)

    def _batch(self, values: Sequence[Mapping[str, Array]]) -> Array:
        first = values[0]
        if len(values) == 1:
            single: Array = self._model.pixels(self._tensors(first), self._select).numpy()
            return single[None]
        given = self._tensors(first)
        for name, value in first.items():
            every = np.stack([each[name] for each in values])
            if (every != value).any():
                shape = (len(values), *self._shapes[name])
                given[name] = torch.from_numpy(every).reshape(shape)
        pixels: Array = self._model.pixels(given, self._select).numpy()
        if pixels.ndim == 1:  # all alike
            return np.broadcast_to(pixels, (len(values), pixels.size))
        return pixels

    def jacobian(self, values: Mapping[str, Array], names: tuple[str, ...]) -> tuple[Array, Array]:
        """The same, and their derivatives by all numbers of `names` in order, shape (n, p)."""
        self.jacobians += 1
        pixels, jacobian = self._model.jacobian(self._tensors(values), names, self._select)
        return pixels.numpy(), jacobian.numpy()
