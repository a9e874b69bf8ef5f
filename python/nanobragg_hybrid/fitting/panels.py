"""The torch engine's model of a detector of panels, asked for the fitted pixels of a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.engines.torch.panel_model import PanelModel
from nanobragg_hybrid.engines.torch.scenes.selection import Selection
from nanobragg_hybrid.engines.torch.set_up.parameters import Parameter
from nanobragg_hybrid.fitting.blocks import Known
from nanobragg_hybrid.fitting.capture import typical_scattering_vector
from nanobragg_hybrid.fitting.forward import known_light
from nanobragg_hybrid.fitting.likelihoods import Array
from nanobragg_hybrid.fitting.pixels import FitPixels, Indices
from nanobragg_hybrid.fitting.stack import Stack

_BATCH_NUMBERS: Final = 2**23
"""Pixels of a batch, 64 MiB."""
_PLACES: Final = tuple(f"detector.panels.{n}" for n in ("origin_mm", "fast_axis", "slow_axis"))
_PIXELS: Final = "detector.panels.pixel_size_mm"
_MOVED: Final = "detector.shift_mm and detector.panels.shift_mm and rotation_deg"


class PanelsModel:
    """What the model of panels says of its parameters, those of the background among them."""

    def __init__(self, model: PanelModel) -> None:
        self._model = model
        self._parameters = {each.name: each for each in model.parameters()}
        self._light = model.expected_initial()

    def known(self, name: str) -> Known:
        """A parameter with its value; `ConfigError` for one that is not active, and for one of the
        response."""
        if name in _PLACES:
            raise ConfigError("parameters", name, f"{_MOVED}, which move the same")
        response = self._model.models[0].setup.experiment.response
        light = known_light(name, self._light, response, _PIXELS)
        if light is not None:
            return light
        value = self._model.initial(name).numpy().ravel()
        parameter = self._parameters[name]
        return Known(parameter.unit, parameter.shape, value)


class PanelsForward:
    """The signal of pixels of a stack; counts what it is asked for: see `Forward`."""

    def __init__(self, model: PanelModel, pixels: FitPixels, stack: Stack) -> None:
        self.images = 0
        self.jacobians = 0
        self._model = model
        self._count = pixels.count
        self._shapes = {each.name: each.shape for each in model.parameters()}
        panel = stack.panel(pixels.slow)
        rows = pixels.slow - stack.starts[panel]
        order = np.argsort(panel, kind="stable")
        self._places: list[Indices] = np.split(
            order, np.searchsorted(panel[order], np.arange(1, len(stack.shapes)))
        )
        self._select = [
            Selection.pixels(np.stack([rows[own], pixels.fast[own]], axis=1))
            for own in self._places
        ]

    def _tensors(self, values: Mapping[str, Array]) -> dict[str | Parameter, Tensor]:
        return {
            name: torch.from_numpy(value).reshape(self._shapes[name])
            for name, value in values.items()
        }

    def pixels(self, values: Mapping[str, Array]) -> Array:
        """Expected photons, shape (n,)."""
        self.images += 1
        signal: Array = self._pixels(self._tensors(values))[0]
        return signal

    def _pixels(self, values: dict[str | Parameter, Tensor], members: int = 1) -> Array:
        """Shape (members, n)."""
        signal = np.empty((members, self._count))
        parts = self._model.pixels(values, self._select)
        for place, part in zip(self._places, parts, strict=True):
            signal[:, place] = part.numpy()
        return signal

    def members(self, values: Sequence[Mapping[str, Array]]) -> Array:
        """The same for several values of the same names, shape (members, n)."""
        self.images += len(values)
        at_a_time = max(1, _BATCH_NUMBERS // max(self._count, 1))
        rows = [
            self._batch(values[start : start + at_a_time])
            for start in range(0, len(values), at_a_time)
        ]
        return np.concatenate(rows)

    def _batch(self, values: Sequence[Mapping[str, Array]]) -> Array:
        given = self._tensors(values[0])
        for name, value in values[0].items():
            every = np.stack([each[name] for each in values])
            if (every != value).any():
                shape = (len(values), *self._shapes[name])
                given[name] = torch.from_numpy(every).reshape(shape)
        return self._pixels(given, len(values))

    def jacobian(self, values: Mapping[str, Array], names: tuple[str, ...]) -> tuple[Array, Array]:
        """The same, and their derivatives by all numbers of `names` in order, shape (n, p)."""
        self.jacobians += 1
        signal = np.empty(self._count)
        columns = np.empty((sum(values[name].size for name in names), self._count))
        parts = self._model.jacobian(self._tensors(values), names, self._select)
        for place, (pixels, jacobian) in zip(self._places, parts, strict=True):
            signal[place] = pixels.numpy()
            columns[:, place] = jacobian.numpy().T
        return signal, columns.T


def mean_scattering_vector(model: PanelModel, pixels: FitPixels, stack: Stack) -> float:
    """|q|, 1/angstrom, of the pixels in the mean."""
    panel: NDArray[np.intp] = stack.panel(pixels.slow)
    total = 0.0
    for n, each in enumerate(model.models):
        mine = panel == n
        count = int(np.count_nonzero(mine))
        if count:
            setup = each.setup
            slow, fast = pixels.slow[mine] - stack.starts[n], pixels.fast[mine]
            q = typical_scattering_vector(setup.geometry, setup.wavelength_m, slow, fast)
            total += count * q
    return total / pixels.count
